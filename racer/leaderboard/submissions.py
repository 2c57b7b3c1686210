"""What a board holds: records of every kind, and the submissions among them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from racer.entries.package import LABEL_RULE, is_label
from racer.errors import BoardError
from racer.leaderboard.run_result import RunResult


@dataclass(frozen=True)
class ChainRecord:
    """One link of the board's chain, of whatever kind.

    Attributes:
        id: Its place in the order of all records, from 1.
        created: When it was added, ISO 8601 in UTC.
        kind: One of `schema.KINDS`.
        season: The season's name.
        season_digest: The season's digest.
        name: What the board calls the entry it is about; empty where it is about a season.
        about: The id of the submission that a withdrawal or a dispute is about, else None.
        body: What its kind holds: a submission's fields, `why`, `sha256` or `secret`.
        hash: SHA-256 over the hash before it and all of the above but `season`.
    """

    id: int
    created: str
    kind: str
    season: str
    season_digest: str
    name: str
    about: int | None
    body: dict[str, Any]
    hash: str


@dataclass(frozen=True)
class Submission:
    """One judged submission.

    Attributes:
        id: Its place in the order of all records, from 1.
        created: When it was added, ISO 8601 in UTC.
        season: The season's name.
        season_digest: The season's digest.
        name: What the board calls the entry.
        entry_sha256: SHA-256 of the entry's package; `HOUSE` for a pilot.
        runs: The result of each of the season's runs, in the season's order.
        racer_version: The racer that judged it.
        box: What held the policy while it was judged.
        signer: Who signed the entry; empty where nobody did.
        hash: Its link in the chain.
        withdrawn: Why it was withdrawn; None where it was not.
        disputes: Why it is disputed, each reason.
    """

    id: int
    created: str
    season: str
    season_digest: str
    name: str
    entry_sha256: str
    runs: list[RunResult]
    racer_version: str
    box: str
    signer: str
    hash: str
    withdrawn: str | None = None
    disputes: tuple[str, ...] = ()

    @property
    def competitor(self) -> tuple[str, str]:
        """Whose it is: a name, and the key that signed it."""
        return self.name, self.signer

    @property
    def entry(self) -> tuple[str, str]:
        """Which entry it is: the package's digest, and of a pilot its name."""
        return self.entry_sha256, self.runs[0].pilot

    @property
    def body(self) -> dict[str, Any]:
        """The body of the submission's record, as JSON values."""
        return submission_body(
            self.entry_sha256, self.runs, self.box, self.signer, self.racer_version
        )


def board_name(name: str) -> str:
    """A name as a board keeps it: an accent is one character, however it was typed.

    Raises:
        BoardError: It does not fit a board; the code is `name`.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or not is_label(name):
        raise BoardError(
            f"the name {name!r:.200} does not fit a board; wanted are {LABEL_RULE}", "name"
        )
    return name


def utc_minute(created: str) -> str:
    """A record's date and time in UTC, for a person: `2026-11-25 13:37`."""
    return created[:16].replace("T", " ")


def submission_body(
    entry_sha256: str, runs: Sequence[RunResult], box: str, signer: str, racer_version: str
) -> dict[str, Any]:
    """Return the body of a submission's record, as JSON values.

    Args:
        entry_sha256: SHA-256 of the entry's package; `HOUSE_DIGEST` for a pilot.
        runs: The result of each of the season's runs, in the season's order.
        box: The sandbox that held the policy while it was judged.
        signer: Key that signed the entry; empty if it is not signed.
        racer_version: Version of racer that judged the entry.
    """
    return {
        "box": box,
        "entry_sha256": entry_sha256,
        "racer_version": racer_version,
        "runs": [run.as_json() for run in runs],
        "signer": signer,
    }


def submissions_in(records: list[ChainRecord]) -> list[Submission]:
    """The submissions among records, each with what was said about it."""
    withdrawn = {one.about: one.body["why"] for one in records if one.kind == "withdrawal"}
    disputes: dict[int | None, tuple[str, ...]] = {}
    for one in records:
        if one.kind == "dispute":
            disputes[one.about] = (*disputes.get(one.about, ()), one.body["why"])
    return [
        submission_in(one, withdrawn.get(one.id), disputes.get(one.id, ()))
        for one in records
        if one.kind == "submission"
    ]


def submission_in(
    record: ChainRecord, withdrawn: str | None = None, disputes: tuple[str, ...] = ()
) -> Submission:
    """The submission that a record of that kind holds, with what was said about it."""
    body = record.body
    return Submission(
        id=record.id,
        created=record.created,
        season=record.season,
        season_digest=record.season_digest,
        name=record.name,
        entry_sha256=body["entry_sha256"],
        runs=[RunResult.from_json(run) for run in body["runs"]],
        racer_version=body["racer_version"],
        box=body["box"],
        signer=body["signer"],
        hash=record.hash,
        withdrawn=withdrawn,
        disputes=disputes,
    )

"""The records of a board, and the submissions among them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from racer.entries.package import LABEL_RULE, is_label
from racer.errors import BoardError
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season

PERSON_DIGEST = "person"
"""Used as the digest of a person, who drove by hand and has no package."""


@dataclass(frozen=True)
class ChainRecord:
    """One record of the board, of any kind.

    Attributes:
        id: Number of the record, from 1.
        created: When it was added, ISO 8601 in UTC.
        kind: One of `RECORD_KINDS`.
        season: The season's name.
        season_digest: The season's digest.
        name: Name of the entry on the board; empty if the record is about a season.
        about: Id of the submission that a withdrawal or a dispute is about, else None.
        body: A submission's fields; `why` of a withdrawal or dispute; `sha256` of an opening;
            `secret` of a reveal.
        hash: The record's `chain_hash`, over all of the above but `season`.
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
    """An evaluated submission.

    Attributes:
        id: Number of its record, from 1.
        created: When it was added, ISO 8601 in UTC.
        season: The season's name.
        season_digest: The season's digest.
        name: Name of the entry on the board.
        entry_sha256: SHA-256 of the entry's package; `HOUSE_DIGEST` for a pilot, `PERSON_DIGEST`
            for a person.
        runs: The result of each of the season's runs, in the season's order.
        racer_version: Version of racer that evaluated it.
        box: The sandbox that held the policy during the evaluation; `none` if none did.
        signer: Key that signed the entry; empty if it is not signed.
        hash: Hash of its record.
        handed_in: When it was handed in, before its evaluation, ISO 8601 in UTC; empty in a season
            without `event`.
        withdrawn: The reason of its withdrawal; None if it was not withdrawn.
        disputes: The reasons for which it is disputed.
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
    handed_in: str = ""
    withdrawn: str | None = None
    disputes: tuple[str, ...] = ()

    @property
    def competitor(self) -> tuple[str, str]:
        """The participant: name of the entry, and key that signed it."""
        return self.name, self.signer

    @property
    def entry(self) -> tuple[str, str]:
        """What tells the entry from others: SHA-256 of its package, and the name of a pilot.

        Each of a person's submissions is another entry: of a person, it is the replays.
        """
        if self.entry_sha256 == PERSON_DIGEST:
            return self.entry_sha256, " ".join(run.replay or "" for run in self.runs)
        return self.entry_sha256, self.runs[0].pilot

    @property
    def submitted(self) -> str:
        """When it was handed in; when it was added, in a season without `event`."""
        return self.handed_in or self.created

    @property
    def body(self) -> dict[str, Any]:
        """The body of the submission's record, as JSON values."""
        body = submission_body(
            self.entry_sha256, self.runs, self.box, self.signer, self.racer_version
        )
        return body | ({"handed_in": self.handed_in} if self.handed_in else {})


def board_name(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which an accent is one character.

    Raises:
        BoardError: The name is not allowed on a board; the code is `name`.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or not is_label(name):
        raise BoardError(
            f"the name {name!r:.200} does not fit a board; wanted are {LABEL_RULE}", "name"
        )
    return name


def person_of(season: Season, name: str, signer: str) -> tuple[str, str]:
    """Return who handed in an entry: what distinguishes the participants of a season.

    It is the name together with the key. In a season with an `event`, it is the key under any
    name, so that a key's names have one row and share its entries; without a key it is the name.

    Args:
        season: The season.
        name: Name of the entry on the board.
        signer: Key that signed the entry; empty if it is not signed.
    """
    return ("", signer) if season.event and signer else (name, signer)


def utc_minute(created: str) -> str:
    """Return date and time of a record, as `2026-11-25 13:37` in UTC."""
    return created[:16].replace("T", " ")


def submission_body(
    entry_sha256: str, runs: Sequence[RunResult], box: str, signer: str, racer_version: str
) -> dict[str, Any]:
    """Return the body of a submission's record, as JSON values.

    Args:
        entry_sha256: SHA-256 of the entry's package; `HOUSE_DIGEST` for a pilot.
        runs: The result of each of the season's runs, in the season's order.
        box: The sandbox that held the policy during the evaluation; `none` if none did.
        signer: Key that signed the entry; empty if it is not signed.
        racer_version: Version of racer that evaluated the entry.
    """
    return {
        "box": box,
        "entry_sha256": entry_sha256,
        "racer_version": racer_version,
        "runs": [run.as_json() for run in runs],
        "signer": signer,
    }


def submissions_in(records: list[ChainRecord]) -> list[Submission]:
    """Return the submissions among records, with their withdrawals and disputes."""
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
    """Return the submission of a record.

    Args:
        record: A record of the kind `submission`.
        withdrawn: The reason of its withdrawal; None if it was not withdrawn.
        disputes: The reasons for which it is disputed.
    """
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
        handed_in=body.get("handed_in", ""),
        withdrawn=withdrawn,
        disputes=disputes,
    )

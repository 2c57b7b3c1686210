"""The queue of uploaded entries, in the board's store, from which judges take them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from racer.errors import BoardError
from racer.leaderboard.database_schema import JOB_TABLE, SEASON_TABLE
from racer.leaderboard.season import Season
from racer.leaderboard.season_event import utc_text
from racer.leaderboard.store import BoardStore, keep_season
from racer.leaderboard.submissions import Submission, board_name

MAX_WAITING = 20
"""The most entries that may wait."""
OUTCOMES_KEPT = 50
"""Number of the latest entries whose state is reported."""
LEASE_S = 60.0
"""How long an entry belongs to a judge that gives no sign of life [s]."""
MAX_BROKEN_OFF = 3
"""How often an evaluation may be broken off before the entry is refused."""
_JOB = JOB_TABLE.c


class LeaseLostError(BoardError):
    """Another judge has taken over the entry, because this one gave no sign of life."""


@dataclass(frozen=True)
class SubmissionJob:
    """One uploaded entry, and how far its evaluation is.

    Attributes:
        number: Number of the upload on this board, from 1.
        season: The season's name.
        state: How far it is.
        name: Name on the board: the requested one, else the entry's own name, which is empty
            until the package is read.
        handed_in: When it was uploaded, by the store's clock, ISO 8601 in UTC.
        ahead: Number of entries that were before it at the upload.
        done: Number of evaluated races.
        all: Number of races to evaluate; 0 until it is known.
        code: Why it was refused, in one word; see the codes in docs/leaderboard.md.
        said: Its result, or why it was refused, in a sentence.
        row: Id of its submission; None until it is on the board.
        place: Rank of its name in the season; None until it is on the board.
        of: Number of ranked participants at that time.
    """

    number: int
    season: str
    state: Literal["waiting", "judging", "done", "refused"] = "waiting"
    name: str = ""
    handed_in: str = ""
    ahead: int = 0
    done: int = 0
    all: int = 0
    code: str = ""
    said: str = ""
    row: int | None = None
    place: int | None = None
    of: int = 0


@dataclass(frozen=True)
class JobLease:
    """An entry that a judge has taken from the queue.

    Attributes:
        number: Number of the upload.
        season: The season.
        name: The requested name; empty if the entry's own is meant.
        upload: Name of its package among the board's files.
        handed_in: When it was uploaded, ISO 8601 in UTC.
        worker: Tells this lease from those of other judges, and from a later one of the same.
    """

    number: int
    season: Season
    name: str
    upload: str
    handed_in: str
    worker: str


class SubmissionQueue:
    """The entries that wait for their evaluation, and the outcomes of the latest ones.

    They are in the store: they survive the end of every process, and judges on several machines
    take from them. A judge has an entry for `LEASE_S`, and longer as long as it renews that.

    Args:
        store: The board.
        seasons: The seasons that take entries, by their digests.
    """

    def __init__(self, store: BoardStore, seasons: dict[str, Season]) -> None:
        self.store, self._seasons = store, seasons

    def season_named(self, asked: str) -> Season:
        """Return the season that a request names.

        Raises:
            BoardError: It is not exactly one of those that take entries; the code is `season`.
        """
        known = self._seasons.values()
        found = [one for one in known if asked in (one.digest, one.folder, one.name)]
        if not found and asked:
            found = [one for one in known if one.digest.startswith(asked)]
        if len(found) == 1:
            return found[0]
        told = "names several seasons" if found else "is no season that takes entries here"
        names = ", ".join(one.folder for one in found or known)
        raise BoardError(f"season={asked:.80} {told}; name one of: {names}", "season")

    def hand_in(self, path: Path, season: str, name: str = "") -> SubmissionJob:
        """Copy an entry into the queue, and return its state.

        Args:
            path: The package, not checked yet; it is not needed any more afterwards.
            season: The season's digest or its beginning, its name, or the folder of its pages.
            name: Name of the entry on the board; if empty, the name in the entry's manifest.

        Raises:
            BoardError: There is no such season (code `season`), it takes no entries now (`early`,
                `closed`), the name is not allowed on a board (`name`), or too many entries are
                waiting (`full`).
        """
        rules = self.season_named(season)
        called = board_name(name) if name else ""
        self.store.admit(rules)
        with self.store.database.reading() as connection:
            _refuse_full(connection)
        files, upload = self.store.files, f"uploads/{secrets.token_hex(16)}.entry.zip"
        files.keep(upload, path.read_bytes())
        try:
            with self.store.database.writing() as connection:
                _refuse_full(connection)
                handed_in = utc_text(self.store.database.now(connection))
                if rules.event:
                    rules.event.refuse_closed_at(handed_in, rules.name)
                keep_season(connection, rules)
                last = connection.execute(select(func.max(_JOB.number))).scalar()
                values = {
                    "number": (last or 0) + 1,
                    "handed_in": handed_in,
                    "season_digest": rules.digest,
                    "upload": upload,
                    "name": called,
                    "state": "waiting",
                    "ahead": _count(connection, "waiting", "judging"),
                }
                connection.execute(insert(JOB_TABLE).values(**values))
        except BoardError:
            with suppress(BoardError):
                files.remove(upload)
            raise
        return SubmissionJob(
            values["number"], rules.name, name=called, handed_in=handed_in, ahead=values["ahead"]
        )

    def told(self) -> list[dict[str, Any]]:
        """Return the states of the latest entries as JSON values, the latest first."""
        joined = JOB_TABLE.join(SEASON_TABLE, SEASON_TABLE.c.digest == _JOB.season_digest)
        latest = (
            select(JOB_TABLE, SEASON_TABLE.c.name.label("season"))
            .select_from(joined)
            .order_by(_JOB.number.desc())
            .limit(OUTCOMES_KEPT)
        )
        with self.store.database.reading() as connection:
            now_s = self._now_s(connection)
            return [asdict(_job(row, now_s)) for row in connection.execute(latest)]

    def count_open(self, can_judge: Callable[[Season], bool] = lambda season: True) -> int:
        """Return the number of entries that wait or are being evaluated.

        Args:
            can_judge: Returns whether entries of a season count.
        """
        joined = JOB_TABLE.join(SEASON_TABLE, SEASON_TABLE.c.digest == _JOB.season_digest)
        is_open = _JOB.state.in_(("waiting", "judging"))
        asked = select(SEASON_TABLE.c.fields).select_from(joined).where(is_open)
        with self.store.database.reading() as connection:
            fields = connection.execute(asked).scalars().all()
        return sum(can_judge(Season.model_validate_json(one)) for one in fields)

    def claim(self, can_judge: Callable[[Season], bool] = lambda season: True) -> JobLease | None:
        """Take the first entry that waits, or that a judge left; None if there is none.

        An entry whose evaluation was broken off `MAX_BROKEN_OFF` times is refused with the code
        `judge`, so that it does not end one judge after the other.

        Args:
            can_judge: Returns whether entries of a season can be evaluated here.
        """
        worker = secrets.token_hex(16)
        with self.store.database.writing() as connection:
            now_s = self._now_s(connection)
            is_left = and_(_JOB.state == "judging", _JOB.leased_until_s < now_s)
            joined = JOB_TABLE.join(SEASON_TABLE, SEASON_TABLE.c.digest == _JOB.season_digest)
            free = (
                select(JOB_TABLE, SEASON_TABLE.c.fields)
                .select_from(joined)
                .where(or_(_JOB.state == "waiting", is_left))
                .order_by(_JOB.number)
            )
            for row in connection.execute(free).fetchall():
                mine = update(JOB_TABLE).where(_JOB.number == row.number)
                if row.attempts >= MAX_BROKEN_OFF:
                    said = f"its evaluation was broken off {row.attempts} times"
                    connection.execute(mine.values(state="refused", code="judge", said=said))
                    continue
                season = Season.model_validate_json(row.fields)
                if not can_judge(season):
                    continue
                taken = {
                    "state": "judging",
                    "worker": worker,
                    "leased_until_s": now_s + LEASE_S,
                    "attempts": row.attempts + 1,
                    "done": 0,
                }
                connection.execute(mine.values(**taken))
                return JobLease(row.number, season, row.name, row.upload, row.handed_in, worker)
        return None

    def renew(self, lease: JobLease, **news: Any) -> None:
        """Keep an entry for another `LEASE_S`, and store how far its evaluation is.

        Args:
            lease: The entry.
            news: New values of the columns `name`, `done` and `races`.

        Raises:
            LeaseLostError: Another judge has taken the entry.
        """
        with self.store.database.writing() as connection:
            until = self._now_s(connection) + LEASE_S
            _change(connection, lease, leased_until_s=until, **news)

    def finish(self, connection: Connection, lease: JobLease, added: Submission) -> None:
        """Mark an entry as done, in the transaction that adds its submission.

        Args:
            connection: The transaction; see `within` of `BoardStore.add`.
            lease: The entry.
            added: Its submission.

        Raises:
            LeaseLostError: Another judge has taken the entry; then nothing is to be added.
        """
        _change(connection, lease, state="done", record_id=added.id, name=added.name)

    def announce(self, lease: JobLease, said: str, place: int | None, count: int) -> None:
        """Store the result of an entry that is done.

        Args:
            lease: The entry.
            said: Its result in a sentence.
            place: Its rank; None if it has none.
            count: Number of ranked participants.
        """
        done = update(JOB_TABLE).where(_JOB.number == lease.number, _JOB.worker == lease.worker)
        with self.store.database.writing() as connection:
            connection.execute(done.values(said=said, place=place, ranked=count, leased_until_s=0))
        self.sweep()

    def refuse(self, lease: JobLease, code: str, said: str) -> None:
        """Mark an entry as refused.

        Args:
            lease: The entry.
            code: Why, in one word.
            said: Why, in a sentence.

        Raises:
            LeaseLostError: Another judge has taken the entry.
        """
        with self.store.database.writing() as connection:
            _change(connection, lease, state="refused", code=code, said=said, leased_until_s=0)
        self.sweep()

    def sweep(self) -> None:
        """Remove the uploads of entries that are done or refused, also those of killed judges."""
        with self.store.database.reading() as connection:
            is_over = and_(
                _JOB.state.in_(("done", "refused")),
                _JOB.upload != "",
                _JOB.leased_until_s < self._now_s(connection),
            )
            left = connection.execute(select(_JOB.number, _JOB.upload).where(is_over)).fetchall()
        for number, upload in left:
            self.store.files.remove(upload)
            with self.store.database.writing() as connection:
                swept = update(JOB_TABLE).where(_JOB.number == number)
                connection.execute(swept.values(upload=""))

    def give_back(self, lease: JobLease) -> None:
        """Let an entry wait again, as if it had not been taken; for a judge that ends early.

        Raises:
            LeaseLostError: Another judge has taken the entry.
        """
        with self.store.database.writing() as connection:
            _change(connection, lease, state="waiting", attempts=_JOB.attempts - 1)

    def _now_s(self, connection: Connection) -> float:
        return self.store.database.now(connection).timestamp()


def _change(connection: Connection, lease: JobLease, **news: Any) -> None:
    """Change the columns of an entry that is still the judge's own."""
    own = and_(_JOB.number == lease.number, _JOB.worker == lease.worker, _JOB.state == "judging")
    if connection.execute(update(JOB_TABLE).where(own).values(**news)).rowcount != 1:
        raise LeaseLostError(f"upload {lease.number} was taken over by another judge", "lease")


def _count(connection: Connection, *states: str) -> int:
    asked = select(func.count()).select_from(JOB_TABLE).where(_JOB.state.in_(states))
    return connection.execute(asked).scalar_one()


def _refuse_full(connection: Connection) -> None:
    if _count(connection, "waiting") >= MAX_WAITING:
        raise BoardError(f"{MAX_WAITING} entries wait already; try again later", "full")


def _job(row: Row[Any], now_s: float) -> SubmissionJob:
    # It is on the board, and its judge still finds out at which place.
    is_unplaced = row.state == "done" and not row.said and row.leased_until_s > now_s
    return SubmissionJob(
        number=row.number,
        season=row.season,
        state="judging" if is_unplaced else row.state,
        name=row.name,
        handed_in=row.handed_in,
        ahead=row.ahead,
        done=row.done,
        all=row.races,
        code=row.code,
        said=row.said,
        row=row.record_id,
        place=row.place,
        of=row.ranked,
    )

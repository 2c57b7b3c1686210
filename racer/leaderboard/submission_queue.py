"""The queue of uploaded entries, and the thread that evaluates them one after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from racer.entries.entry_check import check_entry
from racer.entries.package import read_entry
from racer.errors import BoardError, EntryError, RacerError
from racer.leaderboard.placement import placement_of, submitter_notes
from racer.leaderboard.ranking import submission_line
from racer.leaderboard.season import Season
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_run, refuse_misfit, refuse_other_roads
from racer.leaderboard.submissions import board_name

MAX_WAITING = 20
"""The most entries that may wait."""
OUTCOMES_KEPT = 50
"""Number of the latest entries whose state is reported."""


@dataclass
class SubmissionJob:
    """One uploaded entry, and how far its evaluation is.

    Attributes:
        number: Number of the upload, from 1 since the server's start.
        season: The season's name.
        state: How far it is.
        name: Name on the board: the requested one, else the entry's own name, which is empty
            until the package is read.
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
    ahead: int = 0
    done: int = 0
    all: int = 0
    code: str = ""
    said: str = ""
    row: int | None = None
    place: int | None = None
    of: int = 0


class SubmissionQueue:
    """A queue of entries, evaluated one after the other in a thread.

    Args:
        store: The board.
        seasons: The seasons that take entries, by their digests.
        secret_of: Returns the secret of a sealed season; None if it is not here.
        changed: Called after each added submission.
    """

    def __init__(
        self,
        store: BoardStore,
        seasons: dict[str, Season],
        secret_of: Callable[[Season], str | None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._seasons = store, seasons
        self._secret_of, self._changed = secret_of, changed
        self._waiting: queue.Queue[tuple[SubmissionJob, Path, Season] | None] = queue.Queue(
            MAX_WAITING
        )
        self._tickets: list[SubmissionJob] = []
        self._count, self._lock = 0, threading.Lock()
        self._worker = threading.Thread(target=self._work, name="judge", daemon=True)
        self._worker.start()

    def hand_in(self, path: Path, season: str, name: str = "") -> SubmissionJob:
        """Add an entry to the queue, and return its state, which changes as it is evaluated.

        Args:
            path: The package, not checked yet; the queue removes the file when it is done.
            season: The season's digest or its beginning, its name, or the folder of its pages.
            name: Name of the entry on the board; if empty, the name in the entry's manifest.

        Raises:
            BoardError: There is no such season (code `season`), the name is not allowed on a board
                (`name`), or too many entries are waiting (`full`).
        """
        rules = self._season(season)
        called = board_name(name) if name else ""
        with self._lock:
            ahead = sum(one.state in ("waiting", "judging") for one in self._tickets)
            ticket = SubmissionJob(self._count + 1, rules.name, name=called, ahead=ahead)
            try:
                self._waiting.put_nowait((ticket, path, rules))
            except queue.Full:
                raise BoardError(
                    f"{MAX_WAITING} entries wait already; try again later", "full"
                ) from None
            self._count += 1
            self._tickets = [*self._tickets, ticket][-OUTCOMES_KEPT:]
        return ticket

    def _season(self, asked: str) -> Season:
        """Return the season that a request names; raise BoardError if it is not exactly one."""
        known = self._seasons.values()
        found = [one for one in known if asked in (one.digest, one.folder, one.name)]
        if not found and asked:
            found = [one for one in known if one.digest.startswith(asked)]
        if len(found) == 1:
            return found[0]
        told = "names several seasons" if found else "is no season that takes entries here"
        names = ", ".join(one.folder for one in found or known)
        raise BoardError(f"season={asked:.80} {told}; name one of: {names}", "season")

    def told(self) -> list[dict[str, Any]]:
        """Return the states of the latest entries as JSON values, the latest first."""
        with self._lock:
            return [asdict(ticket) for ticket in reversed(self._tickets)]

    def close(self) -> None:
        """Drop the waiting entries, and wait for the end of the evaluation that is running."""
        while True:
            try:
                left = self._waiting.get_nowait()
            except queue.Empty:
                break
            if left:
                left[1].unlink(missing_ok=True)
        self._waiting.put(None)
        self._worker.join()

    def _work(self) -> None:
        while work := self._waiting.get():
            ticket, path, season = work
            try:
                self._judge(ticket, path, season)
            except (EntryError, BoardError) as problem:
                self._refuse(ticket, problem.code, str(problem), path)
            except RacerError as problem:
                self._refuse(ticket, "board", str(problem), path)
            except Exception as problem:  # so that the next entry is evaluated all the same
                self._refuse(ticket, "bug", f"an error in racer itself: {problem!r}", path)
            finally:
                path.unlink(missing_ok=True)

    def _judge(self, ticket: SubmissionJob, path: Path, season: Season) -> None:
        self._tell(ticket, state="judging")
        entry = read_entry(path)
        name = ticket.name or board_name(entry.manifest.name)
        self._tell(ticket, name=name)
        self._store.refuse_closed(season)
        refuse_misfit(season, entry)
        checked, races = check_entry(entry), season.runs(self._secret_of(season))
        self._tell(ticket, all=len(races))
        runs = []
        for race in races:
            result, content = evaluate_run(season, race, entry)
            runs.append(replace(result, replay=self._store.keep_replay(content)))
            self._tell(ticket, done=len(runs))
        refuse_other_roads(self._store, season, runs)
        about = {"box": checked.box, "signer": entry.signer or ""}
        row = self._store.add(season, name, entry, runs, **about)
        one = placement_of(self._store.rows(season), season, row)
        self._changed()
        said = "; ".join([submission_line(season, row), *submitter_notes(one)])
        place = one.place.rank if one.place else None
        self._tell(ticket, state="done", said=said, row=row.id, place=place, of=one.count)

    def _refuse(self, ticket: SubmissionJob, code: str, said: str, path: Path) -> None:
        # The server chose the file's name, so it means nothing to the person who sent the file.
        self._tell(ticket, state="refused", code=code, said=said.replace(str(path), "the entry"))

    def _tell(self, ticket: SubmissionJob, **news: Any) -> None:
        with self._lock:
            for key, value in news.items():
                setattr(ticket, key, value)

"""A judge: it takes entries from the submission queue and evaluates them, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from racer.entries.entry_check import check_entry
from racer.entries.package import read_entry
from racer.errors import BoardError, EntryError, RacerError
from racer.leaderboard.placement import placement_of, submitter_notes
from racer.leaderboard.ranking import submission_line
from racer.leaderboard.season import Season
from racer.leaderboard.submission_evaluation import evaluate_run, refuse_misfit, refuse_other_roads
from racer.leaderboard.submission_queue import (
    LEASE_S,
    JobLease,
    LeaseLostError,
    SubmissionQueue,
)
from racer.leaderboard.submissions import board_name

IDLE_POLL_S = 1.0
"""How often an idle judge looks for an entry that another process took in [s]."""
RETRY_S = 5.0
"""How long a judge waits if the store cannot be reached [s]."""
JudgeNews = Callable[[str], None]
"""Called with a sentence about an entry."""


class SubmissionJudge:
    """A judge of a board's submission queue; several may work at once, on several machines.

    Args:
        queue: The queue.
        secret_of: Returns the secret of a sealed season; None if it is not here: then the entries
            of that season are left to other judges.
        changed: Called after each added submission.
        tell: Called with sentences about what is done.
    """

    def __init__(
        self,
        queue: SubmissionQueue,
        secret_of: Callable[[Season], str | None],
        changed: Callable[[], None] = lambda: None,
        tell: JudgeNews = lambda said: None,
    ) -> None:
        self._queue, self._secret_of = queue, secret_of
        self._changed, self._tell = changed, tell
        self._is_ended, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in a thread until `close`."""
        self._thread = threading.Thread(target=self.work, name="judge", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Let an idle judge look for entries at once."""
        self._wake.set()

    def close(self) -> None:
        """Take no more entries, and wait for the end of the evaluation that is running."""
        self._is_ended.set()
        self._wake.set()
        if self._thread:
            self._thread.join()

    def work(self, is_drained: bool = False) -> int:
        """Evaluate entries until `close`, and return how many were.

        A store that cannot be reached is tried again and again.

        Args:
            is_drained: Whether to return as soon as no entry that can be evaluated here waits, and
                none is being evaluated by another judge.
        """
        count = 0
        while not self._is_ended.is_set():
            self._wake.clear()
            try:
                lease = self._queue.claim(self.can_judge)
                if lease:
                    self._judge_or_give_back(lease)
                    count += 1
                    continue
                self._queue.sweep()
                if is_drained and not self._queue.count_open(self.can_judge):
                    break
                self._wake.wait(IDLE_POLL_S)
            except BoardError as problem:
                if problem.code != "unreachable":
                    raise
                self._tell(f"trying again in {RETRY_S:g} s: {problem}")
                self._is_ended.wait(RETRY_S)
        return count

    def can_judge(self, season: Season) -> bool:
        """Return whether this judge has what it takes to evaluate entries of a season."""
        return season.sealed is None or self._secret_of(season) is not None

    def _judge_or_give_back(self, lease: JobLease) -> None:
        """Evaluate an entry; if that is broken off for no fault of its own, let it wait again."""
        self._tell(f"upload {lease.number} for season {lease.season.name}")
        try:
            with _kept_alive(self._queue, lease):
                self._tell(f"upload {lease.number}: {self._outcome(lease)}")
        except LeaseLostError as problem:
            self._tell(str(problem))
        except BaseException:
            with suppress(BoardError):
                self._queue.give_back(lease)
            raise

    def _outcome(self, lease: JobLease) -> str:
        """Evaluate an entry and put it on the board, or refuse it; return the outcome in words."""
        path = self._queue.store.files.path(lease.upload)
        try:
            return self._judge(lease, path)
        except LeaseLostError:
            raise
        except RacerError as problem:
            code = problem.code if isinstance(problem, EntryError | BoardError) else "board"
            if code == "unreachable":
                raise
            said = str(problem)
        except Exception as problem:  # so that the next entry is evaluated all the same
            code, said = "bug", f"an error in racer itself: {problem!r}"
        # The board chose the file's name, so it means nothing to the person who sent the file.
        said = said.replace(str(path), "the entry")
        self._queue.refuse(lease, code, said)
        return f"refused: {code}: {said}"

    def _judge(self, lease: JobLease, path: Path) -> str:
        queue, store, season = self._queue, self._queue.store, lease.season
        entry = read_entry(path)
        name, signer = lease.name or board_name(entry.manifest.name), entry.signer or ""
        queue.renew(lease, name=name)
        store.admit(season, name, signer, lease.handed_in)
        refuse_misfit(season, entry)
        checked, races = check_entry(entry), season.runs(self._secret_of(season))
        queue.renew(lease, races=len(races))
        runs = []
        for race in races:
            result, content = evaluate_run(season, race, entry)
            runs.append(replace(result, replay=store.keep_replay(content)))
            queue.renew(lease, done=len(runs))
        refuse_other_roads(store, season, runs)
        row = store.add(
            season,
            name,
            entry,
            runs,
            checked.box,
            signer,
            handed_in=lease.handed_in,
            within=lambda connection, added: queue.finish(connection, lease, added),
        )
        one = placement_of(store.rows(season), season, row)
        said = "; ".join([submission_line(season, row), *submitter_notes(one)])
        place = one.place.rank if one.place else None
        self._changed()
        queue.announce(lease, said, place, one.count)
        return f"{name}: {said}"


@contextmanager
def _kept_alive(queue: SubmissionQueue, lease: JobLease) -> Iterator[None]:
    """Renew the lease of an entry while its evaluation takes longer than that."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(LEASE_S / 4):
            with suppress(BoardError):  # the evaluation itself finds out that the lease is lost
                queue.renew(lease)

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()

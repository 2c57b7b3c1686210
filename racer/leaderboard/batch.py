"""Evaluation of a folder of entries on a season, in several processes; results are kept."""

from __future__ import annotations

import multiprocessing
import time
import unicodedata
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from racer.assets.processes import usable_cores
from racer.entries.package import ENTRY_SUFFIX, read_entry
from racer.errors import BoardError, EntryError, RacerError
from racer.leaderboard import batch_worker
from racer.leaderboard.batch_worker import JobOutcome, RaceJob, ResultCache
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import refuse_misfit, refuse_other_roads
from racer.leaderboard.submissions import Submission, board_name

Key = TypeVar("Key", bound=Hashable)
ProgressCallback = Callable[[int, int], None]


@dataclass
class BatchSummary:
    """The outcome of evaluating a folder of entries.

    Attributes:
        workers: Number of processes that evaluated.
        added: The submissions that were added, in the order of the files' names.
        there: Names of the files whose submission was on the board already.
        named: Name on the board of each entry that is called as its file, by the file's name.
        refused: Code and reason of each refusal, by the file's name.
        races: Number of races that were evaluated now.
        kept: Number of races whose results were kept from before.
        race_s: Time that the evaluated races took, summed over the processes [s].
        wall_s: Time from the start of the first process to the end of the evaluation, with the
            checks of the entries [s].
    """

    workers: int
    added: list[Submission] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    races: int = 0
    kept: int = 0
    race_s: float = 0.0
    wall_s: float = 0.0

    @property
    def ratio(self) -> float | None:
        """`wall_s` over the time that the races alone would take in all processes.

        None if no race was evaluated.
        """
        return self.wall_s * self.workers / self.race_s if self.race_s else None


class _Racer(NamedTuple):
    """A file with an entry to evaluate; the package itself is read again when it is needed."""

    path: Path
    name: str
    sha256: str
    signer: str


def run_season(
    store: BoardStore,
    season: Season,
    folder: Path,
    secret: str | None = None,
    workers: int | None = None,
    tell: ProgressCallback = lambda done, all: None,
) -> BatchSummary:
    """Evaluate every entry of a folder on every run of a season, and add it to the board.

    An entry is called as in its manifest. If several entries of the folder have the same name, or
    the season has a submission called as the file, it is called as its file: `ann` for
    ann.entry.zip.

    The result of each race is kept as soon as the race ends, so a call after an interrupted one
    continues where that stopped. A refused entry is in the summary; the others go on.

    Args:
        store: The board.
        season: The season.
        folder: The folder with the files NAME.entry.zip.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.
        workers: Number of processes; as many as there are processors by default.
        tell: Called after each race with the number of finished races and of all races.

    Raises:
        BoardError: The folder has no entries, the season cannot be evaluated here, a process was
            killed, or the board cannot be written.
    """
    season.refuse_other_physics()
    handed_in = store.admit(season)
    runs = season.runs(secret)
    if workers is not None and workers < 1:
        raise BoardError(f"workers: {workers}; it must be 1 or more")
    summary, results = BatchSummary(workers or usable_cores()), ResultCache(store)
    known = {row.name for row in store.rows(season)}
    racers = _racers(folder, season, known, summary)
    pool = _Pool(summary)
    try:
        boxes = _check(pool, results, racers, summary)
        raced = _race(pool, results, [one for one in racers if one in boxes], season, runs, tell)
    finally:
        pool.close()
    for racer in racers:
        if racer in raced:
            _add(store, season, racer, raced[racer], boxes[racer], handed_in, summary)
    return summary


class _Pool:
    """Worker processes, started when there is something to do."""

    def __init__(self, summary: BatchSummary) -> None:
        self.summary, self._began = summary, 0.0
        self._pool: ProcessPoolExecutor | None = None

    def each(
        self,
        work: Callable[..., JobOutcome],
        given: dict[Key, tuple],
        done: Callable[[Key, JobOutcome], Any],
    ) -> None:
        """Call a function in the workers once for each key, and pass on each outcome.

        Args:
            work: The function.
            given: The arguments of each call, by its key.
            done: Called in this process with the key and the outcome of each finished call.
        """
        if not given:
            return
        if self._pool is None:
            self._began = time.perf_counter()
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self.summary.workers, mp_context=context, initializer=batch_worker.begin_worker
            )
        try:
            futures: dict[Future[JobOutcome], Key] = {
                self._pool.submit(work, *arguments): key for key, arguments in given.items()
            }
            for future in as_completed(futures):
                outcome = future.result()
                done(futures[future], outcome)
        except BrokenProcessPool as problem:
            raise BoardError(
                "a worker process was killed, perhaps because memory ran out; finished races are "
                "kept: run the command again, with fewer --workers if it fails again"
            ) from problem

    def close(self) -> None:
        """End the processes, and set `wall_s` of the summary."""
        if self._pool is not None:
            self.summary.wall_s = time.perf_counter() - self._began
            self._pool.shutdown(cancel_futures=True)


def _racers(folder: Path, season: Season, known: set[str], summary: BatchSummary) -> list[_Racer]:
    """Return the files that hold an entry for the season; the others go into `refused`."""
    paths = sorted(folder.glob(f"*{ENTRY_SUFFIX}"))
    if not paths:
        raise BoardError(f"{folder}: no file there ends with .entry.zip; name a folder of entries")
    found: dict[str, _Racer] = {}
    for path in paths:
        try:
            entry = read_entry(path)
            refuse_misfit(season, entry)
            if entry.sha256 in found:
                same = found[entry.sha256].path.name
                raise EntryError(f"{path.name} holds the same bytes as {same}; keep one", "twice")
        except RacerError as problem:
            code = problem.code if isinstance(problem, EntryError | BoardError) else "board"
            summary.refused[path.name] = (code, str(problem))
            continue
        signer = entry.signer or ""
        found[entry.sha256] = _Racer(path, entry.manifest.name, entry.sha256, signer)
    return _named(list(found.values()), known, summary)


def _named(racers: list[_Racer], known: set[str], summary: BatchSummary) -> list[_Racer]:
    """Return the racers with their names on the board; names that do not fit are refused."""
    stems = {one: _composed(one.path.name.removesuffix(ENTRY_SUFFIX)) for one in racers}
    names = {one: stems[one] if stems[one] in known else _composed(one.name) for one in racers}
    while doubled := [
        one
        for one, name in names.items()
        if name != stems[one] and list(names.values()).count(name) > 1
    ]:
        names |= {one: stems[one] for one in doubled}
    named = []
    for one, name in names.items():
        try:
            named.append(one._replace(name=board_name(name)))
        except BoardError as problem:
            summary.refused[one.path.name] = (problem.code, f"it is called as its file: {problem}")
            continue
        if name != _composed(one.name):
            summary.named[one.path.name] = name
    return named


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check(
    pool: _Pool, results: ResultCache, racers: list[_Racer], summary: BatchSummary
) -> dict[_Racer, str]:
    """Return the sandbox of each entry that passes the check."""
    boxes = {}
    for racer in racers:
        if (box := results.find_box(batch_worker.check_key(racer.sha256))) is not None:
            boxes[racer] = box

    def done(racer: _Racer, outcome: JobOutcome) -> None:
        if outcome.code:
            summary.refused[racer.path.name] = (outcome.code, outcome.said)
            return
        boxes[racer] = results.keep_box(batch_worker.check_key(racer.sha256), outcome.box)

    todo = {one: (str(one.path), one.sha256) for one in racers if one not in boxes}
    pool.each(batch_worker.run_check_job, todo, done)
    return boxes


def _race(
    pool: _Pool,
    results: ResultCache,
    racers: list[_Racer],
    season: Season,
    runs: list[SeasonRun],
    tell: ProgressCallback,
) -> dict[_Racer, list[RunResult]]:
    """Return the results of each entry in the season's order; entries that fail are left out."""
    found: dict[tuple[_Racer, int], RunResult] = {}
    todo: dict[tuple[_Racer, int], tuple[RaceJob]] = {}
    for racer in racers:
        for number, run in enumerate(runs):
            heat = RaceJob(str(racer.path), racer.sha256, season, run, number)
            if kept := results.find_run(heat.key):
                found[racer, number] = kept
            else:
                todo[racer, number] = (heat,)
    summary, all_ = pool.summary, len(racers) * len(runs)
    summary.kept = len(found)
    tell(len(found), all_)

    def done(of: tuple[_Racer, int], outcome: JobOutcome) -> None:
        summary.races += 1
        summary.race_s += outcome.took
        if outcome.result is None:
            summary.refused[of[0].path.name] = (outcome.code, outcome.said)
        else:
            found[of] = results.keep_run(todo[of][0].key, outcome.result, outcome.content)
        tell(summary.kept + summary.races, all_)

    pool.each(batch_worker.run_race_job, todo, done)
    return {
        racer: [found[racer, number] for number in range(len(runs))]
        for racer in racers
        if racer.path.name not in summary.refused
    }


def _add(
    store: BoardStore,
    season: Season,
    racer: _Racer,
    runs: list[RunResult],
    box: str,
    handed_in: str,
    summary: BatchSummary,
) -> None:
    same = (racer.name, racer.sha256)
    if any((row.name, row.entry_sha256) == same and row.runs == runs for row in store.rows(season)):
        summary.there.append(racer.path.name)
        return
    try:
        refuse_other_roads(store, season, runs)
        entry = read_entry(racer.path)
        if entry.sha256 != racer.sha256:
            raise EntryError(
                f"{racer.path}: the file changed meanwhile; run the command again", "hash"
            )
        summary.added.append(
            store.add(season, racer.name, entry, runs, box, racer.signer, handed_in=handed_in)
        )
    except EntryError as problem:
        summary.refused[racer.path.name] = (problem.code, str(problem))
    except BoardError as problem:
        if problem.code != "limit":
            raise
        summary.refused[racer.path.name] = (problem.code, str(problem))

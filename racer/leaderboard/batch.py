"""Evaluation of a folder of entries on a season, in several processes; results are kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from racer.assets import assets_root, find_file
from racer.cluster.jobs import Finished, JobPool, Key, LocalPool
from racer.entries.package import ENTRY_SUFFIX, read_entry
from racer.errors import BoardError, ClusterError, EntryError, RacerError, TrackError
from racer.leaderboard import batch_worker
from racer.leaderboard.batch_worker import JobOutcome, RaceJob, ResultCache
from racer.leaderboard.roster import refuse_stranger
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import refuse_misfit, refuse_other_roads
from racer.leaderboard.submissions import Submission, board_name
from racer.track.generator import GENERATED_PREFIX

ProgressCallback = Callable[[int, int], None]


@dataclass
class BatchSummary:
    """The outcome of evaluating a folder of entries.

    Attributes:
        workers: Number of processes that evaluated; on a cluster, that could at the end.
        added: The submissions that were added, in the order of the files' names.
        there: Names of the files whose submission was on the board already.
        named: Name on the board of each entry that is called as its file, by the file's name.
        refused: Code and reason of each refusal, by the file's name.
        lacking: The names of a roster of which no file is there.
        races: Number of races that were evaluated now.
        kept: Number of races whose results were kept from before.
        race_s: Time that the evaluated races took, summed over the processes [s].
        wall_s: Time from the first job to the end of the evaluation, with the checks of the entries
            [s].
        core_s: Time that checks and races held a core, summed over the cores [core seconds].
        boxes: The sandbox that held policies in what was judged now, by the node's name; "" for
            this machine.
    """

    workers: int
    added: list[Submission] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    races: int = 0
    kept: int = 0
    race_s: float = 0.0
    wall_s: float = 0.0
    core_s: float = 0.0
    boxes: dict[str, str] = field(default_factory=dict)

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
    pool: JobPool | None = None,
    roster: Sequence[str] = (),
) -> BatchSummary:
    """Evaluate every entry of a folder on every run of a season, and add it to the board.

    An entry is called as in its manifest. If several entries of the folder have the same name, or
    the season has a submission called as the file, it is called as its file: `ann` for
    ann.entry.zip. With a roster all are called as their files.

    The result of each race is kept as soon as the race ends, so a call after an interrupted one
    continues where that stopped. A refused entry is in the summary; the others go on.

    Args:
        store: The board.
        season: The season.
        folder: The folder with the files NAME.entry.zip.
        secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.
        workers: Number of processes; as many as there are processors by default.
        tell: Called after each race with the number of finished races and of all races.
        pool: Where races are evaluated, in place of `workers` on this machine. Only this process
            writes to the board. The pool is closed.
        roster: The names that files may have, as `read_roster` returns them; any by default.

    Raises:
        BoardError: The folder has no entries, the season cannot be evaluated here, workers were
            lost, a node has another sandbox than the others, or the board cannot be written.
    """
    season.refuse_other_physics()
    handed_in = store.admit(season)
    runs = season.runs(secret)
    if workers is not None and workers < 1:
        raise BoardError(f"workers: {workers}; it must be 1 or more")
    pool, results = pool or LocalPool(workers), ResultCache(store)
    summary = BatchSummary(pool.workers)
    known = {row.name for row in store.rows(season)}
    racers = _racers(folder, season, known, summary, roster)
    with pool:
        boxes = _check(pool, results, racers, summary)
        raced = _race(pool, results, boxes, season, runs, tell, summary)
        summary.workers = pool.workers
    summary.wall_s, summary.core_s = pool.wall_s, pool.core_s
    for racer in racers:
        if racer in raced:
            _add(store, season, racer, raced[racer], boxes[racer], handed_in, summary)
    return summary


def _each(
    pool: JobPool, work: Callable[..., JobOutcome], given: Mapping[Key, tuple[Any, ...]]
) -> Iterator[Finished[Key, JobOutcome]]:
    """Run jobs, and say what to do if their workers are lost; see `JobPool.run`.

    Args:
        pool: Where they run.
        work: The function.
        given: Its arguments by the job's key.
    """
    try:
        yield from pool.run(work, given)
    except ClusterError as problem:
        raise BoardError(
            f"{problem}; finished races are kept: run the command again, with fewer --workers if "
            "it fails again"
        ) from problem


def _racers(
    folder: Path, season: Season, known: set[str], summary: BatchSummary, roster: Sequence[str] = ()
) -> list[_Racer]:
    """Return the files that hold an entry for the season; the others go into `refused`.

    Args:
        folder: The folder of the files.
        season: The season.
        known: Names of the season's submissions.
        summary: The summary, whose `refused`, `named` and `lacking` are filled.
        roster: The names that files may have; any if empty.
    """
    paths = sorted(folder.glob(f"*{ENTRY_SUFFIX}"))
    if not paths:
        raise BoardError(f"{folder}: no file there ends with .entry.zip; name a folder of entries")
    found: dict[str, _Racer] = {}
    for path in paths:
        try:
            if roster:
                refuse_stranger(_stem(path), roster)
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
    files = {_stem(path) for path in paths}
    summary.lacking = [name for name in roster if name not in files]
    return _named(list(found.values()), files if roster else known, summary)


def _named(racers: list[_Racer], known: set[str], summary: BatchSummary) -> list[_Racer]:
    """Return the racers with their names on the board; names that do not fit are refused.

    Args:
        racers: The racers, with the names in their manifests.
        known: Names of files whose entries are called as the file.
        summary: The summary, whose `refused` and `named` are filled.
    """
    stems = {one: _stem(one.path) for one in racers}
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


def _stem(path: Path) -> str:
    """Return the name that an entry's file gives it."""
    return _composed(path.name.removesuffix(ENTRY_SUFFIX))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check(
    pool: JobPool, results: ResultCache, racers: list[_Racer], summary: BatchSummary
) -> dict[_Racer, str]:
    """Return the sandbox of each entry that passes the check, in the order of the entries."""
    boxes = {}
    for racer in racers:
        if (box := results.find_box(batch_worker.check_key(racer.sha256))) is not None:
            boxes[racer] = box
    todo = {one: (one.path, one.sha256) for one in racers if one not in boxes}
    for one in _each(pool, batch_worker.run_check_job, todo):
        racer, outcome = one.key, one.outcome
        if outcome.code:
            summary.refused[racer.path.name] = (outcome.code, outcome.said)
        else:
            _note_box(summary, one.node, outcome.box)
            key = batch_worker.check_key(racer.sha256)
            boxes[racer] = results.keep_box(key, outcome.box)
    return {racer: boxes[racer] for racer in racers if racer in boxes}


def _race(
    pool: JobPool,
    results: ResultCache,
    boxes: dict[_Racer, str],
    season: Season,
    runs: list[SeasonRun],
    tell: ProgressCallback,
    summary: BatchSummary,
) -> dict[_Racer, list[RunResult]]:
    """Return the results of each entry in the season's order; entries that fail are left out."""
    found: dict[tuple[_Racer, int], RunResult] = {}
    todo: dict[tuple[_Racer, int], tuple[Path, RaceJob, Path | None]] = {}
    for racer in boxes:
        for number, run in enumerate(runs):
            heat = RaceJob(racer.sha256, season, run, number)
            if kept := results.find_run(heat.key):
                found[racer, number] = kept
            else:
                todo[racer, number] = (racer.path, heat, _track_file(run.track))
    all_ = len(boxes) * len(runs)
    summary.kept = len(found)
    tell(len(found), all_)
    for one in _each(pool, batch_worker.run_race_job, todo):
        (racer, _), outcome = one.key, one.outcome
        summary.races += 1
        summary.race_s += outcome.took
        if outcome.result is None:
            summary.refused[racer.path.name] = (outcome.code, outcome.said)
        else:
            _note_box(summary, one.node, outcome.box)
            key = todo[one.key][1].key
            found[one.key] = results.keep_run(key, outcome.result, outcome.content)
        tell(summary.kept + summary.races, all_)
    return {
        racer: [found[racer, number] for number in range(len(runs))]
        for racer in boxes
        if racer.path.name not in summary.refused
    }


def _note_box(summary: BatchSummary, node: str, box: str) -> None:
    """Note the sandbox of a node, or raise BoardError if other nodes have another one.

    Args:
        summary: The summary, whose `boxes` it is added to.
        node: The node's name; "" for this machine.
        box: The sandbox that held a policy there.
    """
    for other, known in summary.boxes.items():
        if known != box:
            raise BoardError(
                f"node {node or 'here'} holds policies by {box}, and {other or 'this machine'} by "
                f"{known}; a season wants the same sandbox for all: allow user namespaces on each "
                "node, or leave that one out; finished races are kept"
            )
    summary.boxes[node] = box


def _track_file(track: str) -> Path | None:
    """Return the file of a track that does not ship with racer; None for one that every racer has.

    Args:
        track: The track as the season names it.
    """
    if track.startswith(GENERATED_PREFIX):
        return None
    path = find_file(track, "tracks", TrackError).absolute()
    is_shipped = path.resolve().is_relative_to((assets_root() / "tracks").resolve())
    return None if is_shipped else path


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

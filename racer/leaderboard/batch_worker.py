"""What the worker processes of a batch do: check entries and evaluate races; kept results."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from racer.assets.atomic import write_atomically
from racer.entries.entry_check import check_entry
from racer.entries.package import Entry, read_entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import BoardError, EntryError, RacerError
from racer.leaderboard.fingerprint import platform_fingerprint
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_run, road_sha256


class RaceJob(NamedTuple):
    """One race of one entry, with everything that a worker process needs beside its package.

    Attributes:
        sha256: SHA-256 of the entry's package.
        season: The season.
        run: The run of the season.
        number: Index of the run, from 0.
    """

    sha256: str
    season: Season
    run: SeasonRun
    number: int

    @property
    def key(self) -> str:
        """SHA-256 of everything that the result depends on: entry, season, run, track, platform."""
        told = [self.sha256, self.season.digest, self.number, self.run.seed]
        told += [_road_sha256(self.run.track), platform_fingerprint()]
        return hashlib.sha256(canonical_json(told).encode()).hexdigest()


class JobOutcome(NamedTuple):
    """The outcome of a `run_race_job` or a `run_check_job`; it can pass between processes.

    Attributes:
        took: Time that it took [s].
        code: Why the entry was refused, in one word; empty if it was not.
        said: Why the entry was refused, in a sentence; empty if it was not.
        result: Result of a race, without `replay`.
        content: Content of the race's replay file.
        box: The sandbox that held the policy.
    """

    took: float
    code: str = ""
    said: str = ""
    result: RunResult | None = None
    content: bytes = b""
    box: str = ""


class ResultCache:
    """Results of finished races and checks, in files of the board's folder.

    Each file's name is the SHA-256 of everything that the result depends on.

    Args:
        store: The board.
    """

    def __init__(self, store: BoardStore) -> None:
        self._store, self._folder = store, store.folder / "results"
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as problem:
            raise BoardError(f"{self._folder}: cannot be made: {problem.strerror}") from problem

    def find_run(self, key: str) -> RunResult | None:
        """Return the result of the race with a key; None if it or its replay is not kept."""
        try:
            kept = RunResult.from_json(self._read(key))
        except TypeError:
            return None
        is_lost = kept.replay is not None and not self._store.replay_path(kept.replay).is_file()
        return None if is_lost else kept

    def keep_run(self, key: str, result: RunResult, content: bytes) -> RunResult:
        """Keep a race's replay, then its result.

        Args:
            key: The race's `RaceJob.key`.
            result: Its result, without `replay`.
            content: Content of its replay file.

        Returns:
            The result with the replay's digest, as a submission has it.
        """
        kept = replace(result, replay=self._store.keep_replay(content))
        self._write(key, kept.as_json())
        return kept

    def find_box(self, key: str) -> str | None:
        """Return the sandbox of the checked entry with a `check_key`; None if it is not kept."""
        kept = self._read(key)
        return kept.get("box") if isinstance(kept, dict) else None

    def keep_box(self, key: str, box: str) -> str:
        """Keep the sandbox of a checked entry, and return it."""
        self._write(key, {"box": box})
        return box

    def _read(self, key: str) -> Any:
        try:
            return json.loads((self._folder / f"{key}.json").read_text())
        except (OSError, ValueError):
            return None

    def _write(self, key: str, tree: dict[str, Any]) -> None:
        try:
            write_atomically(self._folder / f"{key}.json", canonical_json(tree).encode())
        except OSError as problem:
            raise BoardError(f"{self._folder}: cannot be written: {problem.strerror}") from problem


def check_key(sha256: str) -> str:
    """Return the key under which a `ResultCache` keeps the check of a package."""
    return hashlib.sha256(
        canonical_json(["check", sha256, platform_fingerprint()]).encode()
    ).hexdigest()


def run_race_job(package: Path, heat: RaceJob, track: Path | None) -> JobOutcome:
    """Evaluate one race, in a worker process.

    Args:
        package: The entry's package.
        heat: The race.
        track: The file of its track; None if the track ships with racer or is generated.
    """
    began, boxes = time.perf_counter(), [""]

    def policy_of(entry: Entry) -> SandboxedPolicy:
        policy = SandboxedPolicy(entry)
        boxes.append(policy.strength)
        return policy

    run = heat.run if track is None else heat.run._replace(track=str(track))
    try:
        entry = _entry(package, heat.sha256)
        result, content = evaluate_run(heat.season, run, entry, policy_of)
    except RacerError as problem:
        return _refusal(problem, began)
    return JobOutcome(time.perf_counter() - began, result=result, content=content, box=boxes[-1])


def run_check_job(package: Path, sha256: str) -> JobOutcome:
    """Check an entry as `racer board check` does, in a worker process.

    Args:
        package: The entry's package.
        sha256: Its SHA-256.
    """
    began = time.perf_counter()
    try:
        box = check_entry(_entry(package, sha256)).box
    except RacerError as problem:
        return _refusal(problem, began)
    return JobOutcome(time.perf_counter() - began, box=box)


def _refusal(problem: RacerError, began: float) -> JobOutcome:
    code = problem.code if isinstance(problem, EntryError | BoardError) else "board"
    return JobOutcome(time.perf_counter() - began, code, str(problem))


@lru_cache(maxsize=2)
def _entry(path: Path, sha256: str) -> Entry:
    entry = read_entry(path)
    if entry.sha256 != sha256:
        raise EntryError(
            f"{path}: the file changed during the evaluation; run the command again", "hash"
        )
    return entry


@lru_cache(maxsize=64)
def _road_sha256(track: str) -> str:
    return road_sha256(track)

"""Small boards: their seasons, entries and rows, and what their owner can do to them."""

import os
import signal
import sqlite3
from contextlib import contextmanager

import numpy as np

from racer.car.action_space import ActionSpace
from racer.entries.package import read_entry, save_entry
from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.leaderboard.submissions import Submission
from racer.sensors import StateConfig
from racer.sensors.config import CameraConfig
from racer.sensors.state_sensor import STATE_SIZE
from tests.helpers.entries import TRAINED_ON
from tests.helpers.graphs import steady

SPRING = Season(name="spring", tracks=("bowtie",), race=SeasonRaceConfig(time_limit=60))
RESULT = RunResult.from_json(
    {
        "track": "bowtie",
        "seed": 0,
        "laps": 3,
        "laps_completed": 2,
        "lap_times_s": [9.123456789012345, 1 / 3],
        "off_tracks": 1,
        "total_time_s": None,
        "best_lap_s": 1 / 3,
        "ending": "time_up",
    }
)
FAIR = Season(
    name="fair",
    tracks=("oval",),
    seeds=(0, 1),
    ranking="iqm",
    race=SeasonRaceConfig(laps=2, time_limit=40),
)
BITE = "</script><img src=x onerror=a()>\"'&"
"""A name that a page must not take for its own text."""
LONG = "W" * 60
LOOK = np.zeros((STATE_SIZE, 2), dtype=np.float32)
LOOK[15, 0] = 4.0
"""Weights of a policy that steers to where the line ahead lies, at the middle speed."""


def make_entry(folder, policy):
    """Write and read an entry of any bytes."""
    path = folder / "swift.entry.zip"
    save_entry(
        path,
        policy,
        name="swift",
        env="racer/TimeTrial-v0",
        sensor=(CameraConfig(),),
        actions=ActionSpace(),
        trained_on=TRAINED_ON,
    )
    return read_entry(path)


def package(path, name="swift", author="Ada", look=LOOK, car="deepracer"):
    """Write an entry that drives, trained on a track whose name bites."""
    save_entry(
        path,
        steady(look),
        name=name,
        author=author,
        env="racer/TimeTrial-v0",
        sensor=(StateConfig(),),
        actions=ActionSpace(speed=(1.0, 2.0)),
        trained_on=TRAINED_ON.model_copy(update={"track": BITE}),
        car=car,
    )
    return path


def fill(folder):
    """Numbers 1 to 3: a pilot under a biting name, an entry, a pilot that was withdrawn."""
    store = BoardStore(folder / "board")
    entry = read_entry(package(folder / "swift.entry.zip", author=BITE))
    pilot = evaluate_season(store, FAIR, "pure-pursuit", None)
    store.add(FAIR, BITE, None, pilot)
    runs = evaluate_season(store, FAIR, entry, None)
    store.add(FAIR, "swift", entry, runs, box="namespaces", signer="c" * 64)
    store.add(FAIR, LONG, None, pilot)
    store.dispute(2, f"cuts {BITE}")
    store.withdraw(3, "the wrong file")
    return store


def row(id, name="swift", laps=3, total: float | None = 30.0, sha=None, off_tracks=0, signer=""):
    """A submission that completed `laps` of 3; each name has an entry of its own by default."""
    times = [(total or 30.0) / 3] * laps
    result = {
        "track": "bowtie",
        "seed": 0,
        "laps": 3,
        "laps_completed": laps,
        "lap_times_s": times,
        "off_tracks": off_tracks,
        "total_time_s": total if laps == 3 else None,
        "best_lap_s": min(times, default=None),
        "ending": "laps_complete" if laps == 3 else "time_up",
    }
    return Submission(
        id=id,
        created=f"2026-01-{id:02d}T12:00:00Z",
        season="spring",
        season_digest="d" * 64,
        name=name,
        entry_sha256=sha or f"{sum(name.encode()):064x}",
        runs=[RunResult.from_json(result)],
        racer_version="0.1.0",
        box="none",
        signer=signer,
        hash="0" * 64,
    )


def sql(store, *statement):
    """Ask or change the database behind the board's back."""
    database = sqlite3.connect(store.path, isolation_level=None)
    try:
        return database.execute(*statement).fetchall()
    finally:
        database.close()


def forge(store, *statements):
    """Change what triggers forbid, as the machine's owner can."""
    database = sqlite3.connect(store.path, isolation_level=None)
    try:
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        for name, _ in (kept := triggers.fetchall()):
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(*statement)
        for _, text in kept:
            database.execute(text)
    finally:
        database.close()


@contextmanager
def forked(work):
    """A child process that does some work, and what reads its answers; killed at the end."""
    answers, answer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(answers)
            work(lambda text: os.write(answer, text.encode()))
        except BaseException as problem:
            os.write(2, f"{problem!r}\n".encode())
            os._exit(1)
        os._exit(0)
    os.close(answer)
    with os.fdopen(answers) as reader:
        try:
            yield child, reader
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

"""What several of the board's tests begin with."""

import sqlite3
from typing import Any

from racer.car.action_space import ActionSpace
from racer.entries.package import TrainedOn, read_entry, save_entry
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.sensors.config import CameraConfig

SPRING = Season(name="spring", tracks=("bowtie",), race=SeasonRaceConfig(time_limit=60))
RESULT: dict[str, Any] = {
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


def make_entry(folder, policy):
    path = folder / "swift.entry.zip"
    trained = TrainedOn(
        track="bowtie", config_sha256="a" * 64, reward_sha256="b" * 64, steps=1, seed=0
    )
    save_entry(
        path,
        policy,
        name="swift",
        env="racer/TimeTrial-v0",
        sensor=(CameraConfig(),),
        actions=ActionSpace(),
        trained_on=trained,
    )
    return read_entry(path)


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

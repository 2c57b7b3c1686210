"""A small board that the tests of its pages look at: pilots, an entry, and names that bite."""

import numpy as np

from racer.car.action_space import ActionSpace
from racer.entries.package import TrainedOn, read_entry, save_entry
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.verification import evaluate_season
from racer.sensors import StateConfig
from racer.sensors.state_sensor import STATE_SIZE
from tests.entries.test_onnx_policy import steady

FAIR = Season(
    name="fair",
    tracks=("oval",),
    seeds=(0, 1),
    ranking="iqm",
    race=SeasonRaceConfig(laps=2, time_limit=40),
)
BITE = "</script><img src=x onerror=a()>\"'&"
LONG = "W" * 60
LOOK = np.zeros((STATE_SIZE, 2), dtype=np.float32)
LOOK[15, 0] = 4.0


def package(path, name="swift", author="Ada", look=LOOK, car="deepracer"):
    save_entry(
        path,
        steady(look),
        name=name,
        author=author,
        env="racer/TimeTrial-v0",
        sensor=(StateConfig(),),
        actions=ActionSpace(speed=(1.0, 2.0)),
        trained_on=TrainedOn(
            track=BITE, config_sha256="a" * 64, reward_sha256="b" * 64, steps=7, seed=0
        ),
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

"""The bench of training: when the judge saw clean laps, and where the time went."""

import pytest
from rich.console import Console

from racer.assets.document import validate_document
from racer.training import time_to_clean_laps as module
from racer.training.config import RunConfig
from racer.training.time_to_clean_laps import (
    TIME_SHARES,
    time_all_seeds,
    time_to_clean_laps,
    time_to_clean_laps_table,
)
from tests.helpers.runs import SMALL

CONFIG = validate_document(SMALL | {"reward": "progress", "track": "oval"}, RunConfig, "test")


@pytest.mark.slow
def test_a_run_that_never_drives_a_clean_lap_says_so_and_where_its_time_went():
    short = CONFIG.model_copy(update={"total_timesteps": 1024})
    seen = time_to_clean_laps(short, 0)
    assert seen["first_lap_s"] is None
    assert seen["laps_s"] is None
    assert seen["steps"] == 1024
    assert set(seen["shares"]) == set(TIME_SHARES)
    assert sum(seen["shares"].values()) == pytest.approx(1.0)
    assert all(seen["shares"][name] > 0 for name in TIME_SHARES)


@pytest.fixture
def runs(monkeypatch):
    shares = dict.fromkeys(TIME_SHARES, 1 / len(TIME_SHARES))
    times = {0: (3.0, 9.0), 1: (1.0, 5.0), 2: (2.0, None)}

    def fake(config, seed):
        first, laps = times[seed]
        return {
            "seed": seed, "first_lap_s": first, "laps_s": laps,
            "steps": 41_000, "seconds": 10.0, "shares": shares,
        }  # fmt: skip

    monkeypatch.setattr(module, "time_to_clean_laps", fake)
    return time_all_seeds(CONFIG, [0, 1, 2])


def test_a_run_that_never_arrives_is_the_worst(runs):
    assert runs["median"] == {"first_lap_s": 2.0, "laps_s": 9.0}
    assert runs["worst"] == {"first_lap_s": 3.0, "laps_s": None}


def test_the_table_fits_a_terminal_of_80_columns(runs):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(time_to_clean_laps_table(runs, 3))
    text = capture.get()
    assert "…" not in text
    assert "never" in text
    assert "41k" in text

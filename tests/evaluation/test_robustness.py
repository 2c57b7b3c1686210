"""Races at both ends of each quantity of a randomisation."""

import json
from dataclasses import replace

import pytest

from racer.cli import main
from racer.errors import ConfigError
from racer.evaluation import controller_for, evaluate_drivers, make_race_rules
from racer.evaluation.evaluate import SteppedRace
from racer.evaluation.robustness import (
    CAMERA_QUANTITIES,
    evaluate_robustness,
    quantities_noticed,
    robustness_table,
)
from racer.randomisation import DRAWN_QUANTITIES, Randomisation, load_randomisation
from racer.sensors.config import CameraConfig, LidarConfig, StateConfig
from tests.helpers.entries import POLICY, entry_of

RANGES = Randomisation(speed_gain=(0.8, 1.0), mass=(0.9, 1.1), red=(0.8, 1.2))
RULES = make_race_rules(1, 3.0, 30.0)


@pytest.fixture(scope="module")
def rows():
    return list(evaluate_robustness("pure-pursuit", RANGES, "oval", RULES, races=2, seed=5))


def test_a_line_holds_one_quantity_at_one_end(rows):
    held = [(one.quantity, one.value) for one in rows]
    assert held[:2] == [("all drawn", None), ("nothing drawn", None)]
    assert held[2:] == [("mass", 0.9), ("mass", 1.1), ("speed_gain", 0.8), ("speed_gain", 1.0)]
    assert [one.seed for one in rows[2].results] == [5, 6]


def test_a_car_that_gets_less_speed_than_it_asks_for_takes_longer(rows):
    slow, fast = ([one.lap_times_s[0] for one in row.results] for row in rows[4:])
    assert all(a > 1.1 * b for a, b in zip(slow, fast))


def test_races_of_one_number_have_the_same_draws_but_for_what_is_held():
    drivers = [controller_for("pure-pursuit", "oval", RULES) for _ in range(2)]
    seen = []
    for ranges in RANGES, RANGES.model_copy(update={"mass": (0.9, 0.9)}):
        race = SteppedRace(drivers, "oval", RULES, 5, "deepracer", randomisation=ranges)
        seen.append(race.race.draws.rows.copy())
        race.close()
    every, held = seen
    assert (held["mass"] == 0.9).all()
    assert (every["mass"] != 0.9).all()
    assert (every["speed_gain"] == held["speed_gain"]).all()
    assert len(set(every["speed_gain"])) == 2


def test_without_a_randomisation_a_race_is_as_ever(rows):
    drivers = [controller_for("pure-pursuit", "oval", RULES) for _ in range(2)]
    plain = evaluate_drivers(drivers, "oval", RULES, 5, "deepracer")
    assert [one.total_time_s for one in plain] == [one.total_time_s for one in rows[1].results]
    assert plain[0].body.tobytes() == rows[1].results[0].body.tobytes()


def test_only_what_the_sensors_notice_is_varied():
    ranges = load_randomisation("sim2real")
    camera, lidar = entry_of(POLICY, (CameraConfig(),)), entry_of(POLICY, (LidarConfig(),))
    state = entry_of(POLICY, (StateConfig(),))
    assert set(quantities_noticed(camera, ranges)) == {*DRAWN_QUANTITIES} - {"lidar_noise"}
    assert set(quantities_noticed(lidar, ranges)) == {*DRAWN_QUANTITIES} - {*CAMERA_QUANTITIES}
    unnoticed = {*CAMERA_QUANTITIES, "lidar_noise"}
    assert set(quantities_noticed(state, ranges)) == {*DRAWN_QUANTITIES} - unnoticed
    assert "dropped_frames" not in quantities_noticed("raceline", ranges)


def test_the_table_has_a_line_for_each_row_and_marks_what_was_not_completed(rows):
    off = [replace(one, laps_completed=0, lap_times_s=[]) for one in rows[0].results]
    given_up = rows[0]._replace(results=off)
    told = given_up.as_dict()
    assert (told["laps"], told["laps_completed"], told["x_limit"]) == (2, 0, None)
    assert robustness_table([given_up, *rows]).row_count == 7


def test_the_verb_prints_the_same_figures_as_json(rows, capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps({"speed_gain": [0.8, 1.0]}))
    words = ["robustness", "pure-pursuit", "--track", "oval", "--races", "1", "--laps", "1"]
    main([*words, "--randomisation", str(tmp_path / "mine.yaml"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [row["quantity"] for row in told["rows"][2:]] == ["speed_gain", "speed_gain"]
    assert told["rows"][1]["laps_completed"] == told["rows"][1]["laps"] == 1


def test_no_race_at_all_is_refused():
    with pytest.raises(ConfigError, match="1 or more"):
        next(evaluate_robustness("raceline", RANGES, "oval", RULES, races=0))

"""The judge drives one race and says what happened."""

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.errors import ConfigError, EntryError
from racer.evaluation import Driver, evaluate_alone, evaluate_together, make_race_rules
from racer.race import RaceConfig
from racer.sensors import CameraConfig, StateConfig

STATE = (StateConfig(),)
ACTIONS = ActionSpace(speed=(1.0, 2.0))


def steer_for_the_line(observation):
    """Aim at the point of the centre line 0.75 m ahead, at the lowest speed."""
    x, y = 4.0 * observation[0, 14], 4.0 * observation[0, 15]
    angle = np.arctan2(2.0 * 0.164 * y, x * x + y * y)
    return np.array([[angle / np.deg2rad(30.0), -1.0]])


def test_a_driver_on_the_centre_line_completes_three_clean_laps():
    result = evaluate_alone(
        steer_for_the_line, STATE, ACTIONS, "bowtie", make_race_rules(3, 3.0, 180.0)
    )
    assert result.is_clean
    assert result.laps_completed == 3
    assert result.ending == "laps_complete"
    assert result.total_time_s == pytest.approx(sum(result.lap_times_s))
    assert result.best_lap_s == min(result.lap_times_s)
    assert result.lap_times_s[0] > min(result.lap_times_s), "the first lap has the standing start"


def test_the_same_race_gives_the_same_digits_twice():
    first, second = (
        evaluate_alone(
            steer_for_the_line, STATE, ACTIONS, "oval", make_race_rules(1, 3.0, 60.0), seed=5
        )
        for _ in range(2)
    )
    assert first.as_dict() == second.as_dict()
    assert first.body.tobytes() == second.body.tobytes()


def test_a_car_that_goes_straight_on_pays_for_each_time_off_the_road():
    result = evaluate_alone(
        lambda _: np.array([[0.0, 1.0]]), STATE, ACTIONS, "oval", make_race_rules(1, 3.0, 30.0)
    )
    assert result.off_tracks >= 3
    assert not result.is_clean


def test_a_race_that_is_not_finished_has_no_total():
    result = evaluate_alone(
        lambda _: np.array([[0.0, -1.0]]), STATE, ACTIONS, "oval", make_race_rules(1, 3.0, 2.0)
    )
    assert result.ending == "time_up"
    assert result.total_time_s is None
    assert result.best_lap_s is None
    assert result.as_dict()["lap_times_s"] == []


@pytest.mark.parametrize(("laps", "limit"), [(0, 60.0), (101, 60.0), (3, 0.0)])
def test_rules_out_of_range_are_refused(laps, limit):
    with pytest.raises(ConfigError, match="race: "):
        make_race_rules(laps, 3.0, limit)


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed: -1"):
        evaluate_alone(
            steer_for_the_line, STATE, ACTIONS, "oval", make_race_rules(1, 3.0, 60.0), seed=-1
        )


def test_cars_that_race_together_are_judged_each_by_their_own_sensors_and_actions():
    seen = {}

    def slow(observation):
        seen["slow"] = observation.shape
        return np.zeros(1, dtype=int)

    fast = Driver(steer_for_the_line, STATE, ACTIONS)
    camera = CameraConfig(width=20, height=16)
    crawl = ActionSpace(kind="discrete", choices=((0.0, 0.1), (0.0, 0.2)))
    results = evaluate_together(
        [fast, Driver(slow, (camera,), crawl)], "oval", make_race_rules(1, 3.0, 40.0), seed=2
    )
    assert seen["slow"] == (1, 16, 20, 1)
    assert [result.seed for result in results] == [2, 3]
    assert results[0].ending == "laps_complete"
    assert results[1].ending == "time_up"
    assert results[0].boxes.shape[1:] == (2, 10)
    away = np.hypot(*(results[0].boxes[0, 1, :2] - results[1].body[0, :2]))
    assert away < 0.02
    assert results[1].distance < 10.0


def test_a_car_that_rams_the_one_ahead_pays_and_both_finish():
    drivers = [
        Driver(steer_for_the_line, STATE, ActionSpace(speed=(speed, speed))) for speed in (1.0, 2.0)
    ]
    results = evaluate_together(drivers, "oval", make_race_rules(1, 3.0, 60.0))
    assert [result.laps_completed for result in results] == [1, 1]
    assert results[0].collisions == 0
    assert results[1].collisions >= 1
    again = evaluate_together(drivers, "oval", make_race_rules(1, 3.0, 60.0))
    assert [one.body.tobytes() for one in again] == [one.body.tobytes() for one in results]


def test_the_rules_of_a_race_keep_the_kind_of_the_one_they_are_like():
    like = RaceConfig(kind="head_to_bot", walls=True, direction="reverse", start="random")
    rules = make_race_rules(2, 4.0, 50.0, like=like)
    assert (rules.kind, rules.walls, rules.direction) == ("head_to_bot", True, "reverse")
    assert (rules.start, rules.faults, rules.laps) == ("line", "reset", 2)


def test_what_a_driver_answered_is_kept_as_it_said_it():
    said = []

    def steer(observation):
        said.append(steer_for_the_line(observation).astype(np.float32))
        return said[-1]

    result = evaluate_alone(steer, STATE, ACTIONS, "oval", make_race_rules(1, 3.0, 5.0))
    assert result.actions.dtype == np.float32
    assert result.actions.tobytes() == np.concatenate(said).tobytes()
    assert len(result.actions) == len(result.time) == 75
    assert result.start.shape == (13,)
    assert not result.start[7:].any(), "at rest"


def test_an_index_is_kept_as_an_index():
    crawl = ActionSpace(kind="discrete", choices=((0.0, 0.5), (0.0, 1.0)))
    result = evaluate_alone(
        lambda _: np.ones(1, dtype=np.int64), STATE, crawl, "oval", make_race_rules(1, 3.0, 1.0)
    )
    assert result.actions.dtype == np.int64
    assert result.actions.tolist() == [1] * 15


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("run", "policy_crash"),
        ("action", "policy_crash"),
        ("hang", "policy_hang"),
        ("memory", "policy_memory"),
    ],
)
def test_a_policy_that_fails_ends_its_race_with_what_it_had_done(code, ending):
    left = [20]

    def fails(observation):
        left[0] -= 1
        if left[0] < 0:
            raise EntryError("no more", code)
        return steer_for_the_line(observation)

    result = evaluate_alone(fails, STATE, ACTIONS, "oval", make_race_rules(3, 3.0, 60.0))
    assert (result.ending, result.failure) == (ending, "no more")
    assert result.laps_completed == 0
    assert len(result.actions) == len(result.body) == len(result.time) == 20
    assert result.total_time_s is None


def test_a_policy_that_fails_from_the_first_step_on_has_an_empty_tape():
    def fails(observation):
        raise EntryError("no", "run")

    result = evaluate_alone(fails, STATE, ACTIONS, "oval", make_race_rules(3, 3.0, 60.0))
    assert (result.ending, result.body.shape, result.resets) == ("policy_crash", (0, 13), 0)


def test_the_others_race_on_where_one_policy_fails():
    def fails(observation):
        raise EntryError("no", "run")

    drivers = [Driver(fails, STATE, ACTIONS), Driver(steer_for_the_line, STATE, ACTIONS)]
    broken, whole = evaluate_together(drivers, "oval", make_race_rules(1, 3.0, 60.0))
    assert broken.ending == "policy_crash"
    assert whole.ending == "laps_complete"

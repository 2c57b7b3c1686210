"""The judge drives one race and says what happened."""

import numpy as np
import pytest

from racer.car.actions import ActionSpace
from racer.errors import ConfigError
from racer.judge import judge, race_rules
from racer.sensors import StateConfig

STATE = (StateConfig(),)
ACTIONS = ActionSpace(speed=(1.0, 2.0))


def steer_for_the_line(observation):
    """Aim at the point of the centre line 0.75 m ahead, at the lowest speed."""
    x, y = 4.0 * observation[0, 14], 4.0 * observation[0, 15]
    angle = np.arctan2(2.0 * 0.164 * y, x * x + y * y)
    return np.array([[angle / np.deg2rad(30.0), -1.0]])


def test_a_driver_on_the_centre_line_completes_three_clean_laps():
    result = judge(steer_for_the_line, STATE, ACTIONS, "bowtie", race_rules(3, 3.0, 180.0))
    assert result.is_clean
    assert result.laps_completed == 3
    assert result.ending == "laps_complete"
    assert result.total_time_s == pytest.approx(sum(result.lap_times_s))
    assert result.best_lap_s == min(result.lap_times_s)
    assert result.lap_times_s[0] > min(result.lap_times_s), "the first lap has the standing start"


def test_the_same_race_gives_the_same_digits_twice():
    first, second = (
        judge(steer_for_the_line, STATE, ACTIONS, "oval", race_rules(1, 3.0, 60.0), seed=5)
        for _ in range(2)
    )
    assert first.as_dict() == second.as_dict()
    assert first.body.tobytes() == second.body.tobytes()


def test_a_car_that_goes_straight_on_pays_for_each_time_off_the_road():
    result = judge(
        lambda _: np.array([[0.0, 1.0]]), STATE, ACTIONS, "oval", race_rules(1, 3.0, 30.0)
    )
    assert result.off_tracks >= 3
    assert not result.is_clean


def test_a_race_that_is_not_finished_has_no_total():
    result = judge(
        lambda _: np.array([[0.0, -1.0]]), STATE, ACTIONS, "oval", race_rules(1, 3.0, 2.0)
    )
    assert result.ending == "time_up"
    assert result.total_time_s is None
    assert result.best_lap_s is None
    assert result.as_dict()["lap_times_s"] == []


@pytest.mark.parametrize(("laps", "limit"), [(0, 60.0), (101, 60.0), (3, 0.0)])
def test_rules_out_of_range_are_refused(laps, limit):
    with pytest.raises(ConfigError, match="race: "):
        race_rules(laps, 3.0, limit)


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed: -1"):
        judge(steer_for_the_line, STATE, ACTIONS, "oval", race_rules(1, 3.0, 60.0), seed=-1)

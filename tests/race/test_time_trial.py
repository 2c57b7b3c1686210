"""Laps, clocks and endings, with a car that is moved by hand."""

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.race import Ending, RaceConfig, TimeTrial
from racer.race.time_trial import PERIOD
from racer.track import Track
from racer.world import CarState

RADIUS = 3.0


def ring(radius=RADIUS, points=720):
    angle = np.arange(points) * 2 * np.pi / points
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Track("ring", "", radius * circle, (radius - 0.4) * circle, (radius + 0.4) * circle)


def state_at(angle, radius=RADIUS, up=1.0):
    """A car on the ring at an angle, heading along it."""
    yaw = angle + np.pi / 2
    body = np.zeros((1, 13))
    body[0, :3] = radius * np.cos(angle), radius * np.sin(angle), 0.05
    body[0, 3:7] = 0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)
    if up < 0:
        body[0, 3:7] = 1.0, 0.0, 0.0, 0.0
    return CarState(body, np.zeros(1), np.zeros((1, 2)))


def race_on_a_ring(**config):
    race = TimeTrial(RaceConfig(start="line", **config), ring(), deepracer(), 1)
    race.start(np.array([0]), [np.random.default_rng(0)])
    return race


def drive(race, speed, steps, radius=RADIUS, angle=0.0):
    for _ in range(steps):
        angle += speed * PERIOD / radius
        race.update(state_at(angle, radius))
        if race.ending[0] != Ending.RUNNING:
            break
    return angle


@pytest.mark.parametrize("speed", [0.73, 1.9, 3.99])
def test_the_lap_time_of_a_known_speed_is_right_to_a_millisecond(speed):
    race = race_on_a_ring(laps=2)
    drive(race, speed, 2000)
    assert race.ending[0] == Ending.LAPS_COMPLETE
    lap = 2 * np.pi * RADIUS / speed
    assert race.lap_times[0] == pytest.approx([lap, lap], abs=1e-3)


def test_a_lap_needs_the_whole_way_round_and_no_more():
    race = race_on_a_ring()
    per_step = 1.0 * PERIOD / RADIUS
    steps = int(2 * np.pi / per_step)
    drive(race, 1.0, steps)
    assert race.ending[0] == Ending.RUNNING
    assert race.progress[0] == pytest.approx(100.0, abs=100.0 / steps)
    drive(race, 1.0, 1, angle=steps * per_step)
    assert race.ending[0] == Ending.LAPS_COMPLETE


def test_crossing_the_line_to_and_fro_counts_no_lap():
    race = race_on_a_ring(time_limit=100.0)
    for angle in [0.1, -0.1] * 40:
        race.update(state_at(angle))
    assert race.laps[0] == 0
    assert abs(race.progress[0]) < 5.0


def test_driving_backwards_is_reversed_after_fifteen_steps_and_earns_no_progress():
    race = race_on_a_ring()
    drive(race, -1.0, 14)
    assert race.ending[0] == Ending.RUNNING
    drive(race, -1.0, 1, angle=-14 * PERIOD / RADIUS)
    assert race.ending[0] == Ending.REVERSED
    assert race.progress[0] < 0.0


def test_standing_still_is_immobilised_after_fifteen_steps():
    race = race_on_a_ring()
    drive(race, 0.0, 14)
    assert race.ending[0] == Ending.RUNNING
    drive(race, 0.0, 1)
    assert race.ending[0] == Ending.IMMOBILISED


def test_off_track_is_when_no_wheel_is_on_the_road():
    race = race_on_a_ring()
    race.update(state_at(0.05, RADIUS + 0.4 + 0.07))
    assert race.wheels_on_road[0] == 2
    assert race.ending[0] == Ending.RUNNING
    race.update(state_at(0.1, RADIUS + 0.4 + 0.09))
    assert race.wheels_on_road[0] == 0
    assert race.ending[0] == Ending.OFF_TRACK
    assert race.off_tracks[0] == 1


def test_a_car_on_its_roof_has_crashed():
    race = race_on_a_ring()
    race.update(state_at(0.05, up=-1.0))
    assert race.ending[0] == Ending.CRASHED


def test_time_up_comes_at_the_limit_and_only_truncates():
    race = race_on_a_ring(time_limit=2.0)
    drive(race, 1.0, 29)
    assert race.ending[0] == Ending.RUNNING
    drive(race, 1.0, 1, angle=29 * PERIOD / RADIUS)
    assert race.ending[0] == Ending.TIME_UP


def test_a_lap_that_ends_with_the_time_still_counts():
    race = race_on_a_ring(time_limit=np.ceil(2 * np.pi * RADIUS / 2.0 / PERIOD) * PERIOD)
    drive(race, 2.0, 1000)
    assert race.ending[0] == Ending.LAPS_COMPLETE


def test_leaving_the_road_in_a_race_costs_the_penalty_and_goes_on_from_there():
    race = race_on_a_ring(off_track="reset", off_track_penalty=3.0, laps=1)
    angle = drive(race, 2.0, 30)
    race.update(state_at(angle, RADIUS + 1.0))
    assert race.returns().tolist() == [0]
    xy, yaw = race.put_back(np.array([0]))
    assert np.allclose(xy, [[RADIUS * np.cos(angle), RADIUS * np.sin(angle)]], atol=0.02)
    assert np.allclose(np.cos(yaw - angle - np.pi / 2), 1.0, atol=1e-4)
    drive(race, 2.0, 1000, angle=angle)
    assert race.ending[0] == Ending.LAPS_COMPLETE
    stopped = PERIOD
    assert race.lap_times[0][0] == pytest.approx(np.pi * RADIUS + 3.0 + stopped, abs=0.02)


def test_a_random_start_is_on_the_road_and_the_seed_s():
    race = TimeTrial(RaceConfig(), ring(), deepracer(), 50)
    cars = np.arange(50)
    xy, yaw = race.start(cars, [np.random.default_rng(k) for k in cars])
    again, _ = race.start(cars, [np.random.default_rng(k) for k in cars])
    assert np.array_equal(xy, again)
    assert ring().on_road(xy).all()
    assert np.ptp(ring().locate(xy).s) > 10.0
    assert (np.cos(yaw - np.arctan2(xy[:, 1], xy[:, 0]) - np.pi / 2) > 0.99).all()

"""The manoeuvres' own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.validation import manoeuvres
from racer.validation.manoeuvres import SteerResponse, cars_on_plane

SPEC = deepracer()


def test_a_row_each_physics_step_is_the_same_drive():
    ends = []
    for rate, substeps in ((15, 16), (240, 1)):
        with cars_on_plane(SPEC, 1, rate, substeps) as world:
            ends.append(manoeuvres.hold_commands(world, 0.2, 2.0, 2.0)[-1])
    np.testing.assert_array_equal(*ends)


def test_a_first_order_answer_has_its_known_rise_time_and_no_overshoot():
    time = np.arange(0.0, 3.0, 0.004)
    answer = SteerResponse(time, 2.0 * (1.0 - np.exp(-time / 0.2)), np.full(len(time), 0.1))
    assert answer.rise_time == pytest.approx(0.2 * np.log(9.0), rel=1e-3)
    assert answer.overshoot == pytest.approx(0.0, abs=1e-5)
    assert answer.settled == pytest.approx(2.0, rel=1e-5)
    assert answer.settled_slip == pytest.approx(0.1)


def test_a_second_order_answer_has_its_known_overshoot():
    time, damping = np.arange(0.0, 3.0, 0.001), 0.5
    root = np.sqrt(1.0 - damping**2)
    wave = np.cos(20.0 * root * time) + damping / root * np.sin(20.0 * root * time)
    answer = SteerResponse(time, 1.0 - np.exp(-damping * 20.0 * time) * wave, time)
    assert answer.overshoot == pytest.approx(np.exp(-np.pi * damping / root), rel=1e-3)


def test_slip_is_the_angle_from_heading_to_velocity():
    body = np.zeros((2, 13))
    body[:, 5], body[:, 6] = np.sin(1.5), np.cos(1.5)
    body[:, 7], body[:, 8] = np.cos([3.1, -3.1]), np.sin([3.1, -3.1])
    np.testing.assert_allclose(manoeuvres.slip_of(body), [0.1, 2 * np.pi - 6.1])


def test_a_level_car_stands_on_its_static_loads():
    body = np.zeros(13)
    body[2], body[6] = SPEC.mass_height, 1.0
    np.testing.assert_allclose(manoeuvres.wheel_loads(SPEC, body), SPEC.mass * 9.81 / 4)


def test_a_driver_who_cannot_come_round_is_noticed():
    from racer.track import load_track

    with pytest.raises(RuntimeError, match="did not come round"):
        manoeuvres.driven_lap_time(SPEC, load_track("oval"), 30.0)

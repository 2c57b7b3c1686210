"""The gates of both cars, each missed by a car that breaks what the gate holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from racer.car.spec import CAR_PRESETS, GRAVITY, CarSpec, car_named, deepracer
from racer.validation import checks, closed_forms, manoeuvres
from racer.validation.checks import VehicleCheck

SPEC = deepracer()


@pytest.fixture(params=CAR_PRESETS)
def spec(request) -> CarSpec:
    return car_named(request.param)


def assert_all_hold(checks: list[VehicleCheck]) -> None:
    missed = [check for check in checks if not check.is_passed]
    assert checks
    assert missed == []


def named(checks: list[VehicleCheck], word: str) -> VehicleCheck:
    """The one check whose quantity holds a word."""
    (found,) = [check for check in checks if word in check.quantity]
    return found


def test_a_slow_car_turns_on_the_kinematic_radius(spec):
    assert_all_hold(checks.check_low_speed_turn(spec))


def test_grip_on_the_skid_pad_is_the_front_axles_limit_at_every_heading_and_side(spec):
    assert_all_hold(checks.check_lateral_grip(spec))


def test_the_default_cars_tyres_slide_within_its_lock():
    pad = manoeuvres.skid_pad(SPEC, np.zeros(1), np.ones(1), manoeuvres.brisk_speed(SPEC))
    assert pad.peak_steering < 0.5 * SPEC.steering_limit
    assert pad.peak[0] == pytest.approx(
        closed_forms.lateral_limit(SPEC, pad.peak_steering), rel=0.01
    )
    assert pad.peak[0] > 0.88 * SPEC.friction * GRAVITY


@pytest.mark.parametrize("friction", [0.5, 1.0489])
def test_stiff_tyres_on_a_low_car_corner_at_mu_g(friction):
    # They reach their grip at small angles, where nothing is lost to the wheels' own angle.
    stiff = replace(
        SPEC, friction=friction, stiffness_front=30.0, stiffness_rear=33.0, mass_height=0.01
    )
    pad = manoeuvres.skid_pad(
        stiff, checks.TEST_HEADINGS_RAD, checks.TEST_SIDES, manoeuvres.brisk_speed(stiff)
    )
    np.testing.assert_allclose(pad.peak, friction * GRAVITY, rtol=0.02)


def test_the_car_stops_in_v2_over_2_mu_g_coasts_by_its_drag_and_never_creeps(spec):
    assert_all_hold(checks.check_braking_and_coasting(spec))


def test_a_car_with_more_friction_than_declared_is_still_quiet_at_low_speed(spec):
    assert manoeuvres.unrest(replace(spec, friction=1.3 * spec.friction)) < 1e-6


def test_tyres_too_stiff_for_the_substep_are_noticed():
    measured = checks.check_braking_and_coasting(replace(SPEC, slip_speed=0.5))
    assert not named(measured, "unrest").is_passed


def test_without_load_sensitivity_the_braking_limit_is_mu_g():
    flat = replace(SPEC, load_sensitivity=0.0)
    assert closed_forms.braking_limit(flat) == pytest.approx(SPEC.friction * GRAVITY)
    stop = manoeuvres.full_stop(flat, 3.0)
    ideal = stop.speed[0] ** 2 / (2 * SPEC.friction * GRAVITY)
    assert stop.distance[-1] == pytest.approx(ideal, rel=0.02)


def test_yaw_gain_and_understeer_are_those_of_the_linear_single_track(spec):
    assert_all_hold(checks.check_steady_cornering(spec))


def test_a_step_of_the_steering_is_answered_as_by_the_std_model(spec):
    assert_all_hold(checks.check_step_steer(spec))


@pytest.mark.parametrize(
    "other", [{"inertia_z": 2.0}, {"stiffness_front": 1.3, "stiffness_rear": 1.3}]
)
def test_std_with_other_numbers_answers_otherwise(monkeypatch, spec, other):
    real = closed_forms.single_track_drift

    def changed(car: CarSpec, *how: float):
        return real(replace(car, **{key: k * getattr(car, key) for key, k in other.items()}), *how)

    monkeypatch.setattr(closed_forms, "single_track_drift", changed)
    assert not all(check.is_passed for check in checks.check_step_steer(spec))


def test_std_refuses_a_car_with_two_kinds_of_tyre():
    with pytest.raises(ValueError, match="same stiffness"):
        closed_forms.single_track_drift(SPEC, 2.0, 0.1, 0.1)


def test_load_moves_by_m_a_h_and_combined_slip_stays_in_the_friction_circle(spec):
    assert_all_hold(checks.check_combined_slip(spec))


def test_a_lap_takes_the_same_time_with_half_the_substep(spec):
    assert_all_hold(checks.check_half_substep(spec))


@pytest.mark.slow
def test_a_car_drives_the_same_bits_mirrored_reset_among_others_and_in_another_process(spec):
    assert_all_hold(checks.check_same_bits(spec))


def miscounted(monkeypatch, name: str, factor: float) -> None:
    """Let a reference say something else."""
    real = getattr(closed_forms, name)
    monkeypatch.setattr(closed_forms, name, lambda *args: real(*args) * factor)


@pytest.mark.parametrize(
    ("gate", "reference", "factor", "word"),
    [
        (checks.check_lateral_grip, "lateral_limit", 0.94, "front axle's limit"),
        (checks.check_braking_and_coasting, "braking_limit", 1.04, "shifted loads"),
        pytest.param(
            *(checks.check_braking_and_coasting, "coasting_speed", 1.02, "coasting"),
            marks=pytest.mark.slow,
        ),
        (checks.check_steady_cornering, "understeer_gradient", 1.08, "gradient"),
    ],
)
def test_a_gate_is_missed_where_the_car_is_not_what_its_numbers_say(
    monkeypatch, gate, reference, factor, word
):
    miscounted(monkeypatch, reference, factor)
    assert not named(gate(SPEC), word).is_passed


@pytest.mark.needs("vehiclemodels")
def test_without_the_std_model_every_other_gate_is_still_driven(monkeypatch):
    for name in (
        "check_low_speed_turn",
        "check_lateral_grip",
        "check_braking_and_coasting",
        "check_steady_cornering",
    ):
        monkeypatch.setattr(checks, name, lambda spec, name=name: [name])
    for name in (
        "check_combined_slip",
        "check_half_substep",
        "check_same_bits",
        "check_step_steer",
    ):
        monkeypatch.setattr(checks, name, lambda spec, name=name: [name])
    assert "check_step_steer" in checks.run_vehicle_checks(SPEC)
    monkeypatch.setattr(closed_forms, "has_single_track_drift", lambda: False)
    assert len(checks.run_vehicle_checks(SPEC)) == 7
    assert "check_step_steer" not in checks.run_vehicle_checks(SPEC)


def test_a_difference_is_a_share_of_the_reference_or_a_plain_one():
    share = VehicleCheck(3, "distance", "m", 2.0, 2.03, 0.02)
    assert share.difference == pytest.approx(0.015)
    assert share.is_passed
    assert not replace(share, limit=0.01).is_passed
    assert replace(share, limit=None).is_passed
    plain = VehicleCheck(3, "drift", "m", 0.0, -0.5, 0.4, is_relative=False)
    assert plain.difference == -0.5
    assert not plain.is_passed

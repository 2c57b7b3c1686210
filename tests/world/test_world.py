"""One Bullet world of n cars: each is the same bits alone, among others and after any reset."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.errors import RacerError
from racer.world import CONTROL_RATE_HZ, SUBSTEPS_PER_CONTROL, CarState, World
from tests.helpers.motion import set_motion

SPEC = deepracer()
PLACE, HEADING = np.array([1.5, -0.7]), 0.9


def commands(steps: int, n: int, seed: int) -> np.ndarray:
    """Random commands, (steps, n, 2)."""
    return np.random.default_rng(seed).uniform((-0.5, 0.0), (0.5, 4.0), (steps, n, 2))


def run(world: World, car: int, steps: int = 300, seed: int = 7) -> bytes:
    """Drive one car from PLACE by fixed commands, the others anyhow; its states' bytes."""
    mine, others = commands(steps, 1, seed), commands(steps, world.n, seed + 1)
    world.reset(np.array([car]), PLACE[None], np.array([HEADING]))
    trace = []
    for command, own in zip(others, mine):
        command[car] = own
        trace.append(world.step(command).body[car].tobytes())
    return b"".join(trace)


def scatter(world: World, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = world.n
    world.reset(np.arange(n), rng.uniform(-9.0, 9.0, (n, 2)), rng.uniform(-3.0, 3.0, n))


@pytest.fixture(scope="module")
def alone() -> bytes:
    world = World(SPEC, 1)
    try:
        return run(world, 0)
    finally:
        world.close()


@pytest.mark.parametrize(
    ("n", "car"), [(8, 0), (8, 5), pytest.param(65, 64, marks=pytest.mark.slow)]
)
def test_a_car_drives_the_same_bits_among_others_as_alone(make_world, alone, n, car):
    world = make_world(n)
    scatter(world, seed=n)
    assert run(world, car) == alone


def test_a_car_drives_the_same_bits_through_cars_in_its_own_place(make_world, alone):
    world = make_world(4)
    world.reset(np.arange(4), np.tile(PLACE, (4, 1)), np.full(4, HEADING + 0.2))
    assert run(world, 2) == alone


def test_a_car_drives_the_same_bits_after_any_number_of_resets(make_world, alone):
    world = make_world(3)
    for seed in range(4):
        scatter(world, seed)
        run(world, 1, steps=10 * seed + 3, seed=seed)
    assert run(world, 1) == alone


def test_a_reset_of_other_cars_in_mid_drive_changes_nothing(make_world):
    quiet, busy = make_world(3), make_world(3)
    for world in (quiet, busy):
        scatter(world, seed=1)
    for step, command in enumerate(commands(60, 3, seed=2)):
        if step % 7 == 3:
            busy.reset(np.array([0, 2]), np.zeros((2, 2)), np.zeros(2))
        quiet.step(command)
        busy.step(command)
    assert quiet.state.body[1].tobytes() == busy.state.body[1].tobytes()
    assert quiet.state.body[0].tobytes() != busy.state.body[0].tobytes()


@pytest.mark.slow
def test_a_car_drives_the_same_bits_in_another_process(alone):
    program = (
        "import hashlib; from tests.world.test_world import SPEC, World, run; "
        "print(hashlib.sha256(run(World(SPEC, 1), 0)).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert other.stdout.strip() == hashlib.sha256(alone).hexdigest()


@pytest.mark.slow
def test_importing_and_starting_a_world_prints_nothing():
    program = "from racer.world import World; from racer.car.spec import deepracer as d; "
    quiet = subprocess.run(
        [sys.executable, "-c", program + "World(d(), 1).close()"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_a_car_in_the_air_keeps_its_velocity_and_spin(make_world):
    world = make_world(1, replace(SPEC, air_drag=0.0))
    set_motion(world, 0, (3.0, -1.0, 0.0), (0.0, 0.0, 2.0), height=50.0)
    for _ in range(2 * CONTROL_RATE_HZ):
        world.step(np.array([[0.4, 4.0]]))
    np.testing.assert_allclose(world.state.velocity[0, :2], [3.0, -1.0], rtol=1e-12)
    assert world.state.angular_velocity[0, 2] == pytest.approx(2.0, rel=1e-12)
    assert world.state.velocity[0, 2] == pytest.approx(-2 * 9.81, rel=1e-9)


def test_half_the_substep_ends_a_drive_in_nearly_the_same_place():
    ends = []
    for substeps in (SUBSTEPS_PER_CONTROL, 2 * SUBSTEPS_PER_CONTROL):
        world = World(SPEC, 8, substeps=substeps)
        for step in range(5 * CONTROL_RATE_HZ):
            command = np.empty((8, 2))
            command[:, 0] = np.linspace(0.05, 0.4, 8) * np.sin(0.1 * step)
            command[:, 1] = np.linspace(1.0, 3.0, 8)
            world.step(command)
        ends.append(world.state.xy.copy())
        world.close()
    gap = np.hypot(*(ends[0] - ends[1]).T)
    driven = 5.0 * np.linspace(1.0, 3.0, 8)
    assert (gap / driven).max() < 0.002


def test_the_cars_of_a_new_world_stand_at_the_origin(make_world):
    world = make_world(2)
    at_rest = [0, 0, SPEC.mass_height, 0, 0, 0, 1, *[0] * 6]
    np.testing.assert_array_equal(world.state.body, [at_rest, at_rest])
    np.testing.assert_allclose(world.step(np.zeros((2, 2))).body, [at_rest, at_rest], atol=1e-12)


def test_a_reset_puts_only_the_named_cars_at_rest_where_they_should_stand(make_world):
    world = make_world(3)
    scatter(world, seed=0)
    for command in commands(20, 3, seed=0):
        world.step(command)
    kept = world.state.body[1].copy()
    world.reset(np.array([2, 0]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -3.0]))
    state = world.state
    np.testing.assert_array_equal(state.xy, [[3.0, 4.0], kept[:2], [1.0, 2.0]])
    np.testing.assert_allclose(state.yaw[[0, 2]], [-3.0, 0.5])
    np.testing.assert_array_equal(state.body[1], kept)
    assert not state.velocity[[0, 2]].any()
    assert not state.angular_velocity[[0, 2]].any()
    assert not state.steering[[0, 2]].any()
    assert not state.command[[0, 2]].any()


def test_a_command_beyond_the_car_is_clipped_to_its_limits(make_world):
    world = make_world(2)
    state = world.step(np.array([[9.0, 99.0], [-9.0, -1.0]]))
    limit = SPEC.steering_limit
    np.testing.assert_array_equal(state.command, [[limit, SPEC.speed_limit], [-limit, 0.0]])


def test_the_state_names_what_its_rows_hold(make_world):
    state = make_world(1).state
    state.body[0] = np.arange(13.0)
    state.body[0, 3:7] = [np.sin(0.3), 0.0, 0.0, np.cos(0.3)]
    np.testing.assert_array_equal(state.xy, [[0.0, 1.0]])
    np.testing.assert_array_equal(state.velocity, [[7.0, 8.0, 9.0]])
    np.testing.assert_array_equal(state.angular_velocity, [[10.0, 11.0, 12.0]])
    np.testing.assert_allclose(state.up, np.cos(0.6))
    state.body[0, 3:7] = [0.0, 0.0, np.sin(1.0), np.cos(1.0)]
    np.testing.assert_allclose(CarState.of(state.body, state.steering, state.command).yaw, 2.0)


def test_a_window_without_a_display_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(RacerError, match="rgb_array"):
        World(SPEC, 1, gui=True)


def test_a_world_may_be_closed_twice():
    world = World(SPEC, 1)
    world.close()
    world.close()

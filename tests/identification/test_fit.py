"""A simulated car's log gives back the quantities that it was made with."""

import json

import numpy as np
import pytest

from racer.assets.document import read_document
from racer.car.spec import deepracer, f1tenth
from racer.cli import main
from racer.identification.car_log import CarLog
from racer.identification.example_log import EXAMPLE_VALUES, example_log
from racer.identification.fit import CarFit, FittedQuantity, fit_car, write_randomisation
from racer.identification.simulated_drive import FITTED
from racer.randomisation import Randomisation, neutral_draws
from racer.world import World

SPEC = deepracer()


def check(fit, truth, misses=0):
    """Fail if more than some quantities are outside of their interval, or an interval is wide."""
    outside = [one for one in fit.quantities if not one.low <= truth[one.name] <= one.high]
    assert len(outside) <= misses, outside
    widths = {one.name: one.high - one.low for one in fit.quantities}
    assert widths["latency"] < 0.004
    assert widths["steering_offset"] < 0.004
    assert max(widths[name] for name in ("steering_gain", "speed_gain", "friction")) < 0.04
    assert all(one.is_known for one in fit.quantities)


@pytest.mark.slow
def test_the_intervals_hold_the_true_values(subtests):
    """An interval of 95 % misses one time in twenty; so one of each log may."""
    other: dict[str, float] = dict(zip(FITTED, (0.15, 1.06, -0.03, 1.04, 0.95)))
    for spec, truth, has_pose in (
        (SPEC, EXAMPLE_VALUES, False),
        (SPEC, other, True),
        (f1tenth(), other, False),
    ):
        with subtests.test(car=spec.name, has_pose=has_pose):
            log = example_log(spec, 3, duration=30.0, values=truth, has_pose=has_pose)
            check(fit_car(log, spec), truth, misses=1)


def race_log(seconds=20.0, steps_late=1):
    """What a car of a race does: 15 commands a second, late by whole control steps."""
    truth = {"steering_gain": 1.05, "steering_offset": -0.02, "speed_gain": 0.95, "friction": 0.9}
    world, rng = World(SPEC, 1), np.random.default_rng(4)
    try:
        rows = neutral_draws(1)
        for name, value in {**truth, "latency": steps_late}.items():
            rows[name] = value
        world.vary(np.arange(1), rows)
        world.reset(np.arange(1), np.zeros((1, 2)), np.zeros(1))
        count = int(seconds * world.rate)
        held = np.arange(count) // 8
        commands = rng.uniform([-0.4, 0.5], [0.4, 3.0], (held[-1] + 1, 2))[held]
        done = np.zeros((count, 2))
        for step, command in enumerate(commands):
            body = world.state.body[0]
            yaw = world.state.yaw[0]
            done[step] = body[12], body[7] * np.cos(yaw) + body[8] * np.sin(yaw)
            world.step(command[None])
    finally:
        world.close()
    done += rng.normal(0, 0.02, done.shape)
    log = CarLog(np.arange(count) / world.rate, commands, done[:, 0], done[:, 1])
    return log, {**truth, "latency": steps_late / world.rate}


@pytest.mark.slow
def test_the_log_of_a_races_car_tells_its_draws():
    """The race's own latency and rate are other code than the fit's simulation."""
    log, truth = race_log()
    fit = fit_car(log, SPEC)
    for one in fit.quantities:
        near = 0.002 if one.name == "latency" else 0.01
        assert one.value == pytest.approx(truth[one.name], abs=near), one
    assert fit.ranges["latency"] in ([0, 1], [1, 1], [1, 2])


@pytest.mark.slow
def test_what_the_log_does_not_tell_is_left_out(tmp_path):
    """At 0.6 m/s no tyre slides, and a yaw rate alone tells no speed."""
    log, _ = race_log()
    slow = CarLog(log.time, np.column_stack([log.command[:, 0], np.full(len(log.time), 0.6)]))
    world = World(SPEC, 1)
    try:
        world.reset(np.arange(1), np.zeros((1, 2)), np.zeros(1))
        rates = [float(world.step(row[None]).body[0, 12]) for row in slow.command]
    finally:
        world.close()
    noise = np.random.default_rng(0).normal(0, 0.1, len(rates))
    fit = fit_car(CarLog(slow.time, slow.command, np.array([0.0, *rates[:-1]]) + noise), SPEC)
    unknown = [one.name for one in fit.quantities if not one.is_known]
    assert "speed_gain" in unknown and "friction" in unknown
    out = tmp_path / "mycar.yaml"
    write_randomisation(fit, tmp_path / "log.csv", out)
    text = out.read_text()
    assert "does not tell" in text and "\nfriction:" not in text
    known = read_document(out, Randomisation)
    assert known.friction == (1, 1)
    assert known.steering_gain == tuple(fit.ranges["steering_gain"])


def test_a_latency_that_a_randomisation_does_not_allow_is_told(tmp_path):
    quantities = [FittedQuantity(name, 1.0, 0.99, 1.01, True) for name in FITTED]
    quantities[FITTED.index("latency")] = FittedQuantity("latency", 0.2, 0.199, 0.201, True)
    offset = FittedQuantity("steering_offset", 0.0, -0.01, 0.01, True)
    quantities[FITTED.index("steering_offset")] = offset
    write_randomisation(CarFit(tuple(quantities), {}, 60.0), tmp_path / "log.csv", tmp_path / "a")
    assert "0.199 to 0.201 s; up to 2 control steps" in (tmp_path / "a").read_text()
    assert read_document(tmp_path / "a", Randomisation).latency == (2, 2)


@pytest.mark.slow
def test_the_command_writes_example_estimates_and_randomisation(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["fit", "drive.csv", "--example", "--json", "--out", "mycar.yaml"])
    told = json.loads(capsys.readouterr().out)
    found = {one["name"]: one for one in told["quantities"]}
    assert found["friction"]["low"] < 0.8 + 0.01 and found["friction"]["high"] > 0.8 - 0.01
    assert read_document(tmp_path / "mycar.yaml", Randomisation).latency == (1, 2)

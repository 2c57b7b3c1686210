"""The simulator's speed by both engines, beside Bullet alone and other simulators, on one core."""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from racer.benchmark.peers import PEER_ENVS
from racer.car.spec import deepracer
from racer.envs import RacerVectorEnv
from racer.tables import FittedTable, TableColumn
from racer.world import CONTROL_RATE_HZ, SUBSTEPS_PER_CONTROL, Engine
from racer.world.world import has_pybullet

MANY_CARS = 64
"""Number of cars in the scenes of many cars."""
TIMED_ROUNDS = 5
"""Number of timed rounds; the median is reported."""
ROUND_DURATION_S = 0.4
"""Duration of one timed round [s]; the rounds of all subjects alternate."""

Subject = tuple[Callable[[], Any], int, Callable[[], None]]
"""What is timed: a step of all its cars, the number of cars, and how to close it."""


STATE: dict[str, Any] = {"sensor": "state"}
CAMERA: dict[str, Any] = {"sensor": "camera"}
BENCHMARK_ENVS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("state, no reward", MANY_CARS, {**STATE, "reward": None}),
    ("state, no reward", 512, {**STATE, "reward": None}),
    ("state, no reward", 4096, {**STATE, "reward": None}),
    ("state, gymnasium.make", 1, STATE),
    ("state", MANY_CARS, STATE),
    ("state, Python reward", MANY_CARS, {**STATE, "compile": False}),
    ("state, walls", MANY_CARS, {**STATE, "race": {"walls": True}}),
    ("state, 3 bots", MANY_CARS, {**STATE, "kind": "head_to_bot"}),
    ("state, sim2real", MANY_CARS, {**STATE, "randomisation": "sim2real"}),
    ("lidar, walls", MANY_CARS, {"sensor": "lidar", "race": {"walls": True}}),
    ("camera 160x120", MANY_CARS, CAMERA),
    ("camera, 6 boxes", MANY_CARS, {**CAMERA, "kind": "object_avoidance"}),
    ("camera, walls", MANY_CARS, {**CAMERA, "race": {"walls": True}}),
    ("camera, sim2real", MANY_CARS, {**CAMERA, "randomisation": "sim2real"}),
)
"""The environments that are timed: their name, number of cars and keywords. One car is a
`gymnasium.make` with Gymnasium's own wrappers."""
ENGINES: tuple[Engine, ...] = ("auto", "bullet")
"""The engines that are timed side by side."""


def benchmark_simulator() -> dict[str, Any]:
    """Return the environments' steps per second, and the cost of Bullet alone.

    Without PyBullet only races without solids are timed, and all figures of Bullet are None.

    Returns:
        `floor_us_per_step`: microseconds that one free box takes in Bullet for a control step:
            apply a force and a torque, step, read pose and velocity, 16 times;
            `floor_many_us_per_step`: the same for each of 64 boxes in one world. `rows`: `scene`,
            `cars`, `steps_per_s` (of all cars together), `x_floor` (time of a car's step over
            `floor_us_per_step`), `x_real_time`, and the same with engine `bullet`:
            `bullet_steps_per_s` and `bullet_x_floor`. `peers`, those of `PEER_ENVS` that are
            installed: `name`, `simulates`, `steps_per_s`, `scene` and `cars` of racer's environment
            that observes the most alike, and `ratio`, its steps per second over the peer's.
    """
    keep_to_one_core()
    has_bullet = has_pybullet()
    envs = [one for one in BENCHMARK_ENVS if has_bullet or not _has_solids(one[2])]
    floors: dict[Any, Subject] = {n: _boxes(n) for n in (1, MANY_CARS) if has_bullet}
    scenes: dict[Any, Subject] = {
        (scene, cars, engine): _cars(config, cars, engine)
        for scene, cars, config in envs
        for engine in ENGINES[: 1 + has_bullet]
    }
    found = [one for one in PEER_ENVS if one.is_installed]
    peers: dict[Any, Subject] = {one.name: _gymnasium_env(one.id) for one in found}
    rates = _take_turns(floors | scenes | peers)
    floor = {n: 1e6 / rates[n] for n in floors}
    rows = []
    for scene, cars, _ in envs:
        auto, reference = rates[scene, cars, ENGINES[0]], rates.get((scene, cars, ENGINES[1]))
        rows.append(
            {
                "scene": scene,
                "cars": cars,
                "steps_per_s": auto,
                "x_floor": 1e6 / auto / floor[1] if has_bullet else None,
                "x_real_time": auto / CONTROL_RATE_HZ,
                "bullet_steps_per_s": reference,
                "bullet_x_floor": 1e6 / reference / floor[1] if reference else None,
            }
        )
    return {
        "floor_us_per_step": floor.get(1),
        "floor_many_us_per_step": floor.get(MANY_CARS),
        "rows": rows,
        "peers": [
            {
                "name": one.name,
                "simulates": one.simulates,
                "steps_per_s": rates[one.name],
                "scene": one.scene[0],
                "cars": one.scene[1],
                "ratio": _ratio(rates.get((*one.scene, ENGINES[0])), rates[one.name]),
            }
            for one in found
        ],
    }


def _ratio(ours: float | None, theirs: float) -> float | None:
    """Return how many times as fast as a peer racer is; None if its scene was not timed."""
    return ours / theirs if ours else None


def keep_to_one_core() -> None:
    """Bind this process to the first of the cores that it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _has_solids(config: dict[str, Any]) -> bool:
    """Return whether a car can touch anything in an environment with these keywords."""
    return "kind" in config or "walls" in config.get("race", {})


def _boxes(n: int) -> Subject:
    """Return the control step of n free boxes."""
    from racer.world.free_boxes import FreeBoxes

    boxes = FreeBoxes(deepracer(), n, 1.0 / (CONTROL_RATE_HZ * SUBSTEPS_PER_CONTROL))

    def step() -> None:
        for _ in range(SUBSTEPS_PER_CONTROL):
            boxes.step()

    return step, n, boxes.close


def _cars(config: dict[str, Any], n: int, engine: Engine) -> Subject:
    """Return the step of an environment of n cars with random actions.

    Args:
        config: Its keywords.
        n: Number of cars; one is made by `gymnasium.make`.
        engine: What computes the motion.
    """
    if n == 1:
        return _gymnasium_env("racer/TimeTrial-v0", engine=engine, **config)
    env = RacerVectorEnv(n, engine=engine, **config)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (256, n, 2)).astype(np.float32)
    turns = itertools.cycle(actions)

    def step() -> None:
        env.step(next(turns))

    return step, n, env.close


def _gymnasium_env(name: str, **config: Any) -> Subject:
    """Return the step of an environment of one car with random actions, and resets at ends."""
    import gymnasium

    env = gymnasium.make(name, **config)
    env.reset(seed=0)
    env.action_space.seed(0)
    # Drawn beforehand: a sample of a Box takes as long as some environments' step.
    actions = itertools.cycle([env.action_space.sample() for _ in range(256)])

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(next(actions))
        if terminated or truncated:
            env.reset()

    return step, 1, env.close


def _take_turns(subjects: dict[Any, Any]) -> dict[Any, float]:
    """Return the median steps per second of each subject; their rounds alternate.

    Only this process's own time counts, so that others on the machine disturb less.
    """
    rates: dict[Any, list[float]] = {name: [] for name in subjects}
    steps_at_once: dict[Any, int] = {}
    for name, (step, _, _) in subjects.items():
        step()
        began = time.process_time()
        step()
        # To read this clock takes as long as a part of a step.
        steps_at_once[name] = max(1, int(0.01 / (time.process_time() - began)))
    # Else Python looks for garbage among the objects of all subjects while it times one of them.
    gc.collect()
    gc.freeze()
    for _ in range(TIMED_ROUNDS):
        for name, (step, n, _) in subjects.items():
            began, count, spent = time.process_time(), 0, 0.0
            while spent < ROUND_DURATION_S:
                for _ in range(steps_at_once[name]):
                    step()
                count += n * steps_at_once[name]
                spent = time.process_time() - began
            rates[name].append(count / spent)
    gc.unfreeze()
    for _, _, close in subjects.values():
        close()
    return {name: median(rounds) for name, rounds in rates.items()}


def benchmark_table(figures: dict[str, Any]) -> FittedTable:
    """Return a table of the figures for the terminal."""
    single_us, many_us = figures["floor_us_per_step"], figures["floor_many_us_per_step"]
    floor = "not measured, because PyBullet is not installed"
    if single_us is not None:
        floor = f"{single_us:.0f} us a control step for one free box, {many_us:.0f} us a box for "
        floor += str(MANY_CARS)
    shown = FittedTable(
        TableColumn("scene", "left", least=max(len(name) for name, _, _ in BENCHMARK_ENVS)),
        TableColumn("cars"),
        TableColumn("steps/s"),
        TableColumn("x floor", drop=1),
        TableColumn("by Bullet", drop=2),
        TableColumn("its x floor", drop=3),
        TableColumn("x real time", drop=4),
        title=f"Bullet's floor: {floor}",
        caption="\n".join(
            f"{peer['name']}: {peer['steps_per_s']:,.0f} steps/s; {peer['scene']}, "
            f"{peer['cars']} cars: {_figure(peer['ratio'], '.1f')} x that"
            for peer in figures["peers"]
        ),
    )
    for row in figures["rows"]:
        shown.add_row(
            row["scene"],
            str(row["cars"]),
            f"{row['steps_per_s']:,.0f}",
            _figure(row["x_floor"], ".2f"),
            _figure(row["bullet_steps_per_s"], ",.0f"),
            _figure(row["bullet_x_floor"], ".2f"),
            f"{row['x_real_time']:,.0f}",
        )
    return shown


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)

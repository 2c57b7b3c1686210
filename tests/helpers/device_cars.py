"""Cars on a device and the same cars on the processor, driven side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from racer.envs import RacerVectorEnv
from racer.randomisation import DRAWN_QUANTITIES


class StepsBeside(NamedTuple):
    """What one step gave on the device and on the processor."""

    observed: tuple[np.ndarray, np.ndarray]
    rewards: tuple[np.ndarray, np.ndarray]
    terminated: tuple[np.ndarray, np.ndarray]
    truncated: tuple[np.ndarray, np.ndarray]
    final: tuple[np.ndarray, np.ndarray]
    body: tuple[np.ndarray, np.ndarray]


def driver(observed: np.ndarray, step: int) -> np.ndarray:
    """Actions (n, 2) of drivers of different haste, who look a metre ahead and weave."""
    n = len(observed)
    haste = np.linspace(-0.7, 0.9, n)
    weave = np.linspace(0.0, 1.2, n) * np.sin(0.3 * step + np.arange(n))
    steering = 6.0 * observed[:, 17] - 0.4 * observed[:, 6] + weave
    return np.stack([steering.clip(-1.0, 1.0), haste], axis=1).astype(np.float32)


def copy_start(device: Any, host: RacerVectorEnv) -> None:
    """Give the cars on the processor the episodes that those on the device have drawn."""
    race, world, fleet = host.race, host.world, device._fleet
    rows, draws = race.draws.rows, fleet.draws.numpy()
    for k, name in enumerate(DRAWN_QUANTITIES):
        rows[name] = draws[:, k]
    rows["seed"] = fleet.episode_seed.numpy()
    cars = np.arange(host.num_envs)
    if not race.draws.is_neutral:
        world.vary(cars, rows)
    records = device._records
    race.road.line[:] = records.line.numpy()
    race.is_reversed[:] = race.road.is_reversed
    for mine, name in zip(race.place, ("s", "d", "segment")):
        mine[:] = getattr(records, name).numpy()
    for name in ("x", "y", "progress"):
        race.records[name] = getattr(records, name).numpy()
    world._body[:], world._inverse[:] = fleet.body.numpy(), fleet.inverse.numpy()
    world._publish()
    for suites in host.simulation._suites:
        for suite in suites:
            suite.start(cars, rows)
    host.simulation._observe(cars)


def driven_beside(
    device: Any, host: RacerVectorEnv, steps: int, seed: int, copies: bool = False
) -> Iterator[StepsBeside]:
    """Drive both with the same actions, and yield what each step gave.

    Args:
        device: The cars on the device.
        host: The cars on the processor.
        steps: Number of steps.
        seed: Seed of the episodes.
        copies: Whether those on the processor begin with the episodes drawn on the device.
    """
    import torch  # the other helpers are used where torch is not installed

    device.reset(seed=seed)
    seen, _ = host.reset(seed=seed)
    if copies:
        copy_start(device, host)
        seen = host.observations
    for step in range(steps):
        actions = driver(seen, step)
        on_device = device.step(torch.from_numpy(actions))
        seen, rewards, terminated, truncated, info = host.step(actions)
        final = info.get("final_obs", seen)
        if "final_obs" in info:
            final = seen.copy()
            for car in np.flatnonzero(info["_final_obs"]):
                final[car] = info["final_obs"][car]
        yield StepsBeside(
            (on_device.observations.numpy(), seen),
            (on_device.rewards.numpy(), rewards),
            (on_device.terminated.numpy(), terminated),
            (on_device.truncated.numpy(), truncated),
            (on_device.final_observations.numpy(), final),
            (device._body.numpy(), host.world.state.body),
        )

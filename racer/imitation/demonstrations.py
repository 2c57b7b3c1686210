"""Demonstrations: what a learner observed while a car was driven, and the teacher's actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from racer.car.action_space import ActionSpace
from racer.envs import RacerVectorEnv
from racer.imitation.teachers import Teacher
from racer.sensors import Observations
from racer.training.vec_env import CarsVecEnv

HELD_OUT_SHARE = 0.1
"""Share of the demonstrations that the loss is measured on but not reduced on."""


class Demonstrations(NamedTuple):
    """Pairs of an observation and an action.

    Attributes:
        observations: Arrays (N, ...), for several sensors a dict of them; images are (N, C, H, W).
        actions: Actions (N, 2) float32 or indices (N,) int64.
        is_held_out: Whether a pair is only for measuring the loss, (N,) bool. Neighbouring frames
            are nearly the same, so whole stretches of the drive are held out.
    """

    observations: Observations
    actions: np.ndarray
    is_held_out: np.ndarray


class Drive(NamedTuple):
    """What was driven for demonstrations.

    Attributes:
        demonstrations: The demonstrations.
        laps: Number of laps that the cars completed.
        faults: Number of episodes that a fault ended, or of faults if they end no episode.
    """

    demonstrations: Demonstrations
    laps: int
    faults: int


def join_demonstrations(parts: list[Demonstrations]) -> Demonstrations:
    """Return several demonstrations as one."""
    return Demonstrations(
        join_observations([one.observations for one in parts]),
        np.concatenate([one.actions for one in parts]),
        np.concatenate([one.is_held_out for one in parts]),
    )


def join_observations(parts: list[Observations]) -> Observations:
    """Return several observations, arrays (k, ...) or dicts of them, as one of all rows."""
    if isinstance(parts[0], dict):
        return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}
    return np.concatenate(parts)


def last_rows(count: int) -> np.ndarray:
    """Return a mask (count,) of the last `HELD_OUT_SHARE` of the rows, at least one of several."""
    held = max(round(HELD_OUT_SHARE * count), min(1, count - 1))
    return np.arange(count) >= count - held


def drive_demonstrations(
    env: CarsVecEnv,
    teacher: Teacher,
    is_enough: Callable[[int, int], bool],
    student: Callable[[Observations], np.ndarray] | None = None,
) -> Drive:
    """Drive all cars of an environment, and return what they observed with the teacher's actions.

    The teacher drives through the learner's action space: its command becomes the nearest action,
    so that the demonstrations show what the learner can repeat. If a student drives instead, the
    teacher says what it would have done (DAgger: Ross, Gordon and Bagnell, 2011).

    Args:
        env: The environment, in this process, with the learner's sensors and actions.
        teacher: The teacher.
        is_enough: Called with the control steps of all cars and the completed laps; the drive ends
            when it returns True.
        student: Returns the actions for observations; the teacher drives if not given.
    """
    cars = env.cars
    assert isinstance(cars, RacerVectorEnv)
    race, actions = cars.race, cars.config.actions
    laps, faults = np.zeros(env.num_envs, dtype=int), np.zeros(env.num_envs, dtype=int)

    def count(rewards: np.ndarray, done: np.ndarray) -> None:
        laps[done] += race.laps[done]
        faults[done] += np.maximum(race.resets[done], race.fault[done] != 0)

    env.log_to(count)
    seen = env.reset()
    teacher.start(np.arange(env.num_envs))
    frames, labels = [], []
    while not is_enough(len(labels) * env.num_envs, int((laps + race.laps).sum())):
        label = actions.nearest(teacher.commands())
        frames.append(seen)
        labels.append(label)
        seen, _, done, _ = env.step(label if student is None else student(seen))
        if done.any():
            teacher.start(np.flatnonzero(done))
    # Car by car, so that the rows that are held out are of other stretches than the rest.
    observed = _by_car(frames)
    told = np.stack(labels, axis=1).reshape(-1, *labels[0].shape[1:])
    driven = Demonstrations(observed, told, last_rows(len(told)))
    return Drive(driven, int((laps + race.laps).sum()), int((faults + race.resets).sum()))


def _by_car(frames: list[Observations]) -> Observations:
    """Return the observations of T steps, arrays (n, ...), as (n * T, ...), car after car."""
    if isinstance(frames[0], dict):
        return {name: _by_car([one[name] for one in frames]) for name in frames[0]}
    steps = np.stack(frames, axis=1)
    return steps.reshape(-1, *steps.shape[2:])


def describe_action_error(actions: ActionSpace, wanted: np.ndarray, got: np.ndarray) -> str:
    """Return in words how far actions are from the wanted ones.

    Args:
        actions: Their space.
        wanted: The wanted actions, (n, ...).
        got: The actions, (n, ...).
    """
    steering, speed = np.abs(actions.command(got) - actions.command(wanted)).mean(axis=0)
    return f"steering off by {np.rad2deg(steering):.1f} deg, speed by {speed:.2f} m/s"

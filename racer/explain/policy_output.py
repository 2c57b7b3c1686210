"""What a policy answers to many observations at once, and what that means for the car."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from racer.car.action_space import ActionSpace
from racer.networks.network_config import OBSERVATION_INPUT
from racer.sensors import Observations, Sensors

INPUT_BATCH = 256
"""Perturbed observations that are made at once, which limits the memory that they take."""


class PolicyOutput(NamedTuple):
    """A policy's answers to n observations."""

    action: np.ndarray
    """The actions: indices (n,) int64, or steering and speed (n, 2) float32 within [-1, 1]."""
    scores: np.ndarray
    """The values of the choices, (n, choices), or the actions before they are clipped, (n, 2)."""
    deviation: np.ndarray
    """Standard deviation of the actions in training, (n, 2); 0 where it is not known."""
    hidden_state: np.ndarray
    """What a recurrent policy remembers next, (n, size)."""


class ExplainedPolicy(Protocol):
    """A policy that answers many observations at once and remembers nothing by itself.

    Attributes:
        name: Its name.
        sensor: What it observes.
        actions: What its actions mean.
        hidden_state_size: Numbers that it must be given from step to step; 0 for none.
        has_scores: Whether the values of its choices are known, not the best choice alone.
    """

    name: str
    sensor: Sensors
    actions: ActionSpace
    hidden_state_size: int
    has_scores: bool

    def answer(self, inputs: Mapping[str, np.ndarray], hidden_state: np.ndarray) -> PolicyOutput:
        """Return the answers to n observations.

        Args:
            inputs: Each sensor's observations by the name of the graph's input, (n, ...).
            hidden_state: What the policy remembered before each, (n, `hidden_state_size`).
        """
        ...

    def with_random_weights(self, seed: int) -> ExplainedPolicy:
        """Return the same network with weights drawn anew."""
        ...

    def close(self) -> None:
        """End the process in which the policy runs, if it has one."""
        ...


def input_names(sensors: Sensors) -> list[str]:
    """Return the names by which a policy is given the observations of its sensors, in order."""
    return [sensor.name for sensor in sensors] if len(sensors) > 1 else [OBSERVATION_INPUT]


def as_inputs(observation: Observations, sensors: Sensors) -> dict[str, np.ndarray]:
    """Return observations as a dict by the names of a policy's inputs."""
    if isinstance(observation, dict):
        return {sensor.name: observation[sensor.name] for sensor in sensors}
    return {OBSERVATION_INPUT: observation}


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the probability of each choice, (n, k).

    Scores that are probabilities already are returned as they are; of others it is the softmax,
    which is the policy's distribution where it was trained by policy gradients.

    Args:
        scores: Values of the choices, (n, k).

    Example:
        >>> probabilities(np.array([[0.25, 0.75], [0.0, np.log(3.0)]]))
        array([[0.25, 0.75],
               [0.25, 0.75]])
    """
    values = np.asarray(scores, dtype=np.float64)
    is_share = (values >= 0.0).all(axis=1) & (np.abs(values.sum(axis=1) - 1.0) < 1e-3)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    softmax = powers / powers.sum(axis=1, keepdims=True)
    return np.where(is_share[:, None], values, softmax)


def command_ends(actions: ActionSpace) -> np.ndarray:
    """Return the lowest and highest steering [rad] and speed [m/s], rows of (2, 2)."""
    if actions.kind == "discrete":
        every = actions.command(np.arange(len(actions.choices)))
        return np.stack([every.min(axis=0), every.max(axis=0)])
    return actions.command(np.array([[-1.0, -1.0], [1.0, 1.0]]))


def mean_command(output: PolicyOutput, actions: ActionSpace) -> np.ndarray:
    """Return the mean of the commands that a policy may give, (n, 2) in rad and m/s.

    Of a discrete policy it is the mean over its probabilities; of a continuous one the command
    before it is clipped, so that a policy at full steering still shows what it reacts to.

    Args:
        output: The policy's answers.
        actions: Its action space.
    """
    if actions.kind == "discrete":
        every = actions.command(np.arange(len(actions.choices)))
        return probabilities(output.scores) @ every
    low, high = command_ends(actions)
    return low + (output.scores.astype(np.float64) + 1.0) * 0.5 * (high - low)


def in_ranges(command: np.ndarray, actions: ActionSpace) -> np.ndarray:
    """Return commands (n, 2) as shares of the ranges of steering and speed, (n, 2).

    They make a change of steering and one of speed comparable. A range of 0 gives 0.
    """
    low, high = command_ends(actions)
    span = high - low
    return np.where(span > 0.0, (command - low) / np.where(span > 0.0, span, 1.0), 0.0)


def readings(output: PolicyOutput, actions: ActionSpace) -> np.ndarray:
    """Return what is explained of a policy's answers: `mean_command` in shares of its ranges."""
    return in_ranges(mean_command(output, actions), actions)


def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return how far readings (..., 2) are apart, (...), in shares of the ranges."""
    return np.hypot(*np.moveaxis(first - second, -1, 0))


def answer_in_batches(
    policy: ExplainedPolicy, inputs: Mapping[str, np.ndarray], hidden_state: np.ndarray
) -> np.ndarray:
    """Return the readings of one moment's perturbed observations, (n, 2).

    Args:
        policy: The policy.
        inputs: Perturbed observations by the names of the policy's inputs, (n, ...).
        hidden_state: What the policy remembered at that moment, (size,).
    """
    n = len(next(iter(inputs.values())))
    held = np.broadcast_to(hidden_state, (n, len(hidden_state)))
    return readings(policy.answer(inputs, np.ascontiguousarray(held)), policy.actions)

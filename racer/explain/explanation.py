"""The explanation of a lap: maps with their proof, and what the policy reacts to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from racer.errors import ConfigError
from racer.explain.attribution import (
    Moment,
    NumberGroup,
    is_picture,
    number_bars,
    number_groups,
    occlusion_map,
    rise_map,
    rise_masks,
)
from racer.explain.map_proof import NOTHING, MapProof, prove_maps
from racer.explain.picture_parts import part_shares, picture_parts
from racer.explain.policy_output import ExplainedPolicy, distance, input_names, readings
from racer.explain.recorded_lap import RecordedLap
from racer.explain.scene_changes import (
    ChangeEffect,
    SceneChange,
    change_effect,
    check_changes,
    possible_changes,
)
from racer.sensors import SensorConfig

MapMethod = Literal["integrated-gradients", "grad-cam", "occlusion", "rise"]
"""A way to find what a policy looked at; the first two need the network of a run."""
MAP_METHODS: tuple[MapMethod, ...] = get_args(MapMethod)
GRADIENT_METHODS: tuple[MapMethod, ...] = ("integrated-gradients", "grad-cam")
EXPLAINED_MOMENTS = 12
"""Moments of a lap whose maps are scored."""
SMOOTHING_SHARE = 0.025
"""Integrated gradients are blurred by this share of the frame's height, as they are grainy."""


@dataclass(frozen=True)
class SensorExplanation:
    """What a policy looked at through one sensor, at some moments of a lap.

    Attributes:
        sensor: The sensor.
        name: Name of the policy's input.
        steps: Index of each moment's step, (m,).
        maps: Importance >= 0 at each moment: of each pixel (H, W), or of each number (k,).
        random_maps: The same for random weights.
        proof: The scores of the maps.
        shuffled: How far the answer moves if the sensor shows what it showed at another step, in
            shares of the ranges, (T,).
        parts: Parts of the picture, or groups of numbers: name, share of the maps and share of
            the pixels or numbers, the largest share of the maps first.
    """

    sensor: SensorConfig
    name: str
    steps: np.ndarray
    maps: list[np.ndarray]
    random_maps: list[np.ndarray]
    proof: MapProof
    shuffled: np.ndarray
    parts: list[tuple[str, float, float]]

    @property
    def is_ignored(self) -> bool:
        """Whether the policy's answer is the same whatever the sensor shows."""
        return float(self.shuffled.max()) <= NOTHING


@dataclass(frozen=True)
class LapExplanation:
    """The explanation of a lap.

    Attributes:
        policy: Name of the policy.
        lap: The lap.
        method: How the maps were made.
        seed: Seed of all that is random.
        has_scores: Whether the policy's values of its choices are known, not the best one alone.
        sensors: What it looked at through each sensor.
        effects: What it would have done in a changed world.
    """

    policy: str
    lap: RecordedLap
    method: MapMethod
    seed: int
    has_scores: bool
    sensors: list[SensorExplanation]
    effects: list[ChangeEffect]

    @property
    def sentences(self) -> list[str]:
        """The findings in sentences, the most important one first."""
        found = []
        for one in self.sensors:
            seen = sensor_words(one.sensor)
            if one.is_ignored:
                found.append(
                    f"{self.policy} ignores its {seen}: its answer is the same whatever the "
                    f"{seen} shows."
                )
                continue
            listed = ", ".join(
                f"{name} {share:.0%} (of what it sees {area:.0%})"
                for name, share, area in one.parts[:4]
            )
            found.append(f"The map of its {seen}: {listed}.")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain values; what is not known is None."""
        return {
            "policy": self.policy,
            "track": self.lap.track.name,
            "seed": self.seed,
            "method": self.method,
            "race": self.lap.result.as_dict(),
            "has_scores": self.has_scores,
            "sensors": [_sensor_figures(one) for one in self.sensors],
            "what_if": [one.as_dict() for one in self.effects],
            "sentences": self.sentences,
        }


def sensor_words(sensor: SensorConfig) -> str:
    """Return a sensor's kind in words."""
    return sensor.name.replace("_", " ")


def explain_lap(
    policy: ExplainedPolicy,
    lap: RecordedLap,
    method: MapMethod = "occlusion",
    changes: Sequence[SceneChange] | None = None,
    seed: int = 0,
    count: int = EXPLAINED_MOMENTS,
) -> LapExplanation:
    """Return the explanation of a lap.

    Args:
        policy: The policy that drove it.
        lap: The lap.
        method: How the maps are made.
        changes: The changes of the world; None for all that make sense.
        seed: Seed of the random weights, masks and orders.
        count: Number of moments whose maps are made.

    Raises:
        ConfigError: The method or a change does not suit the policy.
    """
    chosen = possible_changes(lap) if changes is None else tuple(changes)
    check_changes(chosen, lap)
    check_method(policy, method)
    other = policy.with_random_weights(seed)
    try:
        sensors = [
            _explain_sensor(policy, other, lap, sensor, name, method, seed, count)
            for sensor, name in zip(policy.sensor, input_names(policy.sensor))
        ]
    finally:
        other.close()
    effects = [change_effect(policy, lap, change) for change in chosen]
    return LapExplanation(policy.name, lap, method, seed, policy.has_scores, sensors, effects)


def check_method(policy: ExplainedPolicy, method: MapMethod) -> None:
    """Raise ConfigError if a method cannot be used on a policy."""
    if method not in GRADIENT_METHODS:
        return
    if not hasattr(policy, "actor"):
        raise ConfigError(
            f"--method {method} needs the network of a run's checkpoint; {policy.name} is a graph "
            "without gradients: use occlusion or rise"
        )
    if method == "grad-cam" and not any(is_picture(sensor) for sensor in policy.sensor):
        raise ConfigError(f"--method grad-cam needs a camera, which {policy.name} has not")


def lap_moments(policy: ExplainedPolicy, lap: RecordedLap, steps: np.ndarray) -> list[Moment]:
    """Return some moments of a lap.

    Args:
        policy: The policy that drove it.
        lap: The lap.
        steps: Indices of their steps, (m,).
    """
    answers = readings(lap.output, policy.actions)
    return [
        Moment(
            {name: seen[k] for name, seen in lap.observations.items()},
            lap.hidden_state[k],
            answers[k],
        )
        for k in steps.tolist()
    ]


def sensor_maps(
    policy: ExplainedPolicy,
    lap: RecordedLap,
    sensor: SensorConfig,
    moments: Sequence[Moment],
    method: MapMethod,
    seed: int,
) -> list[np.ndarray]:
    """Return what a policy looked at through a sensor at some moments, each >= 0.

    A sensor of numbers is explained by integrated gradients where the method is one of the two
    that need a network, else by occlusion.

    Args:
        policy: The policy.
        lap: The lap, whose mean observation stands for nothing.
        sensor: The sensor.
        moments: The moments.
        method: How the maps are made.
        seed: Seed of the masks of RISE.

    Returns:
        For each moment (H, W) of a camera, or a value for each number, (k,).
    """
    name = input_names(policy.sensor)[list(policy.sensor).index(sensor)]
    reference = lap.mean_observation()[name]
    if not is_picture(sensor):
        groups = number_groups(sensor)
        has_gradients = method in GRADIENT_METHODS
        bars = [
            _gradient_bars(policy, one, name, reference, groups)
            if has_gradients
            else number_bars(policy, one, name, reference, groups)
            for one in moments
        ]
        return [_spread(one, groups, reference) for one in bars]
    if method == "occlusion":
        return [occlusion_map(policy, one, name, reference) for one in moments]
    if method == "rise":
        masks = rise_masks(*reference.shape[:2], seed)
        return [rise_map(policy, one, name, reference, masks) for one in moments]
    from racer.explain.gradients import grad_cam_map
    from racer.explain.network_policy import NetworkPolicy

    assert isinstance(policy, NetworkPolicy)
    if method == "grad-cam":
        return [grad_cam_map(policy, one, name) for one in moments]
    return [_smooth_gradients(policy, one, name, reference) for one in moments]


def _gradient_bars(
    policy: Any,
    moment: Moment,
    name: str,
    reference: np.ndarray,
    groups: Sequence[NumberGroup],
) -> np.ndarray:
    """Return the integrated gradients of each group of numbers, (groups,)."""
    from racer.explain.gradients import gradients_map

    found = gradients_map(policy, moment, name, reference)
    return np.array([found[group.indices].sum() for group in groups])


def _smooth_gradients(policy: Any, moment: Moment, name: str, reference: np.ndarray) -> np.ndarray:
    """Return the integrated gradients of a camera, summed over its channels and blurred."""
    from scipy.ndimage import gaussian_filter

    from racer.explain.gradients import gradients_map

    found = gradients_map(policy, moment, name, reference).sum(axis=2)
    return gaussian_filter(found, SMOOTHING_SHARE * len(found))


def _spread(bars: np.ndarray, groups: Sequence[NumberGroup], like: np.ndarray) -> np.ndarray:
    """Return the value of each number's group, (k,)."""
    found = np.zeros(like.shape)
    for group, value in zip(groups, bars):
        found[group.indices] = value
    return found


def _explain_sensor(
    policy: ExplainedPolicy,
    other: ExplainedPolicy,
    lap: RecordedLap,
    sensor: SensorConfig,
    name: str,
    method: MapMethod,
    seed: int,
    count: int,
) -> SensorExplanation:
    """Return what a policy looked at through one sensor.

    Args:
        policy: The policy.
        other: The same with random weights.
        lap: The lap.
        sensor: The sensor.
        name: Name of the policy's input.
        method: How the maps are made.
        seed: Seed of all that is random.
        count: Number of moments.
    """
    steps = lap.moments(count)
    moments = lap_moments(policy, lap, steps)
    maps = sensor_maps(policy, lap, sensor, moments, method, seed)
    answers = readings(other.answer(lap.observations, lap.hidden_state), policy.actions)
    drawn = [one._replace(reading=answers[k]) for one, k in zip(moments, steps.tolist())]
    random_maps = sensor_maps(other, lap, sensor, drawn, method, seed)
    reference = lap.mean_observation()[name]
    proof = prove_maps(policy, moments, name, reference, maps, random_maps, seed)
    shuffled = _shuffled(policy, lap, name, seed)
    if is_picture(sensor):
        parts = part_shares(maps, [picture_parts(lap, sensor, k) for k in steps.tolist()])
    else:
        parts = group_shares(maps, number_groups(sensor))
    return SensorExplanation(sensor, name, steps, maps, random_maps, proof, shuffled, parts)


def _shuffled(policy: ExplainedPolicy, lap: RecordedLap, name: str, seed: int) -> np.ndarray:
    """Return how far the answers move where a sensor shows what it showed at another step, (T,)."""
    order = np.random.default_rng(seed).permutation(lap.steps)
    inputs = {**lap.observations, name: lap.observations[name][order]}
    answers = readings(policy.answer(inputs, lap.hidden_state), policy.actions)
    return distance(answers, readings(lap.output, policy.actions))


def group_shares(
    maps: Sequence[np.ndarray], groups: Sequence[NumberGroup]
) -> list[tuple[str, float, float]]:
    """Return how much of the maps lies on each group of numbers, the largest share first.

    Args:
        maps: Maps of several moments, (k,) >= 0.
        groups: The groups.

    Returns:
        Name of each group, its share of the maps and its share of the numbers.
    """
    mean = np.mean(np.stack(maps), axis=0)
    weight = np.array([mean[group.indices].sum() for group in groups])
    weight /= max(float(weight.sum()), 1e-12)
    return [
        (groups[k].name, float(weight[k]), len(groups[k].indices) / len(mean))
        for k in np.argsort(-weight)
    ]


def _sensor_figures(one: SensorExplanation) -> dict[str, Any]:
    """Return the figures of one sensor as plain values."""
    proof = one.proof
    scores = {
        "deletion": proof.deletion,
        "insertion": proof.insertion,
        "random_order_deletion": proof.random_deletion,
        "random_order_insertion": proof.random_insertion,
        "random_weights_similarity": proof.similarity,
    }
    return {
        "sensor": one.sensor.name,
        "is_ignored": one.is_ignored,
        "shuffled": float(one.shuffled.mean()),
        "holds": proof.holds,
        "verdict": proof.verdict,
        **{name: None if np.isnan(value) else value for name, value in scores.items()},
        "parts": [
            {"part": name, "map_share": weight, "area_share": area}
            for name, weight, area in one.parts
        ],
    }

"""Whether a map of what a policy looked at can be believed: deletion, insertion, random weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from racer.explain.attribution import Moment, changed_by
from racer.explain.policy_output import ExplainedPolicy

DELETION_STEPS = 12
"""Steps in which all of an observation is deleted, or inserted."""
LEAST_EFFECT = 0.005
"""Moments at which replacing the whole observation moves the answer less, in shares of the
ranges, have no deletion and insertion score: there is nothing to lose."""
MAX_SIMILARITY = 0.5
"""A map that is more similar to that of random weights says nothing."""
NOTHING = 1e-6
"""A smaller change of the answer, in shares of the ranges, counts as no change."""


@dataclass(frozen=True)
class MapProof:
    """Scores of the maps of one sensor over several moments.

    Attributes:
        deletion: Mean agreement with the whole observation while the most important parts are
            deleted first, 0 to 1: low if the map is right. NaN without a moment to score.
        insertion: Mean agreement while they are inserted first: high if the map is right.
        random_deletion: As `deletion`, in random order.
        random_insertion: As `insertion`, in random order.
        similarity: Mean similarity to the maps of random weights, 0 to 1; see `map_similarity`. NaN
            if every map is flat.
        is_flat: Whether every map is 0 everywhere: the sensor changes nothing.
        curves: Mean agreement at each step of deletion, insertion, and both in random order,
            (4, DELETION_STEPS + 1).
    """

    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float
    similarity: float
    is_flat: bool
    curves: np.ndarray

    @property
    def gain(self) -> float:
        """How much better insertion minus deletion is than in random order, -2 to 2."""
        return self.insertion - self.deletion - self.random_insertion + self.random_deletion

    @property
    def verdict(self) -> str:
        """Whether the maps can be believed, in a few words."""
        if self.is_flat:
            return "says nothing: the map is empty"
        if np.isnan(self.similarity):
            return "not scored: with random weights the policy hardly answers to what it sees"
        if self.similarity > MAX_SIMILARITY:
            return "says nothing: random weights give much the same map"
        if np.isnan(self.gain):
            return "not scored: the policy hardly answers to what it sees"
        if self.gain <= 0.0:
            return "says nothing: a random order does as well"
        return "holds"

    @property
    def short_verdict(self) -> str:
        """The verdict without its reason."""
        return self.verdict.partition(":")[0]

    @property
    def holds(self) -> bool:
        """Whether the maps can be believed."""
        return self.verdict == "holds"


def agreement_curves(
    policy: ExplainedPolicy,
    moment: Moment,
    name: str,
    reference: np.ndarray,
    importance: np.ndarray,
) -> np.ndarray | None:
    """Return how the answer goes as an observation is deleted, and as it is inserted.

    Agreement is 1 where the answer is that to the whole observation, and 0 where it is as far from
    it as the answer to `reference`, or further.

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the sensor's input.
        reference: What stands for nothing, with the observation's shape.
        importance: A number for each pixel (H, W), or for each number of the observation (k,).

    Returns:
        Agreement at each step of deletion and of insertion, (2, DELETION_STEPS + 1); None if
        deleting everything changes nearly nothing.
    """
    seen = moment.observation[name]
    rank = np.empty(importance.size)
    # Equal importances are ordered alike in every run, scattered over the picture.
    tie = np.random.default_rng(0).permutation(importance.size)
    rank[np.lexsort((tie, -importance.ravel()))] = np.arange(importance.size)
    share = (rank / importance.size).reshape(importance.shape)
    is_deleted = share[None] < _steps_like(importance)
    if seen.ndim > importance.ndim:
        is_deleted = is_deleted[..., None]
    changed = np.concatenate(
        [np.where(is_deleted, reference, seen), np.where(is_deleted, seen, reference)]
    )
    moved = changed_by(policy, moment, name, changed).reshape(2, -1)
    whole = moved[0, -1]
    if whole < LEAST_EFFECT:
        return None
    return np.clip(1.0 - moved / whole, 0.0, 1.0)


def _steps_like(importance: np.ndarray) -> np.ndarray:
    """Return the share that is deleted at each step, ready to be compared with an array."""
    shares = np.linspace(0.0, 1.0, DELETION_STEPS + 1)
    return shares.reshape(-1, *[1] * importance.ndim)


def map_similarity(first: np.ndarray, second: np.ndarray, shared: np.ndarray) -> float:
    """Return how alike two maps are beyond what both share with a third one, 0 to 1.

    It is the size of the partial rank correlation; NaN if a map is flat. Without the third map
    every two networks would seem alike, because no map has weight where the picture is as always.

    Args:
        first: A map.
        second: Another one, of the same shape.
        shared: What both are expected to follow anyway, of the same shape.

    Example:
        >>> a, b = np.array([0.0, 3.0, 4.0, 9.0, 5.0]), np.array([1.0, 0.0, 0.0, 1.0, 0.0])
        >>> map_similarity(a, a**2, b), map_similarity(a, -a, b)
        (1.0, 1.0)
    """
    ranks = [rankdata(one.ravel()) for one in (first, second)]
    if any(np.ptp(one) == 0.0 for one in ranks):
        return float("nan")
    known = np.stack([np.ones(shared.size), rankdata(shared.ravel())], axis=1)
    left = [one - known @ np.linalg.lstsq(known, one, rcond=None)[0] for one in ranks]
    sizes = [float(np.linalg.norm(one)) for one in left]
    if min(sizes) < 1e-9 * len(known):  # It follows the third map exactly.
        return 1.0
    return round(abs(float(left[0] @ left[1])) / (sizes[0] * sizes[1]), 12)


def _plain_difference(seen: np.ndarray, reference: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return how far an observation is from the reference, with the shape of its map."""
    apart = np.abs(seen.astype(np.float64) - reference)
    return apart.reshape(*like.shape, -1).mean(axis=-1)


def prove_maps(
    policy: ExplainedPolicy,
    moments: list[Moment],
    name: str,
    reference: np.ndarray,
    maps: list[np.ndarray],
    random_maps: list[np.ndarray],
    seed: int,
) -> MapProof:
    """Return the scores of one sensor's maps.

    Args:
        policy: The policy.
        moments: The moments.
        name: Name of the sensor's input.
        reference: What stands for nothing, with the observation's shape.
        maps: The map of each moment.
        random_maps: The map of each moment for random weights, by the same method.
        seed: Seed of the random order.
    """
    generator = np.random.default_rng(seed)
    found = []
    for moment, importance in zip(moments, maps):
        orders = importance, generator.random(importance.shape)
        curves = [agreement_curves(policy, moment, name, reference, order) for order in orders]
        known = [one for one in curves if one is not None]
        found += [np.concatenate(known)] if len(known) == len(curves) else []
    empty = np.full((4, DELETION_STEPS + 1), np.nan)
    curves = np.mean(found, axis=0) if found else empty
    deletion, insertion, random_deletion, random_insertion = curves.mean(axis=1).tolist()
    alike = [
        map_similarity(first, second, _plain_difference(moment.observation[name], reference, first))
        for moment, first, second in zip(moments, maps, random_maps)
    ]
    alike = [one for one in alike if not np.isnan(one)]
    return MapProof(
        deletion,
        insertion,
        random_deletion,
        random_insertion,
        float(np.mean(alike)) if alike else float("nan"),
        max(float(one.max()) for one in maps) <= NOTHING,
        curves,
    )

"""The rollout buffer, against Stable-Baselines3's own."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer

from racer.training.rollout_buffer import rollout_buffer_class

STEPS, CARS = 5, 3
FRAME = spaces.Box(0, 255, (1, 4, 6), np.uint8)
BOTH = spaces.Dict({"camera": FRAME, "state": spaces.Box(-1.0, 1.0, (7,), np.float32)})
STEERING = spaces.Box(-1.0, 1.0, (2,), np.float32)
GEARS = spaces.Discrete(6)


def fill(buffer, seen, action, seed):
    """Put one rollout of random steps into a buffer."""
    seen.seed(seed)
    action.seed(seed)
    rng = np.random.default_rng(seed)
    buffer.reset()
    for _ in range(STEPS):
        one = [seen.sample() for _ in range(CARS)]
        several = isinstance(seen, spaces.Dict)
        frames = {k: np.stack([s[k] for s in one]) for k in seen} if several else np.stack(one)
        actions = np.stack([action.sample() for _ in range(CARS)])
        values, odds = torch.from_numpy(rng.normal(size=(2, CARS)).astype(np.float32))
        buffer.add(frames, actions, rng.normal(size=CARS), rng.random(CARS) < 0.2, values, odds)
    buffer.compute_returns_and_advantage(torch.ones(CARS), np.zeros(CARS, dtype=bool))


def minibatches(buffer):
    """Two passes over a rollout in batches of 4."""
    np.random.seed(0)  # noqa: NPY002 - Stable-Baselines3 shuffles with it
    return [list(buffer.get(4)) for _ in range(2)]


@pytest.mark.parametrize(
    ("seen", "action", "theirs"),
    [(FRAME, STEERING, RolloutBuffer), (BOTH, GEARS, DictRolloutBuffer)],
    ids=["one sensor, continuous", "several, discrete"],
)
def test_minibatches_are_those_of_stable_baselines3_to_the_bit(seen, action, theirs):
    ours, reference = (
        kind(STEPS, seen, action, device="cpu", n_envs=CARS)
        for kind in (rollout_buffer_class(seen), theirs)
    )
    for seed in (1, 2):
        fill(ours, seen, action, seed)
        fill(reference, seen, action, seed)
        torch.testing.assert_close(minibatches(ours), minibatches(reference), rtol=0.0, atol=0.0)


def test_a_rollout_crosses_once_for_all_its_minibatches_and_frames_as_bytes(monkeypatch):
    crossed = []
    before = torch.from_numpy
    monkeypatch.setattr(
        torch, "from_numpy", lambda values: crossed.append(values) or before(values)
    )
    buffer = rollout_buffer_class(FRAME)(STEPS, FRAME, STEERING, device="cpu", n_envs=CARS)
    fill(buffer, FRAME, STEERING, 0)
    crossed.clear()
    minibatches(buffer)
    assert [(part.dtype, len(part)) for part in crossed] == [
        (np.uint8, STEPS * CARS),
        *[(np.float32, STEPS * CARS)] * 5,
    ]

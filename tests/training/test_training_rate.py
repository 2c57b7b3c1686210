"""The rate of a config is measured by training it for a moment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from racer.assets.document import validate_document
from racer.training.config import RunConfig
from racer.training.training_rate import training_rate
from tests.helpers.runs import SMALL, config


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ({"ppo": {"n_steps": 64, "batch_size": 128}}, 8 * 32),  # Two minibatches.
        ({"num_envs": 6, "ppo": {"n_steps": 512, "batch_size": 64}}, 6 * 32),  # Whole ones.
        ({"ppo": {"n_steps": 16, "batch_size": 128}}, 8 * 16),  # Never more than the config's.
        ({"algorithm": "sac", "sac": {"learning_starts": 1000, "batch_size": 64}}, 8 * 4),
    ],
)
def test_a_rate_counts_whole_rollouts_with_their_updates(fields, steps, monkeypatch):
    ticks = iter(range(1000))
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr("racer.training.training_rate.time", clock)
    shared = {name: value for name, value in SMALL.items() if name != "ppo"}
    wanted = validate_document(shared | fields, RunConfig, "test")
    before = wanted.model_dump()
    # One second passes from each rollout's beginning to the next.
    assert training_rate(wanted, seconds=3.0) == steps
    assert next(ticks) == 5  # The first rollout is not counted.
    assert wanted.model_dump() == before


def test_a_rate_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert training_rate(config(), seconds=0.01) > 0.0
    assert not list(tmp_path.iterdir())

"""Two processes that learn from their own cars, and from the mean of their gradients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from racer.gpu.device_ppo import DevicePPO
from racer.gpu.gradient_averaging import standardized_over_all
from tests.helpers.dots import STATE, STEERING, dots_learner, random_samples

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from tests.helpers.dots import learn_with_others
learn_with_others(int(sys.argv[1]), 2, Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Gradients of a minibatch, and weights after a training, of two processes."""
    folder = tmp_path_factory.mktemp("together")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(rank), str(folder)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for rank in range(2)
    ]
    assert [one.wait(timeout=300) for one in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.ci
@pytest.mark.slow
def test_the_mean_gradient_is_that_of_one_process_over_both_halves(learnt):
    alone = dots_learner(DevicePPO, STATE, STEERING)
    loss, _ = alone._loss(random_samples(64), 0.2)
    loss.backward()
    expected = [one.grad for one in alone.policy.parameters()]
    for gradients, _ in learnt:
        torch.testing.assert_close(gradients, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_processes_with_other_cars_keep_the_same_weights(learnt):
    (_, first), (_, second) = learnt
    assert all(torch.equal(one, other) for one, other in zip(first, second))


def test_alone_the_advantages_are_scaled_as_stable_baselines3_scales_them():
    values = torch.tensor([1.0, 2.0, 4.0, 9.0])
    expected = (values - values.mean()) / (values.std() + 1e-8)
    assert torch.equal(standardized_over_all(values), expected)

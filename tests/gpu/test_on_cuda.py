"""What only a CUDA device can show: its cars are those of the processor, in one graph."""

import numpy as np
import pytest
import torch

from racer.gpu.gpu_env import GpuVectorEnv
from tests.helpers.device_cars import driver

pytestmark = pytest.mark.gpu


def test_cars_on_a_gpu_drive_as_on_the_processor():
    race = {"start": "round_robin", "direction": "alternate"}
    config = {"sensor": "state", "track": "oval", "race": race, "max_episode_steps": 60}
    host = GpuVectorEnv(16, device="cpu", **config)
    device = GpuVectorEnv(16, device="cuda", **config)
    seen = host.reset(seed=0).numpy().copy()
    device.reset(seed=0)
    for number in range(150):
        actions = torch.from_numpy(driver(seen, number))
        step = host.step(actions)
        on_gpu = device.step(actions.cuda())
        seen = step.observations.numpy().copy()
        np.testing.assert_allclose(on_gpu.observations.cpu().numpy(), seen, atol=1e-5)
        np.testing.assert_allclose(on_gpu.rewards.cpu().numpy(), step.rewards.numpy(), atol=1e-6)
        assert np.array_equal(on_gpu.terminated.cpu().numpy(), step.terminated.numpy())
    bodies = device._body.numpy(), host._body.numpy()
    np.testing.assert_allclose(*bodies, rtol=0.0, atol=1e-9)
    assert device._graph is not None
    assert device.read_statistics().episodes == host.read_statistics().episodes


def test_a_step_on_a_gpu_does_not_wait_for_it():
    cars = GpuVectorEnv(64, device="cuda", seed=0, sensor="state", reward="progress")
    actions = torch.zeros(64, 2, device="cuda")
    cars.reset()
    for _ in range(4):
        cars.step(actions)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert cars.step(actions).rewards.is_cuda
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_tensors_of_a_gpu_are_the_arrays_themselves():
    cars = GpuVectorEnv(8, device="cuda", seed=0, sensor="state", reward=None)
    assert cars.reset().data_ptr() == cars._seen["state"].ptr
    assert cars.step(torch.zeros(8, 2, device="cuda")).rewards.data_ptr() == cars._rewards.ptr

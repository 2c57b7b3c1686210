"""What only a CUDA device can show: a learner that does not wait for it."""

import pytest
import torch
from stable_baselines3.common.callbacks import CallbackList

from racer.gpu.device_ppo import DevicePPO
from racer.training.learner import build_learner
from racer.training.train import run_training
from racer.training.training_env import make_training_env
from tests.helpers.runs import CHUNK, QUIET, chunked_config, config, no_figures

__all__ = ["no_figures"]
pytestmark = pytest.mark.gpu


def test_a_rollout_and_an_update_do_not_wait_for_a_gpu(monkeypatch, subtests):
    camera = {"kind": "camera", "width": 80, "height": 60}
    for name, sensor, actions in [
        ("state", "state", "continuous"),
        ("camera", camera, "continuous"),
        ("a list of actions", "state", "discrete"),
    ]:
        with subtests.test(name=name):
            learning = config(sensor=sensor, actions=actions, device="cuda", simulator="device")
            env = make_training_env(learning, is_logged=False)
            model = build_learner(learning, env)
            assert isinstance(model, DevicePPO)
            model.learn(1)
            monkeypatch.setattr(env, "read_episodes", lambda: ())
            monkeypatch.setattr(model, "_log_update", lambda figures, clip_range: None)
            callback = CallbackList([])
            callback.init_callback(model)
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("error")
            try:
                model.collect_rollouts(env, callback, model.rollout_buffer, model.n_steps)
                model.train()
            finally:
                torch.cuda.set_sync_debug_mode("default")
            assert model.rollout_buffer.advantages.is_cuda


def test_a_training_on_a_gpu_has_its_cars_there_and_is_judged(tmp_path):
    result = run_training(chunked_config(device="cuda"), tmp_path / "run", QUIET)
    assert result.is_finished
    assert result.steps == 4 * CHUNK
    assert "simulated on the host" not in (tmp_path / "run" / "log.txt").read_text()


def test_bfloat16_and_compiled_layers_train(tmp_path):
    camera = {"kind": "camera", "width": 80, "height": 60}
    faster = {"torch_autocast": True, "torch_compile": True, "device": "cuda"}
    result = run_training(
        chunked_config(sensor=camera, total_timesteps=CHUNK, **faster), tmp_path / "run", QUIET
    )
    assert result.is_finished

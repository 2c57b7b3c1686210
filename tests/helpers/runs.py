"""Trainings of seconds, and whether two of them learnt the same."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from racer.assets.document import validate_document
from racer.reward import RewardSource
from racer.training.callbacks.log import LogCallback
from racer.training.config import RunConfig
from racer.training.run_dir import Run

QUIET = Console(file=io.StringIO())
SMALL: dict[str, Any] = {
    "sensor": {"kind": "state"},
    "actions": {"speed": (0.8, 2.0)},
    "num_envs": 8,
    "total_timesteps": 2048,
    "network": {"hidden": (32,)},
    "ppo": {"n_steps": 64, "batch_size": 128, "n_epochs": 2},
    "evaluation": {"eval_freq": 1024, "laps": 1, "time_limit": 5.0},
    "device": "cpu",
    "torch_threads": 1,
}
"""Two rollouts of 1,024 steps, an evaluation after each."""
TINY: dict[str, Any] = {
    "sensor": "state",
    "num_envs": 4,
    "total_timesteps": 256,
    "network": {"hidden": [16]},
    "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 2, "final_learning_rate": 1e-4},
    "evaluation": {"eval_freq": 128, "laps": 1, "time_limit": 1.0, "video_freq": 0},
    "device": "cpu",
    "torch_threads": 1,
}
"""Two rollouts of 128 steps, an evaluation after each."""
CHUNK = 256
"""Steps between two evaluations of `chunked_config`."""


def config(**changes: Any) -> RunConfig:
    """Return `SMALL` with other values."""
    return validate_document(SMALL | changes, RunConfig, "test")


def chunked_config(**changes: Any) -> RunConfig:
    """Return a config of four chunks, each of two rollouts and an evaluation."""
    rules = {"eval_freq": CHUNK, "laps": 1, "time_limit": 2.0}
    ppo = {"n_steps": 16, "batch_size": 64, "n_epochs": 1, "final_learning_rate": 1e-5}
    return config(**{"total_timesteps": 4 * CHUNK, "ppo": ppo, "evaluation": rules} | changes)


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Leave out the figures of evaluations, which take most of so short a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LogCallback, "_record_pictures", lambda self, result, track: None)
        yield


def written_run(folder: Path, reward: str = "progress", **changes: Any) -> Run:
    """Return a run that nobody trained: three evaluated checkpoints, the second the best."""
    run = Run.create(
        folder, config(reward=reward, **changes), RewardSource.find(reward), {}, "small"
    )
    rng = np.random.default_rng(0)
    for steps, lap in ((512, None), (1024, 7.5), (2048, 8.0)):
        best = "step-512.pt" if steps == 512 else "step-1024.pt"
        content = io.BytesIO()
        torch.save(
            {"format": 1, "optimizer": {}, "progress": json.dumps({"seconds": 0.06 * steps})},
            content,
        )
        run.saved.save(content.getvalue(), steps, True, best, 3)
        laps = {"laps": 1, "laps_completed": int(lap is not None), "best_lap_s": lap}
        times = {"total_time_s": lap, "lap_times_s": [lap] if lap else [], "limit_s": 4.0}
        times |= {"x_limit": lap and lap / 4.0, "distance_m": 19.0 if lap else 6.0, "resets": 0}
        run.log("evaluations", [{"steps": steps, **laps, **times}])
        paid = rng.uniform(0.0, steps / 100.0, 5).tolist()
        ended = {"ending": "off_track", "track": 0, "xy": [0.0, 0.0], "lap_time_s": None}
        episodes = [{"steps": steps, "reward": one, "progress": one, **ended} for one in paid]
        run.log("episodes", episodes)
        if lap == 7.5:
            run.mark_best({"checkpoint": best, "result": {**laps, **times}})
    run.mark_ended("finished")
    return run


def weights_after(folder, steps: int) -> dict[str, torch.Tensor]:
    """Return the policy's weights of a checkpoint."""
    content = Run.open(folder).saved.read(f"step-{steps}.pt")
    return torch.load(io.BytesIO(content), weights_only=True)["policy"]


def best_weights(run: Run) -> dict[str, torch.Tensor]:
    """Return the policy's weights of the best checkpoint."""
    return torch.load(run.best(), weights_only=True)["policy"]


def assert_same_run(first, second, steps: int = 4 * CHUNK) -> None:
    """Hold that two runs have the same last weights, evaluations and episodes, to the byte."""
    mine, theirs = weights_after(first, steps), weights_after(second, steps)
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    for name in ("evaluations.jsonl", "episodes.jsonl", "best.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name

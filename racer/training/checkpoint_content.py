"""The content of a checkpoint: the learner, the generators' states and the run's progress."""

from __future__ import annotations

import io
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from racer import __version__
from racer.errors import RunError
from racer.evaluation import LapResult
from racer.laptime import LapTimeLimit
from racer.race import Ending

if TYPE_CHECKING:
    from stable_baselines3 import PPO

CHECKPOINT_FORMAT = 1


def chunk_seed(seed: int, steps: int) -> int:
    """Return the seed of the cars for the chunk that begins after `steps` steps of a run.

    A chunk is the part of a training between two whole checkpoints.
    """
    if steps == 0:
        return seed
    return int(np.random.SeedSequence((seed, steps)).generate_state(1)[0])


def pack_checkpoint(model: PPO, progress: dict[str, Any]) -> bytes:
    """Return the bytes of a checkpoint.

    They hold the learner's weights and optimizer, the state of every random number generator that
    it draws from, and the progress of its run.

    Args:
        model: The learner. No rollout may be in progress, because rollouts are not saved.
        progress: The progress of the run as JSON can hold it: numbers, strings, lists and dicts.
    """
    buffer = io.BytesIO()
    state = {
        "format": CHECKPOINT_FORMAT,
        "versions": _versions(),
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "steps": model.num_timesteps,
        "updates": model._n_updates,
        "random": _random_state(model.device),
        "progress": json.dumps(progress),
    }
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack_checkpoint(content: bytes, source: str, device: torch.device) -> dict[str, Any]:
    """Return the state that `pack_checkpoint` packed.

    Only tensors and plain values are read; no code in the content is executed.

    Args:
        content: The checkpoint's bytes.
        source: The checkpoint's path, for error messages.
        device: The device on which the tensors are placed.

    Raises:
        RunError: The content is not a checkpoint, or has another format.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        if state["format"] != CHECKPOINT_FORMAT:
            raise ValueError(f"its format is {state['format']}, wanted {CHECKPOINT_FORMAT}")
        state["progress"] = json.loads(state["progress"])
    except Exception as problem:
        raise RunError(f"{source}: not a checkpoint: {problem}") from problem
    return state


def load_learner(model: PPO, state: dict[str, Any], source: str) -> None:
    """Load the weights, the optimizer and the counts of steps and updates into a learner.

    Args:
        model: The learner, built from the config of the run that saved the checkpoint.
        state: The state that `unpack_checkpoint` returned.
        source: The checkpoint's path, for error messages.

    Raises:
        RunError: The state does not fit the learner.
    """
    try:
        model.policy.load_state_dict(state["policy"])
        model.policy.optimizer.load_state_dict(state["optimizer"])
        model.num_timesteps, model._n_updates = int(state["steps"]), int(state["updates"])
    except Exception as problem:
        raise RunError(f"{source}: not a checkpoint of this run: {problem}") from problem


def restore_rng(state: dict[str, Any]) -> None:
    """Restore every random number generator that the learner draws from.

    Args:
        state: The state that `unpack_checkpoint` returned.
    """
    held = state["random"]
    random.setstate(tuple(held["python"]))
    kind, keys, *rest = held["numpy"]
    # SB3 shuffles its batches with numpy's global generator.
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(held["torch"].cpu())
    for number, one in enumerate(held["cuda"]):
        torch.cuda.set_rng_state(one.cpu(), number)


def differing_versions(state: dict[str, Any]) -> str:
    """Describe the packages whose version has changed since a state was packed.

    Return an empty string if none has.
    """
    now = _versions()
    return ", ".join(
        f"{name} {now[name]} instead of {version}"
        for name, version in state["versions"].items()
        if now.get(name) != version
    )


def lap_result_from_dict(record: dict[str, Any], limit: LapTimeLimit | None) -> LapResult:
    """Return a result from its `as_dict`; the arrays that it recorded at each step are empty.

    Args:
        record: What `LapResult.as_dict` returned.
        limit: The minimum lap time of the result's car on its track; None if it is not known.
    """
    same = ("track", "seed", "laps", "laps_completed", "lap_times_s", "sector_times_s")
    counts = ("off_tracks", "collisions", "resets", "ending")
    none = np.zeros(0)
    return LapResult(
        **{name: record[name] for name in (*same, *counts)},
        distance=record["distance_m"],
        body=np.zeros((0, 13)),
        reached=np.zeros((0, 13)),
        waiting=np.zeros(0, dtype=bool),
        steering=none,
        time=none,
        command=np.zeros((0, 2)),
        progress=none,
        wheels_on_road=none,
        fault=none,
        boxes=np.zeros((0, 0, 10)),
        start=none,
        actions=none,
        colours=np.zeros((0, 3), np.uint8),
        limit=limit if record["limit_s"] is not None else None,
    )


def plain_episode(episode: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an episode in plain values: its `ending` as a number."""
    return episode | {"ending": int(episode["ending"])}


def episode_of(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an episode from what `plain_episode` returned."""
    return plain | {"ending": Ending(plain["ending"])}


def _versions() -> dict[str, str]:
    return {"racer": __version__, "torch": str(torch.__version__), "numpy": np.__version__}


def _random_state(device: torch.device) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    version, numbers, cached = random.getstate()
    return {
        "python": [version, tuple(numbers), cached],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if device.type == "cuda" else [],
    }

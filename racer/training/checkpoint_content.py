"""The content of a checkpoint: the learner, the generators' states and the run's progress."""

from __future__ import annotations

import io
import json
import random
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from racer import __version__
from racer.errors import RunError
from racer.evaluation import LapResult
from racer.laptime import LapTimeLimit
from racer.race import Ending

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

CHECKPOINT_FORMAT = 2
"""Version of a checkpoint's content. Version 1 is PPO's alone, with its only optimizer."""
COUNTERS = ("_n_calls", "exploration_rate", "_episode_num")
"""Numbers of an algorithm with a replay buffer that decide what it does next."""
TRANSITION_PARTS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of a replay buffer, (steps, cars, ...)."""


def chunk_seed(seed: int, steps: int) -> int:
    """Return the seed of the cars for the chunk that begins after `steps` steps of a run.

    A chunk is the part of a training between two whole checkpoints.
    """
    if steps == 0:
        return seed
    return int(np.random.SeedSequence((seed, steps)).generate_state(1)[0])


def pack_checkpoint(model: BaseAlgorithm, progress: dict[str, Any], is_whole: bool = True) -> bytes:
    """Return the bytes of a checkpoint.

    They hold the learner's weights and optimizers, the state of every random number generator that
    it draws from, the replay buffer of an algorithm that has one, and the progress of its run.

    Args:
        model: The learner. No rollout of an algorithm without a replay buffer may be in progress,
            because rollouts are not saved. Neither is what an LSTM remembers, because every car
            starts anew after a checkpoint.
        progress: The progress of the run as JSON can hold it: numbers, strings, lists and dicts.
        is_whole: Whether the run can be resumed from the checkpoint; otherwise the replay buffer is
            left out.
    """
    buffer = io.BytesIO()
    names, variables = model._get_torch_save_params()
    parts = {name: attrgetter(name)(model).state_dict() for name in names}
    state = {
        "format": CHECKPOINT_FORMAT,
        "versions": _versions(),
        "policy": parts.pop("policy"),
        "optimizers": parts,
        "variables": {name: getattr(model, name).detach() for name in variables},
        "counters": {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)},
        "replay_buffer": _transitions(model) if is_whole else None,
        "steps": model.num_timesteps,
        "updates": model._n_updates,  # pyright: ignore[reportAttributeAccessIssue]
        "random": _random_state(model),
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
        if state["format"] == 1:
            state["optimizers"] = {"policy.optimizer": state.pop("optimizer")}
            state |= {"variables": {}, "counters": {}, "replay_buffer": None}
        elif state["format"] != CHECKPOINT_FORMAT:
            raise ValueError(f"its format is {state['format']}, wanted 1 or {CHECKPOINT_FORMAT}")
        state["progress"] = json.loads(state["progress"])
    except Exception as problem:
        raise RunError(f"{source}: not a checkpoint: {problem}") from problem
    return state


def load_learner(model: BaseAlgorithm, state: dict[str, Any], source: str) -> None:
    """Load weights, optimizers, counts and the replay buffer into a learner.

    Args:
        model: The learner, built from the config of the run that saved the checkpoint.
        state: The state that `unpack_checkpoint` returned. Without its `replay_buffer` (None), the
            learner's stays empty.
        source: The checkpoint's path, for error messages.

    Raises:
        RunError: The state does not fit the learner.
    """
    try:
        model.policy.load_state_dict(state["policy"])
        for name, one in state["optimizers"].items():
            optimizer = attrgetter(name)(model)
            optimizer.load_state_dict(one)
            for held in optimizer.state.values():
                if torch.is_tensor(held.get("step")):
                    held["step"] = held["step"].cpu()  # On a GPU, each update would wait for it.
        with torch.no_grad():
            for name, one in state["variables"].items():
                getattr(model, name).copy_(one)
        for name, one in state["counters"].items():
            setattr(model, name, one)
        if state["replay_buffer"]:
            _load_transitions(model, state["replay_buffer"])
        model.num_timesteps = int(state["steps"])
        model._n_updates = int(state["updates"])  # pyright: ignore[reportAttributeAccessIssue]
        if drawn := state["random"].get("actions"):
            model.action_space.np_random.bit_generator.state = json.loads(drawn)
    except Exception as problem:
        raise RunError(f"{source}: not a checkpoint of this run: {problem}") from problem


def restore_rng(state: dict[str, Any]) -> None:
    """Restore the global random number generators that the learner draws from.

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


def _transitions(model: BaseAlgorithm) -> dict[str, Any] | None:
    """Return what a learner's replay buffer holds: tensors (steps, cars, ...), and its position."""
    buffer: Any = getattr(model, "replay_buffer", None)
    if buffer is None:
        return None
    held = buffer.buffer_size if buffer.full else buffer.pos

    def copy(values: Any) -> Any:
        if isinstance(values, dict):
            return {name: copy(one) for name, one in values.items()}
        return torch.from_numpy(values[:held])

    parts = {name: copy(getattr(buffer, name)) for name in TRANSITION_PARTS}
    return parts | {"pos": buffer.pos, "full": buffer.full}


def _load_transitions(model: BaseAlgorithm, transitions: dict[str, Any]) -> None:
    """Fill a learner's replay buffer with what `_transitions` returned.

    Raises:
        ValueError: The buffer has another shape.
    """
    buffer: Any = model.replay_buffer  # pyright: ignore[reportAttributeAccessIssue]

    def fill(values: Any, saved: Any) -> None:
        if isinstance(values, dict):
            for name, one in values.items():
                fill(one, saved[name])
        else:
            values[: len(saved)] = saved.cpu().numpy()

    for name in TRANSITION_PARTS:
        fill(getattr(buffer, name), transitions[name])
    buffer.pos, buffer.full = int(transitions["pos"]), bool(transitions["full"])


def _random_state(model: BaseAlgorithm) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    version, numbers, cached = random.getstate()
    is_cuda = model.device.type == "cuda"
    return {
        "python": [version, tuple(numbers), cached],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if is_cuda else [],
        # The first actions before learning begins, and QR-DQN's random ones, are drawn from here.
        "actions": json.dumps(model.action_space.np_random.bit_generator.state),
    }

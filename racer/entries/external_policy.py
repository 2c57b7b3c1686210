"""Writes an entry from a policy that racer did not train: a torch module or an ONNX graph."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from racer.assets.document import validate_document
from racer.entries.entry_check import CheckedEntry, check_entry
from racer.entries.io_spec import describe_array
from racer.entries.package import TrainedOn, save_entry
from racer.entries.sandbox_worker import first_line
from racer.entries.signing import PrivateKey
from racer.envs import EnvConfig
from racer.errors import EntryError
from racer.networks.network_config import (
    ACTION_OUTPUT,
    HIDDEN_STATE_INPUT,
    HIDDEN_STATE_OUTPUT,
)
from racer.networks.onnx_export import input_shapes, module_to_onnx, zero_observation
from racer.registration import ARGUMENTS, ENV_IDS
from racer.track import load_track

if TYPE_CHECKING:
    from torch import nn


def write_foreign_entry(
    policy: Path | str | bytes | nn.Module,
    path: Path,
    *,
    name: str,
    sensor: Any,
    actions: Any,
    env: str,
    track: str | None = None,
    walls: bool = False,
    car: str = "deepracer",
    author: str = "",
    hidden_state_size: int | None = None,
    key: PrivateKey | None = None,
) -> CheckedEntry:
    """Check an externally trained policy as a leaderboard does, then write it as an entry.

    See `racer.write_entry` for the inputs and output that a policy must have.

    Args:
        policy: An ONNX file's path or bytes, or a torch module.
        path: The package to write.
        name: Name of the entry on a leaderboard, 1-60 characters.
        sensor: What the policy observes, in any form that the environments take; None for the
            sensor of `env`.
        actions: What its actions mean, in any form that the environments take.
        env: Id of the Gymnasium environment that it is made for.
        track: Name of the track that it was trained on.
        walls: Whether there were walls on that track's borders.
        car: Preset of the car that it drives.
        author: Author of the policy, up to 60 characters.
        hidden_state_size: Numbers that a recurrent policy remembers; None if it is not recurrent.
        key: Private key that signs the entry.

    Returns:
        The result of the check.

    Raises:
        EntryError: If the policy does not match its sensor and actions, or a leaderboard would
            refuse it; nothing is written.
        RacerError: If another argument is invalid.
    """
    arguments = ARGUMENTS.get(env, {})
    if sensor is None:
        sensor = arguments.get("sensor", "camera")
    about = {"sensor": sensor, "actions": actions, "car": car}
    chosen = validate_document(about, EnvConfig, "write_entry")
    road = load_track(track).name if track else None
    if isinstance(policy, (str, Path)):
        graph = _read(Path(policy))
    elif isinstance(policy, bytes):
        graph = policy
    else:
        shapes = input_shapes(chosen.sensor)
        if hidden_state_size:
            shapes |= {HIDDEN_STATE_INPUT: (hidden_state_size,)}
        graph = _exported(policy, name, shapes, chosen.actions.space())
    checked: list[CheckedEntry] = []
    save_entry(
        path,
        graph,
        name=name,
        env=ENV_IDS[arguments["kind"]] if arguments else env,
        sensor=chosen.sensor,
        actions=chosen.actions,
        trained_on=TrainedOn(track=road, walls=walls),
        car=chosen.car,
        author=author,
        hidden_state_size=hidden_state_size,
        key=key,
        check=lambda entry: checked.append(check_entry(entry)),
    )
    return checked[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        why = problem.strerror or problem
        raise EntryError(f"{path}: cannot be read: {why}; give an ONNX file", "missing") from None


def _exported(
    module: Any,
    name: str,
    shapes: dict[str, tuple[int, ...]],
    space: spaces.Box | spaces.Discrete,
) -> bytes:
    """Return the ONNX graph of a torch module, with its output converted to an action.

    Args:
        module: The torch module; a copy of it is exported, so the caller's is left unchanged.
        name: Name of the entry in error messages.
        shapes: Shape of each sensor's observation by the sensor's name, and of a hidden state.
        space: Action space of the policy.

    Raises:
        EntryError: With the code `run` if the module fails on an observation, `signature` if its
            output cannot be converted to an action, or `graph` if torch cannot export it.
    """
    import torch

    from racer.networks.modules import ExternalActor

    if not isinstance(module, torch.nn.Module):
        raise EntryError(
            f"{name}: the policy is of type {type(module).__name__}; it must be the path or the "
            "bytes of an ONNX file, or a torch.nn.Module",
            "graph",
        )
    module = copy.deepcopy(module).to("cpu").eval()
    observation = zero_observation(shapes)
    described = ", ".join(
        f"{sensor} {_describe(tensor)}" for sensor, tensor in zip(shapes, observation)
    )
    try:
        with torch.no_grad():
            output = module(*observation)
    except Exception as problem:
        raise EntryError(
            f"{name}: the module failed on an observation, {described}: {first_line(problem)}; it "
            "is called with the environment's observation, a tensor for each sensor: permute, "
            "divide by 255 or flatten inside its forward()",
            "run",
        ) from problem
    is_action, expected = _matches_space(output, space)
    outputs = [ACTION_OUTPUT]
    if HIDDEN_STATE_INPUT in shapes:
        outputs.append(HIDDEN_STATE_OUTPUT)
        size = shapes[HIDDEN_STATE_INPUT][0]
        action, remembered = output if isinstance(output, tuple) and len(output) == 2 else (0, 0)
        is_action, expected = _matches_space(action, space)
        is_action = is_action and _describe(remembered) == f"float32 (1, {size})"
        expected = f"a pair: {expected}; and the next hidden state, float32 (1, {size})"
    if not is_action:
        raise EntryError(
            f"{name}: the module returns {_describe(output)}; expected is {expected}: return that "
            "alone from its forward()",
            "signature",
        )
    try:
        actor = ExternalActor(module, isinstance(space, spaces.Discrete))
        return module_to_onnx(actor, shapes, outputs)
    except Exception as problem:  # torch's errors have no common base below this one
        cause = problem.__cause__ if isinstance(problem.__cause__, Exception) else problem
        raise EntryError(
            f"{name}: torch cannot export the module: {first_line(cause)}; its forward() must "
            "take the same steps each time, on tensors alone: torch.where instead of an if",
            "graph",
        ) from problem


def _matches_space(output: Any, space: spaces.Box | spaces.Discrete) -> tuple[bool, str]:
    """Return whether a module's output can become an action, and a description of such outputs."""
    import torch

    is_tensor = isinstance(output, torch.Tensor)
    shape = tuple(output.shape) if is_tensor else ()
    is_float = is_tensor and output.is_floating_point()
    if isinstance(space, spaces.Box):
        return is_float and shape == (1, 2), "float32 (1, 2), steering and speed within [-1, 1]"
    count = int(space.n)
    is_index = is_tensor and output.dtype == torch.int64 and shape == (1,)
    return (
        is_index or (is_float and shape == (1, count)),
        f"float32 (1, {count}), a value for each choice, or int64 (1), the index of one",
    )


def _describe(value: Any) -> str:
    """Return a value's type, and a tensor's shape, for an error message."""
    import torch

    if isinstance(value, torch.Tensor):
        return describe_array(tuple(value.shape), str(value.dtype).removeprefix("torch."))
    if isinstance(value, tuple):
        return f"({', '.join(map(_describe, value[:3]))})"
    return f"a {type(value).__name__}"

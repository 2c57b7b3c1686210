"""A policy that racer did not train, as an entry that a board takes."""

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
    key: PrivateKey | None = None,
) -> CheckedEntry:
    """Write an entry of a policy that racer did not train, once a board would take it.

    See `racer.write_entry` for what is not told here.

    Args:
        policy: An ONNX file's path or bytes, or a torch module.
        path: The package to write.
        name: What a board calls it.
        sensor: What it sees, in any form that the environments take; None for that of `env`.
        actions: What its actions mean, in any form that the environments take.
        env: The Gymnasium id that it is made for.
        track: The track that it was trained on.
        walls: Whether walls stood there.
        car: The car that it drives.
        author: Who made it.
        key: Signs the entry.

    Returns:
        What the check found.

    Raises:
        EntryError: The policy is not what its sensor and actions ask for, or a board would refuse
            it; nothing is written.
        RacerError: A field that cannot be used.
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
        graph = _exported(policy, name, input_shapes(chosen.sensor), chosen.actions.space())
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
        key=key,
        check=lambda entry: checked.append(check_entry(entry)),
    )
    return checked[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        why = problem.strerror or problem
        raise EntryError(f"{path}: cannot be read: {why}; name an ONNX file", "missing") from None


def _exported(
    module: Any,
    name: str,
    shapes: dict[str, tuple[int, ...]],
    space: spaces.Box | spaces.Discrete,
) -> bytes:
    """The graph of a copy of a torch module whose answer is made an action.

    Raises:
        EntryError: `run` where it fails on an observation, `signature` where its answer is no
            action, `graph` where torch cannot export it.
    """
    import torch

    from racer.networks.modules import ExternalActor

    if not isinstance(module, torch.nn.Module):
        raise EntryError(
            f"{name}: the policy is of type {type(module).__name__}; wanted is the path or the "
            "bytes of an ONNX file, or a torch.nn.Module",
            "graph",
        )
    module = copy.deepcopy(module).to("cpu").eval()
    seen = zero_observation(shapes)
    given = ", ".join(f"{part} {_words(one)}" for part, one in zip(shapes, seen))
    try:
        with torch.no_grad():
            answer = module(*seen)
    except Exception as problem:
        raise EntryError(
            f"{name}: the module failed on an observation, {given}: {first_line(problem)}; it is "
            "called with what the environment gives, a tensor for each sensor: permute, divide by "
            "255 or flatten inside its forward()",
            "run",
        ) from problem
    is_action, wanted = _wanted(answer, space)
    if not is_action:
        raise EntryError(
            f"{name}: the module answers {_words(answer)}; wanted is {wanted}: return that alone "
            "from its forward()",
            "signature",
        )
    try:
        return module_to_onnx(ExternalActor(module, isinstance(space, spaces.Discrete)), shapes)
    except Exception as problem:  # torch's errors have no common base below this one
        cause = problem.__cause__ if isinstance(problem.__cause__, Exception) else problem
        raise EntryError(
            f"{name}: torch cannot export the module: {first_line(cause)}; its forward() must "
            "take the same steps each time, on tensors alone: torch.where instead of an if",
            "graph",
        ) from problem


def _wanted(answer: Any, space: spaces.Box | spaces.Discrete) -> tuple[bool, str]:
    """Whether a module's answer can be made an action, and what such an answer is."""
    import torch

    is_tensor = isinstance(answer, torch.Tensor)
    shape = tuple(answer.shape) if is_tensor else ()
    is_float = is_tensor and answer.is_floating_point()
    if isinstance(space, spaces.Box):
        return is_float and shape == (1, 2), "float32 (1, 2), steering and speed within [-1, 1]"
    count = int(space.n)
    is_index = is_tensor and answer.dtype == torch.int64 and shape == (1,)
    return (
        is_index or (is_float and shape == (1, count)),
        f"float32 (1, {count}), a value for each choice, or int64 (1), the index of one",
    )


def _words(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return describe_array(tuple(value.shape), str(value.dtype).removeprefix("torch."))
    return f"a {type(value).__name__}"

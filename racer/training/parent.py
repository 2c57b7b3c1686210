"""The policy whose weights a training begins with: another run's, or an entry's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from racer.car.action_space import ActionSpace
from racer.entries.onnx_check import check_graph
from racer.entries.package import MAX_LINEAGE, Ancestor, is_label, read_entry
from racer.errors import ConfigError, RunError
from racer.networks.network_config import OBSERVATION_INPUT
from racer.networks.onnx_export import actor_weights
from racer.networks.policy_network import policy_parameters
from racer.sensors.config import Sensors
from racer.training.checkpoint_choice import split_checkpoint
from racer.training.checkpoint_content import unpack_checkpoint
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.start_config import parent_run

ENTRY_PARAMETERS = ("features_extractor.", "mlp_extractor.policy_net.", "action_net.")
"""Prefixes of the weights that `actor_weights` reads from an entry."""


class ParentPolicy(NamedTuple):
    """A policy whose weights another training begins with.

    Attributes:
        source: Where it comes from, in words.
        weights: The tensors by their names in the state dict of Stable-Baselines3's policy.
        sensor: What it observes.
        actions: Its action space.
        log_std_init: The log standard deviation of the actions that its training began with; None
            if that is not known, or no such parameter exists.
        lineage: The policy itself, then its ancestors.
        has_batch_norms: Whether its batch norms, if any, are layers of their own.
        algorithm: What trained it, or whose names the weights have.
        parameters: Prefixes of the weights that act; see `policy_parameters`.
    """

    source: str
    weights: Mapping[str, torch.Tensor]
    sensor: Sensors
    actions: ActionSpace
    log_std_init: float | None
    lineage: tuple[Ancestor, ...]
    has_batch_norms: bool
    algorithm: str
    parameters: Mapping[str, str]


def load_parent(parent: str) -> ParentPolicy:
    """Return the policy that a training begins with.

    Args:
        parent: A run's folder or an entry: `RUN`, `RUN@best`, `RUN@last`, `RUN@STEPS` or `ENTRY`.
            The best checkpoint is the default.

    Raises:
        ConfigError: A checkpoint of an entry is asked for.
        RacerError: There is no such run, checkpoint or entry, or it cannot be used.
    """
    path, choice = split_checkpoint(parent)
    if not path.is_file():
        run = parent_run(path, parent)
        return _policy_of_run(run, run.checkpoint(choice or "best").name)
    if path.suffix == ".pt":
        raise ConfigError(
            f"--from {parent}: name the run and the steps of its checkpoint, such as "
            "--from runs/first@40960"
        )
    if choice is not None:
        raise ConfigError(f"--from {parent}: an entry holds one policy; leave out @{choice}")
    return _policy_of_entry(path)


def _policy_of_run(run: Run, file: str) -> ParentPolicy:
    """Return the policy of one of a run's checkpoints.

    Raises:
        RunError: It cannot be read.
    """
    config, content = run.config(), run.saved.read(file)
    state = unpack_checkpoint(content, str(run.checkpoints / file), torch.device("cpu"))
    name = run.folder.resolve().name
    itself = Ancestor(
        kind="run",
        name=name if is_label(name) else "run",
        steps=int(state["steps"]),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return ParentPolicy(
        source=f"{run.folder} after {state['steps']:,} steps (SHA-256 {itself.sha256[:12]})",
        weights=state["policy"],
        sensor=config.sensor,
        actions=config.actions,
        log_std_init=getattr(config.hyperparameters, "log_std_init", None),
        lineage=(itself, *run.lineage())[:MAX_LINEAGE],
        has_batch_norms=True,
        algorithm=config.algorithm,
        parameters=policy_parameters(config.network.layers, config.actor_layout),
    )


def _policy_of_entry(path: Path) -> ParentPolicy:
    """Return the policy of an entry.

    Raises:
        EntryError: It cannot be read, or its graph is not a policy's.
        RunError: It is quantized, or its weights cannot be read.
    """
    entry = read_entry(path)
    manifest, origin = entry.manifest, entry.manifest.trained_on
    if manifest.quantization:
        raise RunError(
            f"--from {path}: its weights are rounded to {manifest.quantization}; name its run, or "
            "an entry that is not quantized"
        )
    check_graph(entry)
    itself = Ancestor(kind="entry", name=manifest.name, steps=origin.steps, sha256=entry.sha256)
    lineage = (itself, *origin.lineage)[:MAX_LINEAGE]
    # A graph has mean and variance of the observations, but not the count that weighs them.
    seen = sum(one.steps or 0 for one in lineage) or 1
    try:
        found = actor_weights(entry.policy, manifest.sensor)
    except Exception as problem:  # a graph that racer did not export may be wrong in many ways
        raise RunError(f"--from {path}: its weights cannot be read: {problem}") from problem
    weights = {}
    for name, values in found.items():
        weights[name] = torch.from_numpy(values)
        if name.endswith(".mean"):
            weights[name.removesuffix("mean") + "count"] = torch.tensor(float(seen))
    return ParentPolicy(
        source=f"{path} (SHA-256 {entry.sha256[:12]})",
        weights=weights,
        sensor=manifest.sensor,
        actions=manifest.actions,
        log_std_init=None,
        lineage=lineage,
        has_batch_norms=False,
        algorithm="ppo",
        parameters={name: name for name in ENTRY_PARAMETERS},
    )


def inherit_weights(policy: nn.Module, parent: ParentPolicy, config: RunConfig) -> list[str]:
    """Copy the parent's weights into each layer of a policy that has the parent's shape.

    Args:
        policy: The policy as Stable-Baselines3 trains it, with new weights.
        parent: The policy whose weights are copied.
        config: The config of the training that begins.

    Returns:
        What was done, in sentences: what the weights come from, the layers that stay new, and
        whether the actions now mean something else.

    Raises:
        RunError: None of the layers that act fits; or batch norms cannot be taken from an entry.
    """
    acting = policy_parameters(config.network.layers, config.actor_layout)
    renamed = _renamed(parent, config.algorithm, acting)
    weights = {_by_sensor(name, parent.sensor): one for name, one in renamed.items()}
    last = next(name for name, own in acting.items() if own == "action_net.").removesuffix(".")
    if config.network.layers.batch_norm and not parent.has_batch_norms:
        raise RunError(
            f"--from {parent.source}: an entry's batch norms are merged with its convolutions; "
            "begin with its run instead"
        )
    kept, new = [], []
    for name, own in _layers(policy):
        place = _by_sensor(f"{name}.", config.sensor) if name else ""
        held = {part: weights.get(place + part) for part in own}
        if why := _reason_to_renew(name, last, parent, config):
            new.append(f"{name or ', '.join(own)} ({why})")
        elif all(one is not None and one.shape == own[part].shape for part, one in held.items()):
            kept.append(name)
            with torch.no_grad():
                for part, one in held.items():
                    own[part].copy_(one)  # pyright: ignore[reportArgumentType]
        else:
            new.append(_describe(name, own, held))
    if not any(f"{name}.".startswith(tuple(acting)) for name in kept):
        raise RunError(
            f"--from {parent.source}: no layer of its policy fits this config's sensors, network "
            "and actions; train without --from, or with the network of the parent"
        )
    said = [f"begins with the weights of {parent.source}"]
    if new:
        said.append(f"new layers: {'; '.join(new)}")
    if last in kept and parent.actions != config.actions:
        said.append("the action layer is kept, but its outputs now stand for other actions")
    return said


def _renamed(
    parent: ParentPolicy, algorithm: str, acting: Mapping[str, str]
) -> Mapping[str, torch.Tensor]:
    """Return the parent's weights by the names that they have where another algorithm trains them.

    Algorithms share the layers that act, except for the last one, and no others.

    Args:
        parent: The policy.
        algorithm: The algorithm of the training that begins.
        acting: Its prefixes of the weights that act; see `policy_parameters`.
    """
    if algorithm == parent.algorithm:
        return parent.weights
    places = {own: name for name, own in acting.items() if own != "action_net."}
    found = {}
    for name, one in parent.weights.items():
        prefix = next((there for there in parent.parameters if name.startswith(there)), None)
        if prefix and (place := places.get(parent.parameters[prefix])):
            found[place + name.removeprefix(prefix)] = one
    return found


def _layers(policy: nn.Module) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Yield each layer's name and its own tensors; a layer with two names only once."""
    for name, layer in policy.named_modules():
        own = {
            **dict(layer.named_parameters(recurse=False)),
            **dict(layer.named_buffers(recurse=False)),
        }
        if own:
            yield name, own


def _by_sensor(name: str, sensors: Sensors) -> str:
    """Return a tensor's name in which the layers of a policy's only sensor have its name too.

    The layers of several sensors have the sensors' names, those of a single one `observation`.
    """
    only = f".{sensors[0].name}." if len(sensors) == 1 else f".{OBSERVATION_INPUT}."
    return name.replace(f".{OBSERVATION_INPUT}.", only)


def _reason_to_renew(name: str, last: str, parent: ParentPolicy, config: RunConfig) -> str:
    """Return why a layer stays new although its shape may fit; empty if it does not.

    Args:
        name: The layer's name; empty for the log standard deviation of the actions.
        last: The name of the layer that gives the actions.
        parent: The policy whose weights are copied.
        config: The config of the training that begins.
    """
    own, theirs = getattr(config.hyperparameters, "log_std_init", None), parent.log_std_init
    if name == last:
        if parent.algorithm != config.algorithm:
            return f"algorithm {config.algorithm} instead of {parent.algorithm}"
        is_other = parent.actions.kind != config.actions.kind
        return f"{config.actions.kind} actions instead of {parent.actions.kind}" * is_other
    if not name and None not in (own, theirs) and own != theirs:
        return f"{config.algorithm}.log_std_init {own:g} instead of {theirs:g}"
    return ""


def _describe(
    name: str, own: Mapping[str, torch.Tensor], held: Mapping[str, torch.Tensor | None]
) -> str:
    """Return a new layer's name, and its shape and the parent's where they differ.

    Args:
        name: The layer's name; empty for a tensor that is in no layer.
        own: The layer's tensors.
        held: The parent's tensors of the same names.
    """
    for part, one in held.items():
        if one is not None and one.shape != own[part].shape:
            return f"{name or part} ({_shape(own[part])} instead of {_shape(one)})"
    return f"{name or ', '.join(own)} (the parent has none)"


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape))

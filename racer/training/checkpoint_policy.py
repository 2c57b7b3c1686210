"""The policy of a run's checkpoint, without an environment and without a learner."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from racer.errors import RunError
from racer.networks.onnx_export import input_shapes
from racer.networks.policy_network import PolicyNetwork, load_network
from racer.training.checkpoint_content import unpack_checkpoint
from racer.training.config import RunConfig

if TYPE_CHECKING:
    from racer.training.run_dir import Run


class CheckpointPolicy(NamedTuple):
    """A policy as a checkpoint holds it.

    Attributes:
        config: The run's config.
        network: The policy on the CPU, in evaluation mode.
        steps: Control steps before the checkpoint, over all cars.
        versions: Versions of the packages that wrote it, by package.
    """

    config: RunConfig
    network: PolicyNetwork
    steps: int
    versions: dict[str, str]


def load_checkpoint_policy(run: Run, file: str | None = None) -> CheckpointPolicy:
    """Return the policy of one of a run's checkpoints.

    Args:
        run: The run.
        file: The name of the checkpoint's file; the best checkpoint if not given.

    Raises:
        RunError: There is no such checkpoint, it cannot be read, or it belongs to another network.
    """
    config, file = run.config(), file or run.best().name
    source = str(run.checkpoints / file)
    state = unpack_checkpoint(run.saved.read(file), source, torch.device("cpu"))
    shapes, layers = input_shapes(config.sensor), config.network.layers
    try:
        weights, layout = state["policy"], config.actor_layout
        network = load_network(shapes, layers, config.actions, weights, layout)
        return CheckpointPolicy(config, network, int(state["steps"]), state["versions"])
    except Exception as problem:
        raise RunError(f"{source}: not a checkpoint of this run: {problem}") from problem

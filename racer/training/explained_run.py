"""The policy of a run's checkpoint, to be explained. Imported only where torch is in use."""

from __future__ import annotations

import numpy as np
import torch

from racer.explain.network_policy import NetworkPolicy
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoint_content import unpack_checkpoint
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.export import entry_name
from racer.training.run_dir import Run


def explained_policy_of_run(run: Run, checkpoint: CheckpointChoice = "best") -> NetworkPolicy:
    """Return the policy of one of a run's checkpoints, with its network.

    Args:
        run: The run.
        checkpoint: `"best"`, `"last"`, or the control steps after which it was saved.

    Raises:
        RunError: There is no such checkpoint that fits the run.
    """
    file = run.checkpoint(checkpoint).name
    policy = load_checkpoint_policy(run, file)
    weights = unpack_checkpoint(run.saved.read(file), file, torch.device("cpu"))["policy"]
    config, deviation = policy.config, None
    # PPO learns a standard deviation for each action; SAC's depends on the observation.
    if config.actions.kind == "continuous" and "log_std" in weights:
        deviation = np.exp(weights["log_std"].detach().numpy().astype(np.float64))
    name = entry_name(run.folder, checkpoint=checkpoint)
    return NetworkPolicy(policy.network.actor(), config.sensor, config.actions, name, deviation)

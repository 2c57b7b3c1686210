"""The policy of a run's checkpoint, to be explained. Imported only where torch is in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from racer.evaluation import make_race_rules
from racer.explain.explained_card import ExplainedCard, kept_card, make_card
from racer.explain.network_policy import NetworkPolicy
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoint_content import unpack_checkpoint
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.export import entry_name
from racer.training.run_dir import Run


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Compute on one thread: for networks as small as a policy's a second one only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def explain_best_lap(run: Run) -> Path:
    """Explain a lap of a run's best checkpoint, and return the file of the card.

    A card that exists already is not made again. It takes some seconds.

    Args:
        run: The run.

    Raises:
        RunError: The run has no checkpoint, or it cannot be read.
        RacerError: The track cannot be used, or the card cannot be written.
    """
    path = run.explained_path(int(run.best().stem.removeprefix("step-")))

    def make() -> ExplainedCard:
        config, race = run.config(), run.config().race
        rules = make_race_rules(1, race.off_track_penalty, like=race)
        policy = explained_policy_of_run(run)
        return make_card(policy, config.evaluation_tracks[0], rules, config.seed, config.car)

    with one_torch_thread():
        kept_card(path, make)
    return path

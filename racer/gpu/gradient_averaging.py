"""One update from the samples of several processes, each with a GPU and cars of its own.

The processes are torch.distributed's. Each has the same number of samples in its minibatch, so that
the mean of the processes' gradients is the gradient of the mean over all samples.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import distributed


def learns_with_others() -> bool:
    """Return whether this process is one of several that torch.distributed has connected."""
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace the gradients by their mean over all processes, in one message.

    Args:
        parameters: The parameters, in the same order in each process; those without a gradient are
            left out, and must be the same ones in each.
    """
    gradients = [one.grad for one in parameters if one.grad is not None]
    sent = torch.cat([one.flatten() for one in gradients])
    distributed.all_reduce(sent)
    sent /= distributed.get_world_size()
    sizes = [one.numel() for one in gradients]
    for gradient, mean in zip(gradients, sent.split(sizes)):
        gradient.copy_(mean.view_as(gradient))


def standardized_over_all(values: torch.Tensor) -> torch.Tensor:
    """Return values scaled to mean 0 and deviation 1 over the samples of all processes.

    As Stable-Baselines3's PPO does with the advantages of a minibatch, the deviation is that of a
    sample (its square is divided by one less than the count), and 1e-8 is added to it.

    Args:
        values: This process's samples, (k,), as many as each other's.
    """
    if not learns_with_others():
        return (values - values.mean()) / (values.std() + 1e-8)
    count = values.numel() * distributed.get_world_size()
    total = values.sum()
    distributed.all_reduce(total)
    off = values - total / count
    squares = (off * off).sum()
    distributed.all_reduce(squares)
    return off / ((squares / (count - 1)).sqrt() + 1e-8)

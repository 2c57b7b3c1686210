"""A rollout of PPO that is stored, valued and shuffled where the cars are simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples

DeviceObservations = torch.Tensor | dict[str, torch.Tensor]
"""Observations of n cars, each tensor (n, ...), as the policy takes them: images (n, C, H, W)."""


class DeviceRolloutStorage(RolloutBuffer):
    """Stable-Baselines3's rollout buffer as tensors on the learner's device, allocated once.

    Nothing in it waits for the device. Advantages, returns and minibatches are those of
    `RolloutBuffer`, computed by the same sums in the same order. Images keep the simulator's order
    in memory, in which the channels come last, as convolutions like it best.

    An episode that the clock ends is bootstrapped with the value of its last observation. That
    value is not asked for in the step, which would value all cars' observations for the few that
    end: the observations are kept, the last of each car, until `bootstrap`.

    Args:
        buffer_size: Steps of each car in a rollout.
        observation_space: Observations of one car as the policy takes them; an image is (C, H, W).
        action_space: Actions of one car.
        device: The device.
        gae_lambda: Lambda of the generalized advantage estimate.
        gamma: Discount factor.
        n_envs: Number of cars.

    Attributes:
        observations: The observations of the rollout, each tensor (steps, cars, ...).
        actions: (steps, cars, 2) float32, or (steps, cars) int64 where they are discrete.
        rewards: (steps, cars) float32; so are `values`, `log_probs`, `advantages` and `returns`.
        episode_starts: Whether a car's episode began with that step, (steps, cars) float32.
    """

    observations: Any
    actions: Any
    rewards: Any
    advantages: Any
    returns: Any
    episode_starts: Any
    values: Any
    log_probs: Any

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        gae_lambda: float = 1.0,
        gamma: float = 0.99,
        n_envs: int = 1,
    ) -> None:
        self._is_allocated = False
        super().__init__(
            buffer_size, observation_space, action_space, device, gae_lambda, gamma, n_envs
        )

    def reset(self) -> None:
        """Forget the rollout; the tensors stay where they are."""
        if not self._is_allocated:
            self._allocate()
            self._is_allocated = True
        self.pos, self.full = 0, False
        self._final_step.fill_(-1)

    def _allocate(self) -> None:
        steps, cars, device = self.buffer_size, self.n_envs, self.device
        self.observations = _each_box(
            self.observation_space, lambda box: _box_tensor(box, (steps, cars), device)
        )
        self._final = _each_box(
            self.observation_space, lambda box: _box_tensor(box, (cars,), device)
        )
        self._final_step = torch.empty(cars, dtype=torch.int64, device=device)
        is_discrete = isinstance(self.action_space, spaces.Discrete)
        shape, kind = ((), torch.int64) if is_discrete else ((self.action_dim,), torch.float32)
        self.actions = torch.zeros((steps, cars, *shape), dtype=kind, device=device)
        for name in (
            *("rewards", "returns", "episode_starts", "values", "log_probs", "advantages"),
        ):
            setattr(self, name, torch.zeros((steps, cars), device=device))

    @property
    def bytes_per_car(self) -> int:
        """Bytes that the tensors take for each car."""
        parts = [*_tensors(self.observations), *_tensors(self._final), self._final_step]
        parts += [self.actions, self.rewards, self.returns, self.episode_starts]
        parts += [self.values, self.log_probs, self.advantages]
        return sum(one.nbytes for one in parts) // self.n_envs

    def add(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        obs: DeviceObservations,
        action: torch.Tensor,
        reward: torch.Tensor,
        episode_start: torch.Tensor,
        value: torch.Tensor,
        log_prob: torch.Tensor,
    ) -> None:
        """Store one step of all cars.

        Args:
            obs: What the policy saw.
            action: What it did, (n, 2) or (n,), before any clipping.
            reward: What it was paid, (n,); see `pay` if that is not known yet.
            episode_start: Whether each car's episode began with this step, (n,).
            value: The critic's values, (n, 1) or (n,).
            log_prob: Log probabilities of the actions, (n,).
        """
        for stored, seen in zip(_tensors(self.observations), _tensors(obs), strict=True):
            stored[self.pos].copy_(seen)
        self.actions[self.pos].copy_(action)
        self.rewards[self.pos].copy_(reward)
        self.episode_starts[self.pos].copy_(episode_start)
        self.values[self.pos].copy_(value.flatten())
        self.log_probs[self.pos].copy_(log_prob)
        self.pos += 1
        self.full = self.pos == self.buffer_size

    def pay(self, reward: torch.Tensor) -> None:
        """Set the rewards of the step that was added last, (n,)."""
        self.rewards[self.pos - 1].copy_(reward)

    def keep_final(self, final: DeviceObservations, is_cut_off: torch.Tensor) -> None:
        """Keep the last observations of episodes that the clock ended in the step added last.

        A car's observation is written over by its next one, so `bootstrap` must come between.

        Args:
            final: The last observation of each car whose episode has ended, each tensor (n, ...).
            is_cut_off: Whether the clock ended it, (n,) bool; other rows of `final` are not read.
        """
        for kept, given in zip(_tensors(self._final), _tensors(final), strict=True):
            mask = is_cut_off.view(-1, *[1] * (given.ndim - 1))
            kept.copy_(torch.where(mask, given, kept))
        self._final_step.masked_fill_(is_cut_off, self.pos - 1)

    def bootstrap(self, values_of: Callable[[DeviceObservations], torch.Tensor]) -> None:
        """Add the discounted values of all kept observations to their steps' rewards.

        Args:
            values_of: Returns the critic's values of observations, (n, 1).
        """
        is_kept = self._final_step >= 0
        worth = self.gamma * values_of(self._final).flatten()
        worth = torch.where(is_kept, worth, torch.zeros_like(worth))
        self.rewards.scatter_add_(0, self._final_step.clamp(min=0)[None], worth[None])
        self._final_step.fill_(-1)

    def compute_returns_and_advantage(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, last_values: torch.Tensor, dones: torch.Tensor
    ) -> None:
        """Compute the generalized advantage estimate and the returns of the whole rollout.

        Args:
            last_values: The critic's values of the observations after the last step, (n, 1).
            dones: Whether each car's episode ended with the last step, (n,) bool.
        """
        following, is_running = last_values.flatten(), 1.0 - dones.float()
        gathered: Any = 0.0
        for step in reversed(range(self.buffer_size)):
            delta = self.rewards[step] + self.gamma * following * is_running - self.values[step]
            gathered = delta + self.gamma * self.gae_lambda * is_running * gathered
            self.advantages[step].copy_(gathered)
            following, is_running = self.values[step], 1.0 - self.episode_starts[step]
        torch.add(self.advantages, self.values, out=self.returns)

    def get(self, batch_size: int | None = None) -> Iterator[Any]:  # pyright: ignore
        """Yield minibatches of all samples in a random order, drawn by torch on the device.

        Args:
            batch_size: Samples in a minibatch; all by default.

        Yields:
            `RolloutBufferSamples` of tensors with a leading axis of samples.
        """
        assert self.full
        for index in self._order().split(batch_size or self.buffer_size * self.n_envs):
            seen = _each(self.observations, lambda one, index=index: _pick(one, index))
            yield RolloutBufferSamples(
                seen,
                *(
                    _pick(one, index)
                    for one in (
                        *(self.actions, self.values, self.log_probs),
                        *(self.advantages, self.returns),
                    )
                ),
            )

    def _order(self) -> torch.Tensor:
        """Return the indices of all samples in a random order; sample = step x cars + car."""
        return torch.randperm(self.buffer_size * self.n_envs, device=self.device)


def _pick(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return the samples at an index, (k, ...), from values (steps, cars, ...).

    Images (steps, cars, C, H, W) are gathered in the order that they have in memory.
    """
    if values.ndim < 5:
        return values.flatten(0, 1).index_select(0, index)
    stored = values.permute(0, 1, 3, 4, 2).flatten(0, 1)
    return stored.index_select(0, index).permute(0, 3, 1, 2)


def _each_box(space: spaces.Space, make: Callable[[Any], torch.Tensor]) -> Any:
    """Return what a function makes of a box, or a dict of it for each box of a dict."""
    if isinstance(space, spaces.Dict):
        return {name: make(box) for name, box in space.items()}
    return make(space)


def _box_tensor(box: Any, leading: tuple[int, ...], device: Any) -> torch.Tensor:
    """Return zeros (*leading, *box.shape); of an image, the channels are last in memory.

    Args:
        box: The space of one car's observation.
        leading: The first axes.
        device: Where the tensor is.
    """
    kind = torch.from_numpy(np.zeros(0, box.dtype)).dtype
    if len(box.shape) != 3:
        return torch.zeros((*leading, *box.shape), dtype=kind, device=device)
    channels, height, width = box.shape
    stored = torch.zeros((*leading, height, width, channels), dtype=kind, device=device)
    return stored.movedim(-1, -3)


def _tensors(seen: DeviceObservations) -> list[torch.Tensor]:
    """Return the tensors of observations, sorted by the names of their sensors."""
    return [seen[name] for name in sorted(seen)] if isinstance(seen, dict) else [seen]


def _each(seen: DeviceObservations, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return observations whose tensors a function has changed."""
    if isinstance(seen, dict):
        return {name: change(one) for name, one in seen.items()}
    return change(seen)

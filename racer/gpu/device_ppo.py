"""Stable-Baselines3's PPO, whose rollouts and updates never leave the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch.nn import functional

from racer.gpu.gradient_averaging import (
    average_gradients,
    learns_with_others,
    standardized_over_all,
)
from racer.gpu.rollout_storage import DeviceObservations, DeviceRolloutStorage


class DrivenStep(NamedTuple):
    """What a step of all n cars gives a learner on the same device.

    Attributes:
        observations: What the cars see next, each tensor (n, ...); the next step writes over it.
        rewards: (n,) float32.
        dones: Whether each car's episode ended, (n,) bool; the car has started another.
        is_cut_off: Whether the clock ended it, (n,) bool.
        final: The last observation of each car whose episode ended; its other rows mean nothing.
    """

    observations: DeviceObservations
    rewards: torch.Tensor
    dones: torch.Tensor
    is_cut_off: torch.Tensor
    final: DeviceObservations


class DeviceEnv(Protocol):
    """What `DevicePPO` needs of an environment besides Stable-Baselines3's `VecEnv`."""

    num_envs: int
    min_cut_off_steps: int
    """Fewest steps after which the clock ends an episode."""

    def drive(self, actions: torch.Tensor) -> DrivenStep:
        """Drive all cars for one control step, without waiting for the device.

        Args:
            actions: Actions within their bounds, (n, 2) float32 or (n,) int64.
        """
        ...

    def read_episodes(self) -> Sequence[dict[str, Any]]:
        """Return the infos of the episodes that ended since the last call; waits for the device."""
        ...


class DevicePPO(PPO):
    """Stable-Baselines3's PPO, for cars that are simulated on the learner's device.

    It has the hyperparameters, policies and optimizer of `PPO`, and from the same rollout, in the
    same order of samples, it learns the same. Between the first step of a rollout and the end of an
    update, the host waits for the device twice: for the records of the episodes that ended, which
    callbacks get as `infos` with a rollout's last step, and for the figures in the log.

    If torch.distributed has connected several processes, each learns from its own cars, and all
    from the mean of their gradients.

    The environment is a `VecEnv` with the methods of `DeviceEnv`, and `reset` returns tensors.
    """

    rollout_buffer: Any

    def _maybe_recommend_cpu(self, mlp_class_name: str = "ActorCriticPolicy") -> None:
        """Say nothing: the cars are on the device, so a small network belongs there, too."""

    def collect_rollouts(
        self, env: Any, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Drive all cars for a rollout, and return False if a callback has ended it.

        Args:
            env: The environment, a `DeviceEnv`.
            callback: Called at each step and at the beginning and the end.
            rollout_buffer: Where the rollout is stored.
            n_rollout_steps: Steps of each car.
        """
        storage: DeviceRolloutStorage = rollout_buffer
        self.policy.set_training_mode(False)
        storage.reset()
        callback.on_rollout_start()
        with torch.no_grad(), unchecked_distributions():
            if not self._drive_rollout(env, callback, storage, n_rollout_steps):
                return False
            storage.bootstrap(self.policy.predict_values)
            last_values = self.policy.predict_values(self._last_obs)  # pyright: ignore
            storage.compute_returns_and_advantage(last_values, self._last_episode_starts)  # pyright: ignore
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _drive_rollout(
        self,
        env: DeviceEnv,
        callback: BaseCallback,
        storage: DeviceRolloutStorage,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the storage, and return False if a callback has ended the rollout.

        Args:
            env: The environment.
            callback: Called at each step.
            storage: The storage, empty.
            n_rollout_steps: Steps of each car.
        """
        seen: Any = self._last_obs
        starts = torch.as_tensor(self._last_episode_starts, device=self.device)
        unpaid = torch.zeros(env.num_envs, device=self.device)
        for number in range(1, n_rollout_steps + 1):
            actions, values, log_probs = self.policy(seen)
            # The step writes over what was seen.
            storage.add(seen, actions, unpaid, starts, values, log_probs)
            seen, rewards, dones, is_cut_off, final = env.drive(self._within_bounds(actions))
            storage.pay(rewards)
            storage.keep_final(final, is_cut_off)
            starts = dones.clone()
            self.num_timesteps += env.num_envs
            infos = env.read_episodes() if number == n_rollout_steps else ()
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(list(infos))
            if number % env.min_cut_off_steps == 0:
                storage.bootstrap(self.policy.predict_values)
        self._last_obs, self._last_episode_starts = seen, starts  # pyright: ignore
        return True

    def _within_bounds(self, actions: torch.Tensor) -> torch.Tensor:
        """Return actions as the environment takes them: clipped, where they are continuous."""
        space = self.action_space
        if not isinstance(space, spaces.Box):
            return actions
        # All bounds of racer's actions are the same.
        return actions.clamp(float(space.low.min()), float(space.high.max()))

    def train(self) -> None:
        """Update the policy from the rollout, with the loss of Stable-Baselines3's PPO."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self.clip_range(self._current_progress_remaining)  # pyright: ignore
        parameters = list(self.policy.parameters())
        figures: list[dict[str, torch.Tensor]] = []
        with unchecked_distributions():
            for _ in range(self.n_epochs):
                for batch in self.rollout_buffer.get(self.batch_size):
                    loss, told = self._loss(batch, clip_range)
                    self.policy.optimizer.zero_grad()
                    loss.backward()
                    if learns_with_others():
                        average_gradients(parameters)
                    torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                    self.policy.optimizer.step()
                    figures.append(told)
                self._n_updates += 1
        self._log_update(figures, clip_range)

    def _loss(self, batch: Any, clip_range: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss of a minibatch, and figures for the log, each without an axis.

        Args:
            batch: The samples.
            clip_range: Clipping range of the probability ratio.
        """
        values, log_prob, entropy = self.policy.evaluate_actions(batch.observations, batch.actions)
        advantages = batch.advantages
        if self.normalize_advantage and len(advantages) > 1:
            advantages = standardized_over_all(advantages)
        log_ratio = log_prob - batch.old_log_prob
        ratio = torch.exp(log_ratio)
        clipped = torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
        policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
        value_loss = functional.mse_loss(batch.returns, values.flatten())
        entropy_loss = -torch.mean(-log_prob if entropy is None else entropy)
        loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
        with torch.no_grad():
            is_clipped = (ratio - 1).abs() > clip_range
            told = {
                "entropy_loss": entropy_loss,
                "policy_gradient_loss": policy_loss,
                "value_loss": value_loss,
                "approx_kl": torch.mean((ratio - 1) - log_ratio),
                "clip_fraction": torch.mean(is_clipped.float()),
                "loss": loss,
            }
        return loss, {name: one.detach() for name, one in told.items()}

    def _log_update(self, figures: Sequence[dict[str, torch.Tensor]], clip_range: float) -> None:
        """Record an update by the names of Stable-Baselines3, from one copy to the host.

        Args:
            figures: The figures of each minibatch.
            clip_range: Clipping range of the probability ratio.
        """
        names = list(figures[0])
        rows = torch.stack([torch.stack([told[name] for name in names]) for told in figures])
        batches = len(rows) // self.n_epochs
        shown = dict(zip(names, rows.mean(dim=0)))
        # Stable-Baselines3 logs the divergence of the last epoch, and the loss of the last batch.
        shown["approx_kl"] = rows[-batches:, names.index("approx_kl")].mean()
        shown["loss"] = rows[-1, names.index("loss")]
        storage = self.rollout_buffer
        left = (storage.returns - storage.values).var(correction=0)
        shown["explained_variance"] = 1.0 - left / storage.returns.var(correction=0)
        if hasattr(self.policy, "log_std"):
            shown["std"] = torch.exp(self.policy.log_std.detach()).mean()
        for name, value in zip(shown, torch.stack(list(shown.values())).tolist()):
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", clip_range)


@contextmanager
def unchecked_distributions() -> Iterator[None]:
    """Inside the `with` block, let torch's distributions not check their arguments.

    Each check waits for the device.
    """
    kind: Any = torch.distributions.Distribution
    before = kind._validate_args
    kind.set_default_validate_args(False)
    try:
        yield
    finally:
        kind.set_default_validate_args(before)

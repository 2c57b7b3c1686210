"""The cars that are simulated beside the learner, on its device, as a VecEnv."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from racer.gpu.device_ppo import DrivenStep
from racer.race import Ending
from racer.sensors import Observations
from racer.training.vec_env import channels_first_space

if TYPE_CHECKING:
    from racer.gpu.gpu_env import GpuVectorEnv

RECORDED_CARS = 256
"""Cars whose episodes are recorded, the first ones; what the others do is like it."""


class DeviceRewardScale:
    """Running mean and variance of numbers on the device, as Stable-Baselines3's `RunningMeanStd`.

    Args:
        device: Where the numbers are.

    Attributes:
        mean: Their mean; it may be set to a number, as may the others.
        var: Their variance.
        count: How many there were, and 1e-4.
    """

    def __init__(self, device: torch.device) -> None:
        self._moments = torch.tensor([0.0, 1.0, 1e-4], dtype=torch.float64, device=device)

    @property
    def mean(self) -> torch.Tensor:
        """The mean, a tensor without axes."""
        return self._moments[0]

    @mean.setter
    def mean(self, value: float) -> None:
        self._moments[0].fill_(value)

    @property
    def var(self) -> torch.Tensor:
        """The variance, a tensor without axes."""
        return self._moments[1]

    @var.setter
    def var(self, value: float) -> None:
        self._moments[1].fill_(value)

    @property
    def count(self) -> torch.Tensor:
        """The count, a tensor without axes."""
        return self._moments[2]

    @count.setter
    def count(self, value: float) -> None:
        self._moments[2].fill_(value)

    def update(self, values: torch.Tensor) -> None:
        """Include further numbers, (n,) float64, by Chan's parallel algorithm."""
        mean, var, count = self._moments.unbind()
        more = len(values)
        total = count + more
        off = values.mean() - mean
        squares = var * count + values.var(correction=0) * more + off**2 * count * more / total
        self._moments.copy_(torch.stack([mean + off * more / total, squares / total, total]))


class DeviceVecEnv(VecEnv):
    """A VecEnv for `DevicePPO`: observations, actions and rewards stay on the device.

    Observations are tensors (n, ...), or a dict of them by sensor name. Images have the shape
    (n, C, H, W), with the channels last in memory.

    Of the episodes of the first `RECORDED_CARS` cars the records are read once a rollout; they have
    the form of `EpisodeRunner`'s.

    Args:
        env: The cars.
        gamma: Discount factor. If given, rewards are divided by the running standard deviation of
            the discounted return and clipped to +-10, as in `CarsVecEnv`; None: they are not.

    Attributes:
        cars: The cars.
        scale: Running mean and variance of the discounted return; saved in checkpoints.
        min_cut_off_steps: Fewest control steps after which the clock can end an episode.
        simulator: Where the cars are simulated, as a config's `simulator` has it.
    """

    simulator = "device"

    def __init__(self, env: GpuVectorEnv, gamma: float | None = None) -> None:
        self.cars, self._gamma = env, gamma
        self.min_cut_off_steps = env.min_cut_off_steps
        device = torch.device(env.device)
        self.scale = DeviceRewardScale(device)
        self._returns = torch.zeros(env.num_envs, dtype=torch.float64, device=device)
        self._began = time.perf_counter()
        self._counted: list[torch.Tensor] = []
        super().__init__(
            env.num_envs,
            channels_first_space(env.single_observation_space),
            env.single_action_space,
        )

    def reset(self) -> Any:
        """Reset every car, with the first of the seeds given to `seed`; return the observations.

        Rewards forget what they remember of earlier episodes.
        """
        if self._counted:
            self.cars.renew_rewards()
        seen = self.cars.reset(seed=self._seeds[0])
        self._returns.zero_()
        self._counted = [self._finished()]
        self._reset_seeds()
        return _channels_first(seen)

    def drive(self, actions: torch.Tensor) -> DrivenStep:
        """Drive all cars for one control step; see `racer.gpu.device_ppo.DeviceEnv`.

        Args:
            actions: Actions within their bounds, (n, 2) float32 or (n,) int64.
        """
        step = self.cars.step(actions)
        dones = step.terminated | step.truncated
        self._counted.append(self._finished())
        return DrivenStep(
            _channels_first(step.observations),
            self._scaled(step.rewards, dones),
            dones,
            step.truncated,
            _channels_first(step.final_observations),
        )

    def _scaled(self, rewards: torch.Tensor, dones: torch.Tensor) -> torch.Tensor:
        if self._gamma is None:
            return rewards
        self._returns.mul_(self._gamma).add_(rewards)
        self.scale.update(self._returns)
        self._returns.masked_fill_(dones, 0.0)
        return (rewards / torch.sqrt(self.scale.var + 1e-8)).clamp(-10.0, 10.0).float()

    def read_episodes(self) -> Sequence[dict[str, Any]]:
        """Return an info with an `episode` for each that ended since the last call.

        Waits for the device. The records are in the order in which the episodes ended.

        Raises:
            RewardError: The reward failed since the last call.
            ConfigError: An action was not finite, as from an observation that was not.
        """
        self.cars.read_statistics()
        counted = torch.stack(self._counted).cpu().numpy()
        self._counted = self._counted[-1:]
        seconds = time.perf_counter() - self._began
        return [{"episode": one} for one in episode_records(counted, seconds)]

    def _finished(self) -> torch.Tensor:
        """Return a copy of what the recorded cars' episodes have summed up to, (k, columns)."""
        return self.cars.finished[:RECORDED_CARS].clone()

    @property
    def observations(self) -> Observations:
        """Current observations of the first car, images as (1, H, W, C); waits for the device."""
        seen = self.cars.observations
        if isinstance(seen, dict):
            return {name: values[:1].cpu().numpy() for name, values in seen.items()}
        return seen[:1].cpu().numpy()

    @property
    def poses(self) -> np.ndarray:
        """Where each car is, (n, 4); see `racer.training.live_frames.car_poses`."""
        return self.cars.poses.cpu().numpy()

    def close(self) -> None:
        """Free the cars."""
        self.cars.close()

    def step_async(self, actions: np.ndarray) -> None:
        """Raise NotImplementedError: a learner on the host has no use for these cars."""
        _refuse("step_async")

    def step_wait(self) -> NoReturn:
        """Raise NotImplementedError; see `step_async`."""
        _refuse("step_wait")

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute that all cars share, repeated for each index.

        Args:
            attr_name: Name of the attribute.
            indices: Indices of the cars; None for all.
        """
        return [getattr(self.cars, attr_name, None)] * self._count(indices)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> NoReturn:
        """Raise NotImplementedError: the cars' attributes are part of compiled kernels.

        Args:
            attr_name: Name of the attribute.
            value: The value.
            indices: Indices of the cars.
        """
        _refuse(f"set_attr({attr_name!r})")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> NoReturn:
        """Raise NotImplementedError: methods cannot be called for single cars.

        Args:
            method_name: Name of the method.
            args: Not used.
            indices: Not used.
            kwargs: Not used.
        """
        _refuse(f"env_method({method_name!r})")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for each car: there are no wrappers on the device."""
        return [False] * self._count(indices)

    def _count(self, indices: int | Iterable[int] | None) -> int:
        return len(list(self._get_indices(indices)))


def episode_records(counted: np.ndarray, seconds: float) -> list[dict[str, Any]]:
    """Return the records of the episodes that ended, the earliest first; see `EpisodeRunner`.

    Args:
        counted: What the episodes of k cars have summed up to, before the first step and after
            each, (steps + 1, k, columns); the columns are `FINISHED`.
        seconds: Wall-clock time since the cars were made [s].
    """
    from racer.gpu.rule_kernels import FINISHED

    column = {name: k for k, name in enumerate(FINISHED)}
    first_ending = column["ending_0"]
    more = np.diff(counted, axis=0)
    records = []
    for step, car in np.argwhere(more[..., column["episodes"]] > 0.5).tolist():
        own = more[step, car]
        is_timed = own[column["timed"]] > 0.5
        records.append(
            {
                "r": float(own[column["rewards"]]),
                "l": round(own[column["steps"]]),
                "t": seconds,
                "progress": float(own[column["progress"]]),
                "ending": Ending(int(np.argmax(own[first_ending:]))),
                "lap_time_s": float(own[column["lap_time"]]) if is_timed else float("nan"),
                "track": round(own[column["track"]]),
                "xy": [float(own[column["x"]]), float(own[column["y"]])],
            }
        )
    return records


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(
        f"{what}: these cars are simulated on a device, for DevicePPO alone; train with "
        "`simulator: host`, or use racer.envs.RacerVectorEnv"
    )


def _channels_first(seen: Any) -> Any:
    """Return images (n, H, W, C) as (n, C, H, W), without a copy, and numbers unchanged."""
    if isinstance(seen, dict):
        return {name: _channels_first(values) for name, values in seen.items()}
    return seen.permute(0, 3, 1, 2) if seen.ndim == 4 else seen

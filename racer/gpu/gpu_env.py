"""The vector environment on a device: n cars whose steps never leave it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from gymnasium import spaces

from racer.assets.document import validate_document
from racer.car.spec import car_named
from racer.car.tyre_forces import servo_share
from racer.envs.arguments import refuse_below_one, with_kind
from racer.envs.config import EnvConfig
from racer.errors import ConfigError, RewardError
from racer.gpu.episode_statistics import EpisodeStatistics, statistics_of
from racer.gpu.runtime import choose_device, load_warp
from racer.gpu.sensors import DeviceScene, GpuSensorSuite
from racer.race.roads import Roads
from racer.randomisation import NO_RANDOMISATION
from racer.reward import RewardSource
from racer.reward.params import front_offset
from racer.track import load_track
from racer.world import CONTROL_RATE_HZ, SUBSTEPS_PER_CONTROL

if TYPE_CHECKING:
    import torch

EAGER_STEPS = 2
"""Steps whose kernels are launched one by one: they load what a capture must not."""
DeviceTensors = Any
"""A torch tensor (n, ...) for one sensor; for several, a dict of them by the sensors' names."""


class GpuStep(NamedTuple):
    """What a step returns: tensors on the device, which the next step writes to again."""

    observations: DeviceTensors
    """What the cars observe; those whose episode ended observe the start of their next one."""
    rewards: torch.Tensor
    """(n,) float32."""
    terminated: torch.Tensor
    """Whether the task ended, (n,) bool."""
    truncated: torch.Tensor
    """Whether the clock ended it, (n,) bool."""
    final_observations: DeviceTensors
    """What the cars observed before the automatic reset; for most the same as `observations`."""


class GpuVectorEnv:
    """n cars that race alone, each in its own time trial, stepped together on one device.

    The cars, their rules, rewards and sensors are those of `RacerVectorEnv`; states differ by
    rounding alone, as long as the same episodes are drawn. The draws have the same distributions,
    but not the same numbers: the car with seed k draws the same alone and among others.

    `reset` and `step` launch kernels and wait for nothing. From the third step on a step is one
    graph of kernels; on a CUDA device it runs on torch's current stream. Tensors that they return
    share the memory of Warp's arrays and are filled anew by the next step.

    A mistake that a host would raise at once, an action that is not finite or a reward that fails,
    is counted on the device, and raised by `read_statistics`; the action counts as 0, as does the
    reward.

    Args:
        num_envs: Number of cars.
        device: `auto`, `cpu`, `cuda` or `cuda:0` and so on; see `choose_device`.
        seed: Seed of the first car; car i has seed + i. None: a new one each time.
        kind: The kind of race; see `RacerVectorEnv`.
        max_episode_steps: Control steps until truncation; `race.time_limit` holds too.
        **config: The fields of `EnvConfig`; `sensor="state"` is short for its kind.

    Attributes:
        config: The resolved config.
        num_envs: Number of cars.
        device: The torch device.
        single_observation_space: The space of one car's observation.
        single_action_space: The space of one car's action.
        max_episode_steps: Control steps until an episode is truncated.
        min_cut_off_steps: Fewest control steps after which the clock can end an episode.
        finished: What the finished episodes of each car have summed up to, columns in the order of
            `rule_kernels.FINISHED`, torch tensor (n, columns) float64; it only grows.

    Raises:
        ConfigError: The race has walls, boxes, bots or other engines than the twin; there is no
            such device; or a value cannot be used.
        RewardError: The reward cannot be paid on a device; with the reason and the line.
        RacerError: Warp or torch is not installed, or a track cannot be used.

    Example:
        >>> import torch
        >>> envs = GpuVectorEnv(64, device="cpu", seed=0, sensor="state")
        >>> envs.reset().shape
        torch.Size([64, 26])
        >>> step = envs.step(torch.zeros(64, 2))
        >>> envs.read_statistics().episodes
        0
    """

    def __init__(
        self,
        num_envs: int = 1,
        device: str = "auto",
        seed: int | None = None,
        kind: str | None = None,
        max_episode_steps: int | None = None,
        **config: Any,
    ) -> None:
        refuse_below_one("num_envs", num_envs)
        refuse_below_one("max_episode_steps", 1 if max_episode_steps is None else max_episode_steps)
        self.config = validate_document(with_kind(config, kind), EnvConfig, "racer environment")
        refuse_solids(self.config)
        self.num_envs, self._device = num_envs, choose_device(str(device))
        tracks = [load_track(name) for name in self.config.track]
        self._spec, self._roads = car_named(self.config.car), Roads(tracks)
        self._is_random = self.config.randomisation != NO_RANDOMISATION
        self._allocate(max_episode_steps)
        scene = DeviceScene(
            *(self._spec, tracks, num_envs, self._device, self.config.randomisation),
            *(self._fleet, self._records, self._lines, self._body, self._yaw, self._everyone),
        )
        self._sensors = GpuSensorSuite(self.config.sensor, scene)
        self._seen, self._final = self._sensors.buffers(), self._sensors.buffers()
        self._reward = None
        if self.config.reward is not None:
            from racer.gpu.device_reward import DeviceReward

            source = RewardSource.find(self.config.reward)
            self._reward = DeviceReward(source, tracks, num_envs, self._device)
            self._params = self._allocate_params()
        self.single_observation_space = self._sensors.space
        self.single_action_space = self.config.actions.space()
        self._share_with_torch()
        self._graph: Any = None
        self._launched, self._has_begun = 0, False
        self._read = np.zeros(tuple(self.finished.shape))
        self._seed(seed)

    def _allocate(self, max_steps: int | None) -> None:
        """Make the arrays of all cars on the device."""
        from racer.gpu.fleet import device_fleet, start_rules, wheel_places
        from racer.gpu.rule_kernels import device_records, race_limits
        from racer.gpu.start_kernels import action_table
        from racer.gpu.track_kernels import device_lines

        warp, n, device, rules = load_warp(), self.num_envs, self._device, self.config.race
        self._period = 1.0 / CONTROL_RATE_HZ
        self._dt = 1.0 / (CONTROL_RATE_HZ * SUBSTEPS_PER_CONTROL)
        self._share = servo_share(self._spec.parameters(1)[0], self._dt)
        self._fleet = device_fleet(self._spec, n, device)
        self._records, self._lines = device_records(n, device), device_lines(self._roads, device)
        self._limits = race_limits(rules, self._period, max_steps)
        in_time = max(math.ceil(rules.time_limit / self._period - 0.5), 1)
        self.max_episode_steps = int(min(in_time, max_steps or math.inf))
        # The penalty of a return to the track counts as time, and there may be one in each step.
        lost = max(rules.off_track_penalty, rules.collision_penalty)
        lost *= rules.faults == "reset"
        soonest = max(int(rules.time_limit / (self._period + lost)), 1)
        self.min_cut_off_steps = min(self.max_episode_steps, soonest)
        self._start_rules = start_rules(self.config, self._roads, device)
        self._wheels, self._arm = wheel_places(self._spec, device)
        self._table = action_table(self.config.actions, device)

        def zeros(shape: Any, dtype: Any) -> Any:
            return warp.zeros(shape, dtype=dtype, device=device)

        self._body, self._poses = zeros((n, 13), warp.float64), zeros((n, 7), warp.float64)
        self._yaw, self._paid = zeros(n, warp.float64), zeros(n, warp.float64)
        self._rewards = zeros(n, warp.float32)
        self._terminated, self._truncated = zeros(n, warp.bool), zeros(n, warp.bool)
        self._done, self._status = zeros(n, warp.int32), zeros(n, warp.int32)
        self._problems = zeros(3, warp.int32)
        self._everyone = warp.full(n, 1, dtype=warp.int32, device=device)
        is_discrete = self.config.actions.kind == "discrete"
        kind, shape = (warp.int64, n) if is_discrete else (warp.float32, (n, 2))
        self._action = zeros(shape, kind)

    def _allocate_params(self) -> Any:
        """Return the arrays of what the reward gets of each car."""
        from racer.gpu.device_reward import device_params
        from racer.reward.params import BOOL_PARAMS, FLOAT_PARAMS, ParamArrays, ParamsBuilder

        n = self.num_envs
        centres = [ParamsBuilder(line, self._spec).centre for line in self._roads.lines]
        none = ParamArrays(
            np.zeros((len(FLOAT_PARAMS), n)),
            np.zeros((5, n), dtype=np.int64),
            np.zeros((len(BOOL_PARAMS), n), dtype=bool),
            np.zeros(n, dtype=np.int64),
            np.zeros((6, n, 1)),
            np.zeros((n, 1), dtype=bool),
        )
        return device_params(centres, none, self._device)

    def _share_with_torch(self) -> None:
        """Make the tensors that share the memory of arrays."""
        warp = load_warp()
        self._actions = warp.to_torch(self._action)
        self.device = self._actions.device
        self.finished = warp.to_torch(self._records.finished)
        self._state = [warp.to_torch(array) for array in (self._body, self._yaw)]
        self._counted_problems = warp.to_torch(self._problems)
        self._line = warp.to_torch(self._records.line)
        self._step = GpuStep(
            self._tensors(self._seen),
            warp.to_torch(self._rewards),
            warp.to_torch(self._terminated),
            warp.to_torch(self._truncated),
            self._tensors(self._final),
        )

    def _tensors(self, arrays: dict[str, Any]) -> DeviceTensors:
        """Return arrays by name as tensors that share their memory; of a single one the tensor."""
        tensors = {name: load_warp().to_torch(array) for name, array in arrays.items()}
        if isinstance(self.single_observation_space, spaces.Dict):
            return tensors
        return next(iter(tensors.values()))

    @property
    def observations(self) -> DeviceTensors:
        """The current observations, tensors that the next step writes to again."""
        return self._step.observations

    @property
    def poses(self) -> torch.Tensor:
        """Where each car is: x and y [m], heading [rad] and the track's index, (n, 4) float32."""
        import torch

        body, yaw = self._state
        track = torch.div(self._line, 2, rounding_mode="floor")
        return torch.stack([body[:, 0], body[:, 1], yaw, track], dim=1).float()

    @property
    def reward_difference(self) -> float | None:
        """Largest difference of the reward to its Python file in the proof; None without one."""
        return self._reward.largest_difference if self._reward else None

    def reset(self, seed: int | None = None) -> DeviceTensors:
        """Start an episode of every car.

        Args:
            seed: Car i begins its draws anew, with seed + i. None: its draws go on.

        Returns:
            The observations; see `observations`.
        """
        self._has_begun = True
        with self._stream():
            if seed is not None:
                self._seed(seed)
            self._start(self._everyone)
            self._publish()
            self._sensors.observe(self._poses, self._seen)
        return self._step.observations

    def _seed(self, seed: int | None) -> None:
        """Let each car draw from its own seed, from its first episode on."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
        seeds = np.arange(self.num_envs, dtype=np.uint64) + np.uint64(seed)
        self._fleet.seed.assign(seeds)
        self._records.episode.zero_()

    def renew_rewards(self) -> None:
        """Let every car's reward forget what it remembers of earlier episodes."""
        if self._reward:
            with self._stream():
                self._reward.renew()

    def step(self, actions: torch.Tensor) -> GpuStep:
        """Advance every car by one control step; cars whose episode ends start their next one.

        Args:
            actions: Points of the Box [-1, 1]^2, (n, 2) float32, or indices of choices, (n,) int64.

        Returns:
            Tensors on the device; the same ones each time.

        Raises:
            ConfigError: The actions have another shape or type, or `reset` was not called.
        """
        wanted = self._actions
        if not self._has_begun:
            raise ConfigError("step before the first reset; call reset() first")
        if tuple(actions.shape) != tuple(wanted.shape) or actions.dtype != wanted.dtype:
            raise ConfigError(
                f"actions {tuple(actions.shape)} {actions.dtype}; they must be "
                f"{tuple(wanted.shape)} {wanted.dtype}"
            )
        wanted.copy_(actions)
        self._launched += 1
        if self._launched > EAGER_STEPS and self._graph is None:
            with load_warp().ScopedCapture(self._device, force_module_load=False) as capture:
                self._launch_step()
            self._graph = capture.graph
        with self._stream():
            if self._graph is None:
                self._launch_step()
            else:
                load_warp().capture_launch(self._graph)
        return self._step

    def _stream(self) -> Any:
        """Return a context in which kernels are launched on torch's current stream."""
        import contextlib

        if not self._device.is_cuda:
            return contextlib.nullcontext()
        import torch

        warp = load_warp()
        return warp.ScopedStream(warp.stream_from_torch(torch.cuda.current_stream(self.device)))

    def _launch_step(self) -> None:
        """Launch the kernels of one step; nothing is allocated, and nothing is waited for."""
        warp = load_warp()
        self._drive()
        self._apply_rules()
        if self.config.race.faults == "reset":
            self._return_to_track()
        self._sensors.observe(self._poses, self._final)
        for name, array in self._seen.items():
            warp.copy(array, self._final[name])
        self._start(self._done)
        self._publish()
        self._sensors.observe(self._poses, self._seen, self._done)

    def _launch(self, kernel: Any, *told: Any) -> None:
        load_warp().launch(kernel, self.num_envs, list(told), device=self._device)

    def _drive(self) -> None:
        from racer.gpu.car_kernels import drive_cars
        from racer.gpu.start_kernels import take_continuous_actions, take_discrete_actions

        is_discrete = self.config.actions.kind == "discrete"
        take = take_discrete_actions if is_discrete else take_continuous_actions
        fleet, is_varied = self._fleet, int(self._is_random)
        self._launch(take, fleet, self._action, self._table, is_varied, self._problems)
        self._launch(
            drive_cars,
            *(fleet.cars, fleet.body, fleet.inverse, fleet.steering, fleet.acting),
            *(self._share, self._dt, SUBSTEPS_PER_CONTROL),
        )
        self._publish()

    def _publish(self) -> None:
        from racer.gpu.car_kernels import publish_cars

        fleet = self._fleet
        self._launch(publish_cars, fleet.body, fleet.shift, self._body, self._poses, self._yaw)

    def _apply_rules(self) -> None:
        from racer.gpu.rule_kernels import apply_race_rules, settle_step

        lines, body, yaw = self._lines, self._body, self._yaw
        self._launch(
            apply_race_rules,
            *(self._records, lines, self._limits, self._wheels, self._arm, body, yaw),
        )
        if self._reward:
            from racer.gpu.reward_kernels import tell_params

            offset = front_offset(self._spec)
            self._launch(
                tell_params, self._fleet, self._records, lines, body, yaw, offset, self._params
            )
            paid, status = self._paid, self._status
            self._reward.pay(self._records.line, paid, status, self._params, self._problems)
        self._launch(
            settle_step,
            *(self._records, self._paid, self._rewards),
            *(self._terminated, self._truncated, self._done),
        )

    def _return_to_track(self) -> None:
        from racer.gpu.start_kernels import return_to_track

        self._launch(return_to_track, self._fleet, self._records, self._lines, self._limits)
        self._publish()

    def _start(self, mask: Any) -> None:
        from racer.gpu.start_kernels import start_episodes

        self._launch(
            start_episodes, self._fleet, self._records, self._lines, self._start_rules, mask
        )
        self._sensors.start(mask)

    def read_statistics(self) -> EpisodeStatistics:
        """Return what the episodes that ended since the last call have got; waits for the device.

        Raises:
            RewardError: The reward failed in a step since the last call, or an action was not
                finite or no index of a choice (ConfigError).
        """
        self._raise_problems()
        now = self.finished.cpu().numpy().copy()
        sums, self._read = (now - self._read).sum(axis=0), now
        return statistics_of(sums)

    def _raise_problems(self) -> None:
        """Raise what was counted on the device, and count anew."""
        actions, failures, failure = self._counted_problems.tolist()
        if not actions and not failures:
            return
        self._counted_problems.zero_()
        if failures and self._reward:
            raise RewardError(
                f"the reward failed in {failures} steps of cars: {self._reward.reason(failure)}"
            )
        raise ConfigError(f"{actions} numbers of actions were not finite, or no index of a choice")

    def close(self) -> None:
        """Free the graph of a step; a second call does nothing."""
        self._graph = None


def refuse_solids(config: EnvConfig) -> None:
    """Raise ConfigError if a race has solids, or asks for Bullet, which a device does not have."""
    race, found = config.race, ""
    if race.kind != "time_trial":
        found = f"race.kind: {race.kind}"
    elif race.walls:
        found = "race.walls: true"
    elif config.engine == "bullet":
        found = "engine: bullet"
    if found:
        raise ConfigError(
            f"{found} is not simulated on a device, only time trials without walls; train it on "
            "the processor (simulator: host)"
        )

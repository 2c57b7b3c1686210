"""The sensors of cars on a device: what each must offer, and the one place that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zlib import crc32

from gymnasium import spaces

from racer.car.spec import CarSpec
from racer.gpu.frame_arrays import varied_quantities
from racer.gpu.runtime import load_warp
from racer.randomisation import Randomisation
from racer.sensors.config import (
    DiscretizedSectorLidarConfig,
    LidarConfig,
    SectorLidarConfig,
    SensorConfig,
    StateConfig,
)
from racer.sensors.state_sensor import LOOKAHEAD_DISTANCES_M, STATE_SIZE
from racer.track import Track


class GpuSensor(Protocol):
    """Observes for n cars on the device, without a synchronisation with the host."""

    @property
    def space(self) -> spaces.Box:
        """The space of one car's observation."""
        ...

    def start(self, mask: Any = None, seeds: Any = None, draws: Any = None) -> None:
        """Begin an episode of some cars, by launching kernels.

        Args:
            mask: Cars that begin one, those with another value than 0, Warp array (n,) int32; None
                for all.
            seeds: The seeds of all cars' episodes, (n,) uint64; None for 0.
            draws: What they drew, columns in the order of `DRAWN_QUANTITIES`, (n, quantities)
                float64; None for neutral draws.
        """
        ...

    def observe(self, poses: Any, out: Any, line: Any = None, mask: Any = None) -> None:
        """Observe by launching kernels; nothing is allocated, so a graph can hold it.

        Args:
            poses: x, y, z [m] of the centre of mass and quaternion x y z w, Warp array (n, 7)
                float64.
            out: Filled with observations, Warp array (n, *space.shape) of the space's dtype.
            line: The line that each car drives, an index into `Roads.lines` (two for each track:
                forward, then reversed), Warp array (n,) int32; None where all drive line 0.
            mask: Cars whose rows are filled, those with another value than 0, Warp array (n,)
                int32; None for all. Other rows stay as they are.
        """
        ...


@dataclass(frozen=True)
class DeviceScene:
    """The n cars that sensors observe, and where they drive."""

    spec: CarSpec
    """The vehicle."""
    tracks: Sequence[Track]
    """The tracks, in the order of `Roads`."""
    n: int
    """Number of cars."""
    device: Any
    """The Warp device."""
    randomisation: Randomisation
    """What the cars' draws may change."""
    fleet: Any
    """The `CarArrays`."""
    records: Any
    """The `RaceRecords`."""
    lines: Any
    """The `LineTables`."""
    body: Any
    """Body rows of the spec's centres of mass, (n, 13)."""
    yaw: Any
    """Headings [rad], (n,)."""
    everyone: Any
    """The mask of all cars, (n,) int32."""


class GpuStateSensor:
    """The 26 numbers of `StateSensor` for cars on a device, and their frame stack.

    It reads the scene's arrays, which know more of the cars than their poses.

    Args:
        config: The sensor.
        scene: The cars.

    Attributes:
        space: The space of one car's observation.
    """

    def __init__(self, config: StateConfig, scene: DeviceScene) -> None:
        from racer.gpu.frame_kernels import FrameState

        warp, n, device = load_warp(), scene.n, scene.device
        self.space = config.space
        self._scene, self._stack = scene, config.stack
        ahead = list(LOOKAHEAD_DISTANCES_M)
        self._ahead = warp.array(ahead, dtype=warp.float64, device=device)
        drops = "dropped_frames" in varied_quantities(scene.randomisation)
        self._is_stacked = config.stack > 1 or drops
        kept = (n, config.stack, STATE_SIZE) if self._is_stacked else (0, 1, 1)
        self._kept = warp.zeros(kept, dtype=warp.float32, device=device)
        self._numbers = warp.zeros((kept[0], STATE_SIZE), dtype=warp.float32, device=device)
        self._frames = warp.zeros(n, dtype=FrameState, device=device)
        self._place = warp.uint64(crc32(config.name.encode()))

    def start(self, mask: Any = None, seeds: Any = None, draws: Any = None) -> None:
        """See `GpuSensor.start`."""
        from racer.gpu.state_kernels import begin_states

        scene = self._scene
        mask = scene.everyone if mask is None else mask
        fleet = scene.fleet
        seeds = fleet.episode_seed if seeds is None else seeds
        draws = fleet.draws if draws is None else draws
        told = [mask, seeds, draws, self._frames]
        load_warp().launch(begin_states, scene.n, told, device=scene.device)

    def observe(self, poses: Any, out: Any, line: Any = None, mask: Any = None) -> None:
        """See `GpuSensor.observe`; the poses and lines are those of the scene."""
        from racer.gpu.state_kernels import observe_state, stack_states

        warp, scene = load_warp(), self._scene
        mask = scene.everyone if mask is None else mask
        numbers = self._numbers if self._is_stacked else out
        seen = [scene.fleet, scene.records, scene.lines, scene.body, scene.yaw]
        told = [*seen, self._ahead, mask, numbers]
        warp.launch(observe_state, scene.n, told, device=scene.device)
        if self._is_stacked:
            told = [mask, self._frames, self._place, numbers, self._stack, self._kept, out]
            warp.launch(stack_states, scene.n, told, device=scene.device)


def make_gpu_sensor(config: SensorConfig, scene: DeviceScene) -> GpuSensor:
    """Return the sensor that a config describes, for cars on a device."""
    if isinstance(config, StateConfig):
        return GpuStateSensor(config, scene)
    about = scene.spec, scene.tracks, scene.n, scene.device, False, scene.randomisation
    if isinstance(config, LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig):
        from racer.gpu.lidar import GpuLidar

        return GpuLidar(config, *about)
    from racer.gpu.camera import GpuCamera

    return GpuCamera(config, *about)


class GpuSensorSuite:
    """The sensors that each of n cars on a device carries.

    Args:
        configs: The sensors.
        scene: The cars.

    Attributes:
        space: The Box of the only sensor, or a Dict by the sensors' names if there are several.
    """

    def __init__(self, configs: Sequence[SensorConfig], scene: DeviceScene) -> None:
        self._scene = scene
        self._sensors = {config.name: make_gpu_sensor(config, scene) for config in configs}
        own: dict[str, Any] = {name: sensor.space for name, sensor in self._sensors.items()}
        self.space: spaces.Box | spaces.Dict = (
            next(iter(own.values())) if len(own) == 1 else spaces.Dict(own)
        )

    def buffers(self) -> dict[str, Any]:
        """Return new arrays for `observe` to fill, Warp arrays (n, ...) by the sensors' names."""
        warp, scene = load_warp(), self._scene
        return {
            name: warp.zeros(
                (scene.n, *sensor.space.shape),
                dtype=warp.uint8 if sensor.space.dtype == "uint8" else warp.float32,
                device=scene.device,
            )
            for name, sensor in self._sensors.items()
        }

    def start(self, mask: Any) -> None:
        """Begin an episode of cars whose mask (n,) int32 is not 0."""
        fleet = self._scene.fleet
        for sensor in self._sensors.values():
            sensor.start(mask, fleet.episode_seed, fleet.draws)

    def observe(self, poses: Any, out: dict[str, Any], mask: Any = None) -> None:
        """Fill rows of arrays with what cars observe; each call is a frame.

        Args:
            poses: Poses of all cars, (n, 7).
            out: What `buffers` returned.
            mask: Cars whose rows are filled, those with another value than 0, (n,) int32; None
                for all.
        """
        line = self._scene.records.line
        for name, sensor in self._sensors.items():
            sensor.observe(poses, out[name], line, mask)

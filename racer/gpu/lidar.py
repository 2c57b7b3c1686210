"""The lidar on a device: ranges between the walls of n cars' tracks, by Warp kernels.

It computes in float64, as the processor's does, so that ranges differ by rounding alone; float32
would err by more than 1e-6 m where a beam grazes a wall. A scan is bound by arithmetic: each beam
tries the segments in its cell of the walls' grid, about 65 of them on the shipped roads at the
default reach of 1.1 m, with 10 operations each. What it reads, 32 bytes a segment, is the same for
all beams of a car; it writes 8 bytes a beam.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from racer.car.spec import CarSpec
from racer.gpu.frame_arrays import FrameArrays
from racer.gpu.runtime import load_warp
from racer.randomisation import NO_RANDOMISATION, Randomisation
from racer.sensors.config import DiscretizedSectorLidarConfig, LidarConfig, SectorLidarConfig
from racer.sensors.lidar import CELLS_PER_REACH, MAX_NOISE_DEVIATIONS
from racer.track import Track
from racer.track.segment_grid import segment_grid
from racer.world import CONTROL_RATE_HZ

if TYPE_CHECKING:
    import warp as wp


class GpuLidar:
    """Ranges in the horizontal plane at the lidar's height, encoded as `Lidar` encodes them.

    It sees the walls on both borders. Boxes and other cars are not seen, so races with them must
    not use it. Ranges differ from those of `Lidar` by rounding alone, by less than 1e-6 m.

    Args:
        config: Which lidar it is and how it is mounted.
        spec: The car.
        tracks: The tracks, in the order of `Roads`.
        n: Number of cars.
        device: A device of Warp.
        walls: Whether walls stand on the borders.
        randomisation: What the draws may change; it decides how far the walls are sorted.

    Attributes:
        space: The space of one car's observation.
    """

    def __init__(
        self,
        config: LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig,
        spec: CarSpec,
        tracks: Sequence[Track],
        n: int,
        device: Any,
        walls: bool = False,
        randomisation: Randomisation = NO_RANDOMISATION,
    ) -> None:
        from racer.gpu.lidar_kernels import LidarScan

        warp = load_warp()
        self.space = config.space
        self._config, self._n, self._device = config, n, device
        self._arrays = FrameArrays(n, device, config.stack, randomisation)
        self._shape = _lidar_shape(config, spec)
        half = config.span_deg / 2
        angles = np.deg2rad(config.yaw_deg + np.linspace(-half, half, config.beams))
        beams = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        self._beams = warp.array(beams, dtype=warp.vec2d, device=device)
        sigma = config.noise * randomisation.lidar_noise[1]
        reach = min(config.far, config.clip + MAX_NOISE_DEVIATIONS * sigma)
        self._walls = _wall_table(tracks if walls else [], len(tracks), reach, device)
        self._scans = warp.zeros(n, dtype=LidarScan, device=device)
        self._ranges = warp.zeros((n, config.beams), dtype=warp.float64, device=device)
        self._size = self.space.shape[0] // config.stack
        kept = (self._arrays.slots * n, self._size)
        self._kept = warp.zeros(kept, dtype=warp.float32, device=device)
        self.start()

    @property
    def wall_bytes(self) -> int:
        """Memory of the walls, which all cars share [bytes]."""
        return self._walls.segments.capacity + self._walls.start.capacity

    @property
    def bytes_per_car(self) -> int:
        """Memory that each car takes, without its observation [bytes]."""
        own = self._scans.strides[0] + self._ranges.strides[0]
        return own + self._arrays.slots * self._kept.strides[0] + self._arrays.bytes_per_car

    def start(
        self,
        mask: wp.array | None = None,
        seeds: wp.array | None = None,
        draws: wp.array | None = None,
    ) -> None:
        """See `GpuCamera.start`."""
        from racer.gpu.lidar_kernels import start_lidars

        load_warp().launch(
            start_lidars,
            dim=self._n,
            inputs=[
                *self._arrays.of_start(mask, seeds, draws),
                *(self._shape, self._scans, self._arrays.frames),
            ],
            device=self._device,
        )

    def observe(
        self,
        poses: wp.array,
        out: wp.array,
        line: wp.array | None = None,
        mask: wp.array | None = None,
    ) -> None:
        """Take a scan of cars by launching kernels; nothing is allocated, so a graph can hold it.

        Args:
            poses: As in `GpuCamera.observe`.
            out: Filled with encoded scans, the oldest first, (n, numbers x stack) float32.
            line: As there.
            mask: As there.
        """
        from racer.gpu.lidar_kernels import aim_lidars, cast_lidar_beams, encode_scans

        warp, n, frames, shape = load_warp(), self._n, self._arrays.frames, self._shape
        mask, line = self._arrays.of_observation(mask, line)
        warp.launch(
            aim_lidars,
            dim=n,
            inputs=[mask, poses, line, shape, frames, self._scans],
            device=self._device,
        )
        warp.launch(
            cast_lidar_beams,
            dim=(n, self._config.beams),
            inputs=[mask, frames, self._scans, shape, self._beams, self._walls, self._ranges],
            device=self._device,
        )
        warp.launch(
            encode_scans,
            dim=(n, self._size),
            inputs=[mask, frames, shape, self._ranges, self._config.stack, self._kept, out],
            device=self._device,
        )


def _lidar_shape(
    config: LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig, spec: CarSpec
) -> Any:
    """Return a `LidarShape`: what the lidars of all cars have in common."""
    from racer.gpu.lidar_kernels import LidarShape

    shape = LidarShape()
    shape.forward = config.forward + (spec.to_front_axle - spec.to_rear_axle) / 2
    shape.up = config.up - spec.mass_height
    shape.near, shape.clip, shape.far = config.near, config.clip, config.far
    shape.noise = config.noise
    shape.share = config.rate / CONTROL_RATE_HZ
    shape.sectors = 0 if isinstance(config, LidarConfig) else config.sectors
    shape.values = config.values if isinstance(config, DiscretizedSectorLidarConfig) else 0
    shape.place = load_warp().uint64(crc32(config.name.encode()))
    return shape


def _wall_table(tracks: Sequence[Track], count: int, reach: float, device: Any) -> Any:
    """Return a `WallTable` of the borders of tracks, sorted for lidars that see up to `reach` [m].

    Args:
        tracks: The tracks, or none if there are no walls.
        count: Number of tracks, with walls or without.
        reach: Largest distance that is searched [m].
        device: A device of Warp.
    """
    from racer.gpu.lidar_kernels import WallTable

    warp, cell = load_warp(), reach / CELLS_PER_REACH
    grids = [segment_grid((track.left, track.right), cell, reach) for track in tracks]
    grids = grids or [segment_grid((), cell, reach)] * count
    before = np.cumsum([0, *(len(grid.segments) for grid in grids)])
    starts = [grid.start + first for grid, first in zip(grids, before)]
    first = np.cumsum([0, *(len(start) for start in starts)])[:-1]
    table = WallTable()
    table.segments = warp.array(
        np.concatenate([grid.segments for grid in grids]), dtype=warp.float64, device=device
    )
    table.start = warp.array(np.concatenate(starts), dtype=warp.int32, device=device)
    table.first = warp.array(first, dtype=warp.int32, device=device)
    table.corner = warp.array([grid.origin for grid in grids], dtype=warp.float64, device=device)
    table.rows = warp.array([grid.rows for grid in grids], dtype=warp.int32, device=device)
    table.columns = warp.array([grid.columns for grid in grids], dtype=warp.int32, device=device)
    table.cell = cell
    return table

"""The camera on a device: frames of n cars that are drawn, changed and stacked by Warp kernels.

What a frame moves, counted from the kernels: for each pixel one load of four bytes from a texture
(three in colour; twice as many where rays are flat) and one byte written for each channel, which is
96 to 173 kB for 160 x 120 grey pixels, beside some 60 arithmetic operations for each load. A stack
of k frames reads k bytes more for each pixel and writes k + 1 more; walls have eight bytes for each
pixel, which are read, and written where one stands. All cars share the textures, and neighbouring
threads draw neighbouring pixels, which lie near one another in a texture. Threads of a warp part
only at the horizon and where walls end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from racer.car.spec import CarSpec
from racer.gpu.frame_arrays import FrameArrays, varied_quantities
from racer.gpu.runtime import load_warp
from racer.randomisation import NO_RANDOMISATION, Randomisation
from racer.sensors.camera_ground import SKY_COLOUR, TexturePyramid, ground_texture, luma
from racer.sensors.camera_noise import COLOUR_CHANNELS, NORMAL_NUMBERS, PIXEL_EFFECTS
from racer.sensors.camera_objects import wall_segments
from racer.sensors.config import CameraConfig, LeftCameraConfig, StereoConfig
from racer.track import Track

if TYPE_CHECKING:
    import warp as wp

RUN_PIXELS = 4
"""Neighbouring pixels that one thread of a GPU draws: what their row has in common is worked out
once, and enough threads remain."""
WALL_BANDS = 4
"""Bands of rows of a wall's segment on a GPU, so that a near one does not keep one thread busy."""


class GpuCamera:
    """Frames of one camera, or of a stereo pair, fixed to each car's chassis, as `Camera` draws.

    It draws the ground and the walls. Boxes and other cars are not drawn, so races with them must
    not use it. Frames differ from those of `Camera` by rounding alone: by at most 1 of 255 levels
    in 99.9 % of the pixels.

    Args:
        config: Which camera it is and how it is mounted.
        spec: The car.
        tracks: The tracks whose grounds are painted, in the order of `Roads`.
        n: Number of cars.
        device: A device of Warp.
        walls: Whether walls stand on the borders.
        randomisation: What the draws may change; it decides which arrays are needed.

    Attributes:
        space: The space of one car's observation.
    """

    def __init__(
        self,
        config: CameraConfig | LeftCameraConfig | StereoConfig,
        spec: CarSpec,
        tracks: Sequence[Track],
        n: int,
        device: Any,
        walls: bool = False,
        randomisation: Randomisation = NO_RANDOMISATION,
    ) -> None:
        load_warp()
        self.space = config.space
        self._config, self._n, self._device = config, n, device
        is_rgb = isinstance(config, CameraConfig) and config.colour == "rgb"
        self._is_grey = not is_rgb
        varied = varied_quantities(randomisation)
        self._arrays = FrameArrays(n, device, config.stack, randomisation)
        self._is_coloured = is_rgb or not varied.isdisjoint(COLOUR_CHANNELS)
        self._has_effects = not varied.isdisjoint(PIXEL_EFFECTS)
        self._mounts = _mounts(config, spec, device)
        self._allocate()
        self._load_grounds(tracks)
        self._load_walls(tracks if walls else [])
        self.start()

    def _allocate(self) -> None:
        """Make the arrays of all cars."""
        from racer.gpu.camera_ground_kernels import ROW_PARTS
        from racer.gpu.camera_view_kernels import CameraEpisode, CameraView

        warp, n, config, device = load_warp(), self._n, self._config, self._device
        slots = self._arrays.slots
        size = (config.height, config.width, config.channels)
        self._episodes = warp.zeros(n, dtype=CameraEpisode, device=device)
        self._views = warp.zeros((n, len(self._mounts)), dtype=CameraView, device=device)
        self._is_finished = config.stack > 1 or slots > 0 or self._has_effects
        drawn = (n if self._is_finished else 0, *size)
        self._drawn = warp.zeros(drawn, dtype=warp.uint8, device=device)
        self._kept = warp.zeros((slots * n, *size), dtype=warp.uint8, device=device)
        normals = NORMAL_NUMBERS if self._has_effects else NORMAL_NUMBERS[:1]
        self._normals = warp.array(normals, dtype=warp.float32, device=device)
        # A processor draws a whole part of a row in one thread, as its threads are not parallel.
        part = -(-config.width // ROW_PARTS)
        self._run = min(RUN_PIXELS, part) if device.is_cuda else part
        self._runs = ROW_PARTS * -(-part // self._run)
        self._place = warp.uint64(crc32(config.name.encode()))

    def _load_grounds(self, tracks: Sequence[Track]) -> None:
        """Copy the textures of the tracks to the device."""
        warp, device = load_warp(), self._device
        grounds = [ground_texture(track) for track in tracks]
        if self._is_coloured:
            channels = list(zip(*(ground.colours for ground in grounds)))
        else:
            channels = [[ground.grey for ground in grounds]]
        self._texels = [_joined_texels(pyramids, device) for pyramids in channels]
        self._ground = _ground_table(channels[0], device)
        sky = luma(np.array(SKY_COLOUR))
        self._sky = warp.vec3i(*SKY_COLOUR) if self._is_coloured else warp.int32(int(sky))

    def _load_walls(self, tracks: Sequence[Track]) -> None:
        """Copy the walls of tracks to the device, and make z-buffers if there are any."""
        from racer.gpu.camera_wall_kernels import WallFaces

        warp, device, config = load_warp(), self._device, self._config
        rings = [wall_segments(track) for track in tracks]
        counts = [len(walls.ends) for walls in rings]
        self._most_segments = max(counts, default=0)
        self._walls = WallFaces()
        first = np.cumsum([0, *counts])
        self._walls.first = warp.array(first, dtype=warp.int32, device=device)
        if rings:
            ends = np.concatenate([walls.ends for walls in rings])
            colours = np.concatenate([walls.colours for walls in rings])
            self._walls.ends = warp.array(ends, dtype=warp.vec4, device=device)
            self._walls.colours = warp.array(colours, dtype=warp.vec3, device=device)
        size = (self._n if rings else 0, len(self._mounts), config.height, config.width)
        self._paint = warp.zeros(size, dtype=warp.uint64, device=device)

    @property
    def texture_bytes(self) -> int:
        """Memory of the textures, which all cars share [bytes]."""
        return sum(texels.capacity for texels in self._texels)

    @property
    def bytes_per_car(self) -> int:
        """Memory that each car takes, without its observation [bytes]."""
        own = self._episodes.strides[0] + self._views.strides[0]
        frames = self._arrays.slots + int(self._is_finished)
        own += self._paint.strides[0] if self._most_segments else 0
        return own + frames * self._drawn.strides[0] + self._arrays.bytes_per_car

    def start(
        self,
        mask: wp.array | None = None,
        seeds: wp.array | None = None,
        draws: wp.array | None = None,
    ) -> None:
        """Begin an episode of some cars, by launching a kernel.

        Args:
            mask: Cars that begin one, those with another value than 0, (n,) int32; None for all.
            seeds: The seeds of all cars' episodes, (n,) uint64; None for 0.
            draws: What they drew, columns in the order of `DRAWN_QUANTITIES`, (n, quantities)
                float64, within the ranges of the randomisation; None for neutral draws.
        """
        from racer.gpu.camera_view_kernels import start_cameras

        config = self._config
        load_warp().launch(
            start_cameras,
            dim=self._n,
            inputs=[
                *self._arrays.of_start(mask, seeds, draws),
                *(float(np.deg2rad(config.pitch_deg)), config.fov, float(config.width)),
                *(self._episodes, self._arrays.frames),
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
        """Take a frame of cars by launching kernels; nothing is allocated, so a graph can hold it.

        Args:
            poses: x, y, z [m] of the centre of mass and quaternion x y z w, (n, 7) float64.
            out: Filled with frames, the oldest first, (n, H, W, C x stack) uint8.
            line: The line that each car drives, an index into `Roads.lines`, (n,) int32; None
                where all drive the first.
            mask: Cars whose rows are filled, those with another value than 0, (n,) int32; None for
                all. Other rows stay as they are.
        """
        from racer.gpu.camera_view_kernels import aim_cameras

        mask, line = self._arrays.of_observation(mask, line)
        load_warp().launch(
            aim_cameras,
            dim=self._n,
            inputs=[
                *(mask, poses, line, self._mounts, self._ground, self._episodes, self._place),
                *(self._arrays.frames, self._views),
            ],
            device=self._device,
        )
        if not self._is_finished:
            self._draw(mask, out)
            return
        self._draw(mask, self._drawn)
        self._finish(mask, out)

    def _draw(self, mask: wp.array, out: wp.array) -> None:
        """Draw the walls, and the ground where none is, in frames (n, H, W, C)."""
        from racer.gpu.camera_ground_kernels import draw_coloured_ground, draw_grey_ground

        if self._most_segments:
            self._draw_walls(mask)
        kernel, own = draw_grey_ground, []
        if self._is_coloured:
            kernel, own = draw_coloured_ground, [self._episodes, int(self._is_grey)]
        load_warp().launch(
            kernel,
            dim=(self._n, len(self._mounts), self._config.height, self._runs),
            inputs=[
                *(mask, self._arrays.frames, self._views, self._ground, self._paint, self._run),
                *(*self._texels, self._sky, *own, out),
            ],
            device=self._device,
        )

    def _draw_walls(self, mask: wp.array) -> None:
        """Draw the walls in the z-buffers; where the ground is drawn, these are cleared again."""
        from racer.gpu.camera_wall_kernels import draw_walls

        bands = WALL_BANDS if self._device.is_cuda else 1
        load_warp().launch(
            draw_walls,
            dim=(self._n, len(self._mounts), self._most_segments, bands),
            inputs=[
                *(mask, self._arrays.frames, self._views, self._walls, int(self._is_coloured)),
                *(bands, self._paint),
            ],
            device=self._device,
        )

    def _finish(self, mask: wp.array, out: wp.array) -> None:
        """Fill `out` with the stacks of the drawn frames."""
        from racer.gpu.camera_finish_kernels import finish_frames

        config = self._config
        run = RUN_PIXELS if self._device.is_cuda else config.width
        load_warp().launch(
            finish_frames,
            dim=(self._n, config.height, -(-config.width // run)),
            inputs=[
                *(mask, self._arrays.frames, self._episodes, self._normals, self._drawn),
                *(int(self._has_effects), config.stack, self._kept, run, out),
            ],
            device=self._device,
        )


def _mounts(
    config: CameraConfig | LeftCameraConfig | StereoConfig, spec: CarSpec, device: Any
) -> wp.array:
    """Return the positions of the eyes in the car's frame [m], (eyes,) of three."""
    middle = (spec.to_front_axle - spec.to_rear_axle) / 2
    if isinstance(config, StereoConfig):
        sides = (config.baseline / 2, -config.baseline / 2)
    else:
        sides = (config.left,)
    mounts = [(config.forward + middle, left, config.up - spec.mass_height) for left in sides]
    return load_warp().array(mounts, dtype=load_warp().vec3d, device=device)


def _joined_texels(pyramids: Sequence[TexturePyramid], device: Any) -> wp.array:
    """Return the texels of pyramids, one after the other, on a device."""
    warp, texels = load_warp(), [pyramid.texels for pyramid in pyramids]
    # A processor reads the only track's texels where they are.
    joined = texels[0] if len(texels) == 1 else np.concatenate(texels)
    return warp.array(joined, dtype=warp.uint32, device=device, copy=False)


def _ground_table(pyramids: Sequence[TexturePyramid], device: Any) -> Any:
    """Return where each level of each pyramid is, if their texels follow one another."""
    from racer.gpu.camera_view_kernels import GroundTable

    warp, table = load_warp(), GroundTable()
    sizes = [len(pyramid.texels) for pyramid in pyramids]
    first = np.concatenate([[0], np.cumsum(sizes[:-1])])
    start = np.array([pyramid.start for pyramid in pyramids]) + first[:, None]
    table.start = warp.array(start, dtype=warp.int64, device=device)
    table.rows = warp.array([p.rows for p in pyramids], dtype=warp.int32, device=device)
    table.columns = warp.array([p.columns for p in pyramids], dtype=warp.int32, device=device)
    table.corner = warp.array([p.origin for p in pyramids], dtype=warp.float64, device=device)
    table.resolution = warp.array([p.resolution for p in pyramids], warp.float64, device=device)
    return table

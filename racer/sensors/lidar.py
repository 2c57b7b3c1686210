"""A planar lidar: exact rays against the walls and the boxes, and their encoding for a policy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from racer.car.spec import CarSpec
from racer.sensors.config import DiscretizedSectorLidarConfig, LidarConfig, SectorLidarConfig
from racer.sensors.counter_rng import add_noise
from racer.sensors.sensor_input import SensorInput
from racer.track import Track
from racer.track.segment_grid import segment_grid
from racer.world import CONTROL_RATE_HZ, WALL_HEIGHT_M

CELLS_PER_REACH = 2.0
"""Cells of the walls' grid along the longest distance that is searched."""
ANGLE_SPARE_RAD = 1e-5
"""By how much [rad] a segment may miss a beam that is tried on it: `_angle_of` is not exact."""
MOST_TURN_RAD = 3.0
"""A segment that spans more than this [rad] as the lidar sees it is tried on every beam."""
LEAST_DISTANCE_M = 1e-6
"""So is one with an end that is nearer to the lidar than this [m]: its direction is not known."""
MAX_NOISE_DEVIATIONS = 10.0
"""Upper bound of noise in standard deviations; Box-Muller with 53 bits reaches sqrt(2 ln 2^53) =
8.6."""


class Lidar:
    """Ranges in the horizontal plane at the lidar's height, encoded as the config's kind states.

    The beams are spaced evenly between both ends of the fan, counter-clockwise, around the car's
    heading turned by `yaw_deg`; roll and pitch move the lidar but do not tilt its plane. A beam
    meets walls if they are as high as the lidar, and boxes that extend from below to above it,
    taken as upright. `lidar` gives metres; `sector_lidar` and `discretized_sector_lidar` encode the
    nearest range of each sector as the public DeepRacer simulation does.

    Args:
        config: Which lidar it is and how it is mounted.
        spec: The car.
        track: The track.
        n: Number of cars.
        walls: Whether walls stand on the borders.
    """

    def __init__(
        self,
        config: LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig,
        spec: CarSpec,
        track: Track,
        n: int,
        walls: bool = False,
    ) -> None:
        self._config = config
        middle = (spec.to_front_axle - spec.to_rear_axle) / 2
        self._mount = np.array([config.forward + middle, 0.0, config.up - spec.mass_height])
        half = config.span_deg / 2
        angles = np.deg2rad(config.yaw_deg + np.linspace(-half, half, config.beams))
        self._beams = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        spacing = 2 * half / (config.beams - 1) if config.beams > 1 else 360.0
        self._fan = np.deg2rad([config.yaw_deg - half, spacing])
        self._feet = (track.left, track.right) if walls else ()
        self._seeds, self._sigma = np.zeros(n, dtype=np.uint64), np.full(n, config.noise)
        self._grid, self._grid_reach, self._reach = segment_grid((), 1.0, 0.0), 0.0, np.zeros(n)
        self._set_reach()
        self._ranges = np.full((n, config.beams), config.far)
        self.space = config.model_copy(update={"stack": 1}).space

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        self._seeds[cars] = draws["seed"][cars]
        self._sigma[cars] = self._config.noise * draws["lidar_noise"][cars]
        self._set_reach()

    def _set_reach(self) -> None:
        """Find how far to search, and sort the walls anew if that is further than ever before."""
        config = self._config
        # Nothing further than this can come within `clip` by noise, so it reads as clipped anyway.
        self._reach = np.minimum(config.far, config.clip + MAX_NOISE_DEVIATIONS * self._sigma)
        most = float(self._reach.max())
        if most > self._grid_reach:
            # Drawn noise changes the reach: with twice of it the walls are sorted a few times only.
            self._grid_reach = min(2.0 * most, config.far) if self._grid_reach else most
            cell = self._grid_reach / CELLS_PER_REACH
            self._grid = segment_grid(self._feet, cell, self._grid_reach)

    def get_state(self) -> dict[str, Any]:
        """Return the ranges of the last scan."""
        return {"ranges": self._ranges.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from the ranges of a state."""
        self._ranges[:] = state["ranges"]

    def read(
        self, inputs: SensorInput, cars: np.ndarray, frame: np.ndarray, out: np.ndarray
    ) -> None:
        """Fill rows of `out` with an encoded scan; between two scans the last one is repeated.

        Args:
            inputs: What all n cars could perceive.
            cars: Indices of the cars, (k,).
            frame: Each car's frame number in its episode, (n,).
            out: The rows `cars` are filled, (n, ...).
        """
        config = self._config
        due = cars
        if config.rate < CONTROL_RATE_HZ:
            share = config.rate / CONTROL_RATE_HZ
            count = frame[cars]
            # A scan is due where the number of scans so far, frame x share, passes an integer.
            due = cars[(count == 0) | (np.floor(count * share) > np.floor((count - 1) * share))]
        body, boxes, ranges = inputs.state.body, inputs.boxes, self._ranges
        cast_beams(
            *(due, body, self._mount, self._beams, self._fan, self._grid),
            *(self._grid_reach / CELLS_PER_REACH, boxes, self._reach, config.far, ranges),
        )
        add_noise(due, self._seeds, frame, self._sigma, config.far, ranges)
        if isinstance(config, LidarConfig):
            clip_ranges(cars, ranges, config.near, config.clip, out)
            return
        nearest = ranges[cars].reshape(len(cars), config.sectors, -1).min(axis=2)
        if isinstance(config, SectorLidarConfig):
            out[cars] = nearest < config.clip
            return
        value = np.floor(np.clip(nearest, config.near, config.clip) / (config.clip / config.values))
        is_value = value[..., None] == np.arange(config.values)
        out[cars] = is_value.reshape(len(cars), -1)


@njit(cache=True)
def clip_ranges(cars, ranges, near, clip, out):
    """Fill rows of `out` with ranges that are not shorter or longer than a lidar reports.

    Args:
        cars: Indices of the cars, (k,).
        ranges: Ranges [m], (n, beams).
        near: Shortest range [m].
        clip: Longest range [m].
        out: The rows `cars` are filled, (n, beams).
    """
    for k in cars:
        for j in range(ranges.shape[1]):
            out[k, j] = min(max(ranges[k, j], near), clip)


@njit(cache=True, error_model="numpy")
def cast_beams(cars, body, mount, beams, fan, grid, cell, boxes, reach, far, ranges):
    """Fill `ranges` with the distance that each beam of some cars covers before it hits something.

    Args:
        cars: Indices of the cars, (k,).
        body: Body rows, (n, 13).
        mount: Position of the lidar in the car's frame [m], (3,).
        beams: Unit vectors in the car's frame, (beams, 2).
        fan: Angle of the first beam to the car's heading, and from each beam to the next [rad],
            (2,).
        grid: The walls, each in the cells from which it could be reached.
        cell: Side of a cell [m].
        boxes: As in `SensorInput`, (n, m, 10).
        reach: Largest distance that is searched [m], (n,); at most `far`.
        far: Range of a beam that hits nothing [m].
        ranges: Filled with ranges [m], (n, beams).
    """
    rays = np.empty_like(beams)
    for k in cars:
        x, y, z, w = body[k, 3], body[k, 4], body[k, 5], body[k, 6]
        cos, sin = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w)
        ex = body[k, 0] + mount[0] * cos + mount[2] * 2 * (x * z + y * w)
        ey = body[k, 1] + mount[0] * sin + mount[2] * 2 * (y * z - x * w)
        ez = body[k, 2] + mount[0] * 2 * (x * z - y * w) + mount[2] * (1 - 2 * (x * x + y * y))
        level = np.sqrt(cos * cos + sin * sin)
        cos, sin = (cos / level, sin / level) if level > 0.0 else (1.0, 0.0)
        for j in range(beams.shape[0]):
            ranges[k, j] = reach[k]
            rays[j, 0] = cos * beams[j, 0] - sin * beams[j, 1]
            rays[j, 1] = sin * beams[j, 0] + cos * beams[j, 1]
        if grid.rows > 0 and 0.0 <= ez <= WALL_HEIGHT_M:
            first = _angle_of(cos, sin) + fan[0]
            _to_walls(grid, cell, ex, ey, rays, first, fan[1], reach[k], ranges[k])
        for box in range(boxes.shape[1]):
            if abs(boxes[k, box, 2] - ez) <= boxes[k, box, 9] and boxes[k, box, 7] > 0.0:
                _to_box(boxes[k, box], ex, ey, rays, reach[k], ranges[k])
        for j in range(beams.shape[0]):
            if ranges[k, j] >= reach[k]:
                ranges[k, j] = far


@njit(cache=True, error_model="numpy")
def _to_walls(grid, cell, x, y, rays, zero, spacing, reach, ranges):
    """Shorten the beams of one lidar that hit a wall before anything else.

    Each segment is tried on those beams only between whose angles it lies.

    Args:
        grid: The walls.
        cell: Side of a cell [m].
        x: Position of the lidar [m].
        y: Position of the lidar [m].
        rays: Directions of the beams, unit vectors, (beams, 2).
        zero: Angle of the first one [rad].
        spacing: Angle from each to the next [rad].
        reach: Largest distance that is searched [m].
        ranges: Ranges so far [m], shortened in place, (beams,).
    """
    column = math.floor((x - grid.origin[0]) / cell)
    row = math.floor((y - grid.origin[1]) / cell)
    if row < 0 or column < 0 or row >= grid.rows or column >= grid.columns:
        return
    # Directions are counted in beams from here on, counter-clockwise from the first one.
    per_rad = 1.0 / spacing
    full, spare, most = 2.0 * math.pi * per_rad, ANGLE_SPARE_RAD * per_rad, MOST_TURN_RAD * per_rad
    zero -= 2.0 * math.pi * np.rint(zero / (2.0 * math.pi))
    segments, here = grid.segments, row * grid.columns + column
    # A ring's segment begins where the one before it ends.
    last_x, last_y, last = np.nan, np.nan, 0.0
    for m in range(grid.start[here], grid.start[here + 1]):
        ax, ay = segments[m, 0] - x, segments[m, 1] - y
        bx, by = segments[m, 2] - x, segments[m, 3] - y
        # No point of the segment is nearer than this.
        least = max(min(ax, bx), -max(ax, bx), min(ay, by), -max(ay, by))
        if least > reach:
            continue
        start = last
        if ax != last_x or ay != last_y:
            start = (_angle_of(ax, ay) - zero) * per_rad
            start += full if start < 0.0 else 0.0
        last_x, last_y, last = bx, by, (_angle_of(bx, by) - zero) * per_rad
        last += full if last < 0.0 else 0.0
        low, high = min(start, last), max(start, last)
        if high - low > 0.5 * full:
            low, high = high, low + full
        nearest_end = min(abs(ax) + abs(ay), abs(bx) + abs(by))
        if high - low > most or nearest_end < LEAST_DISTANCE_M:
            low, high = 0.0, full
        low, high = low - spare, high + spare
        while high >= 0.0:
            for j in range(max(math.ceil(low), 0), min(math.floor(high) + 1, rays.shape[0])):
                if least > ranges[j]:
                    continue
                dx, dy = rays[j, 0], rays[j, 1]
                # A corner gives the same number for both of its segments, so that no ray slips
                # through between them.
                first, second = dx * ay - dy * ax, dx * by - dy * bx
                if (first > 0.0) != (second > 0.0):
                    hit = (ax * by - ay * bx) / (second - first)
                    if 0.0 <= hit < ranges[j]:
                        ranges[j] = hit
            low, high = low - full, high - full


@njit(cache=True, error_model="numpy")
def _angle_of(x, y):
    """Return the angle of a direction [rad], to 2e-6 rad; it is faster than arctan2.

    The polynomial is that of Hastings, Approximations for Digital Computers (1955).
    """
    along, across = abs(x), abs(y)
    longer = max(along, across)
    share = min(along, across) / longer if longer > 0.0 else 0.0
    s = share * share
    series = 0.05265332 + s * -0.01172120
    series = -0.11643287 + s * series
    series = 0.19354346 + s * series
    series = -0.33262347 + s * series
    angle = share * (0.99997726 + s * series)
    if across > along:
        angle = 0.5 * math.pi - angle
    if x < 0.0:
        angle = math.pi - angle
    return math.copysign(angle, y)


@njit(cache=True, error_model="numpy")
def _to_box(box, x, y, rays, reach, ranges):
    """Shorten the beams of one lidar that hit a box before anything else.

    The box is taken as upright.

    Args:
        box: A row as in `SensorInput`, (10,).
        x: Position of the lidar [m].
        y: Position of the lidar [m].
        rays: Directions of the beams, unit vectors, (beams, 2).
        reach: Largest distance that is searched [m].
        ranges: Ranges so far [m], shortened in place, (beams,).
    """
    cx, cy, ahead, aside = box[0] - x, box[1] - y, box[7], box[8]
    radius = np.sqrt(ahead * ahead + aside * aside)
    if cx * cx + cy * cy > (reach + radius) * (reach + radius):
        return
    ux = 1 - 2 * (box[4] * box[4] + box[5] * box[5])
    uy = 2 * (box[3] * box[4] + box[5] * box[6])
    length = np.sqrt(ux * ux + uy * uy)
    ux, uy = (ux / length, uy / length) if length > 0.0 else (1.0, 0.0)
    px, py = -(cx * ux + cy * uy), -(cy * ux - cx * uy)
    for j in range(rays.shape[0]):
        dx, dy = rays[j, 0], rays[j, 1]
        # The beam passes the circle around the box, or points away from it.
        if abs(dx * cy - dy * cx) > radius or dx * cx + dy * cy < -radius:
            continue
        vx, vy = dx * ux + dy * uy, dy * ux - dx * uy
        # The slab method: the part of the beam between both pairs of sides, in the box's frame.
        enters, leaves = 0.0, ranges[j]
        if vx != 0.0:
            a, b = (-ahead - px) / vx, (ahead - px) / vx
            enters, leaves = max(enters, min(a, b)), min(leaves, max(a, b))
        elif abs(px) > ahead:
            continue
        if vy != 0.0:
            a, b = (-aside - py) / vy, (aside - py) / vy
            enters, leaves = max(enters, min(a, b)), min(leaves, max(a, b))
        elif abs(py) > aside:
            continue
        if enters <= leaves:
            ranges[j] = enters

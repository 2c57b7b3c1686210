"""A planar lidar: exact rays against the walls and the boxes, and their encoding for a policy."""

from __future__ import annotations

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

WALL_GRID_CELL_M = 0.2
"""Side of a cell of the walls' grid [m]; about two segments of a fitted track fit into one."""
CELL_PADDING_M = 1e-6
"""A segment is also put into cells that it misses by this [m], so that rounding opens no gap."""
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
        feet = (track.left, track.right) if walls else ()
        self._grid = segment_grid(feet, WALL_GRID_CELL_M, CELL_PADDING_M)
        self._seeds, self._sigma = np.zeros(n, dtype=np.uint64), np.full(n, config.noise)
        self._ranges = np.full((n, config.beams), config.far)
        self.space = config.model_copy(update={"stack": 1}).space

    def start(self, cars: np.ndarray, draws: np.ndarray) -> None:
        """See `Sensor.start`."""
        self._seeds[cars] = draws["seed"][cars]
        self._sigma[cars] = self._config.noise * draws["lidar_noise"][cars]

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
        # Nothing further than this can come within `clip` by noise, so it reads as clipped anyway.
        reach = np.minimum(config.far, config.clip + MAX_NOISE_DEVIATIONS * self._sigma)
        body, boxes, ranges = inputs.state.body, inputs.boxes, self._ranges
        cast_beams(
            due, body, self._mount, self._beams, self._grid, boxes, reach, config.far, ranges
        )
        add_noise(due, self._seeds, frame, self._sigma, config.far, ranges)
        if isinstance(config, LidarConfig):
            out[cars] = np.clip(ranges[cars], config.near, config.clip)
            return
        nearest = ranges[cars].reshape(len(cars), config.sectors, -1).min(axis=2)
        if isinstance(config, SectorLidarConfig):
            out[cars] = nearest < config.clip
            return
        value = np.floor(np.clip(nearest, config.near, config.clip) / (config.clip / config.values))
        is_value = value[..., None] == np.arange(config.values)
        out[cars] = is_value.reshape(len(cars), -1)


@njit(cache=True, error_model="numpy")
def cast_beams(cars, body, mount, beams, grid, boxes, reach, far, ranges):
    """Fill `ranges` with the distance that each beam of some cars covers before it hits something.

    Args:
        cars: Indices of the cars, (k,).
        body: Body rows, (n, 13).
        mount: Position of the lidar in the car's frame [m], (3,).
        beams: Unit vectors in the car's frame, (beams, 2).
        grid: The walls.
        boxes: As in `SensorInput`, (n, m, 10).
        reach: Largest distance that is searched [m], (n,); at most `far`.
        far: Range of a beam that hits nothing [m].
        ranges: Filled with ranges [m], (n, beams).
    """
    for k in cars:
        x, y, z, w = body[k, 3], body[k, 4], body[k, 5], body[k, 6]
        cos, sin = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w)
        ex = body[k, 0] + mount[0] * cos + mount[2] * 2 * (x * z + y * w)
        ey = body[k, 1] + mount[0] * sin + mount[2] * 2 * (y * z - x * w)
        ez = body[k, 2] + mount[0] * 2 * (x * z - y * w) + mount[2] * (1 - 2 * (x * x + y * y))
        level = np.sqrt(cos * cos + sin * sin)
        cos, sin = (cos / level, sin / level) if level > 0.0 else (1.0, 0.0)
        sees_walls = grid.rows > 0 and 0.0 <= ez <= WALL_HEIGHT_M
        for j in range(beams.shape[0]):
            dx = cos * beams[j, 0] - sin * beams[j, 1]
            dy = sin * beams[j, 0] + cos * beams[j, 1]
            ranges[k, j] = reach[k]
            if sees_walls:
                ranges[k, j] = _to_wall(grid, ex, ey, dx, dy, reach[k])
        for box in range(boxes.shape[1]):
            if abs(boxes[k, box, 2] - ez) <= boxes[k, box, 9] and boxes[k, box, 7] > 0.0:
                _to_box(boxes[k, box], ex, ey, cos, sin, beams, reach[k], ranges[k])
        for j in range(beams.shape[0]):
            if ranges[k, j] >= reach[k]:
                ranges[k, j] = far


@njit(cache=True, error_model="numpy")
def _to_wall(grid, x, y, dx, dy, reach):
    """Return the distance along a ray to the nearest wall, or `reach` if that is less.

    The grid's cells are visited in the order in which the ray crosses them (Amanatides and Woo,
    1987).

    Args:
        grid: The walls.
        x: Start of the ray [m].
        y: Start of the ray [m].
        dx: Direction of the ray, a unit vector.
        dy: Direction of the ray.
        reach: Largest distance that is searched [m].
    """
    ix, iy = 1.0 / dx, 1.0 / dy
    ox, oy = x - grid.origin[0], y - grid.origin[1]
    wide, high = grid.columns * WALL_GRID_CELL_M, grid.rows * WALL_GRID_CELL_M
    t = 0.0
    if not (0.0 <= ox < wide and 0.0 <= oy < high):
        # Begin where the ray enters the grid, if it does. A direction of zero gives infinities,
        # which these comparisons handle.
        ax, bx, ay, by = -ox * ix, (wide - ox) * ix, -oy * iy, (high - oy) * iy
        t = max(min(ax, bx), min(ay, by), 0.0)
        if not t <= min(max(ax, bx), max(ay, by)):
            return reach
    column = min(max(int(np.floor((ox + t * dx) / WALL_GRID_CELL_M)), 0), grid.columns - 1)
    row = min(max(int(np.floor((oy + t * dy) / WALL_GRID_CELL_M)), 0), grid.rows - 1)
    right, up = 1 if dx > 0.0 else -1, 1 if dy > 0.0 else -1
    next_x = ((column + (right > 0)) * WALL_GRID_CELL_M - ox) * ix if dx != 0.0 else np.inf
    next_y = ((row + (up > 0)) * WALL_GRID_CELL_M - oy) * iy if dy != 0.0 else np.inf
    segments, start, columns = grid.segments, grid.start, grid.columns
    step_x, step_y = WALL_GRID_CELL_M * abs(ix), WALL_GRID_CELL_M * abs(iy)
    best = reach
    while t < best:
        cell = row * columns + column
        for m in range(start[cell], start[cell + 1]):
            ax, ay = segments[m, 0] - x, segments[m, 1] - y
            bx, by = segments[m, 2] - x, segments[m, 3] - y
            # A corner gives the same number for both of its segments, so that no ray slips through
            # between them.
            first, second = dx * ay - dy * ax, dx * by - dy * bx
            if (first > 0.0) != (second > 0.0):
                hit = (ax * by - ay * bx) / (second - first)
                if 0.0 <= hit < best:
                    best = hit
        if next_x < next_y:
            t, column = next_x, column + right
            next_x += step_x
            if not 0 <= column < columns:
                break
        else:
            t, row = next_y, row + up
            next_y += step_y
            if not 0 <= row < grid.rows:
                break
    return best


@njit(cache=True, error_model="numpy")
def _to_box(box, x, y, cos, sin, beams, reach, ranges):
    """Shorten the beams of one lidar that hit a box before anything else.

    The box is taken as upright.

    Args:
        box: A row as in `SensorInput`, (10,).
        x: Position of the lidar [m].
        y: Position of the lidar [m].
        cos: Cosine of the car's heading.
        sin: Sine of the car's heading.
        beams: Unit vectors in the car's frame, (beams, 2).
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
    for j in range(beams.shape[0]):
        dx = cos * beams[j, 0] - sin * beams[j, 1]
        dy = sin * beams[j, 0] + cos * beams[j, 1]
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

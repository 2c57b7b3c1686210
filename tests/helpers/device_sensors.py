"""Cars anywhere for the sensors on a device, and what both sides are given of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from racer.car.spec import deepracer
from racer.gpu.frame_arrays import drawn_numbers
from racer.gpu.runtime import load_warp
from racer.randomisation import Draws, Randomisation
from racer.sensors import SensorInput, empty_road_input
from racer.track import Track, TrackPosition
from racer.world import CarState

SPEC = deepracer()
NOWHERE = TrackPosition(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int))


def drives(track: Track, n: int, seed: int = 0) -> np.ndarray:
    """Body rows of cars on and beside a track: level, at the lap's seam, far away, upside down."""
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.0, track.length, n)
    s[: n // 8] = rng.normal(0.0, 0.02, n // 8)
    xy, heading = track.at(s)
    body = np.zeros((n, 13))
    body[:, :2] = xy + rng.normal(0.0, 0.2, (n, 2))
    body[:, 2] = SPEC.mass_height + rng.normal(0.0, 0.003, n)
    turn = np.stack([heading + rng.normal(0.0, 0.5, n), *rng.normal(0.0, 0.04, (2, n))], axis=1)
    body[:, 3:7] = Rotation.from_euler("ZYX", turn).as_quat()
    wild = np.arange(n) % 4 == 3
    body[wild, :2] += rng.normal(0.0, 8.0, (wild.sum(), 2))
    body[wild, 2] += rng.uniform(-0.2, 0.6, wild.sum())
    turned = rng.normal(size=(wild.sum(), 4))
    body[wild, 3:7] = turned / np.linalg.norm(turned, axis=1)[:, None]
    body[0, 3:7] = (1.0, 0.0, 0.0, 0.0)
    body[1, :2] += 90.0
    return body


def drawn(randomisation: Randomisation, n: int) -> np.ndarray:
    """The draws of n cars, each of another seed."""
    draws = Draws(randomisation, n)
    draws.draw(np.arange(n), [np.random.default_rng(seed) for seed in range(n)])
    return draws.rows


def around(body: np.ndarray) -> SensorInput:
    """What cars at these body rows could perceive, without boxes."""
    n = len(body)
    return empty_road_input(CarState.of(body, np.zeros(n), np.zeros((n, 2))), NOWHERE)


def on_device(values: Any, dtype: Any, device: Any) -> Any:
    """An array of Warp with these values."""
    return load_warp().array(np.ascontiguousarray(values), dtype=dtype, device=device)


def start(sensor: Any, rows: np.ndarray, device: Any, mask: Any = None) -> None:
    """Begin an episode on the device with the draws of `Draws.rows`."""
    warp = load_warp()
    seeds = on_device(rows["seed"], warp.uint64, device)
    draws = on_device(drawn_numbers(rows), warp.float64, device)
    sensor.start(mask, seeds, draws)


def poses_of(body: np.ndarray, device: Any) -> Any:
    """The poses of body rows on a device."""
    return on_device(body[:, :7], load_warp().float64, device)

"""The arrays of n cars on a device, and what they start from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from racer.car.spec import CarSpec
from racer.envs.config import EnvConfig
from racer.gpu.frame_arrays import drawn_numbers
from racer.gpu.runtime import load_warp
from racer.race.roads import Roads
from racer.randomisation import DRAWN_QUANTITIES, NO_RANDOMISATION, neutral_draws
from racer.world.variation import MAX_LATENCY_STEPS


def device_fleet(spec: CarSpec, n: int, device: Any) -> Any:
    """Return n cars at the origin with neutral draws, a `CarArrays`.

    Args:
        spec: Their parameters.
        n: Number of cars.
        device: The Warp device.
    """
    from racer.gpu.force_functions import CarParameters, device_cars
    from racer.gpu.start_kernels import CarArrays

    warp, fleet, nominal = load_warp(), CarArrays(), CarParameters()
    row = spec.parameters(1)[0]
    for name in row.dtype.names:
        setattr(nominal, name, float(row[name]))
    fleet.nominal, fleet.cars = nominal, device_cars(spec, n, device)
    shapes = {
        "shift": (n, 2),
        "body": (n, 13),
        "inverse": (n, 4),
        "steering": (n,),
        "command": (n, 2),
        "acting": (n, 2),
        "sent": (MAX_LATENCY_STEPS + 1, n, 2),
    }
    for name, shape in shapes.items():
        setattr(fleet, name, warp.zeros(shape, dtype=warp.float64, device=device))
    for name in ("seed", "episode_seed"):
        setattr(fleet, name, warp.zeros(n, dtype=warp.uint64, device=device))
    draws = drawn_numbers(neutral_draws(n))
    fleet.draws = warp.array(draws, dtype=warp.float64, device=device)
    return fleet


def start_rules(config: EnvConfig, roads: Roads, device: Any) -> Any:
    """Return how episodes start, a `StartRules`.

    Args:
        config: The race and the randomisation.
        roads: The lines.
        device: The Warp device.
    """
    from racer.gpu.start_kernels import DIRECTIONS, START_KINDS, StartRules

    warp, rules, race = load_warp(), StartRules(), config.race
    rules.start, rules.direction = START_KINDS[race.start], DIRECTIONS[race.direction]
    rules.tracks, rules.offset = len(roads.lines) // 2, race.start_offset
    rules.is_random = int(config.randomisation != NO_RANDOMISATION)
    ranges = np.array([getattr(config.randomisation, name) for name in DRAWN_QUANTITIES])
    low, high = ranges[:, 0].copy(), ranges[:, 1].copy()
    rules.low = warp.array(low, dtype=warp.float64, device=device)
    rules.high = warp.array(high, dtype=warp.float64, device=device)
    return rules


def wheel_places(spec: CarSpec, device: Any) -> tuple[Any, float]:
    """Return the places of the wheels on a device, and how far the farthest one is.

    Args:
        spec: The car.
        device: The Warp device.

    Returns:
        Forward and left of the centre of mass [m], Warp array (4, 2) float64; and a distance [m].
    """
    half, front, rear = spec.tread / 2, spec.to_front_axle, -spec.to_rear_axle
    places = np.array([[front, half], [front, -half], [rear, half], [rear, -half]])
    warp = load_warp()
    arm = max(math.hypot(*place) for place in places.tolist())
    return warp.array(places, dtype=warp.float64, device=device), arm

"""The physics of cars, walls and boxes: Bullet, and its twin for cars that touch nothing."""

from racer.world.car_state import (
    CONTROL_PERIOD_S,
    CONTROL_RATE_HZ,
    SUBSTEPS_PER_CONTROL,
    WALL_HEIGHT_M,
    WORLD_RADIUS_M,
    CarState,
    Contact,
    yaw_of,
)
from racer.world.world import Engine, World, has_display

__all__ = [
    "CONTROL_PERIOD_S",
    "CONTROL_RATE_HZ",
    "SUBSTEPS_PER_CONTROL",
    "WALL_HEIGHT_M",
    "WORLD_RADIUS_M",
    "CarState",
    "Contact",
    "Engine",
    "World",
    "has_display",
    "yaw_of",
]

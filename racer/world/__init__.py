"""The physics: cars, walls and boxes in a Bullet world. Poses go in, forces are applied, poses come
out.
"""

from racer.world.bullet import World
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
from racer.world.free_boxes import FreeBoxes
from racer.world.pybullet_client import has_display

__all__ = [
    "CONTROL_PERIOD_S",
    "CONTROL_RATE_HZ",
    "SUBSTEPS_PER_CONTROL",
    "WALL_HEIGHT_M",
    "WORLD_RADIUS_M",
    "CarState",
    "Contact",
    "FreeBoxes",
    "World",
    "has_display",
    "yaw_of",
]

"""The physics engine behind one file: poses in, forces applied, poses out."""

from racer.world.bullet import World
from racer.world.car_state import (
    CONTROL_RATE,
    ROOM,
    SUBSTEPS,
    WALL_HEIGHT,
    CarState,
    Contact,
    yaw_of,
)
from racer.world.free_boxes import FreeBoxes
from racer.world.pybullet_client import has_display

__all__ = [
    "CONTROL_RATE",
    "ROOM",
    "SUBSTEPS",
    "WALL_HEIGHT",
    "CarState",
    "Contact",
    "FreeBoxes",
    "World",
    "has_display",
    "yaw_of",
]

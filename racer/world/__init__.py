"""The physics engine behind one file: poses in, forces applied, poses out."""

from racer.world.bullet import World
from racer.world.engine import has_display
from racer.world.floor import FreeBoxes
from racer.world.state import CONTROL_RATE, ROOM, SUBSTEPS, WALL_HEIGHT, CarState, Contact, yaw_of

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

"""The physics engine behind one file: poses in, forces applied, poses out."""

from racer.world.bullet import World, has_display
from racer.world.state import CONTROL_RATE, ROOM, SUBSTEPS, CarState, Contact, yaw_of

__all__ = [
    "CONTROL_RATE",
    "ROOM",
    "SUBSTEPS",
    "CarState",
    "Contact",
    "World",
    "has_display",
    "yaw_of",
]

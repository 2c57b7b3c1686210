"""The physics engine behind one file: poses in, forces applied, poses out."""

from racer.world.bullet import CONTROL_RATE, SUBSTEPS, CarState, World, has_display, yaw_of

__all__ = ["CONTROL_RATE", "SUBSTEPS", "CarState", "World", "has_display", "yaw_of"]

"""The car without its physics engine: its parameters, its action space and the forces on it."""

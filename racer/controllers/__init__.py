"""Classical controllers, which need no training: they follow a line by the car's true state."""

from __future__ import annotations

from collections.abc import Callable

from racer.car.spec import CarSpec
from racer.controllers.path_following import (
    Controller,
    LineFollower,
    make_pure_pursuit,
    make_raceline,
)
from racer.errors import ConfigError
from racer.track import Track

CONTROLLERS: dict[str, Callable[[Track, CarSpec], Controller]] = {
    "pure-pursuit": make_pure_pursuit,
    "raceline": make_raceline,
}
"""The constructor of each controller, by the name that is given in place of an entry."""


def make_controller(name: str, track: Track, spec: CarSpec) -> Controller:
    """Return a controller for one race of a car on a track.

    Args:
        name: A name in `CONTROLLERS`.
        track: The track in the direction in which it is driven.
        spec: The car.

    Raises:
        ConfigError: No controller has that name.
    """
    if name not in CONTROLLERS:
        raise ConfigError(f"no controller {name!r}; known: {', '.join(CONTROLLERS)}")
    return CONTROLLERS[name](track, spec)


__all__ = ["CONTROLLERS", "Controller", "LineFollower", "make_controller"]

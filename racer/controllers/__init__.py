"""Classical drivers that need no training: they steer by the car's true state along a line."""

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
"""Every pilot by the name that stands where an entry is asked for."""


def make_controller(name: str, track: Track, spec: CarSpec) -> Controller:
    """A pilot for one race of a car on a track.

    Raises:
        ConfigError: No pilot has that name.
    """
    if name not in CONTROLLERS:
        raise ConfigError(f"no pilot {name!r}; known: {', '.join(CONTROLLERS)}")
    return CONTROLLERS[name](track, spec)


__all__ = ["CONTROLLERS", "Controller", "LineFollower", "make_controller"]

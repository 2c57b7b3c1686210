"""Classical drivers that need no training: they steer by the car's true state along a line."""

from __future__ import annotations

from collections.abc import Callable

from racer.car.spec import CarSpec
from racer.controllers.path_following import Follower, Pilot, pure_pursuit, raceline
from racer.errors import ConfigError
from racer.track import Track

PILOTS: dict[str, Callable[[Track, CarSpec], Pilot]] = {
    "pure-pursuit": pure_pursuit,
    "raceline": raceline,
}
"""Every pilot by the name that stands where an entry is asked for."""


def pilot_named(name: str, track: Track, spec: CarSpec) -> Pilot:
    """A pilot for one race of a car on a track.

    Raises:
        ConfigError: No pilot has that name.
    """
    if name not in PILOTS:
        raise ConfigError(f"no pilot {name!r}; known: {', '.join(PILOTS)}")
    return PILOTS[name](track, spec)


__all__ = ["PILOTS", "Follower", "Pilot", "pilot_named"]

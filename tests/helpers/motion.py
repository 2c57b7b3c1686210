"""Cars that are put into any motion, as no reset does."""

from __future__ import annotations

from collections.abc import Sequence

from racer.world import World


def set_motion(
    world: World,
    car: int,
    velocity: Sequence[float],
    spin: Sequence[float] = (0.0, 0.0, 0.0),
    height: float | None = None,
) -> None:
    """Give a car a velocity [m/s] and a spin [rad/s], and perhaps a height [m]."""
    world._take_back([car])
    row = world._body[car]
    row[2] = row[2] if height is None else height
    row[7:10], row[10:13] = velocity, spin
    if world._has_bullet_only:
        world._hand_over([car])
    world._publish()

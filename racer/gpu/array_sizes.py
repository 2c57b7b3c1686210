"""The memory of a simulator's arrays, found by looking at all of them."""

from __future__ import annotations

from typing import Any


def array_bytes(thing: Any) -> int:
    """Return the bytes of all arrays on a device that an object holds, each counted once.

    Args:
        thing: An object of this package, a Warp array or structure, or a container of them.
    """
    found: dict[int, int] = {}
    _collect(thing, found, set())
    return sum(found.values())


def _collect(thing: Any, found: dict[int, int], seen: set[int]) -> None:
    """Add the bytes of each array by its address.

    Args:
        thing: Where to look.
        found: What is added to.
        seen: Ids of objects that were looked at.
    """
    from racer.gpu.runtime import load_warp

    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, load_warp().array):
        if thing.ptr:
            found[thing.ptr] = max(found.get(thing.ptr, 0), thing.capacity)
    elif isinstance(thing, dict):
        for one in thing.values():
            _collect(one, found, seen)
    elif isinstance(thing, list | tuple):
        for one in thing:
            _collect(one, found, seen)
    elif type(thing).__module__.startswith(("racer.gpu", "warp")):
        members = getattr(thing, "__dict__", {})
        for one in members.values():
            _collect(one, found, seen)


def bytes_per_car(make: Any, cars: int = 64) -> int:
    """Return the bytes that each further car takes, which leaves out what all cars share.

    Args:
        make: Returns the simulator of a number of cars.
        cars: How many cars the smaller of two simulators has.
    """
    few, many = (array_bytes(make(count)) for count in (cars, 2 * cars))
    return (many - few) // cars

"""Fixtures that several rooms' tests share."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from racer.car.spec import CarSpec, deepracer
from racer.world import World

SPEC = deepracer()


class MakeWorld(Protocol):
    def __call__(self, n: int, spec: CarSpec = SPEC) -> World: ...


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    worlds = []

    def make(n: int, spec: CarSpec = SPEC) -> World:
        worlds.append(World(spec, n))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()

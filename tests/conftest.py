"""Fixtures that several rooms' tests share."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from racer.car.spec import CarSpec, deepracer
from racer.world import World
from tests.helpers.closing import closing

SPEC = deepracer()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of minutes, so that none of them is left to one worker at the end."""

    def minutes(item: pytest.Item) -> float:
        mark = item.get_closest_marker("slow")
        return mark.kwargs.get("minutes", 0.0) if mark else 0.0

    items.sort(key=minutes, reverse=True)


class MakeWorld(Protocol):
    def __call__(self, n: int, spec: CarSpec = SPEC) -> World: ...


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    yield from closing(lambda n, spec=SPEC: World(spec, n))

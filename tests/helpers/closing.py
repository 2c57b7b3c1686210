"""Fixtures that make several of a kind and close them all after the test."""

from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def closing(make: Callable[P, T]) -> Iterator[Callable[P, T]]:
    """Yield `make`, and close what it has made: a fixture's body after `yield from`."""
    made: list[Any] = []

    def build(*args: P.args, **kwargs: P.kwargs) -> T:
        made.append(make(*args, **kwargs))
        return made[-1]

    yield build
    for one in made:
        one.close()

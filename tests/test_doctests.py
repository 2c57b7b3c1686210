"""The examples in the docstrings of the package's central classes and functions run.

They are `racer.drive`, `load_track` and `Track.locate`, `deepracer` (a `CarSpec`), `ActionSpace`,
`World`, `Randomisation`, `RacerEnv`, `RacerVectorEnv` and `make_vec_env` for Stable-Baselines3. One
more needs a line in `EXAMPLES` and a higher `CENTRAL_LIMIT`: its example is fast, and prints
numbers rounded so far that every processor prints the same.
"""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

EXAMPLES = {
    "racer": ("drive",),
    "racer.car.action_space": ("ActionSpace",),
    "racer.car.spec": ("deepracer",),
    "racer.envs.racer_env": ("RacerEnv",),
    "racer.envs.racer_vector_env": ("RacerVectorEnv",),
    "racer.randomisation": ("Randomisation",),
    "racer.sb3": ("make_vec_env",),
    "racer.track.geometry": ("Track.locate",),
    "racer.track.loading": ("load_track",),
    "racer.world.world": ("World",),
}
"""Each module whose examples run, and what in it must have one."""

CENTRAL_LIMIT = 10
"""More examples than these a reader does not look for here, and the test would become slow."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.needs("stable_baselines3"))
        if name == "racer.sb3"
        else name
        for name in EXAMPLES
    ],
)
def test_the_examples_of_a_module_run(name):
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_central_has_an_example(name):
    found = doctest.DocTestFinder(exclude_empty=False).find(import_module(name))
    documented = {test.name.removeprefix(f"{name}."): bool(test.examples) for test in found}
    assert [central for central in EXAMPLES[name] if not documented.get(central)] == []


def test_no_more_than_the_central_ten_are_listed():
    assert sum(map(len, EXAMPLES.values())) <= CENTRAL_LIMIT

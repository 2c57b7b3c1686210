"""The shipped cars: found by name, with every number a finite one."""

from dataclasses import asdict

import numpy as np
import pytest

from racer.car.spec import CAR_PRESETS, CarSpec, car_named, deepracer
from racer.errors import ConfigError


@pytest.mark.parametrize("name", CAR_PRESETS)
def test_a_car_is_found_by_its_own_name(name):
    car = car_named(name)
    assert isinstance(car, CarSpec)
    assert car.name == name


def test_the_default_car_comes_first():
    assert car_named(next(iter(CAR_PRESETS))) == deepracer()


@pytest.mark.parametrize(
    ("name", "said"),
    [("deepracr", "did you mean 'deepracer'"), ("lorry", "known: deepracer, f1tenth")],
)
def test_an_unknown_car_is_refused_with_the_near_one_or_with_all(name, said):
    with pytest.raises(ConfigError, match=said):
        car_named(name)


@pytest.mark.parametrize("name", CAR_PRESETS)
def test_every_number_of_a_car_reaches_the_kernel(name):
    numbers = {key: value for key, value in asdict(car_named(name)).items() if key != "name"}
    rows = car_named(name).parameters(3)
    assert rows.shape == (3,)
    assert set(rows.dtype.names or ()) == set(numbers)
    for key, value in numbers.items():
        assert np.isfinite(value)
        np.testing.assert_array_equal(rows[key], value)

"""Episodes on a device start where and as those of `Race` do, with draws of the same ranges."""

import numpy as np
import pytest

from racer.gpu.gpu_env import GpuVectorEnv
from racer.race.roads import Road
from racer.randomisation import DRAWN_QUANTITIES, load_randomisation
from racer.sensors.counter_rng import _hash

N = 2000


@pytest.fixture(scope="module")
def started():
    """Cars in the second of their episodes, on one of three tracks, as sim2real draws them."""
    cars = GpuVectorEnv(
        N,
        device="cpu",
        seed=5,
        sensor="state",
        reward=None,
        track=["oval", "hairpin", "bowtie"],
        race={"direction": "alternate"},
        randomisation="sim2real",
    )
    cars.reset()
    cars.reset()
    return cars


def share_of(car, place):
    """The number from 0 to 1 that a car draws in its second episode, by numba's hash."""
    return float(_hash(np.uint64(5 + car), 1, place) >> np.uint64(11)) * 2.0**-53


def test_a_start_is_where_its_three_numbers_say(started):
    roads, line = started._roads, started._records.line.numpy()
    first = 2 + len(DRAWN_QUANTITIES)
    cars = np.arange(0, N, 50)
    shares = np.array([[share_of(car, first + k) for k in range(3)] for car in cars])
    own = line[cars]
    s = shares[:, 0] * roads.length[own]
    lane = 4.0 * (0.2 * shares[:, 1] - 0.1)
    _, xy, yaw = roads.on_lane(Road(own), s, lane)
    yaw = yaw + 0.2 * shares[:, 2] - 0.1
    body = started._body.numpy()[cars]
    np.testing.assert_allclose(body[:, :2], xy, atol=1e-9)
    turned = np.angle(np.exp(1j * (started._yaw.numpy()[cars] - yaw)))
    np.testing.assert_allclose(turned, 0.0, atol=1e-9)
    assert (body[:, 7:] == 0.0).all()


def test_tracks_are_drawn_evenly_and_directions_alternate(started):
    line = started._records.line.numpy()
    assert (line % 2 == 1).all()
    counts = np.bincount(line // 2, minlength=3)
    # Five standard deviations of a binomial count.
    assert np.abs(counts - N / 3).max() < 5 * np.sqrt(N * 2 / 9)


def test_every_quantity_is_drawn_evenly_from_its_range(started):
    randomisation, draws = load_randomisation("sim2real"), started._fleet.draws.numpy()
    for k, name in enumerate(DRAWN_QUANTITIES):
        low, high = getattr(randomisation, name)
        drawn = draws[:, k]
        assert drawn.min() >= low and drawn.max() <= high
        if high > low and name != "latency":
            # Five standard errors of a uniform number's mean.
            middle = 5 * (high - low) / np.sqrt(12 * N)
            assert drawn.mean() == pytest.approx((low + high) / 2, abs=middle)
    latency = draws[:, DRAWN_QUANTITIES.index("latency")]
    low, high = map(int, randomisation.latency)
    assert set(latency) == set(range(low, high + 1))


def test_numbers_of_one_car_do_not_follow_from_those_of_the_next(started):
    draws = started._fleet.draws.numpy()
    names = [DRAWN_QUANTITIES.index(name) for name in ("friction", "mass")]
    a, b = draws[:-1, names[0]], draws[1:, names[0]]
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(N)
    assert abs(np.corrcoef(draws[:, names[0]], draws[:, names[1]])[0, 1]) < 5 / np.sqrt(N)

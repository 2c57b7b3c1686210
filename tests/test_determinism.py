"""The same seed gives the same bytes: twice, in another process, and among other cars."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from racer.env import RacerEnv, RacerVectorEnv

SMALL_CAMERA = {"kind": "camera", "width": 40, "height": 30}


def digest(sensor, steps=200, seed=3):
    env = RacerVectorEnv(4, sensor=sensor)
    rng = np.random.default_rng(0)
    obs, _ = env.reset(seed=seed)
    seen = hashlib.sha256(obs.tobytes())
    for _ in range(steps):
        obs, rewards, terminated, _, info = env.step(rng.uniform(-1, 1, (4, 2)))
        for part in (obs, rewards, terminated, info["progress"], env.world.state.body):
            seen.update(np.ascontiguousarray(part).tobytes())
    env.close()
    return seen.hexdigest()


@pytest.mark.parametrize("sensor", ["state", SMALL_CAMERA], ids=["state", "camera"])
def test_the_same_seed_gives_the_same_bytes_in_two_processes(sensor):
    code = f"from tests.test_determinism import digest; print(digest({sensor!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(sensor)


def test_another_seed_gives_other_bytes():
    assert digest("state", steps=1, seed=3) != digest("state", steps=1, seed=4)


@pytest.mark.parametrize("sensor", ["state", SMALL_CAMERA], ids=["state", "camera"])
@pytest.mark.parametrize("car", [0, 41])
def test_a_car_alone_and_among_63_others_is_bit_identical(sensor, car):
    rng = np.random.default_rng(1)
    actions = rng.uniform((-0.6, -1.0), (0.6, 0.2), (150, 64, 2)).astype(np.float32)
    alone, among = RacerEnv(sensor=sensor), RacerVectorEnv(64, sensor=sensor)
    first, _ = alone.reset(seed=7 + car)
    seen, _ = among.reset(seed=7)
    assert np.array_equal(first, seen[car])
    for action in actions:
        seen, rewards, terminated, truncated, _ = among.step(action)
        one, reward, is_over, is_cut, _ = alone.step(action[car])
        if is_over or is_cut:
            one, _ = alone.reset()
        assert one.tobytes() == seen[car].tobytes()
        assert (reward, is_over, is_cut) == (rewards[car], terminated[car], truncated[car])
        mine, theirs = alone.vector.world.state, among.world.state
        assert mine.body[0].tobytes() == theirs.body[car].tobytes()
    alone.close()
    among.close()

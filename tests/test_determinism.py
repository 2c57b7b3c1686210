"""The same seed gives the same bytes: twice, in another process, and among other cars."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from racer.envs import RacerEnv, RacerVectorEnv
from racer.race import RACE_KINDS

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


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("sensor", ["state", SMALL_CAMERA], ids=["state", "camera"])
def test_the_same_seed_gives_the_same_bytes_in_two_processes(sensor):
    code = f"from tests.test_determinism import digest; print(digest({sensor!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(sensor)


def test_another_seed_gives_other_bytes():
    assert digest("state", steps=1, seed=3) != digest("state", steps=1, seed=4)


@pytest.mark.parametrize(
    "sensor", [pytest.param("state", marks=pytest.mark.slow), SMALL_CAMERA], ids=["state", "camera"]
)
@pytest.mark.parametrize("car", [pytest.param(0, marks=pytest.mark.slow), 41])
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


SMALL = [
    {"kind": "camera", "width": 24, "height": 18},
    {"kind": "lidar", "rate": 10},
    {"kind": "state"},
]
LONG = [pytest.param(kind, 500, marks=pytest.mark.slow) for kind in RACE_KINDS]


def tape(kind, steps, n=1, car=0, before=0):
    """What one car of n does and sees in so many steps with everything drawn anew each episode."""
    race = {"walls": True, "direction": "alternate"}
    env = RacerVectorEnv(n, kind=kind, race=race, sensor=SMALL, randomisation="sim2real")
    rng = np.random.default_rng(11)
    for warm in range(before):
        env.reset(seed=99 + warm)
        for _ in range(30 * warm):
            env.step(rng.uniform(-1, 1, (n, 2)))
    obs, info = env.reset(seed=5 - car)
    mine, others = np.random.default_rng(1), np.random.default_rng(2)
    seen = hashlib.sha256()
    for _ in range(steps):
        actions = others.uniform(-1, 1, (n, 2))
        actions[car] = mine.uniform((-0.4, -1.0), (0.4, 0.5))
        obs, rewards, terminated, truncated, info = env.step(actions)
        parts = [obs[name][car] for name in sorted(obs)]
        parts += [info["drawn"][name][car] for name in sorted(info["drawn"])]
        parts += [rewards[car], terminated[car], truncated[car], info["progress"][car]]
        parts += [env.world.state.body[car], env.world.boxes[car]]
        for part in parts:
            seen.update(np.ascontiguousarray(part).tobytes())
    env.close()
    return seen.hexdigest()


@pytest.mark.needs("pybullet")
@pytest.mark.parametrize(("kind", "steps"), [("head_to_bot", 200), *LONG])
def test_steps_are_the_same_bytes_however_they_come_about(kind, steps):
    print_it = f"print(tape({kind!r}, {steps}, 3, car=1, before=2))"
    among = f"from tests.test_determinism import tape; {print_it}"
    other = subprocess.Popen([sys.executable, "-c", among], stdout=subprocess.PIPE, text=True)
    alone = tape(kind, steps)
    said, _ = other.communicate(timeout=120)
    assert said.strip() == alone

"""All engines compute the same bits: the twin of Bullet, Bullet, and the way between them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from racer.envs import RacerVectorEnv
from racer.errors import RacerError
from racer.pettingzoo.race_v0 import parallel_env

RACES: dict[str, dict[str, Any]] = {
    "time trial": {},
    "walls": {"race": {"walls": True}},
    "walls, reset": {"race": {"walls": True, "faults": "reset"}},
    "walls of three tracks": {
        "track": ["bowtie", "hairpin", "comb"],
        "race": {"walls": True, "faults": "reset"},
    },
    "boxes": {"race": {"kind": "object_avoidance", "faults": "reset"}},
    "boxes, walls, sim2real": {
        "race": {"kind": "object_avoidance", "walls": True},
        "randomisation": "sim2real",
    },
    "bots, sim2real": {
        "race": {"kind": "head_to_bot", "faults": "reset", "bots": {"count": 6, "speed": 2.0}},
        "randomisation": "sim2real",
    },
    "bots, walls": {"race": {"kind": "head_to_bot", "walls": True, "bots": {"speed": 4.0}}},
    "f1tenth, walls": {"car": "f1tenth", "race": {"walls": True, "faults": "reset"}},
}


class Together(RacerVectorEnv):
    """Cars that race each other."""

    is_together = True


def bits(observations: Any) -> bytes:
    parts = observations.values() if isinstance(observations, dict) else [observations]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def play(
    kind: type[RacerVectorEnv], n: int, steps: int, held: int = 4, **config: Any
) -> tuple[list[str], dict]:
    """Drive n cars by random actions that are held for some steps; a hash a step, and counts."""
    options: dict[str, Any] = {"sensor": "state"} | config
    env = kind(n, **options)
    try:
        observations, _ = env.reset(seed=0)
        rng, hashes = np.random.default_rng(1), []
        actions = np.zeros((n, 2), dtype=np.float32)
        counts = {"bullet": 0, "touched": 0, "cars": 0}
        drive = env.world.step

        def drive_and_count(command, boxes=None):
            state = drive(command, boxes)
            counts["touched"] += int((env.world.contact != 0).sum())
            return state

        env.world.step = drive_and_count
        for step in range(steps):
            if step % held == 0:
                actions = rng.uniform(-1.0, 1.0, (n, 2)).astype(np.float32)
            observations, rewards, ended, _, _ = env.step(actions)
            world = env.world
            parts = bits(observations), rewards.tobytes(), ended.tobytes()
            own = (world.state.body, world.state.steering, world.contact, world._inverse)
            text = b"".join([*parts, *(values.tobytes() for values in own)])
            hashes.append(hashlib.sha256(text).hexdigest())
            counts["bullet"] += int(world._is_bullets.sum())
            counts["cars"] += n
        return hashes, counts
    finally:
        env.close()


def assert_engines_agree(kind: type[RacerVectorEnv], n: int, steps: int, **config: Any) -> dict:
    """Compare `auto` with `bullet` step by step, and return what was counted."""
    expected, _ = play(kind, n, steps, engine="bullet", **config)
    hashes, counts = play(kind, n, steps, engine="auto", **config)
    different = [step for step, pair in enumerate(zip(hashes, expected)) if pair[0] != pair[1]]
    assert different[:1] == []
    return counts


@pytest.mark.parametrize("race", RACES)
def test_a_race_has_the_same_bits_by_the_twin_and_by_bullet(race):
    counts = assert_engines_agree(RacerVectorEnv, 7, 290, **RACES[race])
    has_solids = race != "time trial"
    assert (counts["bullet"] > 0) == has_solids
    assert counts["bullet"] < counts["cars"]  # Some cars are the twin's even there.
    assert (counts["touched"] > 0) == has_solids


@pytest.mark.parametrize("race", ["time trial", "boxes, walls, sim2real", "bots, sim2real"])
def test_cars_that_meet_have_the_same_bits_by_the_twin_and_by_bullet(race):
    rules = {**RACES[race].get("race", {}), "faults": "reset"}
    counts = assert_engines_agree(Together, 16, 200, **{**RACES[race], "race": rules})
    assert 0 < counts["bullet"] < counts["cars"]
    assert counts["touched"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("race", "n", "steps"),
    [
        pytest.param("boxes, walls, sim2real", 7, 2000, marks=pytest.mark.ci),
        *((race, 7, 2000) for race in RACES if race != "boxes, walls, sim2real"),
        *((race, n, steps) for race in RACES for n, steps in ((1, 2000), (64, 200))),
    ],
)
def test_few_and_many_cars_have_the_same_bits(race, n, steps):
    assert_engines_agree(RacerVectorEnv, n, steps, **RACES[race])


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("race", ["walls", "boxes, walls, sim2real", "f1tenth, walls"])
def test_thousands_of_crashes_have_the_same_bits(race):
    counts = assert_engines_agree(RacerVectorEnv, 64, 1000, held=40, **RACES[race])
    assert counts["touched"] > 2000


@pytest.mark.slow
@pytest.mark.parametrize(("n", "steps"), [(2, 2000), (24, 300)])
@pytest.mark.parametrize("race", [race for race in RACES if race != "walls of three tracks"])
def test_few_and_many_cars_that_meet_have_the_same_bits(race, n, steps):
    rules = {**RACES[race].get("race", {}), "faults": "reset"}
    assert_engines_agree(Together, n, steps, **{**RACES[race], "race": rules})


@pytest.mark.slow
@pytest.mark.parametrize("sensor", ["camera", "lidar", ["lidar", "state"], "state"])
@pytest.mark.parametrize("race", RACES)
def test_every_sensor_sees_the_same_bits(race, sensor):
    assert_engines_agree(RacerVectorEnv, 3, 150, sensor=sensor, **RACES[race])


@pytest.mark.slow(minutes=4)
@pytest.mark.parametrize("car", ["deepracer", "f1tenth"])
def test_ten_million_substeps_have_the_same_bits(car):
    steps = 5_000_000 // (64 * 16) + 1
    assert_engines_agree(RacerVectorEnv, 64, steps, car=car, randomisation="sim2real")


def test_a_state_that_was_taken_near_a_wall_goes_on_with_the_same_bits():
    config: dict[str, Any] = {"sensor": "state", "race": {"walls": True}}
    one, other = RacerVectorEnv(20, **config), RacerVectorEnv(20, **config)
    rng = np.random.default_rng(2)
    actions = rng.uniform(-1.0, 1.0, (200, 20, 2)).astype(np.float32)
    one.reset(seed=3)
    shares = []
    for step in range(200):
        if step % 4 == 2 and not one.world.contact.any():
            other.set_state(one.get_state())
            shares.append(one.world._is_bullets.mean())
            for ahead in actions[step : step + 8]:
                other.step(ahead)
            one_more = one.get_state()
            for ahead in actions[step : step + 8]:
                one.step(ahead)
            assert one.world.state.body.tobytes() == other.world.state.body.tobytes()
            one.set_state(one_more)
        one.step(actions[step])
    assert 0.0 < np.mean(shares) < 1.0
    one.close()
    other.close()


def test_states_with_a_contact_can_be_restored_without_end():
    env = RacerVectorEnv(7, sensor="state", reward=None, race={"walls": True, "faults": "reset"})
    env.reset(seed=0)
    rng, world, taken = np.random.default_rng(1), env.world, {}
    command = np.zeros((7, 2))
    for step in range(200):
        if step % 4 == 0:
            command = rng.uniform((-0.5, 0.5), (0.5, 4.0), (7, 2))
        world.step(command)
        if world.contact.any():
            taken = world.get_state()
            break
    assert taken["world"]["_has_touched"].any()
    ends = set()
    for _ in range(40):
        world.set_state(taken)
        ends.add(world.state.body.tobytes())
    assert len(world._clients) == 1
    assert len(ends) == 1
    env.close()


@pytest.mark.parametrize(
    "race", [{"walls": True}, {"kind": "object_avoidance"}, {"kind": "head_to_bot"}]
)
def test_the_twin_alone_refuses_a_race_with_solids(race):
    with pytest.raises(RacerError, match=r"drives free cars only.*use engine 'auto'"):
        RacerVectorEnv(1, sensor="state", engine="twin", race=race)


def test_the_twin_alone_refuses_cars_that_meet():
    with pytest.raises(RacerError, match="free cars only"):
        parallel_env(2, sensor="state", engine="twin")


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(RacerError, match=r"engine.*bullet"):
        RacerVectorEnv(1, sensor="state", engine="mujoco")


def test_a_race_without_solids_does_not_load_pybullet():
    program = (
        "import sys, numpy as np; from racer.envs import RacerVectorEnv\n"
        "env = RacerVectorEnv(2, sensor='state'); env.reset(seed=0)\n"
        "env.step(np.zeros((2, 2), dtype=np.float32)); print('pybullet' in sys.modules)\n"
        "env.close(); RacerVectorEnv(1, sensor='state', engine='bullet').close()\n"
        "print('pybullet' in sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True
    )
    assert output.stdout.split() == ["False", "True"]


def test_without_pybullet_a_race_with_solids_says_what_to_do(monkeypatch):
    monkeypatch.setattr("racer.world.world.importlib.util.find_spec", lambda name: None)
    RacerVectorEnv(1, sensor="state").close()
    with pytest.raises(RacerError, match=r"needs PyBullet.*pip install pybullet.*without walls"):
        RacerVectorEnv(1, sensor="state", race={"walls": True})

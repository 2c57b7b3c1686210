"""Several cars on one road keep PettingZoo's contract, with no warning at all."""

import copy
import importlib
import json
import pickle
import sys

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.test.max_cycles_test import max_cycles_test

from racer.errors import ConfigError
from racer.pettingzoo import race_v0
from racer.race import Ending
from tests.helpers.closing import closing

LISTEN = """
import json

def reward_function(params):
    with open({path!r}, "a") as file:
        file.write(json.dumps(params) + "\\n")
    return 1.0
"""


@pytest.fixture
def build():
    def make(n_cars=2, **config):
        config = {"sensor": "state", "reward": None, **config}
        return race_v0.parallel_env(n_cars, **config)

    yield from closing(make)


def action(speed, steering=0.0):
    """The action for a speed from 0.5 to 4 m/s and a share of the steering lock."""
    return np.array([steering, (speed - 0.5) / 3.5 * 2.0 - 1.0], dtype=np.float32)


def drive(env, **actions):
    """One step with an agent's action as given, or slowly straight on."""
    return env.step({agent: actions.get(agent, action(0.5)) for agent in env.agents})


def leave(env, agent):
    """Drive until an agent has left the road, while the others crawl on."""
    while agent in env.agents:
        drive(env, **{agent: action(2.0, 1.0)})


WALLED = {"walls": True, "kind": "object_avoidance"}
CONFIGS = [
    {"sensor": "state"},
    pytest.param({"n_cars": 5, "race": {"faults": "reset", "time_limit": 10.0}}),
    pytest.param({"sensor": "lidar", "actions": "discrete", "race": WALLED}),
    pytest.param({"n_cars": 1, "randomisation": "sim2real"}),
]


@pytest.mark.parametrize(
    "config",
    [CONFIGS[0], *(pytest.param(*one.values, marks=pytest.mark.slow) for one in CONFIGS[1:])],
    ids=str,
)
def test_pettingzoo_finds_nothing_to_warn_about(config, capsys):
    parallel = race_v0.parallel_env(render_mode="rgb_array", **config)
    parallel_api_test(parallel, num_cycles=100)
    parallel.close()
    for make in (race_v0.env, race_v0.raw_env):
        env = make(**config)
        api_test(env, num_cycles=30)
        env.close()
    parallel_seed_test(lambda: race_v0.parallel_env(**config), num_cycles=30)
    seed_test(lambda: race_v0.env(**config), num_cycles=30)


def test_max_cycles_truncates_after_so_many_steps_and_leaves_the_other_rules(build):
    max_cycles_test(race_v0)
    env = build(max_cycles=3, race={"laps": 7})
    env.reset(seed=0)
    for step in range(1, 4):
        _, _, terminations, truncations, infos = drive(env)
        assert not any(terminations.values())
        assert infos["car_1"]["ending"] == (Ending.TIME_UP if step == 3 else Ending.RUNNING)
        assert list(truncations.values()) == [step == 3] * 2
    assert env.agents == []
    assert drive(env) == ({}, {}, {}, {}, {})
    assert env._cars.config.race.laps == 7


def test_a_random_start_moves_the_whole_grid_by_the_seed(build):
    env = build(3)
    places = []
    for seed in (1, 2, 1):
        env.reset(seed=seed)
        places.append(env._cars.race.place.s.copy())
        gaps = -np.diff(places[-1]) % env._cars.tracks[0].length
        assert gaps == pytest.approx([0.75, 0.75], abs=0.02)
    assert places[0].tobytes() == places[2].tobytes()
    assert abs(places[0][0] - places[1][0]) > 0.1


def test_a_car_sees_the_one_ahead_until_it_has_left(build):
    lidar = {"kind": "lidar", "yaw_deg": 0.0, "span_deg": 90.0, "far": 3.0, "clip": 3.0}
    env = build(sensor=lidar, race={"start": "line"})
    seen, _ = env.reset(seed=0)
    assert seen["car_0"].min() == pytest.approx(3.0)
    assert seen["car_1"].min() < 1.0
    leave(env, "car_0")
    seen, *_ = drive(env)
    assert seen["car_1"].min() == pytest.approx(3.0)


def test_who_runs_into_another_is_at_fault_and_the_other_races_on(build):
    env = build(3, race={"start": "line"})  # the first and the third stand in one lane
    env.reset(seed=0)
    told = drive(env)
    while "car_2" in env.agents:
        told = drive(env, car_2=action(4.0))
    _, _, terminations, _, infos = told
    assert infos["car_2"]["ending"] == Ending.CRASHED
    assert terminations == {"car_0": False, "car_1": False, "car_2": True}
    assert env.agents == ["car_0", "car_1"]
    seen, rewards, *_ = drive(env)
    assert set(seen) == set(rewards) == {"car_0", "car_1"}


def test_each_racing_car_is_paid_and_hears_of_the_others_on_the_road(build, tmp_path):
    heard, file = tmp_path / "heard.jsonl", tmp_path / "listen.py"
    file.write_text(LISTEN.format(path=str(heard)))
    env = build(3, reward=str(file), race={"start": "line"})
    env.reset(seed=0)

    def told():
        heard.write_text("")
        _, rewards, *_ = drive(env)
        lines = heard.read_text().splitlines()
        return rewards, dict(zip(rewards, map(json.loads, lines)))

    rewards, params = told()
    assert rewards == {"car_0": 1.0, "car_1": 1.0, "car_2": 1.0}
    xy = env._cars.world.state.xy.tolist()
    assert params["car_1"]["objects_location"] == [xy[0], xy[2]]
    assert params["car_1"]["closest_objects"] == [1, 0]
    assert params["car_1"]["objects_left_of_center"] == [True, True]
    leave(env, "car_2")
    rewards, params = told()
    assert rewards == {"car_0": 1.0, "car_1": 1.0}
    xy = env._cars.world.state.xy.tolist()
    assert params["car_1"]["objects_location"] == [xy[0]]
    assert params["car_0"]["objects_location"] == [xy[1]]
    leave(env, "car_0")
    _, params = told()
    assert params["car_1"]["objects_location"] == []
    assert params["car_1"]["closest_objects"] == [0, 0]


def test_a_copy_goes_on_from_the_same_moment_and_leaves_its_original_alone(build):
    env, twin = build(3, reward="progress"), build(3, reward="progress")
    for one in (env, twin):
        one.reset(seed=4)
        leave(one, "car_2")
    for copied_by in (copy.deepcopy, lambda race: pickle.loads(pickle.dumps(race))):
        other = copied_by(env)
        assert other.agents == ["car_0", "car_1"]
        copied, own = drive(other), drive(twin)
        for agent in env.agents:
            assert copied[0][agent].tobytes() == own[0][agent].tobytes()
        assert copied[1:4] == own[1:4]
        drive(env)
        other.close()
    assert drive(env)[0]["car_0"].tobytes() == drive(twin)[0]["car_0"].tobytes()


def test_the_picture_is_taken_behind_the_hindmost_car_and_shows_those_ahead(build):
    env = build(render_mode="rgb_array", race={"start": "line"})
    env.reset(seed=0)

    def red():
        """How many pixels are red, as the first car is and the other's lights are."""
        picture = env.render().astype(int)
        assert picture.shape == (480, 640, 3)
        return int(((picture[..., 0] > 150) & (picture[..., 1] < 90)).sum())

    assert np.array_equal(env.render(), env._cars.picture(1))
    both = red()
    leave(env, "car_0")
    assert red() < 0.7 * both


def test_spaces_are_each_agent_s_own(build):
    env = build()
    for space in (env.action_space, env.observation_space):
        assert space("car_0") == space("car_1")
        assert space("car_0") is not space("car_1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"n_cars": 0}, "n_cars: 0; it must be an integer of at least 1"),
        ({"n_cars": 26}, "at most 25 fit 0.75 m apart"),
        ({"max_cycles": 0}, "max_cycles: 0; it must be an integer of at least 1"),
        ({"sensr": "state"}, "did you mean 'sensor'"),
    ],
)
def test_what_cannot_be_used_is_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        race_v0.parallel_env(**given)


def test_an_agent_without_an_action_is_named(build):
    env = build()
    env.reset()
    with pytest.raises(ConfigError, match="no action for car_1"):
        env.step({"car_0": action(1.0)})


def test_without_pettingzoo_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "racer.pettingzoo")
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(ModuleNotFoundError, match=r"not installed; pip install .*pettingzoo"):
        importlib.import_module("racer.pettingzoo")

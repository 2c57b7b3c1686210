"""Race kinds, directions, randomisation and several sensors, through the environments."""

import gymnasium
import numpy as np
import pytest
import yaml
from gymnasium.error import ClosedEnvironmentError

from racer import assets
from racer.envs import RacerEnv, RacerVectorEnv
from racer.errors import ConfigError
from racer.race import Ending
from racer.randomisation import (
    DRAWN_QUANTITIES,
    NO_RANDOMISATION,
    Draws,
    Randomisation,
    load_randomisation,
)
from racer.sensors import make_sensors
from racer.simulation import sensor_input
from tests.helpers.closing import closing

LISTEN = """
def reward_function(params):
    global heard
    heard = params
    return 1.0
"""


def straight(speed):
    """The action that holds the wheels straight at a speed [m/s]."""
    return np.array([0.0, (speed - 0.5) / 3.5 * 2.0 - 1.0], dtype=np.float32)


@pytest.fixture
def build():
    yield from closing(
        lambda n=1, **config: RacerVectorEnv(n, **{"sensor": "state", "reward": None, **config})
    )


@pytest.fixture
def heard(tmp_path, build):
    """The params after one step of a configured car."""
    path = tmp_path / "listen.py"
    path.write_text(LISTEN)

    def listen(steps=1, **config):
        env = build(reward=str(path), **config)
        env.reset(seed=3)
        for _ in range(steps):
            env.advance(straight(1.0)[None])
        assert env._rewards
        return env, env._rewards._functions[0].__globals__["heard"]

    return listen


@pytest.mark.parametrize(
    ("name", "boxes"), [("TimeTrial", 0), ("ObjectAvoidance", 6), ("HeadToBot", 3)]
)
def test_each_kind_of_race_has_its_id_and_a_laps_setting_does_not_change_it(name, boxes):
    env = gymnasium.make(f"racer/{name}-v0", sensor="state", race={"laps": 2}).unwrapped
    assert isinstance(env, RacerEnv)
    env.reset(seed=0)
    assert env.vector.config.race.laps == 2
    assert env.vector.world.boxes.shape[1] == boxes
    env.close()


def test_driving_into_a_box_is_a_crash(build):
    places = [[0.1, "left"], [0.1, "right"]]
    race = {"kind": "object_avoidance", "start": "line", "obstacles": {"places": places}}
    env = build(track="oval", race=race)
    env.reset(seed=0)
    for _ in range(60):
        _, terminated, _ = env.advance(straight(2.0)[None])
        if terminated[0]:
            break
    info = env.info()
    assert info["ending"][0] == Ending.CRASHED
    assert info["collisions"][0] == 1
    assert env.world.boxes[0, 0, 0] - 0.6 < env.world.state.xy[0, 0] < env.world.boxes[0, 0, 0]


def test_driving_into_a_wall_is_a_crash_and_without_walls_leads_off_the_road(build):
    for walls, ending in ((True, Ending.CRASHED), (False, Ending.OFF_TRACK)):
        env = build(race={"walls": walls, "start": "line"})
        env.reset(seed=0)
        done = False
        while not done:
            _, terminated, truncated = env.advance(np.array([[0.6, -0.2]], dtype=np.float32))
            done = bool(terminated[0] or truncated[0])
        assert env.info()["ending"][0] == ending


def test_the_params_tell_of_the_boxes(heard):
    places = [[0.25, "left"], [0.75, "right"]]
    race = {"kind": "object_avoidance", "start": "line", "obstacles": {"places": places}}
    env, params = heard(race=race)
    length = env.tracks[0].length
    assert params["objects_distance"] == pytest.approx([0.25 * length, 0.75 * length])
    assert params["closest_objects"] == [1, 0]
    assert params["objects_left_of_center"] == [True, False]
    width = env.tracks[0].width
    for k, segment in enumerate(env.tracks[0].locate(env.race.objects.pose[0, :, :2]).segment):
        quarter = width[segment] / 4
        assert params["objects_distance_from_center"][k] == pytest.approx(quarter, rel=0.02)
    assert params["objects_location"] == [
        tuple(point) for point in env.race.objects.pose[0, :, :2].tolist()
    ]
    assert params["objects_heading"] == params["objects_speed"] == [0.0, 0.0]


def test_the_params_tell_of_the_bots(heard):
    race = {"kind": "head_to_bot", "start": "line", "bots": {"count": 2, "speed": 1.5}}
    env, params = heard(race=race)
    assert params["objects_speed"] == [1.5, 1.5]
    assert params["objects_heading"] == pytest.approx(env.race.objects.pose[0, :, 2].tolist())


@pytest.mark.parametrize(("share", "is_seen"), [(0.05, True), (0.5, False)])
def test_the_params_tell_whether_the_next_box_is_in_view(heard, share, is_seen):
    race = {
        "kind": "object_avoidance",
        "start": "line",
        "obstacles": {"places": [[share, "left"]]},
    }
    _, params = heard(track="oval", race=race)
    assert params["object_in_camera"] is is_seen


def test_in_reverse_the_params_are_those_of_the_track_driven_the_other_way(heard):
    _, ahead = heard(race={"start": "line"})
    _, back = heard(race={"start": "line", "direction": "reverse"})
    assert (ahead["is_reversed"], back["is_reversed"]) == (False, True)
    assert back["waypoints"] == ahead["waypoints"][::-1]
    assert back["progress"] > 0.0
    turned = (back["heading"] - ahead["heading"]) % 360.0
    assert turned == pytest.approx(180.0, abs=1.0)


def test_cars_of_one_env_may_drive_in_both_directions(build):
    env = build(2, race={"direction": "alternate"}, reward="progress")
    env.reset(seed=0)
    env.start(np.array([1]))
    assert env.race.is_reversed.tolist() == [False, True]
    paid = [env.advance(np.tile(straight(1.0), (2, 1)))[0] for _ in range(15)]
    assert (env.race.distance > 0.4).all()
    assert (paid[-1] > 0.0).all()


def test_nothing_is_random_by_default_and_none_says_so_too(build):
    assert load_randomisation("none") == NO_RANDOMISATION
    env = build()
    _, info = env.reset(seed=0)
    assert "drawn" not in info


def test_what_an_episode_drew_is_told_and_is_the_seed_s(build):
    env = build(3, randomisation="sim2real")
    _, info = env.reset(seed=4)
    first = {name: info["drawn"][name].copy() for name in DRAWN_QUANTITIES}
    assert set(info["drawn"]) == {*DRAWN_QUANTITIES, *(f"_{name}" for name in DRAWN_QUANTITIES)}
    ranges = load_randomisation("sim2real")
    for name, values in first.items():
        low, high = getattr(ranges, name)
        assert ((low <= values) & (values <= high)).all()
    env.start(np.array([1]))
    second = env.info()["drawn"]
    assert second["friction"][1] != first["friction"][1]
    assert second["friction"][0] == first["friction"][0]
    assert env.reset(seed=4)[1]["drawn"]["friction"].tolist() == first["friction"].tolist()
    alone = RacerEnv(sensor="state", reward=None, randomisation="sim2real")
    _, own = alone.reset(seed=6)
    assert own["drawn"] == {name: values[2] for name, values in first.items()}
    alone.close()


def test_latency_is_a_whole_number_and_every_one_is_drawn():
    draws = Draws(Randomisation(latency=(0, 2)), 1)
    generator, seen = [np.random.default_rng(0)], set()
    for _ in range(60):
        draws.draw(np.array([0]), generator)
        seen.add(float(draws.rows["latency"][0]))
    assert seen == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("late", [0, 1, 2])
def test_an_action_acts_so_many_steps_late(build, late):
    env = build(randomisation={"latency": [late, late]}, race={"start": "line"})
    env.reset(seed=0)
    moved = []
    for _ in range(4):
        env.advance(straight(3.0)[None])
        moved.append(bool(np.hypot(*env.world.state.velocity[0, :2]) > 0.05))
    assert moved == [step >= late for step in range(4)]


def drive(build, action, steps=30, **ranges):
    env = build(track="speedway", randomisation=ranges, race={"start": "line"})
    env.reset(seed=0)
    for _ in range(steps):
        env.world.step(env.config.actions.command(np.array([action], dtype=np.float32)))
    return env.world.state


def speed_of(state):
    return float(np.hypot(*state.velocity[0, :2]))


def test_an_offset_turns_a_car_that_steers_straight(build):
    left = drive(build, straight(1.0), steering_offset=(0.1, 0.1))
    right = drive(build, straight(1.0), steering_offset=(-0.1, -0.1))
    assert left.angular_velocity[0, 2] == pytest.approx(np.tan(0.1) / 0.164, rel=0.05)
    assert right.angular_velocity[0, 2] == pytest.approx(-left.angular_velocity[0, 2], rel=1e-6)


def test_a_speed_gain_is_a_gain_of_the_speed(build):
    slow = drive(build, straight(1.0), speed_gain=(0.8, 0.8))
    assert speed_of(slow) == pytest.approx(0.8, rel=0.01)
    assert slow.command[0, 1] == pytest.approx(1.0)


def test_a_weak_motor_and_a_heavy_car_take_longer_to_speed_up(build):
    usual = speed_of(drive(build, straight(4.0), steps=4))
    assert speed_of(drive(build, straight(4.0), steps=4, motor=(0.5, 0.5))) < 0.6 * usual
    assert speed_of(drive(build, straight(4.0), steps=4, mass=(2.0, 2.0))) < 0.6 * usual


def test_a_slippery_road_makes_the_turn_wider(build):
    turn = np.array([0.5, straight(2.0)[1]])
    usual = drive(build, turn, steps=15)
    slippery = drive(build, turn, steps=15, friction=(0.4, 0.4))
    assert slippery.angular_velocity[0, 2] < 0.8 * usual.angular_velocity[0, 2]
    assert speed_of(slippery) * slippery.angular_velocity[0, 2] < 0.4 * 1.0489 * 9.81


def test_a_shifted_centre_of_mass_leaves_the_car_where_it_was_put(build):
    state = drive(build, straight(0.5), steps=0, mass_forward=(0.02, 0.02), mass_up=(0.01, 0.01))
    plain = drive(build, straight(0.5), steps=0)
    assert state.body == pytest.approx(plain.body, abs=1e-12)
    ahead = drive(build, straight(2.0), steps=30, mass_forward=(0.02, 0.02))
    assert np.isfinite(ahead.body).all()
    assert ahead.up[0] > 0.99


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({"friction": [1.2, 0.8]}, "friction"),
        ({"friction": [0.0, 1.0]}, "0.2 to 1.3"),
        ({"latency": [0, 1.5]}, "whole control steps"),
        ({"frictoin": [1, 1]}, "did you mean 'friction'"),
        ("sim2reel", "sim2real"),
    ],
)
def test_a_wrong_range_is_refused_by_name(ranges, said):
    with pytest.raises(ConfigError, match=said):
        RacerEnv(sensor="state", randomisation=ranges)


def test_every_shipped_preset_loads_and_only_none_leaves_the_car_as_it_is():
    folder = assets.assets_root() / "configs/randomisation"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    assert {"none", "sim2real"} <= set(names)
    for name in names:
        assert (load_randomisation(name) == NO_RANDOMISATION) == (name == "none")
    assert set(yaml.safe_load((folder / "sim2real.yaml").read_text())) == set(DRAWN_QUANTITIES)


def test_several_sensors_give_a_dict_and_one_gives_its_box(build):
    small = {"kind": "camera", "width": 40, "height": 30}
    env = build(2, sensor=[small, "state"])
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"camera", "state"}
    assert env.observation_space.contains(obs)
    alone = {"camera": build(2, sensor=small), "state": build(2, sensor="state")}
    for name, one in alone.items():
        expected, _ = one.reset(seed=0)
        assert np.array_equal(expected, obs[name])


def test_the_car_is_a_preset_s_name(build):
    env = build(car="f1tenth", track="speedway", race={"start": "line"})
    env.reset(seed=0)
    assert env.car.mass == 3.74
    for _ in range(20):
        env.advance(straight(2.0)[None])
    assert speed_of(env.world.state) == pytest.approx(2.0, rel=0.05)
    with pytest.raises(ConfigError, match="did you mean 'f1tenth'"):
        RacerEnv(sensor="state", car="f1tenht")


def test_of_several_tracks_each_episode_draws_one_with_its_own_walls_and_sights(build):
    names = ["oval", "hairpin", "bowtie"]
    config = {"sensor": ["state", "lidar"], "race": {"walls": True, "direction": "alternate"}}
    env = build(6, track=names, reward="progress", **config)
    env.reset(seed=0)
    sights = [make_sensors(env.config.sensor, env.car, track, 6, True) for track in env.tracks]
    everyone, seen = np.arange(6), set()
    for _ in range(8):
        env.start(everyone)
        tracks = env.race.road.track
        seen |= set(tracks.tolist())
        for car, track in enumerate(tracks):
            assert env.tracks[track].on_road(env.world.state.xy[car])
            own = sights[track].buffer(6)
            sights[track].start(everyone, env.race.draws.rows)
            sights[track].observe(sensor_input(env.race), np.array([car]), own)
            for name, values in own.items():
                assert np.array_equal(values[car], env.observations[name][car])
    assert seen == {0, 1, 2}
    paid = [env.advance(np.tile(straight(1.5), (6, 1)))[0] for _ in range(150)]
    assert np.isfinite(paid).all()
    assert (env.info()["ending"] == Ending.CRASHED).all()


def test_generated_stands_for_a_pool_of_tracks_that_every_car_draws_from(build):
    env = build(4, track=["generated", "oval"])
    assert [track.name for track in env.tracks[:2]] == ["generated:0", "generated:1"]
    assert env.tracks[-1].name == "oval"
    drawn = set()
    env.reset(seed=0)
    for _ in range(15):
        env.start(np.arange(4))
        drawn |= set(env.race.road.track.tolist())
    assert len(drawn) > 10
    again = build(1, track=["generated", "oval"])
    env.reset(seed=5)
    again.reset(seed=7)
    assert again.race.road.line[0] == env.race.road.line[2]
    assert again.world.state.body[0].tobytes() == env.world.state.body[2].tobytes()


@pytest.mark.parametrize("call", ["reset", "step", "render"])
def test_a_closed_environment_says_so(call):
    for env in (RacerEnv(sensor="state"), RacerVectorEnv(2, sensor="state")):
        env.reset(seed=0)
        env.close()
        with pytest.raises(ClosedEnvironmentError, match="make another one"):
            env.step(env.action_space.sample()) if call == "step" else getattr(env, call)()
        env.close()

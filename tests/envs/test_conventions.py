"""The environments do what Gymnasium's own do, so that other libraries' code meets no surprise."""

import inspect
import re
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import Error, ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers

from racer.envs import EnvConfig, RacerEnv, RacerVectorEnv
from racer.errors import ConfigError
from racer.race import RaceConfig
from racer.registration import ARGUMENTS
from tests.helpers.closing import closing

ID = "racer/TimeTrial-v0"
SMALL = {"kind": "camera", "width": 48, "height": 40, "colour": "rgb"}
WRONG = np.array([1.0, 1.0], dtype=np.float32)
"""Full left at full speed: off the road within a second or two."""
MODES = ("sync", pytest.param("async", marks=pytest.mark.slow), "vector_entry_point")


@pytest.fixture
def make():
    def build(env_id=ID, n=None, **config):
        config = {"sensor": "state", **config}
        if n is None:
            return gymnasium.make(env_id, **config)
        return gymnasium.make_vec(env_id, num_envs=n, **config)

    yield from closing(build)


@pytest.mark.parametrize(
    "build",
    [
        RacerEnv,
        RacerVectorEnv,
        lambda **given: gymnasium.make(ID, **given),
        lambda **given: gymnasium.make_vec(ID, **given),
    ],
)
def test_an_unknown_keyword_is_python_s_type_error_and_a_clear_message(build):
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'frameskip'; known: "):
        build(frameskip=1)
    with pytest.raises(ConfigError, match="'senser'; did you mean 'sensor'"):
        build(senser="state")


SHORT = {
    "track": ("hairpin", {"track": ("hairpin",)}),
    "car": ("f1tenth", {"car": "f1tenth"}),
    "sensor": ("lidar", {"sensor": ({"kind": "lidar"},)}),
    "actions": ("discrete", {"actions": {"kind": "discrete"}}),
    "race": ("head_to_bot", {"race": {"kind": "head_to_bot"}}),
    "randomisation": ("sim2real", None),
    "engine": ("bullet", {"engine": "bullet"}),
    "reward": ("centerline", {"reward": "centerline"}),
}


def test_every_option_takes_a_name(subtests, make):
    for option in SHORT:
        with subtests.test(option=option):
            name, same = SHORT[option]
            given = make("racer/HeadToBot-v0", **{option: name}).unwrapped.config
            assert getattr(given, option) != getattr(
                RacerEnv(race="head_to_bot").config, option
            ) or (option == "race")
            if same:
                assert given == make("racer/HeadToBot-v0", **same).unwrapped.config


def test_every_field_of_the_environment_is_among_those_that_take_a_name():
    assert set(SHORT) == set(EnvConfig.model_fields) - {"compile"}  # which is yes or no


def test_an_id_and_the_kind_of_its_race_cannot_disagree(subtests, make):
    for given, n in product(
        [
            {"race": "head_to_bot"},
            {"race": {"kind": "head_to_bot"}},
            {"race": RaceConfig(kind="head_to_bot")},
            {"kind": "head_to_bot"},
        ],
        [None, 2],
    ):
        with (
            subtests.test(given=given, n=n),
            pytest.raises(ConfigError, match="make 'racer/HeadToBot-v0' instead"),
        ):
            make(ID, n, **given)


@pytest.mark.parametrize("race", [{"laps": 2}, RaceConfig(laps=2)], ids=["mapping", "model"])
def test_an_id_gives_a_race_without_a_kind_its_own(make, race):
    config = make("racer/HeadToBot-v0", race=race).unwrapped.config
    assert (config.race.kind, config.race.laps) == ("head_to_bot", 2)


def test_every_id_can_be_made_by_its_name_with_the_module_alone():
    spaces = {name: gymnasium.make(f"racer:{name}").observation_space for name in sorted(ARGUMENTS)}
    assert {
        name: space.shape or set(getattr(space, "spaces", ())) for name, space in spaces.items()
    } == {
        "racer/HeadToBot-LidarState-v0": {"lidar", "state"},
        "racer/HeadToBot-v0": (120, 160, 1),
        "racer/ObjectAvoidance-LidarState-v0": {"lidar", "state"},
        "racer/ObjectAvoidance-v0": (120, 160, 1),
        "racer/TimeTrial-State-v0": (26,),
        "racer/TimeTrial-v0": (120, 160, 1),
    }


CONFIGS = {
    "state": {"sensor": "state"},
    "a dict, randomised": {"sensor": ["lidar", "state"], "randomisation": "sim2real"},
    "bots": {"sensor": "state", "race": {"bots": {"speed": 1.0, "every": [0.3, 0.6]}}},
}


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(
    "config",
    [pytest.param(one, marks=[pytest.mark.slow] if one != "bots" else []) for one in CONFIGS],
)
def test_the_cars_of_one_world_are_those_of_a_sync_vector_env_to_the_last_info(mode, config):
    env_id = "racer/HeadToBot-v0" if config == "bots" else ID
    given = {"max_episode_steps": 25, **CONFIGS[config]}
    own = gymnasium.make_vec(env_id, num_envs=3, autoreset_mode=mode, **given)
    own.metadata["autoreset_mode"] = mode
    sync = SyncVectorEnv([lambda: gymnasium.make(env_id, **given)] * 3, autoreset_mode=mode)
    assert alike(own.reset(seed=5), sync.reset(seed=5))
    own.action_space.seed(0)
    ended = 0
    for _ in range(80):
        actions = own.action_space.sample()
        mine, theirs = own.step(actions), sync.step(actions)
        assert alike(mine, theirs)
        done = mine[2] | mine[3]
        ended += done.sum()
        if mode == AutoresetMode.DISABLED and done.any():
            mine = own.reset(options={"reset_mask": done})
            theirs = sync.reset(options={"reset_mask": done})
            assert data_equivalence(mine[0], theirs[0], exact=True)
    assert ended > 6
    own.close()
    sync.close()


def alike(mine, theirs):
    """Whether two environments returned the same, where a mask says that a value counts.

    TimeLimit truncates what ends in its last step, too; here an episode ends in one way.
    """
    *values, info = mine
    *others, their_info = theirs
    if len(others) == 4:
        others[3] = others[3] & ~others[2]
    assert all(data_equivalence(a, b, exact=True) for a, b in zip(values, others, strict=True))
    return same_info(info, their_info)


def same_info(mine, theirs):
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        if name.startswith("_"):
            assert np.array_equal(value, theirs[name]), name
            continue
        mask, other = mine[f"_{name}"], theirs[name]
        if isinstance(value, dict):
            assert same_info(value, other)
        elif name == "final_obs":
            for one, two in zip(value, other, strict=True):
                assert data_equivalence(one, two, exact=True)
        elif name == "ending":  # TimeLimit truncates without the race knowing of it
            running = other[mask] == 0
            assert np.array_equal(value[mask][~running], other[mask][~running])
        else:
            assert np.array_equal(value[mask], other[mask]), name
    return True


def test_a_step_after_the_end_is_refused_where_nothing_starts_anew(make):
    env = make(n=2, autoreset_mode="Disabled", max_episode_steps=3)
    env.reset(seed=0)
    done = np.zeros(2, dtype=bool)
    for _ in range(3):
        assert not done.any()
        _, _, terminated, truncated, _ = env.step(np.tile(WRONG, (2, 1)))
        done = terminated | truncated
    assert done.all()
    with pytest.raises(ResetNeeded, match=r"cars \[0, 1\] have ended"):
        env.step(np.tile(WRONG, (2, 1)))


@pytest.mark.parametrize(("mode", "value"), [(m, v) for m in AutoresetMode for v in (m, m.value)])
def test_the_autoreset_mode_is_a_keyword_an_attribute_and_in_the_metadata(make, mode, value):
    env = make(n=1, autoreset_mode=value)
    assert env.autoreset_mode == env.metadata["autoreset_mode"] == mode


def test_an_unknown_autoreset_mode_is_refused_with_the_known_ones(make):
    with pytest.raises(ConfigError, match="'Never'; known: NextStep, SameStep, Disabled"):
        make(n=1, autoreset_mode="Never")


def test_a_mask_starts_its_cars_and_leaves_the_others(make):
    env = make(n=4, reward=None)
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.zeros((4, 2), dtype=np.float32))
    before, steps = env.world.state.body.copy(), env.race.steps.copy()
    mask = np.array([False, True, False, True])
    obs, _ = env.reset(options={"reset_mask": mask})
    assert (env.race.steps == np.where(mask, 0, steps)).all()
    moved = (env.world.state.body != before).any(axis=1)
    assert moved.tolist() == mask.tolist()
    again, _ = env.reset(seed=9, options={"reset_mask": mask})
    assert np.array_equal(again[~mask], obs[~mask])
    alone = make()
    assert np.array_equal(again[3], alone.reset(seed=12)[0])


@pytest.mark.parametrize(
    "mask", [[True, False], np.ones(2), np.ones(3, dtype=bool), np.zeros(2, dtype=bool)], ids=str
)
def test_a_mask_that_is_none_is_refused(make, mask):
    env = make(n=2)
    with pytest.raises(ConfigError, match=r"reset_mask must be a bool array of shape \(2,\)"):
        env.reset(options={"reset_mask": mask})


def test_unknown_options_of_reset_are_refused(make):
    with pytest.raises(ConfigError, match="unknown option 'bogus'; known options: none"):
        make().reset(options={"bogus": 1})
    with pytest.raises(ConfigError, match="unknown option 'bogus'; known options: reset_mask"):
        make(n=2).reset(options={"bogus": 1})
    make().reset(options={})


@pytest.mark.parametrize("seed", [np.int64(5), [5, 6], np.array([5, 6]), (5, 6), [5, None]])
def test_a_seed_may_be_any_whole_number_or_a_list(make, seed):
    env, plain = make(n=2), make(n=2)
    expected = plain.reset(seed=5)[0]
    assert np.array_equal(env.reset(seed=seed)[0][0], expected[0])
    assert env.np_random_seed[0] == 5


def test_a_seed_that_is_none_is_refused(subtests, make):
    for seed in ["5", 1.5, [1], [1, -2], -1, [1, 2.5]]:
        with subtests.test(seed=seed):
            with pytest.raises(
                ConfigError, match="seed must be an integer of at least 0, or a list of 2"
            ):
                make(n=2).reset(seed=seed)
            if not isinstance(seed, list):
                with pytest.raises(Error):
                    make().reset(seed=seed)


def test_the_generator_that_a_user_sets_is_the_one_that_is_used(make):
    env, other = make(), make()
    expected = other.reset(seed=8)[0]
    env.reset(seed=1)
    env.unwrapped.np_random = np.random.default_rng(8)
    assert np.array_equal(env.reset()[0], expected)
    assert env.unwrapped.np_random_seed == -1
    vector = make(n=2)
    vector.np_random = [np.random.default_rng(8), np.random.default_rng(9)]
    assert np.array_equal(vector.reset()[0][0], expected)
    assert vector.np_random_seed == (-1, -1)
    vector.np_random = np.random.default_rng(3)
    assert not np.array_equal(vector.reset()[0][0], vector.reset()[0][1])


def test_the_first_seed_is_told_and_gives_the_same_episode(make):
    for env in (make(), make(n=2)):
        seed = env.unwrapped.np_random_seed
        first = env.reset()[0]
        assert np.array_equal(env.reset(seed=seed)[0], first)


@pytest.mark.parametrize(
    ("given", "most"),
    [({}, 900), ({"race": {"time_limit": 2.0}}, 30), ({"max_episode_steps": 12}, 12)],
    ids=str,
)
def test_the_spec_says_how_long_an_episode_may_be(make, given, most):
    for env in (make(**given), make(n=1, **given)):
        assert env.spec.max_episode_steps == most
        env.reset(seed=0)
        slow = np.array([0.0, -1.0], dtype=np.float32)
        for step in range(1, most + 1 if most < 100 else 1):
            _, _, terminated, truncated, _ = env.step(
                slow if env.unwrapped is not env else slow[None]
            )
            assert not np.any(terminated)
            assert bool(np.any(truncated)) == (step == most)


def test_an_environment_can_be_made_again_from_its_spec_and_from_the_spec_s_json(make):
    env = make(race={"laps": 2}, track=["oval", "hairpin"])
    for spec in (env.spec, EnvSpec.from_json(env.spec.to_json())):
        again: Any = gymnasium.make(spec)
        assert again.unwrapped.config == env.unwrapped.config
        again.close()


def test_a_number_of_cars_or_steps_that_is_none_is_refused(subtests):
    for number, name in product([0, -3, 2.5, "9"], ["num_envs", "max_episode_steps"]):
        wrong: dict[str, Any] = {name: number}
        with (
            subtests.test(**wrong),
            pytest.raises(ConfigError, match=rf"{name}: .* at least 1"),
        ):
            RacerVectorEnv(sensor="state", **wrong)


@pytest.mark.parametrize("randomisation", ["none", "sim2real"])
def test_the_keys_of_info_are_the_same_in_every_step_and_each_value_has_a_dtype(
    make, randomisation
):
    env = make(randomisation=randomisation, race={"laps": 1, "start": "line"}, track="oval")
    _, info = env.reset(seed=0)
    keys = info.keys()
    done, steps = False, 0
    while not done:
        # A steady hand around the oval, by the state sensor's own numbers: one lap succeeds.
        seen = env.unwrapped.vector.observations[0]
        steering = np.clip(2.5 * np.arctan2(seen[15], seen[14]), -1.0, 1.0)
        _, _, terminated, truncated, info = env.step(np.array([steering, -0.3], dtype=np.float32))
        assert info.keys() == keys
        assert all(hasattr(value, "dtype") for name, value in info.items() if name != "drawn")
        done, steps = terminated or truncated, steps + 1
    assert info["is_success"].dtype == bool
    if randomisation == "none":
        assert info["is_success"] and info["lap_time_s"] == pytest.approx(steps / 15, abs=0.1)


def test_is_success_is_false_where_the_car_leaves_the_road(make):
    env = make()
    env.reset(seed=0)
    terminated = False
    while not terminated:
        _, _, terminated, _, info = env.step(WRONG)
        assert not info["is_success"]


LIMITS: Any = np.float32(-2.0), np.float32(2.0)
WRAPPERS = {
    "VectorizeTransformObservation": lambda env: wrappers.VectorizeTransformObservation(
        env, gymnasium.wrappers.ReshapeObservation, shape=(48 * 40 * 3,)
    ),
    "VectorizeTransformAction": lambda env: wrappers.VectorizeTransformAction(
        env, gymnasium.wrappers.ClipAction
    ),
    "VectorizeTransformReward": lambda env: wrappers.VectorizeTransformReward(
        env, gymnasium.wrappers.ClipReward, min_reward=-1.0, max_reward=1.0
    ),
    "DictInfoToList": wrappers.DictInfoToList,
    "TransformObservation": lambda env: wrappers.TransformObservation(env, lambda seen: seen),
    "FilterObservation": lambda env: wrappers.FilterObservation(env, ["state"]),
    "FlattenObservation": wrappers.FlattenObservation,
    "GrayscaleObservation": wrappers.GrayscaleObservation,
    "ResizeObservation": lambda env: wrappers.ResizeObservation(env, (20, 24)),
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(env, (48 * 40 * 3,)),
    "RescaleObservation": lambda env: wrappers.RescaleObservation(
        env, np.float32(0.0), np.float32(1.0)
    ),
    "DtypeObservation": lambda env: wrappers.DtypeObservation(env, np.float32),
    "NormalizeObservation": wrappers.NormalizeObservation,
    "TransformAction": lambda env: wrappers.TransformAction(env, lambda action: action),
    "ClipAction": wrappers.ClipAction,
    "RescaleAction": lambda env: wrappers.RescaleAction(env, *LIMITS),
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda reward: 2.0 * reward),
    "ClipReward": lambda env: wrappers.ClipReward(env, -1.0, 1.0),
    "NormalizeReward": wrappers.NormalizeReward,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "RecordVideo": lambda env: wrappers.RecordVideo(
        env, "videos", episode_trigger=lambda episode: episode == 0
    ),
    "NumpyToTorch": lambda env: wrappers.NumpyToTorch(env),
    "HumanRendering": None,
    "ArrayConversion": None,
    "JaxToNumpy": None,
    "JaxToTorch": None,
}
"""How each of Gymnasium's vector wrappers is put around; None: it needs pygame or jax."""
SENSORS = {"FilterObservation": ["lidar", "state"], "NormalizeObservation": "state"}
SENSORS |= {"RescaleObservation": "state", "NumpyToTorch": "state"}
COLOURED = {"GrayscaleObservation", "ResizeObservation", "ReshapeObservation"}
COLOURED |= {"DtypeObservation", "VectorizeTransformObservation", "FlattenObservation"}


def test_every_vector_wrapper_of_gymnasium_is_tried():
    assert set(wrappers.__all__) == set(WRAPPERS)


# moviepy's own text, where Python compiles it for the first time.
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name, wrap in WRAPPERS.items() if wrap])
def test_gymnasium_s_vector_wrappers_go_around(make, name, mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sensor = SMALL if name in COLOURED else SENSORS.get(name, "state")
    own: dict[str, Any] = {"render_mode": "rgb_array"} if name == "RecordVideo" else {}
    if mode == "vector_entry_point":
        own["autoreset_mode"] = "NextStep"
    env = make(n=2, sensor=sensor, vectorization_mode=mode, max_episode_steps=4, **own)
    env = WRAPPERS[name](env)
    obs, _ = env.reset(seed=0)
    if name != "NumpyToTorch":
        assert env.observation_space.contains(obs)
    ended = 0
    for _ in range(10):
        actions = env.action_space.sample()
        if name == "NumpyToTorch":
            import torch

            actions = torch.as_tensor(actions)
        obs, rewards, terminated, truncated, _ = env.step(actions)
        if name != "NumpyToTorch":
            assert env.observation_space.contains(obs)
        assert len(rewards) == 2
        ended += int((terminated | truncated).sum())
    assert ended == 4
    env.close()
    assert len(list(tmp_path.glob("videos/*.mp4"))) == (name == "RecordVideo")


@pytest.mark.parametrize("mode", MODES)
def test_a_vector_environment_renders_a_frame_for_each_car(make, mode):
    env = make(n=2, render_mode="rgb_array", vectorization_mode=mode)
    env.reset(seed=0)
    frames = env.render()
    assert isinstance(frames, tuple)
    assert [frame.shape for frame in frames] == [(480, 640, 3)] * 2
    assert not np.array_equal(*frames)
    assert all(frame.dtype == np.uint8 and frame.std() > 10.0 for frame in frames)


def test_car_i_s_frame_is_that_of_an_environment_of_one_car(make):
    env = make(n=2, render_mode="rgb_array")
    alone = make(render_mode="rgb_array")
    env.reset(seed=3)
    alone.reset(seed=4)
    assert np.array_equal(env.render()[1], alone.render())


def test_the_constructors_document_every_argument():
    for cls in (RacerEnv, RacerVectorEnv):
        named = [p.name for p in inspect.signature(cls).parameters.values()]
        assert all(f"{name}:" in (cls.__doc__ or "") for name in named), cls


PAGE = (Path(__file__).parents[2] / "docs/environment.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_environment_s_page_run(example):
    exec(compile(example, "docs/environment.md", "exec"), {})


def test_the_environment_s_page_names_every_id_and_every_keyword():
    keywords = [*inspect.signature(RacerEnv).parameters, *EnvConfig.model_fields]
    keywords += inspect.signature(RacerVectorEnv).parameters
    internal = {"kind", "config", "num_envs"}
    assert [name for name in ARGUMENTS if f"`{name}`" not in PAGE] == []
    assert [name for name in {*keywords} - internal if f"| `{name}` |" not in PAGE] == []

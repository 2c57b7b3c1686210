"""Reward files in the styles that people use, driven by several cars at once."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from racer.envs import RacerVectorEnv
from racer.errors import RewardError
from racer.race import RACE_KINDS
from racer.reward import RewardSource
from racer.reward.param_cases import ParamCase, case_params
from racer.reward_check.probes import copied_params
from racer.track import load_track

STYLES = sorted(Path(__file__).with_name("styles").glob("*.py"))
CARS, STEPS = 3, 120


def drive(reward, n=CARS, steps=STEPS, seed=1, **race):
    """Rewards (steps, n) and where the cars were (steps, n, 2), by a driver who wanders."""
    env = RacerVectorEnv(n, track="oval", sensor="state", reward=str(reward), race=race)
    try:
        env.reset(seed=seed)
        actions = [np.random.default_rng(seed + i) for i in range(n)]
        paid, xy = np.zeros((steps, n)), np.zeros((steps, n, 2))
        for step in range(steps):
            chosen = [rng.uniform([-1.0, -0.8], [1.0, 0.0]) for rng in actions]
            _, paid[step], _, _, _ = env.step(np.array(chosen))
            xy[step] = env.world.state.xy
        return paid, xy
    finally:
        env.close()


def test_a_public_file_drives_several_cars_through_several_episodes(subtests):
    for path, kind in list(zip(STYLES, itertools.cycle(RACE_KINDS))):
        with subtests.test(path=path, kind=kind):
            paid, _ = drive(path, kind=kind, direction="alternate")
            assert np.isfinite(paid).all()
            assert (paid != 0.0).any(axis=0).all()


@pytest.fixture(scope="module")
def roads():
    """What three cars on different roads would be told, step by step."""
    tracks = [load_track(name) for name in ("oval", "hairpin", "bowtie")]
    return [case_params(ParamCase(track, False, kind)) for track, kind in zip(tracks, RACE_KINDS)]


def test_a_car_is_paid_among_others_what_it_is_paid_alone(subtests, roads):
    for path in STYLES:
        with subtests.test(path=path):
            source = RewardSource.read(path)
            functions = source.functions(CARS)
            among = [
                [
                    source.call(function, copied_params(params))
                    for function, params in zip(functions, step)
                ]
                for step in zip(*roads)
            ]
            for i, road in enumerate(roads):
                alone = source.functions(1)[0]
                assert [source.call(alone, copied_params(params)) for params in road] == [
                    row[i] for row in among
                ]


def test_what_a_module_remembers_goes_on_from_one_episode_to_the_next():
    paid, _ = drive(STYLES[0].with_name("global_counters.py"), faults="end")
    assert np.array_equal(paid, np.arange(1.0, STEPS + 1)[:, None].repeat(CARS, axis=1))


def test_what_a_reward_does_to_the_random_numbers_changes_nothing_in_the_race():
    noisy = STYLES[0].with_name("numpy_everywhere.py")
    race: dict[str, Any] = {"kind": "head_to_bot", "direction": "alternate"}
    _, usual = drive("progress", **race)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    _, disturbed = drive(noisy, **race)
    assert np.array_equal(usual, disturbed)


def test_a_track_s_own_waypoints_hard_coded_are_told_where_they_do_not_fit(tmp_path):
    path = tmp_path / "long.py"
    path.write_text(
        "def reward_function(params):\n"
        "    if params['closest_waypoints'][1] in range(0, 500):\n"
        "        return params['waypoints'][230][0]\n"
        "    return 1.0\n"
    )
    with pytest.raises(RewardError, match=r"long\.py:3: IndexError.*waypoints are 0 to 170") as it:
        drive(path, steps=3)
    assert str(it.value).endswith("\n    return params['waypoints'][230][0]")


def test_every_style_is_read():
    assert len(STYLES) >= 15
    assert all(RewardSource.read(path).functions(2) for path in STYLES)


def test_another_run_of_a_file_goes_on_from_what_one_remembers():
    told = case_params(ParamCase(load_track("bowtie"), False, "time_trial"))[:40]
    for path in STYLES:
        source = RewardSource.read(path)
        first, other = source.functions(2)
        for params in told[:20]:
            source.call(first, copied_params(params))
        other = source.remember(other, source.remembered(first))
        for params in told[20:]:
            assert source.call(other, copied_params(params)) == source.call(
                first, copied_params(params)
            ), path

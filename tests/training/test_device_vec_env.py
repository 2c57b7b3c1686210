"""The cars on a device as a VecEnv: scaled rewards, and records of episodes."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.running_mean_std import RunningMeanStd

from racer.race import Ending
from racer.training.device_vec_env import DeviceRewardScale, episode_records


def test_the_scale_of_rewards_is_stable_baselines3s():
    rng = np.random.default_rng(0)
    mine, theirs = DeviceRewardScale(torch.device("cpu")), RunningMeanStd(shape=())
    for k in range(5):
        returns = rng.normal(k, 1.0 + k, 30)
        mine.update(torch.from_numpy(returns))
        theirs.update(returns)
    for name in ("mean", "var", "count"):
        assert float(getattr(mine, name)) == pytest.approx(float(getattr(theirs, name)), rel=1e-12)


def test_a_scale_goes_on_from_the_numbers_of_a_checkpoint():
    first, second = (DeviceRewardScale(torch.device("cpu")) for _ in range(2))
    first.update(torch.linspace(0.0, 4.0, 9, dtype=torch.float64))
    second.mean, second.var, second.count = (
        float(one) for one in (first.mean, first.var, first.count)
    )
    for one in (first, second):
        one.update(torch.tensor([5.0, 7.0], dtype=torch.float64))
    assert float(first.var) == float(second.var)


def test_each_episode_that_ended_has_a_record(monkeypatch):
    pytest.importorskip("warp", reason="needs racer's extra gpu")
    from racer.gpu.rule_kernels import FINISHED

    column = {name: k for k, name in enumerate(FINISHED)}
    counted = np.zeros((4, 2, len(FINISHED)))
    for step, car, own in [
        (1, 1, {"steps": 7, "rewards": 2.5, "progress": 40.0, "ending_1": 1}),
        (3, 1, {"steps": 9, "rewards": 4.0, "progress": 100.0, "ending_2": 1, "lap_time": 5.25}),
        (3, 0, {"steps": 30, "rewards": -1.0, "progress": 3.0, "ending_6": 1}),
    ]:
        own |= {"episodes": 1, **({"timed": 1} if "lap_time" in own else {})}
        for name, value in own.items():
            counted[step:, car, column[name]] += value
    records = episode_records(counted, 8.0)
    assert [(one["l"], one["r"], one["progress"], one["t"]) for one in records] == [
        (7, 2.5, 40.0, 8.0),
        (30, -1.0, 3.0, 8.0),
        (9, 4.0, 100.0, 8.0),
    ]
    assert [one["ending"] for one in records] == [Ending(1), Ending(6), Ending(2)]
    assert [one["lap_time_s"] for one in records][2] == 5.25
    assert all(np.isnan(one["lap_time_s"]) for one in records[:2])

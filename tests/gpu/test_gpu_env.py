"""Cars on a device drive, are judged and are paid as those of `RacerVectorEnv`."""

import doctest

import numpy as np
import pytest
import torch

from racer.envs import RacerVectorEnv
from racer.errors import ConfigError, RewardError
from racer.gpu import gpu_env
from racer.gpu.gpu_env import GpuVectorEnv
from racer.race.config import LAPS_COMPLETE, OFF_TRACK, TIME_UP, Ending
from tests.helpers.device_cars import driven_beside

KNOWN_STARTS = {"start": "round_robin", "direction": "alternate"}


def made(n=16, **config):
    """The same cars on Warp's processor target and in RacerVectorEnv."""
    config = {"sensor": "state", "track": "oval", **config}
    return GpuVectorEnv(n, device="cpu", **config), RacerVectorEnv(n, engine="twin", **config)


def assert_equal_steps(device, host, steps, copies=False):
    """Drive both, and hold every step's results to each other; return the endings that occurred."""
    endings = []
    for step in driven_beside(device, host, steps, seed=3, copies=copies):
        np.testing.assert_allclose(*step.body, rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(*step.observed, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(*step.final, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(*step.rewards, rtol=1e-6, atol=1e-6)
        assert np.array_equal(*step.terminated)
        assert np.array_equal(*step.truncated)
        endings += np.flatnonzero(step.terminated[1] | step.truncated[1]).tolist()
    return endings


def test_the_steps_are_those_of_the_processor():
    device, host = made(race=KNOWN_STARTS, max_episode_steps=40)
    endings = assert_equal_steps(device, host, 50)
    assert len(endings) >= 16
    read = device.read_statistics()
    assert read.episodes == len(endings)
    assert read.endings[Ending(TIME_UP)] > 0
    assert read.endings[Ending(OFF_TRACK)] > 0
    host.close()


@pytest.mark.ci
@pytest.mark.slow
def test_a_thousand_steps_are_those_of_the_processor(subtests):
    for faults, track, reward in [
        ("end", "oval", "progress"),
        ("reset", "hairpin", "curvature"),
        ("reset", "bowtie", "raceline"),
    ]:
        with subtests.test(faults=faults, track=track, reward=reward):
            race = {**KNOWN_STARTS, "faults": faults, "laps": 2, "time_limit": 55.0}
            device, host = made(track=track, race=race, reward=reward)
            assert_equal_steps(device, host, 1000)
            read = device.read_statistics()
            assert read.laps > 0
            assert read.endings[Ending(LAPS_COMPLETE)] > 0
            assert read.resets > 0 or faults == "end"
            host.close()


def test_the_times_of_laps_are_those_of_the_processor():
    race = {**KNOWN_STARTS, "faults": "reset", "laps": 3}
    device, host = made(n=4, race=race, reward=None)
    for _ in driven_beside(device, host, 260, seed=0):
        assert device._records.last_lap_time.numpy() == pytest.approx(host.race.last_lap_time)
    assert (host.race.last_lap_time > 0).any()
    host.close()


def test_drawn_cars_on_drawn_tracks_drive_as_those_of_the_processor():
    race = {"faults": "reset", "laps": 100, "direction": "alternate"}
    randomisation = {
        "friction": (0.6, 1.2),
        "mass": (0.8, 1.3),
        "mass_forward": (-0.02, 0.02),
        "mass_up": (-0.01, 0.01),
        "motor": (0.5, 1.5),
        "speed_gain": (0.8, 1.2),
        "steering_gain": (0.8, 1.2),
        "steering_offset": (-0.05, 0.05),
        "latency": (0, 2),
        "dropped_frames": (0.0, 0.4),
    }
    sensor = {"kind": "state", "stack": 2}
    device, host = made(
        track=["oval", "hairpin"], race=race, randomisation=randomisation, sensor=sensor
    )
    assert_equal_steps(device, host, 60, copies=True)
    assert len(np.unique(host.race.road.line)) > 1
    host.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["camera", "lidar"])
def test_frames_are_those_of_the_processor_through_resets(kind):
    size = {"width": 32, "height": 24} if kind == "camera" else {"beams": 16}
    sensor = {"kind": kind, "stack": 2, **size}
    race = {**KNOWN_STARTS, "direction": "alternate"}
    device, host = made(n=6, sensor=sensor, race=race, reward=None, max_episode_steps=4)
    device.reset(seed=0)
    host.reset(seed=0)
    actions = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(6, 2)
    bound, ended = 1.0 if kind == "camera" else 1e-5, 0
    for _ in range(10):
        on_device = device.step(torch.from_numpy(actions))
        seen, _, _, _, info = host.step(actions)
        apart = np.abs(on_device.observations.numpy().astype(float) - seen)
        assert (apart <= bound).mean() > 0.999
        for car in np.flatnonzero(info.get("_final_obs", np.zeros(6))):
            last = on_device.final_observations[car].numpy().astype(float)
            assert (np.abs(last - info["final_obs"][car]) <= bound).mean() > 0.999
            ended += 1
    assert ended >= 12
    host.close()


@pytest.mark.slow
def test_several_sensors_observe_by_their_names():
    cars = GpuVectorEnv(3, device="cpu", seed=0, sensor=["state", "lidar"], reward=None)
    seen = cars.reset()
    assert set(seen) == {"state", "lidar"}
    assert {"state", "lidar"} == set(cars.single_observation_space)  # type: ignore
    step = cars.step(torch.zeros(3, 2))
    assert step.final_observations["lidar"].shape == seen["lidar"].shape


def test_discrete_actions_are_the_choices():
    device, host = made(n=10, actions="discrete", race=KNOWN_STARTS, reward=None)
    device.reset(seed=0)
    host.reset(seed=0)
    chosen = np.arange(10)
    for _ in range(8):
        device.step(torch.from_numpy(chosen))
        host.step(chosen)
    assert np.abs(device._body.numpy() - host.world.state.body).max() < 1e-9
    host.close()


def test_the_same_seed_gives_the_same_episodes_alone_and_among_others():
    cars = {"device": "cpu", "sensor": "state", "reward": None, "randomisation": "sim2real"}
    many, one = GpuVectorEnv(5, **cars), GpuVectorEnv(1, **cars)
    seen = many.reset(seed=10).numpy().copy()
    assert np.array_equal(one.reset(seed=13).numpy()[0], seen[3])
    assert np.array_equal(many.reset(seed=10).numpy(), seen)
    assert not np.array_equal(many.reset().numpy(), seen)


def test_the_tensors_are_the_arrays_themselves():
    cars = GpuVectorEnv(3, device="cpu", seed=0, sensor="state", reward=None)
    seen = cars.reset()
    step = cars.step(torch.zeros(3, 2))
    assert seen.data_ptr() == step.observations.data_ptr() == cars._seen["state"].ptr
    assert step.rewards.data_ptr() == cars._rewards.ptr
    assert cars.finished.data_ptr() == cars._records.finished.ptr
    assert cars.step(torch.zeros(3, 2)) is step


def test_a_graph_of_a_step_gives_the_bits_of_its_kernels_one_by_one(monkeypatch):
    config = {"device": "cpu", "sensor": "state", "reward": None, "max_episode_steps": 9}
    graph, kernels = (GpuVectorEnv(4, seed=1, **config) for _ in range(2))
    graph.reset()
    kernels.reset()
    for number in range(20):
        actions = torch.full((4, 2), 0.1 * (number % 5))
        step = graph.step(actions)
        monkeypatch.setattr(gpu_env, "EAGER_STEPS", 10**9)
        other = kernels.step(actions)
        monkeypatch.undo()
        assert torch.equal(step.observations, other.observations)
        assert torch.equal(step.final_observations, other.final_observations)
    assert graph._graph is not None and kernels._graph is None
    assert torch.equal(graph.finished, kernels.finished)


def test_what_a_device_cannot_simulate_is_refused_with_a_sentence(subtests):
    for config, word in [
        ({"race": "object_avoidance"}, "object_avoidance is not simulated on a device"),
        ({"race": {"walls": True}}, "walls: true is not simulated"),
        ({"engine": "bullet"}, "engine: bullet is not simulated"),
    ]:
        with subtests.test(word=word), pytest.raises(ConfigError, match=word):
            GpuVectorEnv(2, device="cpu", sensor="state", **config)


def test_the_example_of_the_cars_runs():
    examples = doctest.DocTestFinder(recurse=False).find(GpuVectorEnv, globs=vars(gpu_env).copy())
    result = doctest.DocTestRunner().run(examples[0])
    assert result.attempted == 5 and result.failed == 0


def test_actions_that_cannot_be_used_are_told(subtests):
    cars = GpuVectorEnv(2, device="cpu", seed=0, sensor="state", reward=None)
    with pytest.raises(ConfigError, match=r"call reset\(\) first"):
        cars.step(torch.zeros(2, 2))
    cars.reset()
    for actions in (torch.zeros(3, 2), torch.zeros(2, 2, dtype=torch.float64)):
        with subtests.test(shape=actions.shape), pytest.raises(ConfigError, match="must be"):
            cars.step(actions)
    cars.step(torch.full((2, 2), torch.nan))
    with pytest.raises(ConfigError, match="4 numbers of actions were not finite"):
        cars.read_statistics()
    assert cars.read_statistics().episodes == 0


def test_a_reward_that_fails_on_the_road_is_told_when_statistics_are_read(tmp_path):
    file = tmp_path / "late.py"
    file.write_text(
        "def reward_function(params):\n"
        "    return 1.0 / (0.0 if params['sim_time'] > 20.0 else 1.0)\n"
    )
    race = {"faults": "reset", "off_track_penalty": 30.0}
    cars = GpuVectorEnv(2, device="cpu", seed=0, sensor="state", reward=str(file), race=race)
    cars.reset()
    for _ in range(100):
        cars.step(torch.zeros(2, 2))
    with pytest.raises(RewardError, match=r"the reward failed in .* steps of cars"):
        cars.read_statistics()


def test_penalties_let_the_clock_end_an_episode_sooner():
    race = {"time_limit": 10.0, "off_track_penalty": 3.0, "collision_penalty": 5.0}
    config = {"device": "cpu", "sensor": "state", "reward": None}
    assert GpuVectorEnv(2, race={**race, "faults": "end"}, **config).min_cut_off_steps == 150
    returned = GpuVectorEnv(2, race={**race, "faults": "reset"}, **config)
    assert (returned.max_episode_steps, returned.min_cut_off_steps) == (150, 1)

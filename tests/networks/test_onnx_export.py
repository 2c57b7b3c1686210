"""The exported graph is the torch policy, frame by frame."""

import hashlib
import threading

import numpy as np
import onnx
import pytest
import torch
from stable_baselines3 import PPO

from racer.assets.document import validate_document
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import TrainedOn, read_entry, save_entry
from racer.envs import RacerVectorEnv
from racer.networks.modules import NormalizeObs
from racer.networks.onnx_export import actor_to_onnx, input_shapes
from racer.networks.policy_network import TorchPolicy
from racer.sensors import observation_of_car
from racer.training.config import RunConfig
from racer.training.learner import build_learner, deterministic_actor
from racer.training.vec_env import CarsVecEnv

CAMERA = {"kind": "camera", "width": 80, "height": 60}
SMALL = {"num_envs": 2, "ppo": {"n_steps": 2, "batch_size": 2}, "device": "cpu", "torch_threads": 1}


def policies(tmp_path, **changes):
    """An untrained policy in torch, and the same one through an entry and onnxruntime."""
    config = validate_document(SMALL | changes, RunConfig, "test")
    env = CarsVecEnv(RacerVectorEnv(2, **config.env))
    policy = deterministic_actor(config, build_learner(config, env))
    with torch.no_grad():
        policy.action.get_parameter("weight").mul_(
            100.0
        )  # A fresh head is near zero; a trained one is not.
    for layer in policy.modules():
        if isinstance(layer, NormalizeObs):
            layer.update(torch.linspace(-1, 2, 40 * len(layer.mean)).reshape(40, -1))
    env.close()
    path = tmp_path / "car.entry.zip"
    graph = actor_to_onnx(policy, input_shapes(config.sensor))
    origin = TrainedOn(
        track="bowtie", config_sha256=config.digest, reward_sha256="0" * 64, steps=0, seed=0
    )
    save_entry(
        path,
        graph,
        name="car",
        env="racer/TimeTrial-v0",
        sensor=config.sensor,
        actions=config.actions,
        trained_on=origin,
    )
    return config, TorchPolicy(policy, torch.device("cpu")), OnnxPolicy(read_entry(path)), graph


@pytest.mark.parametrize(
    "sensor", [pytest.param(CAMERA, marks=pytest.mark.slow), "state"], ids=["camera", "state"]
)
def test_actions_equal_torch_s_within_1e_5_over_a_thousand_real_observations(tmp_path, sensor):
    network = {"normalize_obs": sensor == "state"}
    config, in_torch, in_onnx, _ = policies(tmp_path, sensor=sensor, network=network)
    env = RacerVectorEnv(20, **config.model_copy(update={"reward": None}).env)
    observations, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    compared, largest = 0, 0.0
    for _ in range(50):
        for observation in observations:
            a, b = in_torch(observation[None]), in_onnx(observation[None])
            assert np.abs(a - b).max() <= 1e-5
            compared, largest = compared + 1, max(largest, float(np.abs(a).max()))
        observations, *_ = env.step(rng.uniform(-1, 1, (20, 2)))
    env.close()
    assert compared == 1000
    assert largest > 0.1, "the policy must do something for this to say anything"


def test_a_discrete_policy_gives_the_same_index(tmp_path):
    config, in_torch, in_onnx, _ = policies(tmp_path, sensor="state", actions="discrete")
    env = RacerVectorEnv(50, **config.model_copy(update={"reward": None}).env)
    observations, _ = env.reset(seed=1)
    env.close()
    indices = [int(in_onnx(observation[None])[0]) for observation in observations]
    chosen, margins = zip(*(choice(in_torch, observation[None]) for observation in observations))
    is_clear = np.array(margins) > 1e-4
    assert is_clear.sum() > 40
    assert np.array_equal(np.array(indices)[is_clear], np.array(chosen)[is_clear])
    assert all(config.actions.space().contains(index) for index in indices)


def choice(policy: TorchPolicy, observation) -> tuple[int, float]:
    """A discrete policy's action, and by how much it is worth more than any other."""
    worth = []
    hook = policy._actor.action.register_forward_hook(lambda *given: worth.append(given[-1]))
    index = int(policy(observation)[0])
    hook.remove()
    least, most = np.sort(worth[0].numpy().ravel())[-2:]
    return index, float(most - least)


SEVERAL = [
    {"kind": "camera", "width": 40, "height": 36},
    {"kind": "lidar", "beams": 16},
    "sector_lidar",
]


@pytest.mark.slow
@pytest.mark.parametrize("actions", ["continuous", "discrete"])
@pytest.mark.parametrize("preset", ["small", "deep"])
def test_a_policy_of_several_sensors_has_an_input_for_each_and_equals_torch(
    tmp_path, actions, preset
):
    network = {"preset": preset, "filters": [[8, 4, 2], [8, 3, 2]], "mlp": [16]}
    config, in_torch, in_onnx, graph = policies(
        tmp_path, sensor=SEVERAL, actions=actions, network=network
    )
    inputs = onnx.load_model_from_string(graph).graph.input
    assert {one.name for one in inputs} == {"camera", "lidar", "sector_lidar"}
    env = RacerVectorEnv(12, **config.model_copy(update={"reward": None}).env)
    observations, _ = env.reset(seed=3)
    env.close()
    answers = []
    for car in range(12):
        mine = observation_of_car(observations, np.array([car]))
        answers.append(in_onnx(mine))
        if actions == "continuous" or choice(in_torch, mine)[1] > 1e-4:
            assert np.abs(in_torch(mine) - answers[-1]).max() <= 1e-5
    if actions == "continuous":
        assert np.ptp(answers, axis=0).max() > 1e-3, "it must depend on what is seen"


def test_what_is_exported_is_what_the_learner_would_do():
    config = validate_document(SMALL | {"sensor": SEVERAL}, RunConfig, "test")
    env = CarsVecEnv(RacerVectorEnv(2, **config.env))
    model = build_learner(config, env)
    assert isinstance(model, PPO)
    env.reset()
    seen = env.reset()
    mine = observation_of_car(env.cars.observations, np.array([0]))
    with torch.no_grad():
        model.policy.action_net.get_parameter("weight").mul_(100.0)
    theirs, _ = model.predict({name: one[:1] for name, one in seen.items()}, deterministic=True)
    assert np.allclose(
        TorchPolicy(deterministic_actor(config, model), model.device)(mine), theirs, atol=1e-6
    )
    assert np.abs(theirs).max() > 1e-3
    env.close()


@pytest.mark.slow
def test_each_of_several_sensors_is_heeded(tmp_path):
    config, _, in_onnx, _ = policies(tmp_path, sensor=SEVERAL)
    env = RacerVectorEnv(1, **config.model_copy(update={"reward": None}).env)
    observation, _ = env.reset(seed=3)
    env.close()
    before = in_onnx(observation)
    for name in observation:
        turned = {**observation, name: observation[name] // 2 + 2}
        assert not np.array_equal(in_onnx(turned), before), name


def test_an_action_beyond_the_space_is_clipped_in_the_graph(tmp_path):
    _, in_torch, in_onnx, _ = policies(tmp_path, sensor="state")
    loud = np.full((1, 26), 1e4, dtype=np.float32)
    assert np.abs(in_onnx(loud)).max() <= 1.0
    assert np.allclose(in_onnx(loud), in_torch(loud), atol=1e-5)


@pytest.mark.slow
def test_the_graph_says_nothing_of_where_it_was_made_and_is_the_same_twice(tmp_path):
    digests = set()
    for _ in range(2):
        *_, graph = policies(tmp_path, sensor="state")
        digests.add(hashlib.sha256(graph).hexdigest())
        assert b"/racer/" not in graph
        assert b".py" not in graph
    assert len(digests) == 1


@pytest.mark.slow
def test_threads_that_export_at_once_all_get_the_graph():
    """torch's exporter fails where two threads are in it."""
    config = validate_document(SMALL | {"sensor": "state"}, RunConfig, "test")
    env = CarsVecEnv(RacerVectorEnv(2, **config.env))
    actors = [deterministic_actor(config, build_learner(config, env)) for _ in range(2)]
    env.close()
    together, graphs = threading.Barrier(len(actors)), []

    def export(one):
        together.wait()
        graphs.append(actor_to_onnx(one, input_shapes(config.sensor)))

    threads = [threading.Thread(target=export, args=(one,)) for one in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(graphs) == len(actors)
    assert len(set(graphs)) == 1

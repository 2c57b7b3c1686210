"""The switches of torch: bfloat16 and torch.compile change the speed, and little else."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from racer.networks.network_config import NETWORK_PRESETS
from racer.training.learner import build_learner
from racer.training.ppo import SensorFeaturesExtractor
from racer.training.training_env import make_training_env
from tests.helpers.runs import config

LAYERS = NETWORK_PRESETS["small"]._replace(filters=((4, 4, 2),), features=(8,), mlp=(8,))
SEEN = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (1, 12, 16), np.uint8),
        "state": spaces.Box(-1.0, 1.0, (26,), np.float32),
    }
)


def test_features_in_bfloat16_are_float32_numbers_near_the_others():
    torch.manual_seed(0)
    features = SensorFeaturesExtractor(SEEN, LAYERS)
    seen = {"camera": torch.rand(5, 1, 12, 16), "state": torch.randn(5, 26)}
    plain = features(seen)
    features.is_autocast = True
    rounded = features(seen)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, plain)
    torch.testing.assert_close(rounded, plain, rtol=0.05, atol=0.02)
    rounded.sum().backward()
    gradients = [one.grad for one in features.parameters()]
    assert all(one is not None and one.dtype == torch.float32 for one in gradients)


def test_the_switches_are_off_and_reach_the_policy():
    for switched in (False, True):
        learning = config(torch_autocast=switched, simulator="host")
        env = make_training_env(learning, is_logged=False)
        model = build_learner(learning, env)
        found = [one for one in model.policy.modules() if isinstance(one, SensorFeaturesExtractor)]
        assert [one.is_autocast for one in found] == [switched]
        env.close()


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@pytest.mark.slow
def test_a_compiled_policy_acts_the_same_and_keeps_the_names_of_its_weights():
    models = []
    for switched in (False, True):
        learning = config(torch_compile=switched, network={"mlp": [16], "hidden": [8]})
        env = make_training_env(learning, is_logged=False)
        models.append(build_learner(learning, env))
        env.close()
    plain, compiled = models
    assert list(plain.policy.state_dict()) == list(compiled.policy.state_dict())
    seen = np.linspace(-1.0, 1.0, 8 * 26, dtype=np.float32).reshape(8, 26)
    actions = [model.predict(seen, deterministic=True)[0] for model in models]
    np.testing.assert_allclose(*actions, rtol=1e-5, atol=1e-6)

"""PPO on the device, against Stable-Baselines3's own, in a small world that both can step."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch.utils._python_dispatch import TorchDispatchMode

from racer.gpu.device_ppo import DevicePPO
from racer.gpu.rollout_storage import DeviceRolloutStorage
from tests.helpers.dots import BOTH, CARS, GEARS, STATE, STEERING, STEPS
from tests.helpers.dots import dots_learner as learner


def stable_baselines3_order(storage):
    """The order in which Stable-Baselines3 takes the same samples, which it stores car by car."""
    taken = np.random.permutation(STEPS * CARS)  # noqa: NPY002 - as Stable-Baselines3 draws it
    car, step = np.divmod(taken, STEPS)
    return torch.from_numpy(step * CARS + car)


class Kept(BaseCallback):
    """Keeps what was logged and what a callback sees."""

    def __init__(self):
        super().__init__()
        self.logged, self.infos, self.steps = [], [], []

    def _on_step(self):
        self.infos.append(len(self.locals["infos"]))
        self.steps.append(self.num_timesteps)
        return True

    def _on_rollout_start(self):
        told = dict(self.model.logger.name_to_value)
        self.logged.append({k: v for k, v in told.items() if k.startswith("train/")})


CASES = {
    "numbers, continuous": (STATE, STEERING, False),
    "numbers and frames, discrete": (BOTH, GEARS, False),
    "a Huber loss": (STATE, STEERING, True),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_three_updates_equal_those_of_stable_baselines3(subtests, monkeypatch):
    monkeypatch.setattr(DeviceRolloutStorage, "_order", stable_baselines3_order)
    for name, case in CASES.items():
        with subtests.test(name=name):
            learnt = {}
            for kind in (PPO, DevicePPO):
                model, kept = learner(kind, *case), Kept()
                model.learn(3 * STEPS * CARS, callback=kept)
                learnt[kind] = model, [*kept.logged, dict(model.logger.name_to_value)]
            (theirs, told), (ours, tells) = learnt[PPO], learnt[DevicePPO]
            expected = theirs.policy.state_dict()
            for key, value in ours.policy.state_dict().items():
                torch.testing.assert_close(value, expected[key], rtol=1e-5, atol=1e-6, msg=key)
            first = theirs.rollout_buffer
            for part in ("rewards", "advantages", "returns"):
                mine = getattr(ours.rollout_buffer, part).numpy()
                given = getattr(first, part).reshape(CARS, STEPS).T if part != "rewards" else None
                given = first.rewards if given is None else given
                np.testing.assert_allclose(mine, given, rtol=1e-4, atol=1e-5, err_msg=part)
            assert [set(one) for one in tells[1:3]] == [set(one) for one in told[1:3]]
            for mine, other in zip(tells[1:3], told[1:3]):
                for key, value in other.items():
                    assert mine[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


class Waits(TorchDispatchMode):
    """Counts what would let a host wait for a GPU: a number, or a shape, that depends on values."""

    names = ("_local_scalar_dense", "nonzero", "masked_select", "index.Tensor", "unique")

    def __init__(self, optimizer):
        super().__init__()
        self.optimizer, self.seen = optimizer, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        counts = [state["step"] for state in self.optimizer.state.values()]
        # Adam counts its steps in tensors of the host.
        is_adam = bool(args) and any(args[0] is count for count in counts)
        if not is_adam and any(one in name for one in self.names):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


def test_only_the_log_waits_for_the_device(subtests):
    for name, case in CASES.items():
        with subtests.test(name=name):
            model, kept = learner(DevicePPO, *case), Kept()
            model.learn(STEPS * CARS, callback=kept)
            kept.init_callback(model)
            with Waits(model.policy.optimizer) as waits:
                model.collect_rollouts(model.env, kept, model.rollout_buffer, STEPS)
                assert waits.seen == []
                model.train()
            figures = 8  # of _log_update, one list after one copy
            assert set(waits.seen) <= {"aten._local_scalar_dense.default"}
            assert len(waits.seen) <= figures + 1


def test_a_callback_gets_the_episodes_with_the_last_step_of_a_rollout():
    model, kept = learner(DevicePPO, STATE, STEERING), Kept()
    model.learn(2 * STEPS * CARS, callback=kept)
    assert kept.infos == 2 * ([0] * (STEPS - 1) + [1])
    assert kept.steps == [CARS * step for step in range(1, 2 * STEPS + 1)]
    assert model.ep_info_buffer is not None
    assert [one["l"] for one in model.ep_info_buffer] == [3, 3]


def test_a_callback_ends_a_rollout_at_once():
    class Stop(BaseCallback):
        def _on_step(self):
            return self.num_timesteps < 5 * CARS

    model = learner(DevicePPO, STATE, STEERING)
    before = {name: one.clone() for name, one in model.policy.state_dict().items()}
    model.learn(10**6, callback=Stop())
    assert model.num_timesteps == 5 * CARS
    assert all(torch.equal(one, before[name]) for name, one in model.policy.state_dict().items())

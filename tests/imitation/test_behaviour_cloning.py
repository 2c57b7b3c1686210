"""A policy learns the actions that it was shown, and nothing else of the learner changes."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from racer.imitation.behaviour_cloning import (
    BATCH_SIZE,
    CRITIC_PARAMETERS,
    FINAL_LEARNING_RATE,
    LEARNING_RATE,
    clone_behaviour,
)
from racer.imitation.demonstrations import Demonstrations, last_rows
from racer.networks.modules import NormalizeObs
from racer.training.learner import build_learner_without_env
from tests.helpers.runs import config

RANDOM = np.random.default_rng(0)
SEEN = RANDOM.normal(size=(2000, 26)).astype(np.float32)


def learner(**changes):
    chosen = config(**changes)
    box = spaces.Box(-np.inf, np.inf, (26,), np.float32)
    return build_learner_without_env(chosen, box, chosen.actions.space())


def shown(actions):
    return Demonstrations(SEEN, actions, last_rows(len(SEEN)))


@pytest.fixture(scope="module")
def continuous():
    model = learner()
    before = {name: one.clone() for name, one in model.policy.state_dict().items()}
    wanted = np.clip(0.5 * SEEN[:, :2], -1, 1)
    loss = clone_behaviour(model.policy, shown(wanted), 40, np.random.default_rng(0))
    return model, before, wanted, loss


def test_a_policy_acts_as_it_was_shown_where_it_was_not_shown(continuous):
    model, _, wanted, loss = continuous
    held = last_rows(len(SEEN))
    got = model.predict(SEEN[held], deterministic=True)[0]
    assert np.abs(got - wanted[held]).mean() < 0.1
    assert 1 <= loss.epochs <= 40


def test_the_loss_is_the_negative_log_likelihood_of_the_teacher_s_actions(continuous):
    model, _, wanted, loss = continuous
    held = last_rows(len(SEEN))
    mean = model.policy.get_distribution(torch.as_tensor(SEEN[held])).distribution.mean
    std = np.exp(config().ppo.log_std_init)
    error = (mean.detach().numpy() - wanted[held]) / std
    expected = (0.5 * error**2 + np.log(std) + 0.5 * np.log(2 * np.pi)).sum(axis=1).mean()
    assert loss.held_out == pytest.approx(expected, rel=1e-5)


def test_critic_noise_and_optimizer_stay_as_they_were(continuous):
    model, before, _, _ = continuous
    after = model.policy.state_dict()
    kept = [name for name in after if torch.equal(after[name], before[name])]
    assert kept == [name for name in after if name.startswith((*CRITIC_PARAMETERS, "log_std"))]
    assert not model.policy.optimizer.state_dict()["state"]


def test_discrete_actions_are_learnt_as_classes():
    model = learner(actions={"kind": "discrete"})
    wanted = (SEEN[:, 0] > 0).astype(np.int64) * 7
    loss = clone_behaviour(model.policy, shown(wanted), 30, np.random.default_rng(0))
    got = model.predict(SEEN, deterministic=True)[0]
    assert (got == wanted).mean() > 0.85
    assert loss.held_out < 0.5, "ten choices at random have log 10 = 2.3"


def test_the_same_seed_gives_the_same_weights():
    wanted = np.clip(SEEN[:, :2], -1, 1)
    models = [learner(), learner()]
    for model in models:
        clone_behaviour(model.policy, shown(wanted), 2, np.random.default_rng(3))
    one, other = (model.policy.state_dict() for model in models)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_learning_rate_falls_over_all_minibatches(monkeypatch):
    model, wanted, rates = learner(), np.clip(SEEN[:, :2], -1, 1), []
    step = torch.optim.Adam.step

    def noted(optimizer, *args, **kwargs):
        rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", noted)
    clone_behaviour(model.policy, shown(wanted), 3, np.random.default_rng(0))
    falls = (LEARNING_RATE - FINAL_LEARNING_RATE) / len(rates)
    assert rates == pytest.approx(LEARNING_RATE - falls * np.arange(len(rates)))
    assert len(rates) == 3 * round(0.9 * len(SEEN) / BATCH_SIZE)


def test_a_network_that_normalizes_takes_mean_and_variance_from_what_was_shown():
    model = learner(network={"normalize_obs": True, "mlp": [16], "hidden": [16]})
    wanted = np.clip(SEEN[:, :2], -1, 1)
    clone_behaviour(model.policy, shown(wanted), 1, np.random.default_rng(0))
    (layer,) = [one for one in model.policy.modules() if isinstance(one, NormalizeObs)]
    learnt = SEEN[~last_rows(len(SEEN))]
    assert layer.mean.numpy() == pytest.approx(learnt.mean(axis=0), abs=1e-3)

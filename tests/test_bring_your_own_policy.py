"""The examples of docs/bring-your-own-policy.md, run as they stand there."""

import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import racer
from racer import cli
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry

PAGE = Path(__file__).parents[1] / "docs" / "bring-your-own-policy.md"
DQN, SAC, STEADY = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


class CleanRLNetwork(nn.Module):
    """What CleanRL's dqn.py trains, by its layout."""

    def __init__(self, env):
        super().__init__()
        inputs, actions = int(np.prod(env.observation_space.shape)), int(env.action_space.n)
        self.network = nn.Sequential(
            nn.Linear(inputs, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, actions)
        )

    def forward(self, x):
        return self.network(x)


def train_as_cleanrl_does(steps: int) -> CleanRLNetwork:
    """A few steps of DQN, and the file that `--save-model` leaves."""
    env = gymnasium.make("racer:racer/TimeTrial-v0", sensor="state", actions="discrete")
    torch.manual_seed(1)
    q_network, target = CleanRLNetwork(env), CleanRLNetwork(env)
    target.load_state_dict(q_network.state_dict())
    optimizer = torch.optim.Adam(q_network.parameters(), lr=2.5e-3)
    env.action_space.seed(1)
    obs, _ = env.reset(seed=1)
    kept = []
    for _ in range(steps):
        action = env.action_space.sample()
        after, reward, terminated, truncated, _ = env.step(action)
        kept.append((obs, action, reward, after, terminated))
        obs = env.reset()[0] if terminated or truncated else after
    seen, actions, rewards, then, done = (torch.as_tensor(np.array(one)) for one in zip(*kept))
    for _ in range(20):
        with torch.no_grad():
            wanted = rewards.float() + 0.99 * target(then).max(dim=1).values * ~done
        value = q_network(seen).gather(1, actions[:, None]).squeeze()
        loss = nn.functional.mse_loss(value, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(q_network.state_dict(), "dqn.cleanrl_model")
    env.close()
    return q_network


def accepted(path: str, capsys) -> bool:
    cli.main(["board", "check", path])
    return "accepted: " in capsys.readouterr().out


@pytest.mark.slow
def test_a_dqn_of_cleanrl_is_an_entry_that_drives_its_best_actions(here, capsys):
    q_network = train_as_cleanrl_does(64)
    exec(DQN, scope := {})
    assert scope["result"].laps == 1
    valued = [
        q_network(torch.from_numpy(seen))[0].detach().numpy()
        for seen in np.random.default_rng(0).uniform(-1, 1, (30, 1, 26)).astype(np.float32)
    ]
    policy = OnnxPolicy(read_entry("dqn.entry.zip"))
    answers = [
        int(policy(seen)[0])
        for seen in np.random.default_rng(0).uniform(-1, 1, (30, 1, 26)).astype(np.float32)
    ]
    clear = [one for one, of in enumerate(valued) if np.ptp(np.sort(of)[-2:]) > 1e-4]
    assert len(clear) > 20
    assert all(answers[one] == valued[one].argmax() for one in clear)
    assert accepted("dqn.entry.zip", capsys)


@pytest.mark.slow
def test_an_sac_of_stable_baselines3_is_an_entry_that_drives_what_it_predicts(here, capsys):
    assert "model.learn(20_000)" in SAC
    exec(SAC.replace("20_000", "150"), scope := {})
    policy, model = OnnxPolicy(read_entry("sac.entry.zip")), scope["model"]
    answers = []
    for seen in np.random.default_rng(0).uniform(-1, 1, (50, 26)).astype(np.float32):
        wanted, _ = model.predict(seen, deterministic=True)
        answers.append(policy(seen[None])[0])
        assert np.allclose(answers[-1], wanted, atol=1e-5)
    assert np.ptp(answers, axis=0).max() > 1e-3, "it must depend on what is seen"
    assert accepted("sac.entry.zip", capsys)


def test_a_controller_written_by_hand_drives_three_clean_laps(here, capsys):
    exec(STEADY, {})
    cli.main(["entry", "write", "steady.onnx", "--sensor", "state"])
    assert accepted("steady.entry.zip", capsys)
    result = racer.drive("steady.entry.zip", track="bowtie", laps=3)
    assert result.is_clean
    told = re.search(r"in ([\d.]+), ([\d.]+) and ([\d.]+) s", PAGE.read_text(encoding="utf-8"))
    assert told is not None
    assert result.lap_times_s == pytest.approx([float(one) for one in told.groups()], abs=0.02)

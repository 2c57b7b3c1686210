"""Every algorithm trains, resumes and exports what it learnt, as PPO does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

import racer
from racer.assets.document import read_document, validate_document
from racer.assets.overrides import with_overrides
from racer.cli import main
from racer.cli.app import run as command
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError, RacerError, RunError
from racer.networks.onnx_export import actor_to_onnx, input_shapes
from racer.networks.policy_network import TorchPolicy
from racer.training.callbacks.save import SaveCallback
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.config import (
    ALGORITHMS,
    ALGORITHMS_OF_ACTIONS,
    Algorithm,
    EvaluationConfig,
    PPOConfig,
    RunConfig,
    SACConfig,
)
from racer.training.learner import _schedule, build_learner, deterministic_actor
from racer.training.run_dir import Run
from racer.training.run_history import config_differences
from racer.training.train import resume_training, run_training
from racer.training.vec_env import CarsVecEnv
from tests.helpers.entries import entry_of
from tests.helpers.runs import QUIET, assert_same_run, no_figures, weights_after

__all__ = ["no_figures"]

CHUNK = 64
OFF_POLICY = {
    "batch_size": 16,
    "buffer_size": 96,
    "learning_starts": 40,
    "train_freq": 2,
    "gradient_steps": 2,
}
"""A buffer that is full, and overwritten, in the second chunk of four."""
ON_POLICY = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}
SECTIONS: dict[Algorithm, dict[str, Any]] = {
    "ppo": ON_POLICY,
    "recurrent_ppo": {**ON_POLICY, "lstm_hidden_size": 5, "n_lstm_layers": 2},
    "sac": {**OFF_POLICY, "ent_coef": "auto_0.1"},
    "tqc": {**OFF_POLICY, "ent_coef": 0.05, "n_quantiles": 5, "n_critics": 2},
    "qrdqn": {**OFF_POLICY, "n_quantiles": 5, "target_update_interval": 24, "tau": 0.7},
}
NEW = [
    "sac",
    "qrdqn",
    "recurrent_ppo",
    pytest.param("tqc", marks=pytest.mark.slow),
]


def config(algorithm: Algorithm, **changes: Any) -> RunConfig:
    """Return a config of four chunks of 64 steps of four cars."""
    tree = {
        "algorithm": algorithm,
        "sensor": "state",
        "actions": "discrete" if algorithm == "qrdqn" else "continuous",
        "num_envs": 4,
        "total_timesteps": 4 * CHUNK,
        "network": {"hidden": [8, 7]},
        algorithm: SECTIONS[algorithm],
        "evaluation": {"eval_freq": CHUNK, "laps": 1, "time_limit": 0.5, "video_freq": 0},
        "device": "cpu",
        "torch_threads": 1,
    }
    return validate_document(tree | changes, RunConfig, "test")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a function that returns the folder of an algorithm's run, trained once."""
    done: dict[str, Path] = {}

    def folder(algorithm: Algorithm) -> Path:
        if algorithm not in done:
            done[algorithm] = tmp_path_factory.mktemp(algorithm) / "run"
            run_training(config(algorithm), done[algorithm], QUIET)
        return done[algorithm]

    return folder


# What a config says


def test_a_config_of_ppo_has_the_digest_that_it_always_had():
    before = "fd05f045c58551e74d75fa0b883b0fde7345428e7e879ae8bd79bcc0028ab2ff"
    assert RunConfig().digest == before
    assert RunConfig(seed=1).digest != before
    assert RunConfig(evaluation=EvaluationConfig(races=2)).digest != before
    for key, value in {"simulator": "host", "torch_autocast": True, "torch_compile": True}.items():
        assert RunConfig.model_validate({key: value}).digest != before
    assert len({config(one).digest for one in ALGORITHMS}) == len(ALGORITHMS)


def test_a_config_writes_the_section_of_its_algorithm_alone(subtests):
    for algorithm in ALGORITHMS:
        with subtests.test(algorithm=algorithm):
            tree = config(algorithm).model_dump(mode="json")
            assert {name for name in ALGORITHMS if name in tree} == {algorithm}
            assert validate_document(tree, RunConfig, "test") == config(algorithm)


def test_the_defaults_of_an_algorithm_are_no_differences():
    found = config_differences(config("tqc"))
    assert (found["algorithm"], found["tqc.n_quantiles"]) == ("tqc", 5)
    assert "tqc.tau" not in found
    assert "algorithm" not in config_differences(config("ppo"))


def test_an_algorithm_is_refused_actions_that_it_cannot_learn(subtests):
    for algorithm in ALGORITHMS:
        for kind, able in ALGORITHMS_OF_ACTIONS.items():
            with subtests.test(algorithm=algorithm, kind=kind):
                if algorithm in able:
                    assert config(algorithm, actions=kind).actions.kind == kind
                    continue
                said = f"algorithm {algorithm} learns .* and actions.kind is {kind}: set actions"
                with pytest.raises(ConfigError, match=said):
                    config(algorithm, actions=kind)


def test_a_key_in_a_wrong_section_is_told_its_own(subtests, tmp_path):
    for text, said in [
        ("ppo: {gamma: 0.9}\n", "mine.yaml:3: ppo: algorithm is sac, whose section is 'sac'"),
        ("sac: {clip_range: 0.1}\n", "'clip_range' is a key of ppo, recurrent_ppo$"),
        ("sac: {n_quantiles: 9}\n", "'n_quantiles' is a key of tqc, qrdqn$"),
        ("buffer_size: 9\n", "unknown key 'buffer_size'; 'buffer_size' is a key of sac, tqc, q"),
        ("sac: {bufer_size: 9}\n", "unknown key 'sac.bufer_size'; did you mean 'buffer_size'"),
    ]:
        with subtests.test(text=text):
            file = tmp_path / "mine.yaml"
            file.write_text(f"algorithm: sac\nsensor: state\n{text}")
            with pytest.raises(ConfigError, match=said):
                read_document(file, RunConfig)


def test_numbers_by_which_nothing_would_be_learnt_are_refused(subtests):
    for algorithm, changes, said in [
        ("sac", {"buffer_size": 15}, r"sac\.buffer_size 15 is less than sac\.batch_size 16"),
        ("sac", {"learning_starts": 256}, r"sac\.learning_starts 256 is not less than total_"),
        ("sac", {"gradient_steps": 0}, "nothing is learnt without minibatches"),
        ("sac", {"ent_coef": "auto_0"}, "ent_coef: must be a number from 0, auto, or auto_X"),
        ("sac", {"ent_coef": -0.1}, r"ent_coef: must be a number from 0.*; got -0\.1"),
        ("tqc", {"top_quantiles_to_drop_per_net": 5}, "leaves none of n_quantiles 5"),
        ("qrdqn", {"target_update_interval": 3}, "target_update_interval 3 is less than num_e"),
        ("recurrent_ppo", {"batch_size": 64}, r"recurrent_ppo\.batch_size 64 is more than a roll"),
    ]:
        with subtests.test(said=said), pytest.raises(ConfigError, match=said):
            config(algorithm, **{algorithm: SECTIONS[algorithm] | changes})


def test_another_algorithm_begins_with_its_own_defaults():
    plain = config("ppo", total_timesteps=9999)
    changed = with_overrides(plain, {"algorithm": "sac", "sac.gamma": 0.9}, "test")
    assert changed.sac == SACConfig(gamma=0.9)
    with pytest.raises(ConfigError, match="ppo: algorithm is sac, whose section is 'sac'"):
        with_overrides(plain, {"algorithm": "sac", "ppo.gamma": 0.9}, "test")
    same = with_overrides(plain, {"algorithm": "ppo", "seed": 3}, "test")
    assert same.ppo == plain.ppo


def test_the_command_line_has_the_options_of_the_algorithm_that_it_chooses(monkeypatch):
    begun: list[RunConfig] = []
    monkeypatch.setattr("racer.cli.train._train", lambda config, *_: begun.append(config))
    for words in (["--algorithm", "tqc"], ["--algorithm=tqc"]):
        command(["train", "state", *words, "--tqc.n-quantiles", "9"])
        assert (begun[-1].algorithm, begun[-1].tqc.n_quantiles) == ("tqc", 9)
    with pytest.raises(RacerError, match=r"--sac\.gamma is for algorithm sac, .* --algorithm sac"):
        command(["train", "state", "--sac.gamma", "0.9"])


def test_a_replay_buffer_that_does_not_fit_into_the_memory_is_refused():
    huge = config("sac", sac={"buffer_size": 100_000_000}, sensor="camera", total_timesteps=9999)
    env = CarsVecEnv(RacerVectorEnv(4, **huge.env))
    with pytest.raises(ConfigError, match=r"sac\.buffer_size 100000000 .* GB .* lower it"):
        build_learner(huge, env)
    env.close()


# What is exported


@pytest.mark.parametrize("algorithm", NEW)
@pytest.mark.parametrize("sensor", ["state", pytest.param("several", marks=pytest.mark.slow)])
def test_an_entry_acts_as_the_learner_predicts_without_exploration(algorithm, sensor):
    several = [{"kind": "camera", "width": 40, "height": 36}, {"kind": "lidar", "beams": 8}]
    network = {"mlp": [6], "features": [8], "hidden": [8, 7], "normalize_obs": True}
    seen_by = several if sensor == "several" else sensor
    mine = config(algorithm, sensor=seen_by, network=network)
    env = CarsVecEnv(RacerVectorEnv(4, **mine.env))
    env.seed(3)
    model = build_learner(mine, env)
    with torch.no_grad():  # So that the action depends on what is seen.
        for name, weights in model.policy.named_parameters():
            weights.mul_(4.0 if "bias" not in name else 1.0)
    env.reset()
    cars = TorchPolicy(deterministic_actor(mine, model), model.device)
    graph = actor_to_onnx(deterministic_actor(mine, model), input_shapes(mine.sensor))
    size = mine.actor_layout.hidden_state_size or None
    entry = OnnxPolicy(entry_of(graph, mine.sensor, mine.actions, size))
    starts, states, given = np.ones(4, dtype=bool), None, []
    for step in range(12):
        seen = env.observations
        if isinstance(seen, dict):
            shown = {name: np.moveaxis(v, 3, 1) if v.ndim == 4 else v for name, v in seen.items()}
            first = {name: v[:1] for name, v in seen.items()}
        else:
            shown, first = seen, seen[:1]
        wanted, states = model.predict(shown, states, starts, deterministic=True)
        cars.reset(starts)
        if starts[0]:
            entry.reset()
        answers = cars(seen)
        given.append(wanted)
        assert np.allclose(answers, wanted, atol=1e-5)
        assert np.allclose(entry(first), wanted[:1], atol=1e-4)
        starts = np.zeros(4, dtype=bool)
        starts[0] = step == 5
        env.step_async(np.array([env.action_space.sample() for _ in range(4)]))
        env.step_wait()
    env.close()
    assert np.ptp(given, axis=(0, 1)).max() > 1e-3, "it must depend on what is seen"


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm", [pytest.param("sac", marks=pytest.mark.ci), "tqc", "qrdqn", "recurrent_ppo"]
)
def test_a_run_is_exported_raced_and_described(folders, tmp_path, algorithm):
    folder = folders(algorithm)
    path = racer.export(folder, tmp_path / "mine.entry.zip")
    manifest = read_entry(path).manifest
    layout = config(algorithm).actor_layout
    assert (manifest.hidden_state_size or 0) == layout.hidden_state_size
    result = racer.drive(path, track="oval", laps=1)
    assert np.isfinite(result.actions).all()
    main(["card", str(folder), "--episodes", "1", "--out", str(tmp_path / "card.md")])
    main(["analyze", str(folder), "--out", str(tmp_path)])
    card = (tmp_path / "card.md").read_text()
    assert f"| `algorithm` | `{algorithm}` |" in card
    assert f"| `{algorithm}.gamma` | `0.99` |" in card
    assert "ppo.clip_range" not in card or algorithm == "recurrent_ppo"
    assert (tmp_path / "report.html").stat().st_size > 1000


def test_a_model_of_the_algorithm_predicts_as_the_entry_and_learns_on(folders):
    run = Run.open(folders("sac"))
    model = racer.to_sb3(run)
    assert isinstance(model, OffPolicyAlgorithm)
    assert type(model).__name__ == "SAC"
    assert (model.buffer_size, model.batch_size) == (96, 16)
    assert model.replay_buffer is not None
    assert model.replay_buffer.size() == 0
    policy = TorchPolicy(load_checkpoint_policy(run).network.actor(), torch.device("cpu"))
    seen = np.linspace(-1, 1, 26, dtype=np.float32)[None]
    assert np.allclose(model.predict(seen, deterministic=True)[0], policy(seen), atol=1e-6)


@pytest.mark.slow
def test_an_lstm_is_not_quantized(folders, tmp_path):
    with pytest.raises(RunError, match="the LSTM of recurrent_ppo cannot be quantized to int8"):
        racer.export(folders("recurrent_ppo"), tmp_path / "small.entry.zip", int8=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["sac", "tqc", "qrdqn"])
def test_a_policy_of_a_replay_buffer_is_quantized(folders, tmp_path, algorithm):
    path = racer.export(folders(algorithm), tmp_path / "small.entry.zip", int8=True)
    assert read_entry(path).manifest.quantization == "int8"
    assert np.isfinite(racer.drive(path, track="oval", laps=1).actions).all()


# What is resumed


def cut(run: RunConfig, folder: Path, steps: int) -> Path:
    """A run that a signal ends after so many steps."""
    step = SaveCallback._on_step

    def until(self):
        self.is_stopping = self.is_stopping or self.num_timesteps >= steps
        return step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveCallback, "_on_step", until)
        assert run_training(run, folder, QUIET).ended == "stopped"
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", NEW)
def test_a_stopped_run_of_any_algorithm_goes_on_to_the_same_bytes(folders, tmp_path, algorithm):
    whole = folders(algorithm)
    folder = cut(config(algorithm), tmp_path / "run", 3 * CHUNK + 8)
    before = torch.get_rng_state()
    torch.manual_seed(99)
    assert resume_training(folder, QUIET).is_finished
    torch.set_rng_state(before)
    assert_same_run(folder, whole, 4 * CHUNK)
    first, last = (weights_after(whole, n * CHUNK) for n in (2, 4))
    assert any(not torch.equal(first[name], last[name]) for name in last), "it must learn"


@pytest.mark.slow
def test_only_a_checkpoint_that_a_run_is_resumed_from_has_the_replay_buffer(tmp_path):
    folder = cut(config("sac"), tmp_path / "run", 2 * CHUNK + 8)
    held = {
        one.steps: torch.load(Run.open(folder).checkpoints / one.file, weights_only=True)
        for one in Run.open(folder).saved.known()
    }
    buffers = {steps: state["replay_buffer"] for steps, state in held.items()}
    assert buffers[2 * CHUNK + 8] is None
    assert [len(buffers[n * CHUNK]["rewards"]) for n in (1, 2)] == [16, 24]
    assert [buffers[n * CHUNK]["full"] for n in (1, 2)] == [False, True]


@pytest.mark.parametrize("algorithm", ["sac", "qrdqn"])
def test_every_network_of_the_learner_scales_what_it_sees_the_same(tmp_path, algorithm):
    network = {"hidden": [8], "normalize_obs": True}
    run = config(algorithm, network=network, total_timesteps=CHUNK)
    held = weights_after(run_training(run, tmp_path / "run", QUIET).run.folder, CHUNK)
    for name in ("mean", "var", "count"):
        copies = [value for key, value in held.items() if key.endswith(f".{name}")]
        assert len(copies) == (3 if algorithm == "sac" else 2)
        assert all(torch.equal(one, copies[0]) for one in copies)
    count = next(value for key, value in held.items() if key.endswith(".count"))
    assert count == CHUNK


@pytest.mark.parametrize(("first", "last", "beyond"), [(1e-3, 1e-4, 5e-5), (1e-4, 1e-3, 2e-3)])
def test_the_learning_rate_stays_near_its_final_value_beyond_the_total(first, last, beyond):
    rate = _schedule(PPOConfig(learning_rate=first, final_learning_rate=last))
    assert rate(1.0) == pytest.approx(first)
    assert rate(0.5) == pytest.approx(5.5e-4)
    assert rate(0.0) == last
    assert rate(-2047.0) == beyond

"""A training may begin with a run's or an entry's weights, and a run may be trained further."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces

import racer
from racer.assets.document import validate_document
from racer.cli import main
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import Ancestor, read_entry, save_entry
from racer.errors import ConfigError, RacerError, RunError
from racer.networks.policy_network import TorchPolicy, policy_parameters
from racer.training.callbacks.save import SaveCallback
from racer.training.checkpoint_choice import split_checkpoint
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.checkpoints import Checkpoints
from racer.training.config import RunConfig
from racer.training.learner import build_learner_without_env, deterministic_actor
from racer.training.parent import ParentPolicy, inherit_weights, load_parent
from racer.training.racers import racer_named, training_track
from racer.training.run_dir import Run
from racer.training.train import resume_training, run_training
from racer.training.training_report import write_report
from racer.training.vec_env import channels_first_space
from tests.helpers.entries import FIELDS
from tests.helpers.runs import (
    QUIET,
    TINY,
    assert_same_run,
    best_weights,
    config,
    no_figures,
    weights_after,
)

__all__ = ["no_figures"]

FIXTURES = Path(__file__).parents[1] / "fixtures/v1/entries"
CAMERA = {"kind": "camera", "width": 60, "height": 50}
CONVOLUTIONS = [f"features_extractor.parts.camera.{k}" for k in (0, 2)]
SMALL_PPO = {"n_steps": 64, "batch_size": 128, "n_epochs": 2}
NETWORK = {"filters": [[4, 8, 4], [4, 4, 2]], "features": [16], "hidden": [8]}


def tiny(**changes):
    """Return `TINY` with a constant learning rate and scaled observations, and other values."""
    ppo = {"n_steps": 32, "batch_size": 64, "n_epochs": 2}
    return config(
        **TINY | {"ppo": ppo, "network": {"hidden": [16], "normalize_obs": True}} | changes
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("parent") / "first"
    run_training(tiny(), folder, QUIET)
    return folder


@pytest.fixture(scope="module")
def entry(first) -> Path:
    """The entry of the finished run."""
    return racer.export(first, first.parent / "first.entry.zip", "swift")


@pytest.fixture(scope="module")
def second(first) -> Run:
    """A clone of the finished run without any change."""
    return racer.train(from_=first, folder=first.parent / "second")


@pytest.fixture
def no_export(entry, monkeypatch):
    """Every checkpoint has the graph of the entry: torch's exporter takes seconds."""
    graph = read_entry(entry).policy
    monkeypatch.setattr("racer.training.export.actor_to_onnx", lambda *words: graph)


@pytest.fixture
def observations() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (50, 26)).astype(np.float32)


def learner(chosen, seed=1):
    """Return a learner with new weights, and the policy that it is to another training."""
    boxes = {one.name: one.space for one in chosen.sensor}
    space = spaces.Dict(boxes) if len(boxes) > 1 else chosen.sensor[0].space
    model = build_learner_without_env(
        chosen.model_copy(update={"seed": seed}),
        channels_first_space(space),
        chosen.actions.space(),
    )
    weights = {name: one.clone() for name, one in model.policy.state_dict().items()}
    return model, ParentPolicy(
        "it",
        weights,
        chosen.sensor,
        chosen.actions,
        getattr(chosen.hyperparameters, "log_std_init", None),
        (),
        has_batch_norms=True,
        algorithm=chosen.algorithm,
        parameters=policy_parameters(chosen.network.layers, chosen.actor_layout),
    )


def inherited(parent, chosen):
    """Return what a training with another config says and has after it took over weights."""
    model, _ = learner(chosen, seed=2)
    return inherit_weights(model.policy, parent, chosen), model.policy.state_dict()


def test_a_clone_begins_with_exactly_its_parent_s_weights_and_actions(first, second, observations):
    held, mine = best_weights(Run.open(first)), weights_after(second.folder, 0)
    assert all(torch.equal(held[name], mine[name]) for name in (*held, *mine))
    before = load_checkpoint_policy(Run.open(first))
    after = load_checkpoint_policy(second, "step-0.pt")
    cpu = torch.device("cpu")
    wanted = TorchPolicy(before.network.actor(), cpu)(observations)
    assert np.array_equal(TorchPolicy(after.network.actor(), cpu)(observations), wanted)
    assert np.abs(wanted).max() > 1e-6


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [("continuous", "ppo", "sac"), ("continuous", "tqc", "ppo"), ("discrete", "ppo", "qrdqn")],
)
def test_another_algorithm_takes_over_the_layers_that_act_but_the_last_one(kind, theirs, ours):
    of = {"sensor": "state", "actions": {"kind": kind}, "network": {"hidden": [16]}}
    configs = [
        validate_document(of | {"algorithm": name, "device": "cpu"}, RunConfig, "test")
        for name in (theirs, ours)
    ]
    _, parent = learner(configs[0])
    said, weights = inherited(parent, configs[1])
    own = policy_parameters(configs[1].network.layers, configs[1].actor_layout)
    (last,) = [prefix for prefix, place in own.items() if place == "action_net."]
    assert f"{last}" in f"{said[1]}.".replace(" (", ". (")
    assert f"(algorithm {ours} instead of {theirs})" in said[1]
    of_head = {place: prefix for prefix, place in own.items()}["mlp_extractor.policy_net."]
    in_head = {place: prefix for prefix, place in parent.parameters.items()}[
        "mlp_extractor.policy_net."
    ]
    held = parent.weights[f"{in_head}0.weight"]
    assert held.shape == (16, 26)
    assert torch.equal(weights[f"{of_head}0.weight"], held)


def test_a_clone_counts_its_own_steps_and_begins_with_a_new_optimizer(first, second):
    state = torch.load(second.checkpoints / "step-0.pt", weights_only=True)
    assert (state["steps"], state["updates"], state["optimizers"]["policy.optimizer"]["state"]) == (
        0,
        0,
        {},
    )
    assert [one["steps"] for one in second.records("evaluations")] == [128, 256]
    assert second.config().total_timesteps == 256


def test_a_clone_names_its_parents_with_steps_and_hashes(first, second, no_export, tmp_path):
    best = Run.open(first).best()
    held = {one.file: one for one in Run.open(first).saved.known()}[best.name]
    parent = Ancestor(kind="run", name="first", steps=held.steps, sha256=held.sha256)
    assert second.lineage() == (parent,)
    assert load_parent(str(second.folder)).lineage[1:] == (parent,)
    assert "begins with the weights of" in (second.folder / "log.txt").read_text()
    path = racer.export(second, tmp_path / "second.entry.zip")
    assert read_entry(path).manifest.trained_on.lineage == (parent,)
    further = load_parent(str(path)).lineage
    assert [(one.kind, one.name) for one in further] == [("entry", "second"), ("run", "first")]


def test_an_entry_of_a_run_without_a_parent_says_nothing_of_parents(entry):
    assert b"lineage" not in entry.read_bytes()


def test_an_interrupted_clone_goes_on_as_if_it_had_not_been(first, second, tmp_path, monkeypatch):
    step = SaveCallback._on_step

    def until(self):
        self.is_stopping = self.is_stopping or self.num_timesteps >= 40
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(SaveCallback, "_on_step", until)
        cut = racer.train(from_=first, folder=tmp_path / "cut")
    assert cut.story()["ended"] == "stopped"
    assert racer.resume(cut).lineage() == second.lineage()
    assert_same_run(cut.folder, second.folder, 256)


def test_a_clone_without_its_first_weights_is_not_resumed_with_others(second, tmp_path):
    folder = shutil.copytree(second.folder, tmp_path / "cut")
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints.json").unlink()
    with pytest.raises(RunError, match="before it had the weights of its parent"):
        racer.resume(folder)


def test_another_list_of_actions_keeps_every_layer_but_the_last():
    before = config(sensor=CAMERA, network=NETWORK, actions="discrete")
    _, parent = learner(before)
    two = {"kind": "discrete", "choices": [[-20, 1], [20, 1]]}
    said, mine = inherited(parent, config(sensor=CAMERA, network=NETWORK, actions=two))
    other = {
        name
        for name, one in parent.weights.items()
        if mine[name].shape != one.shape or not torch.equal(mine[name], one)
    }
    assert other == {"action_net.weight", "action_net.bias"}
    assert said[1] == "new layers: action_net (2x8 instead of 10x8)"


def test_continuous_actions_take_nothing_from_the_layer_of_discrete_ones():
    two = {"kind": "discrete", "choices": [[-20, 1], [20, 1]]}
    _, parent = learner(config(actions=two))
    said, mine = inherited(parent, config())
    assert mine["action_net.weight"].shape == parent.weights["action_net.weight"].shape
    assert not torch.equal(mine["action_net.weight"], parent.weights["action_net.weight"])
    assert "action_net (continuous actions instead of discrete); " in f"{said[1]}; "
    assert "log_std (the parent has none)" in said[1]


def test_other_actions_of_the_same_number_keep_their_layer_and_it_is_said():
    _, parent = learner(config(actions="discrete"))
    fast = [[steering, 2 * speed] for steering, speed in config(actions="discrete").actions.choices]
    said, mine = inherited(parent, config(actions={"kind": "discrete", "choices": fast}))
    assert all(torch.equal(mine[name], one) for name, one in parent.weights.items())
    assert said[1:] == ["the action layer is kept, but its outputs now stand for other actions"]


def test_another_size_of_the_frame_makes_only_the_first_dense_layer_new():
    _, parent = learner(config(sensor=CAMERA, network=NETWORK))
    wide = CAMERA | {"width": 80}
    said, mine = inherited(parent, config(sensor=wide, network=NETWORK))
    assert said[1:] == [
        "new layers: features_extractor.parts.observation.5 (16x128 instead of 16x96)"
    ]
    kept = [name for name in mine if ".5." not in name]
    assert all(torch.equal(mine[name], parent.weights[name]) for name in kept)


def test_a_sensor_keeps_its_layers_beside_another_and_gives_none_to_another_kind():
    network = NETWORK | {"mlp": [16]}
    _, alone = learner(config(sensor=CAMERA, network=network))
    both = config(sensor=[CAMERA, "state"], network=network)
    said, mine = inherited(alone, both)
    for k in (0, 2, 5):
        theirs = alone.weights[f"features_extractor.parts.observation.{k}.weight"]
        assert torch.equal(mine[f"features_extractor.parts.camera.{k}.weight"], theirs)
    assert "features_extractor.parts.state.1 (the parent has none)" in said[1]
    _, parent = learner(config(network=network))
    lidar = config(sensor={"kind": "lidar", "beams": 26}, network=network)
    said, mine = inherited(parent, lidar)
    name = "features_extractor.parts.observation.1.weight"
    assert mine[name].shape == parent.weights[name].shape
    assert not torch.equal(mine[name], parent.weights[name])


def test_another_initial_deviation_of_the_actions_is_taken():
    _, parent = learner(config())
    parent.weights["log_std"].fill_(-2.0)  # as after a training
    assert torch.all(inherited(parent, config())[1]["log_std"] == -2.0)
    said, mine = inherited(parent, config(ppo=SMALL_PPO | {"log_std_init": -0.3}))
    assert torch.all(mine["log_std"] == -0.3)
    assert said[1] == "new layers: log_std (ppo.log_std_init -0.3 instead of -0.7)"


def test_a_policy_of_which_nothing_fits_is_refused(entry, tmp_path):
    _, parent = learner(config())
    with pytest.raises(RunError, match="no layer of its policy fits"):
        inherited(parent, config(sensor=CAMERA, network=NETWORK | {"hidden": [9]}))
    folder = tmp_path / "run"
    with pytest.raises(RunError, match="no layer of its policy fits"):
        racer.train(tiny(network={"hidden": [17]}, actions="discrete"), folder, from_=entry)
    assert not folder.exists()


def test_an_entry_gives_its_policy_and_the_critic_is_new(entry, first, observations):
    parent, chosen = load_parent(str(entry)), tiny()
    model, _ = learner(chosen)
    said = inherit_weights(model.policy, parent, chosen)
    model.policy.set_training_mode(False)
    mine = TorchPolicy(deterministic_actor(chosen, model), torch.device("cpu"))
    policy = OnnxPolicy(read_entry(entry))
    wanted = np.concatenate([policy(one[None]) for one in observations])
    assert np.allclose(mine(observations), wanted, atol=1e-6)
    for layer in ("log_std", "mlp_extractor.value_net.0", "value_net"):
        assert f"{layer} (the parent has none)" in said[1]
    assert "policy_net" not in said[1] and "features_extractor" not in said[1]
    held, got = best_weights(Run.open(first)), model.policy.state_dict()
    for name in held:
        if "features_extractor" in name:
            assert np.allclose(got[name], held[name], rtol=1e-5), name


@pytest.mark.parametrize("name", ["state", "lidar", "camera"])
def test_every_weight_of_an_entry_finds_its_layer(name):
    parent = load_parent(str(FIXTURES / f"{name}.entry.zip"))
    parts = [part for part in parent.weights if part.endswith("weight")]
    assert parts and all(torch.is_tensor(parent.weights[part]) for part in parts)
    assert {"action_net.weight", "action_net.bias"} <= set(parent.weights)


def test_what_cannot_be_a_parent_is_said_in_a_sentence(subtests, first, entry, tmp_path):
    foreign = tmp_path / "foreign.entry.zip"
    save_entry(foreign, b"no graph", **FIELDS)
    empty = tmp_path / "empty"
    empty.mkdir()
    young = tmp_path / "young"
    young.mkdir()
    shutil.copy(first / "config.yaml", young)
    (young / "checkpoints").mkdir()
    stranger = shutil.copytree(first, tmp_path / "stranger")
    shutil.copy(stranger / "checkpoints/step-256.pt", stranger / "checkpoints/step-999.pt")
    (stranger / "checkpoints/step-128.pt").write_bytes(b"half")
    for parent, said in [
        ("runs/none", "--from runs/none: no such run or entry"),
        (empty, "holds no run: it has no config.yaml"),
        (young, "has no checkpoint yet"),
        (f"{first}@7", "no checkpoint after 7 steps; it has 128, 256"),
        (f"{stranger}@999", "no checkpoint after 999 steps; it has 128, 256"),
        (f"{stranger}@128", "cut short or altered"),
        (first / "checkpoints/step-256.pt", "name the run and the steps"),
        (f"{entry}@256", "an entry holds one policy; leave out @256"),
        (FIXTURES / "state-int8.entry.zip", "rounded to int8"),
        (foreign, "cannot be read as an ONNX model"),
        (first / "config.yaml", "not a zip"),
    ]:
        with subtests.test(parent=str(parent)), pytest.raises(RacerError) as caught:
            load_parent(str(parent))
        assert said in str(caught.value)
    with pytest.raises(RunError, match="batch norms are merged"):
        network = {"batch_norm": True}
        inherited(load_parent(str(FIXTURES / "camera.entry.zip")), config(network=network))
    with pytest.raises(ConfigError, match="an entry holds no config; name a CONFIG"):
        racer.train(from_=entry)


def test_a_finished_run_that_is_trained_further_equals_a_longer_one(first, tmp_path):
    run_training(tiny(total_timesteps=512), tmp_path / "long", QUIET)
    folder = shutil.copytree(first, tmp_path / "run")
    assert resume_training(folder, QUIET, total_timesteps=512).steps == 512
    with pytest.raises(RunError, match="512 is no more than that"):  # typed again
        resume_training(folder, QUIET, total_timesteps=512)
    assert_same_run(folder, tmp_path / "long", 512)
    assert yaml.safe_load((folder / "config.yaml").read_text())["total_timesteps"] == 512
    long = Run.open(tmp_path / "long").written_config()
    assert Run.open(folder).written_config().digest == long.digest
    assert Run.open(folder).story()["extensions"] == [
        {"steps": 256, "old_total": 256, "new_total": 512}
    ]


def test_a_run_shows_what_it_began_with_and_when_it_was_trained_further(second, tmp_path, capsys):
    folder = shutil.copytree(second.folder, tmp_path / "third")
    resume_training(folder, QUIET, total_timesteps=384)
    capsys.readouterr()
    main(["runs", "show", str(folder)])
    said = capsys.readouterr().out
    (parent,) = second.lineage()
    assert f"began with the weights of the run first after {parent.steps} steps (SHA-256 " in said
    assert "trained further after 256 steps: 384 in all instead of 256" in said
    page = write_report(folder, tmp_path / "report").read_text()
    assert "began with the weights of the run first" in page


def test_a_decreasing_learning_rate_ends_at_the_new_total(first, tmp_path):
    folder = tmp_path / "run"
    ppo = SMALL_PPO | {"n_steps": 32, "batch_size": 64, "learning_rate": 1e-3}
    run_training(tiny(ppo=ppo | {"final_learning_rate": 1e-4}), folder, QUIET)
    rates = []
    resume_training(
        folder,
        QUIET,
        total_timesteps=512,
        callback=lambda one: rates.append(rate_of(one.run, one.steps)),
    )
    assert rates == pytest.approx([1e-3 - 9e-4 * 384 / 512, 1e-4])


def rate_of(run: Run, steps: int) -> float:
    state = torch.load(run.checkpoints / f"step-{steps}.pt", weights_only=True)
    return state["optimizers"]["policy.optimizer"]["param_groups"][0]["lr"]


def test_a_total_that_is_already_trained_changes_nothing(first, capsys):
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    for words, said in [
        ("--steps 100", "100 is no more than that"),
        ("--total-timesteps 0", "command line: total_timesteps: "),
        ("--steps 900 --total-timesteps 800", "'steps' is the former name of 'total_timesteps'"),
        ("--total-timesteps 900 --minutes 1e-9", "set a longer total time with --minutes"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main(["train", "--resume", str(first), *words.split()])
        assert stop.value.code == 2
        assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_longer_minutes_stand_in_the_config_of_the_run(first, tmp_path):
    folder = shutil.copytree(first, tmp_path / "run")
    resume_training(folder, QUIET, total_timesteps=384, minutes=90.0)
    assert yaml.safe_load((folder / "config.yaml").read_text())["minutes"] == 90.0


def test_a_clone_is_trained_with_the_parent_s_config_and_the_options(
    first, entry, capsys, monkeypatch
):
    begun = []
    monkeypatch.setattr("racer.cli.train._train", lambda *words: begun.append(words))
    main(["train", "--track", "oval", "mine.yaml", "--from", str(first), "--sensor.0.stack", "2"])
    chosen, *_, parent, name = begun[-1]
    assert (chosen.track, chosen.sensor[0].stack) == (("oval", "mine.yaml"), 2)
    assert (parent, name) == (str(first), "run")
    assert chosen.network == tiny().network
    main(["train", "state", f"--from={first}@128", "--seed", "3"])
    chosen, *_, parent, name = begun[-1]
    assert (chosen.seed, parent, name) == (3, f"{first}@128", "state")
    for words, said in [
        (["--from", str(entry)], "an entry holds no config"),
        (["--resume", str(first), "--from", str(first)], "without --from"),
    ]:
        with pytest.raises(SystemExit):
            main(["train", *words])
        assert said in capsys.readouterr().err


def test_a_path_and_a_checkpoint_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a@7").mkdir()
    for text, wanted in [
        ("runs/first", (Path("runs/first"), None)),
        ("runs/first@best", (Path("runs/first"), "best")),
        ("runs/first@last", (Path("runs/first"), "last")),
        ("runs/first@40_960", (Path("runs/first"), 40960)),
        ("runs/me@home", (Path("runs/me@home"), None)),
        ("a@7", (Path("a@7"), None)),
        ("a@7@8", (Path("a@7"), 8)),
        ("@8", (Path("@8"), None)),
    ]:
        assert split_checkpoint(text) == wanted


def test_a_run_races_as_its_export_does(first, entry):
    assert racer.drive(first, "oval", laps=1).as_dict() == racer.drive(entry, "oval", 1).as_dict()


def test_the_checkpoint_that_races_is_chosen(first, entry, no_export, capsys):
    for word, option, steps in [
        (f"{first}@128", None, 128),
        (f"{first}@128", "last", 128),
        (str(first), 128, 128),
        (str(first), "last", 256),
    ]:
        package = racer_named(word, option)
        assert not isinstance(package, str)
        assert package.manifest.trained_on.steps == steps
    main(["race", str(first), "--checkpoint", "128", "--laps", "1"])
    assert capsys.readouterr().out.startswith("first-128 on bowtie: ")
    assert training_track(f"{first}@128", "") == "bowtie"
    with pytest.raises(ConfigError, match="an entry holds one policy"):
        racer_named(f"{entry}@128")


def test_another_checkpoint_is_exported_under_a_name_of_its_own(
    first, no_export, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    main(["export", str(first), "--checkpoint", "128"])
    racer.export(first, checkpoint="last")
    found = {path.name: read_entry(path).manifest for path in tmp_path.iterdir()}
    assert {name: one.trained_on.steps for name, one in found.items()} == {
        "first-128.entry.zip": 128,
        "first-last.entry.zip": 256,
    }
    assert found["first-128.entry.zip"].name == "first-128"


def test_all_checkpoints_are_kept_on_request(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.folder.mkdir()
    every = config(evaluation={"keep": "all"}).evaluation.kept_count
    for steps in range(1, 9):
        kept.save(b"%d" % steps, steps, steps != 4, "step-1.pt", every)
    assert [one.steps for one in kept.known()] == list(range(1, 9))
    assert config(evaluation={"keep": 5000}).evaluation.kept_count == 5000
    with pytest.raises(ConfigError, match="keep"):
        config(evaluation={"keep": 1})

"""A clone is a run like any other: it is evaluated, raced, exported, and trained further."""

import json

import pytest

import racer
from racer import cli
from racer.errors import TrackError
from racer.imitation.cloning import CLONE_LOG_STD, CloneOptions, config_of_clone, run_cloning
from racer.training.run_dir import Run
from racer.training.run_history import summarize_run
from racer.training.train import resume_training
from tests.helpers.boards import package
from tests.helpers.runs import QUIET, config, no_figures, weights_after

_ = no_figures
RULES = {"eval_freq": 512, "laps": 1, "time_limit": 20.0, "video_freq": 0}
CONFIG = config(
    reward="progress",
    track="oval",
    total_timesteps=1024,
    network={"hidden": (32,)},
    evaluation=RULES,
)


@pytest.fixture(scope="module")
def cloned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloned") / "clone"
    options = CloneOptions(laps=12, rounds=2, epochs=10)
    run_cloning("pure-pursuit", CONFIG, folder, options, QUIET, name="state")
    return Run.open(folder)


def test_a_clone_of_a_controller_drives_a_lap(cloned):
    (evaluation,) = cloned.records("evaluations")
    assert (evaluation["steps"], evaluation["laps_completed"]) == (0, 1)
    assert cloned.best().name == "step-0.pt"


def test_a_clone_s_folder_tells_whom_it_imitates_and_how_well(cloned):
    story = cloned.story()
    assert story["ended"] == "pretrained"
    assert (story["pretrained"]["driver"], story["pretrained"]["rounds"]) == ("pure-pursuit", 2)
    assert story["pretrained"]["pairs"] > 1000
    lines = (cloned.folder / "log.txt").read_text().splitlines()
    assert "round 1: pure-pursuit drove" in lines[0]
    assert "round 2: the clone drove" in lines[1]
    assert summarize_run(cloned)["is_resumable"]


def test_a_clone_s_config_explores_with_little_noise(cloned):
    ppo = cloned.config().ppo
    assert ppo.log_std_init == CLONE_LOG_STD
    assert ppo.n_steps == CONFIG.ppo.n_steps, "driving the demonstrations needs another rollout"


@pytest.mark.slow
def test_a_clone_is_trained_further_from_its_own_weights(cloned, tmp_path):
    import shutil

    folder = shutil.copytree(cloned.folder, tmp_path / "further")
    before = weights_after(folder, 0)
    result = resume_training(folder, QUIET)
    assert result.is_finished
    after = Run.open(folder)
    assert [one["steps"] for one in after.records("evaluations")] == [0, 512, 1024]
    assert after.story()["pretrained"]["driver"] == "pure-pursuit"
    change = weights_after(folder, 1024)["action_net.weight"] - before["action_net.weight"]
    # One update; new weights would differ by as much as the weights themselves.
    assert 0 < change.abs().max() < 0.3 * before["action_net.weight"].abs().max()


@pytest.mark.slow
def test_a_clone_is_exported_and_raced(cloned, tmp_path):
    entry = racer.export(cloned, tmp_path / "clone.entry.zip")
    result = racer.drive(entry, track="oval", laps=1)
    assert result.laps_completed == 1


def test_an_entry_is_cloned_with_its_own_sensors_where_no_config_is_named(tmp_path):
    path = package(tmp_path / "swift.entry.zip")
    with pytest.raises(TrackError, match="has no such name"):
        # Its manifest names a track that only its author has.
        run_cloning(str(path), config_of_clone(str(path))[0], tmp_path / "run", console=QUIET)
    chosen, name = config_of_clone(str(path), changes={"track": ["oval"], "seed": 3})
    assert [one.kind for one in chosen.sensor] == ["state"]
    assert (chosen.actions.speed, chosen.seed, name) == ((1.0, 2.0), 3, "clone")


@pytest.mark.slow
def test_a_run_is_a_driver_too(cloned, tmp_path):
    driver = f"{cloned.folder}@0"
    chosen, _ = config_of_clone(driver, changes={"network": CONFIG.network, "reward": "progress"})
    assert (chosen.track, chosen.sensor) == (CONFIG.track, CONFIG.sensor)
    run_cloning(driver, chosen, tmp_path / "run", CloneOptions(1, rounds=1, epochs=1), QUIET)
    assert Run.open(tmp_path / "run").story()["pretrained"]["driver"] == driver


@pytest.mark.slow
def test_what_cannot_be_cloned_is_told_in_a_sentence_and_leaves_no_folder(
    tmp_path, capsys, monkeypatch, subtests
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "board"))
    package(tmp_path / "swift.entry.zip", car="f1tenth")
    (tmp_path / "slow.yaml").write_text(
        "track: oval\nsensor: state\nactions: {kind: discrete, choices: [[-30, 1], [-29, 1]]}\n"
    )
    for words, said in (
        ("nobody", "no driver 'nobody'; known: pure-pursuit, raceline, an entry's file"),
        ("raceline", "raceline has no sensors of its own: add --config"),
        ("board:7 --config state", "no submission 7"),
        ("swift.entry.zip --config state", "set car: f1tenth in the config"),
        ("raceline --config state --rounds 0", "rounds: 0; it must be 1 or more"),
        ("raceline --config state --out .", "--out . is the current folder"),
        ("pure-pursuit --config slow.yaml --laps 1 --rounds 1", "completed 0 laps"),
    ):
        with subtests.test(words=words):
            out = [] if "--out" in words else ["--out", "run"]
            with pytest.raises(SystemExit) as ended:
                cli.main(["clone-driver", *words.split(), *out])
            assert ended.value.code == 2
            assert said in capsys.readouterr().err
            assert not (tmp_path / "run").exists()


def test_the_command_prints_the_rounds_the_race_and_what_comes_next(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = json.dumps(CONFIG.model_dump(mode="json"))
    (tmp_path / "small.yaml").write_text(text)
    words = "clone-driver pure-pursuit --config small.yaml --out run --laps 2 --rounds 1 --epochs 1"
    cli.main([*words.split(), "--seed", "5", "--track", "hairpin"])
    out = capsys.readouterr().out
    assert "held out" in out
    assert "clone: " in out
    assert out.endswith("next: racer train --resume run\n")
    chosen = Run.open(tmp_path / "run").config()
    assert (chosen.seed, chosen.track) == (5, ("hairpin",))

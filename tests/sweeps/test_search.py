"""A sweep: trials are drawn, pruned, recorded, interrupted and run again."""

import io
import json
import shutil
import signal
import sys
import threading
from multiprocessing import Pipe
from typing import Any

import pytest
import yaml
from rich.console import Console

from racer.assets.document import read_document
from racer.cli import main
from racer.errors import ConfigError, RewardError, RunError
from racer.sweeps import Sweep, resume_sweep, run_sweep, search
from racer.sweeps.sweep import best_trial, trials_table
from racer.sweeps.trial import TrialMessage, receive, send
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from tests.helpers.commands import printed
from tests.helpers.runs import TINY, config, written_run

RACE = {"laps": 3, "laps_completed": 3, "best_lap_s": 7.0, "total_time_s": 21.0, "x_limit": 1.7}
RACE |= {"track": "bowtie"}


class Script(threading.Thread):
    """Answers for a trial's process: tells its evaluations until the search wants no more."""

    def __init__(self, values, end, connection):
        super().__init__(daemon=True)
        self.values, self.end, self.connection = values, end, connection
        self.signals = []

    def run(self):
        for step, value in enumerate(self.values):
            send(self.connection, vars(TrialMessage("evaluation", value, step)))
            if not receive(self.connection):
                self.end = TrialMessage("pruned", value, step, RACE)
                break
        if self.end:
            send(self.connection, vars(self.end))
        self.connection.close()

    def wait(self):
        self.join()
        return 1

    def kill(self):
        pass

    def send_signal(self, number):
        self.signals.append(number)


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """Play trials by a function of their number and values instead of training."""
    monkeypatch.chdir(tmp_path)
    template = written_run(tmp_path / "template").folder

    def begin(play):
        def start(sweep, trial, jobs):
            mine, theirs = Pipe()
            shutil.copytree(template, sweep.run_folders(trial.number)[0])
            values, end = play(trial.number, trial.params)
            thread: Any = Script(values, end, theirs)
            thread.start()
            return search._Process(trial, thread, mine)

        monkeypatch.setattr(search, "_start", start)

    return begin


def completes(value):
    return [value], TrialMessage("complete", value, 1, RACE)


def quiet(told=None):
    return Console(file=told or io.StringIO(), width=300)


def swept(told=None, **options: Any):
    options = {"params": {"ppo.gamma": "0.9:0.99"}} | options
    return run_sweep(config(), console=quiet(told), **options)


@pytest.mark.slow
def test_the_best_trial_is_the_one_of_the_highest_value(scripted, tmp_path):
    scripted(lambda number, params: completes(3.0 - abs(params["ppo.gamma"] - 0.95)))
    sweep = swept(folder=tmp_path / "s", trials=4)
    trials = sweep.trials()
    assert [one.number for one in trials] == list(range(4))
    best = best_trial(trials)
    nearest = min(trials, key=lambda one: abs(one.params["ppo.gamma"] - 0.95))
    assert best == nearest
    text = (sweep.folder / "best.yaml").read_text()
    assert text.startswith(f"# Trial {nearest.number} of a sweep")


def test_the_best_config_can_be_trained_and_has_the_copy_of_the_reward(scripted, tmp_path):
    scripted(lambda number, params: completes(1.0))
    sweep = swept(folder=tmp_path / "s", trials=1)
    best = read_document(sweep.folder / "best.yaml", RunConfig)
    assert best.reward == str(sweep.folder / "trials" / "trial-000" / "reward.py")
    assert best.ppo == config().ppo


@pytest.mark.slow
def test_a_trial_below_the_median_is_pruned(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("racer.sweeps.sweep.STARTUP_PRUNING_TRIALS", 1)
    scripted(lambda number, params: ([2.0 if number < 2 else 1.0, 2.0], completes(2.0)[1]))
    sweep = swept(folder=tmp_path / "s", trials=3)
    assert [one.state for one in sweep.trials()] == ["complete", "complete", "pruned"]
    assert sweep.trials()[2].value == 1.0
    again = swept(folder=tmp_path / "t", trials=3, is_pruning=False)
    assert {one.state for one in again.trials()} == {"complete"}


def test_a_failed_trial_is_recorded_with_its_sentence_and_the_search_goes_on(scripted, tmp_path):
    def play(number, params):
        told = TrialMessage("failed", error="mine.py:3: ZeroDivisionError")
        return ([], told) if number == 0 else ([], None) if number == 1 else completes(1.0)

    scripted(play)
    told = io.StringIO()
    sweep = swept(told, folder=tmp_path / "s", trials=3)
    trials = sweep.trials()
    assert [one.state for one in trials] == ["failed", "failed", "complete"]
    assert trials[0].error == "mine.py:3: ZeroDivisionError"
    assert "its process ended with code 1; see" in trials[1].error
    assert "failed: mine.py:3: ZeroDivisionError" in told.getvalue()


@pytest.mark.slow
def test_values_that_contradict_each_other_fail_one_trial(tmp_path, monkeypatch, scripted):
    real = search._start
    scripted(lambda number, params: completes(1.0))
    play = search._start
    monkeypatch.setattr(
        search,
        "_start",
        lambda sweep, trial, jobs: (real if trial.params["ppo.n_steps"] == "2" else play)(
            sweep, trial, jobs
        ),
    )
    sweep = swept(folder=tmp_path / "s", params={"ppo.n_steps": "2,64"}, trials=2)
    failed, complete = sweep.trials()
    assert (failed.state, complete.state) == ("failed", "complete")
    assert "batch_size 128 is more than a rollout" in failed.error


def test_a_sweep_of_which_every_trial_fails_is_an_error(scripted, tmp_path):
    scripted(lambda number, params: ([], TrialMessage("failed", error="no road")))
    with pytest.raises(RunError, match="every trial failed; the first one: no road"):
        swept(folder=tmp_path / "s", trials=2)


@pytest.mark.slow
def test_few_combinations_are_each_trained_once(scripted, tmp_path):
    scripted(lambda number, params: completes(number))
    params = {"ppo.value_loss": "mse,huber", "ppo.n_epochs": "1:2"}
    sweep = swept(folder=tmp_path / "s", params=params, trials=40)
    found = [tuple(one.params.values()) for one in sweep.trials()]
    assert len(found) == len(set(found)) == 4


@pytest.mark.slow
def test_as_many_trials_as_jobs_are_under_way_at_once(scripted, tmp_path, monkeypatch):
    at_once, most = [], []
    scripted(lambda number, params: completes(1.0))
    play = search._start

    def start(*given):
        at_once.append(given[1].number)
        most.append(len(at_once))
        return play(*given)

    end = search._end
    monkeypatch.setattr(search, "_start", start)
    monkeypatch.setattr(
        search, "_end", lambda *given: (at_once.remove(given[2].number), end(*given))
    )
    swept(folder=tmp_path / "s", trials=5, jobs=3)
    assert max(most) == 3


def stop_at(number, params):
    """Let the third trial be stopped by a signal, as Ctrl-C in the search does."""
    if number != 2:
        return completes(1.0)
    signal.raise_signal(signal.SIGINT)
    return [], TrialMessage("stopped")


def test_a_stopped_search_loses_only_the_trials_under_way_which_are_run_again(scripted, tmp_path):
    scripted(stop_at)
    sweep = swept(folder=tmp_path / "s", trials=5)
    trials = sweep.trials()
    assert [one.state for one in trials] == ["complete", "complete", "interrupted"]
    scripted(lambda number, params: completes(2.0))
    resumed = resume_sweep(sweep.folder, console=quiet()).trials()
    assert [one.number for one in resumed] == [0, 1, 3, 4, 5]
    assert {one.state for one in resumed} == {"complete"}
    assert resumed[2].params == trials[2].params
    assert not (sweep.folder / "trials" / "trial-002").exists()


@pytest.mark.slow
def test_a_resumed_search_draws_other_values_than_before(scripted, tmp_path):
    scripted(lambda number, params: completes(1.0))
    sweep = swept(folder=tmp_path / "s", trials=2)
    trials = resume_sweep(sweep.folder, trials=4, console=quiet()).trials()
    assert len({one.params["ppo.gamma"] for one in trials}) == 4
    assert Sweep.open(sweep.folder).config.trials == 4


def test_a_finished_a_running_and_no_sweep_are_not_resumed(scripted, tmp_path):
    scripted(lambda number, params: completes(1.0))
    sweep = swept(folder=tmp_path / "s", trials=1)
    with pytest.raises(RunError, match=r"all 1 trials of .* are done; give a larger --trials"):
        resume_sweep(sweep.folder)
    with sweep.locked(), pytest.raises(RunError, match="another process runs this sweep"):
        resume_sweep(sweep.folder, trials=2)
    with pytest.raises(RunError, match="holds no sweep"):
        resume_sweep(tmp_path)
    with pytest.raises(RunError, match="not an empty folder"):
        swept(folder=sweep.folder, trials=1)


def test_what_cannot_be_searched_is_refused_and_leaves_no_folder(tmp_path):
    with pytest.raises(ConfigError, match="trials"):
        swept(folder=tmp_path / "s", trials=0)
    with pytest.raises(ConfigError, match="seeds: a seed is given twice"):
        swept(folder=tmp_path / "s", seeds=(1, 1))
    with pytest.raises(RewardError, match="nope"):
        swept(folder=tmp_path / "s", params={"reward": "progress,nope"})
    with pytest.raises(RunError, match="--jobs 0: must be 1-1024"):
        swept(folder=tmp_path / "s", jobs=0)
    with pytest.raises(ConfigError, match=r"did you mean 'ppo\.gamma'"):
        swept(folder=tmp_path / "s", params={"ppo.gama": "0.9:0.99"})
    assert not (tmp_path / "s").exists()


def test_without_optuna_the_extra_is_named_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SystemExit):
        main(["sweep", "state", "--param", "ppo.gamma=0.9:0.99", "--folder", "s"])
    assert "optuna is not installed; pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_is_shown_after_its_rewards_file_is_gone(scripted, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def reward_function(params):\n    return 1.0\n")
    scripted(lambda number, params: completes(1.0))
    sweep = swept(folder=tmp_path / "s", params={"reward": "progress,mine.py"}, trials=2)
    file.unlink()
    found = {one.params["reward"] for one in Sweep.open(sweep.folder).trials()}
    assert found == {"progress", str(file)}


def test_the_table_and_the_json_have_the_best_first_and_every_trial(scripted, tmp_path, capsys):
    scripted(lambda number, params: completes([1.0, 3.0, 2.0][number]))
    sweep = swept(folder=tmp_path / "s", trials=3)
    table = io.StringIO()
    quiet(table).print(trials_table(sweep, sweep.trials()))
    rows = table.getvalue().splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["1", "2", "0"]
    found = printed(capsys, "sweep", "show", sweep.folder, "--json")
    assert [one["value"] for one in found] == [1.0, 3.0, 2.0]
    main(["sweep", "show", str(sweep.folder)])
    assert f"next: racer train {sweep.folder / 'best.yaml'}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_picture_has_a_panel_for_the_history_the_importance_and_each_parameter(
    scripted, tmp_path
):
    scripted(lambda number, params: completes(params["ppo.gamma"]))
    params = {"ppo.gamma": "0.9:0.99", "ppo.value_loss": "mse,huber"}
    sweep = swept(folder=tmp_path / "s", params=params, trials=5)
    importances = sweep.importances()
    assert importances["ppo.gamma"] > importances["ppo.value_loss"]
    panels = [axes for axes in sweep.plot().axes if axes.axison]
    assert [axes.get_xlabel() for axes in panels] == ["trial", "share", *params]


def test_options_that_belong_to_a_new_sweep_are_refused_on_resuming(capsys, tmp_path):
    for words in (["--param", "a=1,2"], ["--seed", "3"], ["--folder", "x"]):
        with pytest.raises(SystemExit):
            main(["sweep", "--resume", str(tmp_path), *words])
        assert f"leave out {words[0]}" in capsys.readouterr().err


@pytest.mark.slow(minutes=1)
def test_a_sweep_trains_runs_that_everything_reads_and_its_best_config_trains(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    (tmp_path / "bad.py").write_text("def reward_function(params):\n    return 1 / 0\n")
    words = ["sweep", "tiny.yaml", "--param", "reward=progress,bad.py", "--trials", "2"]
    main([*words, "--folder", "s", "--seeds", "3", "4", "--jobs", "2"])
    failed = [one for one in Sweep.open(tmp_path / "s").trials() if one.state == "failed"]
    assert len(failed) == 1
    assert "bad.py:2: ZeroDivisionError" in failed[0].error
    best = best_trial(Sweep.open(tmp_path / "s").trials())
    assert best
    assert [Run.open(folder).config().seed for folder in best.folders] == [3, 4]
    values = [json.loads((folder / "best.json").read_text()) for folder in best.folders]
    assert best.best["laps_completed"] == values[-1]["result"]["laps_completed"]
    main(["runs", "list", "--folder", "s/trials"])
    assert "finished" in capsys.readouterr().out
    assert (tmp_path / "s" / "sweep.png").is_file()
    main(["train", "s/best.yaml", "--run", "again"])
    assert Run.open(tmp_path / "again").config().seed == 3

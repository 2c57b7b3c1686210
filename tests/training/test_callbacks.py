"""What a caller's own callbacks are told of a training, and how they end it."""

import json
import math
import multiprocessing
import threading

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback

import racer
from racer.errors import ConfigError, RunError
from racer.training.callbacks import Evaluation
from racer.training.run_dir import Run
from racer.training.run_history import summarize_run
from racer.training.train import resume_training, run_training
from racer.training.trajectories import load_trajectory
from tests.helpers.runs import CHUNK, QUIET, chunked_config, no_figures

__all__ = ["no_figures"]


class Counting(BaseCallback):
    """Counts what Stable-Baselines3 calls; stops after so many steps."""

    def __init__(self, last: float = math.inf) -> None:
        super().__init__()
        self.last, self.rollouts, self.is_over = last, 0, False

    def _on_rollout_end(self) -> None:
        self.rollouts += 1

    def _on_step(self) -> bool:
        assert self.locals["rewards"].shape == (8,)
        return self.num_timesteps < self.last

    def _on_training_end(self) -> None:
        self.is_over = True


class Pruned(Exception):
    """As optuna.TrialPruned: no error of racer's."""


def test_functions_get_each_evaluation_and_stop_the_training_with_false(tmp_path):
    heard: list[Evaluation] = []
    counting = Counting()

    def stop(evaluation):
        return np.bool_(evaluation.steps < 2 * CHUNK)

    result = run_training(
        chunked_config(), tmp_path / "run", QUIET, callback=[heard.append, stop, counting]
    )
    run = Run.open(tmp_path / "run")
    assert [one.steps for one in heard] == [CHUNK, 2 * CHUNK]
    assert (counting.n_calls, counting.rollouts) == (2 * CHUNK // 8 + 1, 2 * CHUNK // 128)
    assert counting.is_over
    assert summarize_run(run)["state"] == result.ended == "stopped by callback"
    assert summarize_run(run)["is_resumable"]
    assert [one.is_whole for one in run.saved.known()] == [True, True]
    assert "stopped by callback after 512 steps" in (run.folder / "log.txt").read_text()

    records = run.records("evaluations")
    assert [one["steps"] for one in records] == [CHUNK, 2 * CHUNK]
    last = heard[-1]
    assert (last.run, last.total_steps) == (run, 4 * CHUNK)
    assert last.result.as_dict() == {key: records[-1][key] for key in last.result.as_dict()}
    assert last.mean_reward == pytest.approx(
        load_trajectory(run.line(2 * CHUNK))["reward"].sum(), rel=1e-5
    )
    assert 0.0 < last.progress < 100.0
    assert heard[0].is_best
    assert last.as_dict()["laps_completed"] == last.laps_completed == 0
    assert "best_lap_s" not in last.as_dict()
    json.dumps(last.as_dict(), allow_nan=False)


def test_a_function_that_returns_nothing_lets_the_training_go_on(tmp_path):
    heard = []
    run_training(
        chunked_config(total_timesteps=2 * CHUNK),
        tmp_path / "run",
        QUIET,
        callback=lambda one: heard.append(one),
    )
    assert Run.open(tmp_path / "run").story()["ended"] == "finished"
    assert len(heard) == 2


def test_false_at_the_last_evaluation_leaves_the_training_finished(tmp_path):
    run_training(
        chunked_config(total_timesteps=CHUNK), tmp_path / "run", QUIET, callback=lambda one: False
    )
    assert Run.open(tmp_path / "run").story()["ended"] == "finished"


def test_a_callback_of_stable_baselines3_stops_within_a_rollout_and_the_run_is_judged(tmp_path):
    steps = CHUNK + 40
    run_training(chunked_config(), tmp_path / "run", QUIET, callback=Counting(steps))
    run = Run.open(tmp_path / "run")
    assert run.story()["ended"] == "stopped by callback"
    assert [one["steps"] for one in run.records("evaluations")] == [CHUNK, steps]
    saved = [(one.steps, one.is_whole) for one in run.saved.known()]
    assert saved == [(CHUNK, True), (steps, False)]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("problem", [Pruned("at 512"), ConnectionResetError(104, "tracker")])
def test_what_a_callback_raises_is_passed_on_and_the_run_is_saved(tmp_path, workers, problem):
    def refuse(evaluation):
        if evaluation.steps == 2 * CHUNK:
            raise problem

    with pytest.raises(type(problem)) as caught:
        run_training(chunked_config(workers=workers), tmp_path / "run", QUIET, callback=refuse)
    assert caught.value is problem
    run = Run.open(tmp_path / "run")
    assert [(one.steps, one.is_whole) for one in run.saved.known()][-1] == (2 * CHUNK, True)
    assert run.story()["ended"] == "failed"
    assert run.story()["error"] == str(problem)
    assert not run.is_running()
    assert not multiprocessing.active_children()
    assert run.best().is_file()


@pytest.mark.parametrize("wrong", ["print", 7, Counting, [print, None]])
def test_what_is_no_callback_is_refused_before_training(tmp_path, wrong):
    with pytest.raises(ConfigError, match="allowed are a function of an evaluation"):
        run_training(chunked_config(), tmp_path / "run", QUIET, callback=wrong)
    assert not (tmp_path / "run").exists()


def test_a_training_in_a_thread_is_stopped_by_its_callback(tmp_path):
    stopped = []

    def learn():
        run = racer.train(chunked_config(), tmp_path / "run", callback=lambda one: False)
        stopped.append(run.story()["ended"])

    thread = threading.Thread(target=learn)
    thread.start()
    thread.join()
    assert stopped == ["stopped by callback"]


@pytest.mark.slow
def test_threads_train_export_and_race_side_by_side(tmp_path):
    driven = []

    def study(number):
        run = racer.train(
            chunked_config(seed=number), tmp_path / f"run-{number}", callback=lambda one: None
        )
        entry = racer.export(run, tmp_path / f"{number}.entry.zip")
        driven.append(racer.drive(entry, "bowtie", laps=1))

    threads = [threading.Thread(target=study, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(driven) == 3


def test_a_request_stops_a_training_which_is_resumed_as_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr("racer.training.callbacks.save.STOP_CHECK_S", 0.0)

    def stop(evaluation):
        evaluation.run.request_stop()

    result = run_training(chunked_config(), tmp_path / "run", QUIET, callback=stop)
    assert result.ended == "stopped"
    assert not result.run.is_stop_requested()
    (result.run.folder / "stop").touch()  # as a killed process leaves it
    done = resume_training(result.run.folder, QUIET)
    assert done.is_finished


def test_a_run_that_is_not_trained_cannot_be_stopped(tmp_path):
    result = run_training(
        chunked_config(total_timesteps=CHUNK), tmp_path / "run", QUIET, callback=lambda one: None
    )
    with pytest.raises(RunError, match="no process trains this run"):
        result.run.request_stop()
    assert not result.run.is_stop_requested()

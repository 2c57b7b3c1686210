"""The code in docs/experiment-tracking.md runs.

Trackers are no dependencies of racer. What stands in for one refuses a call that the real one's
signature does not allow; where the real one is installed, the signatures below are compared to it.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import racer
from racer.training.callbacks.log import LogCallback
from racer.training.run_dir import Run

PAGE = Path(__file__).parents[1] / "docs/experiment-tracking.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SHORT = {
    "num_envs": 8,
    "total_timesteps": 512,
    "network": {"hidden": (16,)},
    "evaluation": {"eval_freq": 256, "laps": 1, "time_limit": 1.0, "video_freq": 0},
}
LITTLE = {"n_steps": 16, "batch_size": 64, "n_epochs": 1}
SIGNATURES = {
    "wandb.init": "*, project=None, config=None, sync_tensorboard=None",
    "wandb.Run.log_artifact": "artifact_or_path, name=None, type=None",
    "mlflow.start_run": "*, run_name=None",
    "mlflow.log_params": "params",
    "mlflow.log_metrics": "metrics, step=None",
    "mlflow.log_artifact": "local_path",
    "optuna.create_study": "*, direction=None, pruner=None",
    "optuna.Study.optimize": "func, n_trials=None",
    "optuna.Trial.suggest_float": "name, low, high, *, step=None, log=False",
    "optuna.Trial.report": "value, step",
    "optuna.Trial.should_prune": "",
    "optuna.pruners.MedianPruner": "",
}
"""Of Weights & Biases 0.31, MLflow 3.17 and Optuna 5.0, as far as the page uses them."""
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def signature(name: str) -> inspect.Signature:
    """The signature that a stand-in has."""
    return inspect.signature(eval(f"lambda {SIGNATURES[name]}: None"))


def test_a_stand_in_takes_what_the_tracker_takes(subtests):
    for name in SIGNATURES:
        with subtests.test(name=name):
            module, *path = name.split(".")
            real: Any = pytest.importorskip(module)
            for part in path:
                real = getattr(real, part)
            theirs = [
                one for one in inspect.signature(real).parameters.values() if one.name != "self"
            ]
            ours = signature(name).parameters.values()
            order = [one.name for one in theirs if one.kind in POSITIONAL]
            first = [one.name for one in ours if one.kind in POSITIONAL]
            assert order[: len(first)] == first
            assert {one.name for one in ours} <= {one.name for one in theirs}


@pytest.fixture
def told(monkeypatch):
    """Puts the stand-ins in place; what they were told, by name, call by call."""
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in SIGNATURES}

    def stand_in(name: str, answer: Callable[..., Any] = lambda **given: None) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature(name).bind(*args, **kwargs)
            told[name].append(dict(bound.arguments))
            bound.apply_defaults()
            return answer(**bound.arguments)

        return call

    class Pruned(Exception):
        pass

    def optimize(func, n_trials):
        assert n_trials > 5, "MedianPruner lets the first five end"
        for number in range(3):
            trial = SimpleNamespace(
                suggest_float=stand_in("optuna.Trial.suggest_float", lambda low, **given: low),
                report=stand_in("optuna.Trial.report"),
                should_prune=stand_in("optuna.Trial.should_prune", lambda k=number: k == 1),
            )
            try:
                values.append(func(trial))
            except Pruned:
                values.append(None)

    values: list[float | None] = []
    run = SimpleNamespace(log_artifact=stand_in("wandb.Run.log_artifact"))
    study = SimpleNamespace(optimize=stand_in("optuna.Study.optimize", optimize), best_params={})
    modules = {
        "wandb": {"init": stand_in("wandb.init", lambda **given: nullcontext(run))},
        "mlflow": {
            "start_run": stand_in("mlflow.start_run", lambda **given: nullcontext()),
            **{
                name: stand_in(f"mlflow.{name}")
                for name in ("log_params", "log_metrics", "log_artifact")
            },
        },
        "optuna": {
            "create_study": stand_in("optuna.create_study", lambda **given: study),
            "pruners": SimpleNamespace(MedianPruner=stand_in("optuna.pruners.MedianPruner")),
            "TrialPruned": Pruned,
        },
    }
    for name, attributes in modules.items():
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**attributes))
    return SimpleNamespace(calls=told, values=values)


@pytest.fixture
def execute(monkeypatch, tmp_path):
    """Runs a block of the page by a word in it, with the same trainings, but short."""
    train = racer.train

    def short(config, folder=None, *, callback=None, **changes):
        ppo = changes.pop("ppo", {}) | LITTLE
        return train(config, folder, callback=callback, **changes | SHORT | {"ppo": ppo})

    monkeypatch.setattr(racer, "train", short)
    monkeypatch.setattr(LogCallback, "_record_pictures", lambda self, result, track: None)
    monkeypatch.chdir(tmp_path)

    def run(word: str) -> dict[str, Any]:
        (block,) = (one for one in BLOCKS if word in one)
        exec(block, scope := {})
        return scope

    return run


def test_every_block_is_run_by_a_test_below():
    words = ("until_clean", "Spread", "wandb", "mlflow", "optuna")
    assert [sum(word in block for block in BLOCKS) for word in words] == [1] * len(BLOCKS)


def test_the_example_of_a_function_prints_each_evaluation(execute, capsys):
    run = execute("until_clean")["run"]
    assert run.story()["ended"] == "finished"
    assert re.search(r"^256 \{'progress': [\d.]+, 'mean_reward': ", capsys.readouterr().out, re.M)


def test_the_example_of_stable_baselines3_s_callback_records_its_scalar(execute):
    accumulator = importlib.import_module(
        "tensorboard.backend.event_processing.event_accumulator"
    ).EventAccumulator
    run = execute("Spread")["run"]
    events = accumulator(str(run.folder)).Reload()
    assert [one.step for one in events.Scalars("rollout/reward_std")] == [128, 256, 384, 512]


@pytest.mark.slow
def test_the_example_of_weights_and_biases_syncs_tensorboard_before_it_trains(execute, told):
    execute("wandb")
    (given,) = told.calls["wandb.init"]
    assert given["sync_tensorboard"] is True
    (artifact,) = told.calls["wandb.Run.log_artifact"]
    assert Path(artifact["artifact_or_path"]).is_file()


@pytest.mark.slow
def test_the_example_of_mlflow_logs_each_evaluation_s_figures(execute, told):
    execute("mlflow")
    logged = told.calls["mlflow.log_metrics"]
    assert [one["step"] for one in logged] == [256, 512]
    assert all(type(value) is float for one in logged for value in one["metrics"].values())
    assert Path(told.calls["mlflow.log_artifact"][0]["local_path"]).is_file()


@pytest.mark.slow
def test_the_example_of_optuna_prunes_a_trial_at_its_first_evaluation(execute, told, tmp_path):
    execute("optuna")
    assert [value is None for value in told.values] == [False, True, False]
    steps = [one["step"] for one in told.calls["optuna.Trial.report"]]
    assert steps == [256, 512, 256, 256, 512]
    ended = [Run.open(path).story() for path in sorted((tmp_path / "runs").iterdir())]
    assert sorted(one["ended"] for one in ended) == ["failed", "finished", "finished"]
    assert {one["config"] for one in ended} == {"state"}

"""Cars in worker processes: the same bytes as in one, and whatever goes wrong has a name."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from racer.assets.document import validate_document
from racer.envs import EnvConfig, RacerVectorEnv
from racer.errors import ConfigError, RewardError, RunError
from racer.sensors import observation_of_car
from racer.training.checkpoints import Checkpoints
from racer.training.episodes import EpisodeRunner
from racer.training.run_dir import Run
from racer.training.train import resume_training, run_training
from racer.training.workers import WorkerPool, worker_count
from tests.helpers.runs import CHUNK, QUIET, assert_same_run, chunked_config, no_figures

__all__ = ["no_figures"]
SENSORS = [{"kind": "camera", "width": 24, "height": 18}, {"kind": "state"}]


def fields(**changes):
    """An environment's fields, as a run gives them."""
    checked = validate_document({"sensor": SENSORS} | changes, EnvConfig, "test")
    return {name: getattr(checked, name) for name in EnvConfig.model_fields}


@pytest.fixture
def reward(tmp_path):
    def make(text):
        path = tmp_path / "mine.py"
        path.write_text("def reward_function(params):\n" + text)
        return str(path)

    return make


def bytes_of(seen):
    return {name: values.tobytes() for name, values in seen.items()}


DRAWN = {"randomisation": "sim2real", "track": ["bowtie", "oval"]}


@pytest.mark.parametrize("more", [{}, pytest.param(DRAWN, marks=pytest.mark.slow)])
def test_cars_in_workers_see_and_do_the_same_bytes_as_in_one_process(more):
    drawn = fields(race={"time_limit": 3.0}, **more)
    here, there = EpisodeRunner(RacerVectorEnv(5, **drawn)), WorkerPool(5, 2, drawn)
    rng = np.random.default_rng(0)
    ended = 0
    for base in (3, 77):
        seeds = list(range(base, base + 5))
        assert bytes_of(here.reset(seeds)) == bytes_of(there.reset(seeds))
        for _ in range(60):
            actions = rng.uniform((-0.6, -1.0), (0.6, 1.0), (5, 2)).astype(np.float32)
            mine, theirs = here.step(actions), there.step(actions)
            assert bytes_of(here.env.observations) == bytes_of(there.observations)
            for one, other in zip(mine[:3], theirs[:3]):
                assert one.tobytes() == other.tobytes()
            assert list(mine.episodes) == list(theirs.episodes)
            for car, story in mine.episodes.items():
                assert str(story | {"t": 0}) == str(theirs.episodes[car] | {"t": 0})
                last, its = observation_of_car(mine.last, car), observation_of_car(theirs.last, car)
                assert bytes_of(last) == bytes_of(its)
                ended += 1
    assert ended > 8
    there.close()
    here.env.close()


def drive(workers, steps=40):
    workers.reset(list(range(workers.num_envs)))
    for _ in range(steps):
        workers.step(np.zeros((workers.num_envs, 2), np.float32))


def assert_nobody_is_left():
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_worker_that_is_killed_is_named_at_once():
    workers = WorkerPool(4, 2, fields(sensor="state"))
    worker = workers._workers[1]
    drive(workers, 3)
    assert worker.process.pid
    os.kill(worker.process.pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"worker 2 of 2 \(cars 2 to 3\), process \d+, .*SIGKILL"):
        drive(workers)
    assert_nobody_is_left()


@pytest.mark.slow
def test_a_loop_that_does_not_end_is_named_by_its_line(reward):
    path = reward(
        "    while params['steps'] > 5:\n"
        "        try:\n"
        "            import statistics\n"
        "            statistics.mean(range(1000))\n"
        "        except BaseException:\n"
        "            pass\n"
        "    return 1.0\n"
    )
    workers = WorkerPool(2, 2, fields(sensor="state", reward=path), deadline=1.0)
    with pytest.raises(
        RunError, match=r"worker \d of 2 .*still busy after 1 s, in .*mine\.py:[2-7];"
    ):
        drive(workers)
    assert_nobody_is_left()


NAN = """    import racer.envs
    if params['steps'] > 5:
        for frame in racer.envs.RacerVectorEnv.made:
            frame.world.state.body[0, 7] = float('nan')
    return 1.0

import racer.envs
racer.envs.RacerVectorEnv.made = []
make = racer.envs.RacerVectorEnv.start

def start(self, cars):
    racer.envs.RacerVectorEnv.made[:] = [self]
    make(self, cars)

racer.envs.RacerVectorEnv.start = start
"""


EXIT = """
    import ctypes
    return 1.0 if params['steps'] < 5 else ctypes.CDLL(None)._exit(7)
"""
"""It ends the process as a library's C code would, which Python does not see."""


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("    return 1 / max(0, 5 - params['steps'])\n", RewardError, r"mine\.py:2: ZeroDivision"),
        pytest.param(
            EXIT,
            RunError,
            "exit code 7; did the reward, or a package it uses, end it",
            marks=pytest.mark.slow,
        ),
        (NAN, RunError, r"car 0 sees nan in its sensor 'state' at \d+ after 6 control steps"),
    ],
    ids=["raises", "exits", "nan"],
)
def test_what_goes_wrong_in_a_worker_is_told_with_its_name(reward, text, kind, said):
    workers = WorkerPool(1, 1, fields(sensor="state", reward=reward(text)))
    with pytest.raises(kind, match=rf"(?s)worker 1 of 1 \(cars 0 to 0\).*{said}"):
        drive(workers)
    assert_nobody_is_left()


@pytest.mark.slow
def test_a_reward_that_fails_in_a_worker_leaves_the_run_saved(reward, tmp_path):
    path = reward("    return 1 / max(0, 9 - params['steps'])\n")
    with pytest.raises(RewardError, match=r"worker [12] of 2 .*mine\.py:2: ZeroDivisionError"):
        run_training(chunked_config(workers=2, reward=path), tmp_path / "run", QUIET)
    run = Run.open(tmp_path / "run")
    assert run.best().is_file()
    assert run.story()["ended"] == "failed"
    assert "mine.py:2" in run.story()["error"]
    assert_nobody_is_left()


def children(process):
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(one) for one in text.split()]


def assert_gone(processes):
    until = time.monotonic() + 60.0
    while any(Path(f"/proc/{one}").exists() for one in processes):
        assert time.monotonic() < until, "a worker outlived its learner"
        time.sleep(0.02)


LOOPING = """
import sys
import numpy as np
from racer.training.workers import WorkerPool
workers = WorkerPool(1, 1, {"sensor": "state", "reward": sys.argv[1]})
workers.reset([0])
while True:
    workers.step(np.zeros((1, 2), np.float32))
"""


@pytest.mark.slow
def test_a_worker_in_a_loop_does_not_outlive_a_learner_that_is_killed(reward, tmp_path):
    path = reward("    open(__file__ + '.seen', 'w').close()\n    while True:\n        pass\n")
    words = [sys.executable, "-c", LOOPING, path]
    process = subprocess.Popen(words)
    while not Path(path + ".seen").is_file():
        assert process.poll() is None
        time.sleep(0.02)
    workers = children(process.pid)
    process.kill()
    process.wait()
    assert workers
    assert_gone(workers)


@pytest.mark.ci
@pytest.mark.slow
def test_a_learner_that_is_killed_leaves_no_orphan_and_a_run_that_goes_on_the_same(tmp_path):
    file, folder = tmp_path / "mine.json", tmp_path / "run"
    fast = chunked_config(workers=2, total_timesteps=4 * CHUNK)
    file.write_text(json.dumps(fast.model_dump(mode="json")))
    words = [sys.executable, "-m", "racer.cli", "train", str(file), "--run", str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole = tmp_path / "whole"
    while not Checkpoints(folder).known():
        assert process.poll() is None
        time.sleep(0.02)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    assert_gone(workers)
    story = io.StringIO()
    resume_training(folder, Console(file=story))
    assert "resumed after" in story.getvalue()
    run_training(chunked_config(workers=1, total_timesteps=4 * CHUNK), whole, QUIET)
    assert_same_run(folder, whole, 4 * CHUNK)


def test_one_worker_starts_no_process(tmp_path, monkeypatch):
    def spawn(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr("racer.training.training_env.WorkerPool", spawn)
    run_training(chunked_config(workers=1, total_timesteps=CHUNK), tmp_path / "run", QUIET)


def test_the_workers_are_as_many_as_cores_and_never_more_than_cars(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(6)))
    assert worker_count("auto", 512) == 6
    assert worker_count("auto", 64) == 2
    assert worker_count("auto", 32) == 1
    assert worker_count("auto", 3) == 1
    assert worker_count(9, 4) == 4


def test_logs_of_every_step_want_the_cars_in_one_process(tmp_path):
    with pytest.raises(ConfigError, match="workers 2: --deepracer-logs needs --workers 1"):
        run_training(chunked_config(workers=2), tmp_path / "run", QUIET, deepracer_logs=True)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_reward_that_ends_the_process_is_named_with_its_line(tmp_path, workers):
    reward = tmp_path / "gone.py"
    reward.write_text(
        "import os\n"
        "def reward_function(params):\n"
        "    return os._exit(0) if params['steps'] > 3 else 1.0\n"
    )
    with pytest.raises(RewardError, match=r"gone\.py:3: ProcessExit: os\._exit\(0\) would end"):
        run_training(chunked_config(reward=str(reward), workers=workers), tmp_path / "run", QUIET)
    assert Run.open(tmp_path / "run").story()["ended"] == "failed"

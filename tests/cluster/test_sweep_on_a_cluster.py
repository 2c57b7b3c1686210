"""The trials of a sweep on nodes: as in processes here, pruned, and trained again after a loss."""

import threading

import pytest

from racer.cli import main
from racer.cluster.address import open_cluster
from racer.errors import RunError
from racer.sweeps import resume_sweep, run_sweep
from racer.training.run_dir import Run
from tests.helpers.clusters import machines, wait_for
from tests.helpers.runs import QUIET, assert_same_run, config

pytestmark = [pytest.mark.slow(minutes=1)]

GRID = {"ppo.learning-rate": "1e-4,3e-4"}


@pytest.fixture(scope="module")
def cluster():
    with machines(2) as made:
        yield made


def reward(tmp_path, text="return params['progress']"):
    path = tmp_path / "mine.py"
    path.write_text(f"import time\ndef reward_function(params):\n    {text}\n")
    return str(path)


def test_trials_on_nodes_are_those_of_processes_here(cluster, tmp_path):
    base, made = config(reward=reward(tmp_path), total_timesteps=1024), {}
    for where, address in (("far", cluster.address), ("near", None)):
        with open_cluster(address) as nodes:
            made[where] = run_sweep(
                base, GRID, tmp_path / where, is_pruning=False, console=QUIET, cluster=nodes
            )
    far, near = (
        sorted(one.trials(), key=lambda trial: sorted(trial.params.items()))
        for one in made.values()
    )
    assert [(one.state, one.params, one.value) for one in far] == [
        (one.state, one.params, one.value) for one in near
    ]
    for mine, theirs in zip(far, near):
        assert_same_run(mine.folders[0], theirs.folders[0], 1024)
        assert Run(mine.folders[0]).cost() is not None
    assert (tmp_path / "far" / "best.yaml").is_file()


def test_a_trial_whose_worker_is_killed_is_trained_again(cluster, tmp_path):
    slow = reward(tmp_path, "time.sleep(0.001); return params['progress']")
    base = config(reward=slow, total_timesteps=1024)

    def kill():
        wait_for(lambda: len(cluster.workers()) == 2)
        cluster.kill_a_worker()

    killer = threading.Thread(target=kill)
    lost = []
    with open_cluster(cluster.address, lost.append) as nodes:
        killer.start()
        sweep = run_sweep(base, GRID, tmp_path / "far", console=QUIET, cluster=nodes)
        killer.join()
    assert [one.state for one in sweep.trials()] == ["complete"] * 2
    assert any("its job is run again" in line for line in lost)


def test_a_reward_that_fails_fails_its_trial_and_a_search_goes_on_where_it_stopped(
    cluster, tmp_path
):
    base = config(reward=reward(tmp_path, "return 'x'"))
    with (
        open_cluster(cluster.address) as nodes,
        pytest.raises(RunError, match=r"every trial failed; the first one: .*returned 'x'"),
    ):
        run_sweep(base, GRID, tmp_path / "bad", console=QUIET, cluster=nodes)
    with open_cluster(cluster.address) as nodes:
        sweep = run_sweep(
            config(),
            {"ppo.gamma": "0.9:0.99"},
            tmp_path / "s",
            trials=1,
            console=QUIET,
            cluster=nodes,
        )
        assert len(sweep.trials()) == 1
        resumed = resume_sweep(tmp_path / "s", trials=2, console=QUIET, cluster=nodes)
    assert [one.state for one in resumed.trials()] == ["complete"] * 2


def test_the_command_takes_the_switch(tmp_path, monkeypatch, cluster, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--num-envs", "4", "--total-timesteps", "256"]
    words += ["--ppo.n-steps", "32", "--ppo.batch-size", "64", "--evaluation.time-limit", "1"]
    words += ["--param", "ppo.gamma=0.9,0.99", "--folder", "s", "--cluster", cluster.address]
    main(["sweep", "state", *words])
    told = capsys.readouterr()
    assert "2 of 2" in told.out
    assert told.err.count("node ") >= 3

"""A training whose cars are driven on nodes: the weights of local workers, also after losses."""

import io
import os

import psutil
import pytest
from rich.console import Console

from racer.cluster.address import open_cluster
from racer.errors import RewardError, RunError
from racer.training.callbacks.log import LogCallback
from racer.training.run_dir import Run
from racer.training.train import resume_training, run_training
from tests.helpers.clusters import machines, wait_for
from tests.helpers.runs import QUIET, assert_same_run, chunked_config

pytestmark = [pytest.mark.slow(minutes=1)]

LUCKY = """
import random
luck = []
def reward_function(params):
    luck.append(random.random())
    return params["progress"] + sum(luck[-3:])
"""
"""A reward of which each car remembers something, and which draws from a worker's generator."""


@pytest.fixture(scope="module")
def cluster():
    with machines(3) as made:
        yield made


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(LogCallback, "_record_pictures", lambda self, result, track: None)


def test_rollouts_on_nodes_give_the_weights_of_as_many_local_workers(cluster, tmp_path):
    (tmp_path / "mine.py").write_text(LUCKY)
    config = chunked_config(workers=2, reward=str(tmp_path / "mine.py"))
    with open_cluster(cluster.address) as nodes:
        run_training(config, tmp_path / "far", QUIET, cluster=nodes, price_per_core_hour=0.5)
    run_training(config, tmp_path / "near", QUIET)
    assert_same_run(tmp_path / "near", tmp_path / "far")
    far, near = Run(tmp_path / "far").cost(), Run(tmp_path / "near").cost()
    assert far and near
    assert far.core_s == pytest.approx(3 * far.wall_s)  # the learner and two workers
    assert near.core_s == pytest.approx(2 * near.wall_s)
    assert far.price == pytest.approx(far.core_s / 7200.0)
    assert near.price is None


def test_killed_workers_and_nodes_change_no_byte(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("racer.training.cluster_workers.SNAPSHOT_STEPS", 7)
    (tmp_path / "mine.py").write_text(LUCKY)
    config = chunked_config(workers=2, reward=str(tmp_path / "mine.py"))
    evaluations = 0

    def lose(evaluation):
        nonlocal evaluations
        evaluations += 1
        if evaluations == 1:
            cluster.kill_a_worker()
        elif evaluations == 2:
            holder = psutil.Process(cluster.workers()[0]).parent()
            assert holder is not None
            node = next(
                one
                for one in cluster.nodes
                if any(
                    info.process.pid == holder.pid
                    for infos in one.all_processes.values()
                    for info in infos
                )
            )
            cluster.nodes.remove(node)
            cluster.kill_node(node)
            cluster.nodes.append(cluster.add())

    with open_cluster(cluster.address) as nodes:
        run_training(config, tmp_path / "far", QUIET, cluster=nodes, callback=lose)
    run_training(config, tmp_path / "near", QUIET)
    assert_same_run(tmp_path / "near", tmp_path / "far")
    log = (tmp_path / "far" / "log.txt").read_text()
    assert log.count("is lost: ") >= 2
    assert log.count("another one takes its cars over") >= 2
    assert "control steps were driven again" in log


def test_a_reward_that_hangs_on_one_node_is_named_and_the_run_can_be_resumed(cluster, tmp_path):
    text = "import os\nsteps = []\ndef reward_function(params):\n    steps.append(1)\n"
    text += "    while len(steps) > 20 and os.path.exists('{0}'):\n        pass\n    return 1.0\n"
    sign = tmp_path / "hang"
    (tmp_path / "mine.py").write_text(text.format(sign))
    sign.touch()
    config = chunked_config(workers=2, reward=str(tmp_path / "mine.py"))
    with (
        open_cluster(cluster.address) as nodes,
        pytest.raises(RewardError, match=r"worker \d of 2 .* on node .*still running after 10 s"),
    ):
        run_training(config, tmp_path / "far", QUIET, cluster=nodes)
    assert "still running" in Run(tmp_path / "far").story()["error"]
    wait_for(lambda: not cluster.workers())
    sign.unlink()
    with open_cluster(cluster.address) as nodes:
        resumed = resume_training(tmp_path / "far", QUIET, cluster=nodes)
    assert resumed.is_finished
    run_training(config, tmp_path / "near", QUIET)
    assert_same_run(tmp_path / "near", tmp_path / "far")


def test_a_worker_that_stands_still_ends_the_run_by_name(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("racer.training.cluster_workers.LOADING_TIMEOUT_S", 1.0)
    import signal

    def stop(evaluation):
        os.kill(cluster.workers()[0], signal.SIGSTOP)

    with (
        open_cluster(cluster.address) as nodes,
        pytest.raises(RunError, match=r"worker \d of 2 .* on node .*: still busy after"),
    ):
        run_training(
            chunked_config(workers=2), tmp_path / "far", QUIET, cluster=nodes, callback=stop
        )


def test_more_workers_than_cores_are_refused(cluster, tmp_path):
    console = Console(file=io.StringIO())
    with (
        open_cluster(cluster.address) as nodes,
        pytest.raises(RunError, match="workers 5: the cluster has 3 cores"),
    ):
        run_training(chunked_config(workers=5), tmp_path / "far", console, cluster=nodes)

"""What a cluster does to a season: killed workers and nodes, late ones, a killed driver."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from racer.cluster import open_pool
from racer.cluster.node_facts import node_facts
from racer.errors import BoardError, ClusterError
from racer.leaderboard.batch import run_season
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from tests.helpers.boards import LOOK, package
from tests.helpers.clusters import ROOT, machines, wait_for

pytestmark = [pytest.mark.slow(minutes=1)]

SEASON = Season(
    name="quick",
    tracks=("oval",),
    seeds=tuple(range(12)),
    ranking="iqm",
    race=SeasonRaceConfig(laps=1, time_limit=8),
)
RACES = 24
CODE = "racer's code"


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("entries")
    for k, name in enumerate("ab", start=1):
        package(folder / f"{name}.entry.zip", name=name, look=(1 / k) * LOOK)
    return folder


@pytest.fixture(scope="module")
def alone(entries, tmp_path_factory):
    """The scores of each entry, judged on one core, and the replays."""
    return judged(BoardStore(tmp_path_factory.mktemp("alone")), entries)


def judged(store, entries, pool=None, tell=lambda done, all: None):
    """Judge the season, hold that each race was judged once, and return scores and replays."""
    found = run_season(store, SEASON, entries, workers=None if pool else 1, tell=tell, pool=pool)
    assert (found.races + found.kept, len(found.added)) == (RACES, 2)
    assert store.chain().fault is None
    replays = {path.name: path.read_bytes() for path in (store.folder / "replays").iterdir()}
    return [row.runs for row in store.rows(SEASON)], replays, found


def test_a_killed_worker_a_killed_node_and_one_that_joins_late(entries, alone, tmp_path, capfd):
    said = []

    def trouble(done, all):
        if done == 3:
            cluster.kill_a_worker()
        elif done == 6:
            cluster.add()
        elif done == 9:
            cluster.kill_node(cluster.nodes[0])

    with machines(2) as cluster, open_pool(cluster.address, say=said.append) as opened:
        pool: Any = opened
        scores, replays, found = judged(BoardStore(tmp_path), entries, pool, trouble)
        wait_for(lambda: (pool.cluster.tell_lost_nodes(), said[-1].startswith("node "))[1])
    assert (scores, replays) == alone[:2]
    assert found.races == RACES
    assert "raylet" not in capfd.readouterr().out  # where --json is printed
    assert any("a worker is lost, and its job is run again" in line for line in said)
    assert sum("is lost; its jobs are run on other nodes" in line for line in said) == 1
    assert [node for node in found.boxes if f"node {node}: " not in " ".join(said[:3])]  # the late
    assert set(found.boxes.values()) == set(alone[2].boxes.values())


def test_a_killed_driver_is_started_again_and_nothing_is_judged_twice(entries, alone, tmp_path):
    season = tmp_path / "season.yaml"
    season.write_text(json.dumps(SEASON.model_dump(mode="json")))
    with machines(2) as cluster:
        words = [sys.executable, "-m", "racer.cli", "board", "run-season", str(entries)]
        words += ["--season", str(season), "--cluster", cluster.address]
        to = {**os.environ, "RACER_BOARD": str(tmp_path / "board"), "PYTHONPATH": str(ROOT)}
        results = tmp_path / "board" / "results"
        child = subprocess.Popen(words, env=to, stderr=subprocess.DEVNULL)
        wait_for(lambda: len(list(results.glob("*.json"))) >= 6)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        store = BoardStore(tmp_path / "board")
        assert store.every_row() == []
        wait_for(lambda: not cluster.workers())  # the jobs end with their driver
        with open_pool(cluster.address) as pool:
            scores, replays, found = judged(store, entries, pool)
    assert (scores, replays) == alone[:2]
    assert found.kept >= 4
    assert found.races <= RACES - 4


def test_a_node_with_other_code_is_refused_by_name_also_in_the_middle(
    entries, tmp_path, monkeypatch
):
    mine = node_facts()
    other = mine._replace(versions=mine.versions | {"racer's code": "0123456789ab"})
    why = rf"node .* has racer's code {mine.versions[CODE]}, here 0123456789ab; install the same"

    def change(done, all):
        if done == 5:
            monkeypatch.setattr(pool.cluster, "_facts", other)

    with machines(1) as cluster:
        with open_pool(cluster.address) as opened, pytest.raises(BoardError, match=why):
            pool: Any = opened
            run_season(BoardStore(tmp_path), SEASON, entries, tell=change, pool=pool)
        assert len(list((tmp_path / "results").iterdir())) >= 5
        monkeypatch.setattr("racer.cluster.ray_cluster.node_facts", lambda: other)
        with pytest.raises(ClusterError, match=why), open_pool(cluster.address):
            pass


def test_a_client_outside_of_the_cluster_judges_the_same(entries, alone, tmp_path):
    with machines(1, ray_client_server_port=23781) as cluster:
        assert cluster.address
        with open_pool("ray://127.0.0.1:23781") as pool:
            scores, replays, _ = judged(BoardStore(tmp_path), entries, pool)
    assert (scores, replays) == alone[:2]


def test_a_job_that_kills_its_worker_again_and_again_is_named(monkeypatch):
    monkeypatch.setattr("racer.cluster.ray_cluster.MAX_LOSSES", 3)
    with (
        machines(1) as cluster,
        open_pool(cluster.address) as pool,
        pytest.raises(ClusterError, match="the worker of one job was lost 3 times"),
    ):
        list(pool.run(os._exit, {"job": (1,)}))


def test_ray_on_this_machine_alone_is_one_word(tmp_path):
    with open_pool("local") as pool:
        ended = {one.key: one.outcome for one in pool.run(abs, {k: (-k,) for k in range(5)})}
        assert pool.workers == len(os.sched_getaffinity(0))
    assert ended == {k: k for k in range(5)}

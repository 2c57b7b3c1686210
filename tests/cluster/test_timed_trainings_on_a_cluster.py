"""Trainings that are timed on nodes: the runs of the seeds, and the pairs of a speedrun."""

import json
from contextlib import contextmanager

import pytest

from racer.cli import main
from racer.cluster.address import open_cluster
from racer.training.speedrun import SpeedrunConfigs, compare_configs
from racer.training.time_to_clean_laps import time_all_seeds
from tests.helpers.clusters import machines
from tests.helpers.runs import config

pytestmark = [pytest.mark.slow(minutes=1)]

SHORT = config(total_timesteps=1024)


@pytest.fixture(scope="module")
def cluster():
    with machines(2) as made:
        yield made


@contextmanager
def whole_nodes(cluster):
    with open_cluster(cluster.address) as nodes:
        assert nodes
        with nodes.whole_nodes() as pool:
            yield pool


def test_each_seed_is_trained_as_here(cluster):
    with whole_nodes(cluster) as pool:
        far = time_all_seeds(SHORT, (0, 1), pool)
    near = time_all_seeds(SHORT, (0, 1))
    for mine, theirs in zip(far["runs"], near["runs"]):
        assert (mine["seed"], mine["steps"]) == (theirs["seed"], theirs["steps"])
        assert mine["shares"].keys() == theirs["shares"].keys()


def test_both_runs_of_a_pair_are_timed_on_one_machine(cluster):
    said = []
    with whole_nodes(cluster) as pool:
        pairs = SpeedrunConfigs(SHORT, SHORT.model_copy(update={"total_timesteps": 512}))
        found = compare_configs(pairs, 5, said.append, pool=pool)
    assert len(said) == 10
    assert found.record
    assert len(set(found.challenger.seeds + found.record.seeds)) == 10
    assert "cores" in found.machine
    assert found.challenger.reached == found.record.reached == 0


def test_the_command_takes_the_switch(tmp_path, cluster, capsys):
    path = tmp_path / "short.yaml"
    path.write_text(json.dumps(SHORT.model_dump(mode="json")))
    main(["bench", "train", str(path), "--seeds", "3", "--json", "--cluster", cluster.address])
    assert json.loads(capsys.readouterr().out)["runs"][0]["seed"] == 3

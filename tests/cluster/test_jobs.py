"""Jobs in processes of this machine, the files that travel with them, and what they cost."""

import os
import signal

import pytest

from racer.cluster import Cost, LocalPool
from racer.cluster.carried_files import CarriedFiles, write_files
from racer.cluster.cost import refuse_price
from racer.cluster.node_facts import NodeFacts, node_facts
from racer.cluster.ray_worker import local_arguments
from racer.errors import ClusterError, ConfigError


def double(number, path):
    return 2 * number, path.read_text()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_each_job_is_run_once_in_another_process(tmp_path):
    (tmp_path / "a").write_text("read")
    with LocalPool(1) as pool:
        assert pool.wall_s == 0.0
        ended = list(pool.run(double, {k: (k, tmp_path / "a") for k in range(3)}))
        assert {one.key: one.outcome for one in ended} == {k: (2 * k, "read") for k in range(3)}
    assert pool.core_s == pytest.approx(sum(one.took_s for one in ended))
    assert pool.wall_s > pool.core_s > 0.0
    assert {one.node for one in ended} == {""}


@pytest.mark.slow
def test_a_killed_process_is_an_error():
    with pytest.raises(ClusterError, match="was killed"), LocalPool(1) as pool:
        list(pool.run(die, {0: ()}))


def test_a_file_and_a_folder_arrive_as_they_were_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "sent" / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.yaml").write_text("a")
    (folder / "deep" / "b.bin").write_bytes(b"\0b")
    paths = local_arguments((CarriedFiles.read(folder), 7, CarriedFiles.read(folder / "a.yaml")))
    assert paths[1] == 7
    assert (paths[0].name, paths[2].name) == ("mine", "a.yaml")
    assert (paths[0] / "deep" / "b.bin").read_bytes() == b"\0b"
    assert paths[2].read_text() == "a"
    assert tmp_path / "cache" in paths[0].parents
    (folder / "a.yaml").write_text("changed")
    again = CarriedFiles.read(folder).unpack()
    assert again != paths[0]
    assert (again / "a.yaml").read_text() == "changed"


def test_a_node_cannot_write_outside_of_a_folder(tmp_path, subtests):
    for name in ("../a", "/a", "a/../../b", ""):
        with subtests.test(name=name), pytest.raises(ClusterError, match="outside its folder"):
            write_files(CarriedFiles("x", ((name, b""),)), tmp_path / "in")
    write_files(CarriedFiles("x", (("a/b", b"c"),)), tmp_path / "in")
    assert (tmp_path / "in" / "a" / "b").read_bytes() == b"c"


def test_nodes_differ_by_versions_and_code_but_not_by_name_or_cores():
    mine = node_facts()
    assert mine.differences(mine) == ""
    other = NodeFacts("far", 99, mine.versions | {"numpy": "1.0"}, "another")
    assert mine.differences(other) == f"numpy 1.0, here {mine.versions['numpy']}"
    assert len(mine.versions["racer's code"]) == 12


def test_a_core_hour_costs_its_price():
    cost = Cost(wall_s=1800.0, core_s=7200.0, price_per_core_hour=0.05)
    assert cost.price == pytest.approx(0.1)
    assert cost.words == "1800.0 s, 2 core hours, price 0.1"
    assert Cost.from_dict(cost.as_dict()) == cost
    assert Cost(1.0, 2.0).price is None
    assert cost.plus(Cost(1.0, 3600.0, 5.0)) == Cost(1801.0, 10800.0, 5.0, 0.05)


def test_a_negative_price_is_refused(subtests):
    for price in (-0.1, float("nan"), float("inf")):
        with subtests.test(price=price), pytest.raises(ConfigError, match="must be 0 or more"):
            refuse_price(price)
    refuse_price(None)
    refuse_price(0.0)


@pytest.mark.needs("ray")
def test_a_lost_argument_is_a_loss_and_a_job_s_own_error_is_not():
    from ray.exceptions import RayTaskError, WorkerCrashedError

    from racer.cluster.ray_cluster import first_sentence, raised_in_job

    own = RayTaskError("job", "traceback", ValueError("mine"))
    assert isinstance(raised_in_job(own), ValueError)
    lacking = RayTaskError("job", "traceback", ImportError("No module named 'racer'"))
    assert "No module named 'racer'; install the same" in str(raised_in_job(lacking))
    for lost in (RayTaskError("job", "traceback", WorkerCrashedError()), WorkerCrashedError()):
        assert raised_in_job(lost) is None
    assert (
        first_sentence(ValueError("\x1b[36mone\x1b[39m\n thing. Another."))
        == "ValueError: one thing"
    )


@pytest.mark.needs("ray")
def test_a_client_server_of_ray_that_dies_as_it_starts_is_asked_once_more():
    from racer.cluster.ray_cluster import RayCluster

    class StumblingRay:
        def __init__(self, stumbles):
            self.stumbles, self.calls = stumbles, []

        def init(self, **_options):
            self.calls.append("init")
            if self.calls.count("init") <= self.stumbles:
                raise RuntimeError("RuntimeError: Starting Ray client server failed. See x.err")

        def shutdown(self):
            self.calls.append("shutdown")

    cluster = RayCluster.__new__(RayCluster)
    cluster._ray = StumblingRay(1)
    cluster._join({})
    assert cluster._ray.calls == ["init", "shutdown", "init"]
    cluster._ray = StumblingRay(2)
    with pytest.raises(RuntimeError, match="client server failed"):
        cluster._join({})

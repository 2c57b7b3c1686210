"""Measure how a season scales over workers, and simulate it on 10 to 1,000 nodes.

`measure ENTRY --out FILE` judges races on 1 and 2 processes, and on Ray clusters of 1 and 2 nodes
of one core on this machine, and writes what it measured. `simulate FILE` reads that, without Ray.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from racer.assets.terminal import make_console
from racer.cluster import JobPool, LocalPool, open_pool
from racer.entries.package import read_entry, save_entry
from racer.leaderboard import batch_worker
from racer.leaderboard.batch import run_season
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.tables import FittedTable, TableColumn

NODES = (10, 30, 100, 300, 1000)
"""Numbers of nodes that are simulated."""


class Assumptions(NamedTuple):
    """What is not measured.

    Attributes:
        cores: Cores of a node.
        races: Races of a season.
        node_mtbf_h: Mean time between two losses of a node [h]: 1,000 h for a machine in a room,
            20 h for one that a cloud may take back.
        replacement_s: Time until a lost node is replaced [s].
        price_per_core_hour: Price of a core for an hour.
        longer: How many times longer a race takes than a measured one.
    """

    cores: int
    races: int
    node_mtbf_h: float
    replacement_s: float
    price_per_core_hour: float
    longer: float


def measure(entry: Path, races: int, local_races: int, out: Path) -> None:
    """Judge races in four ways, and write what was measured as JSON.

    Args:
        entry: The entry's package.
        races: Number of races on nodes; of more than 100, a multiple of 100.
        local_races: Number of races in processes.
        out: The file to write.
    """
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    from ray.cluster_utils import Cluster

    seeds = min(races, 100)
    season = Season(
        name="scale",
        tracks=("oval",),
        seeds=tuple(range(seeds)),
        ranking="iqm",
        race=SeasonRaceConfig(laps=1, time_limit=5),
        car=read_entry(entry).manifest.car,
    )
    measured: dict[str, Any] = {"forms": [], "cores": os.cpu_count()}
    for workers in (1, 2):
        told = judge(season, entry, local_races // seeds, lambda count=workers: count)
        measured["forms"].append({"form": f"{workers} processes", **told})
        print(brief(told), flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for nodes in (1, 2):
            began = time.perf_counter()
            cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
            )
            added = [cluster.add_node(num_cpus=1) for _ in range(nodes)]
            up_s = time.perf_counter() - began
            try:
                told = judge(season, entry, races // seeds, lambda made=cluster: str(made.address))
                about = {"form": f"{nodes} nodes", "cluster_up_s": round(up_s, 1)}
                measured["forms"].append(about | told)
                print(brief(told), flush=True)
                if nodes == 2:
                    measured |= empty_jobs(str(cluster.address))
                    measured["loss_s"] = loss(str(cluster.address), cluster, added[0])
            finally:
                cluster.shutdown()
    out.write_text(json.dumps(measured))
    print(json.dumps({**measured, "forms": [brief(one) for one in measured["forms"]]}, indent=1))


def brief(form: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a form without the list of its times."""
    return {key: value for key, value in form.items() if key != "took_s"}


def name_copy(path: Path, to: Path, name: str) -> None:
    """Write a copy of an entry under another name.

    Args:
        path: The entry's package.
        to: The copy.
        name: Its name.
    """
    entry = read_entry(path)
    manifest = entry.manifest
    save_entry(
        to,
        entry.policy,
        name=name,
        env=manifest.env,
        sensor=manifest.sensor,
        actions=manifest.actions,
        trained_on=manifest.trained_on,
        car=manifest.car,
    )


def judge(
    season: Season, entry: Path, copies: int, where: Callable[[], int | str]
) -> dict[str, Any]:
    """Judge a season, and return how long it took.

    Args:
        season: The season.
        entry: The entry's package.
        copies: Number of its copies that are judged.
        where: Returns the number of processes, or a cluster's address.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        entries = Path(folder) / "entries"
        entries.mkdir()
        for k in range(copies):
            name_copy(entry, entries / f"{k:03}.entry.zip", f"copy {k}")
        place = where()
        began = time.perf_counter()
        pool: JobPool
        if isinstance(place, int):
            pool = LocalPool(place)
        else:
            pool = opened.enter_context(open_pool(place))
        joined_s = time.perf_counter() - began
        took: list[float] = []
        first_s: list[float] = []
        run, own, asked = pool.run, time.process_time(), time.perf_counter()

        def kept(work: Any, given: Any) -> Any:
            for finished in run(work, given):
                first_s.append(time.perf_counter() - asked)
                if work is batch_worker.run_race_job:
                    took.append(finished.took_s)
                yield finished

        pool.run = kept
        found = run_season(BoardStore(Path(folder) / "board"), season, entries, pool=pool)
        own_s = time.process_time() - own
        return {
            "workers": found.workers,
            "races": found.races,
            "wall_s": round(found.wall_s, 2),
            "race_s": round(sum(took), 2),
            "races_per_s": round(found.races / found.wall_s, 2),
            "efficiency": round(sum(took) / found.workers / found.wall_s, 3),
            "coordinator_s_per_race": round(own_s / found.races, 5),
            "joined_s": round(joined_s, 2),
            "first_job_s": round(first_s[0], 2),
            "took_s": [round(one, 4) for one in took],
        }


def empty_jobs(address: str, count: int = 2000) -> dict[str, float]:
    """Return how long a job takes that does nothing.

    Args:
        address: The cluster's address.
        count: Number of jobs.
    """
    with open_pool(address) as pool:
        began, own = time.perf_counter(), time.process_time()
        list(pool.run(abs, dict.fromkeys(range(count), (-1,))))
        return {
            "empty_job_s": round((time.perf_counter() - began) / count, 5),
            "empty_job_coordinator_s": round((time.process_time() - own) / count, 5),
        }


def loss(address: str, cluster: Any, node: Any) -> float:
    """Return the time from the loss of a node to the next line about it [s].

    Args:
        address: The cluster's address.
        cluster: The cluster.
        node: A node of it.
    """
    lost: list[float] = []

    def say(line: str) -> None:
        if "is lost" in line:
            lost.append(time.perf_counter())

    with open_pool(address, say=say) as pool:
        running = pool.run(time.sleep, dict.fromkeys(range(40), (0.5,)))
        for _ in range(4):
            next(running)
        began = time.perf_counter()
        cluster.remove_node(node, allow_graceful=False)
        list(running)
    return round(lost[0] - began, 2)


class _Node:
    """A node that is lost after exponentially distributed times, and replaced after a while.

    Args:
        given: The assumptions.
        rng: The random generator.
    """

    def __init__(self, given: Assumptions, rng: np.random.Generator) -> None:
        self._mean_s, self._away_s, self._rng = 3600.0 * given.node_mtbf_h, given.replacement_s, rng
        self._losses = [rng.exponential(self._mean_s)]

    def stay(self, at: float) -> tuple[float, float]:
        """Return from when on the node is there at a time or later, and until when [s]."""
        begin = 0.0
        for number, lost in enumerate(self._losses):
            if at < lost:
                return max(at, begin), lost
            begin = lost + self._away_s
            if number + 1 == len(self._losses):
                self._losses.append(begin + self._rng.exponential(self._mean_s))
        raise AssertionError("a later loss was drawn")


def simulate(
    nodes: int, measured: dict[str, Any], given: Assumptions, rng: np.random.Generator
) -> dict[str, float]:
    """Return the wall time and the efficiency of a season on a number of nodes.

    The coordinator hands out one job after the other, and takes each result; it does nothing else
    meanwhile. A core begins with the start of a worker process. When a node is lost, the jobs that
    its cores run are run again once the loss is noticed, and another node comes after a while.

    Args:
        nodes: Number of nodes.
        measured: What `measure` wrote.
        given: The assumptions.
        rng: The random generator.
    """
    far = measured["forms"][-1]
    took = rng.choice(np.array(far["took_s"]) * given.longer, 2 * given.races)
    serial_s, start_s = far["coordinator_s_per_race"], far["first_job_s"]
    there = [_Node(given, rng) for _ in range(nodes)]
    free = [(start_s, node) for node in range(nodes) for _ in range(given.cores)]
    heapq.heapify(free)
    clock, started, work_s, lost, end = 0.0, 0, 0.0, 0, 0.0
    again: list[float] = []
    left = given.races
    while left or again:
        at, node = heapq.heappop(free)
        begin, until = there[node].stay(max(clock, at))
        if begin > max(clock, at):
            heapq.heappush(free, (begin + start_s, node))
            continue
        if again and (again[0] <= begin or not left):
            begin = max(begin, heapq.heappop(again))
        else:
            left -= 1
        clock = begin + serial_s
        race_s = float(took[started % len(took)])
        started += 1
        if clock + race_s > until:
            lost += 1
            heapq.heappush(again, until + measured["loss_s"])
            heapq.heappush(free, (until, node))
            continue
        work_s += race_s
        end = max(end, clock + race_s)
        heapq.heappush(free, (clock + race_s, node))
    held = end * nodes * given.cores
    return {
        "cores": nodes * given.cores,
        "wall_s": end,
        "races_per_s": given.races / end,
        "efficiency": work_s / held,
        "lost": lost,
        "price": held / 3600.0 * given.price_per_core_hour,
    }


def main() -> None:
    """Measure, or simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True, dest="verb")
    one = verbs.add_parser("measure")
    one.add_argument("entry", type=Path)
    one.add_argument("--races", type=int, default=1000)
    one.add_argument("--local-races", type=int, default=1000)
    one.add_argument("--out", type=Path, required=True)
    two = verbs.add_parser("simulate")
    two.add_argument("measured", type=Path)
    two.add_argument("--cores", type=int, default=4)
    two.add_argument("--races", type=int, default=100_000)
    two.add_argument("--node-mtbf-h", type=float, default=1000.0)
    two.add_argument("--replacement-s", type=float, default=300.0)
    two.add_argument("--price-per-core-hour", type=float, default=0.04)
    two.add_argument("--longer", type=float, default=1.0)
    asked = parser.parse_args()
    if asked.verb == "measure":
        measure(asked.entry, asked.races, asked.local_races, asked.out)
        return
    given = Assumptions(*(getattr(asked, name) for name in Assumptions._fields))
    measured = json.loads(asked.measured.read_text())
    headings = ("nodes", "cores", "minutes", "races/s", "efficiency", "jobs lost", "price")
    shown = FittedTable(*(TableColumn(name) for name in headings))
    for nodes in NODES:
        told = simulate(nodes, measured, given, np.random.default_rng(0))
        shown.add_row(
            str(nodes),
            f"{told['cores']:,}",
            f"{told['wall_s'] / 60.0:.1f}",
            f"{told['races_per_s']:.1f}",
            f"{told['efficiency']:.0%}",
            f"{told['lost']:,}",
            f"{told['price']:.2f}",
        )
    print(given)
    make_console().print(shown)


if __name__ == "__main__":
    main()

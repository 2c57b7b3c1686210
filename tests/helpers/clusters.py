"""Ray clusters of a few nodes on this machine, and what is done to them."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"  # or Ray writes a token into the user's home


class Machines:
    """A cluster of nodes of one core, each with processes of its own on this machine.

    The first node, from which the tests ask, offers no core.
    """

    def __init__(self, nodes: int, **head: Any) -> None:
        from ray.cluster_utils import Cluster

        self._head = {"num_cpus": 0, "include_dashboard": False, **head}
        self._env = {"PYTHONPATH": str(ROOT)}
        self.cluster = Cluster(
            initialize_head=True, head_node_args=self._head | {"env_vars": self._env}
        )
        self.address = str(self.cluster.address)
        self.nodes = [self.add() for _ in range(nodes)]

    def add(self, **more: Any) -> Any:
        """Let a node of one core join."""
        env = self._env | more.pop("env_vars", {})
        return self.cluster.add_node(num_cpus=1, env_vars=env, **more)

    def kill_node(self, node: Any) -> None:
        """Kill all processes of a node, as a power cut does."""
        self.cluster.remove_node(node, allow_graceful=False)

    def workers(self) -> list[int]:
        """Return the processes that run a job or hold an object now."""
        found = []
        for one in psutil.process_iter(["cmdline"]):
            words = " ".join(one.info["cmdline"] or ())
            if words.startswith(("ray::run_job", "ray::ActorHost")):
                found.append(one.pid)
        return sorted(found)

    def kill_a_worker(self) -> None:
        """Kill a process that runs a job or holds an object now."""
        wait_for(self.workers)
        os.kill(self.workers()[0], signal.SIGKILL)

    def close(self) -> None:
        """End the cluster."""
        self.cluster.shutdown()


def wait_for(is_there: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait until a function returns something true."""
    until = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < until, f"{is_there} was false for {seconds:g} s"
        time.sleep(0.05)


@contextmanager
def machines(nodes: int, **head: Any) -> Iterator[Machines]:
    """Start a cluster for a `with` block, after which no process of it is left."""
    pytest.importorskip("ray")
    before = ray_processes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Machines(nodes, **head)
        try:
            yield made
        finally:
            made.close()
    wait_for(lambda: ray_processes() <= before, 30.0)


def ray_processes() -> set[int]:
    """Return Ray's processes among this process's descendants."""
    return {
        one.pid
        for one in psutil.Process().children(recursive=True)
        if one.status() != psutil.STATUS_ZOMBIE
        and any(word in " ".join(one.cmdline()) for word in ("ray::", "raylet", "gcs_server"))
    }

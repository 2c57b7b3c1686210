"""The address of a cluster, as a user types it, and the pool of workers behind it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from racer.cluster.jobs import JobPool, LocalPool
from racer.errors import ClusterError

if TYPE_CHECKING:
    from racer.cluster.ray_cluster import RayCluster

LOCAL_CLUSTER = "local"
"""The address of a Ray cluster that is started on this machine, and ends with the command."""
CONNECT_TIMEOUT_S = 10.0
"""Time to wait for a cluster's port to answer [s]."""
CLIENT_SCHEME = "ray://"


class ClusterAddress(NamedTuple):
    """A cluster's address.

    Attributes:
        host: Name or address of its head; "" for a cluster that is started on this machine.
        port: The port.
        is_client: Whether this machine is outside of the cluster, and connects to Ray's client
            server.
    """

    host: str
    port: int
    is_client: bool

    @classmethod
    def parse(cls, text: str) -> ClusterAddress:
        """Return the address in `local`, `HOST:PORT` or `ray://HOST:PORT`.

        Raises:
            ClusterError: It is none of them.
        """
        if text == LOCAL_CLUSTER:
            return cls("", 0, False)
        place = text.removeprefix(CLIENT_SCHEME)
        found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", place)
        if not found or not 0 < int(found[2]) < 65536:
            raise ClusterError(
                f"--cluster {text!r:.100}: wanted HOST:PORT, where this machine is a node of the "
                "cluster (port 6379 by default); ray://HOST:PORT, where it is not (port 10001 by "
                "default); or local, for a Ray of this machine's own"
            )
        return cls(found[1].strip("[]"), int(found[2]), place != text)

    def refuse_unreachable(self) -> None:
        """Raise ClusterError if nothing listens at the address."""
        if not self.host:
            return
        try:
            socket.create_connection((self.host, self.port), CONNECT_TIMEOUT_S).close()
        except OSError as problem:
            start = "ray start --head --port=6379 --ray-client-server-port=10001"
            raise ClusterError(
                f"no cluster answers at {self.host}:{self.port}: {problem.strerror or problem}; "
                f"check host, port and firewall, or start it there with `{start}`"
            ) from problem

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{CLIENT_SCHEME * self.is_client}{host}:{self.port}" if host else LOCAL_CLUSTER


def say_nothing(line: str) -> None:
    """Take a line that nobody wants to see; in place of a function that prints it."""


@contextmanager
def open_cluster(
    address: str | None, say: Callable[[str], None] = say_nothing
) -> Iterator[RayCluster | None]:
    """Connect to a cluster for a `with` block; without an address do nothing.

    Args:
        address: `local`, `HOST:PORT` or `ray://HOST:PORT`; None for no cluster.
        say: Called with a line for each node that joins, or is lost.

    Yields:
        The cluster; None without an address.

    Raises:
        ClusterError: The cluster cannot be reached, Ray is not installed, or a node has other
            versions than this machine.
    """
    if address is None:
        yield None
        return
    where = ClusterAddress.parse(address)
    where.refuse_unreachable()
    from racer.cluster.ray_cluster import RayCluster

    cluster = RayCluster(where, say)
    try:
        cluster.refuse_unlike_nodes()
        yield cluster
    finally:
        cluster.close()


@contextmanager
def open_pool(
    address: str | None,
    workers: int | None = None,
    say: Callable[[str], None] = say_nothing,
) -> Iterator[JobPool]:
    """Open a pool of workers for a `with` block: of this machine, or of a cluster.

    Args:
        address: A cluster's address, as `open_cluster` has it; None for this machine's cores.
        workers: Number of processes on this machine; None for as many as there are cores. A
            cluster has its own number.
        say: As in `open_cluster`.

    Raises:
        ClusterError: As `open_cluster`, or a number of workers is given for a cluster.
    """
    if address is None:
        with LocalPool(workers) as pool:
            yield pool
        return
    if workers is not None:
        raise ClusterError(
            f"workers {workers} with a cluster, which has as many as its nodes have cores; leave "
            "one of --workers and --cluster out"
        )
    with open_cluster(address, say) as cluster:
        assert cluster is not None
        with cluster.pool() as pool:
            yield pool

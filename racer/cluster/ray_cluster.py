"""A connection to a Ray cluster: its nodes, a pool of jobs, and objects that live on nodes."""

from __future__ import annotations

import logging
import os
import re
import time
import traceback
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from racer.assets.extras import how_to_install
from racer.assets.processes import usable_cores
from racer.cluster.address import ClusterAddress
from racer.cluster.carried_files import CarriedFiles
from racer.cluster.jobs import Finished, JobPool, Key, Outcome
from racer.cluster.mailbox import Letters, Mailbox
from racer.cluster.node_facts import NodeFacts, node_facts
from racer.cluster.ray_worker import ActorHost, NodeAnswer, run_job
from racer.errors import ClusterError

MAX_LOSSES = 10
"""How often one job's worker may be lost; then the job itself is taken for the reason."""
CLUSTER_POLL_S = 1.0
"""Longest time without a look at the cluster's nodes [s]."""
NO_CORE_TIMEOUT_S = 300.0
"""How long a cluster without a single core is waited for [s]."""
KEPT_FILES = 64
"""Number of files that stay in Ray's object store for the next jobs."""
JOBS_PER_CORE = 2
"""Jobs that are with Ray for each core: one that runs, and one that follows at once."""
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # tell nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # jobs without a GPU; else Ray warns
}


def has_token() -> bool:
    """Return whether this user has a token for clusters, which a cluster may ask for."""
    given = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    return bool(given) or Path("~/.ray/auth_token").expanduser().is_file()


def _keep_off_stdout() -> None:
    """Stop Ray from printing a lost node's inner state, by the page, to stdout.

    `log_to_driver=False` does not stop that, and no option does; `RayCluster` tells a loss in one
    line. Where a version of Ray has no such function, it prints.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_args, **_options: None


class WorkerLost(ClusterError):
    """The process of a job or an object has ended, or its node has."""


class RayCluster:
    """A connection to a Ray cluster, from which this process leaves with `close`.

    Args:
        address: The cluster's address.
        say: Called with a line for each node that joins, or is lost.

    Raises:
        ClusterError: Ray is not installed, the cluster cannot be joined, or this process is in a
            cluster already.
    """

    def __init__(self, address: ClusterAddress, say: Callable[[str], None]) -> None:
        self.say, self._address = say, address
        self._facts = node_facts()
        self._nodes: dict[str, str] = {}
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        if address.host and has_token():
            os.environ.setdefault("RAY_AUTH_MODE", "token")  # as `ray start` does
        try:
            import ray
        except ModuleNotFoundError as problem:
            if (problem.name or "").partition(".")[0] != "ray":
                raise
            raise ClusterError(
                f"--cluster needs Ray: {how_to_install('cluster')}; on each node too"
            ) from problem
        self._ray: Any = ray
        if ray.is_initialized():
            raise ClusterError(
                "this process is in a Ray cluster already; call ray.shutdown() first"
            )
        options: dict[str, Any] = {"address": str(address)}
        if not address.host:
            options |= {"num_cpus": usable_cores(), "include_dashboard": False}
        _keep_off_stdout()
        try:
            self._join(options)
        except Exception as problem:  # Ray raises ConnectionError, RuntimeError, ValueError ...
            raise ClusterError(self._not_joined(problem)) from problem

    def _join(self, options: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for last in (False, True):
                try:
                    self._ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
                except RuntimeError as problem:
                    # The process that Ray forks for a client sometimes dies as it starts.
                    if last or "Starting Ray client server failed" not in str(problem):
                        raise
                    self._ray.shutdown()
                else:
                    return

    def _not_joined(self, problem: Exception) -> str:
        said = " ".join(str(problem).split())[:300]
        host, port = self._address.host, self._address.port
        remedy = "check that Ray and Python have the same version here and there"
        if "AuthToken" in "".join(traceback.format_exception(problem)):
            return (
                f"the cluster at {self._address} wants its token: copy ~/.ray/auth_token from its "
                "head to this machine, or set RAY_AUTH_TOKEN; `ray get-auth-token` prints it there"
            )
        if host and not self._address.is_client:
            remedy = (
                f"this machine must be a node of it, which `ray start --address={host}:{port}` "
                f"makes it; from another machine, use ray://{host}:10001"
            )
        return f"the cluster at {self._address} cannot be joined: {said}; {remedy}"

    def close(self) -> None:
        """Leave the cluster; a cluster that was started here ends."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._ray.shutdown()

    @property
    def cores(self) -> int:
        """Number of cores that the nodes offer now."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    @property
    def driver_node(self) -> str:
        """Ray's id of the node that asks: this machine's, or the client server's."""
        return self._ray.get_runtime_context().get_node_id()

    def refuse_unlike_nodes(self) -> None:
        """Raise ClusterError if a node has other versions than this machine, or no racer.

        A line tells each node.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        def probe() -> Any:  # It must work where there is no racer, so it is sent with its code.
            import ray

            try:
                from racer.cluster.node_facts import node_facts as facts
            except ImportError as problem:
                return str(problem)
            return facts(), ray.get_runtime_context().get_node_id()

        asked = {}
        for node in self._alive():
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            remote = self._ray.remote(num_cpus=0, max_retries=3)(probe)
            asked[node] = remote.options(scheduling_strategy=there).remote()
        for node, ref in asked.items():
            try:
                told = self._ray.get(ref)
            except self._ray.exceptions.RayError:
                continue  # It has just left.
            if isinstance(told, str):
                raise ClusterError(f"node {node[:8]}: {told}; {_INSTALL}")
            self.welcome(node, told[0])

    def welcome(self, node: str, facts: NodeFacts) -> str:
        """Return the name of a node in messages, after a check; a line tells a new one.

        Args:
            node: Ray's id of it.
            facts: Its software and processor.

        Raises:
            ClusterError: Its software is not that of this machine.
        """
        name = f"{facts.node} {node[:8]}"
        if other := self._facts.differences(facts):
            raise ClusterError(f"node {name} has {other}; {_INSTALL}")
        if node in self._nodes:
            return name
        self._nodes[node] = name
        digits = ""
        if facts.processor != self._facts.processor:
            digits = (
                f"; its processor is {facts.processor}, here {self._facts.processor}: the last "
                "digits of a race may differ"
            )
        self.say(f"node {name}: {facts.cores} cores{digits}")
        return name

    def tell_lost_nodes(self) -> None:
        """Say which nodes are no longer there."""
        alive = self._alive()
        for node in [one for one in self._nodes if one not in alive]:
            self.say(f"node {self._nodes.pop(node)} is lost; its jobs are run on other nodes")

    def _alive(self) -> set[str]:
        return {one["NodeID"] for one in self._ray.nodes() if one["Alive"]}

    def pool(self, cores: float = 1.0) -> RayPool:
        """Return a pool whose jobs hold a number of cores each."""
        return RayPool(self, cores)

    def whole_nodes(self) -> RayPool:
        """Return a pool whose jobs have a node for themselves, by the cores of the smallest node.

        Raises:
            ClusterError: No node offers a core.
        """
        offers = [one["Resources"].get("CPU", 0.0) for one in self._ray.nodes() if one["Alive"]]
        cores = [one for one in offers if one >= 1.0]
        if not cores:
            raise ClusterError(f"no node of the cluster at {self._address} offers a core")
        return RayPool(self, min(cores))

    def mailbox(self) -> Mailbox:
        """Return a mailbox, through which jobs that run talk with this process."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self.driver_node, soft=False)
        remote = self._ray.remote(num_cpus=0, max_concurrency=1, scheduling_strategy=here)(Letters)
        return Mailbox(remote.remote())

    def start(self, kind: Callable[..., Any], *arguments: Any) -> RemoteObject:
        """Start making an object in a process of its own that holds a core of some node.

        Args:
            kind: Its class.
            arguments: The arguments of its constructor; as those of a job.
        """
        return RemoteObject(self, kind, *arguments)


_INSTALL = (
    "install the same versions on every node: pip install -c constraints.txt of the same "
    "checkout, or one image for all"
)


class RemoteObject:
    """An object on a node. One method at a time is called; then its result is fetched.

    Args:
        cluster: The cluster.
        kind: The object's class.
        arguments: The arguments of its constructor.

    Attributes:
        node: Its node's name; "" before `started`.
    """

    def __init__(self, cluster: RayCluster, kind: Callable[..., Any], *arguments: Any) -> None:
        self._cluster, self._ray, self.node = cluster, cluster._ray, ""
        remote = self._ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(ActorHost)
        self._actor = remote.remote(cluster._facts)
        self._asked = self._actor.begin.remote(kind, *_carried(arguments))

    def started(self, seconds: float) -> None:
        """Wait until the object is made.

        Args:
            seconds: Time limit [s].

        Raises:
            ClusterError: `WorkerLost`, or its node has other software.
            TimeoutError: The time is up.
            Exception: What the constructor raised.
        """
        answer: NodeAnswer = self.result(seconds)
        self.node = self._cluster.welcome(answer.node_id, answer.facts)

    def call(self, method: str, *arguments: Any) -> None:
        """Start calling a method.

        Args:
            method: Its name.
            arguments: Its arguments.
        """
        self._asked = self._actor.call.remote(method, *arguments)

    def result(self, seconds: float) -> Any:
        """Return what the method returned that was called last.

        Args:
            seconds: Time limit [s].

        Raises:
            WorkerLost: The process, or its node, has ended.
            TimeoutError: The time is up.
            Exception: What the method raised.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(self._asked, timeout=seconds)
        except errors.GetTimeoutError as problem:
            raise TimeoutError(f"no answer after {seconds:g} s") from problem
        except errors.RayError as problem:
            if (raised := raised_in_job(problem)) is not None:
                raise raised from problem
            raise WorkerLost(first_sentence(problem)) from problem

    def end(self) -> None:
        """End the object's process."""
        with suppress(Exception):  # The process or the cluster may be gone.
            self._ray.kill(self._actor)


class _Job(NamedTuple):
    """A job that was submitted.

    Attributes:
        key: Its key.
        work: Its function.
        arguments: The function's arguments.
        losses: How often its worker was lost.
    """

    key: Hashable
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    losses: int = 0


class RayPool(JobPool):
    """Runs jobs on a cluster's nodes.

    A job whose worker or node is lost is run again elsewhere, up to `MAX_LOSSES` times. Nodes that
    join later get jobs too.

    Args:
        cluster: The cluster.
        cores: Number of cores that a job holds.
    """

    def __init__(self, cluster: RayCluster, cores: float = 1.0) -> None:
        super().__init__()
        self.cluster, self._cores, self._ray = cluster, cores, cluster._ray
        # One for all jobs, as Ray sends each function's code to all nodes.
        self._remote = self._ray.remote(num_cpus=cores, max_retries=0)(run_job)
        self._sent: OrderedDict[Path, Any] = OrderedDict()
        self._flying: dict[Any, _Job] = {}
        self._again: list[_Job] = []
        self._looked, self._coreless = 0.0, 0.0
        self._workers = 1

    @property
    def workers(self) -> int:
        """Number of jobs that the nodes can run at the same time."""
        self._workers = max(1, int(self.cluster.cores / self._cores))
        return self._workers

    @property
    def cores_per_job(self) -> float:
        """Number of cores that a job holds."""
        return self._cores

    def _run(
        self, work: Callable[..., Outcome], given: Mapping[Key, tuple[Any, ...]]
    ) -> Iterator[Finished[Key, Outcome]]:
        waiting = deque(given)
        try:
            while waiting or self.running:
                self._look()
                while waiting and self.running < JOBS_PER_CORE * self._workers:
                    key = waiting.popleft()
                    self.submit(key, work, *given[key])
                yield from self.poll()
        finally:
            self.cancel()

    @property
    def running(self) -> int:
        """Number of jobs that were submitted and have not ended."""
        return len(self._flying) + len(self._again)

    def submit(self, key: Hashable, work: Callable[..., Any], *arguments: Any) -> None:
        """Start a job as soon as a core is free; `poll` tells when it has ended.

        Args:
            key: The job's key.
            work: The function.
            arguments: Its arguments.
        """
        self._submit(_Job(key, work, arguments))

    def _submit(self, job: _Job) -> None:
        sent = [self._send(one) for one in job.arguments]
        self._flying[self._remote.remote(self.cluster._facts, job.work, *sent)] = job

    def poll(self, seconds: float = CLUSTER_POLL_S) -> list[Finished[Any, Any]]:
        """Return the jobs that have ended; if there is none, wait a moment for one.

        Args:
            seconds: Longest time to wait [s].

        Raises:
            ClusterError: A job's worker was lost too often, a node has other software, or the
                cluster has had no core for too long.
        """
        self._look()
        for job in self._again:
            self._submit(job)
        self._again = []
        finished = []
        for ref in self._done(seconds):
            job = self._flying.pop(ref)
            try:
                answer: NodeAnswer = self._ray.get(ref)
            except self._ray.exceptions.RayError as problem:
                if (raised := raised_in_job(problem)) is not None:
                    raise raised from problem
                self._again.append(job._replace(losses=job.losses + 1))
                self._sent.clear()  # Perhaps a file could not be fetched.
                self._lost(problem, job.losses + 1)
                continue
            node = self.cluster.welcome(answer.node_id, answer.facts)
            finished.append(Finished(job.key, answer.outcome, node, answer.took_s))
        return finished

    def cancel(self, key: Hashable = None) -> None:
        """End a job that has not ended.

        Args:
            key: Its key; None for all jobs.
        """
        for ref, job in list(self._flying.items()):
            if key is None or job.key == key:
                del self._flying[ref]
                with suppress(Exception):  # The cluster may be gone.
                    self._ray.cancel(ref, force=True)
        self._again = [job for job in self._again if key is not None and job.key != key]

    def _done(self, seconds: float) -> list[Any]:
        """Wait a moment for jobs to end, and return all that have."""
        if not self._flying:
            return []
        ready, others = self._ray.wait(list(self._flying), num_returns=1, timeout=seconds)
        if ready and others:
            ready += self._ray.wait(others, num_returns=len(others), timeout=0)[0]
        return ready

    def _lost(self, problem: Exception, count: int) -> None:
        """Say that a job's worker is lost, or raise ClusterError if it is so again and again."""
        why = first_sentence(problem)
        if count >= MAX_LOSSES:
            raise ClusterError(
                f"the worker of one job was lost {count} times, the last time because: {why}; "
                "perhaps memory ran out: look into Ray's logs on the nodes, in "
                "/tmp/ray/session_latest/logs, and start nodes with fewer --num-cpus"
            )
        self.cluster.tell_lost_nodes()
        self.cluster.say(f"a worker is lost, and its job is run again: {why}")

    def _look(self) -> None:
        """Look at the cluster from time to time: how many cores it has, and who left.

        Raises:
            ClusterError: It has had no core for `NO_CORE_TIMEOUT_S`.
        """
        now = time.monotonic()
        if now - self._looked < CLUSTER_POLL_S:
            return
        self._looked = now
        self.cluster.tell_lost_nodes()
        if self.workers and self.cluster.cores >= self._cores:
            self._coreless = 0.0
            return
        self._coreless = self._coreless or now
        if now - self._coreless > NO_CORE_TIMEOUT_S:
            raise ClusterError(
                f"no node with {self._cores:g} cores has been in the cluster for "
                f"{NO_CORE_TIMEOUT_S:g} s; start nodes, and run the command again"
            )

    def _send(self, argument: Any) -> Any:
        """Return an argument as it is sent: a file as a reference to its content."""
        if not isinstance(argument, Path):
            return argument
        if argument not in self._sent:
            self._sent[argument] = self._ray.put(CarriedFiles.read(argument))
        self._sent.move_to_end(argument)
        while len(self._sent) > KEPT_FILES:
            self._sent.popitem(last=False)
        return self._sent[argument]


def _carried(arguments: tuple[Any, ...]) -> list[Any]:
    return [CarriedFiles.read(one) if isinstance(one, Path) else one for one in arguments]


def raised_in_job(problem: Exception) -> Exception | None:
    """Return the exception that a job's own code raised; None if Ray lost the job or its arguments.

    A node that cannot import racer, or a package of it, raises ClusterError.

    Args:
        problem: What Ray raised.
    """
    from ray.exceptions import RayError, RayTaskError

    if not isinstance(problem, RayTaskError) or isinstance(problem.cause, RayError):
        return None
    if "No module named" in f"{problem} {problem.cause}":
        return ClusterError(f"a node cannot run a job: {problem.cause}; {_INSTALL}")
    return problem.as_instanceof_cause()


def first_sentence(problem: Exception) -> str:
    """Return the beginning of an error's message, which in Ray's may be a page in colours."""
    text = " ".join(re.sub(r"\x1b\[\d*m", "", str(problem)).split())
    return f"{type(problem).__name__}: {text.partition('. ')[0][:200]}"

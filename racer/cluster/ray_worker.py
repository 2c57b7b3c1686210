"""What runs in Ray's worker processes on the nodes: jobs, and objects that stay there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from racer.assets.library_logs import keep_libraries_quiet
from racer.cluster.carried_files import CarriedFiles
from racer.cluster.node_facts import NodeFacts, node_facts


class NodeAnswer(NamedTuple):
    """What a node answers.

    Attributes:
        node_id: Ray's id of the node.
        facts: The node's software and processor.
        outcome: What the function returned; None if it was not called, because the node's software
            is not that of the machine which asked.
        took_s: How long it ran [s].
    """

    node_id: str
    facts: NodeFacts
    outcome: Any
    took_s: float


def run_job(wanted: NodeFacts, work: Callable[..., Any], *arguments: Any) -> NodeAnswer:
    """Call a function, if this node's software is that of the machine which asks for it.

    Args:
        wanted: The facts of that machine.
        work: The function.
        arguments: Its arguments; `CarriedFiles` are written here, and their path is passed.
    """
    facts = node_facts()
    if wanted.differences(facts):
        return NodeAnswer(_node_id(), facts, None, 0.0)
    began = time.perf_counter()
    outcome = work(*local_arguments(arguments))
    return NodeAnswer(_node_id(), facts, outcome, time.perf_counter() - began)


def local_arguments(arguments: tuple[Any, ...]) -> list[Any]:
    """Return arguments with the paths of copies in place of files that were sent."""
    return [one.unpack() if isinstance(one, CarriedFiles) else one for one in arguments]


class ActorHost:
    """An object in a process of its own on a node, whose methods are called from elsewhere.

    Args:
        wanted: The facts of the machine that asks for it.
    """

    def __init__(self, wanted: NodeFacts) -> None:
        self._wanted = wanted
        self._object: Any = None

    def begin(self, kind: Callable[..., Any], *arguments: Any) -> NodeAnswer:
        """Make the object.

        Args:
            kind: Its class.
            arguments: The arguments of its constructor, as in `run_job`.
        """
        keep_libraries_quiet()

        def make(*own: Any) -> None:
            self._object = kind(*own)

        return run_job(self._wanted, make, *arguments)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object.

        Args:
            method: The method's name.
            arguments: Its arguments.
        """
        return getattr(self._object, method)(*arguments)


def _node_id() -> str:
    import ray

    return ray.get_runtime_context().get_node_id()

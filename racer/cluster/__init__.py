"""Jobs and workers on this machine's cores, or on the machines of a Ray cluster."""

from racer.cluster.address import LOCAL_CLUSTER, open_pool
from racer.cluster.cost import Cost
from racer.cluster.jobs import Finished, JobPool, LocalPool

__all__ = ["LOCAL_CLUSTER", "Cost", "Finished", "JobPool", "LocalPool", "open_pool"]

"""Memory that the workers share."""

import pytest
from gymnasium.spaces import Box

from racer.errors import RunError
from racer.training.shared_memory import memory_layout, shared_block


def test_a_machine_without_shared_memory_is_told_what_to_do():
    class Full:
        def RawArray(self, *words):
            raise OSError(30, "Read-only file system", "/dev/shm/pym-1")

    plan = memory_layout(Box(0, 1, (3,)), Box(-1, 1, (2,)), 4)
    with pytest.raises(RunError, match=r"/dev/shm.*--workers 1"):
        shared_block(plan, Full())

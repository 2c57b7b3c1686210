"""The sensors of cars on a device: what each must offer, and the one place that makes them."""

from __future__ import annotations

from typing import Any, Protocol

from gymnasium import spaces


class GpuSensor(Protocol):
    """Takes single frames of n cars on the device, without a synchronisation with the host."""

    @property
    def space(self) -> spaces.Box:
        """The space of one frame of one car."""
        ...

    def observe(self, poses: Any, out: Any, line: Any = None, mask: Any = None) -> None:
        """Take a frame of cars by launching kernels; nothing is allocated, so a graph can hold it.

        Args:
            poses: x, y, z [m] of the centre of mass and quaternion x y z w, Warp array (n, 7)
                float64.
            out: Filled with frames, Warp array (n, *space.shape) of the space's dtype.
            line: The line that each car drives, an index into `Roads.lines` (two for each track:
                forward, then reversed), Warp array (n,) int32; None where all drive line 0.
            mask: Cars whose rows are filled, those with another value than 0, Warp array (n,)
                int32; None for all. Other rows stay as they are.
        """
        ...

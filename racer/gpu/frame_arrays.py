"""What every sensor on a device has for each car: frame states, and defaults of arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from racer.gpu.runtime import load_warp
from racer.randomisation import DRAWN_QUANTITIES, Randomisation, neutral_draws

if TYPE_CHECKING:
    import warp as wp


class FrameArrays:
    """The states of n cars' frames, and the arrays that stand for arguments that are not given.

    Args:
        n: Number of cars.
        device: A device of Warp.
        stack: Frames in one observation.
        randomisation: What the draws may change.

    Attributes:
        frames: A `FrameState` for each car, (n,).
        slots: Frames of each car that must be kept: one less than in a stack, but one at least
            where frames may be dropped.
    """

    def __init__(self, n: int, device: Any, stack: int, randomisation: Randomisation) -> None:
        from racer.gpu.frame_kernels import FrameState

        warp = load_warp()
        self.frames = warp.zeros(n, dtype=FrameState, device=device)
        drops = "dropped_frames" in varied_quantities(randomisation)
        self.slots = max(stack - 1, int(drops))
        self._everyone = warp.full(n, 1, dtype=warp.int32, device=device)
        self._first_line = warp.zeros(n, dtype=warp.int32, device=device)
        self._seeds = warp.zeros(n, dtype=warp.uint64, device=device)
        numbers = drawn_numbers(neutral_draws(n))
        self._draws = warp.array(numbers, dtype=warp.float64, device=device)

    @property
    def bytes_per_car(self) -> int:
        """Memory of these arrays for each car [bytes]."""
        arrays = self.frames, self._everyone, self._first_line, self._seeds, self._draws
        return sum(array.strides[0] for array in arrays)

    def of_start(
        self, mask: wp.array | None, seeds: wp.array | None, draws: wp.array | None
    ) -> tuple[wp.array, wp.array, wp.array]:
        """Return mask, seeds and draws of episodes that begin: for None all cars, neutral draws.

        Args:
            mask: As in `GpuCamera.start`.
            seeds: As there.
            draws: As there.
        """
        return (
            self._everyone if mask is None else mask,
            self._seeds if seeds is None else seeds,
            self._draws if draws is None else draws,
        )

    def of_observation(
        self, mask: wp.array | None, line: wp.array | None
    ) -> tuple[wp.array, wp.array]:
        """Return the mask and the lines of cars that observe, all on the first line for None."""
        return (
            self._everyone if mask is None else mask,
            self._first_line if line is None else line,
        )


def varied_quantities(randomisation: Randomisation) -> set[str]:
    """Return the names of the quantities that a draw can change."""
    neutral = neutral_draws(1)[0]
    ranges = {name: getattr(randomisation, name) for name in DRAWN_QUANTITIES}
    return {name for name, ends in ranges.items() if set(ends) != {neutral[name]}}


def drawn_numbers(draws: np.ndarray) -> np.ndarray:
    """Return rows of `DRAW_DTYPE` (n,) as numbers (n, quantities) in that order, without seeds."""
    return np.stack([draws[name] for name in DRAWN_QUANTITIES], axis=1)

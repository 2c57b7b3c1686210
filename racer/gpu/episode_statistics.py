"""What the finished episodes of cars on a device have got."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from racer.race.config import LAPS_COMPLETE, RUNNING, Ending


@dataclass(frozen=True)
class EpisodeStatistics:
    """What the episodes that ended since the last reading have got; means are NaN without any.

    Attributes:
        episodes: How many ended.
        mean_return: Mean sum of rewards.
        mean_steps: Mean number of control steps.
        mean_progress: Mean progress of the last lap [percent].
        laps: Completed laps.
        mean_lap_time: Mean time of the last lap of the episodes with a completed one [s].
        off_tracks: Times that a car left the road.
        collisions: Crashes.
        resets: Resets to the track.
        endings: How many episodes ended in each way.
    """

    episodes: int
    mean_return: float
    mean_steps: float
    mean_progress: float
    laps: int
    mean_lap_time: float
    off_tracks: int
    collisions: int
    resets: int
    endings: dict[Ending, int]

    @property
    def success_rate(self) -> float:
        """Share of the episodes in which all laps were completed; NaN without any."""
        done = self.endings[Ending(LAPS_COMPLETE)]
        return done / self.episodes if self.episodes else math.nan


def statistics_of(sums: np.ndarray) -> EpisodeStatistics:
    """Return statistics from the sums over episodes, in the order of `FINISHED`."""
    from racer.gpu.rule_kernels import FINISHED

    of = dict(zip(FINISHED, sums.tolist()))

    def mean(name: str, count: str = "episodes") -> float:
        return of[name] / of[count] if of[count] else math.nan

    return EpisodeStatistics(
        episodes=round(of["episodes"]),
        mean_return=mean("rewards"),
        mean_steps=mean("steps"),
        mean_progress=mean("progress"),
        laps=round(of["laps"]),
        mean_lap_time=mean("lap_time", "timed"),
        off_tracks=round(of["off_tracks"]),
        collisions=round(of["collisions"]),
        resets=round(of["resets"]),
        endings={one: round(of[f"ending_{int(one)}"]) for one in Ending if one != RUNNING},
    )

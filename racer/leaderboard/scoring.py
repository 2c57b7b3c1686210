"""What a season's runs come to: completion, times, the interquartile mean and its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season

BOOTSTRAP_RESAMPLES = 2000
"""Of the bootstrap, from a fixed seed: the same runs have the same interval each time."""
CONFIDENCE_LEVEL = 0.95
RUN_OUTCOMES = {"laps_complete": "finished", "time_up": "time_out"}
"""What the board calls these endings of a run; the others keep their names."""


@dataclass(frozen=True)
class SeasonScore:
    """What an entry's runs of a season come to.

    Attributes:
        laps: Laps asked for, over all runs.
        laps_completed: Laps driven to their end.
        lap_times_s: Times of those with penalties [s], run after run.
        total_s: Their sum [s]; None where a lap is missing.
        best_s: The sum of the best lap on each track in each direction [s]; None where one has
            no lap.
        average_s: The mean of the completed laps [s]; None without one.
        iqm_s: The interquartile mean over the runs of `values` [s].
        interval_s: Its 95 % interval [s].
        values: Each run's mean lap [s], as if its track were as long as the season's mean track;
            a run that is not finished has the season's whole time limit.
        x_limit: The mean over the runs of their time in multiples of the least; None where one
            is not known or not finished.
        limit_s: The least time of all runs [s]; None where one is not known.
        outcomes: How many runs ended in which way.
    """

    laps: int
    laps_completed: int
    lap_times_s: list[float]
    total_s: float | None
    best_s: float | None
    average_s: float | None
    iqm_s: float
    interval_s: tuple[float, float]
    values: np.ndarray
    x_limit: float | None
    limit_s: float | None
    outcomes: dict[str, int]

    @property
    def completion(self) -> float:
        """Share of the laps that were completed, 0-1."""
        return self.laps_completed / self.laps


def season_score(season: Season, runs: Sequence[RunResult]) -> SeasonScore:
    """What runs come to, each as the board keeps it, in the season's order."""
    laps = [time for run in runs for time in run.lap_times_s]
    completed = sum(run.laps_completed for run in runs)
    is_whole = completed == season.race.laps * len(runs)
    strata = strata_of(runs)
    best: dict[str, float] = {}
    for stratum, run in zip(strata, runs):
        if run.lap_times_s:
            best[stratum] = min(*run.lap_times_s, best.get(stratum, np.inf))
    values = run_values(season, runs)
    ratios = [run.x_limit for run in runs if run.x_limit is not None]
    limits = [run.limit_s for run in runs if run.limit_s is not None]
    endings = [run.ending for run in runs]
    return SeasonScore(
        laps=season.race.laps * len(runs),
        laps_completed=completed,
        lap_times_s=laps,
        total_s=sum(laps) if is_whole else None,
        best_s=sum(best.values()) if len(best) == len(set(strata)) else None,
        average_s=sum(laps) / len(laps) if laps else None,
        iqm_s=float(interquartile_mean(values)),
        interval_s=bootstrap_interval(values, strata),
        values=values,
        x_limit=float(np.mean(ratios)) if len(ratios) == len(runs) else None,
        limit_s=float(sum(limits)) if len(limits) == len(runs) else None,
        outcomes=dict(Counter(RUN_OUTCOMES.get(ending, ending) for ending in endings)),
    )


def strata_of(runs: Sequence[RunResult]) -> list[str]:
    """Of each run what it has in common with those that differ only in their seeds."""
    return [f"{run.track} {run.direction}" for run in runs]


def run_values(season: Season, runs: Sequence[RunResult]) -> np.ndarray:
    """What each run counts in the interquartile mean [s]; see `Score.values`."""
    lengths = np.array([1.0 if run.length_m is None else run.length_m for run in runs])
    is_finished = np.array([run.laps_completed == season.race.laps for run in runs])
    mean_lap = np.array([sum(run.lap_times_s) / season.race.laps for run in runs])
    alike = mean_lap * lengths.mean() / lengths
    return np.where(is_finished, alike, season.race.time_limit / season.race.laps)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean of the middle half of the last axis (..., n).

    A quarter of n is left out at each end; where that is no whole number, the two values at the
    borders count with the share of them that lies inside.
    """
    n = values.shape[-1]
    edges = np.arange(n + 1)
    inside = np.clip(edges[1:], n / 4, 3 * n / 4) - np.clip(edges[:-1], n / 4, 3 * n / 4)
    return np.sort(values, axis=-1) @ inside / (n / 2)


def bootstrap_interval(values: np.ndarray, strata: Sequence[str]) -> tuple[float, float]:
    """The 95 % interval of the interquartile mean by a bootstrap within each stratum.

    Runs on one track in one direction are drawn again from among themselves. A stratum of k runs
    is spread by sqrt(k / (k - 1)) about its mean first, because its resamples would vary by so
    much less than new runs do; one of a single run does not vary.

    Args:
        values: Of each run, (n,); of a paired comparison the values are differences of two.
        strata: What each belongs to, (n,).
    """
    return _between(interquartile_mean(_resampled(values, strata)))


def paired_interval(
    ours: np.ndarray, theirs: np.ndarray, strata: Sequence[str]
) -> tuple[float, float]:
    """The 95 % interval of the difference of two interquartile means over the same runs.

    Each resample takes the same runs of both, so that what a seed does to everybody cancels out.
    """
    mine, other = (interquartile_mean(_resampled(one, strata)) for one in (ours, theirs))
    return _between(mine - other)


def _between(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, ((1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2))
    return float(low), float(high)


def _resampled(values: np.ndarray, strata: Sequence[str]) -> np.ndarray:
    """Values of each resample, (RESAMPLES, n)."""
    spread = values.astype(float)
    for one in set(strata):
        mine = np.array([stratum == one for stratum in strata])
        k, middle = mine.sum(), values[mine].mean()
        if k > 1:
            spread[mine] = middle + (values[mine] - middle) * np.sqrt(k / (k - 1))
    return spread[_draws(tuple(strata))]


@lru_cache(maxsize=16)
def _draws(strata: tuple[str, ...]) -> np.ndarray:
    """Which runs each resample takes, (RESAMPLES, n)."""
    generator = np.random.default_rng(0)
    names, index = np.array(strata), np.zeros((BOOTSTRAP_RESAMPLES, len(strata)), dtype=np.int64)
    for one in dict.fromkeys(strata):
        mine = np.flatnonzero(names == one)
        index[:, mine] = mine[generator.integers(len(mine), size=(BOOTSTRAP_RESAMPLES, len(mine)))]
    return index

"""The score of a season's runs: laps, times, the interquartile mean and its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from racer.leaderboard.run_result import RunResult
from racer.leaderboard.season import Season

BOOTSTRAP_RESAMPLES = 2000
"""Number of resamples, from a fixed seed: the same runs have the same interval each time."""
CONFIDENCE_LEVEL = 0.95
RUN_OUTCOMES = {"laps_complete": "finished", "time_up": "time_out"}
"""Names of these endings of a run on the board; the others keep their names."""


@dataclass(frozen=True)
class SeasonScore:
    """The score of an entry's runs of a season.

    Attributes:
        laps: Laps to complete in all runs.
        laps_completed: Completed laps of all runs.
        lap_times_s: Time of each completed lap with penalties [s], run after run.
        total_s: Sum of the lap times [s]; None if a lap is missing.
        best_s: Sum of the fastest lap on each track in each direction [s]; None if one of them has
            no lap.
        average_s: Mean of the lap times [s]; None if there is none.
        iqm_s: Interquartile mean of `values` [s].
        interval_s: Lower and upper end of the 95 % interval of `iqm_s` [s].
        values: What `run_values` returns [s], (n,).
        x_limit: Mean over the runs of their time in multiples of the minimum; None if a minimum is
            unknown or a run is not finished.
        limit_s: Sum of the minimum times of all runs [s]; None if one is unknown.
        outcomes: Number of runs by how they ended.
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
    """Return the score of a submission's runs, in the season's order."""
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
    """Return each run's track and direction, which runs with other seeds have in common."""
    return [f"{run.track} {run.direction}" for run in runs]


def run_values(season: Season, runs: Sequence[RunResult]) -> np.ndarray:
    """Return what each run counts in the interquartile mean [s], (n,).

    It is the run's mean lap, scaled to the mean length of the season's tracks; for a run that is
    not finished, the season's whole time limit divided by the laps.
    """
    lengths = np.array([1.0 if run.length_m is None else run.length_m for run in runs])
    is_finished = np.array([run.laps_completed == season.race.laps for run in runs])
    mean_lap = np.array([sum(run.lap_times_s) / season.race.laps for run in runs])
    alike = mean_lap * lengths.mean() / lengths
    return np.where(is_finished, alike, season.race.time_limit / season.race.laps)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half of the last axis, (..., n) to (...).

    A quarter of the sorted n values is left out at each end. If n / 4 is not whole, the two values
    at the borders count with the part of them that is inside.
    """
    n = values.shape[-1]
    edges = np.arange(n + 1)
    inside = np.clip(edges[1:], n / 4, 3 * n / 4) - np.clip(edges[:-1], n / 4, 3 * n / 4)
    return np.sort(values, axis=-1) @ inside / (n / 2)


def bootstrap_interval(values: np.ndarray, strata: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval of the interquartile mean by a bootstrap within each stratum.

    The runs of a stratum, which is a track in a direction, are drawn again from that stratum. The
    k values of a stratum are first spread about their mean by sqrt(k / (k - 1)), because otherwise
    resamples would vary less than new runs do. A stratum of a single run does not vary.

    Args:
        values: The value of each run, (n,).
        strata: The stratum of each run, n names.
    """
    return _between(interquartile_mean(_resampled(values, strata)))


def paired_interval(
    ours: np.ndarray, theirs: np.ndarray, strata: Sequence[str]
) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two interquartile means over the same runs.

    Each resample takes the same runs of both entries, so the influence of a seed on both cancels
    out.

    Args:
        ours: The value of each run of one entry, (n,).
        theirs: The value of the same runs of the other entry, (n,).
        strata: The stratum of each run, n names.
    """
    mine, other = (interquartile_mean(_resampled(one, strata)) for one in (ours, theirs))
    return _between(mine - other)


def _between(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(draws, ((1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2))
    return float(low), float(high)


def _resampled(values: np.ndarray, strata: Sequence[str]) -> np.ndarray:
    """Return the spread values of each resample, (BOOTSTRAP_RESAMPLES, n)."""
    spread = values.astype(float)
    for one in set(strata):
        mine = np.array([stratum == one for stratum in strata])
        k, middle = mine.sum(), values[mine].mean()
        if k > 1:
            spread[mine] = middle + (values[mine] - middle) * np.sqrt(k / (k - 1))
    return spread[_draws(tuple(strata))]


@lru_cache(maxsize=16)
def _draws(strata: tuple[str, ...]) -> np.ndarray:
    """Return the indices of the runs in each resample, (BOOTSTRAP_RESAMPLES, n)."""
    generator = np.random.default_rng(0)
    names, index = np.array(strata), np.zeros((BOOTSTRAP_RESAMPLES, len(strata)), dtype=np.int64)
    for one in dict.fromkeys(strata):
        mine = np.flatnonzero(names == one)
        index[:, mine] = mine[generator.integers(len(mine), size=(BOOTSTRAP_RESAMPLES, len(mine)))]
    return index

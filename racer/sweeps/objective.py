"""What a sweep maximizes: completed laps first, then time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from racer.training.run_history import evaluation_progress


def evaluation_value(
    races: Sequence[dict[str, Any]], lengths: Sequence[float], time_limit: float
) -> float:
    """Return the value of an evaluation: its completed laps, plus a fraction.

    More completed laps are always better. If all laps of all races are complete, the fraction is
    the mean of the minimum time divided by the time that was needed, penalties included, so less
    time is better; 3.5 for three laps is twice the minimum. For a track without a known minimum it
    is the share of the time limit that was left. Otherwise the fraction is the mean progress.

    Args:
        races: The race on each track, as `LapResult.as_dict` returns it.
        lengths: The length of each track [m].
        time_limit: The time limit of a race [s].
    """
    completed = sum(one["laps_completed"] for one in races)
    if completed < sum(one["laps"] for one in races):
        shares = [evaluation_progress(*pair) / 100.0 for pair in zip(races, lengths, strict=True)]
    else:
        shares = [_speed(one, time_limit) for one in races]
    # Less than 1, so that it never outweighs a lap.
    return completed + min(sum(shares) / len(shares), 0.9999)


def _speed(race: dict[str, Any], time_limit: float) -> float:
    if race["x_limit"]:
        return 1.0 / race["x_limit"]
    return max(0.0, 1.0 - (race["total_time_s"] or time_limit) / time_limit)

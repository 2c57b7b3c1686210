"""What judging cost: a line for each call of `run_season`, in a file beside the board."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from racer.cluster.cost import Cost
from racer.errors import BoardError
from racer.leaderboard.season import Season
from racer.leaderboard.store import BoardStore

if TYPE_CHECKING:
    from racer.leaderboard.batch import BatchSummary

COSTS_FILE = "costs.jsonl"
"""The file in the board's folder. What judging cost is no part of the board's records, whose bytes
are the same wherever a season is judged."""


def keep_cost(store: BoardStore, season: Season, cost: Cost, found: BatchSummary) -> None:
    """Append what judging cost.

    Args:
        store: The board.
        season: The season.
        cost: The cost.
        found: What was judged.

    Raises:
        BoardError: The file cannot be written.
    """
    path = store.folder / COSTS_FILE
    told = {
        "season": season.name,
        "digest": season.digest,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "races": found.races,
        "kept": found.kept,
        "added": len(found.added),
        "workers": found.workers,
        **cost.as_dict(),
    }
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
    except OSError as problem:
        raise BoardError(f"{path}: cannot be written: {problem.strerror}") from problem


def costs_of(store: BoardStore, season: Season) -> list[dict[str, Any]]:
    """Return what each call of `run_season` for a season cost, the first one first.

    Returns:
        Dicts of `season`, its `digest`, `ended` (UTC, ISO 8601), `races` judged, races `kept` from
        before, entries `added`, `workers`, and what `Cost.as_dict` returns.
    """
    try:
        lines = (store.folder / COSTS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    told = [json.loads(line) for line in lines]
    return [one for one in told if one["digest"] == season.digest]

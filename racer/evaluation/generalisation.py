"""What a policy does on tracks that it was trained on, and on those that it was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from racer import assets
from racer.assets.document import read_document
from racer.errors import TrackError
from racer.evaluation import LapResult, evaluate_entries, make_race_rules, race_of_training
from racer.tables import FittedTable, TableColumn
from racer.track.track_file import TRACK_SETS, TrackFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from racer.entries.package import Entry


def tracks_in_set(chosen: str) -> list[str]:
    """Names of the shipped tracks of a set."""
    return [
        name
        for name in assets.shipped_names("tracks")
        if read_document(assets.find_file(name, "tracks", TrackError), TrackFile, TrackError).set
        == chosen
    ]


def evaluate_all_tracks(
    entry: Entry | str, laps: int = 3, seed: int = 0
) -> Iterator[tuple[str, LapResult]]:
    """Each shipped track's set and what the judge saw there, one after another.

    An entry drives in the race that it was trained in, a pilot on an empty road.

    Args:
        entry: The entry, or a pilot's name.
        laps: Laps to drive on each track.
        seed: Seed of the environment.
    """
    rules = make_race_rules(laps, like=race_of_training(entry))
    for chosen in TRACK_SETS:
        for track in tracks_in_set(chosen):
            yield chosen, evaluate_entries([entry], track, rules, seed)[0]


def summarize_by_set(seen: list[tuple[str, LapResult]]) -> list[dict[str, Any]]:
    """A set a row: its name, its `tracks`, the share of laps completed, and the `x_limit`.

    `completion` is the share of laps that were driven, `clean` the share of tracks on which the
    car was never put back. `x_limit` is the median over the tracks whose laps were all driven,
    None where there is none.
    """
    rows = []
    for chosen in TRACK_SETS:
        results = [result for its_set, result in seen if its_set == chosen]
        known = [result.x_limit for result in results if result.x_limit]
        rows.append(
            {
                "set": chosen,
                "tracks": len(results),
                "completion": sum(r.laps_completed for r in results) / sum(r.laps for r in results),
                "clean": float(np.mean([result.is_clean for result in results])),
                "x_limit": float(np.median(known)) if known else None,
            }
        )
    return rows


def generalisation_table(seen: list[tuple[str, LapResult]]) -> FittedTable:
    """Every track and, in bold, every set, for a person."""
    shown = FittedTable(
        TableColumn("set", "left", drop=1),
        TableColumn("track", "left", least=12),
        *(TableColumn(heading) for heading in ("laps", "x limit", "put back")),
        title=f"{seen[0][1].laps} laps of each track from a standing start",
    )
    for row in summarize_by_set(seen):
        results = [result for its_set, result in seen if its_set == row["set"]]
        for result in results:
            laps = f"{result.laps_completed}/{result.laps}"
            put_back = str(result.resets or "")
            shown.add_row(row["set"], result.track, laps, _times(result.x_limit), put_back)
        together = f"{row['completion']:.0%}"
        clean = f"{row['clean']:.0%} clean"
        shown.add_row(
            "", f"all {row['tracks']}", together, _times(row["x_limit"]), clean, style="bold"
        )
        shown.add_section()
    return shown


def _times(x_limit: float | None) -> str:
    return "-" if x_limit is None else f"{x_limit:.2f}"

"""Evaluation of a policy on every shipped track: those it was trained on and unseen ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from racer import assets
from racer.assets.document import read_document
from racer.cluster.jobs import JobPool
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import TrackError
from racer.evaluation import LapResult, evaluate_entries, make_race_rules, race_of_training
from racer.tables import FittedTable, TableColumn, decimal_cell
from racer.track.track_file import TRACK_SETS, TrackFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from racer.entries.package import Entry
    from racer.race import RaceConfig


def tracks_in_set(chosen: str) -> list[str]:
    """Return the names of the shipped tracks of a set."""
    return [
        name
        for name in assets.shipped_names("tracks")
        if read_document(assets.find_file(name, "tracks", TrackError), TrackFile, TrackError).set
        == chosen
    ]


def evaluate_all_tracks(
    entry: Entry | str, laps: int = 3, seed: int = 0, pool: JobPool | None = None
) -> Iterator[tuple[str, LapResult]]:
    """Yield the set and the result of each shipped track, in the order of the sets.

    An entry drives the kind of race it was trained in, a baseline controller a time trial.

    Args:
        entry: The entry, or a baseline controller's name.
        laps: Laps to drive on each track.
        seed: Seed of the environment.
        pool: Where the races are driven, several at a time, an entry in its sandbox. None: in this
            process, one after another. The results have the same bytes, but those of a pool have
            no `scene`.

    Raises:
        ClusterError: The pool's workers were lost.
    """
    rules = make_race_rules(laps, like=race_of_training(entry))
    tracks = [(chosen, track) for chosen in TRACK_SETS for track in tracks_in_set(chosen)]
    if pool is None:
        for chosen, track in tracks:
            yield chosen, evaluate_entries([entry], track, rules, seed)[0]
        return
    ended: dict[tuple[str, str], LapResult] = {}
    given = {one: (entry, one[1], rules, seed) for one in tracks}
    for finished in pool.run(race_in_sandbox, given):
        ended[finished.key] = finished.outcome
        while tracks and tracks[0] in ended:
            yield tracks[0][0], ended.pop(tracks.pop(0))


def race_in_sandbox(entry: Entry | str, track: str, rules: RaceConfig, seed: int) -> LapResult:
    """Return the result of a race, with the policy in its sandbox, and without its `scene`.

    Args:
        entry: The entry, or a baseline controller's name.
        track: The track.
        rules: The race.
        seed: Seed of the environment.
    """
    result = evaluate_entries([entry], track, rules, seed, policy_of=SandboxedPolicy)[0]
    return dataclasses.replace(result, scene=None)


def summarize_by_set(seen: list[tuple[str, LapResult]]) -> list[dict[str, Any]]:
    """Return one row for each set of tracks.

    Returns:
        Dicts of `set` (its name), `tracks` (their number), `completion` (share of laps
        completed), `clean` (share of tracks without a reset to the track) and `x_limit` (median
        of lap time over minimum lap time on tracks where all laps were completed, or None).
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
    """Return a table of every track and, in bold, every set."""
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
            shown.add_row(row["set"], result.track, laps, decimal_cell(result.x_limit), put_back)
        together = f"{row['completion']:.0%}"
        clean = f"{row['clean']:.0%} clean"
        shown.add_row(
            "", f"all {row['tracks']}", together, decimal_cell(row["x_limit"]), clean, style="bold"
        )
        shown.add_section()
    return shown

"""Judge 1,000 short races of copies of one entry, and compare the time with the ideal."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from racer.cli.output import progress
from racer.entries.package import read_entry, save_entry
from racer.leaderboard.batch import run_season
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore


def main() -> None:
    """Copy the entry under other names, judge all of them, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entry", type=Path)
    parser.add_argument("--entries", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int)
    asked = parser.parse_args()
    season = Season(
        name="many",
        tracks=("oval",),
        seeds=tuple(range(asked.seeds)),
        race=SeasonRaceConfig(laps=1, time_limit=5),
        car=read_entry(asked.entry).manifest.car,
    )
    with tempfile.TemporaryDirectory() as folder:
        entries = Path(folder) / "entries"
        entries.mkdir()
        copy(asked.entry, entries, asked.entries)
        store = BoardStore(Path(folder) / "board")
        for what in ("judging", "again"):
            with progress(what) as tell:
                found = run_season(store, season, entries, workers=asked.workers, tell=tell)
            print(
                f"{what}: {found.races} races, {found.kept} kept, {found.workers} workers, "
                f"{found.wall_s:.1f} s; races alone {found.race_s:.1f} s, ratio {found.ratio}"
            )


def copy(path: Path, folder: Path, count: int) -> None:
    """Write `count` copies of the entry, each under another name."""
    entry = read_entry(path)
    manifest = entry.manifest
    for k in range(count):
        save_entry(
            folder / f"{k:03}.entry.zip",
            entry.policy,
            name=f"copy {k}",
            env=manifest.env,
            sensor=manifest.sensor,
            actions=manifest.actions,
            trained_on=manifest.trained_on,
            car=manifest.car,
        )


if __name__ == "__main__":
    main()

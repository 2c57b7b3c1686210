"""Train a config on several tracks and from several seeds, and print a table of the results.

    python benchmarks/record.py fast --tracks bowtie hairpin speedway
    python benchmarks/record.py quick --seeds 0 1 2 3 4
    python benchmarks/record.py object_avoidance --tracks speedway --races 30

Each run is trained, exported, and its entry raced for three laps. Prints a row of Markdown for
each run: the processor time of the training, and the race's result; of several races, which have
the seeds from 0, the laps and the put-backs of all of them, the lap times of the first, and the
median of x limit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median


def racer(*words: str | Path) -> str:
    """Run a racer command and return what it prints."""
    command = [sys.executable, "-m", "racer.cli", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--tracks", nargs="+", default=["bowtie"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--races", type=int, default=1)
    options = parser.parse_args()
    print("| track | seed | processor time [s] | laps | put back | lap times [s] | x limit |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for track in options.tracks:
            for seed in options.seeds:
                run = Path(folder) / f"{track}-{seed}"
                print(row(options.config, track, seed, run, options.races), flush=True)


def row(config: str, track: str, seed: int, run: Path, races: int) -> str:
    """Return the row of one run.

    Args:
        config: The config's name or file.
        track: The track.
        seed: Seed of the training.
        run: The run's folder.
        races: Number of races.
    """
    entry = run / "car.entry.zip"
    before = os.times()
    racer("train", config, "--run", run, "--seed", str(seed), "--track", track)
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    racer("export", run, "--out", entry)
    results = [
        json.loads(racer("race", entry, "--track", track, "--seed", str(k), "--json"))
        for k in range(races)
    ]
    done, wanted, put_back = (
        sum(one[key] for one in results) for key in ("laps_completed", "laps", "resets")
    )
    times = ", ".join(f"{lap:.2f}" for lap in results[0]["lap_times_s"])
    shares = [one["x_limit"] for one in results if one["x_limit"]]
    x_limit = f"{median(shares):.2f}" if shares else "-"
    cells = (track, seed, f"{spent:.0f}", f"{done} of {wanted}", put_back, times, x_limit)
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()

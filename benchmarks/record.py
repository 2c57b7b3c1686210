"""Train a config on several tracks and from several seeds, and print a table of the results.

    python benchmarks/record.py fast --tracks bowtie hairpin speedway
    python benchmarks/record.py quick --seeds 0 1 2 3 4

Each run is trained, exported, and its entry raced for three laps. Prints a row of Markdown for
each run: the wall time from the start of training to the end of the race, and the race's result.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


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
    options = parser.parse_args()
    print("| track | seed | seconds | laps | put back | lap times [s] | x limit |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for track in options.tracks:
            for seed in options.seeds:
                print(
                    row(options.config, track, seed, Path(folder) / f"{track}-{seed}"), flush=True
                )


def row(config: str, track: str, seed: int, run: Path) -> str:
    """Return the row of one run."""
    began, entry = time.perf_counter(), run / "car.entry.zip"
    racer("train", config, "--run", run, "--seed", str(seed), "--track", track)
    racer("export", run, "--out", entry)
    result = json.loads(racer("race", entry, "--track", track, "--json"))
    spent = time.perf_counter() - began
    laps = f"{result['laps_completed']} of {result['laps']}"
    times = ", ".join(f"{lap:.2f}" for lap in result["lap_times_s"])
    x_limit = f"{result['x_limit']:.2f}" if result["x_limit"] else "-"
    cells = (track, seed, f"{spent:.0f}", laps, result["resets"], times, x_limit)
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()

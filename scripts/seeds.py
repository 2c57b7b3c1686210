"""Does the main job work from any seed? Trains, exports and races a config with five of them.

    python scripts/seeds.py configs/quick.yaml --seeds 0 1 2 3 4

Prints a Markdown row a seed: wall time from the start of training to the end of the race, and what
the exported policy did in three laps.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def racer(*words: str | Path) -> str:
    """What a racer command prints."""
    command = [sys.executable, "-m", "racer.cli", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    print("| seed | train, export, race [s] | laps | off the road | lap times [s] |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            run, began = Path(folder) / str(seed), time.perf_counter()
            racer("train", options.config, "--run", run, "--seed", str(seed))
            racer("export", run, "--out", run / "car.entry.zip")
            result = json.loads(racer("race", run / "car.entry.zip", "--json"))
            spent = time.perf_counter() - began
            laps = f"{result['laps_completed']} of {result['laps']}"
            times = ", ".join(f"{lap:.2f}" for lap in result["lap_times_s"])
            row = (seed, f"{spent:.0f}", laps, result["off_tracks"], times)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()

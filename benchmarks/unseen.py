"""Race an entry on generated tracks that it was not trained on, and print a table and its summary.

    python benchmarks/unseen.py generalist.entry.zip --seeds 1000 1050
    python benchmarks/unseen.py generalist.entry.zip --seeds 1000 1050 --limits

The entry races three laps of `generated:SEED` for each seed from the first up to, but without, the
last. `--limits` solves each track's minimum lap time for "x limit" (CasADi, some seconds each).
"""

import argparse
from pathlib import Path
from statistics import median

from racer.car.spec import car_named
from racer.entries.package import read_entry
from racer.evaluation import LapResult, evaluate_entries, make_race_rules, race_of_training
from racer.laptime.lap_time_limit import solve_lap_time_limit
from racer.track import load_track


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entry", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=[1000, 1050])
    parser.add_argument("--limits", action="store_true")
    options = parser.parse_args()
    entry = read_entry(options.entry)
    rules = make_race_rules(3, like=race_of_training(entry))
    results, shares = [], []
    print("| track | laps | put back | lap times [s] | x limit |")
    print("|---|---|---|---|---|")
    for seed in range(*options.seeds):
        track = f"generated:{seed}"
        result = evaluate_entries([entry], track, rules, seed=0)[0]
        results.append(result)
        x_limit = "-"
        if options.limits and result.laps_completed == result.laps:
            shares.append(share_of_limit(result, track, entry.manifest.car))
            x_limit = f"{shares[-1]:.2f}"
        laps = f"{result.laps_completed} of {result.laps}"
        times = ", ".join(f"{lap:.2f}" for lap in result.lap_times_s)
        print(f"| `{track}` | {laps} | {result.resets} | {times} | {x_limit} |", flush=True)
    done = sum(result.laps_completed for result in results)
    clean = sum(result.is_clean for result in results)
    print(f"\n{done} of {3 * len(results)} laps, {clean} of {len(results)} tracks clean", end="")
    print(f", median {median(shares):.2f} x, worst {max(shares):.2f} x" if shares else "")


def share_of_limit(result: LapResult, track: str, car: str) -> float:
    """Return the time of a race as a multiple of its minimum, which is solved for it.

    Args:
        result: A race of which every lap was completed.
        track: Its track.
        car: Name of the car's preset.
    """
    limit = solve_lap_time_limit(load_track(track), car_named(car)).limit
    return sum(result.lap_times_s) / limit.race(result.laps)


if __name__ == "__main__":
    main()

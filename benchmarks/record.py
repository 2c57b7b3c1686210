"""Train a config on several tracks and from several seeds, and print a table of the results.

    python benchmarks/record.py fast --tracks bowtie hairpin speedway --seeds 0 1 2 3 4
    python benchmarks/record.py object_avoidance --tracks speedway --races 30
    python benchmarks/record.py camera-fast --teacher fast --tracks bowtie hairpin speedway

The rows of docs/benchmarks.md are made by `racer benchmark`; this takes any config, any number of
races among boxes and bots, and any config as a clone's teacher.

With a teacher, its config is trained, and the other one's policy is cloned from it. Each run is
trained, and its best checkpoint raced as its export would be: three laps from a standing start.
Prints a row of Markdown for each run: the processor time of the training, and what came of its
races, which have seeds that no evaluation in training had; the lap times are those of the first.
The last row of a track with several seeds has the median and the worst of their medians.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from racer.benchmark.rows import LESSON_EPOCHS, LESSON_ROUNDS, LESSON_STEPS
from racer.benchmark.seed_result import race_run
from racer.evaluation import LapResult

LESSON = ("--steps", LESSON_STEPS, "--rounds", LESSON_ROUNDS, "--epochs", LESSON_EPOCHS)
"""How a clone is taught."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--teacher")
    parser.add_argument("--tracks", nargs="+", default=["bowtie"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--races", type=int, default=1)
    options = parser.parse_args()
    print(
        "| track | seed | processor time [s] | laps | put back | crashes | lap times [s] "
        "| x limit: median | worst |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for track in options.tracks:
            medians = []
            for seed in options.seeds:
                run = Path(folder) / f"{track}-{seed}"
                spent = make_run(options.config, options.teacher, track, seed, run)
                results = race_run(run, track, options.races)
                shares = x_limits(results)
                print(row(track, seed, f"{spent:.0f}", results, *summary(shares)), flush=True)
                medians += [median(shares)] if shares else []
            if len(options.seeds) > 1:
                cells = (track, "all", "", "", "", "", "", *summary(medians))
                print("| " + " | ".join(cells) + " |", flush=True)


def make_run(config: str, teacher: str | None, track: str, seed: int, run: Path) -> float:
    """Train a config into a run's folder, or clone it, and return the processor time [s].

    Args:
        config: The config's name or file.
        teacher: The config of the clone's teacher; None to train without one.
        track: The track.
        seed: Seed of the training, and of the teacher's.
        run: The run's folder.
    """
    wanted = ("--track", track, "--seed", seed)
    if teacher is None:
        return racer("train", config, "--run", run, *wanted)
    driver = run.with_name(f"{run.name}-teacher")
    spent = racer("train", teacher, "--run", driver, *wanted)
    return spent + racer("clone-driver", driver, "--config", config, "--out", run, *wanted, *LESSON)


def racer(*words: str | int | Path) -> float:
    """Run a racer command, and return its processor time [s]."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "racer.cli", *map(str, words)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system


def x_limits(results: list[LapResult]) -> list[float]:
    """Return x limit of each race that was completed."""
    return [one.x_limit for one in results if one.x_limit]


def summary(shares: list[float]) -> tuple[str, str]:
    """Return the median and the largest of some numbers, as cells."""
    return (f"{median(shares):.3f}", f"{max(shares):.3f}") if shares else ("-", "-")


def row(track: str, seed: int, spent: str, results: list[LapResult], *x_limit: str) -> str:
    """Return the row of one run.

    Args:
        track: The track.
        seed: Seed of the training.
        spent: Processor time of the training [s].
        results: The results of its races.
        x_limit: The cells of x limit.
    """
    done, wanted, put_back, crashes = (
        sum(getattr(one, name) for one in results)
        for name in ("laps_completed", "laps", "resets", "collisions")
    )
    times = ", ".join(f"{lap:.2f}" for lap in results[0].lap_times_s)
    cells = (track, seed, spent, f"{done} of {wanted}", put_back, crashes, times, *x_limit)
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()

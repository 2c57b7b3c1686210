"""Train a car from its camera, export it, race it, and show it on the leaderboard: `make race`."""

import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path


def racer(*words: str | Path) -> None:
    """Print a racer command as a user would type it, then run it."""
    print(f"\n$ racer {shlex.join(map(str, words))}", flush=True)
    done = subprocess.run([sys.executable, "-m", "racer.cli", *map(str, words)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Run every step, and print where the results are."""
    began = time.perf_counter()
    run = Path("runs") / f"race-{datetime.now():%m%d-%H%M%S}"
    entry, video, picture = (run / name for name in ("car.entry.zip", "race.mp4", "line.png"))
    racer("train", "configs/quick.yaml", "--run", run)
    racer("export", run, "--out", entry, "--name", run.name)
    racer("race", entry, "--laps", "3", "--video", video, "--plot", picture)
    racer("board", "submit", entry)
    racer("board", "show")
    minutes, seconds = divmod(int(time.perf_counter() - began), 60)
    print(f"\nDone in {minutes} min {seconds:02d} s. Yours now:")
    print(f"  the run     {run}  (.venv/bin/tensorboard --logdir runs)")
    print(f"  the entry   {entry}")
    print(f"  the race    {video}")
    print(f"  the line    {picture}")
    print("  the board   board/")


if __name__ == "__main__":
    main()

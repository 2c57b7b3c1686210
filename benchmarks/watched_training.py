"""What watching a training costs it: processor time with and without, in alternating rounds."""

import argparse
import io
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console

from racer.assets import find_file
from racer.assets.document import read_document
from racer.assets.overrides import with_overrides
from racer.training.config import RunConfig
from racer.training.live_frames import LiveFrameWriter
from racer.training.train import run_training


def processor_time(config: RunConfig, is_watched: bool) -> float:
    """Return the processor time [s] of a training in this process."""
    LiveFrameWriter.is_watched = lambda self: is_watched
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        run_training(config, Path(folder) / "run", Console(file=io.StringIO()))
        return time.process_time() - began


def main() -> None:
    """Print the share of processor time that watching adds."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--config", default="quick")
    words.add_argument("--steps", type=int, default=20_480)
    words.add_argument("--rounds", type=int, default=5)
    given = words.parse_args()
    config = read_document(find_file(given.config, "configs"), RunConfig)
    changes = {"total_timesteps": given.steps, "workers": 1, "torch_threads": 1}
    evaluation = {"eval_freq": given.steps, "laps": 1, "time_limit": 1.0, "video_freq": 0}
    config = with_overrides(config, changes | {"evaluation": evaluation}, "benchmark")
    processor_time(config, True)
    shares = []
    for number in range(given.rounds):
        order = (False, True) if number % 2 else (True, False)
        spent = {is_watched: processor_time(config, is_watched) for is_watched in order}
        shares.append(spent[True] / spent[False] - 1.0)
        print(f"unwatched {spent[False]:.2f} s, watched {spent[True]:.2f} s")
    print(f"watching adds {100.0 * median(shares):.1f} % (median of {given.rounds} rounds)")


if __name__ == "__main__":
    main()

"""Measure the rows of docs/benchmarks.md, and add them to its files.

    python benchmarks/policies.py --seeds 0 1 2
    python benchmarks/policies.py --rows fast-bowtie sac-bowtie --seeds 3 4

The same as `racer benchmark ROW --csv docs/benchmarks.csv` for every row, all rows from one seed
before any from the next. A seed that is in the file is skipped, so that the command goes on where
it was stopped. `python scripts/benchmarks_page.py` draws the page from the files.
"""

import argparse
from pathlib import Path

from racer.assets.terminal import make_console
from racer.benchmark.result_files import ResultFiles, measure_row
from racer.benchmark.rows import BENCHMARK_ROWS, benchmark_row

RESULTS = Path(__file__).parents[1] / "docs/benchmarks.csv"


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", default=[one.name for one in BENCHMARK_ROWS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--csv", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows, quiet = [benchmark_row(name) for name in options.rows], make_console(quiet=True)
    for seed in options.seeds:
        for row in rows:
            for result, _ in measure_row(row, [seed], ResultFiles(options.csv), quiet):
                laps = f"{result.laps_completed} of {result.laps}"
                print(row.name, seed, laps, result.x_limit, f"{result.processor_s} s", flush=True)


if __name__ == "__main__":
    main()

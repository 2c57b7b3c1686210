"""Write the tables of docs/benchmarks.md, and draw its learning curves, from its CSV files.

python scripts/benchmarks_page.py

`python benchmarks/policies.py` measures what is in the files.
"""

import argparse
from pathlib import Path

from PIL import Image

from racer.benchmark.page import page_with_tables, plot_learning_curves
from racer.benchmark.result_files import ResultFiles
from racer.benchmark.rows import BENCHMARK_TRACKS
from racer.rendering.line_plots import save_figure

DOCS = Path(__file__).parents[1] / "docs"
COLOURS = 64
"""Colours of a picture."""


def main() -> None:
    """Write the page's tables and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page and its files")
    docs = parser.parse_args().docs
    results, curves = ResultFiles(docs / "benchmarks.csv").read()
    page = docs / "benchmarks.md"
    page.write_text(page_with_tables(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    for track in BENCHMARK_TRACKS:
        path = docs / f"benchmarks/curves-{track}.png"
        save_figure(plot_learning_curves(curves, track), path)
        with Image.open(path) as whole:
            picture = whole.convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()

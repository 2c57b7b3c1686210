"""Draw generated tracks side by side, to see how they vary.

python scripts/sheet.py --out docs/tracks/generated.png

Each is titled with its seed; forty of them, from `--first` on.
"""

import argparse
from pathlib import Path

import numpy as np

from racer.assets.chart_style import BORDER_COLOUR, INK_COLOUR, chart_figure
from racer.rendering.line_plots import save_figure
from racer.track import load_track

COLUMNS, ROWS = 8, 5


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("generated.png"))
    options = parser.parse_args()
    figure = chart_figure((12, 8))
    for seed, axes in enumerate(np.ravel(figure.subplots(ROWS, COLUMNS)), options.first):
        track = load_track(f"generated:{seed}")
        for ring in (track.left, track.right):
            axes.plot(*np.vstack([ring, ring[:1]]).T, color=BORDER_COLOUR, linewidth=0.8)
        axes.plot(*np.stack([track.left[0], track.right[0]]).T, color=BORDER_COLOUR, linewidth=2)
        axes.set_title(f"{seed}: {track.length:.0f} m", color=INK_COLOUR, fontsize=8)
        axes.set_aspect("equal")
        axes.axis("off")
    save_figure(figure, options.out)


if __name__ == "__main__":
    main()

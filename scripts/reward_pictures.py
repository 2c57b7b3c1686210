"""Draw the map of each shipped reward for the cookbook, in few colours.

python scripts/reward_pictures.py

Each is the picture of `racer reward explain NAME --kind KIND`, made smaller.
"""

import argparse
from pathlib import Path

from PIL import Image

from racer.cli import main as racer

ROOT = Path(__file__).parents[1]
KINDS = {"avoidance": "object_avoidance", "overtaking": "head_to_bot"}
"""The race of the rewards that are made for another than a time trial."""
WIDTH_PX = 760
COLOURS = 160


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs/rewards", help="folder to write them to"
    )
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name in sorted(path.stem for path in (ROOT / "configs/rewards").glob("*.py")):
        path = out / f"{name}.png"
        kind = KINDS.get(name, "time_trial")
        racer(["reward", "explain", name, "--kind", kind, "--out", str(path)])
        with Image.open(path) as whole:
            picture = whole.convert("RGB")
        height = round(picture.height * WIDTH_PX / picture.width)
        small = picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()

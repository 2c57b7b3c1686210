"""Draw the README's badges from what pyproject.toml and the package say of themselves.

python scripts/badges.py
"""

import argparse
import re
from pathlib import Path

import racer

ROOT = Path(__file__).parents[1]
CHARACTER_PX = 6.6
"""Mean width of a character of 11 px."""


def badges() -> dict[str, str]:
    """Return each badge as SVG, by its file's name."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (license_,) = re.findall(r'^license = "(.+)"$', project, re.MULTILINE)
    (python,) = re.findall(r'^requires-python = ">=(.+)"$', project, re.MULTILINE)
    told = {
        "version": ("racer-rl", racer.__version__),
        "python": ("Python", f"{python} or newer"),
        "license": ("license", license_),
    }
    return {f"{name}.svg": _drawn(*words) for name, words in told.items()}


def _drawn(left: str, right: str) -> str:
    widths = [round(len(words) * CHARACTER_PX) + 12 for words in (left, right)]
    whole, straight = sum(widths), widths[1] - 3
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img">
<title>{left}: {right}</title>
<rect width="{whole}" height="20" rx="3" fill="#444b57"/>
<path fill="#1a5fb4" d="M{widths[0]} 0h{straight}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{straight}z"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{widths[0] / 2:g}" y="14">{left}</text>
<text x="{widths[0] + widths[1] / 2:g}" y="14">{right}</text>
</g>
</svg>
"""


def main() -> None:
    """Write the badges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/badges", help="their folder")
    out = parser.parse_args().out
    for name, text in badges().items():
        (out / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Small charts as SVG text that takes its ink from the page around it, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from racer.track import Track

WIDTH, HEIGHT = 640, 300
EDGE = 28
"""Around a map, so that what lies beside the road is seen."""
LEFT, RIGHT, TOP, BOTTOM = 84, 14, 34, 56
RAMP = np.array(
    [[13, 8, 135], [126, 3, 168], [204, 71, 120], [248, 149, 64], [232, 192, 36]], dtype=float
)
"""From low to high: about matplotlib's plasma, its end dark enough for a light page."""
SERIES = ("#e8792b", "#3f8fd2", "#58a55c")


def colour(share: float) -> str:
    """The ramp's colour at a share, 0-1, of the range."""
    at = float(np.clip(share, 0.0, 1.0)) * (len(RAMP) - 1)
    low = min(int(at), len(RAMP) - 2)
    red, green, blue = RAMP[low] + (at - low) * (RAMP[low + 1] - RAMP[low])
    return f"#{int(red):02x}{int(green):02x}{int(blue):02x}"


def lines(
    series: dict[str, tuple[np.ndarray, np.ndarray]], across: str, up: str, top: float | None = None
) -> str:
    """Lines over one axis.

    Args:
        series: x and y of each, by the name in the legend.
        across: What x is.
        up: What y is.
        top: Where y ends; at the highest value where it is not given.
    """
    xs = np.concatenate([x for x, _ in series.values()])
    ys = np.concatenate([y for _, y in series.values()])
    left, right = float(xs.min()), float(max(xs.max(), xs.min() + 1))
    low = min(0.0, float(ys.min()))
    high = float(ys.max()) if top is None else top
    high = high if high > low else low + 1.0
    body = _axes(left, right, low, high, across, up)
    for number, (name, (x, y)) in enumerate(series.items()):
        px = LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        py = HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py))
        ink = SERIES[number % len(SERIES)]
        body += f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="2.2"/>'
        body += _text(LEFT + 200 * number, TOP - 12, name, "start", ink)
    return _svg(WIDTH, HEIGHT, body)


def histogram(values: np.ndarray, edges: np.ndarray, across: str, up: str = "episodes") -> str:
    """How many values lie between each two of the edges."""
    counts, _ = np.histogram(values, edges)
    high = float(max(counts.max(), 1))
    body = _axes(float(edges[0]), float(edges[-1]), 0.0, high, across, up)
    wide = (WIDTH - LEFT - RIGHT) / len(counts)
    for number, count in enumerate(counts.tolist()):
        tall = count / high * (HEIGHT - TOP - BOTTOM)
        body += (
            f'<rect x="{LEFT + number * wide + 1:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" '
            f'width="{wide - 2:.1f}" height="{tall:.1f}" fill="{SERIES[1]}"/>'
        )
    return _svg(WIDTH, HEIGHT, body)


def bars(names: Sequence[str], shares: Sequence[float]) -> str:
    """A bar for each name, with its share, 0-1, in percent."""
    row, most = 28, max(max(shares, default=0.0), 1e-9)
    body = ""
    for number, (name, share) in enumerate(zip(names, shares)):
        y = 4 + number * row
        wide = share / most * (WIDTH - 330)
        body += _text(262, y + 18, name, "end")
        body += f'<rect x="270" y="{y}" width="{wide:.1f}" height="22" fill="{SERIES[1]}"/>'
        body += _text(276 + wide, y + 18, f"{share:.0%}", "start")
    return _svg(WIDTH, 8 + row * len(names), body)


def grid(counts: np.ndarray, across: str, up: str, ends: tuple[float, float, float, float]) -> str:
    """Counts (rows, columns) as coloured cells, the first row at the bottom.

    Args:
        counts: How often each cell was met.
        across: What x is.
        up: What y is.
        ends: Lowest and highest x, then y.
    """
    rows, columns = counts.shape
    body = _axes(*ends, across, up)
    wide, tall = (WIDTH - LEFT - RIGHT) / columns, (HEIGHT - TOP - BOTTOM) / rows
    for row, column in np.argwhere(counts > 0).tolist():
        x, y = LEFT + column * wide, HEIGHT - BOTTOM - (row + 1) * tall
        ink = colour(float(np.sqrt(counts[row, column] / counts.max())))
        body += (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="{ink}"/>'
        )
    return _svg(WIDTH, HEIGHT, body)


class RoadMap:
    """A picture of a track from above, to which dots and lines are added.

    Args:
        track: The track.
    """

    def __init__(self, track: Track) -> None:
        both = np.vstack([track.left, track.right])
        self._corner, span = both.min(axis=0), np.ptp(both, axis=0)
        self._scale = min((WIDTH - 2 * EDGE) / span[0], WIDTH / span[1])
        self._height = span[1] * self._scale + 2 * EDGE
        left, right = (self._points(ring) for ring in (track.left, track.right))
        self._body = (
            f'<path d="M{left}ZM{right}Z" fill="currentColor" fill-opacity=".13" '
            'fill-rule="evenodd" stroke="currentColor" stroke-opacity=".55"/>'
        )
        start = self._points(np.stack([track.left[0], track.right[0]]))
        self._body += f'<path d="M{start}" stroke="currentColor" stroke-width="3"/>'

    def _at(self, xy: np.ndarray) -> np.ndarray:
        at = (xy - self._corner) * self._scale + EDGE
        return np.stack([at[:, 0], self._height - at[:, 1]], axis=1)

    def _points(self, xy: np.ndarray) -> str:
        return "L".join(f"{x:.1f} {y:.1f}" for x, y in self._at(xy))

    def dots(self, xy: np.ndarray, ink: str, opacity: float = 0.6) -> None:
        """Mark places (k, 2) [m]."""
        self._body += f'<g fill="{ink}" fill-opacity="{opacity}">'
        self._body += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in self._at(xy.reshape(-1, 2))
        )
        self._body += "</g>"

    def line(self, xy: np.ndarray, values: np.ndarray, low: float, high: float) -> None:
        """A driven line (T, 2) [m], coloured by values (T,) from `low` to `high`."""
        at = self._at(xy)
        far = np.hypot(*np.diff(xy, axis=0).T) > 0.5  # A car put back drove no line there.
        shares = (values - low) / max(high - low, 1e-9)
        self._body += '<g stroke-width="2.6" stroke-linecap="round">'
        for t in np.flatnonzero(~far).tolist():
            (a, b), (c, d) = at[t], at[t + 1]
            ink = colour(float(shares[t + 1]))
            self._body += f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="{ink}"/>'
        self._body += "</g>"

    def svg(self) -> str:
        """The picture."""
        return _svg(WIDTH, self._height, self._body)


def legend(low: float, high: float, what: str) -> str:
    """The ramp with its ends in numbers."""
    cells = "".join(
        f'<rect x="{150 + 8 * k}" y="6" width="8.5" height="16" fill="{colour(k / 39)}"/>'
        for k in range(40)
    )
    text = _text(144, 20, f"{low:.3g}", "end") + _text(476, 20, f"{high:.3g} {what}", "start")
    return _svg(WIDTH, 28, cells + text)


def _axes(left: float, right: float, low: float, high: float, across: str, up: str) -> str:
    body = ""
    for share in (0.0, 0.5, 1.0):
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        body += (
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".2"/>'
        )
        body += _text(LEFT - 6, y + 5, _short(low + share * (high - low)), "end")
        anchor = ("start", "middle", "end")[round(2 * share)]
        value = _short(left + share * (right - left))
        body += _text(x, HEIGHT - BOTTOM + 21, value, anchor)
    body += _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across, "middle")
    return body + _text(WIDTH - RIGHT, TOP - 12, up, "end")


def _short(value: float) -> str:
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"


def _text(x: float, y: float, words: str, anchor: str, ink: str = "currentColor") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{escape(words)}</text>'
    )


def _svg(width: float, height: float, body: str) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img">{body}</svg>'

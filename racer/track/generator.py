"""Tracks drawn from a seed: the way around a random tree of grid cells, with rounded corners.

The way around a tree never meets itself, so every track is a circuit; the branches make hairpins,
chicanes and straights. Only sums, products, quotients and square roots are used, which IEEE 754
rounds alike on every machine, and control points are rounded to 0.1 mm.
"""

from __future__ import annotations

import numpy as np

from racer.errors import TrackError
from racer.track.geometry import Track
from racer.track.track_file import TrackFile, fit_track

GENERATED_PREFIX = "generated:"
"""What comes before the seed in a generated track's name."""

LENGTHS, WIDTHS = (15.0, 120.0), (0.4, 1.5)
"""The allowed lengths and widths [m]; a road must be at least 10 times as long as it is wide."""

DRAWN_LENGTHS, DRAWN_WIDTHS = (15.0, 60.0), (0.6, 1.45)
"""The lengths and widths that a seed is drawn from if none is given [m]."""

ROOM, GAP = 1.25, 0.3
"""A drawn track must still be a road when it is ROOM times as wide, and when it is GAP [m] wider.
Half its width times its curvature is then below 1 / ROOM, and its parts are GAP apart."""

CONTROL_POINT_SPACING_M = 0.6
"""Approximate distance between control points [m]."""

CIRCLE_HANDLE_RATIO = 0.5523
"""Length of the handles of the cubic Bezier curve nearest to a quarter of a circle, in its
radii."""

MAX_ATTEMPTS = 200
"""Trees that are drawn before a seed is given up."""

GRID_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""The steps from a cell of the grid to its four neighbours."""
GridCell = tuple[int, int]


def generate_track(seed: int, length: float | None = None, width: float | None = None) -> Track:
    """Return a track drawn from a seed, the same on every machine.

    Args:
        seed: An integer, 0 or more.
        length: Length of its centre line [m], 15-120; drawn from 15-60 if it is not given.
        width: Width of its road [m], 0.4-1.5; drawn from 0.6-1.45 if it is not given.

    Raises:
        TrackError: A number is out of range, or no road of that size is found.
    """
    return fit_track(draw_track_file(seed, length, width))


def draw_track_file(
    seed: int, length: float | None = None, width: float | None = None
) -> TrackFile:
    """Return the track file of the track that `generate_track` returns.

    Args:
        seed: An integer, 0 or more.
        length: Length of its centre line [m], 15-120; drawn from 15-60 if it is not given.
        width: Width of its road [m], 0.4-1.5; drawn from 0.6-1.45 if it is not given.

    Raises:
        TrackError: A number is out of range, or no road of that size is found.
    """
    if seed < 0:
        raise TrackError(f"a seed must be a whole number from 0 on; got {seed}")
    random = np.random.default_rng(seed)
    drawn_length, drawn_width = random.random(2).tolist()
    length = _within("length", length, LENGTHS, DRAWN_LENGTHS, drawn_length, 1)
    width = _within("width", width, WIDTHS, DRAWN_WIDTHS, drawn_width, 2)
    if length < 10.0 * width:
        raise TrackError(f"a road {width:g} m wide must be {10 * width:g} m long; got {length:g}")
    for attempt in range(MAX_ATTEMPTS):
        # Each attempt tries a simpler track: fewer cells leave more room around a road.
        share = (1.0 - attempt / MAX_ATTEMPTS) * (0.4 + 0.6 * random.random())
        cells = 1 + int(share * length / (4.0 * (ROOM * width + GAP)))
        points = _scaled(_rounded(_corners(random, cells), random), length)
        file = TrackFile(
            name=f"{GENERATED_PREFIX}{seed}",
            description=f"drawn from seed {seed}",
            direction="clockwise" if random.random() < 0.5 else "counterclockwise",
            width=width,
            control_points=[(x, y) for x, y in points.tolist()],
        )
        if _has_room(file, width):
            return file
    raise TrackError(f"no track of {length:g} x {width:g} m found for seed {seed}; try another")


def _within(
    name: str,
    asked: float | None,
    allowed: tuple[float, float],
    drawn: tuple[float, float],
    share: float,
    digits: int,
) -> float:
    """Return the number that was asked for, or the one that was drawn.

    Args:
        name: What a message calls it.
        asked: The number asked for; None if it is to be drawn.
        allowed: Smallest and largest number that may be asked for.
        drawn: Smallest and largest number that is drawn.
        share: Where the drawn number lies between them, 0-1.
        digits: Decimals that a drawn number is rounded to.

    Raises:
        TrackError: The number asked for is not allowed.
    """
    if asked is None:
        return round(drawn[0] + share * (drawn[1] - drawn[0]), digits)
    if not allowed[0] <= asked <= allowed[1]:
        raise TrackError(f"{name} must be {allowed[0]:g}-{allowed[1]:g} m; got {asked:g}")
    return asked


def _has_room(file: TrackFile, width: float) -> bool:
    """Return whether the track would still be a road if it were wider by ROOM and GAP."""
    try:
        fit_track(file.model_copy(update={"width": max(ROOM * width, width + GAP)}))
    except TrackError:
        return False
    return True


def _corners(random: np.random.Generator, cells: int) -> np.ndarray:
    """Return the corners of the way around a random tree, on a grid of uneven lines, (N, 2)."""
    way = np.array(_around(_tree(random, cells)))
    after, before = np.roll(way, -1, axis=0), np.roll(way, 1, axis=0)
    is_corner = ((after - way) != (way - before)).any(axis=1)
    # A quarter of the points on straights stay too, so that straights get kinks.
    way = way[is_corner | (random.random(len(way)) < 0.25)]
    lines = np.cumsum(1.0 + 0.8 * random.random((2, np.ptp(way) + 1)), axis=1)
    way = way - way.min(axis=0)
    corners = np.stack([lines[0][way[:, 0]], lines[1][way[:, 1]]], axis=1)
    corners += 0.5 * (random.random(corners.shape) - 0.5)
    # A rotation by 2 atan(tilt), without a sine that differs between machines.
    tilt = random.random()
    turn = np.array([[1.0 - tilt * tilt, 2.0 * tilt], [-2.0 * tilt, 1.0 - tilt * tilt]])
    return corners @ turn / (1.0 + tilt * tilt)


def _tree(random: np.random.Generator, count: int) -> list[tuple[GridCell, GridCell]]:
    """Return the links between neighbouring cells of a random tree of `count` cells.

    With the probability `snake`, itself drawn, a new cell is tried at the newest one and not at
    any.
    """
    cells: list[GridCell] = [(0, 0)]
    links: list[tuple[GridCell, GridCell]] = []
    snake = random.random()
    while len(cells) < count:
        at = len(cells) - 1 if random.random() < snake else int(random.random() * len(cells))
        (x, y), (dx, dy) = cells[at], GRID_STEPS[int(4 * random.random())]
        neighbour = (x + dx, y + dy)
        if neighbour not in cells:
            cells.append(neighbour)
            links.append(((x, y), neighbour))
    return links


def _around(links: list[tuple[GridCell, GridCell]]) -> list[GridCell]:
    """Return the way around a tree of cells, counter-clockwise, on a grid twice as fine.

    Every cell is a ring of four points; each link between two cells joins their rings into one.
    """
    cells = {cell for link in links for cell in link} or {(0, 0)}
    after: dict[GridCell, GridCell] = {}
    for x, y in cells:
        ring = [(2 * x, 2 * y), (2 * x + 1, 2 * y), (2 * x + 1, 2 * y + 1), (2 * x, 2 * y + 1)]
        after |= {ring[i]: ring[(i + 1) % 4] for i in range(4)}
    for (x, y), (u, v) in (sorted(link) for link in links):
        if u > x:
            after[2 * x + 1, 2 * y] = (2 * u, 2 * y)
            after[2 * u, 2 * y + 1] = (2 * x + 1, 2 * y + 1)
        else:
            after[2 * x + 1, 2 * y + 1] = (2 * x + 1, 2 * v)
            after[2 * x, 2 * v] = (2 * x, 2 * y + 1)
    first = min(after)
    way = [first]
    while after[way[-1]] != first:
        way.append(after[way[-1]])
    return way


def _rounded(corners: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return points close together along a polygon with round corners.

    They begin on the longest straight. Each corner becomes 17 points of a cubic Bezier curve, which
    begins and ends at most half an edge away from it.
    """
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    back, ahead = before - corners, after - corners
    leg, next_leg = (np.sqrt((edge * edge).sum(axis=1)) for edge in (back, ahead))
    cut = np.minimum(leg, next_leg) * (0.35 + 0.15 * random.random(len(corners)))
    back, ahead = (edge * (cut / n)[:, None] for edge, n in ((back, leg), (ahead, next_leg)))
    t = np.linspace(0.0, 1.0, 17)[:, None, None]
    hold = 1.0 - CIRCLE_HANDLE_RATIO
    curve = corners + back * ((1 - t) ** 3 + 3 * (1 - t) ** 2 * t * hold)
    curve = curve + ahead * (t**3 + 3 * (1 - t) * t**2 * hold)
    straight = next_leg - cut - np.roll(cut, -1)
    longest = int(straight.argmax())
    order = (longest + 1 + np.arange(len(corners))) % len(corners)
    start = (curve[-1, longest] + curve[0, order[0]]) / 2
    return np.vstack([start, curve[:, order].transpose(1, 0, 2).reshape(-1, 2)])


def _scaled(line: np.ndarray, length: float) -> np.ndarray:
    """Return control points [m] spaced evenly on a line and centred on the origin, (N, 2)."""
    loop = np.vstack([line, line[:1]])
    edge = np.diff(loop, axis=0)
    s = np.concatenate([[0.0], np.cumsum(np.sqrt((edge * edge).sum(axis=1)))])
    count = round(length / CONTROL_POINT_SPACING_M)
    at = np.arange(count) * s[-1] / count
    points = np.stack([np.interp(at, s, axis) for axis in loop.T], axis=1) * (length / s[-1])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return np.round(points - middle, 4)

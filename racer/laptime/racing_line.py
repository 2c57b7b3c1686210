"""Where a car's centre of mass may go: gates across the road, and a smooth line through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy import sparse
from scipy.interpolate import CubicSpline
from scipy.sparse.linalg import spsolve
from shapely import LineString, Point, Polygon

from racer.car.spec import CarSpec
from racer.errors import TrackError
from racer.track import Track

COARSE_GATE_SPACING_M = 0.2
"""Approximate distance between the gates for the line of least curvature [m]."""
LINE_ITERATIONS = 4
"""How often that line is computed, each time across gates perpendicular to the last one."""
GATE_BLEND_M = 0.7
"""Distance over which the gates turn from parallel to the start line to perpendicular to the line
[m]."""
GATE_RADIUS_SHARE = 0.95
"""Largest offset along a gate as a share of the line's radius, so that gates do not cross."""


@dataclass(frozen=True)
class Gates:
    """N gates across a closed road in driving order; gate 0 is the start line.

    Attributes:
        middle: A point on each gate [m], (N, 2).
        across: Unit vector along each gate, to the left, (N, 2).
        low: Offset from the middle along `across` at which each gate begins [m], (N,).
        high: Offset at which each gate ends [m], (N,).
        angle: Heading of the line through the middles, without jumps [rad], (N,).
        bend: Curvature of that line [1/m], (N,).
    """

    middle: np.ndarray
    across: np.ndarray
    low: np.ndarray
    high: np.ndarray
    angle: np.ndarray
    bend: np.ndarray

    def at(self, n: np.ndarray) -> np.ndarray:
        """Return the points (N, 2) at offsets n (N,) along the gates [m]."""
        return self.middle + n[:, None] * self.across


def border_overhang(spec: CarSpec) -> float:
    """Return how far beyond the border the centre of mass can be with a wheel on the road [m].

    A wheel counts as on the road if its centre is.
    """
    return float(np.hypot(max(spec.to_front_axle, spec.to_rear_axle), spec.tread / 2))


def drivable_corridor(track: Track, beyond: float) -> Polygon:
    """Return all points within `beyond` [m] of the road; if negative, those that far inside it.

    Raises:
        TrackError: They do not make a ring.
    """
    rings = sorted((Polygon(track.left), Polygon(track.right)), key=lambda ring: ring.area)
    wide = Polygon(rings[1].exterior, [rings[0].exterior]).buffer(beyond, quad_segs=32)
    if not isinstance(wide, Polygon) or len(wide.interiors) != 1:
        raise TrackError(
            f"{track.name}: the points within {beyond:.2f} m of the road make no ring: it is too "
            "narrow for this car, or two parts of it come too close"
        )
    return wide


def make_gates(track: Track, room: Polygon, line: np.ndarray, spacing: float) -> Gates:
    """Return gates perpendicular to a closed line that the car could take.

    Args:
        track: The road; its start line is the first gate.
        room: Where the centre of mass may go.
        line: Points in driving order [m], (M, 2), the first on the start line.
        spacing: Approximate distance from gate to gate [m].
    """
    s, curve = _spline(line)
    count = max(round(s[-1] / spacing), 32)
    at = np.arange(count) * s[-1] / count
    middle, tangent = curve(at), curve(at, 1)
    bend = tangent[:, 0] * curve(at, 2)[:, 1] - tangent[:, 1] * curve(at, 2)[:, 0]
    angle = np.arctan2(tangent[:, 1], tangent[:, 0])
    # `Track.locate` starts a new lap where a point's projection changes from the last segment of
    # the centre line to the first: about halfway between the normals of the two.
    ahead, behind = track.heading[0], track.heading[-1]
    start = behind + 0.5 * _wrapped(ahead - behind)
    away = np.minimum(at, s[-1] - at)
    turned = angle + _wrapped(start - angle[0]) * np.exp(-((away / GATE_BLEND_M) ** 2))
    across = np.stack([-np.sin(turned), np.cos(turned)], axis=1)
    low, high = _ends(room, middle, across)
    # No gate is longer than this to either side, on a straight too. Inside a bend it ends before
    # the centre of the bend, where the gates would cross.
    widest = float(track.width.max()) + 2.0
    radius = GATE_RADIUS_SHARE / np.maximum(np.abs(bend), GATE_RADIUS_SHARE / widest)
    low = np.maximum(low, np.where(bend < 0.0, -radius, -widest))
    high = np.minimum(high, np.where(bend > 0.0, radius, widest))
    return Gates(middle, across, low, high, np.unwrap(angle), bend)


def _wrapped(angle: np.ndarray | float) -> np.ndarray | float:
    """Return an angle [rad] within -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _ends(room: Polygon, middle: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets (N,) at which each gate enters and leaves the room around its middle."""
    far = 2.0 * np.hypot(*np.subtract(room.bounds[2:], room.bounds[:2]))
    ends = np.zeros((2, len(middle)))
    for i, (point, unit) in enumerate(zip(middle, across)):
        cut = shapely.intersection(LineString([point - far * unit, point + far * unit]), room)
        pieces = [piece for piece in shapely.get_parts(cut) if len(piece.coords) > 1]
        nearest = min(pieces, key=lambda piece: piece.distance(Point(point)))
        ends[:, i] = np.sort((np.array(nearest.coords)[[0, -1]] - point) @ unit)
    return ends[0], ends[1]


def _spline(line: np.ndarray) -> tuple[np.ndarray, CubicSpline]:
    """Return the arc lengths of a closed line's points [m], (M + 1,), and the curve over them."""
    loop, s = np.vstack([line, line[:1]]), np.zeros(0)
    # The length of the chords is less than that of the curve. Each resampling at even distances
    # along the curve brings the parameter nearer to the arc length; three are enough.
    for _ in range(3):
        s = _distances(loop)
        curve = CubicSpline(s, loop, bc_type="periodic")
        fine = np.linspace(0.0, s[-1], 8 * len(loop))
        along = _distances(curve(fine))
        s = np.linspace(0.0, along[-1], len(loop))
        loop = curve(np.interp(s, along, fine))
        loop[-1] = loop[0]
    return s, CubicSpline(s, loop, bc_type="periodic")


def _distances(points: np.ndarray) -> np.ndarray:
    """Return the distance of each point along a line of N points [m], (N,)."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def smooth_line(track: Track, room: Polygon, pull: float = 0.0) -> np.ndarray:
    """Return the closed line of least curvature from the start line on [m], (M, 2).

    It minimises the sum of squared second differences of points that slide along gates (Heilmeier
    et al., Minimum curvature trajectory planning, 2020), repeatedly, each time across gates
    perpendicular to the last line.

    Args:
        track: The road.
        room: Where the line may go.
        pull: Weight of the squared length beside the squared curvature [1/m^2]; shorter lines suit
            a car that is limited by its top speed.
    """
    line = track.centre
    for _ in range(LINE_ITERATIONS):
        gates = make_gates(track, room, line, COARSE_GATE_SPACING_M)
        count = len(gates.middle)
        step = np.hypot(*(gates.middle[1] - gates.middle[0]))
        ahead = sparse.csr_array(np.roll(np.eye(count), 1, axis=1))
        first = (ahead - sparse.eye_array(count)) / step
        second = (ahead + ahead.T - 2.0 * sparse.eye_array(count)) / step**2
        weight = second.T @ second + pull * first.T @ first
        dense, (x, y) = weight.toarray(), gates.across.T
        quadratic = dense * (np.outer(x, x) + np.outer(y, y))
        linear = (gates.across * (weight @ gates.middle)).sum(axis=1)
        line = gates.at(_minimise_in_box(quadratic, linear, gates.low, gates.high))
    return line


def _minimise_in_box(
    quadratic: np.ndarray, linear: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return the x (N,) between low and high that minimises x.quadratic.x / 2 + linear.x.

    A primal-dual interior-point method (Nocedal and Wright, Numerical Optimization, 16.6).
    """
    high = np.maximum(high, low + 1e-6)
    x = 0.5 * (low + high)
    scale = float(np.abs(quadratic).max())
    below, above = np.full((2, len(x)), scale * 1e-3)
    for _ in range(60):
        to_low, to_high = x - low, high - x
        gap = float(below @ to_low + above @ to_high) / (2 * len(x))
        if gap < 1e-12 * scale:
            break
        aim = 0.1 * gap
        # Newton's step towards x where every product of a distance and its multiplier is `aim`.
        slope = quadratic @ x + linear
        matrix = sparse.csc_array(quadratic + np.diag(below / to_low + above / to_high))
        move = spsolve(matrix, -slope + aim / to_low - aim / to_high)
        lift = aim / to_low - below - below / to_low * move
        drop = aim / to_high - above + above / to_high * move
        pairs = ((to_low, move), (to_high, -move), (below, lift), (above, drop))
        # At most 0.99 of the way to where the first distance or multiplier becomes zero.
        length = min(1.0, *(0.99 / max(float((-by / of).max()), 1e-9) for of, by in pairs))
        x, below, above = x + length * move, below + length * lift, above + length * drop
    return x


def resample_line(line: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points spaced evenly along a closed line, about `spacing` [m] apart.

    Args:
        line: Points [m], (M, 2).
        spacing: Approximate distance between the new points [m].

    Returns:
        Points (N, 2) [m], headings (N,) [rad], curvatures (N,) [1/m].
    """
    s, curve = _spline(line)
    at = np.linspace(0.0, s[-1], max(round(s[-1] / spacing), 32), endpoint=False)
    first, second = curve(at, 1), curve(at, 2)
    speed = np.hypot(*first.T)
    bend = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / speed**3
    return curve(at), np.arctan2(first[:, 1], first[:, 0]), bend

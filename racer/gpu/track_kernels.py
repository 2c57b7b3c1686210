# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""The lines that cars drive, on a device: places on them, points of lanes, the road between rings.

The functions follow `racer.track.nearest_point` and `racer.race.roads`.
"""

from typing import Any

import numpy as np
import warp as wp

from racer.gpu.runtime import EXACT_OPTIONS
from racer.race.roads import Roads

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
_FAR = wp.constant(_F(np.inf))
_NOWHERE = wp.constant(_F(np.nan))


@wp.struct
class LineTables:
    """The arrays of `LineArrays`, and the mean width of each line [m]."""

    first: wp.array(dtype=wp.int32)
    centre: wp.array2d(dtype=_F)
    left: wp.array2d(dtype=_F)
    right: wp.array2d(dtype=_F)
    along: wp.array(dtype=_F)
    width: wp.array(dtype=_F)
    heading: wp.array(dtype=_F)
    cos: wp.array(dtype=_F)
    sin: wp.array(dtype=_F)
    length: wp.array(dtype=_F)
    clearance: wp.array(dtype=_F)
    mean_width: wp.array(dtype=_F)


def device_lines(roads: Roads, device: Any) -> Any:
    """Return the lines of roads on a device, a `LineTables`."""
    tables = LineTables()
    arrays = roads.arrays._asdict() | {"mean_width": roads.width}
    tables.first = wp.array(arrays.pop("first").astype(np.int32), dtype=wp.int32, device=device)
    for name, values in arrays.items():
        setattr(tables, name, wp.array(np.ascontiguousarray(values), dtype=_F, device=device))
    return tables


@wp.struct
class LinePlace:
    """A place on a line: distance along it and left of it [m], and its segment."""

    s: _F
    d: _F
    segment: wp.int32


@wp.func
def _foot_of(lines: LineTables, first: int, n: int, i: int, x: _F, y: _F):
    """Return squared distance, share and side of segment i's nearest point; see `_foot`."""
    after = i + 1
    if after >= n:
        after = 0
    ax = lines.centre[first + i, 0]
    ay = lines.centre[first + i, 1]
    ex = lines.centre[first + after, 0] - ax
    ey = lines.centre[first + after, 1] - ay
    px = x - ax
    py = y - ay
    t = (px * ex + py * ey) / (ex * ex + ey * ey)
    t = wp.min(wp.max(t, _F(0.0)), _F(1.0))
    qx = px - t * ex
    qy = py - t * ey
    return wp.vec3d(qx * qx + qy * qy, t, ex * qy - ey * qx)


@wp.func
def _wrapped(i: int, n: int):
    """Return an index modulo n, as Python has it."""
    m = i % n
    if m < 0:
        m = m + n
    return m


@wp.func
def _place_at(
    lines: LineTables, line: int, segment: int, squared: _F, share: _F, side: _F, length: _F
):
    base = lines.first[line] + line
    place = LinePlace()
    s = lines.along[base + segment]
    s = s + share * (lines.along[base + segment + 1] - s)
    if s >= length:
        s = _F(0.0)
    d = wp.sqrt(squared)
    if side < _F(0.0):
        d = -d
    place.s = s
    place.d = d
    place.segment = segment
    return place


@wp.func
def place_near(lines: LineTables, line: int, x: _F, y: _F, near: int, reach: _F):
    """Return the place of a point near a segment; see `nearest_point.nearest_near`.

    Args:
        lines: The lines.
        line: The one that is searched.
        x: The point [m].
        y: The point [m].
        near: The segment that the search begins at.
        reach: How far along the line it goes from there, to both sides [m].
    """
    first = lines.first[line]
    n = lines.first[line + 1] - first
    base = first + line
    best = _F(_FAR)
    middle = _wrapped(near, n)
    share = _F(0.0)
    aside = _F(0.0)
    segment = int(near)
    found = int(0)
    searching = int(1)
    while searching == 1:
        low = int(middle)
        high = int(middle)
        back = _F(0.0)
        ahead = _F(0.0)
        while high - low + 1 < n and back <= reach:
            low = low - 1
            i = _wrapped(low, n)
            back = back + (lines.along[base + i + 1] - lines.along[base + i])
        while high - low + 1 < n and ahead <= reach:
            high = high + 1
            i = _wrapped(high, n)
            ahead = ahead + (lines.along[base + i + 1] - lines.along[base + i])
        count = high - low + 1
        at = int(middle)
        j = int(_wrapped(low, n))
        for _ in range(count):
            foot = _foot_of(lines, first, n, j, x, y)
            if foot[0] < best:
                best = foot[0]
                share = foot[1]
                aside = foot[2]
                at = j
                segment = j
                found = 1
            j = j + 1
            if j >= n:
                j = 0
        is_edge = at == _wrapped(low, n) or at == _wrapped(low + count - 1, n)
        if at == middle or count == n or not is_edge:
            searching = 0
        middle = at
    if found == 0:
        nowhere = LinePlace()
        nowhere.s = _NOWHERE
        nowhere.d = _NOWHERE
        nowhere.segment = near
        return nowhere
    return _place_at(lines, line, segment, best, share, aside, lines.length[line])


@wp.func
def place_on_line(lines: LineTables, line: int, x: _F, y: _F):
    """Return the place of a point on a whole line; of equally near segments the first.

    It is what `Track.locate` finds by a tree of boxes; only starts and resets need it.

    Args:
        lines: The lines.
        line: The one that is searched.
        x: The point [m].
        y: The point [m].
    """
    first = lines.first[line]
    n = lines.first[line + 1] - first
    best = _F(_FAR)
    share = _F(0.0)
    aside = _F(0.0)
    segment = int(-1)
    for i in range(n):
        foot = _foot_of(lines, first, n, i, x, y)
        if foot[0] < best:
            best = foot[0]
            share = foot[1]
            aside = foot[2]
            segment = i
    if segment < 0:
        nowhere = LinePlace()
        nowhere.s = _NOWHERE
        nowhere.d = _NOWHERE
        nowhere.segment = 0
        return nowhere
    return _place_at(lines, line, segment, best, share, aside, lines.length[line])


@wp.func
def python_modulo(a: _F, b: _F):
    """Return a % b of floats as Python has it, with the sign of b."""
    m = wp.mod(a, b)
    if m != _F(0.0) and (m < _F(0.0)) != (b < _F(0.0)):
        m = m + b
    return m


@wp.func
def _segment_with(lines: LineTables, line: int, where: _F):
    """Return the last segment that does not begin after a distance along the line [m]."""
    base = lines.first[line] + line
    low = int(0)
    high = int(lines.first[line + 1] - lines.first[line])
    while low < high:
        half = (low + high + 1) / 2
        if lines.along[base + half] <= where:
            low = half
        else:
            high = half - 1
    return low


@wp.func
def lane_pose(lines: LineTables, line: int, s: _F, lane: _F):
    """Return x, y [m] and heading [rad] on a lane; see `Roads.on_lane`.

    Args:
        lines: The lines.
        line: The one that is driven.
        s: Distance along it [m]; any number.
        lane: 1 on the left lane, -1 on the right one, between them in proportion.
    """
    first = lines.first[line]
    n = lines.first[line + 1] - first
    where = python_modulo(s, lines.length[line])
    i = wp.min(wp.max(_segment_with(lines, line, where), 0), n - 1)
    d = lane * lines.width[first + i] / _F(4.0)
    # The modulo of a number just below a multiple of the length can be the length itself.
    where = python_modulo(where, lines.length[line])
    i = wp.min(_segment_with(lines, line, where), n - 1)
    cos = lines.cos[first + i]
    sin = lines.sin[first + i]
    ahead = where - lines.along[first + line + i]
    return wp.vec3d(
        lines.centre[first + i, 0] + ahead * cos + d * -sin,
        lines.centre[first + i, 1] + ahead * sin + d * cos,
        lines.heading[first + i],
    )


@wp.func
def _is_inside_ring(ring: wp.array2d(dtype=_F), first: int, end: int, x: _F, y: _F):
    """Return whether an odd number of a ring's edges lies to the right of a point."""
    inside = int(0)
    j = int(end - 1)
    for i in range(first, end):
        yi = ring[i, 1]
        yj = ring[j, 1]
        if (yi > y) != (yj > y):
            xi = ring[i, 0]
            if x < (ring[j, 0] - xi) * (y - yi) / (yj - yi) + xi:
                inside = 1 - inside
        j = i
    return inside


@wp.func
def is_on_road(lines: LineTables, line: int, x: _F, y: _F):
    """Return 1 for a point between the borders of a line's road, else 0.

    Args:
        lines: The lines.
        line: The one whose road it is.
        x: The point [m].
        y: The point [m].
    """
    first = lines.first[line]
    end = lines.first[line + 1]
    left = _is_inside_ring(lines.left, first, end, x, y)
    right = _is_inside_ring(lines.right, first, end, x, y)
    if left != right:
        return 1
    return 0

"""Track files as people make them: each with the centre line that must come out of it.

The road is a stadium, two straights of 6 m joined by half circles of 2 m, whose borders are known
on paper. Nothing here is copied from a public file; the faults are those that public files have.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, NamedTuple

import numpy as np

STRAIGHT, RADIUS, HALF = 6.0, 2.0, 0.4
RIGHT, LEFT = 0.3, 0.5
LAP = 2 * STRAIGHT + 2 * np.pi * RADIUS
HEADER = "x_m,y_m,w_tr_right_m,w_tr_left_m"


class RealFile(NamedTuple):
    """A file and what is in it."""

    content: bytes
    """What stands in the file."""
    centre: np.ndarray
    """Points of the centre line that must be found [m], (N, 2), the first not repeated."""
    is_clockwise: bool = False
    scale: float = 1.0
    """How many times larger than the stadium it is."""
    atol: float = 0.005
    """How far its borders may lie from the stadium's [m]."""
    right: float = HALF
    """Road to the right of the line [m]."""
    left: float = HALF
    """Road to the left of it [m]."""


def beside(points: np.ndarray) -> np.ndarray:
    """Distance of points (N, 2) from the segment that the stadium is drawn around [m], (N,)."""
    return np.hypot(np.clip(np.abs(points[:, 0]) - STRAIGHT / 2, 0.0, None), points[:, 1])


def stadium(s: np.ndarray, half: float = HALF, radius: float = RADIUS) -> np.ndarray:
    """Rows of centre, inner and outer border [m], (N, 6), at ways s (N,) counter-clockwise."""
    arc = np.pi * radius
    s = np.mod(s, 2 * STRAIGHT + 2 * arc)
    is_back = s >= STRAIGHT + arc
    s = np.where(is_back, s - STRAIGHT - arc, s)
    angle = np.clip(s - STRAIGHT, 0.0, None) / radius
    out = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    along = np.minimum(s, STRAIGHT) - STRAIGHT / 2
    middle = np.stack([along, np.zeros_like(s)], axis=1)
    rings = [middle + (radius + side) * out for side in (0.0, -half, half)]
    turned = np.where(is_back, -1.0, 1.0)[:, None]
    return np.hstack([ring * turned for ring in rings])


def even(step: float = 0.15) -> np.ndarray:
    """Ways about `step` apart [m]."""
    return np.arange(round(LAP / step)) * LAP / round(LAP / step)


def uneven() -> np.ndarray:
    """Ways 0.01-2 m apart, as a person clicks them: few on the straights, many in the bends."""
    rng = np.random.default_rng(3)
    straight = np.array([0.0, 0.01, 0.05, 0.3, 2.3, 4.2, 5.0, 5.9])
    bend = STRAIGHT + np.sort(rng.uniform(0.0, np.pi * RADIUS, 60))
    half = np.concatenate([straight, bend])
    return np.concatenate([half, half + LAP / 2])


def closed(rows: np.ndarray) -> np.ndarray:
    """The rows with the first again at the end."""
    return np.vstack([rows, rows[:1]])


def again(rows: np.ndarray, *at: int) -> np.ndarray:
    """The rows, of which some stand twice."""
    return np.repeat(rows, [1 + at.count(i) for i in range(len(rows))], axis=0)


def npy(rows: np.ndarray, dtype: Any = np.float64, order: Any = "C") -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(rows, dtype=dtype, order=order))
    return file.getvalue()


def npz(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, rows)
    return file.getvalue()


def ragged(rows: np.ndarray) -> bytes:
    """What numpy.save makes of rows of different lengths."""
    file = io.BytesIO()
    lists = np.array([*rows.tolist(), []], dtype=object)
    np.save(file, lists, allow_pickle=True)
    return file.getvalue()


def pickled(rows: np.ndarray) -> bytes:
    return pickle.dumps(rows)


def _moved(rows: np.ndarray, row: int, columns: slice, onto: int) -> np.ndarray:
    """The rows, of which one has another's values in some columns."""
    rows = rows.copy()
    rows[row, columns] = rows[onto, columns]
    return rows


def _npy_files() -> dict[str, RealFile]:
    rows = stadium(even())
    ring, centre = closed(rows), rows[:, :2]
    turned = np.vstack([rows[:1], rows[:0:-1]])
    wild = stadium(uneven())
    near = np.insert(ring, 11, ring[10] + 1e-5 * (ring[11] - ring[10]), axis=0)
    almost = ring.copy()
    almost[-1] += 1e-4
    apart = again(ring, 30)
    apart[31, 2:] += 0.03
    big = closed(np.round(10 * rows))
    files = {
        "the first row again at the end": ring,
        "the first row not repeated": rows,
        "the first row twice at the end": closed(ring),
        "the first row three times": closed(again(ring, 0)),
        "the last row before the seam twice": again(ring, len(rows) - 1),
        "one row twice": again(ring, 10),
        "one row three times": again(ring, 10, 10),
        "pairs and one after the other": again(ring, 10, 11, 12, 40, 90),
        "every row twice": np.repeat(ring, 2, axis=0),
        "a centre that repeats while its borders differ": apart,
        "an inner border that repeats": _moved(ring, 50, slice(2, 4), 49),
        "an outer border that repeats": _moved(ring, 50, slice(4, 6), 49),
        "borders that both repeat": _moved(ring, 50, slice(2, 6), 49),
        "a last row almost the first": almost,
        "columns of its own after the sixth": np.hstack([ring, np.full((len(ring), 3), np.nan)]),
        "borders in the other order": ring[:, [0, 1, 4, 5, 2, 3]],
    }
    found = {name: RealFile(npy(content), centre) for name, content in files.items()}
    grow = {
        "clockwise": RealFile(npy(again(closed(turned), 5)), turned[:, :2], is_clockwise=True),
        "0.01-2 m between points": RealFile(npy(closed(wild)), wild[:, :2]),
        "0.01-2 m between points, the last one long": RealFile(
            npy(closed(np.roll(wild, 63, axis=0))), np.roll(wild, 63, axis=0)[:, :2]
        ),
        "a point almost on the one before, on the way": RealFile(npy(near), near[:-1, :2]),
        "float32": RealFile(npy(again(ring, 4), "<f4"), centre.astype("<f4").astype(float)),
        "float16": RealFile(npy(ring, "<f2"), centre.astype("<f2").astype(float)),
        "big-endian": RealFile(npy(again(ring, 4), ">f8"), centre),
        "long double": RealFile(npy(ring, np.longdouble), centre),
        "Fortran order": RealFile(npy(again(ring, 4), order="F"), centre),
        "integers": RealFile(npy(big, np.int32), big[:-1, :2], scale=10.0, atol=0.8),
    }
    return found | grow


def table(
    rows: np.ndarray, sign: str = ",", head: str = "# " + HEADER, point: str = ".", end: str = ""
) -> str:
    """A centre line as text, with more road to its left than to its right."""
    numbers = [[f"{value:.6f}" for value in (*row[:2], RIGHT, LEFT)] for row in rows]
    lines = [sign.join(row).replace(".", point) + end for row in numbers]
    return "\n".join([*([head] if head else []), *lines, ""])


def _csv_files() -> dict[str, RealFile]:
    rows = stadium(even(0.3))
    plain = table(rows)
    body = table(rows, head="")
    indexed = [f"{i},{line}" for i, line in enumerate(body.splitlines())]
    swapped = [",".join(np.array(line.split(","))[[3, 1, 0, 2]]) for line in body.splitlines()]
    more = [line + ",0.1,hairpin" for line in body.splitlines()]
    raceline = "s_m;x_m;y_m;psi_rad;kappa_radpm;vx_mps;ax_mps2;w_tr_right_m;w_tr_left_m"
    long = [f"0;{line};0.3;0.5".replace(",", ";") for line in body.splitlines()]
    long = [";".join(np.array(line.split(";"))[[0, 1, 2, 0, 0, 0, 0, 3, 4]]) for line in long]
    local = "x_ref_m; y_ref_m; width_right_m; width_left_m; x_normvec_m; y_normvec_m"
    texts = {
        "TUM": plain,
        "F1TENTH": table(rows, ", ", "# " + HEADER.replace(",", ", ")),
        "without a header": body,
        "a header of pandas": table(rows, head=HEADER),
        "a header of pandas in quotes": table(
            rows, head='"x_m","y_m","w_tr_right_m","w_tr_left_m"'
        ),
        "a header of pandas with its index": "\n".join(["," + HEADER, *indexed]),
        "an index and tabs": "\n".join(["," + HEADER, *indexed]).replace(",", "\t"),
        "a named index": "\n".join(["Unnamed: 0," + HEADER, *indexed]),
        "columns in another order": "\n".join(["w_tr_left_m,y_m,x_m,w_tr_right_m", *swapped]),
        "columns of its own": "\n".join([HEADER + ",psi,corner", *more]),
        "TUM's line for a local planner": table(rows, "; ", "# id\n# " + local, end="; 0.0; 1.0"),
        "a raceline with widths": "\n".join(["# " + raceline, *long]),
        "units in brackets": table(rows, head="x [m],y [m],w_tr_right [m],w_tr_left [m]"),
        "capitals": table(rows, head=HEADER.upper()),
        "a comment that is prose": "# drawn by hand, on a train, in 2021, by me\n" + body,
        "remarks behind the numbers": plain.replace("\n", "  # here\n", 3),
        "rows that repeat": table(again(closed(rows), 0, 7, 7, len(rows))),
        "the first row again at the end": table(closed(rows)),
        "semicolons": table(rows, ";"),
        "tabs": table(rows, "\t"),
        "blanks": table(rows, "   "),
        "decimal commas and semicolons": table(rows, ";", HEADER.replace(",", ";"), ","),
        "decimal commas and tabs": table(rows, "\t", "", ","),
        "decimal commas and blanks": table(rows, " ", "", ","),
        "a separator at each row's end": table(rows, end=",") + ",,,,\n",
        "blank lines": "\n\n" + plain.replace("\n", "\n\n") + "\n \n\t\n",
        "the line ends of Windows": plain.replace("\n", "\r\n"),
        "the line ends of an old Macintosh": plain.replace("\n", "\r"),
    }
    contents = {name: text.encode() for name, text in texts.items()}
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        contents[encoding] = table(rows, head=HEADER).encode(encoding)
    contents["Latin-1 in a comment"] = ("# K\xfcrzung der Stra\xdfe\n" + body).encode("latin-1")
    wide: Any = {"right": RIGHT, "left": LEFT}
    found = {name: RealFile(content, rows[:, :2], **wide) for name, content in contents.items()}
    back = np.vstack([rows[:1], rows[:0:-1]])
    found["clockwise"] = RealFile(table(back).encode(), back[:, :2], is_clockwise=True, **wide)
    wild = stadium(uneven())
    content = table(closed(wild)).encode()
    return found | {"0.01-2 m between points": RealFile(content, wild[:, :2], **wide)}


NPY, CSV = _npy_files(), _csv_files()

"""The `racer tracks` commands."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from racer.cli.output import make_console
from racer.errors import TrackError

if TYPE_CHECKING:
    from racer.track import Track


def tracks_list(json: bool = False) -> None:
    """List the shipped tracks.

    Args:
        json: Print them as JSON.
    """
    from racer import assets
    from racer.assets.document import read_document
    from racer.tables import FittedTable, TableColumn
    from racer.track import load_track
    from racer.track.track_file import TRACK_SETS, TrackFile

    rows = []
    for name in assets.shipped_names("tracks"):
        file = read_document(assets.find_file(name, "tracks", TrackError), TrackFile, TrackError)
        rows.append({**_figures(load_track(name)), "set": file.set, "about": file.description})
    rows.sort(key=lambda row: ((*TRACK_SETS, None).index(row["set"]), row["length_m"]))
    if json:
        print(json_text.dumps(rows, indent=2))
        return
    table = FittedTable(
        TableColumn("name", "left", least=12),
        TableColumn("set", "left", drop=1),
        TableColumn("length"),
        TableColumn("width", drop=2),
        TableColumn("direction", "left", drop=3),
        TableColumn("about", "left", least=30, drop=4),
    )
    for row in rows:
        size = f"{row['length_m']:.2f} m", _width(row)
        table.add_row(row["name"], row["set"], *size, row["direction"], row["about"])
    make_console().print(table)


def tracks_show(track: str, out: Path | None = None, json: bool = False) -> None:
    """Show a track's length, width, direction and smallest radius, and draw it.

    Args:
        track: A shipped name, a file (.yaml, .npy, .csv) or generated:SEED.
        out: Draw the track as this PNG.
        json: Print the figures as JSON.
    """
    from racer.track import load_track

    road = load_track(track)
    figures = _figures(road)
    if json:
        print(json_text.dumps(figures, indent=2))
    else:
        print(f"{road.name}: {figures['length_m']:.2f} m x {_width(figures)}, ", end="")
        print(f"{figures['direction']}, smallest radius {figures['smallest_radius_m']:.2f} m")
    if out:
        from racer.rendering.line_plots import save_figure
        from racer.track.picture import track_picture

        save_figure(track_picture(road), out)
        if not json:
            print(f"picture: {out}")


def tracks_generate(
    seed: int = 0, length: float | None = None, width: float | None = None, out: Path | None = None
) -> None:
    """Generate a random track from a seed and write it as a YAML file, equal on every machine.

    Args:
        seed: A whole number, 0 or larger.
        length: Length of its centre line [m], 15-120; random in 15-60 by default.
        width: Width of its road [m], 0.4-1.5; random in 0.6-1.45 by default.
        out: The file; generated-SEED.yaml by default.
    """
    import yaml

    from racer.track.generator import draw_track_file

    file = draw_track_file(seed, length, width)
    content = file.model_dump(exclude={"set"}, mode="json")
    path = out or Path(f"generated-{seed}.yaml")
    _write(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None).encode())


def tracks_import(
    file: Path,
    name: str | None = None,
    length: float | None = None,
    width: float | None = None,
    out: Path | None = None,
) -> None:
    """Import a track from another program, check it, and write it as a DeepRacer .npy.

    Args:
        file: A DeepRacer .npy, or a centre line or raceline as TUM and F1TENTH write it (.csv).
        name: Name of the imported track; the file's name by default.
        length: Scale it to this length of the centre line [m], e.g. to the size of the car.
        width: Give it this width [m] instead of its own borders; a raceline needs one.
        out: The file to write; NAME.npy by default. Use its path wherever a track is named.
    """
    from racer.track.formats import TRACK_READERS, as_npy, read_track

    if file.suffix.lower() not in TRACK_READERS:
        raise TrackError(f"{file}: the name must end with {' or '.join(TRACK_READERS)}")
    _write(out or Path(f"{name or file.stem}.npy"), as_npy(read_track(file, length, width)))


def tracks_export(
    track: str, format: Literal["npy", "csv"] = "npy", out: Path | None = None
) -> None:
    """Write a track in a format of other programs.

    Args:
        track: A shipped name, a file or generated:SEED.
        format: npy: DeepRacer's centre and borders; csv: TUM's and F1TENTH's centre line.
        out: The file; TRACK.npy or TRACK.csv by default.
    """
    from racer.track import load_track
    from racer.track.formats import TRACK_WRITERS

    road = load_track(track)
    path = out or Path(f"{road.name.replace(':', '-')}.{format}")
    _write(path, TRACK_WRITERS[format](road))


def tracks_limit(
    track: str, car: str = "deepracer", out: Path | None = None, json: bool = False
) -> None:
    """Compute the minimum lap time of a track for a car, in some seconds; needs CasADi.

    Args:
        track: A shipped track's name or a YAML file.
        car: The car, deepracer or f1tenth.
        out: Draw the fastest flying lap, coloured by speed, as this PNG.
        json: Print the limit as JSON.
    """
    from dataclasses import asdict

    from racer.car.spec import car_named
    from racer.laptime import committed_limit, solve_lap_time_limit
    from racer.track import load_track

    road, spec = load_track(track), car_named(car)
    limit, flying, _ = solve_lap_time_limit(road, spec)
    if json:
        print(json_text.dumps(asdict(limit), indent=2))
    else:
        known = (
            "as committed" if committed_limit(road, spec) else "none is committed for this geometry"
        )
        print(f"{limit.track}, {limit.car} ({known})")
        print(f"flying lap:       {limit.flying:8.3f} s")
        print(f"standing start:   {limit.standing:8.3f} s")
        print(f"quasi-steady lap: {limit.qss:8.3f} s, on the line of least curvature")
        print(f"refined grid:     {limit.margin:8.3%} away")
    if out:
        from racer.rendering.line_plots import plot_driven_line, save_figure

        title = f"{limit.track}, {limit.car}: {limit.flying:.2f} s is the least for a flying lap"
        save_figure(plot_driven_line(road, flying.xy, flying.speed, title), out)
        print(f"line: {out}", file=sys.stderr if json else sys.stdout)


def _figures(road: Track) -> dict:
    """Return a track's name, length and widths [m], direction and smallest radius [m]."""
    import numpy as np

    turn = np.abs(np.diff(np.unwrap(np.append(road.heading, road.heading[0]))))
    bend = turn / ((np.diff(road.s) + np.roll(np.diff(road.s), -1)) / 2)
    return {
        "name": road.name,
        "length_m": road.length,
        "width_m": [float(road.width.min()), float(road.width.max())],
        "direction": "clockwise" if road.is_clockwise else "counterclockwise",
        "smallest_radius_m": float(1.0 / bend.max()),
    }


def _width(figures: dict) -> str:
    low, high = figures["width_m"]
    return f"{low:.2f} m" if high - low < 0.005 else f"{low:.2f}-{high:.2f} m"


def _write(path: Path, content: bytes) -> None:
    from racer.assets.atomic import write_new

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, content)
    except OSError as problem:
        raise TrackError(f"{path}: cannot be written: {problem.strerror}") from problem
    print(f"track: {path}")

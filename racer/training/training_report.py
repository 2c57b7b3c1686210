"""What a run left behind, as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from racer.assets.atomic import write_own
from racer.assets.chart_style import EARLY_COLOUR, LATE_COLOUR
from racer.car.action_space import ActionSpace
from racer.deepracer.sim_trace import action_index
from racer.errors import RunError
from racer.rendering.svg_charts import (
    count_grid,
    dot_map,
    histogram_chart,
    line_chart,
    line_map,
    ramp_legend,
    share_bars,
)
from racer.track import Track, load_track
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.run_history import training_curve
from racer.training.trajectories import load_trajectory

REPORT_MARK = b'<meta name="generator" content="racer analyze">'
"""Tells a report from a page of somebody's own."""
COUNTED_FAULTS = ("off_track", "crashed")

REPORT_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --soft: #5c6673; --card: #f3f5f8 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #10141a; --ink: #dde2e8; --soft: #97a2af; --card: #1a2029 } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 70rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.5rem; margin: .2rem 0 }
h2 { font-size: 1.05rem; margin: 0 0 .4rem }
p, figcaption { color: var(--soft); margin: .2rem 0 .6rem }
main { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)) }
section { background: var(--card); border-radius: .5rem; padding: .8rem; min-width: 0 }
section.wide { grid-column: 1 / -1 }
svg { display: block; width: 100%; height: auto }
svg text { font: 15px system-ui, sans-serif }
@media (max-width: 40rem) { svg text { font-size: 22px } }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .2rem .6rem; white-space: nowrap;
  border-bottom: 1px solid #8884 }
tr.best td { font-weight: 700 }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: .8rem 0 1rem }
.tiles div { background: var(--card); border-radius: .5rem; padding: .4rem .8rem }
.tiles b { display: block; font-size: 1.25rem }
"""


def write_report(folder: Path, out: Path) -> Path:
    """Write `report.html` about the run in `folder` into `out`, and say where it is.

    Raises:
        RunError: There is no run, it holds nothing to tell yet, or the file cannot be written.
    """
    run = Run.open(folder)
    config = run.config()
    episodes, evaluations = run.records("episodes"), run.records("evaluations")
    if not episodes and not evaluations:
        raise RunError(f"{folder} holds no episode and no evaluation yet; train it for longer")
    tracks = [load_track(name) for name in config.track]
    best = int(run.best().stem.removeprefix("step-")) if evaluations else None
    parts = [_head(folder, config, tracks, episodes, evaluations, best)]
    if episodes:
        parts += _training(episodes) + _histograms(episodes) + _faults(tracks, episodes)
    if best is not None and run.line(best).is_file():
        line = load_trajectory(run.line(best))
        parts += _driven(load_track(config.evaluation_tracks[0]), line) + _actions(
            config.actions, line
        )
    if evaluations:
        parts += [_sectors(evaluations), _checkpoints(evaluations, best)]
    path = out / "report.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_own(path, _page(folder.name, parts).encode(), lambda held: REPORT_MARK in held)
    except OSError as problem:
        raise RunError(f"{path}: cannot be written: {problem}") from problem
    return path


def _page(title: str, parts: Sequence[str]) -> str:
    head, *sections = parts
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{REPORT_MARK.decode()}<title>{escape(title)}</title><style>{REPORT_STYLE}</style></head>"
        f"<body>{head}<main>{''.join(sections)}</main></body></html>\n"
    )


def _section(title: str, body: str, note: str = "", is_wide: bool = False) -> str:
    kind = ' class="wide"' if is_wide else ""
    told = f"<p>{escape(note)}</p>" if note else ""
    return f"<section{kind}><h2>{escape(title)}</h2>{told}{body}</section>"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], best: int | None = None) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        f"<tr{' class=best' if number == best else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _head(
    folder: Path,
    config: RunConfig,
    tracks: list[Track],
    episodes: list[dict[str, Any]],
    evaluations: list[dict[str, Any]],
    best: int | None,
) -> str:
    judged = next((one for one in evaluations if one["steps"] == best), None)
    steps = max(one["steps"] for one in episodes + evaluations)
    laps = [one["lap_time_s"] for one in episodes if one["lap_time_s"] is not None]
    tiles = {
        "steps": f"{steps:,}",
        "episodes": f"{len(episodes):,}",
        "fastest lap in training": f"{min(laps):.2f} s" if laps else "none",
    }
    if judged:
        tiles["best checkpoint"] = f"{best:,}"
        tiles["its laps"] = f"{judged['laps_completed']} of {judged['laps']}"
        tiles["its best lap"] = f"{_seconds(judged['best_lap_s'])} s"
        tiles["put back"] = f"{judged['resets']}x"
    cells = "".join(
        f"<div>{escape(key)}<b>{escape(value)}</b></div>" for key, value in tiles.items()
    )
    seen = ", ".join(sensor.name for sensor in config.sensor)
    road = ", ".join(f"{track.name} ({track.length:.1f} m)" for track in tracks)
    said = f"{road}; {config.race.kind}; sees {seen}; {config.actions.kind} actions"
    return f'<h1>{escape(folder.name)}</h1><p>{escape(said)}</p><div class="tiles">{cells}</div>'


def _training(episodes: list[dict[str, Any]]) -> list[str]:
    """Means over training, each of an equal number of episodes in a row."""
    mean = training_curve(episodes)
    way = {
        "mean progress": (mean["steps"], mean["progress"]),
        "laps completed": (mean["steps"], mean["laps"]),
    }
    note = "Training episodes, with the noise that the policy explores with."
    paid = {"mean reward": (mean["steps"], mean["reward"])}
    return [
        _section(
            "Progress over training", line_chart(way, "control steps", "percent", 100.0), note
        ),
        _section("Reward over training", line_chart(paid, "control steps", "an episode"), note),
    ]


def _histograms(episodes: list[dict[str, Any]]) -> list[str]:
    late = episodes[-max(len(episodes) // 3, 1) :]
    progress = np.clip([one["progress"] for one in late], 0.0, 100.0)
    found = [
        _section(
            "How far episodes came",
            histogram_chart(progress, np.linspace(0, 100, 21), "percent of the lap"),
            f"The last third of training: {len(late):,} episodes.",
        )
    ]
    laps = np.array([one["lap_time_s"] for one in late if one["lap_time_s"] is not None])
    if len(laps):
        edges = np.linspace(laps.min() - 0.05, np.percentile(laps, 99) + 0.05, 25)
        chart = histogram_chart(laps, edges, "lap time [s]", "laps")
        note = (
            f"{len(laps):,} laps there, from wherever they began; the fastest {laps.min():.2f} s."
        )
        found.append(_section("Lap times", chart, note))
    return found


def _faults(tracks: list[Track], episodes: list[dict[str, Any]]) -> list[str]:
    """A map of each track: where episodes ended off the road or in a crash."""
    found = []
    middle = np.median([one["steps"] for one in episodes])
    for number, track in enumerate(tracks):
        ended = [
            one for one in episodes if one["ending"] in COUNTED_FAULTS and one["track"] == number
        ]
        early = [one["xy"] for one in ended if one["steps"] <= middle]
        late = [one["xy"] for one in ended if one["steps"] > middle]
        groups = [
            (np.array(early).reshape(-1, 2), EARLY_COLOUR, 0.35),
            (np.array(late).reshape(-1, 2), LATE_COLOUR, 0.7),
        ]
        where = f", {track.name}" if len(tracks) > 1 else ""
        note = f"Grey: {len(early):,} in the first half of the episodes; red: {len(late):,} later."
        found.append(_section(f"Where cars leave the road{where}", dot_map(track, groups), note))
    return found


def _driven(track: Track, line: dict[str, np.ndarray]) -> list[str]:
    found = []
    for key, what in (("speed", "m/s"), ("reward", "a step")):
        values = line[key]
        if not np.isfinite(values).all():
            continue
        low, high = np.percentile(values, [5, 95]).tolist()
        body = line_map(track, line["xy"], values, (low, high)) + ramp_legend(low, high, what)
        note = "The best evaluation, all its laps."
        found.append(_section(f"Driven line by {key}", body, note))
    return found


def _actions(actions: ActionSpace, line: dict[str, np.ndarray]) -> list[str]:
    command = line["command"]
    if actions.kind == "discrete":
        used = [action_index(actions, *pair) for pair in command.tolist()]
        shares = np.bincount(np.array(used, dtype=int), minlength=len(actions.choices)) / len(used)
        names = [
            f"{number}: {a:+.0f} deg, {v:.2f} m/s" for number, (a, v) in enumerate(actions.choices)
        ]
        chart = share_bars(names, shares.tolist())
    else:
        (right, left), (slow, fast) = actions.steering_deg, actions.speed
        fast = fast if fast > slow else slow + 0.1
        counts, _, _ = np.histogram2d(
            command[:, 1],
            -np.rad2deg(command[:, 0]),
            bins=(16, 30),
            range=((slow, fast), (-left, -right)),
        )
        ends = (-left, -right, slow, fast)
        chart = count_grid(counts, "steering to the right [deg]", "speed [m/s]", ends)
    return [_section("Use of the actions", chart, "Commands of the best evaluation.")]


def _sectors(evaluations: list[dict[str, Any]]) -> str:
    """The fastest judged laps with their thirds, and the fastest thirds of all."""
    laps = [
        (lap, sectors, one["steps"])
        for one in evaluations
        for lap, sectors in zip(one["lap_times_s"], one["sector_times_s"])
    ]
    if not laps:
        return _section("Best laps by sector", "", "No lap was completed in an evaluation.", True)
    laps.sort(key=lambda lap: lap[0])
    thirds = [min(times) for times in zip(*(sectors for _, sectors, _ in laps))]
    rows = [
        [f"{lap:.2f}", *(f"{time:.2f}" for time in sectors), f"{steps:,}"]
        for lap, sectors, steps in laps[:8]
    ]
    rows.append([f"{sum(thirds):.2f}", *(f"{time:.2f}" for time in thirds), "best thirds"])
    titles = ["lap [s]", "first third", "second", "last", "checkpoint"]
    return _section("Best laps by sector", _table(titles, rows, len(rows) - 1), is_wide=True)


def _checkpoints(evaluations: list[dict[str, Any]], best: int | None) -> str:
    rows = [
        [
            f"{one['steps']:,}",
            f"{one['laps_completed']} of {one['laps']}",
            _seconds(one["best_lap_s"]),
            _seconds(one["total_time_s"]),
            str(one["off_tracks"]),
            str(one["collisions"]),
            f"{one['distance_m']:.1f}",
        ]
        for one in evaluations
    ]
    titles = ["steps", "laps", "best lap [s]", "total [s]", "off the road", "crashes", "way [m]"]
    mine = next((n for n, one in enumerate(evaluations) if one["steps"] == best), None)
    note = "Each evaluation by the judge; in bold the one that an export takes."
    return _section("Checkpoints", _table(titles, rows, mine), note, is_wide=True)

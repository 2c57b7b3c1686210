"""A report of a training run, as a single HTML file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from racer.assets.atomic import write_own
from racer.assets.chart_style import EARLY_COLOUR, LATE_COLOUR
from racer.assets.notebook import Video
from racer.assets.templates import render_template
from racer.assets.terminal import shell_command
from racer.assets.text import decode_text
from racer.car.action_space import ActionSpace
from racer.deepracer.sim_trace import action_index
from racer.errors import RunError
from racer.explain.explained_card import read_card
from racer.explain.reaction_table import MAP_TITLES, REACTION_TITLES
from racer.rendering.svg_charts import (
    count_grid,
    dot_map,
    histogram_chart,
    line_chart,
    line_map,
    ramp_legend,
    share_bars,
)
from racer.tables import decimal_cell
from racer.track import Track, load_track
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.run_history import origin_words, training_curve
from racer.training.trajectories import load_trajectory

REPORT_GENERATOR = "racer analyze"
"""The generator in a report's metadata, by which a report is recognized."""
COUNTED_FAULTS = ("off_track", "crashed")
"""Endings of an episode that are shown on the map of faults."""
MAX_VIDEO_BYTES = 30_000_000
"""Size of the largest video that a report embeds."""
MAX_REWARD_BYTES = 200_000
"""Size of the largest reward file that a report shows."""
REPORT_TEMPLATES = Path(__file__).parent / "templates"
"""The folder of the page's templates."""
_MARK = f'<meta name="generator" content="{REPORT_GENERATOR}">'.encode()


@dataclass(frozen=True)
class ReportTable:
    """A table of a report.

    Attributes:
        titles: Titles of the columns.
        rows: Cells of each row.
        bold_row: Index of the row that is set in bold; None for none.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold_row: int | None = None


@dataclass(frozen=True)
class ReportSection:
    """A section of a report.

    Attributes:
        title: Its title.
        note: A sentence below the title.
        picture: SVG pictures, a video or a text.
        table: A table below it.
        is_wide: Whether it spans all columns of the page.
    """

    title: str
    note: str = ""
    picture: Markup | str = ""
    table: ReportTable | None = None
    is_wide: bool = False


def write_report(folder: Path, out: Path) -> Path:
    """Write the report of a run as `out/report.html`, and return the file's path.

    Args:
        folder: The run's folder.
        out: The folder of the report; it is made if it does not exist.

    Raises:
        RunError: The folder holds no run, the run has no episode and no evaluation yet, or the file
            cannot be written. A file that is not a report is not overwritten.
    """
    run = Run.open(folder)
    config = run.config()
    episodes, evaluations = run.records("episodes"), run.records("evaluations")
    if not episodes and not evaluations:
        raise RunError(f"{folder} holds no episode and no evaluation yet; train it for longer")
    tracks = [load_track(name) for name in config.track]
    best = int(run.best().stem.removeprefix("step-")) if evaluations else None
    sections = []
    if episodes:
        sections += _training(episodes) + _histograms(episodes) + _faults(tracks, episodes)
    if best is not None and run.line(best).is_file():
        line = load_trajectory(run.line(best))
        sections += _driven_lines(load_track(config.evaluation_tracks[0]), line)
        sections.append(_actions(config.actions, line))
    sections.append(_lap_video(run, evaluations, best))
    sections += _explained(run, best)
    if evaluations:
        sections += [_sectors(evaluations), _checkpoints(evaluations, best)]
    sections.append(_reward(run, config))
    page = render_template(
        REPORT_TEMPLATES,
        "report.html",
        generator=REPORT_GENERATOR,
        title=folder.name,
        description="; ".join([_description(config, tracks), *origin_words(run)]),
        facts=_facts(episodes, evaluations, best),
        sections=sections,
    )
    path = out / "report.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_own(path, page.encode(), lambda held: _MARK in held)
    except OSError as problem:
        raise RunError(f"{path}: cannot be written: {problem}") from problem
    return path


def _description(config: RunConfig, tracks: list[Track]) -> str:
    seen = ", ".join(sensor.name for sensor in config.sensor)
    roads = ", ".join(f"{track.name} ({track.length:.1f} m)" for track in tracks)
    return f"{roads}; {config.race.kind}; sees {seen}; {config.actions.kind} actions"


def _facts(
    episodes: list[dict[str, Any]], evaluations: list[dict[str, Any]], best: int | None
) -> dict[str, str]:
    judged = next((one for one in evaluations if one["steps"] == best), None)
    steps = max(one["steps"] for one in episodes + evaluations)
    laps = [one["lap_time_s"] for one in episodes if one["lap_time_s"] is not None]
    facts = {
        "steps": f"{steps:,}",
        "episodes": f"{len(episodes):,}",
        "fastest lap in training": f"{min(laps):.2f} s" if laps else "none",
    }
    if judged:
        facts["best checkpoint"] = f"{best:,}"
        facts["its laps"] = f"{judged['laps_completed']} of {judged['laps']}"
        facts["its best lap"] = f"{decimal_cell(judged['best_lap_s'])} s"
        facts["put back"] = f"{judged['resets']}x"
    return facts


def _training(episodes: list[dict[str, Any]]) -> list[ReportSection]:
    """Return curves over training, in which each point is the mean of a group of episodes."""
    means = training_curve(episodes)
    shares = {
        "mean progress": (means["steps"], means["progress"]),
        "laps completed": (means["steps"], means["laps"]),
    }
    rewards = {"mean reward": (means["steps"], means["reward"])}
    charts = {
        "Progress over training": line_chart(shares, "control steps", "percent", 100.0),
        "Reward over training": line_chart(rewards, "control steps", "per episode"),
    }
    note = "Training episodes, with exploration noise."
    return [ReportSection(title, note, chart) for title, chart in charts.items()]


def _histograms(episodes: list[dict[str, Any]]) -> list[ReportSection]:
    late = episodes[-max(len(episodes) // 3, 1) :]
    progress = np.clip([one["progress"] for one in late], 0.0, 100.0)
    chart = histogram_chart(progress, np.linspace(0, 100, 21), "percent of the lap")
    note = f"The last third of training: {len(late):,} episodes."
    found = [ReportSection("Progress of the episodes", note, chart)]
    laps = np.array([one["lap_time_s"] for one in late if one["lap_time_s"] is not None])
    if len(laps):
        edges = np.linspace(laps.min() - 0.05, np.percentile(laps, 99) + 0.05, 25)
        chart = histogram_chart(laps, edges, "lap time [s]", "laps")
        note = (
            f"{len(laps):,} laps in the last third of training; the fastest took "
            f"{laps.min():.2f} s."
        )
        found.append(ReportSection("Lap times", note, chart))
    return found


def _faults(tracks: list[Track], episodes: list[dict[str, Any]]) -> list[ReportSection]:
    """Return a map of each track that shows where episodes ended off the road or in a crash."""
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
        picture = dot_map(track, groups)
        found.append(ReportSection(f"Where cars leave the road{where}", note, picture))
    return found


def _driven_lines(track: Track, line: dict[str, np.ndarray]) -> list[ReportSection]:
    found = []
    for key, unit in (("speed", "m/s"), ("reward", "per step")):
        values = line[key]
        if not np.isfinite(values).all():
            continue
        low, high = np.percentile(values, [5, 95]).tolist()
        picture = line_map(track, line["xy"], values, (low, high)) + ramp_legend(low, high, unit)
        note = "All laps of the best evaluation."
        found.append(ReportSection(f"Driven line by {key}", note, picture))
    return found


def _actions(actions: ActionSpace, line: dict[str, np.ndarray]) -> ReportSection:
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
        extent = (-left, -right, slow, fast)
        chart = count_grid(counts, "steering to the right [deg]", "speed [m/s]", extent)
    return ReportSection("Use of the actions", "Commands of the best evaluation.", chart)


def _lap_video(run: Run, evaluations: list[dict[str, Any]], best: int | None) -> ReportSection:
    """Return the video of the best evaluation's lap, or of the newest one that was filmed."""
    title = "Video of a lap"
    how = f"`{shell_command('analyze', run.folder, '--film')}` films the best evaluation"
    if best is None:
        return ReportSection(title, "The run has not been evaluated yet, so there is no video.")
    path = run.video_path(best)
    if not path.is_file():
        path = run.newest_video()
    if path is None:
        return ReportSection(title, f"No evaluation of this run was filmed; {how}.")
    steps = int(path.stem.removeprefix("step-"))
    judged = next((one for one in evaluations if one["steps"] == steps), None)
    lap = f", {judged['lap_times_s'][0]:.2f} s" if judged and judged["lap_times_s"] else ""
    note = (
        f"The first lap{lap}, of the {'best ' * (steps == best)}evaluation after {steps:,} steps."
    )
    if steps != best:
        note += f" The best one, after {best:,} steps, was not filmed; {how}."
    if (size := path.stat().st_size) > MAX_VIDEO_BYTES:
        note += f" It is too large for this page, {size / 1e6:.0f} MB; open {path}."
        return ReportSection(title, note)
    # The page holds the video itself, so that it can be moved and sent.
    return ReportSection(title, note, Markup(Video.read(path)._repr_html_()))


def _explained(run: Run, best: int | None) -> list[ReportSection]:
    """Return what the best checkpoint looked at on a lap, and what it reacts to."""
    title = "What it looks at"
    card = None if best is None else read_card(run.explained_path(best))
    if card is None:
        how = shell_command("analyze", run.folder)
        return [ReportSection(title, f"No lap was explained yet; `{how}` does it.", is_wide=True)]
    picture = Markup('<img src="{}" alt="{}" style="width: 100%">').format(card.picture_url, title)
    found = [
        ReportSection(
            title,
            " ".join((f"{card.title}.", *card.sentences)),
            picture if card.picture else "",
            is_wide=True,
        )
    ]
    if card.maps:
        table = ReportTable(MAP_TITLES, card.maps)
        found.append(ReportSection("Share of the map", table=table, is_wide=True))
        table = ReportTable(REACTION_TITLES, card.reactions)
        note = "The mean change of its command over the lap, and the mean size of the change."
        found.append(ReportSection("What it reacts to", note, table=table, is_wide=True))
    return found


def _reward(run: Run, config: RunConfig) -> ReportSection:
    """Return the text of the reward file, which is highlighted and escaped."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    path, asked = Path(config.reward or ""), run.story().get("reward")
    try:
        content = path.read_bytes()
        text = decode_text(content[:MAX_REWARD_BYTES])
    except (OSError, UnicodeDecodeError) as problem:
        return ReportSection("Reward", f"{path} cannot be read: {problem}", is_wide=True)
    shown = highlight(text, PythonLexer(), HtmlFormatter(nowrap=True))
    note = f"{asked or path.name}, SHA-256 {hashlib.sha256(content).hexdigest()[:12]}"
    if len(content) > MAX_REWARD_BYTES:
        note += f"; the first {MAX_REWARD_BYTES // 1000} of {len(content) // 1000} kB"
    code = Markup(f'<pre class="scroll"><code>{shown}</code></pre>')  # pygments escapes the text
    return ReportSection("Reward", f"{note}.", code, is_wide=True)


def _sectors(evaluations: list[dict[str, Any]]) -> ReportSection:
    """Return a table of the fastest evaluated laps with the times of their thirds.

    The last row holds the fastest time of each third among all laps, and their sum.
    """
    title = "Best laps by sector"
    laps = [
        (lap, sectors, one["steps"])
        for one in evaluations
        for lap, sectors in zip(one["lap_times_s"], one["sector_times_s"])
    ]
    if not laps:
        return ReportSection(title, "No lap was completed in an evaluation.", is_wide=True)
    laps.sort(key=lambda lap: lap[0])
    thirds = [min(times) for times in zip(*(sectors for _, sectors, _ in laps))]
    rows = [
        [f"{lap:.2f}", *(f"{time:.2f}" for time in sectors), f"{steps:,}"]
        for lap, sectors, steps in laps[:8]
    ]
    rows.append([f"{sum(thirds):.2f}", *(f"{time:.2f}" for time in thirds), "best thirds"])
    titles = ["lap [s]", "first third", "second", "last", "checkpoint"]
    return ReportSection(title, table=ReportTable(titles, rows, len(rows) - 1), is_wide=True)


def _checkpoints(evaluations: list[dict[str, Any]], best: int | None) -> ReportSection:
    rows = [
        [
            f"{one['steps']:,}",
            f"{one['laps_completed']} of {one['laps']}",
            decimal_cell(one["best_lap_s"]),
            decimal_cell(one["total_time_s"]),
            str(one["off_tracks"]),
            str(one["collisions"]),
            f"{one['distance_m']:.1f}",
        ]
        for one in evaluations
    ]
    titles = ["steps", "laps", "best lap [s]", "total [s]", "off the road", "crashes"]
    titles += ["distance [m]"]
    bold = next((n for n, one in enumerate(evaluations) if one["steps"] == best), None)
    note = "All evaluations; the checkpoint in bold is the best, which is exported."
    return ReportSection("Checkpoints", note, table=ReportTable(titles, rows, bold), is_wide=True)

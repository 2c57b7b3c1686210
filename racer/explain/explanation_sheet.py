"""A sheet with everything about an explained lap: maps, their proof, and what changes do."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from racer.assets.chart_style import (
    CURVE_COLOURS,
    GRID_COLOUR,
    INK_COLOUR,
    TICK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.explain.attribution import is_picture
from racer.explain.explanation import LapExplanation, SensorExplanation, sensor_words
from racer.explain.map_proof import DELETION_STEPS
from racer.explain.overlay import map_scale, newest_frame, overlaid
from racer.explain.policy_output import ExplainedPolicy, probabilities
from racer.explain.reaction_table import proof_words
from racer.explain.scene_changes import CHANGE_WORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHEET_MOMENTS, SHEET_BARS = 6, 12
"""Moments of a camera, and numbers of another sensor, on a sheet."""


def explanation_sheet(explanation: LapExplanation, policy: ExplainedPolicy) -> Figure:
    """Return a figure of an explained lap.

    For each sensor there are the maps, below them those of random weights, and how the answer goes
    as the most important parts are deleted and inserted; then the action over the lap, and what it
    would have been in a changed world.

    Args:
        explanation: The explanation.
        policy: The policy.
    """
    rows: list[tuple[float, Callable[[Figure], None]]] = []
    for one in explanation.sensors:
        rows += _sensor_rows(explanation, one)
    if policy.actions.kind == "discrete":
        rows.append((1.8, lambda part: _draw_choices(part, explanation, policy)))
    rows.append((2.2, lambda part: _draw_commands(part, explanation, policy, 0)))
    rows.append((2.2, lambda part: _draw_commands(part, explanation, policy, 1)))
    said = (*explanation.sentences, *proof_words(explanation))
    text = [textwrap.fill(line, 140) for line in said]
    head = 0.5 + 0.22 * sum(line.count("\n") + 1 for line in text)
    figure = chart_figure((12.0, head + sum(height for height, _ in rows)))
    heights = [head, *(height for height, _ in rows)]
    parts: Any = figure.subfigures(len(rows) + 1, 1, height_ratios=heights)
    for part in parts:
        part.set_facecolor(figure.get_facecolor())
    _write_head(parts[0], explanation, text)
    for part, (_, draw) in zip(parts[1:], rows):
        draw(part)
    return figure


def _write_head(part: Figure, explanation: LapExplanation, text: list[str]) -> None:
    lap = explanation.lap
    title = f"{explanation.policy} on {lap.track.name}: {lap.result.summary}"
    part.text(0.012, 0.93, title, color=INK_COLOUR, fontsize=13, va="top")
    part.text(0.012, 0.02, "\n".join(text), color=INK_COLOUR, fontsize=10, va="bottom")


def _sensor_rows(
    explanation: LapExplanation, one: SensorExplanation
) -> list[tuple[float, Callable[[Figure], None]]]:
    """Return the height [inch] and the drawing of each row that is about a sensor."""
    if not is_picture(one.sensor):
        return [(3.4, lambda part: _draw_numbers(part, one))]
    height, width = one.maps[0].shape
    row = 11.0 / SHEET_MOMENTS * height / width + 0.45
    words, method = sensor_words(one.sensor), explanation.method
    return [
        (row, lambda part: _draw_maps(part, explanation, one, one.maps, f"{words}: {method}")),
        (
            row,
            lambda part: _draw_maps(
                part, explanation, one, one.random_maps, "the same for random weights"
            ),
        ),
        (2.6, lambda part: _draw_proof(part, one)),
    ]


def _draw_maps(
    part: Figure,
    explanation: LapExplanation,
    one: SensorExplanation,
    maps: list[np.ndarray],
    title: str,
) -> None:
    """Draw the frames of some moments with their maps."""
    count = min(SHEET_MOMENTS, len(one.steps))
    chosen = np.linspace(0, len(one.steps) - 1, count).astype(int).tolist()
    lap, scale = explanation.lap, map_scale(maps)
    shown = np.atleast_1d(part.subplots(1, count))
    for axes, k in zip(shown, chosen):
        step = int(one.steps[k])
        frame = newest_frame(one.sensor, lap.observations[one.name][step])
        axes.imshow(overlaid(frame, maps[k], scale))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{lap.time[step]:.1f} s", color=TICK_COLOUR, fontsize=9, pad=3)
    style_axes(shown)
    part.suptitle(title, color=INK_COLOUR, fontsize=11, x=0.012, ha="left")


def _draw_proof(part: Figure, one: SensorExplanation) -> None:
    """Draw the parts of the picture, and the curves of deletion and insertion."""
    bars, curves = part.subplots(1, 2)
    _draw_parts(bars, one, "share of the map, and of the picture (grey)")
    _draw_curves(curves, one)


def _draw_numbers(part: Figure, one: SensorExplanation) -> None:
    """Draw the most important numbers, and the curves of deletion and insertion."""
    bars, curves = part.subplots(1, 2, width_ratios=(1.3, 1.0))
    words = sensor_words(one.sensor)
    _draw_parts(bars, one, f"{words}: share of the map, and of the numbers (grey)")
    _draw_curves(curves, one)


def _draw_parts(axes: Axes, one: SensorExplanation, title: str) -> None:
    shown = one.parts[:SHEET_BARS]
    rows = np.arange(len(shown))
    axes.barh(rows, [weight for _, weight, _ in shown], 0.7, color=CURVE_COLOURS[0])
    axes.barh(rows, [area for _, _, area in shown], 0.2, color=TICK_COLOUR)
    axes.set_yticks(rows, [name for name, _, _ in shown])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(title, color=INK_COLOUR, fontsize=10, loc="left")
    axes.grid(axis="x", color=GRID_COLOUR)
    axes.set_axisbelow(True)
    style_axes([axes])
    axes.tick_params(labelsize=9)


def _draw_curves(axes: Axes, one: SensorExplanation) -> None:
    proof, share = one.proof, np.linspace(0.0, 100.0, DELETION_STEPS + 1)
    names = "deletion", "insertion", "deletion, random order", "insertion, random order"
    styles = (("-", 0), ("-", 1), (":", 0), (":", 1))
    for curve, name, (style, colour) in zip(proof.curves, names, styles):
        if not np.isnan(curve).any():
            shown = f"{name} {curve.mean():.2f}"
            axes.plot(share, curve, style, color=CURVE_COLOURS[colour], label=shown)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("share of the observation [percent]", color=INK_COLOUR, fontsize=9)
    likeness = "-" if np.isnan(proof.similarity) else f"{proof.similarity:.2f}"
    title = f"agreement; similar to random weights {likeness}"
    axes.set_title(title, color=INK_COLOUR, fontsize=10, loc="left")
    axes.grid(color=GRID_COLOUR)
    style_axes([axes])
    axes.tick_params(labelsize=9)
    if axes.get_lines():
        axes.legend(frameon=False, labelcolor=INK_COLOUR, fontsize=8)


def _draw_choices(part: Figure, explanation: LapExplanation, policy: ExplainedPolicy) -> None:
    """Draw the probability of each choice over the lap."""
    lap, axes = explanation.lap, part.subplots()
    shares = probabilities(lap.output.scores).T
    axes.imshow(shares, aspect="auto", cmap="inferno", vmin=0.0, vmax=1.0, interpolation="nearest")
    names = [f"{steering:+.0f} deg, {speed:.1f} m/s" for steering, speed in policy.actions.choices]
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks([])
    known = "probability of each choice" if explanation.has_scores else "the choice"
    axes.set_title(known, color=INK_COLOUR, fontsize=10, loc="left")
    style_axes([axes])
    axes.tick_params(labelsize=7)


def _draw_commands(
    part: Figure, explanation: LapExplanation, policy: ExplainedPolicy, row: int
) -> None:
    """Draw steering (row 0) or speed (row 1) over the lap, as it was and in changed worlds."""
    lap, axes = explanation.lap, part.subplots()
    turn = np.rad2deg if row == 0 else np.asarray
    driven = turn(policy.actions.command(lap.output.action)[:, row])
    for number, effect in enumerate(explanation.effects):
        colour = CURVE_COLOURS[1 + number]
        label = CHANGE_WORDS[effect.change]
        axes.plot(lap.time, turn(effect.command[:, row]), color=colour, lw=1.1, label=label)
    axes.plot(lap.time, driven, color=CURVE_COLOURS[0], lw=1.8, label="as it was")
    if policy.actions.kind == "continuous" and lap.output.deviation.any():
        ends = np.asarray(policy.actions.command(np.array([[-1.0, -1.0], [1.0, 1.0]])))[:, row]
        off = lap.output.deviation[:, row] * float(turn(ends[1] - ends[0])) / 2.0
        axes.fill_between(
            lap.time, driven - off, driven + off, color=CURVE_COLOURS[0], alpha=0.18, lw=0
        )
    title = "steering [deg], positive to the left" if row == 0 else "speed [m/s]"
    axes.set_title(title, color=INK_COLOUR, fontsize=10, loc="left")
    if row == 1:
        axes.set_xlabel("race time [s]", color=INK_COLOUR, fontsize=9)
    axes.set_xlim(float(lap.time[0]), float(lap.time[-1]) + 1e-6)
    axes.grid(color=GRID_COLOUR)
    style_axes([axes])
    axes.tick_params(labelsize=9)
    if row == 0:
        axes.legend(
            frameon=False,
            labelcolor=INK_COLOUR,
            fontsize=8,
            ncols=5,
            loc="lower left",
            bbox_to_anchor=(0.28, 0.98),
            borderaxespad=0.0,
        )

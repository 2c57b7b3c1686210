"""Plots of a car's manoeuvres beside what each should show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from racer.assets.chart_style import (
    CURVE_COLOURS,
    GRID_COLOUR,
    INK_COLOUR,
    chart_figure,
    style_axes,
)
from racer.car.spec import GRAVITY, CarSpec
from racer.rendering.line_plots import save_figure
from racer.validation import closed_forms, manoeuvres
from racer.validation.checks import TEST_HEADINGS_RAD, TEST_SIDES, step_steer_case, without_drag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IDEAL, CAR, OTHER = *CURVE_COLOURS[:2], "#e0559c"
"""Colours of the closed form or linear model, of the car, and of the STD model or a second car."""


def plot_all_manoeuvres(spec: CarSpec, folder: Path) -> list[Path]:
    """Drive and plot every manoeuvre, and return the paths of the PNGs written to `folder`.

    Raises:
        RacerError: A file cannot be written.
    """
    pictures = {
        "skid_pad": plot_skid_pad,
        "step_steer": plot_step_steer,
        "coast_down": plot_coast_down,
        "braking": plot_braking,
        "friction_ellipse": plot_friction_ellipse,
        "understeer": plot_understeer,
    }
    paths = []
    for name, picture in pictures.items():
        paths.append(folder / f"{spec.name}_{name}.png")
        save_figure(picture(spec), paths[-1])
    return paths


def plot_skid_pad(spec: CarSpec) -> Figure:
    """Return lateral acceleration over a slowly growing angle, for 8 headings and both sides."""
    speed = manoeuvres.brisk_speed(spec)
    pad = manoeuvres.skid_pad(spec, TEST_HEADINGS_RAD, TEST_SIDES, speed)
    angles = np.linspace(0.0, spec.steering_limit, 60)
    figure, (axes,) = _sheet(f"{spec.name}: skid pad at {speed:.1f} m/s, 8 headings, both sides")
    ideal = spec.friction * GRAVITY
    axes.plot(_deg(angles), np.full(60, ideal), color=INK_COLOUR, ls=":", label="mu g")
    limits = [closed_forms.lateral_limit(spec, angle) for angle in angles]
    axes.plot(_deg(angles), limits, color=IDEAL, ls="--", label="front axle's limit at this angle")
    axes.plot(_deg(pad.steering), pad.lateral[:, 1:], color=CAR, lw=1.0, alpha=0.5)
    axes.plot(_deg(pad.steering), pad.lateral[:, 0], color=CAR, lw=2.0, label="the car, 16 runs")
    axes.plot(_deg(pad.peak_steering), pad.peak[0], "o", color=CAR)
    _label(axes, "angle of the front wheels [deg]", "lateral acceleration [m/s^2]")
    axes.set_ylim(0.0, 1.08 * ideal)
    return figure


def plot_step_steer(spec: CarSpec) -> Figure:
    """Return yaw rate and slip angle after a step of the steering, beside STD."""
    case = step_steer_case(spec)
    ours = manoeuvres.step_steer(*case, seconds=1.0)
    title = (
        f"{spec.name}, equal tyres, no drag: step to {_deg(case[2]):.1f} deg at {case[1]:.1f} m/s"
    )
    figure, (above, below) = _sheet(title, rows=2)
    above.plot(ours.time, ours.yaw_rate, color=CAR, lw=2.0, label="the car")
    below.plot(ours.time, _deg(ours.slip), color=CAR, lw=2.0, label="the car")
    if closed_forms.has_single_track_drift():
        theirs = closed_forms.single_track_drift(*case, ours.time[-1])
        above.plot(theirs.time, theirs.yaw_rate, color=OTHER, ls="--", label="STD")
        below.plot(theirs.time, _deg(theirs.slip), color=OTHER, ls="--", label="STD")
    _label(above, "", "yaw rate [rad/s]")
    _label(below, "time since the step [s]", "slip angle [deg]")
    return figure


def plot_coast_down(spec: CarSpec) -> Figure:
    """Return speed over time without drive or brakes."""
    run = manoeuvres.coast_down(spec, manoeuvres.brisk_speed(spec))
    ideal = closed_forms.coasting_speed(spec, run.speed[0], run.time)
    figure, (axes,) = _sheet(f"{spec.name}: coast-down by rolling and air drag")
    axes.plot(run.time, run.speed, color=CAR, lw=3.0, label="the car")
    axes.plot(run.time, ideal, color=IDEAL, ls="--", label="dv/dt = -c g - k v^2 / m, solved")
    _label(axes, "time [s]", "speed [m/s]")
    axes.set_ylim(0.0)
    return figure


def plot_braking(spec: CarSpec) -> Figure:
    """Return speed over distance with locked wheels and with the car's own brakes."""
    speed = manoeuvres.brisk_speed(spec)
    locked = manoeuvres.full_stop(spec, speed)
    own = manoeuvres.straight(spec, speed, 0.0, 3.0)
    figure, (axes,) = _sheet(f"{spec.name}: braking from {speed:.1f} m/s")
    slowing = np.linspace(locked.speed[0], 0.0, 200)
    for limit, colour, style, name in (
        (spec.friction * GRAVITY, INK_COLOUR, ":", "v^2 / (2 mu g)"),
        (closed_forms.braking_limit(spec), IDEAL, "--", "the same, mu at the shifted loads"),
    ):
        gone = (locked.speed[0] ** 2 - slowing**2) / (2.0 * limit)
        axes.plot(gone, slowing, color=colour, ls=style, label=name, zorder=3)
    axes.plot(locked.distance, locked.speed, color=CAR, lw=3.0, label="locked wheels")
    axes.plot(own.distance, own.speed, color=OTHER, label="the car's own brakes and controller")
    _label(axes, "distance [m]", "speed [m/s]")
    axes.set_ylim(0.0)
    return figure


def plot_friction_ellipse(spec: CarSpec) -> Figure:
    """Return the force of all tyres over the weight, for slides of 2 to 30 degrees.

    Each line is a slide under every demand of drive and brakes.
    """
    slips = np.deg2rad([2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0])
    force = manoeuvres.combined_slip(
        spec, np.concatenate([-slips, slips]), np.linspace(-15, 15, 301)
    )
    figure, (axes,) = _sheet(
        f"{spec.name}: tyre force over weight under combined slip", size=(8.6, 7.0)
    )
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    circle = spec.friction * np.stack([np.cos(angle), np.sin(angle)])
    axes.plot(*circle, color=INK_COLOUR, ls=":", label="mu", zorder=3)
    from matplotlib import colormaps

    colours = colormaps["plasma"](np.linspace(0.25, 0.95, len(slips)))
    for i, (slip, colour) in enumerate(zip(slips, colours)):
        for half, name in ((force[i], f"{_deg(slip):.0f} deg"), (force[len(slips) + i], None)):
            axes.plot(half[:, 1], half[:, 0], color=colour, lw=1.6, label=name)
    _label(axes, "lateral force over weight, left positive", "drive and brake force over weight")
    axes.set_aspect("equal")
    _legend(axes, loc="center left", bbox_to_anchor=(1.02, 0.5), title="slip angle")
    return figure


def plot_understeer(spec: CarSpec) -> Figure:
    """Return steering over lateral acceleration, beside the linear model and beside STD."""
    pace, grip = manoeuvres.brisk_speed(spec), spec.friction * GRAVITY
    figure, (left, right) = _sheet(f"{spec.name}: steady turns, no drag", columns=2)
    asked = np.linspace(0.02, 0.8, 14) * grip
    angles = asked / pace / closed_forms.yaw_gain(spec, pace)
    angles = angles[angles <= spec.steering_limit]
    turns = manoeuvres.settled_turns(without_drag(spec), angles, np.full(len(angles), pace))
    left.plot(turns.lateral, _deg(angles), "o-", color=CAR, label="the car")
    linear = turns.lateral / pace / closed_forms.yaw_gain(spec, pace)
    left.plot(turns.lateral, _deg(linear), color=IDEAL, ls="--", label="linear single track")
    bend = spec.wheelbase * turns.lateral / pace**2
    left.plot(turns.lateral, _deg(bend), color=INK_COLOUR, ls=":", label="L / R")
    left.set_title(f"the car at {pace:.1f} m/s", color=INK_COLOUR, fontsize=11)
    _label(left, "lateral acceleration [m/s^2]", "angle of the front wheels [deg]")

    neutral, speed, _ = step_steer_case(spec)
    angles = np.linspace(0.02, 0.6, 8) * grip * spec.wheelbase / speed**2
    turns = manoeuvres.settled_turns(neutral, angles, np.full(8, speed))
    right.plot(turns.lateral, _deg(angles), "o-", color=CAR, label="the car")
    if closed_forms.has_single_track_drift():
        runs = [closed_forms.single_track_drift(neutral, speed, angle, 1.5) for angle in angles]
        lateral = [speed * run.settled for run in runs]
        right.plot(lateral, _deg(angles), "s--", color=OTHER, mfc="none", label="STD")
    right.plot(
        turns.lateral, _deg(spec.wheelbase * turns.lateral / speed**2), color=INK_COLOUR, ls=":"
    )
    right.set_title(
        f"with equal tyres front and rear at {speed:.1f} m/s", color=INK_COLOUR, fontsize=11
    )
    _label(right, "lateral acceleration [m/s^2]", "")
    return figure


def _deg(angle):
    return np.rad2deg(angle)


def _sheet(
    title: str, rows: int = 1, columns: int = 1, size: tuple[float, float] = (9.0, 5.4)
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of `size` [inches], and its axes row by row."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = chart_figure(size, ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12))
    figure.suptitle(title, color=INK_COLOUR, fontsize=13, x=0.02, ha="left")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=rows > 1)
    for axes in grid.flat:
        axes.grid(color=GRID_COLOUR, linewidth=0.8)
    style_axes(grid.flat, "#8a93a0")
    return figure, list(grid.flat)


def _label(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, color=INK_COLOUR)
    axes.set_ylabel(y, color=INK_COLOUR)
    _legend(axes)


def _legend(axes: Axes, **where) -> None:
    legend = axes.legend(frameon=False, labelcolor=INK_COLOUR, **where)
    legend.get_title().set_color(INK_COLOUR)

"""Commands that import a DeepRacer model, make action lists, and analyse a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from racer.cli.output import make_console, progress, shell_command
from racer.errors import ConfigError

if TYPE_CHECKING:
    from racer.car.action_space import ActionSpace
    from racer.entries.package import Manifest
    from racer.evaluation import LapResult


ENOUGH_STEPS_PER_S = 1000.0
"""Rate of an imported config from which no faster one is offered [control steps/s]."""


def cli_import_deepracer(
    model: Path, name: str = "", out: Path | None = None, rate: bool = True
) -> None:
    """Import a DeepRacer model: write a run config, with copies of its reward and track.

    A model with a camera gets a second config, which trains faster: the same network on smaller
    frames.

    Args:
        model: A folder, a .tar.gz or a .zip with reward_function.py, model_metadata.json and
            hyperparameters.json, and a track as .npy if you have one; my-model is an example
            that ships with racer.
        name: Name of the config; <model>-racer by default.
        out: Folder to write into; one with the config's name by default.
        rate: Train for some seconds to measure how long each config takes on this machine.
    """
    from racer.assets import find_example
    from racer.deepracer.importer import import_deepracer

    model = find_example(model)
    name = name or f"{model.resolve().name.partition('.')[0]}-racer"
    imported = import_deepracer(model, name, out or Path(name))
    print(f"config: {imported.config}")
    for note in imported.notes:
        print(f"note: {note}")
    own = _print_rate(imported.config) if rate else 0.0
    if imported.faster and own < ENOUGH_STEPS_PER_S:
        print(f"faster: {imported.faster}, the same network on smaller frames")
        if rate:
            _print_rate(imported.faster)
        print(f"next: {shell_command('train', imported.faster)}")
        print(f"or: {shell_command('train', imported.config)}")
    else:
        print(f"next: {shell_command('train', imported.config)}")


def _print_rate(path: Path) -> float:
    """Print how fast a config trains on this machine, and return the control steps a second."""
    from racer.assets.document import read_document
    from racer.training.config import RunConfig
    from racer.training.training_log import format_duration
    from racer.training.training_rate import training_rate

    config = read_document(path, RunConfig)
    steps_per_s = training_rate(config)
    takes = config.total_timesteps / steps_per_s
    line = f"{config.total_timesteps:,} steps take {format_duration(takes)}"
    if takes > 60.0 * config.minutes:
        steps = 60.0 * config.minutes * steps_per_s
        line += f"; it ends after {config.minutes:g} minutes, some {steps:,.0f} steps"
    print(f"rate: {steps_per_s:,.0f} steps/s on this machine: {line}")
    return steps_per_s


def actions(
    steering: tuple[float, ...] = (-30.0, -15.0, 0.0, 15.0, 30.0),
    speeds: tuple[float, ...] = (1.0, 2.0),
    like: Path | None = None,
    count: int = 12,
    out: Path | None = None,
) -> None:
    """Make and show a list of actions: each angle at each speed, or those of a driven line.

    Args:
        steering: Angles of the grid [deg], positive to the left.
        speeds: Speeds of the grid [m/s].
        like: A run's folder, or an .npz of its lines: choose the actions that come closest
            to its best evaluation.
        count: Number of actions to choose from it, 2-30.
        out: Write them as a model_metadata.json, which `actions:` in a config may name.
    """
    from racer.assets.atomic import write_new
    from racer.deepracer.action_lists import action_grid, actions_from_line
    from racer.deepracer.metadata import metadata_as_json
    from racer.deepracer.sim_trace import write_json

    if like:
        from racer.training.trajectories import best_trajectory

        line = best_trajectory(like)
        space = actions_from_line(line["steering"], line["speed"], count)
    else:
        space = action_grid(steering, speeds)
    _show(space)
    if out:
        write_json(out, metadata_as_json(space, ["camera"]), write_new)
        print(f"written: {out}; in a config: `actions: {out}`")


def _show(space: ActionSpace) -> None:
    from racer.tables import FittedTable, TableColumn

    headings = "index", "steering [deg]", "speed [m/s]"
    table = FittedTable(*map(TableColumn, headings), title=f"{len(space.choices)} actions")
    for index, (angle, speed) in enumerate(space.choices):
        table.add_row(str(index), f"{angle:+.1f}", f"{speed:.2f}")
    make_console().print(table)
    print("actions:\n  kind: discrete\n  choices:")
    for angle, speed in space.choices:
        print(f"    - [{angle:g}, {speed:g}]")


def analyze(run: Path, out: Path | None = None, film: bool = False, explain: bool = True) -> None:
    """Write a report of a run: how it learnt, how it drives, and where it leaves the road.

    Args:
        run: The run's folder.
        out: Folder for report.html; the run's folder by default.
        film: First race the best checkpoint as its evaluation did and film a lap, unless that
            evaluation was filmed already.
        explain: First find what the best checkpoint looks at on a lap, unless that was done
            already; `--no-explain` saves these seconds.
    """
    if explain and (run / "config.yaml").is_file():
        _explain_best_lap(run)
    if film:
        from racer.training.lap_video import record_best_lap
        from racer.training.run_dir import Run

        with progress("filming") as report:
            print(f"video: {record_best_lap(Run.open(run), report)}")
    from racer.training.training_report import write_report

    print(f"report: {write_report(run, out or run)}")


def _explain_best_lap(run: Path) -> None:
    """Explain a lap of a run's best checkpoint; if that fails, say so and go on."""
    from racer.errors import RacerError

    try:
        from racer.training.explained_run import explain_best_lap
        from racer.training.run_dir import Run

        explain_best_lap(Run.open(run))
    except (RacerError, ImportError) as problem:
        print(f"not explained: {problem}", file=sys.stderr)


def log_race(folder: Path, result: LapResult, track: str, manifest: Manifest) -> None:
    """Write a race as DeepRacer's tools read it: as a separate evaluation whose rewards are 0.

    Args:
        folder: Folder of the logs, which may have other races already.
        result: The race.
        track: Name or file of the track.
        manifest: Manifest of the entry that drove.
    """
    import time

    import numpy as np

    from racer.car.spec import car_named
    from racer.deepracer.metadata import metadata_as_json
    from racer.deepracer.sim_trace import SimTrace, episodes_of_race, write_json
    from racer.reward.params import front_offset
    from racer.track import load_track

    described = folder / "model" / "model_metadata.json"
    if not described.exists():
        kinds = [sensor.name for sensor in manifest.sensor]
        write_json(described, metadata_as_json(manifest.actions, kinds))
    place = folder / f"evaluation-{time.strftime('%Y%m%d%H%M%S')}"
    if place.exists():
        raise ConfigError(f"{place} exists already; log at most one race per second")
    log, rewards = SimTrace(place, "evaluation"), np.zeros(len(result.time))
    ahead = front_offset(car_named(manifest.car))
    for steps in episodes_of_race(result, load_track(track), manifest.actions, rewards, ahead):
        log.episode(steps)
    log.close()
    print(f"logs: {place}", file=sys.stderr)

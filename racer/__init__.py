"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard.

Importing racer adds its environments to Gymnasium's registry; see `racer.registration`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from racer.judge import LapResult
    from racer.training.callbacks import Callback
    from racer.training.config import RunConfig
    from racer.training.folder import Run

__version__ = "0.1.0"
__all__ = ["drive", "export", "train"]


def _set_up() -> None:
    from racer.assets.caches import prepare
    from racer.registration import register_environments

    prepare()  # before anything of racer imports numba or matplotlib
    register_environments()


_set_up()


def train(
    config: RunConfig | Path | str,
    folder: Path | str | None = None,
    *,
    callback: Callback | Sequence[Callback] | None = None,
    **changes: Any,
) -> Run:
    """Train a policy, as `racer train` does.

    Args:
        config: A shipped config's name, a YAML file, or the config itself.
        folder: The run's folder; runs/<config>-<time> if not given.
        callback: Called with each evaluation (`racer.training.callbacks.Evaluation`: steps, laps,
            times, reward); the training stops, saved, where it returns False. A callback of
            Stable-Baselines3's, or a list of both kinds, is taken too. What one raises ends the
            training, saved, and is passed on.
        changes: Fields of the config that shall have another value, such as `steps=100_000`. A
            mapping changes some fields of a section, `ppo={"learning_rate": 1e-4}`, and so does a
            dotted name, `**{"ppo.learning_rate": 1e-4}`, as `--ppo.learning-rate` does.

    Returns:
        The run: `export` packages its best policy, `racer runs show` tells what it came to.

    Raises:
        RacerError: A config, track, reward or folder that cannot be used.
    """
    from racer import assets
    from racer.assets.changes import changed
    from racer.assets.document import read
    from racer.training.config import RunConfig
    from racer.training.run import train as learn

    name = "run"
    if not isinstance(config, RunConfig):
        path = assets.find(str(config), "configs")
        config, name = read(path, RunConfig), path.stem
    config = changed(config, changes, "racer.train")
    where = None if folder is None else Path(folder)
    return learn(config, where, name=name, callback=callback).run


def export(
    run: Run | Path | str, path: Path | str | None = None, name: str = "", int8: bool = False
) -> Path:
    """Package a run's best policy as an entry, as `racer export` does.

    Args:
        run: The run, or its folder.
        path: The entry to write; if not given <run>.entry.zip, or <run>-int8.entry.zip.
        name: What a board calls it; if not given the run's folder's name, with -int8 if that is
            asked for.
        int8: Quantize the policy to 8 bits, calibrated on what it sees in the race of the run's
            evaluations.

    Returns:
        Where it lies.

    Raises:
        RacerError: There is nothing to export, or it cannot be written.
    """
    folder = Path(run) if isinstance(run, (str, os.PathLike)) else run.folder
    own = f"{folder.name}-int8" if int8 else folder.name
    path = Path(path or f"{own}.entry.zip")
    if int8:
        from racer.training.int8 import export_int8

        export_int8(folder, path, name or own)
    else:
        from racer.training.export import export_run

        export_run(folder, path, name or own)
    return path


def drive(entry: Path | str, track: str, laps: int = 3, seed: int = 0) -> LapResult:
    """Race an entry alone from the start line, as `racer race` does, in the race it was trained in.

    Args:
        entry: The package, or a pilot's name: pure-pursuit or raceline.
        track: A shipped track's name, a file, or generated:SEED.
        laps: Laps to drive.
        seed: Seed of the environment.

    Returns:
        The race: lap times and what was recorded at each step. `plot` draws its line, `video`
        films it; a notebook shows both, and a summary of the result itself.

    Raises:
        RacerError: The entry or the track cannot be used.
    """
    from dataclasses import replace

    from racer.judge import home_race, judge_entries, race_rules
    from racer.pilot import PILOTS
    from racer.policy.entry import read_entry

    racer = str(entry) if str(entry) in PILOTS else read_entry(entry)
    result = judge_entries([racer], track, race_rules(laps, like=home_race(racer)), seed)[0]
    assert result.scene
    name = racer if isinstance(racer, str) else racer.manifest.name
    return replace(result, scene=replace(result.scene, name=name))

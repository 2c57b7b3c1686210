"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard.

Importing racer adds its environments to Gymnasium's registry; see `racer.registration`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from racer.evaluation import LapResult
    from racer.training.callbacks import Callback
    from racer.training.config import RunConfig
    from racer.training.run_dir import Run
    from racer.training.sb3_model import PPO, VecEnv

__version__ = "0.1.0"
__all__ = ["drive", "export", "to_sb3", "train", "write_entry"]


def _set_up() -> None:
    from racer.assets.caches import prepare_caches
    from racer.registration import register_environments

    prepare_caches()  # before anything of racer imports numba or matplotlib
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
        changes: Fields of the config that shall have another value, such as
            `total_timesteps=100_000`. A mapping changes some fields of a section,
            `ppo={"learning_rate": 1e-4}`, and so does a dotted name,
            `**{"ppo.learning_rate": 1e-4}`, as `--ppo.learning-rate` does.

    Returns:
        The run: `export` packages its best policy, `racer runs show` tells what it came to.

    Raises:
        RacerError: A config, track, reward or folder that cannot be used.
    """
    from racer import assets
    from racer.assets.document import read_document
    from racer.assets.overrides import with_overrides
    from racer.training.config import RunConfig
    from racer.training.train import run_training as learn

    name = "run"
    if not isinstance(config, RunConfig):
        path = assets.find_file(str(config), "configs")
        config, name = read_document(path, RunConfig), path.stem
    config = with_overrides(config, changes, "racer.train")
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
        from racer.training.int8_export import export_int8

        export_int8(folder, path, name or own)
    else:
        from racer.training.export import export_run

        export_run(folder, path, name or own)
    return path


def to_sb3(run: Run | Path | str, checkpoint: int | None = None, env: VecEnv | None = None) -> PPO:
    """Return a run's policy as a model of Stable-Baselines3.

    It predicts what the exported entry does, and learns on with the run's optimiser and counts.
    `model.save("ppo.zip")` writes a file that Stable-Baselines3's `PPO.load` reads. That needs no
    racer where the policy sees one sensor and its network is plain: numbers that are neither
    standardised nor have an `mlp`, or a frame with `preset: shallow`. Any other needs racer to be
    importable there.

    Args:
        run: The run, or its folder.
        checkpoint: The steps after which it was saved, as `racer runs show` lists them; the best
            checkpoint by default.
        env: What the model shall learn on, if it shall; its spaces are those of the run.

    Returns:
        The model, on the CPU.

    Raises:
        RunError: There is no run, or no such checkpoint.
        ValueError: `env` has other spaces.

    Example:
        >>> model = racer.to_sb3("runs/first")
        >>> action, _ = model.predict(observation, deterministic=True)
    """
    from racer.training.run_dir import Run
    from racer.training.sb3_model import as_ppo

    return as_ppo(run if isinstance(run, Run) else Run.open(Path(run)), checkpoint, env)


def write_entry(
    policy: Path | str | bytes | nn.Module,
    path: Path | str,
    *,
    name: str = "",
    sensor: Any = None,
    actions: Any = "continuous",
    env: str = "racer/TimeTrial-v0",
    track: str | None = None,
    walls: bool = False,
    car: str = "deepracer",
    author: str = "",
    key: Path | str | None = None,
) -> Path:
    """Write an entry of a policy trained elsewhere, as `racer entry write` does.

    The policy takes a batch of one observation as the environment gives it and returns the
    action. It is checked as a board checks it, and nothing is written where it is refused.

    | side | ONNX graph | torch module |
    |---|---|---|
    | frame | input `observation`, uint8 (1, H, W, C) | the same, as a tensor |
    | numbers | input `observation`, float32 (1, k) | the same, as a tensor |
    | several sensors | an input for each, named like the sensor | a tensor for each, in order |
    | continuous | output `action`, float32 (1, 2) within [-1, 1] | float (1, 2); is clipped |
    | discrete | output `action`, int64 (1,) | the index, or float (1, n); argmax is taken |

    Args:
        policy: An ONNX file's path or bytes, or a `torch.nn.Module`, which is exported.
        path: The entry to write, by custom `<name>.entry.zip`; it replaces an older entry, and no
            other file.
        name: What a board calls it, 1-60 characters; the file's name by default.
        sensor: As the environment takes it: `"state"`, a dict with `kind`, or a list of them; that
            of `env` by default.
        actions: As the environment takes it: `"continuous"`, `"discrete"`, a dict, or a
            `model_metadata.json`.
        env: The id of the environment that it is made for.
        track: The track that it was trained on; absent from the entry by default.
        walls: Whether walls stood on the track's borders.
        car: The car that it drives.
        author: Who made it, up to 60 characters.
        key: The private key's file that signs it; see `racer board keygen`.

    Returns:
        Where it lies.

    Raises:
        EntryError: The policy is not what its sensor and actions ask for, or a board would refuse
            it; `code` says why.
        RacerError: An argument that cannot be used.

    Example:
        >>> racer.write_entry(q_network, "dqn.entry.zip", sensor="state", actions="discrete")
        >>> racer.drive("dqn.entry.zip", track="bowtie").lap_times_s
    """
    from racer.entries.external_policy import write_foreign_entry
    from racer.entries.signing import read_key

    path = Path(path)
    write_foreign_entry(
        policy,
        path,
        name=name or path.name.removesuffix(".zip").removesuffix(".entry"),
        sensor=sensor,
        actions=actions,
        env=env,
        track=track,
        walls=walls,
        car=car,
        author=author,
        key=read_key(Path(key)) if key else None,
    )
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

    from racer.controllers import CONTROLLERS
    from racer.entries.package import read_entry
    from racer.evaluation import evaluate_entries, make_race_rules, race_of_training

    racer = str(entry) if str(entry) in CONTROLLERS else read_entry(entry)
    result = evaluate_entries(
        [racer], track, make_race_rules(laps, like=race_of_training(racer)), seed
    )[0]
    assert result.scene
    name = racer if isinstance(racer, str) else racer.manifest.name
    return replace(result, scene=replace(result.scene, name=name))

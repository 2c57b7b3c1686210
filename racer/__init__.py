"""A DeepRacer-style car in PyBullet: environments, training, racing and a local leaderboard.

Importing racer adds its environments to Gymnasium's registry; see `racer.registration`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from racer.evaluation import LapResult
    from racer.sweeps import Sweep
    from racer.training.callbacks import Callback
    from racer.training.checkpoint_choice import CheckpointChoice
    from racer.training.config import RunConfig
    from racer.training.run_dir import Run
    from racer.training.sb3_model import BaseAlgorithm, VecEnv

__version__ = "1.0.0"
__all__ = [
    "clone_driver",
    "drive",
    "export",
    "resume",
    "sweep",
    "to_sb3",
    "train",
    "write_entry",
]


def _set_up() -> None:
    from racer.assets.caches import forget_stale_kernels, prepare_caches
    from racer.registration import register_environments

    prepare_caches()  # before anything of racer imports numba or matplotlib
    forget_stale_kernels()
    register_environments()


_set_up()


def train(
    config: RunConfig | Path | str | None = None,
    folder: Path | str | None = None,
    *,
    from_: Run | Path | str | None = None,
    callback: Callback | Sequence[Callback] | None = None,
    **changes: Any,
) -> Run:
    """Train a policy, as `racer train` does.

    Args:
        config: A shipped config's name, a YAML file, or a config object; with `from_`, by default
            that run's config.
        folder: The run's folder; runs/<config>-<time> by default.
        from_: Begin with the weights of this run's best checkpoint, of `"RUN@last"` or
            `"RUN@STEPS"`, or of this entry. Layers that do not fit another action space, sensor or
            network start anew; optimizer and count of steps do, too.
        callback: Called with each evaluation (`racer.training.callbacks.Evaluation`: steps, laps,
            times, reward); if it returns False, the run is saved and training stops. May also be
            a callback of Stable-Baselines3, or a list of both kinds. If a callback raises, the
            run is saved and the exception is passed on.
        changes: Fields of the config to change, e.g. `total_timesteps=100_000`. Change fields of a
            section by a mapping, `ppo={"learning_rate": 1e-4}`, or by a dotted name,
            `**{"ppo.learning_rate": 1e-4}`, like the option `--ppo.learning-rate`. Another
            `algorithm` begins with its default hyperparameters.

    Returns:
        The run. `export` packages its best policy; `racer runs show` shows its evaluations.

    Raises:
        RacerError: If a config, track, reward or folder cannot be used.

    Example:
        >>> run = racer.train("state", total_timesteps=100_000)  # doctest: +SKIP
        >>> clone = racer.train(from_=run, reward="mine.py")  # doctest: +SKIP
    """
    from racer.assets.overrides import with_overrides
    from racer.training.config import RunConfig
    from racer.training.parent import load_parent
    from racer.training.start_config import start_config
    from racer.training.train import run_training as learn

    origin, name = None if from_ is None else str(_folder_of(from_)), "run"
    if not isinstance(config, RunConfig):
        config, name = start_config(None if config is None else str(config), origin)
    config = with_overrides(config, changes, "racer.train")
    run_folder = None if folder is None else Path(folder)
    parent = load_parent(origin) if origin else None
    return learn(config, run_folder, name=name, callback=callback, parent=parent).run


def resume(
    run: Run | Path | str,
    *,
    total_timesteps: int | None = None,
    minutes: float | None = None,
    callback: Callback | Sequence[Callback] | None = None,
) -> Run:
    """Continue a run, as `racer train --resume` does.

    Args:
        run: The run, or its folder.
        total_timesteps: New number of steps of all parts of the run together; a finished run needs
            more of them than it has.
        minutes: New time limit of all parts of the run together.
        callback: As in `train`.

    Returns:
        The run.

    Raises:
        RacerError: If there is no such run, or nothing is left to train.

    Example:
        >>> racer.resume("runs/first", total_timesteps=200_000)  # doctest: +SKIP
    """
    from racer.training.train import resume_training

    limits = {"total_timesteps": total_timesteps, "minutes": minutes}
    return resume_training(_folder_of(run), **limits, callback=callback).run


def sweep(
    config: RunConfig | Path | str,
    params: Mapping[str, str],
    folder: Path | str | None = None,
    *,
    trials: int = 20,
    jobs: int = 1,
    seeds: Sequence[int] = (),
    is_pruning: bool = True,
    **changes: Any,
) -> Sweep:
    """Search the values of a config's fields that drive most laps, then fastest, as `racer sweep`.

    Args:
        config: A shipped config's name, a YAML file, or a config object.
        params: The values to search by the field's dotted name: `"a,b,c"` for choices, `"lo:hi"`
            or `"lo:hi:step"` for a range, `"log:lo:hi"` for one on a logarithmic scale.
        folder: The sweep's folder; sweeps/<config>-<time> by default.
        trials: Number of trials; each trains one run, with `seeds` one for each seed.
        jobs: Number of trials that train at the same time.
        seeds: Seeds that every trial trains with; that of the config by default.
        is_pruning: Whether to end trials early that are worse than the median.
        changes: Fields of the config to change, as in `train`.

    Returns:
        The sweep: `trials()` returns its trials, `plot` draws it, and `best.yaml` in its folder
        is the best config.

    Raises:
        RacerError: If the config, a parameter or the folder cannot be used, or every trial fails.

    Example:
        >>> params = {"ppo.learning_rate": "log:1e-5:1e-3", "reward": "progress,pace"}
        >>> sweep = racer.sweep("state", params, trials=40, jobs=2)  # doctest: +SKIP
    """
    from racer import assets
    from racer.assets.document import read_document
    from racer.assets.overrides import with_overrides
    from racer.sweeps import run_sweep
    from racer.training.config import RunConfig

    name = "run"
    if not isinstance(config, RunConfig):
        path = assets.find_file(str(config), "configs")
        config, name = read_document(path, RunConfig), path.stem
    return run_sweep(
        with_overrides(config, changes, "racer.sweep"),
        params,
        None if folder is None else Path(folder),
        trials=trials,
        jobs=jobs,
        seeds=seeds,
        is_pruning=is_pruning,
        name=name,
    )


def _folder_of(run: Run | Path | str) -> Path:
    return Path(run) if isinstance(run, (str, os.PathLike)) else run.folder


def clone_driver(
    driver: Path | str,
    config: RunConfig | Path | str | None = None,
    folder: Path | str | None = None,
    *,
    laps: int = 50,
    steps: int | None = None,
    rounds: int | None = None,
    epochs: int = 20,
    **changes: Any,
) -> Run:
    """Clone a driver into a new run by supervised learning, as `racer clone-driver` does.

    Args:
        driver: A baseline controller, pure-pursuit or raceline; an entry's package; a run; or
            `board:ID`, the recorded races of a submission.
        config: A shipped config's name, a YAML file, or a config object, with the clone's race,
            sensors, actions and network; by default the entry's own sensors and actions.
        folder: The run's folder; runs/<config>-<time> by default.
        laps: Laps that the driver drives.
        steps: Control steps that the driver drives, over all cars, instead of laps.
        rounds: In each round after the first, the clone drives as many steps, and learns what the
            driver would have done (DAgger); by default 3, and 1 for a recording.
        epochs: Passes over all that was driven, in each round.
        changes: Fields of the config to change, as for `train`.

    Returns:
        The run, with the clone as its first checkpoint.

    Raises:
        RacerError: If the driver cannot be cloned with this config.

    Example:
        >>> run = racer.clone_driver("raceline", "quick", rounds=3)  # doctest: +SKIP
    """
    from racer.assets.overrides import with_overrides
    from racer.imitation.cloning import CloneOptions, config_of_clone, run_cloning
    from racer.training.config import RunConfig

    options = CloneOptions(laps=laps, steps=steps, rounds=rounds, epochs=epochs)
    if isinstance(config, RunConfig):
        chosen, name = with_overrides(config, changes, "racer.clone_driver"), "clone"
    else:
        named = None if config is None else str(config)
        chosen, name = config_of_clone(str(driver), named, changes)
    run_folder = None if folder is None else Path(folder)
    return run_cloning(str(driver), chosen, run_folder, options, name=name).run


def export(
    run: Run | Path | str,
    path: Path | str | None = None,
    name: str = "",
    int8: bool = False,
    *,
    checkpoint: CheckpointChoice = "best",
) -> Path:
    """Package a run's best policy, or that of another checkpoint, as an entry.

    `racer export` does the same. The end of the path names what is written: .tar.gz for the archive
    that a DeepRacer car loads (`--car`), .onnx for a graph from float frames to steering in rad and
    speed in m/s (`--onnx-float`), anything else for an entry.

    Args:
        run: The run, or its folder.
        path: The file to write; <name>.entry.zip by default.
        name: Name on a leaderboard; by default the run's name, followed by the checkpoint if it is
            not the best, and by -int8 if it is quantized.
        int8: Quantize the policy to 8 bits, calibrated on its observations in the race of the
            run's evaluations.
        checkpoint: `"best"`, `"last"`, or the steps after which it was saved, as `racer runs show`
            lists them.

    Returns:
        The file's path.

    Raises:
        RacerError: If the run has no such checkpoint, or the file cannot be written; or if a name
            or `int8` is given with a file that is no entry.

    Example:
        >>> racer.export("runs/first", "mine.entry.zip")  # doctest: +SKIP
    """
    from racer.errors import ConfigError
    from racer.training.export import entry_name

    folder = _folder_of(run)
    default_name = entry_name(folder, int8, checkpoint)
    path = Path(path or f"{default_name}.entry.zip")
    if path.name.endswith((".tar.gz", ".onnx")):
        if name or int8:
            raise ConfigError(f"{path.name}: only an entry, NAME.entry.zip, has a name or int8")
        if path.suffix == ".onnx":
            from racer.training.command_export import export_commands

            export_commands(folder, path, checkpoint)
        else:
            from racer.training.car_export import export_car

            export_car(folder, path, checkpoint)
    elif int8:
        from racer.training.int8_export import export_int8

        export_int8(folder, path, name or default_name, None, checkpoint)
    else:
        from racer.training.export import export_run

        export_run(folder, path, name or default_name, None, checkpoint)
    return path


def to_sb3(
    run: Run | Path | str, checkpoint: CheckpointChoice = "best", env: VecEnv | None = None
) -> BaseAlgorithm:
    """Return a run's policy as a Stable-Baselines3 model: a PPO, or what `algorithm` says.

    The model predicts the same actions as the exported entry, and continues learning with the
    run's optimizer state and step counts; the replay buffer of SAC, TQC or QR-DQN is empty.
    `model.save("ppo.zip")` writes a file that Stable-Baselines3's `PPO.load` reads. Loading it does
    not need racer if the algorithm is PPO and the policy has one sensor and a plain network: a
    vector without `normalize_obs` and `mlp`, or a frame with `preset: shallow`. Otherwise racer
    must be importable.

    Args:
        run: The run, or its folder.
        checkpoint: `"best"`, `"last"`, or the steps after which it was saved, as `racer runs show`
            lists them.
        env: Environment to continue learning on, if any; it must have the run's spaces.

    Returns:
        The model, on the CPU.

    Raises:
        RunError: If there is no such run or checkpoint.
        ValueError: If `env` has other spaces.

    Example:
        >>> model = racer.to_sb3("runs/first")  # doctest: +SKIP
        >>> action, _ = model.predict(observation, deterministic=True)  # doctest: +SKIP
    """
    from racer.training.run_dir import Run
    from racer.training.sb3_model import as_sb3_model

    return as_sb3_model(Run.open(_folder_of(run)), checkpoint, env)


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
    hidden_state_size: int | None = None,
    key: Path | str | None = None,
) -> Path:
    """Write an entry from a policy trained elsewhere, as `racer entry write` does.

    The policy receives a batch of one observation from the environment and returns the action. It
    is checked as a leaderboard checks it, and nothing is written if the check fails.

    | side | ONNX graph | torch module |
    |---|---|---|
    | frame | input `observation`, uint8 (1, H, W, C) | the same, as a tensor |
    | numbers | input `observation`, float32 (1, k) | the same, as a tensor |
    | several sensors | an input for each, named like the sensor | a tensor for each, in order |
    | continuous | output `action`, float32 (1, 2) within [-1, 1] | float (1, 2), which is clipped |
    | discrete | output `action`, int64 (1,) | the index, or float (1, n), of which the argmax |
    | recurrent | input `hidden_state`, float32 (1, k) | one more tensor, the last |
    | | output `next_hidden_state`, float32 (1, k) | returned after the action, as a tuple |

    Args:
        policy: An ONNX file's path or bytes, or a `torch.nn.Module`, which is exported.
        path: The entry to write, by convention `<name>.entry.zip`. It may replace an older entry,
            but no other file.
        name: Name on a leaderboard, 1-60 characters; the file's name by default.
        sensor: What the policy observes, as the environment takes it: `"state"`, a dict with
            `kind`, or a list of them; the sensor of `env` by default.
        actions: Its action space, as the environment takes it: `"continuous"`, `"discrete"`, a
            dict, or a `model_metadata.json`.
        env: Id of the environment that it is made for.
        track: Track that it was trained on; absent from the entry by default.
        walls: Whether there were walls on the track's borders.
        car: Car that it drives.
        author: Author of the policy, up to 60 characters.
        hidden_state_size: Numbers k that a recurrent policy remembers from step to step, zeros at
            the start of a race; None if it remembers nothing.
        key: File of the private key that signs it; see `racer board keygen`.

    Returns:
        The entry's path.

    Raises:
        EntryError: If the policy does not match its sensor and actions, or a leaderboard would
            refuse it; `code` says why.
        RacerError: If another argument cannot be used.

    Example:
        >>> racer.write_entry(  # doctest: +SKIP
        ...     q_network, "dqn.entry.zip", sensor="state", actions="discrete"
        ... )
        >>> racer.drive("dqn.entry.zip", track="bowtie").lap_times_s  # doctest: +SKIP
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
        hidden_state_size=hidden_state_size,
        key=read_key(Path(key)) if key else None,
    )
    return path


def drive(entry: Run | Path | str, track: str, laps: int = 3, seed: int = 0) -> LapResult:
    """Race an entry or a run alone from the start line, in the kind of race of its training.

    This is what `racer race` does with one entry.

    Args:
        entry: The entry's package; a run, of which the best checkpoint drives, or `"RUN@last"` or
            `"RUN@STEPS"`; or the name of a baseline controller: pure-pursuit or raceline.
        track: A shipped track's name, a file, or generated:SEED.
        laps: Laps to drive.
        seed: Seed of the environment.

    Returns:
        The result: lap times, and the car's state at each step. `plot` draws the driven line and
        `video` films the race; a notebook displays both, and a summary of the result itself.

    Raises:
        RacerError: If the entry or the track cannot be used.

    Example:
        >>> import racer
        >>> result = racer.drive("pure-pursuit", track="oval", laps=1)
        >>> result.laps_completed, round(result.best_lap_s, 1)
        (1, 6.4)
    """
    from dataclasses import replace

    from racer.evaluation import evaluate_entries, make_race_rules, race_of_training
    from racer.training.racers import racer_named

    racer = racer_named(str(entry if isinstance(entry, str) else _folder_of(entry)))
    result = evaluate_entries(
        [racer], track, make_race_rules(laps, like=race_of_training(racer)), seed
    )[0]
    assert result.scene
    name = racer if isinstance(racer, str) else racer.manifest.name
    return replace(result, scene=replace(result.scene, name=name))

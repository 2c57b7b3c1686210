"""A sweep's folder: what is searched, the trials so far, and the best config."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import Field, field_validator

from racer.assets.atomic import write_atomically
from racer.assets.document import Document, read_document, validate_document
from racer.assets.overrides import with_overrides
from racer.assets.terminal import shell_command
from racer.errors import RunError
from racer.sweeps.parameters import SearchParameter, check_files, parse_parameters
from racer.tables import FittedTable, TableColumn
from racer.training.config import RunConfig
from racer.training.run_dir import Run, locked_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STUDY_NAME = "sweep"
"""Name of the study in the database."""
STARTUP_TRIALS = 10
"""Trials that are drawn at random before the sampler learns from them."""
STARTUP_PRUNING_TRIALS = 5
"""Complete trials before the first one is pruned."""
LOCK_TIMEOUT_S = 60.0
"""Time to wait for another process that writes the database, such as `racer sweep show` [s]."""
REPLACES = "replaces"
"""Attribute of a trial: the number of the interrupted trial whose values it trains again."""
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
"""The states of a trial by Optuna's names."""


class SweepConfig(Document):
    """What a sweep searches; `sweep.yaml` in its folder."""

    name: str = Field(description="name of the config")
    base: RunConfig = Field(description="the config whose fields are varied")
    params: dict[str, str] = Field(description="the values to search, by the field's dotted name")
    trials: int = Field(default=20, ge=1, le=100_000, description="trials in total, 1-100000")
    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = Field(
        default=(), description="seeds that every trial trains with; none: that of the config"
    )
    is_pruning: bool = Field(
        default=True, description="whether a trial ends early if it is worse than the median"
    )

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is given twice; leave one of them out")
        return seeds


@dataclass(frozen=True)
class SweepTrial:
    """A trial of a sweep.

    Attributes:
        number: Its number, from 0.
        state: `complete`, `pruned`, `failed`, `running`, or `interrupted` if the search has ended
            meanwhile.
        params: The values of the parameters.
        value: The value, see `racer.sweeps.objective.evaluation_value`; None if it has none yet.
        best: The first race of its best evaluation, as `LapResult.as_dict` returns it.
        error: Why it failed; "" if it did not.
        folders: The folder of each run.
    """

    number: int
    state: str
    params: dict[str, Any]
    value: float | None
    best: dict[str, Any]
    error: str
    folders: list[Path]

    def as_dict(self) -> dict[str, Any]:
        """Return the trial as plain values, as `racer sweep show --json` prints it."""
        return {
            "trial": self.number,
            "state": self.state,
            "value": self.value,
            "params": self.params,
            "best": self.best or None,
            "error": self.error or None,
            "runs": [str(folder) for folder in self.folders if folder.is_dir()],
        }


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk.

    Its folder holds:

    - `sweep.yaml`: what is searched; see `SweepConfig`.
    - `study.db`: Optuna's study, in SQLite.
    - `trials/trial-N`: the run folder of each trial; with several seeds, `trial-N-seed-S`.
    - `logs/trial-N.txt`: the output of each trial's process.
    - `best.yaml`: the config of the best trial.
    - `lock`: locked by the process that searches.

    Attributes:
        folder: The folder.
        config: What is searched.
    """

    folder: Path
    config: SweepConfig

    @classmethod
    def create(cls, folder: Path, config: SweepConfig) -> Sweep:
        """Create a sweep's folder.

        Args:
            folder: The folder, new or empty.
            config: What is searched.

        Raises:
            RunError: The folder is not empty, or cannot be written.
            RacerError: A parameter cannot be used.
        """
        check_files(parse_parameters(config.params, config.base))
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise RunError(
                f"{folder} is not an empty folder; name a new one with --folder, or continue the "
                f"sweep in it with `{shell_command('sweep', '--resume', folder)}`"
            )
        try:
            for name in ("trials", "logs"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            sweep = cls(folder, config)
            sweep.save()
        except OSError as problem:
            raise RunError(f"{folder}: cannot be written: {problem.strerror}") from problem
        return sweep

    @classmethod
    def open(cls, folder: Path) -> Sweep:
        """Return the sweep in a folder.

        Raises:
            RunError: The folder holds no sweep.
            ConfigError: `sweep.yaml` cannot be read.
        """
        if not (folder / "sweep.yaml").is_file():
            raise RunError(
                f"{folder} holds no sweep: it has no sweep.yaml; see the folders in sweeps/"
            )
        return cls(folder, read_document(folder / "sweep.yaml", SweepConfig))

    @property
    def parameters(self) -> list[SearchParameter]:
        """The parameters, by the fields' dotted names."""
        return parse_parameters(self.config.params, self.config.base)

    def save(self) -> None:
        """Write `sweep.yaml`.

        Raises:
            OSError: The file cannot be written.
        """
        text = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False)
        write_atomically(self.folder / "sweep.yaml", text.encode())

    def with_trials(self, trials: int) -> Sweep:
        """Return the sweep with another number of trials, and save it.

        Raises:
            ConfigError: The number is out of range.
            OSError: `sweep.yaml` cannot be written.
        """
        tree = self.config.model_dump() | {"trials": trials}
        changed = Sweep(self.folder, validate_document(tree, SweepConfig, "sweep"))
        changed.save()
        return changed

    def run_folders(self, number: int) -> list[Path]:
        """Return the folder of each run of a trial, one for each seed."""
        name = self.folder / "trials" / f"trial-{number:03d}"
        seeds = self.config.seeds
        return [name] if len(seeds) < 2 else [Path(f"{name}-seed-{seed}") for seed in seeds]

    def run_configs(self, params: dict[str, Any]) -> list[RunConfig]:
        """Return the config of each run of a trial, one for each seed.

        Args:
            params: The sampled values, by the fields' dotted names.

        Raises:
            ConfigError: The values contradict each other.
        """
        known = {one.key: one for one in self.parameters}
        changes = {key: known[key].value(value) for key, value in params.items() if key in known}
        seeds = [{"seed": seed} for seed in self.config.seeds] or [{}]
        return [with_overrides(self.config.base, changes | seed, "trial") for seed in seeds]

    @contextmanager
    def study(self) -> Iterator[Study]:
        """Open Optuna's study, which is made if there is none yet, for a `with` block."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{(self.folder / 'study.db').absolute()}",
            engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT_S}},
        )
        try:
            study = optuna.create_study(
                study_name=STUDY_NAME,
                storage=storage,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(STARTUP_PRUNING_TRIALS)
                if self.config.is_pruning
                else optuna.pruners.NopPruner(),
            )
            # A resumed search must not draw the same numbers again.
            seed = self.config.base.seed + len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed)
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the sweep's lock inside the `with` block, so that no other process searches.

        Raises:
            RunError: Another process holds the lock.
        """
        with locked_folder(self.folder, "runs this sweep"):
            yield

    def is_running(self) -> bool:
        """Return whether a process is searching now."""
        try:
            with self.locked():
                return False
        except RunError:
            return True

    def trials(self) -> list[SweepTrial]:
        """Return the trials, the first one first, without those that were interrupted."""
        with self.study() as study:
            return self.trials_of(study)

    def trials_of(self, study: Study) -> list[SweepTrial]:
        """Return `trials` of a study that is open already."""
        states = STATES if self.is_running() else STATES | {"RUNNING": "interrupted"}
        return [self._trial(one, states[one.state.name]) for one in counted_trials(study)]

    def _trial(self, one: FrozenTrial, state: str) -> SweepTrial:
        return SweepTrial(
            number=one.number,
            state=state,
            params=dict(one.params),
            value=one.value if one.state.name == "COMPLETE" else _last(one.intermediate_values),
            best=one.user_attrs.get("best") or {},
            error=one.user_attrs.get("error") or "",
            folders=self.run_folders(one.number),
        )

    def plot(self, trials: Sequence[SweepTrial] | None = None) -> Figure:
        """Return a picture of the search.

        It shows the value of each trial and the best one so far, the importance of each parameter
        for the value (PED-ANOVA), and the values over each parameter.

        Args:
            trials: The trials, if they are known already.

        Raises:
            RunError: No trial is complete yet.
        """
        from racer.sweeps.sweep_plot import plot_sweep

        known = self.trials() if trials is None else list(trials)
        if not any(one.state == "complete" for one in known):
            raise RunError(f"{self.folder}: no trial is complete yet")
        return plot_sweep(self.folder.name, self.parameters, known, self.importances())

    def importances(self) -> dict[str, float]:
        """Return each parameter's share of the variation of the values, the largest first.

        It is empty as long as less than three trials are complete.
        """
        import optuna

        with self.study() as study:
            states = (optuna.trial.TrialState.COMPLETE,)
            complete = study.get_trials(deepcopy=False, states=states)
            if len(complete) < 3 or len({one.value for one in complete}) < 2:
                return {}
            return optuna.importance.get_param_importances(study)

    def write_best(self, best: SweepTrial) -> Path:
        """Write the config of a trial as `best.yaml`, and return its path.

        Its reward and tracks are the copies in the trial's run folder.

        Args:
            best: The trial.

        Raises:
            RunError: The trial's config cannot be read, or the file cannot be written.
        """
        run = Run.open(best.folders[0])
        path, beside = self.folder / "best.yaml", run.folder.relative_to(self.folder)
        config = run.written_config()

        def own(name: str | None) -> str | None:
            return str(beside / name) if name and (run.folder / name).is_file() else name

        given = {"workers": self.config.base.workers}  # any number of workers trains the same
        tree: dict[str, Any] = (
            config.model_dump(mode="json") | given | {"reward": own(config.reward)}
        )
        tree["track"] = [own(track) for track in config.track]
        if config.evaluation.track:
            tree["evaluation"]["track"] = [own(track) for track in config.evaluation.track]
        head = f"# Trial {best.number} of a sweep, whose value is {best.value:.4f}, with\n"
        head += "".join(f"#   {key}: {value}\n" for key, value in best.params.items())
        try:
            write_atomically(path, (head + yaml.safe_dump(tree, sort_keys=False)).encode())
        except OSError as problem:
            raise RunError(f"{path}: cannot be written: {problem.strerror}") from problem
        return path


def best_trial(trials: Sequence[SweepTrial]) -> SweepTrial | None:
    """Return the complete trial of the highest value, the first of equals; None without one."""
    complete = [one for one in trials if one.state == "complete"]
    return max(complete, key=lambda one: one.value or 0.0, default=None)


def count_done(trials: Sequence[SweepTrial]) -> int:
    """Return the number of trials that have ended by themselves."""
    return sum(one.state in ("complete", "pruned", "failed") for one in trials)


def counted_trials(study: Study) -> list[FrozenTrial]:
    """Return the trials that have begun, without those that another trial replaces."""
    known = study.get_trials(deepcopy=False)
    replaced = {one.user_attrs.get(REPLACES) for one in known}
    return [one for one in known if one.state.name in STATES and one.number not in replaced]


def trials_table(sweep: Sweep, trials: Sequence[SweepTrial]) -> FittedTable:
    """Return the trials as a table to print, the best first.

    Args:
        sweep: The sweep.
        trials: Its trials.
    """
    keys = [one.key for one in sweep.parameters]
    drawn = FittedTable(
        TableColumn("trial"),
        TableColumn("state", "left", drop=1),
        TableColumn("value"),
        TableColumn("laps", drop=2),
        TableColumn("best lap [s]", drop=len(keys) + 4),
        TableColumn("x limit", drop=len(keys) + 3),
        *(TableColumn(name, least=12, drop=3 + k) for k, name in enumerate(short_names(keys))),
    )
    ranks = {"complete": 4, "pruned": 3, "running": 2, "interrupted": 1, "failed": 0}
    for one in sorted(trials, key=lambda one: (-ranks[one.state], -(one.value or 0.0))):
        best = one.best
        drawn.add_row(
            str(one.number),
            one.state,
            format_number(one.value, ".4f"),
            f"{best['laps_completed']} of {best['laps']}" if best else "-",
            format_number(best.get("best_lap_s"), ".2f"),
            format_number(best.get("x_limit"), ".2f"),
            *(format_number(one.params.get(key), ".4g") for key in keys),
        )
    return drawn


def short_names(keys: Sequence[str]) -> list[str]:
    """Return the last part of each field's dotted name, or the whole name if two would be equal.

    Example:
        >>> short_names(["ppo.gamma", "sensor.0.width", "sensor.1.width"])
        ['gamma', 'sensor.0.width', 'sensor.1.width']
    """
    last = [key.rpartition(".")[2] for key in keys]
    return [key if last.count(name) > 1 else name for key, name in zip(keys, last)]


def format_number(value: Any, form: str) -> str:
    """Return a number in a form, a name as it is (of a path, its last part), and `-` for None.

    Args:
        value: The number or name.
        form: The form of a float, such as `.4g`.
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return format(value, form)
    return os.path.basename(value) if os.path.isabs(str(value)) else str(value)


def _last(values: dict[int, float]) -> float | None:
    return values[max(values)] if values else None

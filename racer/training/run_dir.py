"""A run's folder: what is written there, and reading it back."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml

from racer.assets.atomic import write_atomically
from racer.assets.document import parse_yaml, read_document, validate_document
from racer.assets.notebook import Video, html_card
from racer.entries.package import LABEL_RULE, is_label
from racer.errors import RacerError, RunError
from racer.reward.reward_file import RewardSource
from racer.training.checkpoints import Checkpoints
from racer.training.config import RunConfig
from racer.training.file_copies import REWARD_COPY, copy_named_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Ended = Literal["finished", "out of time", "stopped", "stopped by callback", "failed"]


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    `config.yaml` is the resolved config, in which paths are relative to this folder; `reward.py` is
    a copy of the reward, which lies in `reward/` where it needs other files; `tracks/` holds copies
    of the tracks that do not ship with racer, `model_metadata.json` the actions.
    `checkpoints/step-N.pt` is the learner after N steps, of which `checkpoints.json` lists the
    hashes and `best.json` names the best, `run.json` tells of its beginning and its end, `log.txt`
    what was said meanwhile, `lock` is held while it trains, `evaluations.jsonl` holds a line an
    evaluation, `episodes.jsonl` one a training episode, `lines/step-N.npz` the line driven in an
    evaluation (see `racer.training.trajectories`), `videos/step-N.mp4` a lap of some, and
    TensorBoard's events lie beside them.
    """

    folder: Path

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str | None:
        from racer.rendering.svg_charts import line_chart
        from racer.training.run_history import summarize_run, training_curve

        try:
            told, episodes = summarize_run(self), self.records("episodes")
        except RacerError:  # The folder may be gone: then a notebook shows the text.
            return None
        rows = {
            "config": told["config"] or "-",
            "state": told["state"],
            "steps": f"{told['steps']:,} of {told['wanted']:,}",
            "best evaluation": "-"
            if told["laps"] is None
            else f"{told['laps_completed']} of {told['laps']} laps",
            "best lap": "-" if told["best_lap_s"] is None else f"{told['best_lap_s']:.2f} s",
            "x limit": "-" if told["x_limit"] is None else f"{told['x_limit']:.2f}",
        }
        if not episodes:
            return html_card(str(self.folder), rows)
        means = training_curve(episodes)
        lines = {name: (means["steps"], means[name]) for name in ("progress", "laps")}
        chart = line_chart(lines, "control steps", "percent", 100.0)
        return html_card(str(self.folder), rows, chart)

    def plot(self) -> Figure:
        """Return the learning curve, which a notebook shows: reward and progress over the steps.

        Raises:
            RunError: The run holds no episode and no evaluation yet.
        """
        from racer.rendering.line_plots import plot_learning_curve
        from racer.training.run_history import training_curve

        episodes, evaluations = self.records("episodes"), self.records("evaluations")
        if not episodes and not evaluations:
            raise RunError(f"{self.folder} holds no episode and no evaluation yet")
        judged = np.array(
            [[one["steps"], 100.0 * one["laps_completed"] / one["laps"]] for one in evaluations]
        )
        return plot_learning_curve(
            training_curve(episodes), judged.reshape(-1, 2), self.folder.name
        )

    def video(self) -> Video:
        """Return the newest film of an evaluation, which a notebook plays.

        Raises:
            RunError: There is none; `evaluation.video_freq` in the config says how many are filmed.
        """
        films = sorted((self.folder / "videos").glob("step-*.mp4"), key=_steps)
        if not films:
            raise RunError(
                f"{self.folder} holds no film: each fifth evaluation is filmed, or each N-th with "
                "evaluation.video_freq: N in the config; a race is filmed by "
                "racer.drive(...).video()"
            )
        return Video.read(films[-1])

    @classmethod
    def create(
        cls,
        folder: Path | None,
        config: RunConfig,
        reward: RewardSource,
        beside: Mapping[str, Path],
        name: str = "run",
    ) -> Run:
        """A new folder with the resolved config and copies of all files that it names.

        Args:
            folder: Where; None for a new folder in `runs/`, called by the config and the time.
            config: The run.
            reward: The reward.
            beside: The files that the reward needs, by their paths relative to it.
            name: What the config is called.

        Raises:
            RunError: The folder holds something already, or cannot be written.
        """
        try:
            run = cls(_claim_named(folder) if folder is not None else _claim_new(name))
            run.checkpoints.mkdir()
            kept = copy_named_files(run.folder, config, reward, beside)
            text = yaml.safe_dump(kept.model_dump(mode="json"), sort_keys=False)
            run._tell({"config": name, "reward": config.reward, "began": _now()})
            write_atomically(run.folder / "config.yaml", text.encode())
        except OSError as problem:
            where = problem.filename or folder or "runs"
            raise RunError(f"{where}: cannot be written: {problem.strerror}") from problem
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """An existing run.

        Raises:
            RunError: There is no run in that folder.
        """
        if not (folder / "config.yaml").is_file():
            raise RunError(
                f"{folder} holds no run: it has no config.yaml; see the folders in runs/"
            )
        return cls(folder)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    def config(self) -> RunConfig:
        """The resolved config that the run was started with; its files are the run's own copies."""
        config = read_document(self.folder / "config.yaml", RunConfig, RunError)
        # Older runs kept the reward but named the file that it was copied from.
        if (own := self.folder / REWARD_COPY).is_file():
            config = config.model_copy(update={"reward": str(own)})
        return config

    def written_config(self) -> RunConfig:
        """The config as `config.yaml` has it, with paths relative to the run's folder."""
        path = self.folder / "config.yaml"
        tree, lines = parse_yaml(path, RunError)
        return validate_document(tree, RunConfig, str(path), lines, RunError)

    @property
    def saved(self) -> Checkpoints:
        """The checkpoints, by their manifest."""
        return Checkpoints(self.folder)

    def story(self) -> dict[str, Any]:
        """`config`, its name; `reward`, as it was asked for; `began`, when; `ended`, how (`Ended`),
        and `error`; or less.
        """
        try:
            return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise RunError(f"{self.folder / 'run.json'}: cannot be read: {problem}") from problem

    def mark_ended(self, how: Ended | None, error: str = "") -> None:
        """Record how training ended; None where it goes on."""
        told = {"ended": how, "error": error} if how else {}
        story = self.story()
        begun = {key: story[key] for key in ("config", "reward", "began") if key in story}
        self._tell(begun | told)

    def _tell(self, story: dict[str, Any]) -> None:
        write_atomically(self.folder / "run.json", json.dumps(story, indent=2).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from training this run; a process that dies lets go.

        Raises:
            RunError: One does already.
        """
        file = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            os.close(file)
            raise RunError(f"{self.folder}: another process trains this run now") from problem
        try:
            yield
        finally:
            os.close(file)

    def is_running(self) -> bool:
        """Whether a process trains it now."""
        if not (self.folder / "lock").exists():
            return False
        try:
            with self.locked():
                return False
        except RunError:
            return True

    def rewind(self, steps: int, evaluations: list[dict[str, Any]], best: Any) -> None:
        """Let the folder be as it was after `steps` steps.

        Args:
            steps: Those of a checkpoint.
            evaluations: The lines of `evaluations.jsonl` then.
            best: `best.json` then; None where there was none.

        Raises:
            OSError: It cannot be written.
        """
        episodes = [one for one in self.records("episodes") if one["steps"] <= steps]
        for name, records in (("evaluations", evaluations), ("episodes", episodes)):
            text = "".join(json.dumps(record) + "\n" for record in records)
            write_atomically(self.folder / f"{name}.jsonl", text.encode())
        if best:
            self.mark_best(best)
        else:
            (self.folder / "best.json").unlink(missing_ok=True)
        for path in (self.folder / "lines").glob("step-*.npz"):
            if _steps(path) > steps:
                path.unlink()
        self.saved.rewind(steps)

    def mark_best(self, best: dict[str, Any]) -> None:
        """Name the `checkpoint` that an export takes, and its `result`."""
        write_atomically(self.folder / "best.json", json.dumps(best, indent=2).encode())

    def best(self) -> Path:
        """The best checkpoint; the newest where none was evaluated.

        Raises:
            RunError: The run saved no checkpoint.
        """
        record = self.best_record()
        if record:
            return self.checkpoints / record["checkpoint"]
        saved = sorted(self.checkpoints.glob("step-*.pt"), key=_steps)
        if not saved:
            raise RunError(f"{self.folder} has no checkpoint yet; train it for longer")
        return saved[-1]

    def best_record(self) -> dict[str, Any] | None:
        """The best `checkpoint` and its `result`; None where none was evaluated.

        Raises:
            RunError: It cannot be read.
        """
        path = self.folder / "best.json"
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise RunError(f"{path}: cannot be read: {problem}") from problem

    def log(self, name: str, records: list[dict[str, Any]]) -> None:
        """Append a line each to `<name>.jsonl`, one of `evaluations` and `episodes`."""
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(record) + "\n" for record in records)

    def records(self, name: str) -> list[dict[str, Any]]:
        """What `log` wrote; nothing where it wrote nothing. A last line cut short is left out.

        Raises:
            RunError: A line cannot be read.
        """
        path = self.folder / f"{name}.jsonl"
        if not path.is_file():
            return []
        found = []
        whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                found.append(json.loads(line))
            except ValueError as problem:
                raise RunError(f"{path}:{number}: not a line of JSON: {problem}") from problem
        return found

    def line(self, steps: int) -> Path:
        """Where the line driven in the evaluation after `steps` steps is kept."""
        return self.folder / "lines" / f"step-{steps}.npz"


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that a new run must not be written into.

    Raises:
        RunError: It is the current folder, holds anything, or has a name that no entry may have.
    """
    whole, here = folder.resolve(), Path.cwd()
    if whole == here or whole in here.parents:
        raise RunError(
            f"--run {str(folder) or '.'} is the current folder or one around it; a run wants a "
            "folder of its own, such as runs/mine"
        )
    if not is_label(whole.name):
        raise RunError(
            f"--run {folder}: its entry will be called {whole.name!r}, and wanted are "
            f"{LABEL_RULE}; "
            "choose another name"
        )
    if (folder / "config.yaml").is_file() and (folder / "run.json").is_file():
        raise RunError(
            f"{folder} already holds a run; name another with --run, or remove that folder"
        )
    if folder.is_dir() and (held := sorted(path.name for path in folder.iterdir())):
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        raise RunError(
            f"{folder} holds files that are not a run's: {', '.join(held[:3])}{more}; name a new "
            "or an empty folder with --run"
        )
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; name a new folder with --run")


def _claim_named(folder: Path) -> Path:
    """Make a folder that no other run can take, too.

    Raises:
        RunError: See `refuse_taken`.
        OSError: It cannot be made.
    """
    refuse_taken(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(folder / "lock", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
    except FileExistsError as problem:
        raise RunError(f"{folder}: another run began there just now; name another") from problem
    return folder


def _claim_new(name: str) -> Path:
    """Make a folder `runs/<name>-<time>`, numbered where several runs begin in one second.

    Raises:
        OSError: It cannot be made.
    """
    plain = "".join(letter if letter.isprintable() else "-" for letter in name).strip()[:40]
    base = f"{plain or 'run'}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in itertools.count(1):
        folder = Path("runs") / (base if number == 1 else f"{base}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("unreachable")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _steps(path: Path) -> int:
    found = re.fullmatch(r"step-(\d+)", path.stem)
    return int(found.group(1)) if found else -1

"""A run's folder: its files, how they are written and how they are read."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import yaml
from filelock import FileLock, Timeout

from racer.assets.atomic import write_atomically
from racer.assets.document import parse_yaml, read_document, validate_document
from racer.assets.notebook import Video, html_card
from racer.cluster.cost import Cost
from racer.entries.package import LABEL_RULE, Ancestor, is_label
from racer.errors import RacerError, RunError
from racer.reward.reward_file import RewardSource
from racer.training.checkpoint_choice import CheckpointChoice
from racer.training.checkpoints import Checkpoints
from racer.training.config import RunConfig
from racer.training.file_copies import REWARD_COPY, copy_named_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Ended = Literal["finished", "out of time", "stopped", "stopped by callback", "failed", "pretrained"]
"""How a training ended: all steps were trained, the config's `minutes` passed, a signal stopped it,
a callback stopped it, or an exception was raised; or it has not begun, and its policy has learnt
from demonstrations only."""

RunRequest = Literal["stop", "pause", "evaluate"]
"""What the process that trains a run can be asked for: to save a checkpoint and stop at its next
step; to wait at its next step until the request is cleared; or to evaluate the policy before its
next rollout."""

MAX_NOTE_LENGTH = 200
"""Largest number of characters of a run's note."""

RUN_LOCK_TIMEOUT_S = 0.5
"""How long a training waits for its run's lock [s], which `is_running` holds for a moment."""


@contextmanager
def locked_folder(folder: Path, activity: str, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder, its file `lock`, inside the `with` block.

    If the process dies, the operating system releases the lock.

    Args:
        folder: The folder.
        activity: What the process that holds the lock does, such as `trains this run`.
        timeout_s: How long to wait for it [s].

    Raises:
        RunError: Another process holds the lock.
    """
    lock = FileLock(folder / "lock", timeout_s, thread_local=False)
    try:
        lock.acquire()
    except Timeout as problem:
        raise RunError(f"{folder}: another process {activity} now") from problem
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    Its folder holds:

    - `config.yaml`: the resolved config; its paths are relative to the folder.
    - `reward.py`: a copy of the reward file; in `reward/` if it needs other files.
    - `tracks/`: copies of the tracks that do not ship with racer.
    - `model_metadata.json`: the sensors and actions in DeepRacer's format.
    - `checkpoints/step-N.pt`: the learner after N control steps.
    - `checkpoints.json`: the list of checkpoints with their hashes.
    - `best.json`: the name of the best checkpoint, and its result.
    - `run.json`: what the run began with and how it ended; see `story`.
    - `log.txt`: the lines of the training log.
    - `note.txt`: the user's note, if there is one.
    - `lock`: locked by the process that trains the run.
    - `stop`, `pause`, `evaluate`: while one is there, that process is asked for it; see
      `RunRequest`.
    - `watching`, `live.ring`: see `racer.training.live_frames`.
    - `evaluations.jsonl`, `episodes.jsonl`: a line for each evaluation, and for each training
      episode.
    - `lines/step-N.npz`: the line driven in an evaluation; see `racer.training.trajectories`.
    - `videos/step-N.mp4`: the first lap of a filmed evaluation.
    - `explained/step-N.json`: what a checkpoint looked at on a lap; see `racer.explain`.
    - TensorBoard's event files.

    Attributes:
        folder: The folder.
    """

    folder: Path

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str | None:
        from racer.rendering.svg_charts import line_chart
        from racer.training.run_history import summarize_run, training_curve

        try:
            summary, episodes = summarize_run(self), self.records("episodes")
        except RacerError:  # The folder may have been deleted; a notebook then shows the repr.
            return None
        rows = {
            "config": summary["config"] or "-",
            "state": summary["state"],
            "steps": f"{summary['steps']:,} of {summary['wanted']:,}",
            "best evaluation": "-"
            if summary["laps"] is None
            else f"{summary['laps_completed']} of {summary['laps']} laps",
            "best lap": "-" if summary["best_lap_s"] is None else f"{summary['best_lap_s']:.2f} s",
            "x limit": "-" if summary["x_limit"] is None else f"{summary['x_limit']:.2f}",
        }
        if not episodes:
            return html_card(str(self.folder), rows)
        means = training_curve(episodes)
        lines = {name: (means["steps"], means[name]) for name in ("progress", "laps")}
        chart = line_chart(lines, "control steps", "percent", 100.0)
        return html_card(str(self.folder), rows, chart)

    def plot(self) -> Figure:
        """Return the learning curve as a figure: reward and progress over the control steps.

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
        """Return the newest video of an evaluation; a notebook plays it.

        Raises:
            RunError: The run has no video. `evaluation.video_freq` in the config sets how often an
                evaluation is filmed.
        """
        path = self.newest_video()
        if path is None:
            raise RunError(
                f"{self.folder} holds no video: every fifth evaluation is filmed, or every N-th "
                "with evaluation.video_freq: N in the config; racer.drive(...).video() films a "
                "race"
            )
        return Video.read(path)

    def newest_video(self) -> Path | None:
        """Return the path of the newest video of an evaluation; None if there is none."""
        return max((self.folder / "videos").glob("step-*.mp4"), key=_steps, default=None)

    def video_path(self, steps: int) -> Path:
        """Return the path of the video of the evaluation after `steps` steps."""
        return self.folder / "videos" / f"step-{steps}.mp4"

    def explained_path(self, steps: int) -> Path:
        """Return the path of the explained lap of the checkpoint after `steps` steps."""
        return self.folder / "explained" / f"step-{steps}.json"

    @classmethod
    def create(
        cls,
        folder: Path | None,
        config: RunConfig,
        reward: RewardSource,
        beside: Mapping[str, Path],
        name: str = "run",
        lineage: Sequence[Ancestor] = (),
    ) -> Run:
        """Create a run's folder with the resolved config and copies of all files that it names.

        Args:
            folder: The folder, new or empty; None for `runs/<name>-<date>-<time>`.
            config: The run's config.
            reward: The reward file.
            beside: The files that the reward file needs, by their paths relative to it.
            name: The config's name.
            lineage: The policy whose weights the training begins with, then its ancestors.

        Raises:
            RunError: The folder is not empty, its name cannot be an entry's, or it cannot be
                written.
        """
        try:
            run = cls(_claim_named(folder) if folder is not None else _claim_new(name))
            run.checkpoints.mkdir()
            kept = copy_named_files(run.folder, config, reward, beside)
            story: dict[str, Any] = {"config": name, "reward": config.reward, "began": _now()}
            if lineage:
                story["lineage"] = [one.model_dump(exclude_none=True) for one in lineage]
            run._write_story(story)
            run._write_config(kept)
        except OSError as problem:
            where = problem.filename or folder or "runs"
            raise RunError(f"{where}: cannot be written: {problem.strerror}") from problem
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Return the run in a folder.

        Raises:
            RunError: The folder holds no run.
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
        """Return the run's resolved config.

        Its paths lead to the copies in the run's folder.

        Raises:
            RunError: `config.yaml` cannot be read.
        """
        config = read_document(self.folder / "config.yaml", RunConfig, RunError)
        # Older versions of racer copied the reward, but wrote the original's path into the config.
        if (own := self.folder / REWARD_COPY).is_file():
            config = config.model_copy(update={"reward": str(own)})
        return config

    def written_config(self) -> RunConfig:
        """Return the config as it is written in `config.yaml`: paths are relative to the folder.

        Raises:
            RunError: `config.yaml` cannot be read.
        """
        path = self.folder / "config.yaml"
        tree, lines = parse_yaml(path, RunError)
        return validate_document(tree, RunConfig, str(path), lines, RunError)

    @property
    def saved(self) -> Checkpoints:
        """The checkpoints as the manifest `checkpoints.json` lists them."""
        return Checkpoints(self.folder)

    def story(self) -> dict[str, Any]:
        """Return what `run.json` holds; an empty dict if there is no such file.

        Returns:
            `config`, the config's name; `reward`, the reward as the user named it; `began`, the
            date and time in ISO 8601; of a clone `lineage`, see `lineage`; of a run that was
            trained further than first planned `extensions`, see `extend`; `pretrained`, see
            `mark_pretrained`; `cost`, see `record_cost`; and once the training has ended `ended`
            (see `Ended`) and `error`, the message of the exception or "".

        Raises:
            RunError: The file cannot be read.
        """
        try:
            return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise RunError(f"{self.folder / 'run.json'}: cannot be read: {problem}") from problem

    def note(self) -> str:
        """Return the user's note on the run; "" if there is none.

        Raises:
            RunError: The note cannot be read.
        """
        path = self.folder / "note.txt"
        try:
            return path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as problem:
            raise RunError(f"{path}: cannot be read: {problem.strerror}") from problem

    def set_note(self, text: str) -> None:
        """Write the user's note on the run, which `racer runs list` shows; "" removes it.

        Raises:
            RunError: The text is not one line of up to `MAX_NOTE_LENGTH` characters, or the note
                cannot be written.
        """
        text, path = text.strip(), self.folder / "note.txt"
        if len(text) > MAX_NOTE_LENGTH or not text.isprintable():
            raise RunError(
                f"a note is one line of up to {MAX_NOTE_LENGTH} printable characters; got "
                f"{len(text)}: {text[:40]!r}; shorten it"
            )
        try:
            if text:
                write_atomically(path, f"{text}\n".encode())
            else:
                path.unlink(missing_ok=True)
        except OSError as problem:
            raise RunError(f"{path}: cannot be written: {problem.strerror}") from problem

    def mark_ended(self, how: Ended | None, error: str = "") -> None:
        """Record how the training ended.

        Args:
            how: How it ended; None if it begins or is resumed, which removes an earlier record.
            error: The message of the exception that ended it.

        Raises:
            OSError: `run.json` cannot be written.
        """
        ending = {"ended": how, "error": error} if how else {}
        begun = {key: one for key, one in self.story().items() if key not in ("ended", "error")}
        self._write_story(begun | ending)
        if how:
            self.clear_requests()

    def lineage(self) -> tuple[Ancestor, ...]:
        """Return the policy whose weights the run began with, then that one's ancestors.

        The tuple is empty for a run that began with new weights.

        Raises:
            RunError: `run.json` cannot be read.
        """
        listed, source = self.story().get("lineage", []), str(self.folder / "run.json")
        return tuple(validate_document(one, Ancestor, source, error=RunError) for one in listed)

    def extend(self, config: RunConfig, steps: int) -> None:
        """Write new limits of the training into `config.yaml`, and record longer ones.

        `extensions` in `run.json` gets a dict with `steps`, the control steps trained so far, and
        `total_timesteps` before (`old_total`) and from now on (`new_total`).

        Args:
            config: The run's config with another `total_timesteps` or `minutes`.
            steps: Control steps trained so far, over all cars.

        Raises:
            RunError: A file cannot be read.
            OSError: A file cannot be written.
        """
        written = self.written_config()
        new = {"total_timesteps": config.total_timesteps, "minutes": config.minutes}
        changed = written.model_copy(update=new)
        if changed == written:
            return
        story, totals = self.story(), (written.total_timesteps, config.total_timesteps)
        if totals[0] != totals[1]:
            record = {"steps": steps, "old_total": totals[0], "new_total": totals[1]}
            self._write_story(story | {"extensions": [*story.get("extensions", []), record]})
        self._write_config(changed)

    def _write_config(self, config: RunConfig) -> None:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_atomically(self.folder / "config.yaml", text.encode())

    def mark_pretrained(self, record: dict[str, Any]) -> None:
        """Record what the run's first policy has learnt from, as `pretrained` in `run.json`.

        Args:
            record: What `racer.imitation` tells about it, in plain values.

        Raises:
            OSError: `run.json` cannot be written.
        """
        self._write_story(self.story() | {"pretrained": record})

    def cost(self) -> Cost | None:
        """Return what the training cost so far; None if that is not recorded.

        Raises:
            RunError: `run.json` cannot be read.
        """
        told = self.story().get("cost")
        return Cost.from_dict(told) if told else None

    def record_cost(self, cost: Cost) -> None:
        """Record what the training cost so far, as `Cost.as_dict` returns it.

        Raises:
            OSError: `run.json` cannot be written.
        """
        self._write_story(self.story() | {"cost": cost.as_dict()})

    def _write_story(self, story: dict[str, Any]) -> None:
        write_atomically(self.folder / "run.json", json.dumps(story, indent=2).encode())

    @contextmanager
    def locked(self, timeout_s: float = RUN_LOCK_TIMEOUT_S) -> Iterator[None]:
        """Hold the run's lock inside the `with` block, so that no other process trains it.

        Args:
            timeout_s: How long to wait for it [s].

        Raises:
            RunError: Another process holds the lock.
        """
        with locked_folder(self.folder, "trains this run", timeout_s):
            yield

    def is_running(self) -> bool:
        """Return whether a process is training the run now."""
        if not (self.folder / "lock").exists():
            return False
        try:
            with self.locked(0.0):
                return False
        except RunError:
            return True

    def request_stop(self) -> None:
        """Ask the process that trains the run to save a checkpoint and stop, as by Ctrl-C.

        Raises:
            RunError: No process trains the run, or its folder cannot be written.
        """
        self.request("stop")

    def is_stop_requested(self) -> bool:
        """Return whether the training was asked to stop; see `request_stop`."""
        return self.is_requested("stop")

    def clear_stop_request(self) -> None:
        """Forget an earlier `request_stop`; the process that trains the run does, at once.

        Raises:
            OSError: The request cannot be deleted.
        """
        self.clear_request("stop")

    def clear_requests(self) -> None:
        """Forget all earlier requests.

        Raises:
            OSError: A request cannot be deleted.
        """
        for what in get_args(RunRequest):
            self.clear_request(what)

    def request(self, what: RunRequest) -> None:
        """Ask the process that trains the run for something; see `RunRequest`.

        Raises:
            RunError: No process trains the run, or its folder cannot be written.
        """
        path = self.folder / what
        if not self.is_running():
            raise RunError(f"{self.folder}: no process trains this run, so there is none to {what}")
        try:
            path.touch()
        except OSError as problem:
            raise RunError(f"{path}: cannot be written: {problem.strerror}") from problem

    def is_requested(self, what: RunRequest) -> bool:
        """Return whether the training was asked for something and has not answered."""
        return (self.folder / what).exists()

    def clear_request(self, what: RunRequest) -> None:
        """Forget an earlier request. A pause ends so; the process clears the others itself.

        Raises:
            OSError: The request cannot be deleted.
        """
        (self.folder / what).unlink(missing_ok=True)

    def rewind(self, steps: int, evaluations: list[dict[str, Any]], best: Any) -> None:
        """Restore the folder as it was after `steps` control steps: delete what came later.

        Args:
            steps: The steps of a whole checkpoint; 0 for the beginning.
            evaluations: The records in `evaluations.jsonl` at that time.
            best: The content of `best.json` at that time; None if there was none.

        Raises:
            OSError: A file cannot be written or deleted.
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
        """Write `best.json`.

        Args:
            best: `checkpoint`, the name of the best checkpoint's file; `result`, the race on the
                first track (`LapResult.as_dict`); and `others`, the further races of the
                evaluation, if any.

        Raises:
            OSError: The file cannot be written.
        """
        write_atomically(self.folder / "best.json", json.dumps(best, indent=2).encode())

    def best(self) -> Path:
        """Return the path of the best checkpoint; of the newest one if none was evaluated.

        Raises:
            RunError: The run has no checkpoint, or `best.json` cannot be read.
        """
        record = self.best_record()
        if record:
            return self.checkpoints / record["checkpoint"]
        return self.checkpoint("last")

    def checkpoint(self, choice: CheckpointChoice = "best") -> Path:
        """Return the path of a checkpoint.

        Args:
            choice: `"best"`, `"last"`, or the control steps after which it was saved.

        Raises:
            RunError: There is no such checkpoint; the message lists those that there are.
        """
        if choice == "best":
            return self.best()
        saved = {one.steps: self.checkpoints / one.file for one in self.saved.known()}
        if not saved:
            raise RunError(f"{self.folder} has no checkpoint yet; train it for longer")
        if choice == "last":
            return saved[max(saved)]
        if choice not in saved:
            has = ", ".join(map(str, sorted(saved)))
            was = any(one["steps"] == choice for one in self.records("evaluations"))
            why = "; it was deleted: evaluation.keep in the config keeps more" if was else ""
            raise RunError(
                f"{self.folder} has no checkpoint after {choice} steps; it has {has}{why}"
            )
        return saved[choice]

    def best_record(self) -> dict[str, Any] | None:
        """Return the content of `best.json`, see `mark_best`; None if no checkpoint was evaluated.

        Raises:
            RunError: The file cannot be read.
        """
        path = self.folder / "best.json"
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise RunError(f"{path}: cannot be read: {problem}") from problem

    def log(self, name: str, records: list[dict[str, Any]]) -> None:
        """Append records to `<name>.jsonl`, one line of JSON for each.

        Args:
            name: `evaluations` or `episodes`.
            records: The records.

        Raises:
            OSError: The file cannot be written.
        """
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(record) + "\n" for record in records)

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return the records in `<name>.jsonl`; an empty list if there is no such file.

        An incomplete last line, which a killed process leaves behind, is ignored.

        Args:
            name: `evaluations` or `episodes`.

        Raises:
            RunError: A line is not JSON.
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
        """Return the path of the file for the line driven in the evaluation after `steps` steps."""
        return self.folder / "lines" / f"step-{steps}.npz"


def refuse_taken(folder: Path, option: str = "--run") -> None:
    """Raise RunError if a new run must not be written into a folder.

    Args:
        folder: The folder.
        option: The option that names it, for the message.

    Raises:
        RunError: The folder is the current one or a parent of it, is not empty, or has a name that
            an entry must not have.
    """
    whole, here = folder.resolve(), Path.cwd()
    if whole == here or whole in here.parents:
        raise RunError(
            f"{option} {str(folder) or '.'} is the current folder or a parent of it; name a new "
            "folder, such as runs/mine"
        )
    if not is_label(whole.name):
        raise RunError(
            f"{option} {folder}: the folder's name is the name of the run's entry, and "
            f"{whole.name!r} is not allowed; allowed are {LABEL_RULE}; choose another name"
        )
    if (folder / "config.yaml").is_file() and (folder / "run.json").is_file():
        raise RunError(
            f"{folder} already holds a run; name another folder with {option}, or delete this one"
        )
    if folder.is_dir() and (held := sorted(path.name for path in folder.iterdir())):
        more = f" and {len(held) - 3} more" if len(held) > 3 else ""
        raise RunError(
            f"{folder} is not empty, it holds {', '.join(held[:3])}{more}; name a new or an empty "
            f"folder with {option}"
        )
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; name a new folder with {option}")


def _claim_named(folder: Path) -> Path:
    """Make the folder that the user named, and claim it by creating its file `lock`.

    Raises:
        RunError: The folder cannot be used, see `refuse_taken`, or another run has just claimed it.
        OSError: It cannot be made.
    """
    refuse_taken(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(folder / "lock", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644))
    except FileExistsError as problem:
        raise RunError(
            f"{folder}: another run has just begun there; name another folder"
        ) from problem
    return folder


def _claim_new(name: str) -> Path:
    """Make a folder `runs/<name>-<date>-<time>`; if it exists already, a number is appended.

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

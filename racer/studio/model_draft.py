"""A model before its training: a config and a reward file, as the command line reads them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from racer.assets.atomic import write_atomically
from racer.assets.document import errors_by_place, parse_yaml, read_document
from racer.assets.text import decode_text
from racer.entries.package import LABEL_RULE, is_label
from racer.errors import RacerError, StudioError
from racer.reward.reward_file import FILES_RECORD, find_reward
from racer.track import load_track
from racer.training.config import ALGORITHMS, RunConfig
from racer.training.run_dir import Run
from racer.training.start_config import start_config

NAME_PLACE = "name"
"""The place of the model's name among the problems."""


class ModelChanged(StudioError):
    """The files of a model were changed by somebody else."""


class ModelDraft:
    """A model that is being made, kept as `NAME.yaml` and `NAME.py` in the folder of the runs.

    Args:
        folder: The folder of the runs.
        name: The model's name, which the run gets.
        config: What it begins with.
        reward: The text of the reward file.

    Attributes:
        folder: The folder.
        name: The model's name.
        values: The fields that differ from their defaults, by their dotted names.
        reward: The text of the reward file.
        kept_as: The name under which the files are kept; "" before they are.
        origin: The reward file whose text it began with; None if there was none.
    """

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any], reward: str) -> None:
        self.folder, self.name, self.reward, self.kept_as = folder, name, reward, ""
        self.origin: Path | None = None
        self._beside: dict[str, Path] = {}
        self._known: tuple[bytes | None, ...] = ()
        self.values = dict(_differences(config, default_values(config.get("algorithm"))))
        self.values.pop("reward", None)

    @classmethod
    def begin(cls, folder: Path, start: str = "quick") -> ModelDraft:
        """Return a new model that begins with a shipped config.

        Raises:
            RacerError: There is no such config.
        """
        config, name = start_config(start, None)
        draft = cls(folder, free_name(folder, name), _plain(config), "")
        draft.take_reward(find_reward(config.reward or ""))
        return draft

    @classmethod
    def clone(cls, folder: Path, run: Run) -> ModelDraft:
        """Return a new model with the config and the reward of a run.

        Raises:
            RacerError: One of the run's files cannot be read.
        """
        config = run.config()
        name = free_name(folder, run.folder.name)
        draft = cls(folder, name, _plain(config, folder), "")
        draft.take_reward(Path(config.reward or ""))
        return draft

    @classmethod
    def open(cls, folder: Path, name: str) -> ModelDraft:
        """Return the model that is kept under a name; values that are not allowed are kept, too.

        Raises:
            RacerError: There is no such model, or its files cannot be read.
        """
        if not _is_file_name(name):
            raise StudioError(f"{name!r:.100} is no model's name")
        path = folder / f"{name}.yaml"
        if not path.is_file():
            raise StudioError(f"{path}: there is no such model any more")
        tree, _ = parse_yaml(path)
        reward = path.with_suffix(".py")
        # Where a value is not allowed, its field will say so.
        with suppress(RacerError):
            config = read_document(path, RunConfig)
            tree, reward = _plain(config, folder), find_reward(config.reward or "")
        draft = cls(folder, name, tree, "")
        draft.kept_as = name
        if reward.is_file():
            draft.take_reward(reward)
        draft._known = draft._content()
        return draft

    def take_reward(self, path: Path) -> None:
        """Begin with the text of a reward file, and with the files that it was kept with.

        Raises:
            StudioError: The file cannot be read.
        """
        self.reward, self.origin = _text(path), path
        with suppress(OSError, ValueError):
            names = json.loads((path.parent / FILES_RECORD).read_bytes())
            self._beside = {name: path.parent / name for name in names if name != path.name}

    @property
    def config_path(self) -> Path:
        """The config's file."""
        return self.folder / f"{self.name}.yaml"

    @property
    def reward_path(self) -> Path:
        """The reward's file."""
        return self.folder / f"{self.name}.py"

    def value(self, place: str) -> Any:
        """Return the value of a field, or of a section as a dict."""
        there: Any = self.tree(is_whole=True)
        for part in place.split("."):
            there = there.get(part) if isinstance(there, dict) else None
        return there

    def set(self, place: str, value: Any) -> None:
        """Set the value of a field, which may be one that is not allowed."""
        self.values[place] = value
        usual = _nested_value(default_values(self.value("algorithm")), place)
        if value == usual:
            del self.values[place]

    def tree(self, is_whole: bool = False) -> dict[str, Any]:
        """Return the config as nested dicts.

        Args:
            is_whole: Whether fields that have their defaults are in it.
        """
        algorithm = self.values.get("algorithm", "ppo")
        tree = default_values(algorithm) if is_whole else {}
        for place, value in self.values.items():
            section = place.partition(".")[0]
            if section in ALGORITHMS and section != algorithm:
                continue
            *path, name = place.split(".")
            there = tree
            for part in path:
                there = there.setdefault(part, {})
            there[name] = value
        return tree

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by the dotted name of the field or section; "" is the whole."""
        tree, found = self.tree(), {}
        try:
            config = RunConfig.model_validate(tree, context={"folder": self.folder})
        except ValidationError as problem:
            for place, message in errors_by_place(problem, RunConfig, tree).items():
                found[self._named_place(place, message)] = message
        else:
            for place, tracks in (
                ("track", config.track),
                ("evaluation.track", config.evaluation.track),
            ):
                if problem := _track_problem(tracks or ()):
                    found[place] = problem
        if problem := self._name_problem():
            found[NAME_PLACE] = problem
        return found

    def keep(self) -> None:
        """Write the model's files; if it has another name now, the old ones are deleted.

        Raises:
            ModelChanged: Somebody else changed the files.
            StudioError: The name cannot be used, or a file cannot be written.
        """
        if problem := self._name_problem():
            raise StudioError(problem)
        tree = self.tree() | {"reward": self.reward_path.name}
        text = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)
        try:
            if self.kept_as == self.name and self._content() != self._known:
                raise ModelChanged(
                    f"{self.config_path} or its reward was changed elsewhere, perhaps in another "
                    "tab; load the page again to see it, or choose another name to keep both"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.reward_path, self.reward.encode())
            write_atomically(self.config_path, text.encode())
            for name, path in self._beside.items():
                if not (copy := self.folder / name).exists():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(copy, path.read_bytes())
            old = [self.folder / f"{self.kept_as}{suffix}" for suffix in (".yaml", ".py")]
            is_trained = (self.folder / self.kept_as).exists()  # Also while it has no name yet.
            is_mine = tuple(map(_bytes, old)) == self._known
            if self.kept_as != self.name and is_mine and not is_trained:
                for path in old:
                    path.unlink(missing_ok=True)
        except OSError as problem:
            raise StudioError(f"{self.config_path}: cannot be written: {problem}") from problem
        self.kept_as, self._known = self.name, self._content()

    def _content(self) -> tuple[bytes | None, ...]:
        """Return the content of the model's files on the disk; None for one that is missing."""
        return tuple(_bytes(path) for path in (self.config_path, self.reward_path))

    def _name_problem(self) -> str:
        """Return why the model cannot have its name; "" if it can."""
        if not _is_file_name(self.name):
            return f"{self.name!r:.60} cannot be a name; allowed are {LABEL_RULE}, and no slash"
        if (self.folder / self.name).exists():
            return f"there is a run {self.name} already; choose another name"
        if self.name != self.kept_as and self.config_path.exists():
            return f"another model has the name {self.name}; choose another one"
        return ""

    def _named_place(self, place: str, message: str) -> str:
        """Return the field that a section's error names first, or the section."""
        if place and not isinstance(self.value(place), dict):
            return place
        for word in re.findall(r"[a-z_][a-z_.]*[a-z_]", message):
            inner = f"{place}.{word}" if place else word
            if (value := self.value(inner)) is not None and not isinstance(value, dict):
                return inner
        return place


def default_values(algorithm: str | None = None) -> dict[str, Any]:
    """Return the default config of an algorithm as nested dicts."""
    name = algorithm if algorithm in ALGORITHMS else "ppo"
    return RunConfig().with_algorithm(name).model_dump(mode="json") | {"algorithm": "ppo"}


def kept_models(folder: Path) -> list[str]:
    """Return the names of the models in a folder that no run has, the newest first."""
    found = [one for one in folder.glob("*.yaml") if not (folder / one.stem).exists()]
    stamped = sorted(((_age(one), one.stem) for one in found if is_label(one.stem)), reverse=True)
    return [name for _, name in stamped]


def free_name(folder: Path, name: str) -> str:
    """Return a name that neither a run nor a model has: the given one, or one with a number."""
    base = re.sub(r"-\d{1,3}$", "", name) or "model"
    number = 1
    while any((folder / f"{base}-{number}{suffix}").exists() for suffix in ("", ".yaml")):
        number += 1
    return f"{base}-{number}"


def _is_file_name(name: str) -> bool:
    """Return whether a name is that of a file or folder, and of an entry."""
    return (
        is_label(name)
        and not re.search(r"[/\\\0]", name)
        and not name.startswith(".")
        and bool(name)
    )


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _differences(tree: Mapping[str, Any], usual: Mapping[str, Any], at: str = "") -> Any:
    """Yield the dotted name and the value of each field that has another value than usual."""
    for name, value in tree.items():
        place = f"{at}.{name}" if at else name
        default = usual.get(name)
        if isinstance(value, Mapping):
            yield from _differences(value, default if isinstance(default, Mapping) else {}, place)
        elif name not in usual or value != default:
            yield place, value


def _nested_value(tree: Any, place: str) -> Any:
    for part in place.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _plain(config: RunConfig, folder: Path | None = None) -> dict[str, Any]:
    """Return a config as JSON holds it, its tracks in a folder relative to that folder."""
    tree = config.model_dump(mode="json")
    if folder is not None:
        for there in (tree, tree["evaluation"]):
            if there["track"] is not None:
                there["track"] = [_beside(one, folder) for one in there["track"]]
    return tree


def _beside(track: str, folder: Path) -> str:
    path = Path(track)
    is_inside = path.is_absolute() and path.is_relative_to(folder)
    return os.fspath(path.relative_to(folder)) if is_inside else track


def _text(path: Path) -> str:
    try:
        return decode_text(path.read_bytes())
    except (OSError, UnicodeDecodeError) as problem:
        raise StudioError(f"{path}: the reward cannot be read: {problem}") from problem


def _track_problem(tracks: tuple[str, ...]) -> str:
    for name in tracks:
        try:
            load_track(name)
        except RacerError as problem:
            return str(problem)
    return ""

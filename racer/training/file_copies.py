"""Copies of the files that a config names, so that a run's folder needs no other file."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from racer import assets
from racer.assets.atomic import write_atomically
from racer.assets.document import read_document
from racer.deepracer.metadata import metadata_as_json
from racer.errors import TrackError
from racer.reward.neighbour_files import files_beside
from racer.reward.param_cases import ParamCase, case_params
from racer.reward.reward_file import FILES_RECORD, RewardSource
from racer.track import load_track
from racer.track.generator import GENERATED_PREFIX
from racer.track.track_file import TrackFile
from racer.training.config import RunConfig

REWARD_COPY = "reward.py"
"""Copy of a reward file, in a run's folder. One that needs other files is copied with them into the
folder `reward` instead."""
TRIED_STATES = 8
"""Number of states in which a reward is called to find out which files it opens."""


def needed_files(reward: RewardSource, config: RunConfig) -> dict[str, Path]:
    """Return the files that a reward needs beside it; see `files_beside`.

    Args:
        reward: The reward file.
        config: The run's config; the reward is called in a few states of its first track.
    """

    def try_reward() -> None:
        case = ParamCase(load_track(config.track[0]), False, config.race.kind)
        with reward.watched():
            function = reward.functions(1)[0]
            for params in case_params(case)[:TRIED_STATES]:
                reward.call(function, params)

    return files_beside(reward, try_reward)


@contextmanager
def carried_config(config: RunConfig) -> Iterator[Path]:
    """Write a config and copies of all files that it names into a folder, for a `with` block.

    `read_carried` reads the config in a copy of the folder, on another machine too.

    Args:
        config: The config.

    Raises:
        RacerError: A file that it names cannot be read.
    """
    reward = RewardSource.find(config.reward or "")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "config"
        folder.mkdir()
        kept = copy_named_files(folder, config, reward, needed_files(reward, config))
        text = yaml.safe_dump(kept.model_dump(mode="json"), sort_keys=False)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        yield folder


def read_carried(folder: Path) -> RunConfig:
    """Return the config in a folder that `carried_config` wrote; its paths lead to the copies."""
    return read_document(folder / "config.yaml", RunConfig)


def copy_named_files(
    folder: Path, config: RunConfig, reward: RewardSource, beside: Mapping[str, Path]
) -> RunConfig:
    """Copy the reward, the tracks and the actions into a run's folder.

    Args:
        folder: The run's folder.
        config: The run's config, with the paths that the user gave.
        reward: The reward file.
        beside: The files that the reward file needs, by their paths relative to it.

    Returns:
        The config with the path of each copy, relative to the run's folder.

    Raises:
        OSError: A file cannot be read or written.
        TrackError: A track's file does not exist.
    """
    names: dict[str, str] = {}
    for track in (*config.track, *config.evaluation_tracks):
        if track not in names:
            names[track] = _copy_track(folder, track, set(names.values()))
    described = metadata_as_json(
        config.actions,
        [one.kind for one in config.sensor],
        config.network.preset,
        config.algorithm,
    )
    write_atomically(folder / "model_metadata.json", json.dumps(described, indent=2).encode())
    judged = config.evaluation.track
    evaluation = config.evaluation.model_copy(
        update={"track": judged and tuple(names[track] for track in judged)}
    )
    changes = {
        "track": tuple(names[track] for track in config.track),
        "reward": _copy_reward(folder, reward, beside),
        "evaluation": evaluation,
    }
    return config.model_copy(update=changes)


def _copy_track(folder: Path, track: str, taken: set[str]) -> str:
    """Copy a track's file, and return the path of the copy relative to the run's folder.

    Nothing is copied of a track that ships with racer or is generated; its name is returned.

    Args:
        folder: The run's folder.
        track: The track as the config names it.
        taken: The paths of the copies that exist already.

    Raises:
        OSError: A file cannot be read or written.
        TrackError: The track's file does not exist.
    """
    if track.startswith(GENERATED_PREFIX):
        return track
    path = assets.find_file(track, "tracks", TrackError)
    if _ships(path):
        return path.stem
    number, name = 1, f"tracks/{path.name}"
    while name in taken:
        number += 1
        name = f"tracks/{path.stem}-{number}{path.suffix}"
    _write(folder / name, path.read_bytes())
    return name


def _ships(path: Path) -> bool:
    """Return whether a track ships with racer, rather than being a user's file in the same folder.

    Only the tracks that ship with racer have the field `set`.
    """
    is_there = path.resolve().parent == (assets.assets_root() / "tracks").resolve()
    return (
        is_there
        and path.suffix == ".yaml"
        and read_document(path, TrackFile, TrackError).set is not None
    )


def _copy_reward(folder: Path, reward: RewardSource, beside: Mapping[str, Path]) -> str:
    if not beside:
        _write(folder / REWARD_COPY, reward.content)
        return REWARD_COPY
    # A folder of their own, because a file may have the name of one of the run's files.
    contents = {reward.path.name: reward.content}
    contents |= {name: path.read_bytes() for name, path in beside.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    for name, content in contents.items():
        _write(folder / "reward" / name, content)
    _write(folder / "reward" / FILES_RECORD, json.dumps(hashes, indent=2).encode())
    return f"reward/{reward.path.name}"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)

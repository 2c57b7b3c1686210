"""A model's files from the DeepRacer world, as a run config and copies that `racer train` takes."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from racer.assets.document import validate_document
from racer.deepracer.archive import open_model
from racer.deepracer.metadata import (
    NETWORK_PRESET_NAMES,
    Metadata,
    ModelFileBase,
    read_json,
    read_metadata,
)
from racer.errors import ConfigError, RacerError
from racer.reward.neighbour_files import files_beside
from racer.reward.reward_file import RewardSource
from racer.track import load_track
from racer.training.config import RunConfig

STEPS_PER_EPISODE = 150
"""Steps that we take for one of their episodes: ten seconds at 15 Hz, most of a lap or of a try."""
MAX_IMPORTED_TIMESTEPS = 1_000_000
"""Control steps in all where the files set no number of episodes."""
ENDLESS_EPISODES = 10_000
"""So many episodes or more are that stack's way to say: until it is stopped."""

IGNORED_HYPERPARAMETERS = {
    "exploration_type": "PPO explores by its own noise or by its choices' probabilities",
    "e_greedy_value": "PPO explores without epsilon-greedy",
    "epsilon_steps": "PPO explores without epsilon-greedy",
    "term_cond_avg_score": "set `steps` and `minutes` instead",
    "sac_alpha": "it belongs to sac",
}


class Hyperparameters(ModelFileBase):
    """What a `hyperparameters.json` says; the defaults are that stack's."""

    batch_size: int = Field(default=64, ge=2, le=65_536)
    num_epochs: int = Field(default=5, ge=1, le=100)
    lr: float = Field(default=3e-4, gt=0, le=1)
    beta_entropy: float = Field(default=0.01, ge=0, le=1)
    discount_factor: float = Field(default=0.99, gt=0, le=1)
    loss_type: Literal["huber", "mse", "mean squared error"] = "huber"
    num_episodes_between_training: int = Field(default=20, ge=1, le=4096)
    stack_size: int = Field(default=1, ge=1, le=8)
    term_cond_max_episodes: int = Field(default=100_000, ge=1)


@dataclass(frozen=True)
class ImportedModel:
    """What an import wrote.

    Attributes:
        config: The run config.
        notes: A sentence for each thing that has no counterpart or was chosen.
    """

    config: Path
    notes: list[str]


def import_deepracer(model: Path, name: str, out: Path) -> ImportedModel:
    """Write `<out>/<name>.yaml` and, beside it, copies of the reward function and the track.

    `model` is a folder, or an archive of one (see `racer.deepracer.archive`). It holds
    `reward_function.py`, `model_metadata.json` and `hyperparameters.json`, or has them in `model/`
    and `ip/`, and may hold one track as .npy. `hyperparameters.json` maps onto `PPOConfig` so:

    | there | here |
    |---|---|
    | batch_size, num_epochs, lr | batch_size, n_epochs, learning_rate |
    | beta_entropy, discount_factor | ent_coef, gamma |
    | loss_type | value_loss |
    | num_episodes_between_training | `num_envs`, one for each; each drives n_steps, at least 150, \
between updates: about an episode, and so many that the batches fill |
    | stack_size | `stack` of each camera |
    | term_cond_max_episodes | `total_timesteps`, 150 an episode; from 10,000 on it means no end, \
and `total_timesteps` is a million |
    | (clip 0.2, GAE's lambda 0.95) | clip_range, gae_lambda |

    The config names its files relative to itself, so that the folder can be moved.

    Raises:
        ConfigError: A file is missing, says what cannot be, or would be written over.
        RewardError: The reward function cannot be used.
        TrackError: The track cannot be driven.
    """
    with open_model(model) as folder:
        try:
            return _take_over(folder, name, out, model.resolve().name)
        except RacerError as problem:
            said = str(problem).replace(str(folder), str(model))
            raise type(problem)(said) from problem


def _take_over(folder: Path, name: str, out: Path, called: str) -> ImportedModel:
    metadata_path = _find(folder, "model_metadata.json", "model")
    metadata = read_metadata(metadata_path)
    if metadata.training_algorithm == "sac":
        raise ConfigError(
            f"{metadata_path}: training_algorithm: racer learns by clipped_ppo alone; got 'sac': "
            "change it to clipped_ppo, and the import can be trained"
        )
    hyper = read_json(_find(folder, "hyperparameters.json", "ip"), Hyperparameters)
    reward = RewardSource.read(_find(folder, "reward_function.py", "."))
    track = _track(folder)
    kept = {f"{name}.py": reward.path} | ({f"{name}.npy": track} if track else {})
    kept |= files_beside(reward, lambda: reward.functions(1))
    for written in (f"{name}.yaml", *kept):
        if (out / written).exists():
            raise ConfigError(f"{out / written} is there already; choose another --name or --out")
    tree = _tree(metadata, hyper, f"{name}.py", f"{name}.npy" if track else None)
    validate_document(tree, RunConfig, str(folder))
    config = out / f"{name}.yaml"
    try:
        for copy, source in kept.items():
            (out / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, out / copy)
        text = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)
        config.write_text(f"# Imported from the DeepRacer files in {called}.\n{text}")
    except OSError as problem:
        raise ConfigError(f"{out}: cannot be written: {problem}") from problem
    return ImportedModel(config, _notes(metadata, hyper, track))


def _find(folder: Path, name: str, below: str) -> Path:
    for path in (folder / name, folder / below / name):
        if path.is_file():
            return path
    raise ConfigError(f"{folder} has no {name}; put that model's file there")


def _track(folder: Path) -> Path | None:
    found = sorted(folder.glob("*.npy"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(f"{folder}: one track is wanted; got {names}: leave one of them there")
    for path in found:
        load_track(str(path))
    return found[0] if found else None


def _tree(metadata: Metadata, hyper: Hyperparameters, reward: str, track: str | None) -> dict:
    """The config's fields."""
    sensors = metadata.sensors()
    if hyper.stack_size > 1:
        for sensor in sensors:
            if "lidar" not in sensor["kind"]:
                sensor["stack"] = hyper.stack_size
    cars = hyper.num_episodes_between_training
    tree: dict[str, Any] = {
        "track": track or "bowtie",
        "reward": reward,
        "sensor": sensors,
        "actions": metadata.actions(),
        "num_envs": cars,
        "total_timesteps": min(_steps(hyper), 2**31 - 1),
        "network": {"preset": NETWORK_PRESET_NAMES[metadata.neural_network]},
        "ppo": {
            "learning_rate": hyper.lr,
            "n_steps": _rollout(cars, hyper.batch_size),
            "batch_size": hyper.batch_size,
            "n_epochs": hyper.num_epochs,
            "gamma": hyper.discount_factor,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "ent_coef": hyper.beta_entropy,
            "value_loss": "huber" if hyper.loss_type == "huber" else "mse",
        },
    }
    return tree


def _rollout(cars: int, batch: int) -> int:
    """Return the steps a car between updates: `STEPS_PER_EPISODE`, or more until batches fill."""
    fill = batch // math.gcd(batch, cars)
    return fill * math.ceil(STEPS_PER_EPISODE / fill)


def _steps(hyper: Hyperparameters) -> int:
    episodes = hyper.term_cond_max_episodes
    return MAX_IMPORTED_TIMESTEPS if episodes >= ENDLESS_EPISODES else episodes * STEPS_PER_EPISODE


def _notes(metadata: Metadata, hyper: Hyperparameters, track: Path | None) -> list[str]:
    notes = []
    if track is None:
        notes.append("there is no track .npy: track is bowtie; change it or give --track")
    for key, value in (hyper.model_extra or {}).items():
        why = IGNORED_HYPERPARAMETERS.get(key, "racer knows no such key")
        notes.append(f"hyperparameters.json: {key} {value!r} has no counterpart: {why}")
    for key, value in (metadata.model_extra or {}).items():
        notes.append(f"model_metadata.json: {key} {value!r:.80} has no counterpart")
    is_cut = "DISCRETIZED_SECTOR_LIDAR" in metadata.sensor
    if "lidar_config" in metadata.model_fields_set and not is_cut:
        notes.append("model_metadata.json: lidar_config is for DISCRETIZED_SECTOR_LIDAR alone")
    notes.append(
        f"num_episodes_between_training {hyper.num_episodes_between_training}: so many cars drive "
        f"at once, {_rollout(hyper.num_episodes_between_training, hyper.batch_size)} steps each "
        "between updates"
    )
    if hyper.term_cond_max_episodes >= ENDLESS_EPISODES:
        notes.append(
            f"training ends after {MAX_IMPORTED_TIMESTEPS:,} steps or an hour; see "
            "--total-timesteps and --minutes"
        )
    return notes

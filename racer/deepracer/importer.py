"""Converts a DeepRacer model's files to a run config for `racer train`."""

from __future__ import annotations

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
from racer.training.config import RunConfig, SACConfig, steps_of_full_batches

STEPS_PER_EPISODE = 150
"""Control steps that stand for one DeepRacer episode: ten seconds at 15 Hz, about a lap."""
MAX_IMPORTED_TIMESTEPS = 1_000_000
"""Total control steps if the files do not limit the number of episodes."""
ENDLESS_EPISODES = 10_000
"""From this number of episodes on, DeepRacer's setting means "until it is stopped"."""

IMAGE_BUFFER_SIZE = 10_000
"""Steps in the replay buffer of an imported SAC model with a camera; 160x120 frames take 0.4 GB."""

FASTER_FRAME = {"width": 80, "height": 60}
"""Frame of the faster config, a quarter of DeepRacer's pixels."""
FASTER_BATCH_SIZE = 256
"""Fewest steps in a minibatch of the faster config."""

IGNORED_HYPERPARAMETERS = {
    "exploration_type": "the algorithm explores by its own noise or by its choices' probabilities",
    "e_greedy_value": "the algorithm explores without epsilon-greedy",
    "epsilon_steps": "the algorithm explores without epsilon-greedy",
    "term_cond_avg_score": "set `total_timesteps` and `minutes` instead",
}
FIELDS_OF_ALGORITHM = {
    "clipped_ppo": ("num_epochs", "beta_entropy", "loss_type"),
    "sac": ("sac_alpha",),
}
"""Hyperparameters that one algorithm alone has."""


class Hyperparameters(ModelFileBase):
    """Content of a `hyperparameters.json`; the defaults are DeepRacer's."""

    batch_size: int = Field(default=64, ge=2, le=65_536)
    num_epochs: int = Field(default=5, ge=1, le=100)
    lr: float = Field(default=3e-4, gt=0, le=1)
    beta_entropy: float = Field(default=0.01, ge=0, le=1)
    discount_factor: float = Field(default=0.99, gt=0, le=1)
    loss_type: Literal["huber", "mse", "mean squared error"] = "huber"
    num_episodes_between_training: int = Field(default=20, ge=1, le=4096)
    stack_size: int = Field(default=1, ge=1, le=8)
    term_cond_max_episodes: int = Field(default=100_000, ge=1)
    sac_alpha: float = Field(default=0.2, ge=0, le=1)


@dataclass(frozen=True)
class ImportedModel:
    """Result of an import.

    Attributes:
        config: The run config that was written.
        faster: A second one, which trains several times as many steps a second with the same
            network: on frames of `FASTER_FRAME`, and with minibatches of `FASTER_BATCH_SIZE` or
            more. None if the model has no camera.
        notes: A sentence for each setting that has no counterpart or that was chosen.
    """

    config: Path
    faster: Path | None
    notes: list[str]


def import_deepracer(model: Path, name: str, out: Path) -> ImportedModel:
    """Write the run config `<out>/<name>.yaml` with copies of the reward and the track beside it.

    A model with a camera gets `<out>/<name>-faster.yaml`, too; see `ImportedModel.faster`.

    The model has `reward_function.py`, `model_metadata.json` and `hyperparameters.json`, the
    latter two perhaps in `model/` and `ip/`, and may have one track as .npy.
    `hyperparameters.json` is converted as follows:

    | DeepRacer | racer |
    |---|---|
    | batch_size, num_epochs, lr | batch_size, n_epochs, learning_rate |
    | beta_entropy, discount_factor | ent_coef, gamma |
    | loss_type | value_loss |
    | num_episodes_between_training | `num_envs`, one for each episode; each drives n_steps \
between updates: 150, about an episode, or more until batches are full |
    | stack_size | `stack` of each camera |
    | term_cond_max_episodes | `total_timesteps`, 150 for each episode; 10,000 or more means no \
limit, and `total_timesteps` is a million |
    | (clip 0.2, GAE's lambda 0.95) | clip_range, gae_lambda |

    For the algorithm `sac`, batch_size, lr and discount_factor become `batch_size`, `learning_rate`
    and `gamma`, `sac_alpha` a constant `ent_coef`, and the other hyperparameters are racer's
    defaults.

    The config names its files relative to itself, so that the folder can be moved.

    Args:
        model: The model's folder, or an archive of it (see `racer.deepracer.archive`).
        name: Name of the config and of the copies, without suffix.
        out: Folder to write into.

    Raises:
        ConfigError: If a file is missing, has an invalid value, or would be overwritten.
        RewardError: If the reward function cannot be used.
        TrackError: If the track cannot be driven.
    """
    with open_model(model) as folder:
        try:
            return _import_folder(folder, name, out, model.resolve().name)
        except RacerError as problem:
            # Name the archive, not the temporary folder that it was unpacked to.
            message = str(problem).replace(str(folder), str(model))
            raise type(problem)(message) from problem


def _import_folder(folder: Path, name: str, out: Path, model_name: str) -> ImportedModel:
    """Import an unpacked model; see `import_deepracer`."""
    metadata_path = _find(folder, "model_metadata.json", "model")
    metadata = read_metadata(metadata_path)
    if metadata.training_algorithm == "sac" and metadata.action_space_type == "discrete":
        raise ConfigError(
            f"{metadata_path}: training_algorithm: 'sac' learns continuous actions only, and "
            "action_space_type is 'discrete': change one of them"
        )
    hyper = read_json(_find(folder, "hyperparameters.json", "ip"), Hyperparameters)
    reward = RewardSource.read(_find(folder, "reward_function.py", "."))
    track = _track(folder)
    copies = {f"{name}.py": reward.path} | ({f"{name}.npy": track} if track else {})
    copies |= files_beside(reward, lambda: reward.functions(1))
    for file in (f"{name}.yaml", f"{name}-faster.yaml", *copies):
        if (out / file).exists():
            raise ConfigError(f"{out / file} exists already; choose another --name or --out")
    tree = _tree(metadata, hyper, f"{name}.py", f"{name}.npy" if track else None)
    config, faster = out / f"{name}.yaml", None
    trees = {config: tree}
    if any(map(_is_camera, tree["sensor"])):
        faster = out / f"{name}-faster.yaml"
        trees[faster] = _faster(tree, hyper)
    for fields in trees.values():
        validate_document(fields, RunConfig, str(folder))
    try:
        for copy, source in copies.items():
            (out / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, out / copy)
        for file, fields in trees.items():
            text = yaml.safe_dump(fields, sort_keys=False, default_flow_style=None)
            file.write_text(f"# Imported from the DeepRacer files in {model_name}.\n{text}")
    except OSError as problem:
        raise ConfigError(f"{out}: cannot be written: {problem}") from problem
    return ImportedModel(config, faster, _notes(metadata, hyper, track))


def _find(folder: Path, name: str, below: str) -> Path:
    for path in (folder / name, folder / below / name):
        if path.is_file():
            return path
    raise ConfigError(f"{folder} has no {name}; put the model's file there")


def _track(folder: Path) -> Path | None:
    found = sorted(folder.glob("*.npy"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(f"{folder}: may have one track only; got {names}: remove the others")
    for path in found:
        load_track(str(path))
    return found[0] if found else None


def _tree(metadata: Metadata, hyper: Hyperparameters, reward: str, track: str | None) -> dict:
    """Return the fields of the run config."""
    sensors = metadata.sensors()
    if hyper.stack_size > 1:
        for sensor in sensors:
            if _is_camera(sensor):
                sensor["stack"] = hyper.stack_size
    cars = hyper.num_episodes_between_training
    is_sac = metadata.training_algorithm == "sac"
    return {
        "track": track or "bowtie",
        "reward": reward,
        "sensor": sensors,
        "actions": metadata.actions(),
        "num_envs": cars,
        "total_timesteps": min(_steps(hyper), 2**31 - 1),
        "network": {"preset": NETWORK_PRESET_NAMES[metadata.neural_network]},
        **({"algorithm": "sac", "sac": _sac(metadata, hyper)} if is_sac else {"ppo": _ppo(hyper)}),
    }


def _faster(tree: dict[str, Any], hyper: Hyperparameters) -> dict[str, Any]:
    """Return the fields of a config that learns faster with the same network."""
    sensors = [sensor | FASTER_FRAME if _is_camera(sensor) else sensor for sensor in tree["sensor"]]
    larger = hyper.model_copy(update={"batch_size": max(hyper.batch_size, FASTER_BATCH_SIZE)})
    learner = {} if "sac" in tree else {"ppo": _ppo(larger)}
    return tree | {"sensor": sensors} | learner


def _ppo(hyper: Hyperparameters) -> dict[str, Any]:
    """Return the fields of the config's section `ppo`."""
    return {
        "learning_rate": hyper.lr,
        "n_steps": _rollout(hyper),
        "batch_size": hyper.batch_size,
        "n_epochs": hyper.num_epochs,
        "gamma": hyper.discount_factor,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "ent_coef": hyper.beta_entropy,
        "value_loss": "huber" if hyper.loss_type == "huber" else "mse",
    }


def _sac(metadata: Metadata, hyper: Hyperparameters) -> dict[str, Any]:
    """Return the fields of the config's section `sac`."""
    usual = SACConfig()
    sees = any(map(_is_camera, metadata.sensors()))
    size = max(IMAGE_BUFFER_SIZE if sees else usual.buffer_size, hyper.batch_size)
    return {
        "learning_rate": hyper.lr,
        "batch_size": hyper.batch_size,
        "gamma": hyper.discount_factor,
        "ent_coef": hyper.sac_alpha,
        "buffer_size": size,
        "learning_starts": min(usual.learning_starts, _steps(hyper) // 10),
    }


def _rollout(hyper: Hyperparameters) -> int:
    """Return each car's steps between updates: about an episode, and as many as batches need."""
    cars = hyper.num_episodes_between_training
    return steps_of_full_batches(STEPS_PER_EPISODE, cars, hyper.batch_size)


def _is_camera(sensor: dict[str, Any]) -> bool:
    return "lidar" not in sensor["kind"]


def _steps(hyper: Hyperparameters) -> int:
    episodes = hyper.term_cond_max_episodes
    return MAX_IMPORTED_TIMESTEPS if episodes >= ENDLESS_EPISODES else episodes * STEPS_PER_EPISODE


def _notes(metadata: Metadata, hyper: Hyperparameters, track: Path | None) -> list[str]:
    """Return a sentence for each setting that has no counterpart or that was chosen."""
    notes = []
    if track is None:
        notes.append("there is no track .npy: track is bowtie; change it or give --track")
    for key, value in (hyper.model_extra or {}).items():
        why = IGNORED_HYPERPARAMETERS.get(key, "racer has no such key")
        notes.append(f"hyperparameters.json: {key} {value!r} has no counterpart: {why}")
    for algorithm, fields in FIELDS_OF_ALGORITHM.items():
        for key in fields:
            if algorithm != metadata.training_algorithm and key in hyper.model_fields_set:
                value = getattr(hyper, key)
                notes.append(
                    f"hyperparameters.json: {key} {value!r} is not taken: it belongs to {algorithm}"
                )
    for key, value in (metadata.model_extra or {}).items():
        notes.append(f"model_metadata.json: {key} {value!r:.80} has no counterpart")
    is_cut = "DISCRETIZED_SECTOR_LIDAR" in metadata.sensor
    if "lidar_config" in metadata.model_fields_set and not is_cut:
        notes.append("model_metadata.json: lidar_config is for DISCRETIZED_SECTOR_LIDAR only")
    cars, usual = hyper.num_episodes_between_training, SACConfig()
    is_sac = metadata.training_algorithm == "sac"
    steps = usual.train_freq if is_sac else _rollout(hyper)
    notes.append(
        f"num_episodes_between_training {cars}: that many cars drive at once, {steps} steps each "
        "between updates"
    )
    if is_sac:
        notes.append(
            "sac.buffer_size, tau, train_freq and gradient_steps are not in hyperparameters.json: "
            "they are racer's"
        )
    if hyper.term_cond_max_episodes >= ENDLESS_EPISODES:
        notes.append(
            f"training ends after {MAX_IMPORTED_TIMESTEPS:,} steps or an hour; see "
            "--total-timesteps and --minutes"
        )
    return notes

"""A run's model card: a README.md in the format of the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import yaml
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.utils import set_random_seed

from racer.assets.atomic import write_own
from racer.assets.terminal import shell_command
from racer.entries.interface import interface_of
from racer.entries.package import Ancestor
from racer.envs import RacerVectorEnv
from racer.errors import RunError
from racer.networks.policy_network import TorchPolicy
from racer.registration import ENV_IDS
from racer.tables import decimal_cell
from racer.training.checkpoint_policy import CheckpointPolicy, load_checkpoint_policy
from racer.training.config import ALGORITHM_TITLES, RunConfig
from racer.training.run_dir import Run
from racer.training.run_history import config_differences, flatten_tree
from racer.training.vec_env import CarsVecEnv

EpisodeRewards = tuple[float, float, int]
"""Mean and standard deviation of the rewards of episodes, and the number of episodes."""
CARD_METRICS = {
    "laps_completed": "laps completed",
    "best_lap_s": "best lap [s]",
    "total_time_s": "time of all laps [s]",
    "x_limit": "time in multiples of the least possible",
}
"""Figures of an evaluation that are metrics in the front matter, and their descriptions there."""


def write_card(
    folder: Path, out: Path | None = None, episodes: int = 10
) -> tuple[Path, EpisodeRewards]:
    """Write the model card of a run, and return its path and the policy's mean reward.

    Args:
        folder: The run's folder.
        out: The card to write; README.md in the run's folder if not given.
        episodes: Number of episodes for the mean reward; they start and end as in training.

    Raises:
        RunError: The folder holds no run, the run has no checkpoint, or the card cannot be written.
            A file that racer did not write, or that was edited since, is not overwritten.
        RacerError: The run's reward fails.
    """
    run = Run.open(folder)
    path = out or folder / "README.md"
    if episodes < 1:
        raise RunError(f"--episodes {episodes}: the mean reward needs at least 1")
    policy = load_checkpoint_policy(run)
    rewards = _mean_reward(policy, episodes)
    films = sorted((folder / "videos").glob("step-*.mp4"), key=lambda one: (len(one.name), one))
    film = os.path.relpath(films[-1], path.parent) if films else None
    text = model_card_text(run, policy.config, policy.steps, rewards, policy.versions, film)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_own(path, _marked(text), _is_ours)
    except OSError as problem:
        raise RunError(f"{path}: cannot be written: {problem.strerror or problem}") from problem
    return path, rewards


class _Predictor:
    """A policy with the method `predict`, for Stable-Baselines3's `evaluate_policy`.

    Args:
        policy: The policy.
        env: The environment that `evaluate_policy` steps.
    """

    def __init__(self, policy: TorchPolicy, env: CarsVecEnv) -> None:
        self._policy, self._env = policy, env

    def predict(
        self, observation: Any, state: Any, episode_start: np.ndarray, **_: Any
    ) -> tuple[np.ndarray, None]:
        """Return the actions of all cars; see `PolicyPredictor`.

        Args:
            observation: Not used: it holds images as (n, C, H, W), the policy needs (n, H, W, C).
            state: Not used: the policy keeps what it remembers.
            episode_start: Which cars start a new episode, (n,) bool.
        """
        self._policy.reset(episode_start)
        return self._policy(self._env.observations), None


def _mean_reward(policy: CheckpointPolicy, episodes: int) -> EpisodeRewards:
    """Return the rewards of a policy without action noise, in episodes as in training.

    Args:
        policy: The policy.
        episodes: Number of episodes.

    Raises:
        RacerError: The run's reward fails.
    """
    set_random_seed(policy.config.seed)  # A reward may draw random numbers.
    env = CarsVecEnv(RacerVectorEnv(min(episodes, 32), **policy.config.env))
    try:
        env.seed(policy.config.seed)
        actor = TorchPolicy(policy.network.actor(), torch.device("cpu"))
        model: Any = _Predictor(actor, env)
        mean, spread = evaluate_policy(model, env, episodes, deterministic=True, warn=False)
    finally:
        env.close()
    return float(mean), float(spread), episodes  # pyright: ignore[reportArgumentType]


def model_card_text(
    run: Run,
    config: RunConfig,
    steps: int,
    rewards: EpisodeRewards,
    versions: dict[str, str],
    film: str | None = None,
) -> str:
    """Return the text of a run's model card, including its front matter.

    Args:
        run: The run.
        config: The run's config.
        steps: Control steps before the best checkpoint, over all cars.
        rewards: The rewards of the best checkpoint's policy.
        versions: Versions of the packages that the policy was trained with, by package.
        film: Path of a video, relative to the card; None for none.
    """
    best = run.best_record() or {}
    results = [best["result"], *best.get("others", ())] if best else []
    results = results[: len(config.evaluation_tracks)]
    title = ALGORITHM_TITLES[config.algorithm]
    head = front_matter(ENV_IDS[config.race.kind], rewards, results, title)
    name = run.folder.resolve().name
    parts = [
        _head(name, config, steps, run.lineage()),
        _interface(config),
        _results(results, rewards),
        _film(film),
        _use(name, config.algorithm, not (run.lineage() or run.story().get("extensions"))),
        _hyperparameters(run, config),
        _reward(config),
        _versions(versions, _library(config)),
    ]
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n"
        + "\n\n".join(filter(None, parts))
        + "\n"
    )


def front_matter(
    env: str, rewards: EpisodeRewards, results: Sequence[dict[str, Any]], algorithm: str = "PPO"
) -> dict[str, Any]:
    """Return a card's metadata, in the format of the Hub's cards of Stable-Baselines3 models.

    Args:
        env: The environment's id.
        rewards: The rewards of the policy.
        results: The result of the evaluation on each track, as `LapResult.as_dict` returns it.
        algorithm: The algorithm's name for people.
    """
    mean, spread, _ = rewards
    metrics = [[_metric("mean_reward", f"{mean:.2f} +/- {spread:.2f}", "mean_reward")]]
    known = [{key: one[key] for key in CARD_METRICS if one.get(key) is not None} for one in results]
    metrics += [[_metric(key, one[key], CARD_METRICS[key]) for key in one] for one in known]
    tracks = [{}, *({"config": one["track"]} for one in results)]
    task = {"type": "reinforcement-learning", "name": "reinforcement-learning"}
    return {
        "library_name": "stable-baselines3",
        "tags": [
            env,
            "deep-reinforcement-learning",
            "reinforcement-learning",
            "stable-baselines3",
            "racer",
        ],
        "model-index": [
            {
                "name": algorithm,
                "results": [
                    {
                        "task": dict(task),
                        "dataset": {"name": env, "type": env, **track},
                        "metrics": of_track,
                    }
                    for track, of_track in zip(tracks, metrics)
                ],
            }
        ],
    }


def _metric(kind: str, value: Any, name: str) -> dict[str, Any]:
    value = round(value, 3) if isinstance(value, float) else value
    return {"type": kind, "value": value, "name": name, "verified": False}


def _head(name: str, config: RunConfig, steps: int, lineage: Sequence[Ancestor]) -> str:
    """Return the card's title and first sentences.

    Args:
        name: The run's name.
        config: The run's config.
        steps: Control steps before the best checkpoint, over all cars.
        lineage: The policy whose weights the training began with, then its ancestors.
    """
    began = [escape(one.words, quote=False) for one in lineage]
    tracks = ", ".join(config.track[:3]) + (" and others" if len(config.track) > 3 else "")
    return (
        f"# {escape(name, quote=False)}\n\n"
        f"A policy that drives a {config.car} car in `{ENV_IDS[config.race.kind]}` on {tracks}, "
        f"trained by {_library(config)}'s {ALGORITHM_TITLES[config.algorithm]} in racer, a racing "
        f"simulator for DeepRacer-style cars, in {steps:,} steps of {config.num_envs} cars."
        + (f" The training began with the weights of {', itself from '.join(began)}." * bool(began))
    )


def _library(config: RunConfig) -> str:
    """Return the name of the package that has the algorithm."""
    return "Stable-Baselines3" if config.algorithm in ("ppo", "sac") else "sb3-contrib"


def _interface(config: RunConfig) -> str:
    size = config.actor_layout.hidden_state_size
    interface = interface_of(config.sensor, config.actions, size)
    lines = [f"- Input `{name}`, {what}." for name, what in interface.inputs.items()]
    lines += [f"- Output `{name}`, {what}." for name, what in interface.output.items()]
    return "\n".join(
        [
            "## Inputs and outputs\n",
            f"The policy is called {interface.control_rate_hz:g} times per second.\n",
            *lines,
        ]
    )


def _results(results: Sequence[dict[str, Any]], rewards: EpisodeRewards) -> str:
    mean, spread, episodes = rewards
    text = f"## Results\n\nMean reward: {mean:.2f} +/- {spread:.2f} over {episodes} episodes "
    text += "that start and end as in training.\n\n"
    if not results:
        return text + "The policy has not been evaluated."
    rows = [
        [
            one["track"],
            f"{one['laps_completed']} of {one['laps']}",
            decimal_cell(one["best_lap_s"]),
            decimal_cell(one["total_time_s"]),
            decimal_cell(one["x_limit"]),
            str(one["resets"]),
        ]
        for one in results
    ]
    titles = ["track", "laps", "best lap [s]", "all laps [s]", "x limit", "put back"]
    note = "Evaluation in a race from a standing start, penalties included; `x limit` is the time "
    note += "in multiples of the minimum that is physically possible for this car."
    return f"{text}{note}\n\n{_table(titles, rows)}"


def _film(film: str | None) -> str:
    if film is None:
        return ""
    return f'## Video\n\n<video src="{escape(film)}" controls></video>\n\n[{film}](<{film}>)'


def _use(name: str, algorithm: str, is_repeatable: bool) -> str:
    """Return how to use the run.

    Args:
        name: The run's name.
        algorithm: What trained it.
        is_repeatable: Whether its config alone gives the same weights again.
    """
    entry = f"{name}.entry.zip"
    again = "\n\nTrain it again, which gives the same weights on the same machine:\n\n"
    again += _fenced("sh", shell_command("train", "config.yaml", "--run", "again"))
    race = [
        shell_command("export", ".", "--out", entry),
        shell_command("race", entry, "--video", "race.mp4"),
    ]
    return (
        "## Use it\n\nIn this folder, race it:\n\n"
        f"{_fenced('sh', chr(10).join(race))}\n\n"
        "load it as a model of Stable-Baselines3, to predict with it or to train it further:\n\n"
        + _fenced(
            "python", f'import racer\n\nmodel = racer.to_sb3(".")\nmodel.save("{algorithm}.zip")'
        )
        + "\n\nor train it further with another reward, track or hyperparameter:\n\n"
        + _fenced("sh", shell_command("train", "--from", ".", "--run", "further"))
        + again * is_repeatable
    )


def _hyperparameters(run: Run, config: RunConfig) -> str:
    whole = flatten_tree(run.written_config().model_dump(mode="json"))
    chosen = (f"{config.algorithm}.", "network.")
    keys = [
        "algorithm",
        "seed",
        "num_envs",
        "total_timesteps",
        *(key for key in whole if key.startswith(chosen)),
    ]
    keys += [key for key in config_differences(run.written_config()) if key not in keys]
    rows = [[f"`{key}`", f"`{whole[key]}`"] for key in keys if whole.get(key) is not None]
    note = f"`{config.algorithm}.*` are named as in {_library(config)}; all other fields are in "
    note += "`config.yaml`."
    return f"## Hyperparameters\n\n{note}\n\n{_table(['field', 'value'], rows)}"


def _reward(config: RunConfig) -> str:
    text = Path(config.reward or "").read_text(encoding="utf-8", errors="replace")
    return f"## Reward\n\n{_fenced('python', text.rstrip())}"


def _versions(trained: dict[str, str], library: str) -> str:
    here = {
        library.lower(): version(library),
        "gymnasium": gymnasium.__version__,
        "Python": platform.python_version(),
    }
    return (
        f"## Versions\n\nTrained with {_listed(trained.items())}. "
        f"This card was written with {_listed(here.items())}."
    )


def _listed(versions: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _fenced(kind: str, text: str) -> str:
    """Return a fenced code block in Markdown; the fences are longer than any inside the text.

    Args:
        kind: The language.
        text: The code.
    """
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _marked(text: str) -> bytes:
    """Return a card with its SHA-256 at its end, by which an edited card is recognized."""
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest()
    return content + f"\n<!-- racer card {digest} -->\n".encode()


def _is_ours(content: bytes) -> bool:
    """Return whether a file is a card that racer wrote and nobody has edited."""
    text, _, mark = content.rpartition(b"\n<!-- racer card ")
    return mark == f"{hashlib.sha256(text).hexdigest()} -->\n".encode()

"""The config of a training run: every field that a YAML file or the command line may set."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from racer.assets.document import Document, first_named
from racer.envs import EnvConfig, Tracks
from racer.networks.network_config import NETWORK_PRESETS, ConvFilters, NetworkLayers


def _several(value: Any) -> Any:
    """Return a single number as a list of one."""
    return (value,) if isinstance(value, int) else value


LayerWidths = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(_several)]
"""Widths of layers, 1-4096 each; a single number is a list of one."""


class PPOConfig(Document):
    """Hyperparameters of PPO, named and defined as in Stable-Baselines3."""

    RENAMED_KEYS: ClassVar = {"scale_rewards": "normalize_reward"}

    learning_rate: float = Field(default=5e-4, gt=0, le=1, description="learning rate of Adam, 0-1")
    final_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="learning rate at the last step, reached linearly; null: it stays constant",
    )
    n_steps: int = Field(
        default=64, ge=2, le=65536, description="steps of each car in a rollout, 2-65536"
    )
    batch_size: int = Field(default=256, ge=2, description="samples in a minibatch, from 2")
    n_epochs: int = Field(default=4, ge=1, le=100, description="passes over each rollout, 1-100")
    gamma: float = Field(default=0.99, gt=0, le=1, description="discount factor, 0-1")
    gae_lambda: float = Field(default=0.95, ge=0, le=1, description="lambda of GAE, 0-1")
    clip_range: float = Field(
        default=0.2, gt=0, le=1, description="clipping range of the probability ratio, 0-1"
    )
    ent_coef: float = Field(default=0.0, ge=0, le=1, description="weight of the entropy, 0-1")
    vf_coef: float = Field(default=0.5, ge=0, le=10, description="weight of the value loss, 0-10")
    max_grad_norm: float = Field(default=0.5, gt=0, description="largest norm of the gradient")
    normalize_reward: bool = Field(
        default=False,
        description="whether to divide rewards by the running standard deviation of returns",
    )
    value_loss: Literal["mse", "huber"] = Field(
        default="mse", description="loss of the critic; huber is linear beyond an error of 1"
    )
    log_std_init: float = Field(
        default=-0.7,
        ge=-5,
        le=2,
        description="continuous actions: initial log standard deviation, -5 to 2",
    )


class NetworkConfig(Document):
    """The network of policy and critic: a preset, and the fields that differ from it."""

    RENAMED_KEYS: ClassVar = {
        "vectors": "mlp",
        "normalise": "batch_norm",
        "standardise": "normalize_obs",
    }

    preset: Literal["small", "shallow", "standard", "deep"] = Field(
        default="small",
        description="gives the fields below that are null: small, or DeepRacer's shallow, standard "
        "(its DEEP_CONVOLUTIONAL_NETWORK) or deep",
    )
    filters: ConvFilters | None = Field(
        default=None, description="camera: each convolution as filters, kernel size, stride"
    )
    features: LayerWidths | None = Field(
        default=None,
        min_length=1,
        description="camera: widths of the dense layers after the convolutions, 1-4096",
    )
    mlp: LayerWidths | None = Field(
        default=None,
        description="lidar, state: widths of the dense layers before the heads, 1-4096",
    )
    hidden: LayerWidths | None = Field(
        default=None, description="widths of the hidden layers of each head, 1-4096"
    )
    activation: Literal["relu", "tanh"] | None = Field(
        default=None, description="activation function between layers"
    )
    batch_norm: bool | None = Field(
        default=None, description="camera: whether a batch norm follows each convolution"
    )
    normalize_obs: bool | None = Field(
        default=None,
        description="lidar, state: whether to scale each number to mean 0 and variance 1",
    )
    dropout: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="camera: probability of dropout after each layer of `features`, 0-1",
    )

    @property
    def layers(self) -> NetworkLayers:
        """The layers of the preset, with the fields that differ from it."""
        given = {name: getattr(self, name) for name in NetworkLayers._fields}
        chosen = {name: value for name, value in given.items() if value is not None}
        return NETWORK_PRESETS[self.preset]._replace(**chosen)


class EvaluationConfig(Document):
    """Evaluation of the deterministic policy during training."""

    RENAMED_KEYS: ClassVar = {"every": "eval_freq", "film": "video_freq"}

    eval_freq: int = Field(default=20_000, ge=1, description="control steps between evaluations")
    track: Tracks | None = Field(
        default=None,
        min_length=1,
        description="tracks that evaluations are driven on; null: the first track of training",
    )
    laps: int = Field(default=3, ge=1, le=100, description="laps of each race, 1-100")
    time_limit: float = Field(
        default=90.0, gt=0, le=3600, description="simulated seconds of each race, up to 3600"
    )
    video_freq: int = Field(
        default=5,
        ge=0,
        le=10_000,
        description="record a video of every N-th evaluation, up to 10000; 0: of none",
    )
    keep: Literal["all"] | int = Field(
        default=3, description="newest checkpoints to keep beside the best, from 2; or all"
    )

    @field_validator("keep")
    @classmethod
    def _there_is_one_before_a_damaged_one(cls, keep: Literal["all"] | int) -> Literal["all"] | int:
        if keep != "all" and keep < 2:
            raise ValueError("wanted are 2 or more, or all")
        return keep

    @property
    def kept_count(self) -> int | None:
        """How many of the newest checkpoints are kept; None: all."""
        return None if self.keep == "all" else self.keep


class RunConfig(EnvConfig):
    """The config of a training run."""

    RENAMED_KEYS: ClassVar = {
        "cars": "num_envs",
        "steps": "total_timesteps",
        "threads": "torch_threads",
    }

    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="seed of cars, network and batches"
    )
    num_envs: int = Field(default=32, ge=1, le=4096, description="cars that train at once, 1-4096")
    total_timesteps: int = Field(
        default=300_000, ge=1, description="control steps of training, summed over all cars"
    )
    minutes: float = Field(
        default=60.0, gt=0, le=10_000, description="wall-clock minutes after which training ends"
    )
    device: str = Field(default="auto", description="cpu, cuda, or auto: cuda if available")
    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = Field(
        default="auto",
        description="processes that simulate the cars, 1-1024; 1: the main process; auto: as many "
        "as cores, with at least 32 cars each",
    )
    torch_threads: int = Field(
        default=0, ge=0, le=1024, description="threads of torch, up to 1024; 0: as many as cores"
    )
    ppo: PPOConfig = Field(default=PPOConfig(), description="hyperparameters of PPO")
    network: NetworkConfig = Field(
        default=NetworkConfig(), description="network of policy and critic"
    )
    evaluation: EvaluationConfig = Field(
        default=EvaluationConfig(), description="evaluation during training"
    )

    @field_validator("network", mode="before")
    @classmethod
    def _a_name_is_a_preset_of_networks(cls, value: Any) -> Any:
        return {"preset": value} if isinstance(value, str) else value

    @field_validator("reward")
    @classmethod
    def _something_is_paid(cls, reward: str | None) -> str | None:
        if reward is None:
            raise ValueError("training needs a reward: a file, or a shipped one's name")
        return reward

    @model_validator(mode="after")
    def _batches_fill(self) -> RunConfig:
        rollout = self.num_envs * self.ppo.n_steps
        if self.ppo.batch_size > rollout:
            raise ValueError(
                f"ppo.batch_size {self.ppo.batch_size} is more than a rollout of num_envs x "
                f"ppo.n_steps = {rollout} samples; lower it"
            )
        return self

    @property
    def evaluation_tracks(self) -> tuple[str, ...]:
        """The tracks that evaluations are driven on."""
        return self.evaluation.track or self.track[:1]

    @property
    def env(self) -> dict[str, Any]:
        """The fields of the environment, as keyword arguments of its constructor."""
        return {name: getattr(self, name) for name in EnvConfig.model_fields}

    @property
    def digest(self) -> str:
        """The SHA-256 of the config as canonical JSON, in which keys have their first names.

        What computes the motion and the reward is left out, since every way gives the same bits.
        """
        named = first_named(self)
        del named["engine"], named["compile"]
        text = json.dumps(named, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

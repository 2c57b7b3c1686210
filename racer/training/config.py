"""What a training run is: every field a YAML may set or the command line override."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from racer.assets.document import Document, first_named
from racer.envs import EnvConfig, Tracks
from racer.networks.network_config import NETWORK_PRESETS, ConvFilters, NetworkLayers


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


LayerWidths = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(_several)]
"""Widths of layers, 1-4096 each; one number is a list of one."""


class PPOConfig(Document):
    """Proximal policy optimisation, as Stable-Baselines3 names and means it."""

    RENAMED_KEYS: ClassVar = {"scale_rewards": "normalize_reward"}

    learning_rate: float = Field(default=5e-4, gt=0, le=1, description="Adam's step size, 0-1")
    final_learning_rate: float | None = Field(
        default=None, gt=0, le=1, description="reached linearly at the last step; null: constant"
    )
    n_steps: int = Field(default=64, ge=2, le=65536, description="steps a car between updates")
    batch_size: int = Field(default=256, ge=2, description="samples a gradient step")
    n_epochs: int = Field(default=4, ge=1, le=100, description="passes over each rollout")
    gamma: float = Field(default=0.99, gt=0, le=1, description="discount a step, 0-1")
    gae_lambda: float = Field(default=0.95, ge=0, le=1, description="GAE's lambda, 0-1")
    clip_range: float = Field(default=0.2, gt=0, le=1, description="PPO's clip, 0-1")
    ent_coef: float = Field(default=0.0, ge=0, le=1, description="entropy bonus, 0-1")
    vf_coef: float = Field(default=0.5, ge=0, le=10, description="weight of the value loss")
    max_grad_norm: float = Field(default=0.5, gt=0, description="gradient norm clip")
    normalize_reward: bool = Field(
        default=False,
        description="divide rewards by the standard deviation of the discounted return so far",
    )
    value_loss: Literal["mse", "huber"] = Field(
        default="mse", description="of the critic: mse, or huber, linear past an error of 1"
    )
    log_std_init: float = Field(
        default=-0.7, ge=-5, le=2, description="continuous: log of the first action noise"
    )


class NetworkConfig(Document):
    """The policy's and the critic's network: a preset, and what differs from it."""

    RENAMED_KEYS: ClassVar = {
        "vectors": "mlp",
        "normalise": "batch_norm",
        "standardise": "normalize_obs",
    }

    preset: Literal["small", "shallow", "standard", "deep"] = Field(
        default="small",
        description="where the other fields come from if null: small, or DeepRacer's "
        "shallow, standard (its DEEP_CONVOLUTIONAL_NETWORK) or deep",
    )
    filters: ConvFilters | None = Field(
        default=None, description="camera: convolutions as filters, kernel, stride"
    )
    features: LayerWidths | None = Field(
        default=None, min_length=1, description="camera: widths of the dense layers after them"
    )
    mlp: LayerWidths | None = Field(
        default=None, description="lidar, state: widths of their own dense layers"
    )
    hidden: LayerWidths | None = Field(
        default=None, description="widths of the layers of each head"
    )
    activation: Literal["relu", "tanh"] | None = Field(
        default=None, description="between layers: relu or tanh"
    )
    batch_norm: bool | None = Field(
        default=None, description="camera: batch norm after each convolution"
    )
    normalize_obs: bool | None = Field(
        default=None, description="lidar, state: bring each number to mean 0 and variance 1"
    )
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="camera: share of `features` dropped, 0-1"
    )

    @property
    def layers(self) -> NetworkLayers:
        """The preset with what differs from it."""
        given = {name: getattr(self, name) for name in NetworkLayers._fields}
        chosen = {name: value for name, value in given.items() if value is not None}
        return NETWORK_PRESETS[self.preset]._replace(**chosen)


class EvaluationConfig(Document):
    """The judge's look at the deterministic policy while it learns."""

    RENAMED_KEYS: ClassVar = {"every": "eval_freq", "film": "video_freq"}

    eval_freq: int = Field(default=20_000, ge=1, description="training steps between evaluations")
    track: Tracks | None = Field(
        default=None,
        min_length=1,
        description="tracks that the best checkpoint is chosen on; null: the first one of training",
    )
    laps: int = Field(default=3, ge=1, le=100, description="laps of an evaluation, 1-100")
    time_limit: float = Field(default=90.0, gt=0, le=3600, description="simulated seconds, to 3600")
    video_freq: int = Field(
        default=5, ge=0, le=10_000, description="film a lap of each so-many-th; 0: of none"
    )
    keep: int = Field(
        default=3, ge=2, le=1000, description="checkpoints kept beside the best, one an evaluation"
    )


class RunConfig(EnvConfig):
    """One training run."""

    RENAMED_KEYS: ClassVar = {
        "cars": "num_envs",
        "steps": "total_timesteps",
        "threads": "torch_threads",
    }

    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of cars, network and shuffling")
    num_envs: int = Field(default=32, ge=1, le=4096, description="cars that drive at once, 1-4096")
    total_timesteps: int = Field(
        default=300_000, ge=1, description="control steps in all, over all cars"
    )
    minutes: float = Field(
        default=60.0, gt=0, le=10_000, description="wall-clock minutes after which training ends"
    )
    device: str = Field(default="auto", description="auto: cuda where there is one; cpu, cuda")
    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = Field(
        default="auto",
        description="processes that drive the cars; 1: none more; auto: one a core, "
        "and one for 32 cars at most",
    )
    torch_threads: int = Field(default=0, ge=0, le=1024, description="torch threads; 0: one a core")
    ppo: PPOConfig = Field(default=PPOConfig(), description="the learner")
    network: NetworkConfig = Field(default=NetworkConfig(), description="the policy's network")
    evaluation: EvaluationConfig = Field(default=EvaluationConfig(), description="its exams")

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
        """The tracks of an evaluation."""
        return self.evaluation.track or self.track[:1]

    @property
    def env(self) -> dict[str, Any]:
        """The environment's share of the fields, as keyword arguments for it."""
        return {name: getattr(self, name) for name in EnvConfig.model_fields}

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved config's canonical JSON, in the first names of its keys."""
        text = json.dumps(first_named(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

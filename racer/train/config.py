"""What a training run is: every field a YAML may set or the command line override."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from racer.assets.document import Document
from racer.env import EnvConfig
from racer.sensors import Sensors


class PPOConfig(Document):
    """Proximal policy optimisation, as Stable-Baselines3 names and means it."""

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
    log_std_init: float = Field(
        default=-0.7, ge=-5, le=2, description="continuous: log of the first action noise"
    )


class NetworkConfig(Document):
    """The policy's and the critic's network."""

    filters: tuple[tuple[int, int, int], ...] = Field(
        default=((16, 8, 4), (32, 4, 2), (32, 3, 2)),
        description="camera: convolutions as filters, kernel, stride",
    )
    features: int = Field(default=128, ge=8, le=4096, description="camera: width after them")
    hidden: tuple[int, ...] = Field(default=(128,), description="widths of the layers of each head")
    activation: Literal["relu", "tanh"] = Field(default="relu", description="between layers")


class EvaluationConfig(Document):
    """The judge's look at the deterministic policy while it learns."""

    every: int = Field(default=20_000, ge=1, description="training steps between evaluations")
    laps: int = Field(default=3, ge=1, le=100, description="laps of an evaluation, 1-100")
    time_limit: float = Field(default=90.0, gt=0, le=3600, description="simulated seconds, to 3600")


class RunConfig(EnvConfig):
    """One training run."""

    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of cars, network and shuffling")
    cars: int = Field(default=32, ge=1, le=4096, description="cars that drive at once, 1-4096")
    steps: int = Field(default=300_000, ge=1, description="control steps in all, over all cars")
    minutes: float = Field(
        default=60.0, gt=0, le=10_000, description="wall-clock minutes after which training ends"
    )
    device: str = Field(default="auto", description="auto: cuda where there is one; cpu, cuda")
    threads: int = Field(default=0, ge=0, le=1024, description="torch threads; 0: one a core")
    ppo: PPOConfig = Field(default=PPOConfig(), description="the learner")
    network: NetworkConfig = Field(default=NetworkConfig(), description="the policy's network")
    evaluation: EvaluationConfig = Field(default=EvaluationConfig(), description="its exams")

    @field_validator("reward")
    @classmethod
    def _something_is_paid(cls, reward: str | None) -> str | None:
        if reward is None:
            raise ValueError("training needs a reward: a file, or a shipped one's name")
        return reward

    @field_validator("sensor")
    @classmethod
    def _one_sensor_is_learnt_from(cls, sensor: Sensors) -> Sensors:
        if len(sensor) > 1:
            names = ", ".join(one.name for one in sensor)
            raise ValueError(f"training takes one sensor, these are {names}; keep one of them")
        return sensor

    @model_validator(mode="after")
    def _batches_fill(self) -> RunConfig:
        rollout = self.cars * self.ppo.n_steps
        if self.ppo.batch_size > rollout:
            raise ValueError(
                f"ppo.batch_size {self.ppo.batch_size} is more than a rollout of cars x "
                f"ppo.n_steps = {rollout} samples; lower it"
            )
        return self

    @property
    def env(self) -> dict[str, Any]:
        """The environment's share of the fields, as keyword arguments for it."""
        return {name: getattr(self, name) for name in EnvConfig.model_fields}

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved config's canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

"""The config of a training run: every field that a YAML file or the command line may set."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from racer.assets.document import Document, first_named
from racer.envs import EnvConfig, Tracks
from racer.networks.network_config import (
    NETWORK_PRESETS,
    ActorLayout,
    ConvFilters,
    NetworkLayers,
)


def _several(value: Any) -> Any:
    """Return a single number as a list of one."""
    return (value,) if isinstance(value, int) else value


LayerWidths = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(_several)]
"""Widths of layers, 1-4096 each; a single number is a list of one."""


class AlgorithmConfig(Document):
    """Hyperparameters that every algorithm has, named and defined as in Stable-Baselines3."""

    learning_rate: float = Field(default=3e-4, gt=0, le=1, description="learning rate of Adam, 0-1")
    final_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="learning rate at the last step, reached linearly; null: it stays constant",
    )
    batch_size: int = Field(default=256, ge=2, description="samples in a minibatch, from 2")
    gamma: float = Field(default=0.99, gt=0, le=1, description="discount factor, 0-1")


class OnPolicyConfig(AlgorithmConfig):
    """Hyperparameters of an algorithm that learns from the newest rollout alone."""

    learning_rate: float = Field(default=5e-4, gt=0, le=1, description="learning rate of Adam, 0-1")
    n_steps: int = Field(
        default=64, ge=2, le=65536, description="steps of each car in a rollout, 2-65536"
    )
    n_epochs: int = Field(default=4, ge=1, le=100, description="passes over each rollout, 1-100")
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
    log_std_init: float = Field(
        default=-0.7,
        ge=-5,
        le=2,
        description="continuous actions: initial log standard deviation, -5 to 2",
    )


def steps_of_full_batches(least: int, cars: int, batch_size: int) -> int:
    """Return the fewest steps of each car in a rollout, from `least` on, that fill minibatches.

    Args:
        least: The fewest steps.
        cars: Number of cars.
        batch_size: Samples in a minibatch.
    """
    multiple = batch_size // math.gcd(batch_size, cars)
    return multiple * math.ceil(least / multiple)


class PPOConfig(OnPolicyConfig):
    """Hyperparameters of PPO."""

    RENAMED_KEYS: ClassVar = {"scale_rewards": "normalize_reward"}

    value_loss: Literal["mse", "huber"] = Field(
        default="mse", description="loss of the critic; huber is linear beyond an error of 1"
    )


class RecurrentPPOConfig(OnPolicyConfig):
    """Hyperparameters of recurrent PPO, whose policy and critic have an LSTM each."""

    lstm_hidden_size: int = Field(
        default=64, ge=1, le=1024, description="units of each LSTM layer, 1-1024"
    )
    n_lstm_layers: int = Field(default=1, ge=1, le=4, description="LSTM layers, 1-4")


class OffPolicyConfig(AlgorithmConfig):
    """Hyperparameters of an algorithm that learns from a replay buffer."""

    buffer_size: int = Field(
        default=200_000,
        ge=2,
        le=100_000_000,
        description="steps that the replay buffer keeps, over all cars; it is in memory and in "
        "each checkpoint",
    )
    learning_starts: int = Field(
        default=2_000, ge=0, description="control steps over all cars before learning begins"
    )
    tau: float = Field(default=0.005, gt=0, le=1, description="rate of the target network, 0-1")
    train_freq: int = Field(
        default=4, ge=1, le=65536, description="steps of each car between updates, 1-65536"
    )
    gradient_steps: int = Field(
        default=32,
        ge=-1,
        le=65536,
        description="minibatches of an update, up to 65536; -1: as many as control steps of all "
        "cars since the last one",
    )

    @field_validator("gradient_steps")
    @classmethod
    def _something_is_learnt(cls, steps: int) -> int:
        if steps == 0:
            raise ValueError("nothing is learnt without minibatches: set -1, or a number from 1")
        return steps


class SACConfig(OffPolicyConfig):
    """Hyperparameters of SAC."""

    ent_coef: float | str = Field(
        default="auto",
        description="weight of the entropy (alpha); auto: learnt; auto_0.1: learnt from 0.1 on",
    )
    target_entropy: float | Literal["auto"] = Field(
        default="auto", description="entropy that ent_coef is learnt for; auto: -2"
    )

    @field_validator("ent_coef")
    @classmethod
    def _entropy_has_a_weight(cls, weight: float | str) -> float | str:
        is_auto = isinstance(weight, str) and re.fullmatch(r"auto(_\d*\.?\d*[1-9]\d*)?", weight)
        if not is_auto and (isinstance(weight, str) or weight < 0):
            raise ValueError("must be a number from 0, auto, or auto_X with a number X above 0")
        return weight


class TQCConfig(SACConfig):
    """Hyperparameters of TQC."""

    n_critics: int = Field(default=2, ge=1, le=10, description="critics, 1-10")
    n_quantiles: int = Field(default=25, ge=2, le=1000, description="quantiles a critic, 2-1000")
    top_quantiles_to_drop_per_net: int = Field(
        default=2, ge=0, le=999, description="largest quantiles that are dropped of each critic"
    )

    @model_validator(mode="after")
    def _quantiles_are_left(self) -> TQCConfig:
        if self.top_quantiles_to_drop_per_net >= self.n_quantiles:
            raise ValueError(
                f"top_quantiles_to_drop_per_net {self.top_quantiles_to_drop_per_net} leaves none "
                f"of n_quantiles {self.n_quantiles}; lower it"
            )
        return self


class QRDQNConfig(OffPolicyConfig):
    """Hyperparameters of QR-DQN."""

    tau: float = Field(default=1.0, gt=0, le=1, description="rate of the target network, 0-1")
    target_update_interval: int = Field(
        default=2_000,
        ge=1,
        description="control steps over all cars between updates of the target network",
    )
    exploration_fraction: float = Field(
        default=0.2, gt=0, le=1, description="share of training in which epsilon decreases, 0-1"
    )
    exploration_initial_eps: float = Field(
        default=1.0, ge=0, le=1, description="first probability of a random action, 0-1"
    )
    exploration_final_eps: float = Field(
        default=0.05, ge=0, le=1, description="last probability of a random action, 0-1"
    )
    max_grad_norm: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient; null: any"
    )
    n_quantiles: int = Field(default=25, ge=2, le=1000, description="quantiles, 2-1000")


Algorithm = Literal["ppo", "recurrent_ppo", "sac", "tqc", "qrdqn"]
"""Name of an algorithm, and of the section of a config that has its hyperparameters."""
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
ALGORITHM_TITLES: dict[Algorithm, str] = {
    "ppo": "PPO",
    "recurrent_ppo": "RecurrentPPO",
    "sac": "SAC",
    "tqc": "TQC",
    "qrdqn": "QR-DQN",
}
"""The algorithms' names for people."""
ALGORITHMS_OF_ACTIONS: dict[str, tuple[Algorithm, ...]] = {
    "continuous": ("ppo", "recurrent_ppo", "sac", "tqc"),
    "discrete": ("ppo", "recurrent_ppo", "qrdqn"),
}
"""The algorithms that can learn each kind of actions."""

LATER_KEYS = {
    "algorithm": "ppo",
    "simulator": "auto",
    "torch_autocast": False,
    "torch_compile": False,
    "evaluation.races": 1,
    "evaluation.randomised": False,
}
"""Keys of a run that came later, with the value that does what was done before them."""


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
    races: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="races on each track, 1-1000: the first with the run's seed, each further one "
        "with the next, which places boxes and bots elsewhere",
    )
    randomised: bool = Field(
        default=False,
        description="draw each race's car and sensors from the randomisation, as training does; "
        "false: race the car as it is",
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
    """The config of a training run.

    Of the sections `ppo`, `recurrent_ppo`, `sac`, `tqc` and `qrdqn`, only the one of `algorithm` is
    read and written.
    """

    RENAMED_KEYS: ClassVar = {
        "cars": "num_envs",
        "steps": "total_timesteps",
        "threads": "torch_threads",
    }
    SECTION_CHOICE: ClassVar = "algorithm"

    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="seed of cars, network and batches"
    )
    num_envs: int = Field(
        default=32, ge=1, le=65_536, description="cars that train at once, 1-65536"
    )
    total_timesteps: int = Field(
        default=300_000, ge=1, description="control steps of training, summed over all cars"
    )
    minutes: float = Field(
        default=60.0, gt=0, le=10_000, description="wall-clock minutes after which training ends"
    )
    device: str = Field(default="auto", description="cpu, cuda, or auto: cuda if available")
    simulator: Literal["auto", "host", "device"] = Field(
        default="auto",
        description="where the cars that train are simulated: host, by workers; device, beside the "
        "learner, for PPO in time trials; auto: on the device if it is cuda and has all that the "
        "config asks for, else on the host",
    )
    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = Field(
        default="auto",
        description="processes that simulate the cars, 1-1024; 1: the main process; auto: as many "
        "as cores, with at least 32 cars each",
    )
    torch_threads: int = Field(
        default=0, ge=0, le=1024, description="threads of torch, up to 1024; 0: as many as cores"
    )
    torch_autocast: bool = Field(
        default=False,
        description="whether features are computed in bfloat16 while the policy trains",
    )
    torch_compile: bool = Field(
        default=False,
        description="whether the layers of the features are compiled by torch.compile",
    )
    algorithm: Algorithm = Field(
        default="ppo",
        description="what learns, by its section: ppo, recurrent_ppo, sac, tqc (continuous "
        "actions) or qrdqn (discrete actions)",
    )
    ppo: PPOConfig = Field(default=PPOConfig(), description="hyperparameters of PPO")
    recurrent_ppo: RecurrentPPOConfig = Field(
        default=RecurrentPPOConfig(), description="hyperparameters of recurrent PPO"
    )
    sac: SACConfig = Field(default=SACConfig(), description="hyperparameters of SAC")
    tqc: TQCConfig = Field(default=TQCConfig(), description="hyperparameters of TQC")
    qrdqn: QRDQNConfig = Field(default=QRDQNConfig(), description="hyperparameters of QR-DQN")
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

    @field_validator(*ALGORITHMS, mode="before")
    @classmethod
    def _the_section_is_the_algorithm_s(cls, value: Any, info: ValidationInfo) -> Any:
        chosen = info.data.get("algorithm", info.field_name)
        if chosen != info.field_name:
            raise ValueError(
                f"algorithm is {chosen}, whose section is {chosen!r}: leave this section out, or "
                f"set algorithm: {info.field_name}"
            )
        return value

    @model_validator(mode="after")
    def _the_algorithm_has_its_actions(self) -> RunConfig:
        kind = self.actions.kind
        if self.algorithm not in ALGORITHMS_OF_ACTIONS[kind]:
            other = next(one for one in ALGORITHMS_OF_ACTIONS if one != kind)
            raise ValueError(
                f"algorithm {self.algorithm} learns {other} actions, and actions.kind is {kind}: "
                f"set actions.kind: {other}, or one of the algorithms that learn {kind} ones: "
                f"{', '.join(ALGORITHMS_OF_ACTIONS[kind])}"
            )
        return self

    @model_validator(mode="after")
    def _batches_fill(self) -> RunConfig:
        name, chosen = self.algorithm, self.hyperparameters
        if isinstance(chosen, OnPolicyConfig):
            rollout = self.num_envs * chosen.n_steps
            if chosen.batch_size > rollout:
                raise ValueError(
                    f"{name}.batch_size {chosen.batch_size} is more than a rollout of num_envs x "
                    f"{name}.n_steps = {rollout} samples; lower it"
                )
        if isinstance(chosen, OffPolicyConfig):
            if chosen.buffer_size < max(chosen.batch_size, self.num_envs):
                raise ValueError(
                    f"{name}.buffer_size {chosen.buffer_size} is less than {name}.batch_size "
                    f"{chosen.batch_size} or num_envs {self.num_envs}; raise it"
                )
            if chosen.learning_starts >= self.total_timesteps:
                raise ValueError(
                    f"{name}.learning_starts {chosen.learning_starts} is not less than "
                    f"total_timesteps {self.total_timesteps}, so nothing would be learnt; lower it"
                )
        if isinstance(chosen, QRDQNConfig) and chosen.target_update_interval < self.num_envs:
            raise ValueError(
                f"qrdqn.target_update_interval {chosen.target_update_interval} is less than "
                f"num_envs {self.num_envs}, the control steps of one step of all cars; raise it"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_unused_sections(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: one for name, one in dump(self).items() if name not in self.unused_sections}

    @property
    def unused_sections(self) -> tuple[str, ...]:
        """Names of the sections of the other algorithms."""
        return tuple(name for name in ALGORITHMS if name != self.algorithm)

    @property
    def hyperparameters(self) -> AlgorithmConfig:
        """The section of the algorithm."""
        return getattr(self, self.algorithm)

    @property
    def normalize_reward(self) -> bool:
        """Whether rewards are divided by the running standard deviation of returns."""
        chosen = self.hyperparameters
        return isinstance(chosen, OnPolicyConfig) and chosen.normalize_reward

    @property
    def actor_layout(self) -> ActorLayout:
        """The kind of the policy's last layers, which the algorithm determines."""
        chosen = self.hyperparameters
        if isinstance(chosen, RecurrentPPOConfig):
            return ActorLayout("recurrent_ppo", (chosen.lstm_hidden_size,) * chosen.n_lstm_layers)
        quantiles = chosen.n_quantiles if isinstance(chosen, QRDQNConfig) else 1
        return ActorLayout(self.algorithm, n_quantiles=quantiles)

    def with_algorithm(self, name: str) -> RunConfig:
        """Return the config with another algorithm and its default hyperparameters, unchecked.

        An unknown name is taken as it is, so that the check of the whole config reports it.
        """
        usual = {name: RunConfig.model_fields[name].default} if name in ALGORITHMS else {}
        return self.model_copy(update={"algorithm": name, **usual})

    @property
    def evaluation_tracks(self) -> tuple[str, ...]:
        """The tracks that evaluations are driven on."""
        return self.evaluation.track or self.track[:1]

    @property
    def evaluation_races(self) -> tuple[tuple[str, int], ...]:
        """Track and seed of each race of an evaluation: first one on each track, then another."""
        seeds = range(self.seed, self.seed + self.evaluation.races)
        return tuple((track, seed) for seed in seeds for track in self.evaluation_tracks)

    @property
    def env(self) -> dict[str, Any]:
        """The fields of the environment, as keyword arguments of its constructor."""
        return {name: getattr(self, name) for name in EnvConfig.model_fields}

    @property
    def digest(self) -> str:
        """The SHA-256 of the config as canonical JSON, in which keys have their first names.

        What computes the motion and the reward is left out, since every way gives the same bits;
        and so is each of `LATER_KEYS` with its value of before, which was the only one at first.
        """
        named = first_named(self)
        for key, before in LATER_KEYS.items():
            section, _, name = key.rpartition(".")
            there = named[section] if section else named
            if there[name] == before:
                del there[name]
        del named["engine"], named["compile"]
        text = json.dumps(named, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

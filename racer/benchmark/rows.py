"""The rows of the benchmarks page: which policy is made how, and on which track it races."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from racer import assets
from racer.assets.document import read_document
from racer.assets.overrides import with_overrides
from racer.errors import ConfigError
from racer.sensors.config import CameraConfig
from racer.tables import FittedTable, TableColumn
from racer.training.config import ALGORITHM_TITLES, RunConfig

BENCHMARK_TRACKS = ("bowtie", "hairpin", "speedway")
BENCHMARK_LAPS = 3
"""Laps of the race that judges a policy, the first from a standing start."""
LESSON_STEPS = 10_000
"""Control steps of all cars in each round of a clone's lesson."""
LESSON_ROUNDS = 6
LESSON_EPOCHS = 4


@dataclass(frozen=True)
class BenchmarkRow:
    """One row: a policy and the track that it is trained and raced on.

    Attributes:
        policy: The policy's name.
        track: The track's name.
        config: Name or file of the config that it is trained, or cloned, with; None for a pilot.
        pilot: The baseline controller that races, or that is cloned; None if nothing is cloned.
    """

    policy: str
    track: str
    config: str | None = None
    pilot: str | None = None

    @property
    def name(self) -> str:
        """The name by which the row is asked for."""
        return f"{self.policy}-{self.track}"

    @property
    def is_pilot(self) -> bool:
        """Whether a baseline controller races, which learns nothing."""
        return self.config is None

    def run_config(self, seed: int = 0) -> RunConfig:
        """Return the config of the row's training.

        Args:
            seed: Seed of the training.

        Raises:
            RacerError: There is no such config.
        """
        chosen = read_document(assets.find_file(self.config or "", "configs"), RunConfig)
        return with_overrides(chosen, {"track": self.track, "seed": seed}, "benchmark")

    @property
    def algorithm(self) -> str:
        """What it learns by, for people."""
        if self.is_pilot:
            return "pilot"
        return "cloning" if self.pilot else ALGORITHM_TITLES[self.run_config().algorithm]

    @property
    def sensor(self) -> str:
        """What it observes, for people."""
        if self.is_pilot:
            return "true state"
        words = []
        for one in self.run_config().sensor:
            size = f" {one.width}x{one.height}" if isinstance(one, CameraConfig) else ""
            words.append(one.name + size + (f", {one.stack} frames" if one.stack > 1 else ""))
        return " + ".join(words)

    @property
    def amount(self) -> str:
        """How much it learns from, for people."""
        if self.is_pilot:
            return "-"
        if self.pilot:
            return f"{LESSON_ROUNDS * LESSON_STEPS:,} steps, {self.pilot} teaches"
        return f"{self.run_config().total_timesteps:,} steps"

    def command(self, seed: int | str = "SEED") -> str:
        """Return the command that makes the row's policy, or races the pilot.

        Args:
            seed: Seed of the training.
        """
        if self.is_pilot:
            return f"racer race {self.pilot} --track {self.track} --laps {BENCHMARK_LAPS}"
        where = f"--track {self.track} --seed {seed}"
        if self.pilot is None:
            return f"racer train {self.config} {where}"
        lesson = f"--steps {LESSON_STEPS} --rounds {LESSON_ROUNDS} --epochs {LESSON_EPOCHS}"
        return f"racer clone-driver {self.pilot} --config {self.config} {where} {lesson}"


POLICIES: tuple[tuple[str, str | None, str | None], ...] = (
    ("pure-pursuit", None, "pure-pursuit"),
    ("raceline", None, "raceline"),
    ("clone", "fast", "raceline"),
    ("clone-camera", "camera-fast", "raceline"),
    ("fast", "fast", None),
    ("state", "state", None),
    ("recurrent-ppo", "recurrent_ppo", None),
    ("sac", "sac", None),
    ("tqc", "tqc", None),
    ("qrdqn", "qrdqn", None),
    ("lidar", "lidar", None),
    ("quick", "quick", None),
    ("camera-fast", "camera-fast", None),
)
"""Name, config and pilot of each policy of the page; see `BenchmarkRow`. All of an algorithm and
a sensor have the hyperparameters of one shipped config, on every track."""
BENCHMARK_ROWS = tuple(
    BenchmarkRow(policy, track, config, pilot)
    for policy, config, pilot in POLICIES
    for track in BENCHMARK_TRACKS
)
"""The rows, each policy on each track."""


def benchmark_row(name: str) -> BenchmarkRow:
    """Return the row of a name.

    Raises:
        ConfigError: There is no such row.
    """
    for one in BENCHMARK_ROWS:
        if one.name == name:
            return one
    raise ConfigError(
        f"no benchmark {name!r}; `racer benchmark` lists them, such as {BENCHMARK_ROWS[0].name}"
    )


def benchmark_row_dict(row: BenchmarkRow) -> dict[str, str]:
    """Return a row in plain values.

    Returns:
        `name`, `algorithm`, `sensor`, `track`, `learns_from` and `command`, in words.
    """
    return {
        "name": row.name,
        "algorithm": row.algorithm,
        "sensor": row.sensor,
        "track": row.track,
        "learns_from": row.amount,
        "command": row.command(),
    }


def benchmark_rows_table(rows: Iterable[BenchmarkRow]) -> FittedTable:
    """Return rows as a table for the terminal."""
    shown = FittedTable(
        TableColumn("name", "left"),
        TableColumn("algorithm", "left", drop=2),
        TableColumn("sensor", "left", drop=3),
        TableColumn("track", "left", drop=5),
        TableColumn("learns from", "left", drop=4),
        TableColumn("made by", "left", wraps=True, least=30, drop=1),
    )
    for one in rows:
        shown.add_row(*benchmark_row_dict(one).values())
    return shown

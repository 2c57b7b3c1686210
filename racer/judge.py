"""Drives a policy over a track and says what it did. Training curves and the board share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from racer.assets.document import validate
from racer.car.actions import ActionSpace
from racer.env import RacerVectorEnv
from racer.errors import ConfigError
from racer.policy.entry import Entry
from racer.policy.onnx_policy import OnnxPolicy
from racer.race import Ending, RaceConfig
from racer.sensors import Sensors

Policy = Callable[[np.ndarray], np.ndarray]
"""Observations (1, ...) to actions (1, ...)."""


@dataclass(frozen=True)
class LapResult:
    """What a policy did in one race.

    Attributes:
        track: The track's name.
        seed: Seed of the environment.
        laps: Laps asked for.
        laps_completed: Laps driven to their end.
        lap_times_s: Time of each completed lap [s], penalties included.
        off_tracks: Times all four wheels left the road; each put the car back at a penalty.
        ending: Name of the `Ending`, in lower case.
        body: The body rows at each control step, (T, 13).
        steering: Angle of the front wheels at each control step [rad], (T,).
        time: Race time at each control step [s], (T,).
    """

    track: str
    seed: int
    laps: int
    laps_completed: int
    lap_times_s: list[float]
    off_tracks: int
    ending: str
    body: np.ndarray
    steering: np.ndarray
    time: np.ndarray

    @property
    def xy(self) -> np.ndarray:
        """Position at each control step [m], (T, 2)."""
        return self.body[:, :2]

    @property
    def speed(self) -> np.ndarray:
        """Speed over the ground at each control step [m/s], (T,)."""
        return np.hypot(self.body[:, 7], self.body[:, 8])

    @property
    def is_clean(self) -> bool:
        """Every lap completed and the road never left."""
        return self.laps_completed == self.laps and self.off_tracks == 0

    @property
    def total_time_s(self) -> float | None:
        """Time of all laps [s], or None where one is missing."""
        return sum(self.lap_times_s) if self.laps_completed == self.laps else None

    @property
    def best_lap_s(self) -> float | None:
        """The fastest completed lap [s], or None."""
        return min(self.lap_times_s, default=None)

    def as_dict(self) -> dict[str, Any]:
        """The result as documented for `--json` and the board; plain values only."""
        return {
            "track": self.track,
            "seed": self.seed,
            "laps": self.laps,
            "laps_completed": self.laps_completed,
            "lap_times_s": self.lap_times_s,
            "total_time_s": self.total_time_s,
            "best_lap_s": self.best_lap_s,
            "off_tracks": self.off_tracks,
            "ending": self.ending,
        }


def judge(
    policy: Policy,
    sensor: Sensors,
    actions: ActionSpace,
    track: str,
    race: RaceConfig,
    seed: int = 0,
) -> LapResult:
    """Drive one race alone, from the start line, and record it.

    Args:
        policy: Called with observations (1, ...) each control step.
        sensor: What the policy sees.
        actions: What its actions mean.
        track: A shipped track's name, or a YAML file.
        race: Laps, resets and time limit; see `race_rules`.
        seed: Seed of the environment, not negative.

    Raises:
        RacerError: A track or number that cannot be used.
    """
    if seed < 0:
        raise ConfigError(f"seed: {seed}; it must be 0 or more")
    env = RacerVectorEnv(1, track=track, sensor=sensor, actions=actions, race=race, reward=None)
    try:
        env.reset(seed=seed)
        bodies, steering, times = [], [], []
        done = False
        while not done:
            _, terminated, truncated = env.advance(policy(env.observations))
            done = bool(terminated[0] or truncated[0])
            bodies.append(env.world.state.body[0].copy())
            steering.append(float(env.world.state.steering[0]))
            times.append(float(env.race.time[0]))
        standing = env.race
        return LapResult(
            track=env.track.name,
            seed=seed,
            laps=race.laps,
            laps_completed=int(standing.laps[0]),
            lap_times_s=list(standing.lap_times[0]),
            off_tracks=int(standing.off_tracks[0]),
            ending=Ending(int(standing.ending[0])).name.lower(),
            body=np.array(bodies),
            steering=np.array(steering),
            time=np.array(times),
        )
    finally:
        env.close()


def judge_entry(entry: Entry, track: str, race: RaceConfig, seed: int = 0) -> LapResult:
    """Drive an entry's policy by onnxruntime; see `judge`."""
    manifest = entry.manifest
    return judge(OnnxPolicy(entry), manifest.sensor, manifest.actions, track, race, seed)


def race_rules(laps: int, off_track_penalty: float, time_limit: float) -> RaceConfig:
    """A race from the start line, in which leaving the road costs a penalty and goes on.

    Raises:
        ConfigError: A number is out of its range.
    """
    rules = {
        "laps": laps,
        "start": "line",
        "off_track": "reset",
        "off_track_penalty": off_track_penalty,
        "time_limit": time_limit,
    }
    return validate(rules, RaceConfig, "race")

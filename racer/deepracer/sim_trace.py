"""Writes DeepRacer's logs, in the layout that its analysis tools open.

| file | content |
|---|---|
| `training-simtrace/{N}-iteration.csv` | a line per step of training episodes 20 N to 20 N + 19 |
| `evaluation-simtrace/{N}-iteration.csv` | the same for evaluation N, each lap an episode |
| `metrics/TrainingMetrics.json`, `metrics/EvaluationMetrics.json` | a record per episode |
| `logs/training/racer-robomaker.log` | the lines of the CSVs as SIM_TRACE_LOG |
| `model/model_metadata.json`, `ip/hyperparameters.json` | the model that was trained |

The evaluation of a race is in a separate folder `evaluation-<time>`, where the tools look for one.
The fields, their formats and the labels are those of the public simulation's source code. There,
an episode's first line has the status `prepare` and is written before the car moves; here, it has
the time before the first control step but the position after it, some centimetres ahead. When n
cars train at once, episodes are numbered in the order in which they end. X and Y are the front of
the car.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from racer.assets.atomic import write_atomically
from racer.car.action_space import ActionSpace
from racer.errors import RacerError
from racer.race import Ending
from racer.track import Track
from racer.world import CONTROL_RATE_HZ
from racer.world.car_state import yaw_of

TRACE_FIELDS = (
    ("episode", "%d"),
    ("steps", "%d"),
    ("X", "%.4f"),
    ("Y", "%.4f"),
    ("yaw", "%.4f"),
    ("steer", "%.2f"),
    ("throttle", "%.2f"),
    ("action", "%s"),
    ("reward", "%.4f"),
    ("done", "%s"),
    ("all_wheels_on_track", "%s"),
    ("progress", "%.4f"),
    ("closest_waypoint", "%d"),
    ("track_len", "%.2f"),
    ("tstamp", "%s"),
    ("episode_status", "%s"),
    ("pause_duration", "%.2f"),
    ("obstacle_crash_counter", "%d"),
    ("wall_clock", "%.4f"),
)
TRACE_HEADER = ",".join(name for name, _ in TRACE_FIELDS)
TRACE_LINE = ",".join(form for _, form in TRACE_FIELDS)
EPISODES_PER_FILE = 20
"""Episodes in one CSV of a training; the tools expect the same number in each."""

EPISODE_STATUS = {
    "running": "in_progress",
    "laps_complete": "lap_complete",
    "off_track": "off_track",
    "crashed": "crashed",
    "immobilised": "immobilized",
    "reversed": "reversed",
    "time_up": "time_up",
}
"""racer's endings in lower case, and DeepRacer's names for them."""
METRICS_COUNTS = {
    "crash_count": "crashed",
    "immobilized_count": "immobilized",
    "off_track_count": "off_track",
    "reversed_count": "reversed",
}


class TraceStep(NamedTuple):
    """State of one car after one control step; the fields are those of `TRACE_FIELDS`.

    Lengths are in metres, angles in degrees, speeds in m/s and times in seconds. `action` is an
    index, or the steering angle [deg] and speed of a continuous action.
    """

    steps: int
    x: float
    y: float
    yaw_deg: float
    steering_deg: float
    speed: float
    action: int | tuple[float, float]
    reward: float
    is_done: bool
    all_wheels_on_track: bool
    progress: float
    closest_waypoint: int
    track_length: float
    time: float
    status: str
    crashes: int = 0

    def line(self, episode: int, wall: float) -> str:
        """Return the step in the format of SIM_TRACE_LOG.

        Args:
            episode: Number of the episode, from 0.
            wall: Wall-clock time [s since the epoch].
        """
        action = self.action if isinstance(self.action, int) else "[{:g} {:g}]".format(*self.action)
        return TRACE_LINE % (
            episode,
            *self[:6],
            action,
            *self[7:13],
            f"{self.time:.3f}",
            self.status,
            0.0,
            self.crashes,
            wall,
        )


class DrivenCar(Protocol):
    """Arrays of a `LapResult` that are logged, each (T, ...); see `racer.evaluation`."""

    @property
    def body(self) -> np.ndarray: ...  # noqa: D102
    @property
    def time(self) -> np.ndarray: ...  # noqa: D102
    @property
    def command(self) -> np.ndarray: ...  # noqa: D102
    @property
    def progress(self) -> np.ndarray: ...  # noqa: D102
    @property
    def wheels_on_road(self) -> np.ndarray: ...  # noqa: D102
    @property
    def fault(self) -> np.ndarray: ...  # noqa: D102


def episodes_of_race(
    result: DrivenCar, track: Track, actions: ActionSpace, rewards: np.ndarray, ahead: float
) -> list[list[TraceStep]]:
    """Return a race as episodes of steps; each lap is an episode.

    Args:
        result: The car's recorded race.
        track: The track in the direction in which it was driven.
        actions: The policy's action space.
        rewards: Reward of each control step, (T,).
        ahead: Distance from the centre of mass to the front, the point of X and Y [m].
    """
    body, yaw = result.body, yaw_of(result.body)
    x, y = body[:, 0] + ahead * np.cos(yaw), body[:, 1] + ahead * np.sin(yaw)
    waypoint = track.locate(body[:, :2]).segment
    episodes: list[list[TraceStep]] = [[]]
    crashes, final = 0, len(body) - 1
    for t in range(len(body)):
        is_lap, fault = bool(result.progress[t] >= 100.0), Ending(int(result.fault[t]))
        crashes += fault == Ending.CRASHED
        status = "lap_complete" if is_lap else EPISODE_STATUS[fault.name.lower()]
        if t == final and status == "in_progress":
            status = "time_up"
        steering, speed = result.command[t].tolist()
        step = TraceStep(
            steps=len(episodes[-1]) + 1,
            x=float(x[t]),
            y=float(y[t]),
            yaw_deg=float(np.rad2deg(yaw[t])),
            steering_deg=float(np.rad2deg(steering)),
            speed=speed,
            action=action_index(actions, steering, speed),
            reward=float(rewards[t]),
            is_done=is_lap or t == final,
            all_wheels_on_track=bool(result.wheels_on_road[t] == 4),
            progress=float(result.progress[t]),
            closest_waypoint=int(waypoint[t]),
            track_length=track.length,
            time=float(result.time[t]),
            status=status,
            crashes=crashes,
        )
        episodes[-1].append(step)
        if is_lap and t < final:
            episodes.append([])
    return episodes


def action_index(actions: ActionSpace, steering: float, speed: float) -> int | tuple[float, float]:
    """Return the index of a command in a discrete space, or its angle [deg] and speed [m/s].

    Args:
        actions: The action space.
        steering: Commanded angle [rad].
        speed: Commanded speed [m/s].

    Example:
        >>> from racer.deepracer.action_lists import action_grid
        >>> action_index(action_grid([-30, 0, 30], [1, 2]), steering=0.5, speed=1.9)
        5
    """
    pair = float(np.rad2deg(steering)), speed
    if actions.kind == "discrete":
        return int(np.abs(np.array(actions.choices) - pair).sum(axis=1).argmin())
    return pair


@dataclass
class SimTrace:
    """Writer of the log of one training or evaluation.

    Args:
        folder: Folder of the log.
        phase: `training` or `evaluation`.
        iteration: Number of the first CSV.
    """

    folder: Path
    phase: str
    iteration: int = 0
    _episodes: int = field(default=0, init=False)
    _metrics: list[dict[str, Any]] = field(default_factory=list, init=False)

    def episode(self, driven: list[TraceStep]) -> None:
        """Append a complete episode, whose steps count from 1.

        Raises:
            RacerError: If the folder cannot be written.
        """
        first = driven[0]
        before = first.time - 1.0 / CONTROL_RATE_HZ
        ready = first._replace(reward=0.0, is_done=False, time=before, status="prepare")
        steps = [ready, *(step._replace(steps=step.steps + 1) for step in driven)]
        number, last, wall = self._episodes, steps[-1], time.time()
        self._episodes += 1
        csv = self.iteration + (number // EPISODES_PER_FILE if self.phase == "training" else 0)
        lines = [step.line(number, wall) for step in steps]
        try:
            with self._opened(f"{self.phase}-simtrace/{csv}-iteration.csv") as file:
                if file.tell() == 0:
                    file.write(TRACE_HEADER + "\n")
                file.writelines(line + "\n" for line in lines)
            with self._opened(f"logs/{self.phase}/racer-robomaker.log") as file:
                file.writelines(f"SIM_TRACE_LOG:{line}\n" for line in lines)
        except OSError as problem:
            raise RacerError(f"{self.folder}: cannot be written: {problem}") from problem
        self._metrics.append(self._figures(steps, last))

    def _opened(self, name: str) -> IO[str]:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")

    def _figures(self, steps: list[TraceStep], last: TraceStep) -> dict[str, Any]:
        """Return the episode's record; times are in whole milliseconds, as in DeepRacer's."""
        number = len(self._metrics)
        start = round(1000 * steps[0].time)
        label = last.status.replace("_", " ").capitalize()
        record: dict[str, Any] = {
            "completion_percentage": int(last.progress),
            "metric_time": round(1000 * last.time),
            "start_time": start,
            "elapsed_time_in_milliseconds": round(1000 * last.time) - start,
            "episode_status": label,
        }
        if self.phase == "training":
            return record | {
                "reward_score": round(sum(step.reward for step in steps)),
                "episode": number + 1,
                "trial": number % EPISODES_PER_FILE + 1,
                "phase": "training",
            }
        statuses = [step.status for step in steps]
        counts = {key: statuses.count(status) for key, status in METRICS_COUNTS.items()}
        return (
            record | counts | {"reset_count": sum(counts.values()), "trial": len(self._metrics) + 1}
        )

    def close(self) -> None:
        """Write the metrics of the episodes so far; more episodes may follow."""
        name = f"{self.phase.capitalize()}Metrics"
        tree = {"metrics": self._metrics, "version": 2.0, "best_model_metric": "progress"}
        write_json(self.folder / "metrics" / f"{name}.json", tree)


def write_model_files(
    folder: Path, metadata: dict[str, Any], hyperparameters: dict[str, Any]
) -> None:
    """Write a model's description where the tools look for it, and at the head of the log.

    Args:
        folder: Folder of the log.
        metadata: Content of `model_metadata.json`.
        hyperparameters: Content of `hyperparameters.json`.
    """
    write_json(folder / "model" / "model_metadata.json", metadata)
    write_json(folder / "ip" / "hyperparameters.json", hyperparameters)
    sensors, network = metadata["sensor"], metadata["neural_network"]
    log = folder / "logs" / "training" / "racer-robomaker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(
        f"Using the following hyper-parameters\n{json.dumps(hyperparameters, indent=2)}\n"
        f"Action space from file: {json.dumps(metadata['action_space'])}\n"
        f"Sensor list {sensors!r}, network {network}, simapp_version {metadata['version']}\n"
    )


def write_json(
    path: Path,
    tree: dict[str, Any],
    write: Callable[[Path, bytes], None] = write_atomically,
) -> None:
    """Write a JSON file atomically.

    Args:
        path: The file to write.
        tree: Its content.
        write: The function of `racer.assets.atomic` to write it with.

    Raises:
        RacerError: If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(tree, indent=2).encode())
    except OSError as problem:
        raise RacerError(f"{path}: cannot be written: {problem.strerror}") from problem

"""The logs of the DeepRacer world, in the layout that its analysis tools open.

| file | what it holds |
|---|---|
| `training-simtrace/{N}-iteration.csv` | a line a step of the training episodes 20 N to 20 N + 19 |
| `evaluation-simtrace/{N}-iteration.csv` | the same of evaluation N, a lap an episode |
| `metrics/TrainingMetrics.json`, `metrics/EvaluationMetrics.json` | a record an episode |
| `logs/training/racer-robomaker.log` | the same lines as SIM_TRACE_LOG |
| `model/model_metadata.json`, `ip/hyperparameters.json` | what was trained |

A race's evaluation lies in a folder `evaluation-<time>` of its own, where the tools look for one.
The fields, their formats and the labels are those of the public simulation's source. There an
episode's first line is `prepare`, before the car moves; here it has the time before the
first control step and the place after it, some centimetres on. Of n cars that
train at once an episode gets its number when it ends. X and Y are the front of the car.
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
"""Episodes in one CSV of the training; the tools want as many in each."""

EPISODE_STATUS = {
    "running": "in_progress",
    "laps_complete": "lap_complete",
    "off_track": "off_track",
    "crashed": "crashed",
    "immobilised": "immobilized",
    "reversed": "reversed",
    "time_up": "time_up",
}
"""The names of our endings in lower case, and theirs."""
METRICS_COUNTS = {
    "crash_count": "crashed",
    "immobilized_count": "immobilized",
    "off_track_count": "off_track",
    "reversed_count": "reversed",
}


class TraceStep(NamedTuple):
    """What one car did in one control step."""

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
        """The step in the format of SIM_TRACE_LOG."""
        act = self.action if isinstance(self.action, int) else "[{:g} {:g}]".format(*self.action)
        return TRACE_LINE % (
            episode,
            *self[:6],
            act,
            *self[7:13],
            f"{self.time:.3f}",
            self.status,
            0.0,
            self.crashes,
            wall,
        )


class DrivenCar(Protocol):
    """What a judge records of one car, (T, ...)."""

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
    """A judged race as episodes, a lap each.

    Args:
        result: What the judge recorded.
        track: The track as it was driven.
        actions: What the policy's actions mean.
        rewards: Of each control step, (T,).
        ahead: From the centre of mass to the point that X, Y mean [m].
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
    """The index of a command [rad], [m/s] in a discrete space, else degrees and speed."""
    pair = float(np.rad2deg(steering)), speed
    if actions.kind == "discrete":
        return int(np.abs(np.array(actions.choices) - pair).sum(axis=1).argmin())
    return pair


@dataclass
class SimTrace:
    """The log of one training or evaluation.

    Args:
        folder: Where the files lie.
        phase: `training` or `evaluation`.
        iteration: Number of the first CSV.
    """

    folder: Path
    phase: str
    iteration: int = 0
    _episodes: int = field(default=0, init=False)
    _metrics: list[dict[str, Any]] = field(default_factory=list, init=False)

    def episode(self, driven: list[TraceStep]) -> None:
        """Write one whole episode, whose steps count from 1.

        Raises:
            RacerError: The folder cannot be written.
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
        """The episode's record; times in whole milliseconds, as that stack counts them."""
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
        seen = [step.status for step in steps]
        counts = {key: seen.count(status) for key, status in METRICS_COUNTS.items()}
        return (
            record | counts | {"reset_count": sum(counts.values()), "trial": len(self._metrics) + 1}
        )

    def close(self) -> None:
        """Write the metrics of what has been logged so far; more may follow."""
        name = f"{self.phase.capitalize()}Metrics"
        tree = {"metrics": self._metrics, "version": 2.0, "best_model_metric": "progress"}
        write_json(self.folder / "metrics" / f"{name}.json", tree)


def write_model_files(
    folder: Path, metadata: dict[str, Any], hyperparameters: dict[str, Any]
) -> None:
    """Write what was trained where the tools look for it, and at the head of the log."""
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
    """Write a tree as JSON, whole or not at all, by one of the functions of `racer.assets.atomic`.

    Raises:
        RacerError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps(tree, indent=2).encode())
    except OSError as problem:
        raise RacerError(f"{path}: cannot be written: {problem.strerror}") from problem

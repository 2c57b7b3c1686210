"""A recorded race by race time: where each car is and what happened to it, for a video."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from racer.race import Ending, RaceConfig
from racer.track import Track
from racer.world import CONTROL_PERIOD_S

FAULT_NOTICE_S = 1.0
"""Minimum time for which a fault is shown [s]."""
FAULT_WORDS = {
    Ending.CRASHED: "crashed",
    Ending.OFF_TRACK: "off track",
    Ending.IMMOBILISED: "stopped",
    Ending.REVERSED: "wrong way",
}
ENDING_WORDS = {
    "time_up": "time is up",
    "policy_crash": "the policy failed",
    "policy_hang": "the policy hung",
    "policy_memory": "the policy ran out of memory",
    "retired": "gave up",
}


class RecordedRace(Protocol):
    """Recording of one car's race; see `racer.evaluation.LapResult`."""

    @property
    def lap_times_s(self) -> list[float]: ...  # noqa: D102
    @property
    def laps(self) -> int: ...  # noqa: D102
    @property
    def ending(self) -> str: ...  # noqa: D102
    @property
    def start(self) -> np.ndarray: ...  # noqa: D102
    @property
    def body(self) -> np.ndarray: ...  # noqa: D102
    @property
    def reached(self) -> np.ndarray: ...  # noqa: D102
    @property
    def waiting(self) -> np.ndarray: ...  # noqa: D102
    @property
    def steering(self) -> np.ndarray: ...  # noqa: D102
    @property
    def time(self) -> np.ndarray: ...  # noqa: D102
    @property
    def progress(self) -> np.ndarray: ...  # noqa: D102
    @property
    def fault(self) -> np.ndarray: ...  # noqa: D102
    @property
    def boxes(self) -> np.ndarray: ...  # noqa: D102
    @property
    def colours(self) -> np.ndarray: ...  # noqa: D102


class TimelineLeg(NamedTuple):
    """A part of a car's race, between two race times [s], in which it drives or waits."""

    begin: float
    end: float
    first: np.ndarray
    """Body row at the beginning, (13,)."""
    last: np.ndarray
    """Body row at the end, (13,)."""
    steering: tuple[float, float]
    """Angle of the front wheels at both ends [rad]."""
    step: int
    """Index of its control step."""
    is_waiting: bool


class TimelineFault(NamedTuple):
    """A fault and its penalty."""

    begin: float
    """Race time at which it happened [s]."""
    end: float
    """Race time at which the car continues [s]."""
    words: str
    """The fault and its penalty in words."""


class TimelineMoment(NamedTuple):
    """State of a car at one race time."""

    body: np.ndarray
    """Body row, (13,)."""
    steering: float
    """Angle of the front wheels [rad]."""
    is_waiting: bool
    leg: int
    """Index of the leg in `Timeline.legs`."""


class Timeline:
    """One car's race by race time.

    A car at fault stays where it was until its penalty is over, and then continues from where it
    was put back. This holds whether the car waited in the simulation or the penalty was added to
    its time at once.

    Args:
        driven: The recorded race.
        rules: The race's rules.

    Attributes:
        driven: The recorded race.
        end: Race time at its end [s]: the sum of its lap times, or when it was stopped.
        is_finished: Whether all laps were completed.
        legs: The parts of the race, in order and without a gap.
        faults: Its faults, in order.
        finishes: Race time at the end of each completed lap [s].
    """

    def __init__(self, driven: RecordedRace, rules: RaceConfig) -> None:
        self.driven = driven
        self.finishes = np.cumsum(driven.lap_times_s)
        self.is_finished = len(self.finishes) == driven.laps
        stopped = float(driven.time[-1]) if len(driven.time) else 0.0
        self.end = float(self.finishes[-1]) if self.is_finished else stopped
        self.legs = _legs(driven)
        self._begins = np.array([leg.begin for leg in self.legs])
        self.faults = _faults(driven, rules)
        before = np.concatenate([[0.0], driven.time[:-1]])
        done = np.searchsorted(self.finishes, before, side="right")
        self._laps = done + driven.progress / 100.0

    def at(self, time: float) -> TimelineMoment:
        """Return the car's state at a race time; after the end of its race, the last state."""
        k = max(int(np.searchsorted(self._begins, time, side="right")) - 1, 0)
        leg = self.legs[k]
        share = float(np.clip((time - leg.begin) / max(leg.end - leg.begin, 1e-9), 0.0, 1.0))
        turn = leg.last[3:7] if leg.first[3:7] @ leg.last[3:7] >= 0.0 else -leg.last[3:7]
        body = (1.0 - share) * leg.first + share * leg.last
        body[3:7] = (1.0 - share) * leg.first[3:7] + share * turn
        body[3:7] /= np.linalg.norm(body[3:7])
        steering = (1.0 - share) * leg.steering[0] + share * leg.steering[1]
        return TimelineMoment(body, steering, leg.is_waiting, k)

    def laps_at(self, time: float) -> float:
        """Return the distance driven until a race time [laps]."""
        if not len(self._laps):
            return 0.0
        return float(np.interp(time, self.driven.time, self._laps))

    def lap_at(self, time: float) -> tuple[int, float]:
        """Return the laps completed by a race time, and the race time of the last finish [s]."""
        done = int(np.searchsorted(self.finishes, time, side="right"))
        return done, float(self.finishes[done - 1]) if done else 0.0

    def fault_at(self, time: float) -> TimelineFault | None:
        """Return the fault to show at a race time; None if there is none."""
        for fault in reversed(self.faults):
            if fault.begin <= time:
                return fault if time < max(fault.end, fault.begin + FAULT_NOTICE_S) else None
        return None

    @property
    def verdict(self) -> str:
        """How the race ended, in words for the picture."""
        if self.is_finished:
            return f"finished in {self.end:.2f} s"
        known = {ending.name.lower(): words for ending, words in FAULT_WORDS.items()} | ENDING_WORDS
        return known.get(self.driven.ending, self.driven.ending.replace("_", " "))


class ObstacleTimeline:
    """The boxes or bots of a race by race time.

    Args:
        driven: The recorded race of one car.
        count: Number of boxes or bots; further rows of `driven.boxes` are racing cars.
        speed: Speed of the bots [m/s]; 0 for boxes.
        line: The track in the direction in which it is driven.
    """

    def __init__(self, driven: RecordedRace, count: int, speed: float, line: Track) -> None:
        self._time, self._boxes = driven.time, driven.boxes[:, :count]
        self._speed, self._line = speed, line
        self.colours = driven.colours[:count]

    def at(self, time: float) -> np.ndarray:
        """Return the rows at a race time, as in `SensorInput.boxes`, (count, 10)."""
        if not self._boxes.size:
            return np.zeros((0, 10))
        after = int(np.searchsorted(self._time, time))
        if after == 0 or after == len(self._time):
            return self._boxes[min(after, len(self._time) - 1)]
        first, last = self._boxes[after - 1], self._boxes[after]
        whole = float(self._time[after] - self._time[after - 1])
        share = (time - float(self._time[after - 1])) / whole
        if whole > 1.5 * CONTROL_PERIOD_S and self._speed > 0.0:
            return self._along(first, last, share, whole)
        rows = (1.0 - share) * first + share * last
        is_turned = np.sum(first[:, 3:7] * last[:, 3:7], axis=1) < 0.0
        rows[is_turned, 3:7] -= 2.0 * share * last[is_turned, 3:7]
        rows[:, 3:7] /= np.linalg.norm(rows[:, 3:7], axis=1, keepdims=True)
        return rows

    def _along(
        self, first: np.ndarray, last: np.ndarray, share: float, seconds: float
    ) -> np.ndarray:
        """Return the rows of bots that drove on while a car waited.

        Over such a long time, they are interpolated along the road, not along a straight line.

        Args:
            first: Rows at the beginning, (k, 10).
            last: Rows at the end, (k, 10).
            share: Share of the time that has passed, 0 to 1.
            seconds: The time between them [s].
        """
        length = self._line.length
        begin, end = self._line.locate(first[:, :2]), self._line.locate(last[:, :2])
        rounds = np.round((self._speed * seconds - (end.s - begin.s)) / length)
        s = begin.s + share * (end.s - begin.s + rounds * length)
        d = begin.d + share * (end.d - begin.d)
        xy, yaw = self._line.at(s)
        rows = first.copy()
        rows[:, :2] = xy + d[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
        rows[:, 3:5] = 0.0
        rows[:, 5], rows[:, 6] = np.sin(yaw / 2), np.cos(yaw / 2)
        return rows


def _legs(driven: RecordedRace) -> list[TimelineLeg]:
    """Return a car's race as parts in which it drives or waits."""
    legs: list[TimelineLeg] = []
    row, angle, before = driven.start, 0.0, 0.0
    is_waiting = False
    for k in range(len(driven.time)):
        now, reached, turned = float(driven.time[k]), driven.reached[k], float(driven.steering[k])
        if is_waiting:
            legs.append(TimelineLeg(before, now, row, row, (angle, angle), k, True))
        else:
            end = min(before + CONTROL_PERIOD_S, now)
            legs.append(TimelineLeg(before, end, row, reached, (angle, turned), k, False))
            row, angle = reached, turned
            if now - end > 0.5 * CONTROL_PERIOD_S:
                legs.append(TimelineLeg(end, now, row, row, (angle, angle), k, True))
        is_waiting = bool(driven.waiting[k])
        if not is_waiting:
            row, angle = driven.body[k], turned
        before = now
    if not legs:
        legs.append(TimelineLeg(0.0, 0.0, row, row, (0.0, 0.0), 0, False))
    return legs


def _faults(driven: RecordedRace, rules: RaceConfig) -> list[TimelineFault]:
    """Return the faults after which the car was put back."""
    found = []
    for k in np.flatnonzero(driven.fault).tolist():
        before = float(driven.time[k - 1]) if k else 0.0
        begin, after = before + CONTROL_PERIOD_S, k
        while after + 1 < len(driven.time) and driven.waiting[after]:
            after += 1
        end = float(driven.time[after])
        if k == len(driven.time) - 1 and end - begin < 0.5 * CONTROL_PERIOD_S:
            continue  # The race ended with this fault, and no penalty was added.
        ending = Ending(int(driven.fault[k]))
        is_crash = ending == Ending.CRASHED
        penalty = rules.collision_penalty if is_crash else rules.off_track_penalty
        found.append(TimelineFault(begin, end, f"{FAULT_WORDS[ending]}  +{penalty:g} s"))
    return found

"""The same lap in a changed world: what the policy would have seen, and what it would have done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from racer.car.spec import car_named
from racer.errors import ConfigError
from racer.explain.attribution import is_picture
from racer.explain.policy_output import ExplainedPolicy, as_inputs
from racer.explain.recorded_lap import RecordedLap
from racer.sensors import SensorInput, SensorSuite, make_sensors
from racer.sensors.camera_ground import with_inner_line_moved
from racer.track import Track
from racer.world import CarState

SceneChange = Literal["line", "box", "light", "place"]
"""A change of the world: the inner line, the next box, the light, or the car's own place."""
SCENE_CHANGES: tuple[SceneChange, ...] = get_args(SceneChange)
LINE_SHIFT_M = 0.05
"""How far the inner line is moved into the road [m]."""
PLACE_SHIFT_M = 0.05
"""How far the car is moved to the left [m]."""
BOX_SHIFT_M = 0.2
"""How far the next box is moved to the left [m]."""
DIMMED_LIGHT = 0.6
"""Factor of every colour in dimmed light."""
CHANGE_WORDS: dict[SceneChange, str] = {
    "line": f"inner line {100 * LINE_SHIFT_M:.0f} cm in",
    "box": f"next box {100 * BOX_SHIFT_M:.0f} cm left",
    "light": f"light at {DIMMED_LIGHT:.0%}",
    "place": f"car {100 * PLACE_SHIFT_M:.0f} cm left",
}
"""What each change is, in words."""
CHANGED_ACTION = 0.01
"""A command that moves by this share of its range is another action."""


@dataclass(frozen=True)
class ChangeEffect:
    """What a policy would have done at each of T steps in a changed world.

    Attributes:
        change: The change.
        observations: What it would have seen, by the name of the policy's input, (T, ...).
        command: What it would have commanded: steering [rad] and speed [m/s], (T, 2).
        moved: The change of its command, (T, 2).
        answer_share: Share of the steps at which its action is another one, 0 to 1.
        seen_share: Share of the steps at which it sees anything else than before, 0 to 1.
    """

    change: SceneChange
    observations: dict[str, np.ndarray]
    command: np.ndarray
    moved: np.ndarray
    answer_share: float
    seen_share: float

    def as_dict(self) -> dict[str, float | str]:
        """Return the figures as plain values."""
        degrees, speed = np.rad2deg(self.moved[:, 0]), self.moved[:, 1]
        return {
            "change": self.change,
            "words": CHANGE_WORDS[self.change],
            "steering_deg": float(degrees.mean()),
            "steering_size_deg": float(np.abs(degrees).mean()),
            "steering_most_deg": float(np.abs(degrees).max()),
            "speed_m_s": float(speed.mean()),
            "speed_size_m_s": float(np.abs(speed).mean()),
            "answer_share": self.answer_share,
            "seen_share": self.seen_share,
        }


def possible_changes(lap: RecordedLap) -> tuple[SceneChange, ...]:
    """Return the changes that make sense for a lap's sensors and its race."""
    found: list[SceneChange] = ["line", "place"]
    if any(is_picture(sensor) for sensor in lap.sensor):
        found.append("light")
    if any(now.boxes.shape[1] for now in lap.perceived):
        found.append("box")
    return tuple(change for change in SCENE_CHANGES if change in found)


def check_changes(changes: Sequence[SceneChange], lap: RecordedLap) -> None:
    """Raise ConfigError if a change makes no sense for a lap."""
    why = {
        "light": "the policy has no camera",
        "box": "there is nothing on the road; add --kind object_avoidance",
    }
    for change in changes:
        if change not in possible_changes(lap):
            raise ConfigError(f"--what-if {change}: {why.get(change, 'it does not apply')}")


def render_lap(lap: RecordedLap, change: SceneChange | None = None) -> dict[str, np.ndarray]:
    """Return the observations of a lap, rendered again by the simulator's own sensors, (T, ...).

    Without a change they are those of the lap, byte for byte. The car drives as it did; what is
    changed was so from the start, so that the older frames of a stack show it too.

    Args:
        lap: The lap.
        change: The change; None for none.
    """
    track = with_inner_line_moved(lap.track, LINE_SHIFT_M) if change == "line" else lap.track
    draws = lap.draws.copy()
    if change == "light":
        for colour in ("red", "green", "blue"):
            draws[colour] *= DIMMED_LIGHT
    alter: Callable[[SensorInput], SensorInput] = lambda now: now  # noqa: E731
    if change == "place":
        alter = lambda now: _with_car_aside(now, lap.track)  # noqa: E731
    elif change == "box":
        alter = lambda now: _with_next_box_aside(now, lap.track)  # noqa: E731
    suite = make_sensors(lap.sensor, car_named(lap.car), track, 1, lap.rules.walls)
    suite.start(np.arange(1), draws)
    seen = [as_inputs(_observed(suite, alter(now)), lap.sensor) for now in lap.perceived]
    return {name: np.concatenate([one[name] for one in seen]) for name in seen[0]}


def change_effect(policy: ExplainedPolicy, lap: RecordedLap, change: SceneChange) -> ChangeEffect:
    """Return what a policy would have done in a changed world, at each step of a lap.

    A recurrent policy remembers at each step what it had really seen until then.

    Args:
        policy: The policy that drove the lap.
        lap: The lap.
        change: The change.
    """
    seen = render_lap(lap, change)
    answers = policy.answer(seen, lap.hidden_state)
    before = policy.actions.command(lap.output.action)
    after = policy.actions.command(answers.action)
    moved = after - before
    span = np.maximum(np.ptp(_ends(policy), axis=0), 1e-9)
    is_other = (np.abs(moved) >= CHANGED_ACTION * span).any(axis=1)
    differs = [
        (seen[name] != lap.observations[name]).reshape(lap.steps, -1).any(axis=1) for name in seen
    ]
    return ChangeEffect(
        change,
        seen,
        after,
        moved,
        float(is_other.mean()),
        float(np.any(differs, axis=0).mean()),
    )


def _ends(policy: ExplainedPolicy) -> np.ndarray:
    from racer.explain.policy_output import command_ends

    return command_ends(policy.actions)


def _observed(suite: SensorSuite, now: SensorInput):
    """Return the next observation of a suite, (1, ...)."""
    out = suite.buffer(1)
    suite.observe(now, np.arange(1), out)
    return out


def _with_car_aside(now: SensorInput, track: Track) -> SensorInput:
    """Return what the sensors perceive with the car `PLACE_SHIFT_M` further to its left."""
    body = now.state.body.copy()
    yaw = now.state.yaw
    body[:, :2] += PLACE_SHIFT_M * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
    way = track.reversed() if now.is_reversed[0] else track
    place = way.locate(body[:, :2], now.place.segment)
    state = CarState.of(body, now.state.steering, now.state.command)
    return now._replace(state=state, place=place)


def _with_next_box_aside(now: SensorInput, track: Track) -> SensorInput:
    """Return what the sensors perceive with the next box `BOX_SHIFT_M` to the left of the road.

    The next box is the first one ahead along the line; it stays on the ground as it is turned.
    """
    way = track.reversed() if now.is_reversed[0] else track
    boxes = now.boxes.copy()
    place = way.locate(boxes[0, :, :2])
    ahead = np.mod(place.s - now.place.s[0], way.length)
    ahead[boxes[0, :, 7] <= 0.0] = np.inf  # A row without a size is no box.
    k = int(np.argmin(ahead))
    _, heading = way.at(float(place.s[k]))
    boxes[0, k, :2] += BOX_SHIFT_M * np.array([-np.sin(heading), np.cos(heading)])
    return now._replace(boxes=boxes)

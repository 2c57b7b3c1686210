"""A lap with all that the policy was given and that its sensors perceived, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from racer.errors import EntryError, RacerError
from racer.evaluation import LapResult, SteppedRace
from racer.evaluation.evaluate import Driver
from racer.explain.policy_output import ExplainedPolicy, PolicyOutput, as_inputs
from racer.race import RaceConfig
from racer.sensors import Observations, SensorInput, Sensors
from racer.simulation import sensor_input
from racer.track import Track, TrackPosition, load_track
from racer.world import CONTROL_RATE_HZ, CarState

MAX_OBSERVATION_BYTES = 250_000
"""The largest observation of which a lap is kept and explained [B]."""
MAX_EXPLAINED_S = 60.0
"""A lap is recorded up to this time [s]."""


@dataclass(frozen=True)
class RecordedLap:
    """A lap of T control steps, as the policy saw it.

    Attributes:
        track: The track.
        rules: The race's rules.
        car: Name of the car's preset.
        seed: Seed of the race.
        sensor: The sensors.
        draws: The episode's draw, a row of `DRAW_DTYPE`, (1,).
        perceived: What the sensors could perceive at each step.
        observations: The observation at each step by the name of the policy's input, (T, ...).
        hidden_state: What the policy remembered before each step, (T, size).
        output: The policy's answers, (T, ...).
        result: The race.
    """

    track: Track
    rules: RaceConfig
    car: str
    seed: int
    sensor: Sensors
    draws: np.ndarray
    perceived: list[SensorInput]
    observations: dict[str, np.ndarray]
    hidden_state: np.ndarray
    output: PolicyOutput
    result: LapResult

    @property
    def steps(self) -> int:
        """The number of control steps."""
        return len(self.perceived)

    @property
    def time(self) -> np.ndarray:
        """Race time at which each observation was made [s], (T,)."""
        return np.concatenate([[0.0], self.result.time])[: self.steps]

    def moments(self, count: int) -> np.ndarray:
        """Return the indices of up to `count` steps, evenly over the lap from half a second on."""
        first = min(CONTROL_RATE_HZ // 2, self.steps - 1)
        return np.unique(np.linspace(first, self.steps - 1, count).astype(int))

    def mean_observation(self) -> dict[str, np.ndarray]:
        """Return the mean of each sensor's observations over the lap, without a leading axis.

        It stands for "nothing in particular": what is replaced by it shows the policy what it sees
        on average, rather than a black patch that it has never seen.
        """
        found = {}
        for name, seen in self.observations.items():
            mean = seen.mean(axis=0, dtype=np.float64)
            is_picture = seen.dtype == np.uint8
            found[name] = (np.rint(mean) if is_picture else mean).astype(seen.dtype)
        return found


class _Watcher:
    """Drives for a policy and keeps what it was given and what it answered."""

    def __init__(self, policy: ExplainedPolicy) -> None:
        self._policy = policy
        self.hidden_state_size = policy.hidden_state_size
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._hidden_state = np.zeros((1, self.hidden_state_size), np.float32)
        self.seen: list[dict[str, np.ndarray]] = []
        self.held: list[np.ndarray] = []
        self.answers: list[PolicyOutput] = []

    def __call__(self, observation: Observations) -> np.ndarray:
        inputs = as_inputs(observation, self._policy.sensor)
        held = self._hidden_state
        answer = self._policy.answer(inputs, held)
        is_listed = self._policy.actions.kind == "discrete"
        count = len(self._policy.actions.choices)
        if is_listed and not 0 <= answer.action[0] < count:
            raise EntryError(f"the action is the index {answer.action[0]}", "action")
        self.seen.append({name: array.copy() for name, array in inputs.items()})
        self.held.append(held)
        self.answers.append(answer)
        self._hidden_state = answer.hidden_state
        return answer.action


def record_lap(
    policy: ExplainedPolicy,
    track: str,
    rules: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
    longest: float = MAX_EXPLAINED_S,
) -> RecordedLap:
    """Drive a race and keep all that the policy saw, up to `longest` seconds of driving.

    Args:
        policy: The policy.
        track: A shipped track's name, or a YAML file.
        rules: The race, usually of one lap.
        seed: Seed of the race.
        car: Name of the car's preset.
        longest: The longest time that the car drives [s], penalties left out.

    Raises:
        RacerError: A name or number cannot be used, or an observation is too large.
        EntryError: The policy fails at a step.
    """
    size = sum(math.prod(one.space.shape) * one.space.dtype.itemsize for one in policy.sensor)
    if size > MAX_OBSERVATION_BYTES:
        raise RacerError(
            f"{policy.name}: an observation has {size:,} bytes; a lap is explained up to "
            f"{MAX_OBSERVATION_BYTES:,}, such as a colour frame of 320x240"
        )
    watcher, perceived = _Watcher(policy), []
    driver = Driver(watcher, policy.sensor, policy.actions)
    stepped = SteppedRace([driver], track, rules, seed, car)
    try:
        draws = stepped.race.draws.rows.copy()
        while not stepped.is_over and len(perceived) < longest * CONTROL_RATE_HZ:
            perceived.append(_copied(sensor_input(stepped.race)))
            stepped.step()
        result = stepped.result(0)
    finally:
        stepped.close()
    if result.failure:
        # A policy that was late once may be in time on a quieter machine.
        raise EntryError(result.failure, "hang" if result.ending == "policy_hang" else "run")
    if not watcher.seen:
        raise RacerError(f"{policy.name} did not drive a step")
    return RecordedLap(
        load_track(track),
        rules,
        car,
        seed,
        policy.sensor,
        draws,
        perceived[: len(watcher.seen)],
        {name: np.concatenate([one[name] for one in watcher.seen]) for name in watcher.seen[0]},
        np.concatenate(watcher.held),
        PolicyOutput(*(np.concatenate(parts) for parts in zip(*watcher.answers))),
        result,
    )


def _copied(now: SensorInput) -> SensorInput:
    """Return what the sensors perceive now in arrays that no later step changes."""
    state = CarState.of(now.state.body.copy(), now.state.steering.copy(), now.state.command.copy())
    place = TrackPosition(*(values.copy() for values in now.place))
    return SensorInput(state, place, now.is_reversed.copy(), now.boxes.copy(), now.colours.copy())

"""Drives a policy over a track and says what it did. Training curves and the board share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from racer import ENV_IDS
from racer.assets.document import validate
from racer.car.actions import ActionSpace
from racer.car.spec import car_named
from racer.env import surroundings
from racer.errors import ConfigError, EntryError
from racer.limit import Limit, limit_of
from racer.pilot import Pilot, pilot_named
from racer.policy.entry import Entry
from racer.policy.onnx_policy import OnnxPolicy
from racer.race import Ending, Race, RaceConfig
from racer.sensors import Sensors, make_sensors, of_car
from racer.track import load_track

Policy = Callable[[Any], np.ndarray]
"""Observations (1, ...), of several sensors a dict of them, to actions (1, ...)."""
FAILURES = {"hang": "policy_hang", "memory": "policy_memory"}
"""How a race ends where its policy fails with a code of `EntryError`; others: policy_crash."""


@dataclass(frozen=True)
class LapResult:
    """What a policy did in one race.

    Attributes:
        track: The track's name.
        seed: Seed of the environment.
        laps: Laps asked for.
        laps_completed: Laps driven to their end.
        lap_times_s: Time of each completed lap [s], penalties included.
        sector_times_s: Times of the completed thirds of each lap [s].
        off_tracks: Times all four wheels left the road; each put the car back at a penalty.
        collisions: Times the car crashed; so did each.
        resets: Times it was put back, for whatever fault.
        distance: Way made good along the centre line [m].
        ending: Name of the `Ending`, in lower case; `policy_crash`, `policy_hang` or
            `policy_memory` where the policy failed, which ended the car's race.
        start: The body row before the first step, (13,).
        actions: What the policy answered at each control step, (T, 2) float32 or indices (T,)
            int64; of a pilot its commands (T, 2).
        body: The body rows at each control step, (T, 13).
        steering: Angle of the front wheels at each control step [rad], (T,).
        time: Race time at each control step [s], (T,).
        command: Commanded steering [rad] and speed [m/s] at each control step, (T, 2).
        progress: Share of the lap made good at each control step [percent], (T,).
        wheels_on_road: Wheel centres between the borders at each control step, (T,).
        fault: The `Ending` that each control step's fault stands for, else RUNNING, (T,).
        boxes: What it could meet at each control step, rows as in `World.boxes`, (T, K, 10).
        colours: Red, green and blue of those, (K, 3) uint8.
        limit: The least times for track and car; None where they are not known, or where the
            race is not driven alone, forward and from the start line.
        failure: What the policy's failure was, in words; empty where it did not fail.
    """

    track: str
    seed: int
    laps: int
    laps_completed: int
    lap_times_s: list[float]
    sector_times_s: list[list[float]]
    off_tracks: int
    collisions: int
    resets: int
    distance: float
    ending: str
    start: np.ndarray
    actions: np.ndarray
    body: np.ndarray
    steering: np.ndarray
    time: np.ndarray
    command: np.ndarray
    progress: np.ndarray
    wheels_on_road: np.ndarray
    fault: np.ndarray
    boxes: np.ndarray
    colours: np.ndarray
    limit: Limit | None = None
    failure: str = ""

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
        """Every lap completed without being put back once."""
        return self.laps_completed == self.laps and self.resets == 0

    @property
    def total_time_s(self) -> float | None:
        """Time of all laps [s], or None where one is missing."""
        return sum(self.lap_times_s) if self.laps_completed == self.laps else None

    @property
    def best_lap_s(self) -> float | None:
        """The fastest completed lap [s], or None."""
        return min(self.lap_times_s, default=None)

    @property
    def limit_s(self) -> float | None:
        """The least time of all laps [s]: the first from a standstill, the others flying."""
        return self.limit.race(self.laps) if self.limit else None

    @property
    def x_limit(self) -> float | None:
        """The time of all laps in multiples of the least, or None where one is not known."""
        limit, total = self.limit_s, self.total_time_s
        return total / limit if limit and total else None

    def as_dict(self) -> dict[str, Any]:
        """The result as documented for `--json` and the board; plain values only."""
        return {
            "track": self.track,
            "seed": self.seed,
            "laps": self.laps,
            "laps_completed": self.laps_completed,
            "lap_times_s": self.lap_times_s,
            "sector_times_s": self.sector_times_s,
            "total_time_s": self.total_time_s,
            "best_lap_s": self.best_lap_s,
            "limit_s": self.limit_s,
            "x_limit": self.x_limit,
            "off_tracks": self.off_tracks,
            "collisions": self.collisions,
            "resets": self.resets,
            "distance_m": self.distance,
            "ending": self.ending,
        }


class Driver(NamedTuple):
    """A policy, what it sees, and what its actions mean."""

    policy: Policy
    sensor: Sensors
    actions: ActionSpace


def judge(
    policy: Policy,
    sensor: Sensors,
    actions: ActionSpace,
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
) -> LapResult:
    """Drive one race alone and record it.

    Args:
        policy: Called with observations (1, ...) each control step.
        sensor: What the policy sees.
        actions: What its actions mean.
        track: A shipped track's name, or a YAML file.
        race: Kind, laps, resets and time limit; see `race_rules`.
        seed: Seed of the environment, not negative.
        car: Name of the car's preset.

    Raises:
        RacerError: A track, car or number that cannot be used.
    """
    return _drive([Driver(policy, sensor, actions)], track, race, seed, car)[0]


def judge_together(
    drivers: Sequence[Driver | Pilot],
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
) -> list[LapResult]:
    """Drive one race of several cars in one world, from a grid in the drivers' order.

    The cars see and meet each other. Of two that touch, the hind one is at fault.

    Args:
        drivers: Who races, each with its own sensors and actions, or a pilot that needs none.
        track: A shipped track's name, or a YAML file.
        race: The rules.
        seed: Seed of the first driver; the next have the numbers after it.
        car: Name of the preset of every car.

    Raises:
        RacerError: A track, car or number that cannot be used.
    """
    return _drive(drivers, track, race, seed, car, is_together=True)


def _drive(
    drivers: Sequence[Driver | Pilot],
    track: str,
    rules: RaceConfig,
    seed: int,
    car: str,
    is_together: bool = False,
) -> list[LapResult]:
    if seed < 0:
        raise ConfigError(f"seed: {seed}; it must be 0 or more")
    road, spec, n = load_track(track), car_named(car), len(drivers)
    generators = [np.random.default_rng(seed + k) for k in range(n)]
    race = Race(rules, [road], spec, n, is_together=is_together)
    try:
        carried = [driver.sensor if isinstance(driver, Driver) else () for driver in drivers]
        sensors = [make_sensors(sensor, spec, road, n, rules.walls) for sensor in carried]
        everyone = np.arange(n)
        race.start(everyone, generators)
        for suite in sensors:
            suite.start(everyone, race.draws.rows)
        seen = [suite.buffer(n) for suite in sensors]
        command, tapes = np.zeros((n, 2)), [_Tape(race, i) for i in range(n)]
        while (racing := np.flatnonzero(race.ending == Ending.RUNNING)).size:
            around = surroundings(race)
            for i in racing.tolist():
                sensors[i].observe(around, np.array([i]), seen[i])
                sight = of_car(seen[i], np.array([i]))
                try:
                    command[i] = tapes[i].command(drivers[i], sight, race, i)
                except EntryError as problem:
                    tapes[i].failure = problem
                    race.ending[i] = Ending.IMMOBILISED  # so that its race ends here
            race.step(command, generators)
            race.put_back(generators)
            for i in racing.tolist():
                tapes[i].add(race, i)
        is_alone = not is_together and rules.start == "line" and rules.start_offset == 0.0
        limit = limit_of(road, spec) if is_alone and rules.direction == "forward" else None
        return [tape.result(race, i, seed + i, limit) for i, tape in enumerate(tapes)]
    finally:
        race.world.close()


class _Tape:
    """What one car did, step by step."""

    def __init__(self, race: Race, car: int) -> None:
        self.failure: EntryError | None = None
        self._start = race.world.state.body[car].copy()
        self._actions: list[np.ndarray] = []
        self._body: list[np.ndarray] = []
        self._steering: list[float] = []
        self._time: list[float] = []
        self._command: list[np.ndarray] = []
        self._judged: list[tuple[float, int, int]] = []
        self._boxes: list[np.ndarray] = []

    def command(self, driver: Driver | Pilot, sight: Any, race: Race, car: int) -> np.ndarray:
        """What the driver asks for now, (2,); it is kept as the driver said it."""
        if not isinstance(driver, Driver):
            self._actions.append(driver.command(race.world.state, race.place, car))
            return self._actions[-1]
        action = driver.policy(sight)
        command = driver.actions.command(action)[0]
        self._actions.append(np.array(action[0]))
        return command

    def add(self, race: Race, car: int) -> None:
        """Keep what the step came to, unless the driver had failed before it."""
        if self.failure:
            return
        state = race.world.state
        self._body.append(state.body[car].copy())
        self._steering.append(float(state.steering[car]))
        self._time.append(float(race.time[car]))
        self._command.append(state.command[car].copy())
        judged = race.progress[car], race.wheels_on_road[car], race.fault[car]
        self._judged.append((float(judged[0]), int(judged[1]), int(judged[2])))
        self._boxes.append(race.world.boxes[car].copy())

    def result(self, race: Race, car: int, seed: int, limit: Limit | None) -> LapResult:
        progress, wheels, fault = np.array(self._judged).reshape(-1, 3).T
        return LapResult(
            track=race.tracks[0].name,
            seed=seed,
            laps=race.config.laps,
            laps_completed=int(race.laps[car]),
            lap_times_s=list(race.lap_times[car]),
            sector_times_s=[list(times) for times in race.sector_times[car]],
            off_tracks=int(race.off_tracks[car]),
            collisions=int(race.collisions[car]),
            resets=int(race.resets[car]),
            distance=float(race.distance[car]),
            ending=self._ending(race, car),
            start=self._start,
            actions=np.array(self._actions),
            body=np.array(self._body).reshape(-1, 13),
            steering=np.array(self._steering),
            time=np.array(self._time),
            command=np.array(self._command),
            progress=progress,
            wheels_on_road=wheels.astype(int),
            fault=fault.astype(int),
            boxes=np.array(self._boxes),
            colours=race.colours[car],
            limit=limit,
            failure=str(self.failure or ""),
        )

    def _ending(self, race: Race, car: int) -> str:
        if self.failure:
            return FAILURES.get(self.failure.code, "policy_crash")
        return Ending(int(race.ending[car])).name.lower()


def house_pilot(name: str, track: str, race: RaceConfig, car: str = "deepracer") -> Pilot:
    """A pilot by its name, on the track in the direction that it is raced; see `racer.pilot`."""
    road = load_track(track)
    road = road.reversed() if race.direction == "reverse" else road
    return pilot_named(name, road, car_named(car))


def judge_pilot(
    pilot: Pilot, track: str, race: RaceConfig, seed: int = 0, car: str = "deepracer"
) -> LapResult:
    """Drive one race of a pilot alone; see `judge`."""
    return _drive([pilot], track, race, seed, car)[0]


def judge_entry(entry: Entry, track: str, race: RaceConfig, seed: int = 0) -> LapResult:
    """Drive an entry's policy by onnxruntime; see `judge`."""
    manifest = entry.manifest
    policy = OnnxPolicy(entry)
    return judge(policy, manifest.sensor, manifest.actions, track, race, seed, manifest.car)


def in_process(entry: Entry) -> AbstractContextManager[Policy]:
    """An entry's policy in this process, with its rights."""
    return nullcontext(OnnxPolicy(entry))


def judge_entries(
    entries: Sequence[Entry | str],
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
    policy_of: Callable[[Entry], AbstractContextManager[Policy]] = in_process,
) -> list[LapResult]:
    """Drive entries' policies, and pilots by their names, in one race; see `judge_together`.

    The cars are those of the entries; where none races, `car` is every pilot's.

    Args:
        entries: Who races.
        track: A shipped track's name, or a YAML file.
        race: The rules.
        seed: Seed of the first driver; the next have the numbers after it.
        car: The car where only pilots race.
        policy_of: Opens an entry's policy for the race: `in_process`, or `BoxedPolicy`, which
            gives the same actions from a process that can reach nothing.
    """
    packages = [entry for entry in entries if not isinstance(entry, str)]
    cars = {entry.manifest.car for entry in packages} or {car}
    if len(cars) > 1:
        raise ConfigError(f"cars of one race must be alike; these drive {', '.join(sorted(cars))}")
    car = cars.pop()
    with ExitStack() as opened:
        drivers = [
            house_pilot(entry, track, race, car)
            if isinstance(entry, str)
            else Driver(
                opened.enter_context(policy_of(entry)),
                entry.manifest.sensor,
                entry.manifest.actions,
            )
            for entry in entries
        ]
        if len(drivers) == 1:
            return _drive(drivers, track, race, seed, car)
        return judge_together(drivers, track, race, seed, car)


def home_race(racer: Entry | str) -> RaceConfig:
    """The race that an entry was trained in, its kind and its walls; a pilot has an empty road."""
    if isinstance(racer, str):
        return RaceConfig()
    manifest = racer.manifest
    kinds = {env.rpartition("-v")[0]: kind for kind, env in ENV_IDS.items()}
    kind = kinds.get(manifest.env.rpartition("-v")[0], "time_trial")
    fields = {"kind": kind, "walls": manifest.trained_on.walls}
    return validate(fields, RaceConfig, "manifest")


def race_rules(
    laps: int,
    off_track_penalty: float = 3.0,
    time_limit: float | None = None,
    like: RaceConfig | None = None,
) -> RaceConfig:
    """A race from the start line, in which a fault costs a penalty and goes on.

    Args:
        laps: Laps to complete.
        off_track_penalty: Seconds that a fault costs which is no crash.
        time_limit: Seconds until it ends anyway; a minute a lap if not given.
        like: Where kind, objects, walls, direction and collision penalty come from.

    Raises:
        ConfigError: A number is out of its range.
    """
    rules = (like or RaceConfig()).model_dump() | {
        "laps": laps,
        "start": "line",
        "start_offset": 0.0,
        "faults": "reset",
        "off_track_penalty": off_track_penalty,
        "time_limit": 60.0 * laps if time_limit is None else time_limit,
    }
    return validate(rules, RaceConfig, "race")

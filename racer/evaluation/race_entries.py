"""Races of entries and of pilots by their names, and the rules that they race by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

from racer.assets.document import validate_document
from racer.car.spec import car_named
from racer.controllers import Controller, make_controller
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import Entry
from racer.errors import ConfigError
from racer.evaluation.evaluate import Driver, Policy, evaluate_alone, evaluate_drivers
from racer.evaluation.lap_result import LapResult
from racer.race import RaceConfig
from racer.registration import ENV_IDS
from racer.track import load_track


def controller_for(name: str, track: str, race: RaceConfig, car: str = "deepracer") -> Controller:
    """Return the controller of that name for the track as it is raced; see `racer.controllers`."""
    road = load_track(track)
    road = road.reversed() if race.direction == "reverse" else road
    return make_controller(name, road, car_named(car))


def evaluate_controller(
    pilot: Controller, track: str, race: RaceConfig, seed: int = 0, car: str = "deepracer"
) -> LapResult:
    """Drive one race of a pilot alone; see `judge`."""
    return evaluate_drivers([pilot], track, race, seed, car)[0]


def judge_entry(entry: Entry, track: str, race: RaceConfig, seed: int = 0) -> LapResult:
    """Drive an entry's policy by onnxruntime; see `judge`."""
    manifest = entry.manifest
    policy = OnnxPolicy(entry)
    return evaluate_alone(
        policy, manifest.sensor, manifest.actions, track, race, seed, manifest.car
    )


def policy_in_process(entry: Entry) -> AbstractContextManager[Policy]:
    """An entry's policy in this process, with its rights."""
    return nullcontext(OnnxPolicy(entry))


def evaluate_entries(
    entries: Sequence[Entry | str],
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
    policy_of: Callable[[Entry], AbstractContextManager[Policy]] = policy_in_process,
) -> list[LapResult]:
    """Drive entries' policies, and pilots by their names, in one race; see `judge_together`.

    The cars are those of the entries; where none races, `car` is every pilot's.

    Args:
        entries: Who races. track: A shipped track's name, or a YAML file. race: The rules. seed:
        Seed of the first driver; the next have the numbers after it. car: The car where only pilots
        race. policy_of: Opens an entry's policy for the race: `policy_in_process`, or
        `BoxedPolicy`, which
            gives the same actions from a process that can reach nothing.
    """
    packages = [entry for entry in entries if not isinstance(entry, str)]
    cars = {entry.manifest.car for entry in packages} or {car}
    if len(cars) > 1:
        raise ConfigError(f"cars of one race must be alike; these drive {', '.join(sorted(cars))}")
    car = cars.pop()
    with ExitStack() as opened:
        drivers = [
            controller_for(entry, track, race, car)
            if isinstance(entry, str)
            else Driver(
                opened.enter_context(policy_of(entry)),
                entry.manifest.sensor,
                entry.manifest.actions,
            )
            for entry in entries
        ]
        return evaluate_drivers(drivers, track, race, seed, car, is_together=len(drivers) > 1)


def race_of_training(racer: Entry | str) -> RaceConfig:
    """The race that an entry was trained in, its kind and its walls; a pilot has an empty road."""
    if isinstance(racer, str):
        return RaceConfig()
    manifest = racer.manifest
    kinds = {env.rpartition("-v")[0]: kind for kind, env in ENV_IDS.items()}
    kind = kinds.get(manifest.env.rpartition("-v")[0], "time_trial")
    fields = {"kind": kind, "walls": manifest.trained_on.walls}
    return validate_document(fields, RaceConfig, "manifest")


def make_race_rules(
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
    return validate_document(rules, RaceConfig, "race")

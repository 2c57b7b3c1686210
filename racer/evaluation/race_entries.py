"""Races of entries and of baseline controllers, and the rules of such races."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

from racer.assets.document import validate_document
from racer.car.spec import car_named
from racer.controllers import Controller, make_controller
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import Entry
from racer.errors import ConfigError
from racer.evaluation.evaluate import Driver, Policy, evaluate_drivers
from racer.evaluation.lap_result import LapResult
from racer.race import RaceConfig
from racer.registration import ENV_IDS
from racer.track import load_track


def controller_for(name: str, track: str, race: RaceConfig, car: str = "deepracer") -> Controller:
    """Return a baseline controller for a track in the direction of a race.

    Args:
        name: Name of the controller; see `racer.controllers`.
        track: A shipped track's name, or a YAML file.
        race: The race, which says the direction.
        car: Name of the car's preset.

    Raises:
        RacerError: The controller, track or car is unknown.
    """
    road = load_track(track)
    road = road.reversed() if race.direction == "reverse" else road
    return make_controller(name, road, car_named(car))


def evaluate_controller(
    controller: Controller, track: str, race: RaceConfig, seed: int = 0, car: str = "deepracer"
) -> LapResult:
    """Return the result of one race that a controller drives alone.

    Args:
        controller: The controller.
        track: A shipped track's name, or a YAML file.
        race: The rules.
        seed: Seed of the environment.
        car: Name of the car's preset.
    """
    return evaluate_drivers([controller], track, race, seed, car)[0]


def policy_in_process(entry: Entry) -> AbstractContextManager[Policy]:
    """Return an entry's policy that runs in this process, without a sandbox."""
    return nullcontext(OnnxPolicy(entry))


def driver_of(entry: Entry, policy: Policy) -> Driver:
    """Return an entry's policy with the entry's sensors and actions."""
    return Driver(policy, entry.manifest.sensor, entry.manifest.actions)


def evaluate_entries(
    entries: Sequence[Entry | str],
    track: str,
    race: RaceConfig,
    seed: int = 0,
    car: str = "deepracer",
    policy_of: Callable[[Entry], AbstractContextManager[Policy]] = policy_in_process,
) -> list[LapResult]:
    """Return the results of one race of entries and baseline controllers.

    Several race each other from a grid in their order. All drive the car of the entries.

    Args:
        entries: The entries, and names of baseline controllers.
        track: A shipped track's name, or a YAML file.
        race: The rules.
        seed: Seed of the first driver; the next have the numbers after it.
        car: Name of the car's preset, used if only baseline controllers race.
        policy_of: Opens an entry's policy for the race: `policy_in_process`, or
            `SandboxedPolicy`, which returns the same actions from an isolated process.

    Raises:
        RacerError: The entries drive different cars, or something cannot be used.
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
            else driver_of(entry, opened.enter_context(policy_of(entry)))
            for entry in entries
        ]
        return evaluate_drivers(drivers, track, race, seed, car, is_together=len(drivers) > 1)


def race_of_training(racer: Entry | str) -> RaceConfig:
    """Return a race of the kind, and with the walls, that an entry was trained in.

    The race of a baseline controller is a time trial without walls.
    """
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
    """Return the rules of a race from the start line in which a fault costs a penalty.

    Args:
        laps: Laps to complete.
        off_track_penalty: Penalty of a fault that is no crash [s].
        time_limit: Time limit [s]; a minute for each lap by default.
        like: A race whose kind, obstacles, walls, direction and collision penalty are taken.

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

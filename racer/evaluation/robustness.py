"""How a policy stands what differs from car to car: races at both ends of each drawn quantity."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from racer.entries.onnx_policy import OnnxPolicy
from racer.errors import ConfigError
from racer.evaluation.evaluate import evaluate_drivers
from racer.evaluation.lap_result import LapResult
from racer.evaluation.race_entries import controller_for, driver_of
from racer.randomisation import DRAWN_QUANTITIES, NO_RANDOMISATION, Randomisation
from racer.tables import FittedTable, TableColumn, decimal_cell

if TYPE_CHECKING:
    from racer.entries.package import Entry
    from racer.race import RaceConfig

ALL_DRAWN, NOMINAL = "all drawn", "nothing drawn"
"""The rows in which no quantity is held at an end."""
CAMERA_QUANTITIES = (
    *("camera_forward", "camera_left", "camera_up", "camera_roll", "camera_pitch", "camera_yaw"),
    *("field_of_view", "brightness", "contrast", "red", "green", "blue", "pixel_noise", "blur"),
)
"""The quantities that a car without a camera does not notice."""


class RobustnessRow(NamedTuple):
    """Races in which one quantity is held at one end of its range and all others are drawn.

    Attributes:
        quantity: The quantity, `ALL_DRAWN`, or `NOMINAL`.
        value: What it is held at; None if nothing is held.
        results: One result for each race. Races of the same number have the same draws in every
            row, but for the quantity that is held.
    """

    quantity: str
    value: float | None
    results: list[LapResult]

    def as_dict(self) -> dict[str, Any]:
        """Return the row's figures.

        Returns:
            `quantity`, `value`, `races`, `laps` (wanted), `laps_completed`, `resets` (how often
            the car was put back), and `x_limit` and `x_limit_worst`, the median and the largest of
            lap time over the minimum lap time of the car as it is, of the races that were
            completed; None if there is none.
        """
        shares = [one.x_limit for one in self.results if one.x_limit]
        return {
            "quantity": self.quantity,
            "value": self.value,
            "races": len(self.results),
            "laps": sum(one.laps for one in self.results),
            "laps_completed": sum(one.laps_completed for one in self.results),
            "resets": sum(one.resets for one in self.results),
            "x_limit": median(shares) if shares else None,
            "x_limit_worst": max(shares, default=None),
        }


def quantities_noticed(racer: Entry | str, randomisation: Randomisation) -> list[str]:
    """Return the quantities that differ from episode to episode and that a car's driving notices.

    Args:
        racer: The entry, or a baseline controller's name; the latter has no sensors.
        randomisation: The ranges.
    """
    kinds = set() if isinstance(racer, str) else {one.kind for one in racer.manifest.sensor}
    unnoticed = set() if kinds else {"dropped_frames"}
    if not kinds & {"camera", "left_camera", "stereo"}:
        unnoticed.update(CAMERA_QUANTITIES)
    if not any(kind.endswith("lidar") for kind in kinds):
        unnoticed.add("lidar_noise")
    ranges = {name: getattr(randomisation, name) for name in DRAWN_QUANTITIES}
    return [name for name, (low, high) in ranges.items() if low < high and name not in unnoticed]


def evaluate_robustness(
    racer: Entry | str,
    randomisation: Randomisation,
    track: str,
    rules: RaceConfig,
    races: int = 20,
    seed: int = 1000,
) -> Iterator[RobustnessRow]:
    """Yield the races with all quantities drawn, with none, and with each at both of its ends.

    Args:
        racer: The entry, or a baseline controller's name.
        randomisation: The ranges.
        track: A shipped track's name, or a YAML file.
        rules: The race.
        races: Number of races in each row.
        seed: Seed of the first race; the next have the numbers after it.

    Raises:
        RacerError: There are no races, or something cannot be used.
    """
    if races < 1:
        raise ConfigError(f"races: {races}; it must be 1 or more")
    car = "deepracer" if isinstance(racer, str) else racer.manifest.car
    drivers = [
        controller_for(racer, track, rules, car)
        if isinstance(racer, str)
        else driver_of(racer, OnnxPolicy(racer))
        for _ in range(races)
    ]

    def row(quantity: str, value: float | None, ranges: Randomisation) -> RobustnessRow:
        driven = evaluate_drivers(drivers, track, rules, seed, car, randomisation=ranges)
        return RobustnessRow(quantity, value, driven)

    yield row(ALL_DRAWN, None, randomisation)
    yield row(NOMINAL, None, NO_RANDOMISATION)
    for name in quantities_noticed(racer, randomisation):
        for end in getattr(randomisation, name):
            yield row(name, end, randomisation.model_copy(update={name: (end, end)}))


def robustness_table(rows: list[RobustnessRow]) -> FittedTable:
    """Return a table with a line for each row, the rows without a held quantity in bold."""
    first = rows[0]
    shown = FittedTable(
        TableColumn("quantity", "left", least=12),
        *(TableColumn(heading) for heading in ("held at", "laps", "put back", "x limit")),
        TableColumn("slowest", drop=1),
        title=f"{len(first.results)} races of {first.results[0].laps} laps on "
        f"{first.results[0].track} in each line; what is not held is drawn",
    )
    for one in rows:
        told = one.as_dict()
        shown.add_row(
            one.quantity,
            "" if one.value is None else f"{one.value:g}",
            f"{told['laps_completed']}/{told['laps']}",
            str(told["resets"] or ""),
            *(decimal_cell(told[name]) for name in ("x_limit", "x_limit_worst")),
            style="bold" if one.value is None else "",
        )
    return shown

"""The report of a car's checks: a table for the terminal and a dict for a program."""

from __future__ import annotations

from typing import Any

from racer.car.spec import CarSpec
from racer.tables import FittedTable, TableColumn
from racer.validation import closed_forms
from racer.validation.checks import VehicleCheck

STD_MISSING_NOTE = (
    "gate 5 left out: it needs commonroad-vehicle-models (pip install commonroad-vehicle-models)"
)
"""What the table says if the STD model is not installed."""


def vehicle_report_table(spec: CarSpec, checks: list[VehicleCheck]) -> FittedTable:
    """Return a table of the checks for the terminal; its title says how many gates hold."""
    shown = FittedTable(
        TableColumn("", "left", drop=4),
        TableColumn("quantity", "left", least=24, wraps=True),
        TableColumn("reference", drop=3),
        TableColumn("measured"),
        TableColumn("difference", drop=1),
        TableColumn("gate", drop=2),
        TableColumn("", "left"),
        title=vehicle_verdict(spec, checks),
        caption="" if closed_forms.has_single_track_drift() else STD_MISSING_NOTE,
    )
    for check in checks:
        mark = "" if check.limit is None else "pass" if check.is_passed else "MISSED"
        shown.add_row(
            str(check.gate),
            f"{check.quantity} [{check.unit}]".replace(" []", ""),
            _number(check.reference),
            _number(check.measured),
            _difference(check),
            _limit(check),
            mark,
            style="bold red" if mark == "MISSED" else "",
        )
    return shown


def vehicle_verdict(spec: CarSpec, checks: list[VehicleCheck]) -> str:
    """Return one sentence: how many checks hold, or how many are missed."""
    gated = [check for check in checks if check.limit is not None]
    missed = sum(not check.is_passed for check in gated)
    if missed:
        return f"{spec.name}: {missed} of {len(gated)} checks MISSED"
    return f"{spec.name}: all {len(gated)} checks hold"


def vehicle_report_dict(spec: CarSpec, checks: list[VehicleCheck]) -> dict[str, Any]:
    """Return `car`, `is_passed`, `has_std` (whether gate 5 was run) and the list `checks`."""
    return {
        "car": spec.name,
        "is_passed": all(check.is_passed for check in checks),
        "has_std": closed_forms.has_single_track_drift(),
        "checks": [check.as_dict() for check in checks],
    }


def _number(value: float) -> str:
    return "0" if abs(value) < 1e-8 else f"{value:.4g}"


def _difference(check: VehicleCheck) -> str:
    if check.is_relative:
        return f"{100.0 * check.difference:+.2f} %"
    return _number(check.difference)


def _limit(check: VehicleCheck) -> str:
    if check.limit is None:
        return "-"
    if check.is_relative:
        return f"{100.0 * check.limit:g} %"
    return f"{check.limit:g}"

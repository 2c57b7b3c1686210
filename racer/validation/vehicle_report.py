"""What the proving ground says about a car: a table for a person, a document for a program."""

from __future__ import annotations

from typing import Any

from racer.car.spec import CarSpec
from racer.tables import Column, FittedTable
from racer.validation import closed_forms
from racer.validation.checks import Check

WITHOUT_STD = (
    "gate 5 left out: it wants commonroad-vehicle-models (pip install commonroad-vehicle-models)"
)


def table(spec: CarSpec, checks: list[Check]) -> FittedTable:
    """The checks for a person; the title says how many gates hold."""
    shown = FittedTable(
        Column("", "left", drop=4),
        Column("quantity", "left", least=24, wraps=True),
        Column("reference", drop=3),
        Column("measured"),
        Column("difference", drop=1),
        Column("gate", drop=2),
        Column("", "left"),
        title=verdict(spec, checks),
        caption="" if closed_forms.has_single_track_drift() else WITHOUT_STD,
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


def verdict(spec: CarSpec, checks: list[Check]) -> str:
    """One sentence: how many gates hold, or how many were missed."""
    gated = [check for check in checks if check.limit is not None]
    missed = sum(not check.is_passed for check in gated)
    if missed:
        return f"{spec.name}: {missed} of {len(gated)} checks MISSED"
    return f"{spec.name}: all {len(gated)} checks hold"


def as_dict(spec: CarSpec, checks: list[Check]) -> dict[str, Any]:
    """`car`, `is_passed`, `has_std` (whether gate 5 was run), and `checks`, a row each."""
    return {
        "car": spec.name,
        "is_passed": all(check.is_passed for check in checks),
        "has_std": closed_forms.has_single_track_drift(),
        "checks": [check.as_dict() for check in checks],
    }


def _number(value: float) -> str:
    return "0" if abs(value) < 1e-8 else f"{value:.4g}"


def _difference(check: Check) -> str:
    if check.is_relative:
        return f"{100.0 * check.difference:+.2f} %"
    return _number(check.difference)


def _limit(check: Check) -> str:
    if check.limit is None:
        return "-"
    if check.is_relative:
        return f"{100.0 * check.limit:g} %"
    return f"{check.limit:g}"

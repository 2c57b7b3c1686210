"""The report of a car: a table, JSON, and plots."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from PIL import Image
from rich.console import Console

from racer import cli
from racer.car.spec import CAR_PRESETS, car_named, deepracer
from racer.validation import checks, closed_forms, manoeuvre_plots, vehicle_report
from racer.validation.checks import VehicleCheck

SPEC = deepracer()

CHECKS = [
    VehicleCheck(3, "distance", "m", 2.0, 2.03, 0.02),
    VehicleCheck(3, "drift", "m", 0.0, 0.0, 1e-6, is_relative=False),
    VehicleCheck(2, "peak", "m/s^2", 10.0, 9.0, None),
]


def printed(checks: list[VehicleCheck]) -> str:
    out = io.StringIO()
    console = Console(width=120, file=out)
    console.print(vehicle_report.vehicle_report_table(SPEC, checks))
    return out.getvalue()


@pytest.fixture
def driven(monkeypatch):
    """Stand-ins for the gates, so that a report takes no time."""
    monkeypatch.setattr(checks, "run_vehicle_checks", lambda spec: CHECKS)


def test_a_row_shows_reference_measured_difference_gate_and_verdict():
    (row,) = [line for line in printed(CHECKS).splitlines() if "distance" in line]
    cells = re.split(r"\s{2,}", row.strip())
    assert cells == ["3", "distance [m]", "2", "2.03", "+1.50 %", "2 %", "pass"]


def test_a_row_that_only_informs_has_no_verdict():
    (row,) = [line for line in printed(CHECKS).splitlines() if "peak" in line]
    assert "pass" not in row
    assert "MISSED" not in row


def test_the_title_says_how_many_checks_hold_or_were_missed():
    assert "all 2 checks hold" in printed(CHECKS)
    missed = printed([*CHECKS, replace(CHECKS[0], limit=0.01)])
    assert "1 of 3 checks MISSED" in missed
    assert missed.count("MISSED") == 2


@pytest.mark.needs("vehiclemodels")
def test_a_report_without_the_std_model_says_so_in_one_line(monkeypatch):
    assert "gate 5 left out" not in printed(CHECKS)
    monkeypatch.setattr(closed_forms, "has_single_track_drift", lambda: False)
    assert "gate 5 left out: it needs commonroad-vehicle-models" in printed(CHECKS)


@pytest.mark.usefixtures("driven")
def test_the_command_prints_the_checks_as_json(capsys):
    cli.main(["car", "report", "--car", "f1tenth", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["car"] == "f1tenth"
    assert said["is_passed"] is True
    assert said["checks"][0]["difference"] == pytest.approx(0.015)


def test_a_missed_gate_is_said_and_the_command_still_succeeds(capsys, monkeypatch):
    monkeypatch.setattr(checks, "run_vehicle_checks", lambda spec: [replace(CHECKS[0], limit=0.01)])
    cli.main(["car", "report"])
    assert "1 of 1 checks MISSED" in capsys.readouterr().out


def test_an_unknown_car_is_refused_with_the_near_one(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["car", "report", "--car", "f1tent"])
    assert stop.value.code == 2
    assert "did you mean 'f1tenth'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", CAR_PRESETS)
def test_every_plot_is_drawn(name, tmp_path):
    paths = manoeuvre_plots.plot_all_manoeuvres(car_named(name), tmp_path / "new")
    assert [path.stem.removeprefix(f"{name}_") for path in paths] == [
        "skid_pad",
        "step_steer",
        "coast_down",
        "braking",
        "friction_ellipse",
        "understeer",
    ]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            colours = picture.convert("RGB").getcolors(1 << 24) or []
            assert tuple(int(manoeuvre_plots.CAR[i : i + 2], 16) for i in (1, 3, 5)) in {
                colour for _, colour in colours
            } or path.stem.endswith("ellipse")


@pytest.mark.usefixtures("driven")
def test_the_command_writes_the_plots_it_names(capsys, monkeypatch, tmp_path):
    name = "plot_all_manoeuvres"
    monkeypatch.setattr(manoeuvre_plots, name, lambda spec, folder: [folder / "a.png"])
    cli.main(["car", "report", "--out", str(tmp_path)])
    assert f"plot: {tmp_path / 'a.png'}" in capsys.readouterr().out.replace("\n", "")

"""A row is measured from each seed, added to its files, and not measured twice."""

import csv
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

from racer.benchmark import result_files, rows
from racer.benchmark.page import page_with_tables, plot_learning_curves, results_markdown
from racer.benchmark.result_files import ResultFiles
from racer.benchmark.rows import BENCHMARK_TRACKS, BenchmarkRow
from racer.benchmark.seed_result import CurvePoint, SeedResult
from racer.cli import main
from racer.errors import RacerError
from tests.helpers.runs import TINY

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "benchmarks.md").read_text(encoding="utf-8")


def columns(kind: type[SeedResult] | type[CurvePoint]) -> list[str]:
    return [one.name for one in fields(kind)]


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A row of 256 steps from the state."""
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY))
    monkeypatch.setattr(rows, "BENCHMARK_ROWS", (BenchmarkRow("tiny", "bowtie", str(config)),))
    return "tiny-bowtie"


def test_a_pilot_races_once_and_its_line_has_the_documented_columns(tmp_path, capsys):
    path = tmp_path / "deep/mine.csv"
    main(["benchmark", "pure-pursuit-bowtie", "--seeds", "3", "4", "--csv", str(path)])
    said = capsys.readouterr().out
    (line,) = lines_of(path)
    assert list(line) == columns(SeedResult)
    assert (line["row"], line["seed"], line["laps_completed"]) == ("pure-pursuit-bowtie", "0", "3")
    assert float(line["x_limit"]) == pytest.approx(1.83, abs=0.01)
    assert "1.831" in said
    assert lines_of(tmp_path / "deep/mine-curves.csv") == []


@pytest.mark.slow
def test_a_trained_row_has_a_line_for_each_seed_and_each_evaluation(tmp_path, tiny, capsys):
    path = tmp_path / "mine.csv"
    main(["benchmark", tiny, "--seeds", "1", "0", "--csv", str(path), "--quiet", "--json"])
    told = json.loads(capsys.readouterr().out)
    results, curves = lines_of(path), lines_of(tmp_path / "mine-curves.csv")
    assert list(curves[0]) == columns(CurvePoint)
    assert [(one["seed"], one["steps"]) for one in results] == [("0", "256"), ("1", "256")]
    assert [(one["seed"], one["steps"]) for one in curves] == [
        ("0", "128"),
        ("0", "256"),
        ("1", "128"),
        ("1", "256"),
    ]
    assert all(float(one["processor_s"]) > 0.0 for one in results)
    assert [one["seed"] for one in told["seeds"]] == [1, 0]
    assert (told["total"]["seeds"], told["total"]["laps"]) == (2, 6)
    assert len(told["curves"]) == 4


def test_a_seed_that_is_in_the_file_is_not_measured_again(tmp_path, monkeypatch, capsys):
    measured = []

    def measure(row: BenchmarkRow, seed: int, console: object) -> tuple:
        measured.append(seed)
        known = ResultFiles(DOCS / "benchmarks.csv").read()[0][0]
        point = CurvePoint(row.name, seed, 100, 3, 0, 0, 1.5, None)
        return replace(known, row=row.name, seed=seed), [point]

    monkeypatch.setattr(result_files, "measure_seed", measure)
    for seeds in (("0", "2"), ("0", "1", "2")):
        path = str(tmp_path / "mine.csv")
        main(["benchmark", "state-bowtie", "--seeds", *seeds, "--csv", path, "--json"])
        told = json.loads(capsys.readouterr().out)
        assert [one["seed"] for one in told["curves"]] == [*map(int, seeds)]
    assert measured == [0, 2, 1]
    assert [one["seed"] for one in lines_of(tmp_path / "mine.csv")] == ["0", "1", "2"]


def test_what_is_written_is_read_back_and_other_columns_are_refused(tmp_path):
    files = ResultFiles(tmp_path / "mine.csv")
    assert files.read() == ([], [])
    known = ResultFiles(DOCS / "benchmarks.csv").read()[0][0]
    lost = replace(known, total_time_s=None, x_limit=None, best_lap_s=None, machine='a "b", c')
    point = CurvePoint(known.row, known.seed, 100, 3, 0, 2, 1.5, None)
    files.add(known, [])
    files.add(lost, [point])
    assert files.read() == ([lost], [point])
    files.curves.write_text("row,seed\nfast-bowtie,0\n")
    with pytest.raises(RacerError, match="its columns are row, seed; wanted are row, seed, steps"):
        files.read()


def test_what_cannot_be_written_or_measured_is_refused_before_anything_is_trained(
    tmp_path, monkeypatch, capsys, subtests
):
    monkeypatch.setattr(result_files, "measure_seed", None)  # A training would be a TypeError.
    (tmp_path / "file").write_text("")
    for words, said in {
        ("--csv", str(tmp_path)): "cannot be read",
        ("--csv", str(tmp_path / "file/mine.csv")): "cannot be written",
        ("--seeds",): "--seeds: no seed; name one or more",
    }.items():
        with subtests.test(words=words):
            with pytest.raises(SystemExit):
                main(["benchmark", "state-bowtie", *words])
            assert said in capsys.readouterr().err


def test_the_tables_of_the_page_are_those_of_its_files():
    results, curves = ResultFiles(DOCS / "benchmarks.csv").read()
    assert page_with_tables(PAGE, results) == PAGE, "run python scripts/benchmarks_page.py"
    assert page_with_tables(PAGE, results[1:]) != PAGE
    # Each trained seed of the page has its curve, and no curve is left over.
    trained = {(one.row, one.seed) for one in results if one.algorithm != "pilot"}
    assert {(one.row, one.seed) for one in curves} == trained


def test_the_page_explains_every_column_and_shows_every_picture():
    first = re.findall(r"^\| (`.*?) \| (?:both|results|curves) \|", PAGE, re.MULTILINE)
    explained = re.findall(r"`(\w+)`", " ".join(first))
    assert set(explained) == {*columns(SeedResult), *columns(CurvePoint)}
    for track in BENCHMARK_TRACKS:
        assert f"](benchmarks/curves-{track}.png)" in PAGE
        assert (DOCS / f"benchmarks/curves-{track}.png").is_file()


def test_a_row_without_results_is_told_and_the_fastest_comes_first():
    results, _ = ResultFiles(DOCS / "benchmarks.csv").read()
    pilots = [one for one in results if one.algorithm == "pilot" and one.track == "bowtie"]
    text = results_markdown(pilots)
    listed = re.findall(r"^\| `(.+?)`", text, re.MULTILINE)
    assert listed == ["raceline-bowtie", "pure-pursuit-bowtie"]
    assert text.count("Not measured yet: ") == 3
    assert "`fast-bowtie`" in text


def test_a_curve_is_the_median_of_its_seeds():
    steps, limits = (1000, 2000), {0: (2.0, 1.4), 1: (None, 1.2), 2: (1.6, 1.1)}
    curves = [
        CurvePoint("fast-bowtie", seed, at, 3, 3 if value else 1, seed, 1.0, value)
        for seed, values in limits.items()
        for at, value in zip(steps, values)
    ]
    times, faults = plot_learning_curves(curves, "bowtie").axes
    line = times.get_lines()[0]
    assert line.get_xdata() == pytest.approx([1000, 2000])
    assert line.get_ydata() == pytest.approx([1.8, 1.2])
    assert faults.get_lines()[0].get_ydata() == pytest.approx([1.0, 1.0])

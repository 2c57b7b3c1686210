"""What a notebook shows of tracks, races and runs, and the notebooks of the docs."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot

import racer
from racer.assets import notebook, terminal
from racer.errors import RacerError, RunError
from racer.evaluation import LapResult
from racer.track import load_track
from racer.training.run_dir import Run
from racer.training.train import run_training
from racer.training.training_log import has_bar
from tests.helpers.runs import QUIET, chunked_config

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("docs/notebooks/*.ipynb"))
EVIL = '<script>"&'
SAFE = "&lt;script&gt;&#34;&amp;"


def shown(value) -> dict:
    """What a bare kernel, in which nobody said `%matplotlib inline`, shows of a cell's value."""
    return DisplayFormatter().format(value)[0]


@pytest.fixture(scope="module")
def race() -> LapResult:
    return racer.drive("raceline", "oval", laps=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return run_training(
        chunked_config(total_timesteps=256), tmp_path_factory.mktemp("runs") / "r", QUIET
    ).run


def test_a_track_is_a_line_of_text_and_a_table_with_a_picture():
    track = load_track("bowtie")
    assert repr(track) == "<Track bowtie: 19.2 m long, 0.85 m wide>"
    html = replace(track, name=EVIL, description=EVIL)._repr_html_()
    assert html.count(SAFE) == 2
    assert EVIL not in html
    assert "19.2 m" in html
    assert "<svg" in html


def test_a_result_is_a_line_of_text_and_a_table_with_its_line(race):
    lap = f"{race.best_lap_s:.2f}"
    assert repr(race).startswith(f"<LapResult oval: 1 of 1 laps in {lap} s, ")
    assert "\n" not in repr(race)
    html = shown(race)["text/html"]
    assert f"{lap} s" in html
    assert "raceline on oval" in html
    assert html.count("<path") > len(race.time) / 2
    named = replace(race, track=EVIL, failure=EVIL, scene=replace(race.scene, name=EVIL))
    assert named._repr_html_().count(SAFE) == 3
    assert EVIL not in named._repr_html_()


def test_a_result_without_a_scene_has_a_table_and_says_why_it_has_no_picture(race):
    bare = replace(race, scene=None)
    assert "<svg" not in bare._repr_html_()
    for look in (bare.plot, bare.video):
        with pytest.raises(RacerError, match="holds no scene to draw"):
            look()


def test_a_run_is_a_line_of_text_and_a_table_with_its_curve(run, tmp_path):
    assert repr(run) == f"Run('{run.folder}')"
    html = shown(run)["text/html"]
    assert "256 of 256" in html
    assert "finished" in html
    assert "<svg" in html
    assert "text/html" not in shown(Run(tmp_path / "gone"))


@pytest.mark.slow
def test_figures_show_once_each(race, run):
    pyplot.close("all")
    for figure in (race.plot(), run.plot(), load_track("oval").plot()):
        data = shown(figure)
        assert data["image/png"].startswith(b"\x89PNG")
        assert len(data["image/png"]) < 80_000
    assert not pyplot.get_fignums(), "what pyplot knows is shown again at the cell's end"


@pytest.mark.slow
def test_a_race_is_filmed_into_the_page_or_into_a_file(race, tmp_path):
    video = race.video(size="160x120", rate=1.0)
    assert video.content[4:8] == b"ftyp"
    assert (video.path, video.suffix) == (None, ".mp4")
    assert (
        '<video controls loop muted playsinline src="data:video/mp4;base64,' in video._repr_html_()
    )
    assert video.save(tmp_path / "saved.mp4").read_bytes() == video.content
    still = race.video(tmp_path / "a&b.png", size="160x120")
    assert still.content == (tmp_path / "a&b.png").read_bytes()
    assert shown(still)["text/html"].startswith('<img alt="&lt;Video ')


def test_a_run_shows_its_newest_video(run, tmp_path):
    with pytest.raises(RunError, match="holds no video"):
        run.video()
    other = Run(tmp_path)
    (tmp_path / "videos").mkdir()
    for steps in (900, 1000):
        (tmp_path / f"videos/step-{steps}.mp4").write_text(str(steps))
    assert other.video().content == b"1000"


@pytest.mark.parametrize("has_widgets", [True, False])
def test_a_training_in_a_notebook_shows_a_bar_or_where_it_cannot_plain_lines(
    monkeypatch, has_widgets
):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(terminal, "has_widgets", lambda: has_widgets)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a kernel does
    file = io.StringIO()
    console = terminal.make_console(file=file)
    assert has_bar(console) is has_widgets
    if not has_widgets:
        console.print("[bold]a line[/bold]")
        assert file.getvalue() == "a line\n"


def test_widgets_are_looked_for_where_modules_are(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert not notebook.has_widgets()
    (tmp_path / "ipywidgets.py").touch()
    assert notebook.has_widgets()


def test_the_curve_s_points_are_means_of_as_many_episodes_each():
    from racer.training.run_history import CURVE_POINTS, training_curve

    episodes = [
        {"steps": k, "progress": 1.0 * k, "ending": "laps_complete" if k % 2 else "off_track"}
        | {"reward": -1.0 * k}
        for k in range(2 * CURVE_POINTS)
    ]
    means = training_curve(episodes[::-1])
    assert np.array_equal(means["steps"], 2 * np.arange(CURVE_POINTS) + 0.5)
    assert np.array_equal(means["reward"], -means["progress"])
    assert np.array_equal(means["laps"], np.full(CURVE_POINTS, 50.0))
    assert all(len(values) == 0 for values in training_curve([]).values())


def outputs(path):
    """Each code cell's kinds of outputs, by its id."""
    cells = nbformat.read(path, as_version=4).cells
    return {
        cell.id: [(one.output_type, sorted(one.get("data", ()))) for one in cell.outputs]
        for cell in cells
        if cell.cell_type == "code"
    }


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["train-and-race", "write-a-reward"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_of_the_docs_is_stored_with_what_its_cells_show(path):
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {cell.id for cell in stored.cells} & {"title", "train"} == {"title", "train"}
    told = [one for cell in code for one in cell.outputs]
    assert all(one.output_type != "error" and one.get("name") != "stderr" for one in told)
    text = path.read_text(encoding="utf-8")
    assert "image/png" in text
    assert not re.search(r"/(home|root|tmp|work)/|\\u001b", text)
    assert path.stat().st_size < 400_000


@pytest.mark.ci
@pytest.mark.slow(minutes=1)
def test_the_notebooks_of_the_docs_run_and_show_what_is_stored(tmp_path):
    script = ROOT / "scripts/notebooks.py"
    words = [sys.executable, str(script), "--short", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in NOTEBOOKS:
        assert outputs(tmp_path / path.name) == outputs(path), path

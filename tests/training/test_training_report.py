"""A run's report, from a run that was really driven."""

import io
import re
import shutil
from base64 import b64encode
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from racer.assets.document import validate_document
from racer.cli import main
from racer.errors import RunError
from racer.evaluation import LapResult
from racer.reward.reward_file import RewardSource
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.train import run_training
from racer.training.training_report import write_report
from racer.training.trajectories import load_trajectory, rewards_of_race
from tests.helpers.html import HOSTILE, Tags, assert_is_harmless

GRID = {"kind": "discrete", "choices": [[-30, 1.0], [0, 1.5], [30, 1.0]]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run<1>"
    fields = {
        "sensor": "state",
        "actions": GRID,
        "num_envs": 8,
        "total_timesteps": 1600,
        "network": {"hidden": [16]},
        "ppo": {"n_steps": 100, "batch_size": 400, "n_epochs": 1},
        "evaluation": {"eval_freq": 800, "laps": 1, "time_limit": 4.0, "video_freq": 0},
        "device": "cpu",
        "torch_threads": 1,
    }
    config = validate_document(fields, RunConfig, "test")
    result = run_training(config, folder, Console(file=io.StringIO()))
    return folder, config, result


class Page(HTMLParser):
    """Collects headings and what a page would load, and counts what is left open."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.loaded, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "path"):
            self.open.append(tag)
        self.loaded += [value for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_report_is_one_page_that_loads_nothing(run, tmp_path):
    text = write_report(run[0], tmp_path).read_text()
    page = Page(text)
    assert page.headings == [
        "Progress over training",
        "Reward over training",
        "Progress of the episodes",
        "Where cars leave the road",
        "Driven line by speed",
        "Driven line by reward",
        "Use of the actions",
        "Video of a lap",
        "What it looks at",
        "Best laps by sector",
        "Checkpoints",
        "Reward",
    ]
    assert page.loaded == []
    assert page.open == []
    assert "<script" not in text
    assert "url(" not in text
    assert "run&lt;1&gt;" in text, "a folder's name is no markup"
    assert "nan" not in re.sub(r"<title>.*?</title>", "", text).lower()


def test_the_report_shows_the_rewards_text_escaped_and_whole(run, tmp_path):
    whole = shutil.copytree(run[0], tmp_path / "run")
    text = f"# {HOSTILE}\ndef reward_function(params):\n    return '</pre>' and 1.0\n"
    (whole / "reward.py").write_text(text)
    page = write_report(whole, tmp_path).read_text()
    assert_is_harmless(page)
    assert Tags(page).shows(text) == 1
    assert '<span class="k">return</span>' in page, "and highlighted"


def test_a_reward_that_cannot_be_read_hides_no_other_section(run, tmp_path):
    whole = shutil.copytree(run[0], tmp_path / "run")
    (whole / "reward.py").write_bytes(b"\xff\xfe\xff")
    page = write_report(whole, tmp_path).read_text()
    assert "reward.py cannot be read" in page
    assert "Checkpoints" in page


def test_a_run_without_a_video_says_so_and_how_to_film_it(run, tmp_path):
    page = write_report(run[0], tmp_path).read_text()
    assert "No evaluation of this run was filmed" in page
    assert "--film" in page
    assert "<video" not in page


def test_the_report_holds_the_best_evaluations_video_or_else_the_newest(run, tmp_path):
    whole = Run.open(shutil.copytree(run[0], tmp_path / "run"))
    best = int(whole.best().stem.removeprefix("step-"))
    other = {800: 1600, 1600: 800}[best]
    for steps, content, told in (
        (other, b"another film", f"The best one, after {best:,} steps, was not filmed"),
        (best, b"the film", f"of the best evaluation after {best:,} steps."),
    ):
        whole.video_path(steps).parent.mkdir(exist_ok=True)
        whole.video_path(steps).write_bytes(content)
        page = write_report(whole.folder, tmp_path).read_text()
        (source,) = [given["src"] for tag, given in Tags(page).tags if tag == "video"]
        assert source == f"data:video/mp4;base64,{b64encode(content).decode()}"
        assert told in page


@pytest.mark.slow
def test_the_best_evaluation_can_be_filmed_afterwards(run, tmp_path, capsys):
    whole = Run.open(shutil.copytree(run[0], tmp_path / "run"))
    main(["analyze", str(whole.folder), "--film"])
    films = list((whole.folder / "videos").iterdir())
    assert [film.stem for film in films] == [whole.best().stem]
    assert b"ftyp" in films[0].read_bytes()[:16]
    assert "<video" in (whole.folder / "report.html").read_text()
    films[0].write_bytes(b"kept")
    main(["analyze", str(whole.folder), "--film"])
    assert films[0].read_bytes() == b"kept"


@pytest.mark.slow
def test_the_report_shows_what_the_best_checkpoint_looks_at(run, tmp_path):
    whole = Run.open(shutil.copytree(run[0], tmp_path / "run"))
    assert "No lap was explained yet" in write_report(whole.folder, tmp_path).read_text()
    main(["analyze", str(whole.folder), "--out", str(tmp_path)])
    page = (tmp_path / "report.html").read_text()
    (source,) = [given["src"] for tag, given in Tags(page).tags if tag == "img"]
    assert (source or "").startswith("data:image/png;base64,")
    assert "car 5 cm left" in page and "state: " in page
    card = whole.explained_path(int(whole.best().stem.removeprefix("step-")))
    before = card.stat().st_mtime_ns
    main(["analyze", str(whole.folder), "--out", str(tmp_path)])
    assert card.stat().st_mtime_ns == before


def test_every_episode_is_recorded_with_its_end(run):
    folder, _, _ = run
    episodes = Run.open(folder).records("episodes")
    assert len(episodes) > 8
    line = load_track("bowtie")
    for one in episodes:
        assert one["ending"] == "off_track"
        place = line.locate(np.array(one["xy"]))
        assert abs(float(place.d)) > 0.2, "it ended beside the road"


def test_the_kept_line_is_the_evaluation_s(run):
    folder, config, result = run
    best = Run.open(folder).best()
    line = load_trajectory(Run.open(folder).line(int(best.stem.removeprefix("step-"))))
    assert np.allclose(line["xy"], result.best.xy, atol=1e-5)
    assert np.allclose(line["command"][:, 1], result.best.command[:, 1], atol=1e-6)
    assert np.isfinite(line["reward"]).all()
    assert config.reward == "progress"


def test_a_reward_that_raises_on_a_judged_line_is_left_out(run, tmp_path):
    _, _, result = run
    assert isinstance(result.best, LapResult)
    file = tmp_path / "late.py"
    file.write_text("def reward_function(params):\n    return 1 / max(0, 9 - params['steps'])\n")
    paid = rewards_of_race(
        result.best, load_track("bowtie"), "deepracer", RewardSource.read(file), False
    )
    assert np.isnan(paid).all()


def test_a_run_s_actions_can_be_taken_from_its_best_line(run, capsys):
    main(["actions", "--like", str(run[0]), "--count", "3"])
    assert "3 actions" in capsys.readouterr().out


def test_a_run_that_has_nothing_to_tell_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(RunError, match="no episode and no evaluation yet"):
        write_report(tmp_path, tmp_path)


@pytest.mark.slow
def test_a_report_replaces_a_report_and_no_page_of_a_person_s(run, tmp_path):
    folder, _, _ = run
    for _ in range(2):
        write_report(folder, tmp_path)
    (tmp_path / "report.html").write_text("<p>mine</p>")
    with pytest.raises(RunError, match=r"report\.html: cannot be written: .*another file is there"):
        write_report(folder, tmp_path)
    assert (tmp_path / "report.html").read_text() == "<p>mine</p>"

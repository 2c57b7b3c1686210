"""A run is followed over its own files, whoever trains it."""

import json

import pytest
import yaml

from racer.assets.document import validate_document
from racer.errors import RunError
from racer.studio import live_run
from racer.studio.live_run import FollowedRecords, LiveRun, log_tail
from racer.studio.run_folder import RunFolder, track_svg
from racer.training.config import RunConfig
from racer.training.run_dir import Run

EPISODE = {"reward": 2.0, "progress": 50.0, "ending": "off_track"}
EVALUATION = {
    "laps_completed": 1,
    "laps": 2,
    "best_lap_s": 7.5,
    "x_limit": 1.9,
    "distance_m": 20.0,
}


def write_run(folder):
    """A run's folder as a training leaves it that was killed."""
    (folder / "checkpoints").mkdir(parents=True)
    config = validate_document({"track": ["bowtie"], "total_timesteps": 1000}, RunConfig, "test")
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    (folder / "run.json").write_text(json.dumps({"config": "mine", "began": "2026-01-01"}))
    return Run.open(folder)


def add(path, *records):
    with path.open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in records)


def test_only_whole_lines_are_read_and_each_once(tmp_path):
    path = tmp_path / "a.jsonl"
    followed = FollowedRecords(path)
    assert not followed.read()
    path.write_text('{"n": 1}\n{"n": 2}\n{"n"')
    assert followed.read()
    assert [one["n"] for one in followed.records] == [1, 2]
    assert not followed.read()
    with path.open("a") as file:
        file.write(": 3}\n")
    assert followed.read()
    assert [one["n"] for one in followed.records] == [1, 2, 3]


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    followed = FollowedRecords(path)
    add(path, {"n": 1}, {"n": 2})
    followed.read()
    add(other, {"n": 3}, {"n": 4}, {"n": 5})
    other.replace(path)
    assert followed.read()
    assert [one["n"] for one in followed.records] == [3, 4, 5]
    path.write_text('{"n": 6}\n')
    assert followed.read()
    assert [one["n"] for one in followed.records] == [6]
    path.unlink()
    assert followed.read()
    assert followed.records == []


def test_a_line_that_is_not_json_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text("no\n")
    with pytest.raises(RunError, match=r"a\.jsonl: holds a line that is not JSON"):
        FollowedRecords(tmp_path / "a.jsonl").read()


def test_the_end_of_the_log_begins_with_a_whole_line(tmp_path, monkeypatch):
    path = tmp_path / "log.txt"
    assert log_tail(path) == ""
    path.write_text("first\nsecond\nthird\n")
    assert log_tail(path) == "first\nsecond\nthird\n"
    monkeypatch.setattr(live_run, "LOG_TAIL_BYTES", 9)
    assert log_tail(path) == "third\n"


def test_a_view_has_what_the_files_hold(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run")
    live = LiveRun(run)
    assert live.look().reward == []
    add(run.folder / "episodes.jsonl", {"steps": 400, **EPISODE})
    add(run.folder / "evaluations.jsonl", {"steps": 500, **EVALUATION})
    view = live.look()
    assert view.steps == 500
    assert view.reward == [(400, 2.0)]
    assert view.progress == [(400, 50.0)]
    assert view.evaluated == [(500, pytest.approx(61.0, abs=15.0))]
    assert view.laps == [(500, 7.5)]
    assert view.limit is not None
    assert 3.0 < view.limit < 5.0
    assert view.summary["state"] == "interrupted"
    assert view.steps_per_s is view.seconds_left is None


def test_the_speed_of_a_training_is_that_of_the_latest_looks(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run")
    live, clock = LiveRun(run), [0.0]
    monkeypatch.setattr(live_run.time, "monotonic", lambda: clock[0])
    with run.locked():
        for steps, rate, left in ((100, None, None), (300, 100.0, 7.0), (100, None, None)):
            add(tmp_path / "new", {"steps": steps, **EPISODE})
            (tmp_path / "new").replace(run.folder / "episodes.jsonl")
            view = live.look()
            assert (view.steps_per_s, view.seconds_left) == (rate, left)
            clock[0] += 2.0
    assert live.look().steps_per_s is None


def test_a_run_that_is_deleted_is_an_error(tmp_path):
    run = write_run(tmp_path / "run")
    live = LiveRun(run)
    (run.folder / "config.yaml").unlink()
    with pytest.raises(RunError, match="holds no run"):
        live.look()


def test_the_folder_lists_the_newest_run_first_and_a_broken_one_with_its_error(tmp_path):
    folder = RunFolder(tmp_path)
    assert RunFolder(tmp_path / "none").runs() == folder.runs() == []
    write_run(tmp_path / "old")
    new = write_run(tmp_path / "new")
    (new.folder / "run.json").write_text(json.dumps({"began": "2026-02-02"}))
    write_run(tmp_path / "broken")
    (tmp_path / "broken" / "config.yaml").write_text("track: [")
    found = folder.runs()
    assert [one.name for one in found] == ["new", "old", "broken"]
    assert [one.track for one in found] == ["bowtie", "bowtie", ""]
    assert "not valid YAML" in found[2].summary["error"]


def test_a_run_is_read_again_only_if_it_changed(tmp_path):
    folder, run = RunFolder(tmp_path), write_run(tmp_path / "run")
    (first,) = folder.runs()
    assert folder.runs()[0] is first
    run.set_note("fast")
    assert folder.runs()[0].summary["note"] == "fast"
    with run.locked():
        assert folder.runs()[0].summary["state"] == "running"
    assert folder.runs()[0].summary["state"] == "interrupted"


def test_no_name_leads_out_of_the_folder(tmp_path, subtests):
    write_run(tmp_path / "outside")
    write_run(tmp_path / "runs" / "inside")
    folder = RunFolder(tmp_path / "runs")
    assert folder.open("inside").folder == tmp_path / "runs" / "inside"
    for name in (
        "../outside",
        "..",
        "",
        ".",
        "/etc",
        "inside/../../outside",
        "a\0b",
        "..\\outside",
    ):
        with subtests.test(name=name), pytest.raises(RunError):
            folder.open(name)


def test_a_track_that_cannot_be_drawn_has_no_picture():
    assert "<svg" in (track_svg("bowtie") or "")
    assert track_svg("nowhere") is None

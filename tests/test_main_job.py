"""Train, export, race, submit, show: the whole path through the command line, in small."""

import json
import re

import pytest

from racer.cli import main
from racer.entries.package import read_entry
from tests.helpers.commands import printed
from tests.helpers.runs import SMALL


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a few thousand steps and its entry."""
    folder = tmp_path_factory.mktemp("main_job")
    config = folder / "small.yaml"
    config.write_text(json.dumps(SMALL))
    words = ["--num-envs", "16", "--total-timesteps", "4096", "--ppo.learning-rate", "1e-3"]
    main(["train", str(config), "--run", str(folder / "run"), *words])
    main(["export", str(folder / "run"), "--out", str(folder / "car.entry.zip"), "--name", "small"])
    return folder


def test_overrides_reach_the_run(trained):
    from racer.training.run_dir import Run

    config = Run.open(trained / "run").config()
    assert (config.num_envs, config.total_timesteps, config.ppo.learning_rate) == (16, 4096, 1e-3)


def test_the_same_export_gives_the_same_bytes(trained):
    again = trained / "again.entry.zip"
    main(["export", str(trained / "run"), "--out", str(again), "--name", "small"])
    assert again.read_bytes() == (trained / "car.entry.zip").read_bytes()


def test_a_race_gives_the_same_result_twice_under_documented_keys(trained, capsys):
    race = ("race", trained / "car.entry.zip", "--track", "oval", "--laps", "1", "--json")
    first, second = printed(capsys, *race), printed(capsys, *race)
    assert first == second
    assert {
        "laps_completed",
        "laps",
        "lap_times_s",
        "off_tracks",
        "total_time_s",
        "best_lap_s",
    } <= set(first)
    assert first["track"] == "oval"


@pytest.mark.ci
@pytest.mark.slow
def test_a_race_is_filmed_and_drawn(trained, capsys):
    video, plot = trained / "race.mp4", trained / "line.png"
    words = ["--laps", "1", "--video", str(video), "--plot", str(plot)]
    main(["race", str(trained / "car.entry.zip"), *words])
    said = capsys.readouterr().out
    assert str(video) in said
    assert str(plot) in said
    assert video.stat().st_size > 10_000
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_submission_stands_on_the_board_with_the_same_score_twice(trained, capsys, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", str(trained / "board"))
    submit = ("board", "submit", trained / "car.entry.zip", "--json", "--name")
    first, second = printed(capsys, *submit, "one"), printed(capsys, *submit, "two")
    rows = printed(capsys, "board", "show", "--json")
    assert [row["name"] for row in rows] == ["one", "two"]
    assert [row["rank"] for row in rows] == [1, 1]
    assert {"rank", "name", "season", "entry_sha256"} <= set(rows[0])
    for key in ("laps_completed", "lap_times_s", "total_time_s", "off_tracks", "entry_sha256"):
        assert first[key] == second[key] == rows[0][key]
    main(["board", "show"])
    assert "one" in capsys.readouterr().out


@pytest.mark.slow
def test_an_int8_export_is_raced_beside_the_float32_policy(trained, capsys):
    path = trained / "int8.entry.zip"
    main(["export", str(trained / "run"), "--int8", "--out", str(path)])
    sizes = dict(re.findall(r"(float32|int8) +(\d+) kB", capsys.readouterr().out))
    assert int(sizes["int8"]) < int(sizes["float32"])
    assert read_entry(path).manifest.name == "run-int8"
    main(["board", "check", str(path)])
    assert "quantized: to int8" in capsys.readouterr().out


@pytest.mark.slow
def test_an_int8_entry_is_made_and_raced_twice_with_the_same_bytes(trained, capsys, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", str(trained / "int8-board"))
    paths = [trained / "one.entry.zip", trained / "two.entry.zip"]
    for path in paths:
        main(["export", str(trained / "run"), "--int8", "--out", str(path)])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    race = ("race", paths[0], "--track", "oval", "--laps", "1", "--json")
    assert printed(capsys, *race) == printed(capsys, *race)
    main(["board", "submit", str(paths[0])])
    main(["board", "verify", "--all"])
    assert re.search("bit-exact.*same actions", capsys.readouterr().out)

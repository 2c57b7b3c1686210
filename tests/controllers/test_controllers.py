"""Drivers that need no training: how fast, how clean, and where an entry may stand."""

import json

import numpy as np
import pytest

from racer import assets
from racer.car.spec import deepracer
from racer.cli import main
from racer.controllers import CONTROLLERS, make_controller, path_following
from racer.controllers.path_following import (
    FollowerSetup,
    candidate_lines,
    fastest_follower,
    make_raceline,
)
from racer.errors import ConfigError
from racer.evaluation import controller_for, evaluate_controller, evaluate_entries, make_race_rules
from racer.race import RaceConfig
from racer.track import load_track

TRACKS = [
    pytest.param(name, marks=[] if name == "hairpin" else pytest.mark.slow)
    for name in assets.shipped_names("tracks")
]
"""Every shipped track; the fast suite drives the hardest."""
THREE = make_race_rules(3, 3.0, 180.0)


@pytest.fixture
def lines_once(monkeypatch):
    """Find the lines of a road once for all cars; that takes longer than their races."""
    found = {}

    def lines(track, inside):
        if (track.name, inside) not in found:
            found[track.name, inside] = candidate_lines(track, inside)
        return found[track.name, inside]

    monkeypatch.setattr(path_following, "candidate_lines", lines)


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.usefixtures("lines_once")
def test_the_raceline_pilot_comes_close_to_the_limit_and_never_leaves_the_road(subtests, name):
    for car, at_most in (("deepracer", 1.15), ("f1tenth", 1.4)):
        with subtests.test(car=car):
            result = evaluate_entries(["raceline"], name, THREE, car=car)[0]
            assert result.is_clean
            assert result.x_limit is not None
            assert 1.0 < result.x_limit < at_most


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKS)
def test_the_raceline_pilot_is_careful_on_a_track_that_it_was_not_set_up_for(name):
    road = load_track(name)
    result = evaluate_controller(make_raceline(road, deepracer(), FollowerSetup()), name, THREE)
    assert result.is_clean


@pytest.mark.parametrize("name", TRACKS)
def test_pure_pursuit_keeps_to_the_road_and_is_slower(name):
    result = evaluate_entries(["pure-pursuit"], name, THREE)[0]
    assert result.is_clean
    assert result.x_limit is not None
    assert 1.3 < result.x_limit < 2.5


@pytest.mark.slow
def test_a_race_against_the_tracks_direction_is_driven_and_has_no_limit():
    rules = make_race_rules(1, 3.0, 60.0, like=RaceConfig(direction="reverse"))
    result = evaluate_controller(controller_for("raceline", "hairpin", rules), "hairpin", rules)
    assert result.is_clean
    assert result.as_dict()["limit_s"] is None
    assert result.as_dict()["x_limit"] is None


def test_the_time_of_a_race_is_held_against_a_standing_lap_and_flying_ones():
    result = evaluate_entries(["raceline"], "oval", THREE)[0]
    assert result.limit is not None
    assert result.limit_s == pytest.approx(result.limit.standing + 2 * result.limit.flying)
    assert result.x_limit == pytest.approx(sum(result.lap_times_s) / result.limit.race(3))


@pytest.mark.slow
def test_a_pilot_that_is_put_back_on_the_road_finds_its_line_again():
    pilot = fastest_follower(candidate_lines(load_track("hairpin"), -0.15), deepracer(), 1.2)
    rules = make_race_rules(2, 3.0, 120.0)
    result = evaluate_controller(pilot, "hairpin", rules)
    assert result.resets > 0
    assert result.laps_completed == 2


@pytest.mark.slow
def test_pilots_race_each_other_in_one_world():
    rules = make_race_rules(1, 3.0, 40.0)
    results = evaluate_entries(["raceline", "pure-pursuit"], "speedway", rules)
    assert [result.laps_completed for result in results] == [1, 1]
    assert results[0].lap_times_s[0] < results[1].lap_times_s[0]
    assert results[0].limit is None


def test_an_unknown_pilot_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="known: pure-pursuit, raceline"):
        make_controller("senna", load_track("oval"), deepracer())


@pytest.mark.slow
def test_a_pilot_stands_where_an_entry_is_asked_for(capsys, tmp_path):
    plot = tmp_path / "line.png"
    main(["race", "raceline", "--track", "oval", "--laps", "1", "--json", "--plot", str(plot)])
    result = json.loads(capsys.readouterr().out)
    assert result["x_limit"] == pytest.approx(result["total_time_s"] / result["limit_s"])
    assert plot.read_bytes().startswith(b"\x89PNG")
    main(["race", "raceline", "--track", "oval", "--laps", "1"])
    assert f"{result['x_limit']:.2f} x the limit" in capsys.readouterr().out


def test_a_race_between_walls_is_told_as_one(capsys):
    main(["race", "pure-pursuit", "--track", "oval", "--laps", "1", "--walls", "on"])
    assert "pure-pursuit on oval between walls: 1 of 1 laps" in capsys.readouterr().out


def test_a_pilot_without_a_track_is_told_to_name_one(capsys):
    with pytest.raises(SystemExit):
        main(["race", "raceline"])
    assert "--track" in capsys.readouterr().err


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_pilot_stands_on_the_board_as_the_houses_own(name, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path))
    main(["board", "submit", name, "--json"])
    row = json.loads(capsys.readouterr().out)
    assert (row["name"], row["entry_sha256"]) == (name, "house")
    assert row["x_limit"] == pytest.approx(row["total_time_s"] / row["limit_s"])
    monkeypatch.setenv("COLUMNS", "100")
    main(["board", "show"])
    said = capsys.readouterr().out
    assert f" {row['x_limit']:.2f} " in said
    assert "house" in said
    assert list((tmp_path / "entries").iterdir()) == []


@pytest.mark.slow
def test_the_limit_of_a_track_file_is_solved_and_drawn(capsys, tmp_path):
    plot = tmp_path / "limit.png"
    main(["tracks", "limit", "oval", "--json", "--out", str(plot)])
    limit = json.loads(capsys.readouterr().out)
    assert limit["flying"] < limit["standing"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert np.isfinite(limit["margin"])

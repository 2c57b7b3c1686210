"""A season's rules, and the digest that changes with any of them."""

import json

import pytest
from pydantic import ValidationError

from racer import assets
from racer.errors import BoardError, ConfigError
from racer.leaderboard.season import Season, SeasonRun, load_season

GIVEN = {"name": "spring", "tracks": ["bowtie"], "time_limit": 60.0}


def test_every_shipped_season_loads_and_its_tracks_are_shipped():
    names = assets.shipped_names("configs/seasons")
    assert "open" in names
    for name in names:
        season = load_season(name)
        assert season.name == name
        assert set(season.tracks) <= set(assets.shipped_names("tracks"))
        season.refuse_other_physics()


def test_the_open_season_is_three_laps_in_three_minutes_at_three_seconds_off_the_road():
    season = load_season("open")
    assert (season.laps, season.time_limit, season.off_track_penalty) == (3, 180.0, 3.0)
    assert season.runs() == [SeasonRun("bowtie", "forward", 0, "bowtie", 0)]


def test_a_season_can_be_a_file_of_ones_own(tmp_path, monkeypatch):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntrack: oval\ntime_limit: 90\nlaps: 1\n")
    assert load_season(str(path)) == Season(name="mine", tracks=("oval",), time_limit=90, laps=1)
    monkeypatch.chdir(tmp_path)
    assert load_season("mine") == load_season(str(path)), "by its name where one works"
    (tmp_path / "open.yaml").write_text("name: other")
    assert load_season("open").tracks == ("bowtie",), "a shipped name means the shipped one"


def test_an_unknown_season_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match=r"no file 'opne'.*open"):
        load_season("opne")


def test_an_unknown_key_is_refused_with_its_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntrack: oval\ntime_limit: 90\nlap: 1\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:4: unknown key 'lap'; .*'laps'"):
        load_season(str(path))


def test_the_digest_is_the_same_however_the_same_rules_are_written(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("time_limit: 60\nlaps: 3\ntrack: bowtie\nseed: 0\nname: spring\n")
    assert load_season(str(path)).digest == Season.model_validate(GIVEN).digest


CHANGES = {
    "name": "autumn",
    "description": "x",
    "kind": "object_avoidance",
    "tracks": ["oval"],
    "directions": ["reverse"],
    "seeds": [1],
    "laps": 4,
    "faults": "end",
    "off_track_penalty": 3.5,
    "collision_penalty": 5.5,
    "time_limit": 61.0,
    "walls": True,
    "obstacles": {"count": 5},
    "bots": {"speed": 0.3},
    "car": "f1tenth",
    "physics": 1,
    "ranking": "best",
    "sealed": {"sha256": "0" * 64},
}


def test_a_change_of_any_field_is_another_digest(subtests):
    for field in sorted(set(Season.model_fields) - {"scoring"}):
        with subtests.test(field=field):
            changed = Season.model_validate(GIVEN | {field: CHANGES[field]})
            assert changed.digest != Season.model_validate(GIVEN).digest


def test_every_field_counts_in_the_digest():
    assert set(json.loads(Season.model_validate(GIVEN).canonical)) == set(Season.model_fields)


def test_a_season_runs_each_track_in_each_direction_with_each_seed():
    season = Season.model_validate(
        GIVEN
        | {"tracks": ["oval", "bowtie"], "directions": ["forward", "reverse"], "seeds": [4, 7]}
    )
    assert [(run.track, run.direction, run.seed) for run in season.runs()] == [
        (track, direction, seed)
        for track in ("oval", "bowtie")
        for direction in ("forward", "reverse")
        for seed in (4, 7)
    ]


def test_a_seasons_rules_are_those_of_its_races():
    season = Season.model_validate(
        GIVEN | {"kind": "object_avoidance", "collision_penalty": 9, "faults": "end", "walls": True}
    )
    rules = season.race("reverse")
    assert (rules.kind, rules.collision_penalty, rules.faults) == ("object_avoidance", 9, "end")
    assert (rules.walls, rules.direction, rules.start) == (True, "reverse", "line")
    assert (rules.laps, rules.time_limit) == (3, 60.0)


def test_a_season_of_other_physics_is_refused_with_both_versions():
    season = Season.model_validate(GIVEN | {"physics": 7})
    with pytest.raises(BoardError, match="physics version 7, this racer has 0"):
        season.refuse_other_physics()


def test_a_value_out_of_range_is_refused(subtests):
    for change in [
        {"name": "Spring"},
        {"name": ""},
        {"name": "a/b"},
        {"name": "a\n"},
        {"laps": 0},
        {"laps": 101},
        {"time_limit": 0},
        {"time_limit": float("nan")},
        {"off_track_penalty": -1},
        {"seed": -1},
        {"seeds": [1, 1]},
        {"seeds": []},
        {"tracks": []},
        {"tracks": ["oval", "oval"]},
        {"directions": ["alternate"]},
        {"ranking": "median"},
        {"scoring": 2},
        {"sealed": {"sha256": "0" * 63}},
        {"sealed": {"sha256": "0" * 64}, "seeds": [0]},
        {"sealed": {"sha256": "0" * 64, "seeds": 100, "tracks": 5}},
    ]:
        with subtests.test(change=change), pytest.raises(ValidationError):
            Season.model_validate(GIVEN | change)


def test_one_track_given_twice_is_an_unknown_key_and_not_a_guess():
    with pytest.raises(ValidationError, match="track"):
        Season.model_validate(GIVEN | {"track": "oval"})

"""A season's rules, and the digest that changes with any of them."""

import pytest
from pydantic import ValidationError

from racer import assets
from racer.board.season import Season, load_season
from racer.errors import ConfigError

GIVEN = {"name": "spring", "track": "bowtie", "time_limit": 60.0}


def test_every_shipped_season_loads_and_its_track_is_shipped():
    names = assets.names("configs/seasons")
    assert "open" in names
    for name in names:
        season = load_season(name)
        assert season.name == name
        assert season.track in assets.names("tracks")


def test_the_open_season_is_three_laps_in_three_minutes_at_three_seconds_off_the_road():
    season = load_season("open")
    assert (season.laps, season.time_limit, season.off_track_penalty) == (3, 180.0, 3.0)


def test_a_season_can_be_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntrack: oval\ntime_limit: 90\nlaps: 1\n")
    assert load_season(str(path)) == Season(name="mine", track="oval", time_limit=90, laps=1)


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


@pytest.mark.parametrize(
    "change",
    [
        {"name": "autumn"},
        {"description": "x"},
        {"track": "oval"},
        {"laps": 4},
        {"off_track_penalty": 3.5},
        {"time_limit": 61.0},
        {"seed": 1},
    ],
)
def test_a_change_of_any_field_is_another_digest(change):
    assert Season.model_validate(GIVEN | change).digest != Season.model_validate(GIVEN).digest


def test_every_field_counts_in_the_digest():
    assert Season.model_validate(GIVEN).canonical == (
        '{"description":"","laps":3,"name":"spring","off_track_penalty":3.0,"ranking":"total",'
        '"seed":0,"time_limit":60.0,"track":"bowtie"}'
    )


@pytest.mark.parametrize(
    "change",
    [
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
        {"ranking": "average"},
    ],
)
def test_a_value_out_of_range_is_refused(change):
    with pytest.raises(ValidationError):
        Season.model_validate(GIVEN | change)

"""A season's rules, and the digest that changes with any of them."""

import json

import pytest
from pydantic import ValidationError

from racer import assets
from racer.errors import BoardError, ConfigError
from racer.leaderboard.season import (
    Season,
    SeasonRaceConfig,
    SeasonRun,
    load_season,
    season_path,
)
from racer.leaderboard.season_race import (
    FLAT_OPTIONAL_FIELDS,
    FLAT_RACE_FIELDS,
    FLAT_SEASON_FIELDS,
)
from racer.leaderboard.season_secret import revealed_path
from racer.race import RaceConfig

GIVEN = {"name": "spring", "tracks": ["bowtie"], "race": {"time_limit": 60.0}}
FLAT = {"name": "spring", "tracks": ["bowtie"], "time_limit": 60.0}
"""The same in the older layout."""
SHIPPED_DIGESTS = {
    "boxes": "f48041dc621a537dcd169fe0ba0573921aa52a2912c405f4bb5862e79c10a057",
    "open": "51a5464095d4e5ea214b3587b284b38be9b35ac676defe2415db2e973fe9fe51",
    "sealed": "c6b63193d63f421d24bc1d058971eefc6db7fc3248991ca4b129a2e00622c241",
    "validation": "33c05737257b318791893d68707676996b8a06cdc6aee8a3d35378001cb1c8b1",
}
"""Boards, replays and revealed secrets refer to them: they must not change."""
OPEN_CANONICAL = (
    '{"bots":{"changes_lanes":true,"count":3,"every":[3.0,5.0],"speed":0.2},"car":"deepracer",'
    '"collision_penalty":5.0,"description":"Three laps against the clock, open to every entry.",'
    '"directions":["forward"],"faults":"reset","kind":"time_trial","laps":3,"name":"open",'
    '"obstacles":{"count":6,"places":[]},"off_track_penalty":3.0,"physics":0,"ranking":"total",'
    '"scoring":1,"sealed":null,"seeds":[0],"time_limit":180.0,"tracks":["bowtie"],"walls":false}'
)


def test_every_shipped_season_loads_and_its_tracks_are_shipped():
    names = assets.shipped_names("configs/seasons")
    assert "open" in names
    for name in names:
        season = load_season(name)
        assert season.name == name
        assert set(season.tracks) <= set(assets.shipped_names("tracks"))
        season.refuse_other_physics()


def test_the_shipped_seasons_have_the_digests_that_they_always_had():
    assert {name: load_season(name).digest for name in SHIPPED_DIGESTS} == SHIPPED_DIGESTS
    assert set(SHIPPED_DIGESTS) == set(assets.shipped_names("configs/seasons"))


def test_the_canonical_json_of_a_season_is_flat_and_reads_back_as_the_same_season():
    season = load_season("open")
    assert season.canonical == OPEN_CANONICAL
    assert Season.model_validate_json(OPEN_CANONICAL) == season
    assert Season.model_validate(season.model_dump(mode="json")) == season


def test_the_revealed_secret_of_the_sealed_season_is_for_its_digest():
    path = season_path("sealed")
    revealed = json.loads(revealed_path(path).read_text())
    season = load_season("sealed")
    assert revealed["digest"] == season.digest
    assert len(season.runs(revealed["secret"])) == 5


def test_the_open_season_is_three_laps_in_three_minutes_at_three_seconds_off_the_road():
    season = load_season("open")
    race = season.race
    assert (race.laps, race.time_limit, race.off_track_penalty) == (3, 180.0, 3.0)
    assert season.runs() == [SeasonRun("bowtie", "forward", 0, "bowtie", 0)]


@pytest.mark.parametrize(
    "text",
    [
        "name: mine\ntrack: oval\nrace:\n  laps: 1\n  time_limit: 90\n",
        "name: mine\ntrack: oval\nrace: {time_limit: 90, laps: 1}\n",
        "name: mine\ntrack: oval\ntime_limit: 90\nlaps: 1\n",
    ],
)
def test_a_season_can_be_a_file_of_ones_own_in_either_layout(tmp_path, monkeypatch, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    race = SeasonRaceConfig(laps=1, time_limit=90)
    assert load_season(str(path)) == Season(name="mine", tracks=("oval",), race=race)
    monkeypatch.chdir(tmp_path)
    assert load_season("mine") == load_season(str(path)), "by its name where one works"
    (tmp_path / "open.yaml").write_text("name: other")
    assert load_season("open").tracks == ("bowtie",), "a shipped name means the shipped one"


def test_every_field_of_a_race_is_read_from_the_flat_layout():
    flat = {
        "kind": "head_to_bot",
        "laps": 4,
        "faults": "end",
        "off_track_penalty": 3.5,
        "collision_penalty": 5.5,
        "time_limit": 61.0,
        "walls": True,
        "obstacles": {"count": 5},
        "bots": {"speed": 0.3},
    }
    rest = {"name": "spring", "tracks": ["bowtie"]}
    assert set(flat) == set(FLAT_RACE_FIELDS)
    one, other = Season.model_validate(rest | flat), Season.model_validate(rest | {"race": flat})
    assert one == other
    assert one.digest == other.digest
    assert one.digest.startswith("9cc86cb0dfce631d"), "as racer 0.1.0 has it"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_limit: 90\nlap: 1\n", r":4: unknown key 'lap'; known keys: .*'?race"),
        ("race:\n  time_limit: 90\n  lap: 1\n", r":5: unknown key 'race\.lap'; .*'laps'"),
        ("time_limit: 90\nlaps: 0\n", r":4: laps: .*got 0"),
        ("time_limit: 90\nbots: {speed: 9}\n", r":4: bots\.speed: .*got 9"),
        ("race:\n  time_limit: 90\n  laps: 0\n", r":5: race\.laps: .*got 0"),
        ("race:\n  laps: 1\n", r":3: the key 'race\.time_limit' is missing"),
        ("laps: 1\n", r": the key 'time_limit' is missing"),
        ("seed: 1\n", r": the key 'race' is missing"),
        ("laps: 1\nrace: {time_limit: 9}\n", r":3: laps: the race is given twice.*got 1"),
        ("race:\n  time_limit: 9\n  direction: reverse\n", r":5: race\.direction: .*`directions`"),
        ("race:\n  time_limit: 9\n  start: random\n", r":5: race\.start: .*start line"),
        ("race:\n  time_limit: 9\n  start_offset: 0\n", r":5: race\.start_offset: .*start line"),
        ("direction: reverse\nlaps: 1\ntime_limit: 9\n", r":3: unknown key .*'directions'"),
        ("race: fast\n", r":3: race: .*got 'fast'"),
    ],
)
def test_what_is_wrong_with_a_race_is_told_with_its_line(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntrack: oval\n" + text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml{said}"):
        load_season(str(path))


def test_an_unknown_season_is_refused_with_those_that_exist():
    with pytest.raises(ConfigError, match=r"no file 'opne'.*open"):
        load_season("opne")


def test_the_digest_is_the_same_however_the_same_rules_are_written(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("time_limit: 60\nlaps: 3\ntrack: bowtie\nseed: 0\nname: spring\n")
    assert load_season(str(path)).digest == Season.model_validate(GIVEN).digest
    assert Season.model_validate(FLAT) == Season.model_validate(GIVEN)


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
    "event": {"opens": "2026-12-01T09:00:00Z"},
}


def test_a_change_of_any_field_is_another_digest(subtests):
    for field in sorted({*FLAT_SEASON_FIELDS, *FLAT_OPTIONAL_FIELDS} - {"scoring"}):
        with subtests.test(field=field):
            changed = Season.model_validate(FLAT | {field: CHANGES[field]})
            assert changed.digest != Season.model_validate(FLAT).digest


def test_every_field_counts_in_the_digest():
    fixed = {"start", "start_offset", "direction"}
    of_race = set(SeasonRaceConfig.model_fields) - fixed
    assert of_race == set(FLAT_RACE_FIELDS)
    flat = {*FLAT_SEASON_FIELDS, *FLAT_OPTIONAL_FIELDS}
    assert flat == set(Season.model_fields) - {"race"} | of_race
    assert set(json.loads(Season.model_validate(GIVEN).canonical)) == set(FLAT_SEASON_FIELDS)


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
        FLAT | {"kind": "object_avoidance", "collision_penalty": 9, "faults": "end", "walls": True}
    )
    rules = season.race_in("reverse")
    assert (rules.kind, rules.collision_penalty, rules.faults) == ("object_avoidance", 9, "end")
    assert (rules.walls, rules.direction, rules.start) == (True, "reverse", "line")
    assert (rules.laps, rules.time_limit) == (3, 60.0)
    assert type(rules) is RaceConfig


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
        {"time_limit": 3601},
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
            Season.model_validate(FLAT | change)


def test_one_track_given_twice_is_an_unknown_key_and_not_a_guess():
    with pytest.raises(ValidationError, match="track"):
        Season.model_validate(GIVEN | {"track": "oval"})

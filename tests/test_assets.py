"""Shipped files are found by name, and a YAML file that is wrong is told so by line."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from racer import assets
from racer.assets.document import MAX_CONFIG_BYTES, Document, read_document, validate_document
from racer.envs import EnvConfig
from racer.errors import ConfigError, TrackError
from racer.leaderboard.season import Season


class Wheel(Document):
    radius: float = Field(default=0.03, gt=0)


class Car(Document):
    name: str = "car"
    speed: float = Field(default=1.0, ge=0.1, le=4.0)
    angles: tuple[float, ...] = ()
    wheel: Wheel = Wheel()


def refused(tmp_path, text: str, error: type[Exception] = ConfigError) -> str:
    """What is said about a file with `text`, without its folder."""
    path = tmp_path / "car.yaml"
    path.write_bytes(text.encode())
    with pytest.raises(error) as caught:
        read_document(path, Car, error)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_shipped_file_is_found_by_its_name_with_and_without_its_suffix():
    path = assets.assets_root() / "tracks/oval.yaml"
    for name in ("oval", "oval.yaml", "tracks/oval.yaml", str(path)):
        assert assets.find_file(name, "tracks").samefile(path)


def test_a_path_comes_before_a_shipped_name(tmp_path, monkeypatch):
    (tmp_path / "oval").write_text("name: mine\n")
    monkeypatch.chdir(tmp_path)
    assert assets.find_file("oval", "tracks").resolve() == tmp_path / "oval"


def test_a_folder_is_not_taken_for_a_file(tmp_path, monkeypatch):
    (tmp_path / "oval").mkdir()
    monkeypatch.chdir(tmp_path)
    assert assets.find_file("oval", "tracks") == assets.assets_root() / "tracks/oval.yaml"


def test_the_example_of_a_deepracer_model_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = assets.assets_root() / "docs/my-model"
    for name in ("my-model", "docs/my-model"):
        assert assets.find_example(Path(name)) == example
    (tmp_path / "my-model").mkdir()
    assert assets.find_example(Path("my-model")).resolve() == tmp_path / "my-model"
    assert assets.find_example(Path("gone")) == Path("gone")


def test_a_name_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(TrackError, match=r"no file 'ovla', and tracks/ .*: bowtie, .*, zigzag"):
        assets.find_file("ovla", "tracks", TrackError)
    with pytest.raises(ConfigError, match="shipped there: none"):
        assets.find_file("ovla", "no-such-folder")


def test_the_names_of_a_folder_are_its_yaml_files_in_order():
    assert {"bowtie", "hairpin", "oval", "speedway"} <= set(assets.shipped_names("tracks"))
    assert assets.shipped_names("tracks") == sorted(assets.shipped_names("tracks"))
    assert "README" not in assets.shipped_names("tracks")


def test_a_good_file_is_read_into_its_model(tmp_path):
    path = tmp_path / "car.yaml"
    path.write_text("speed: 2\nwheel:\n  radius: 0.04\nangles: [1, 2.5]\n")
    assert read_document(path, Car) == Car(speed=2.0, wheel=Wheel(radius=0.04), angles=(1.0, 2.5))


def test_an_empty_file_is_all_defaults(tmp_path):
    path = tmp_path / "car.yaml"
    path.write_text("# nothing yet\n")
    assert read_document(path, Car) == Car()


def test_an_unknown_key_says_its_line_and_the_key_that_was_meant(tmp_path):
    said = refused(tmp_path, "name: a\n\nspede: 2\n")
    assert said == "car.yaml:3: unknown key 'spede'; did you mean 'speed'?"


def test_an_unknown_key_inside_another_says_its_line_and_the_key_that_was_meant(tmp_path):
    said = refused(tmp_path, "name: a\nwheel:\n  raduis: 2\n")
    assert said == "car.yaml:3: unknown key 'wheel.raduis'; did you mean 'radius'?"


def test_an_unknown_key_unlike_any_other_is_answered_with_all_keys(tmp_path):
    said = refused(tmp_path, "zzz: 2\n")
    assert said == "car.yaml:1: unknown key 'zzz'; known keys: name, speed, angles, wheel"


def test_a_value_out_of_range_says_its_line_the_range_and_the_value(tmp_path):
    said = refused(tmp_path, "name: a\nspeed: 9\n")
    assert re.fullmatch(r"car\.yaml:2: speed: .*less than or equal to 4; got 9", said)


def test_an_item_of_a_list_says_its_own_line(tmp_path):
    said = refused(tmp_path, "angles:\n  - 1\n  - left\n")
    assert re.fullmatch(r"car\.yaml:3: angles\.1: .*valid number.*; got 'left'", said)


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    said = refused(tmp_path, "speed: 9\nspede: 1\nwheel: {radius: -1}\n").splitlines()
    assert [line.split(": ")[0] for line in sorted(said)] == [f"car.yaml:{i}" for i in (1, 2, 3)]


@pytest.mark.parametrize("value", [".nan", ".inf"])
def test_a_number_that_is_not_finite_is_refused(tmp_path, value):
    assert re.match(r"car\.yaml:1: speed: ", refused(tmp_path, f"speed: {value}\n"))


class Pool(Document):
    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"


def test_a_value_of_several_types_says_all_of_them_in_one_line(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("# two lines\nworkers: 0\n")
    with pytest.raises(ConfigError) as refusal:
        read_document(path, Pool)
    wanted = "Input should be 'auto', or greater than or equal to 1; got 0"
    assert str(refusal.value) == f"{path}:2: workers: {wanted}"


def test_a_file_that_is_not_yaml_says_its_line(tmp_path):
    assert refused(tmp_path, "name: a\nspeed: [1\n").startswith("car.yaml:3: not valid YAML: ")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "speed: 2\nname: a\nspeed: 3\n",
            "3: the key 'speed' stands twice, in line 1 and in line 3",
        ),
        (
            "wheel: {radius: 1}\nspeed: 2\nwheel:\n  radius: 2\n",
            "3: the key 'wheel' stands twice, in line 1 and in line 3",
        ),
        (
            "wheel:\n  radius: 1\n  'radius': 1\n",
            "3: the key 'wheel.radius' stands twice, in line 2 and in line 3",
        ),
        (
            "angles:\n- {a: 1, a: 2}\n",
            "2: the key 'angles.0.a' stands twice, in line 2 and in line 2",
        ),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path, text, wanted):
    assert refused(tmp_path, text) == f"car.yaml:{wanted}; leave one of them out"


def test_every_key_that_stands_twice_is_said_at_once(tmp_path):
    said = refused(tmp_path, "name: a\nspeed: 1\nname: b\nspeed: 2\nname: c\n").splitlines()
    assert [line.split(";")[0] for line in said] == [
        "car.yaml:3: the key 'name' stands twice, in line 1 and in line 3",
        "car.yaml:4: the key 'speed' stands twice, in line 2 and in line 4",
        "car.yaml:5: the key 'name' stands twice, in line 1 and in line 5",
    ]


def test_a_key_may_say_otherwise_than_the_mapping_that_is_merged_in(tmp_path):
    path = tmp_path / "car.yaml"
    path.write_text("wheel: &w {radius: 0.04}\nname: a\n")
    assert read_document(path, Car).wheel.radius == 0.04
    path.write_text("wheel: {<<: {radius: 0.04}, radius: 0.05}\n")
    assert read_document(path, Car).wheel.radius == 0.05


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("no", "got False, which is a truth value to YAML (as no, off, yes and on are)"),
        ("2024-01-01", "got 2024-01-01, which is a date to YAML"),
        ("2024-01-01 10:00:00", "got 2024-01-01 10:00:00, which is a date to YAML"),
        ("7", "got 7, which is a number to YAML"),
    ],
)
def test_a_name_that_yaml_takes_for_something_else_is_told_to_be_quoted(tmp_path, value, what):
    said = refused(tmp_path, f"name: {value}\n")
    assert said.startswith("car.yaml:1: name: ")
    assert said.endswith(f"{what}; put a name in quotes")
    with pytest.raises(ConfigError) as caught:
        validate_document({"name": 7}, Car, "the command line")
    assert "YAML" not in str(caught.value)


def test_a_track_named_without_quotes_is_told_to_be_quoted(subtests, tmp_path):
    for value, model in product(["no", "2024-01-01", "7", "true"], [EnvConfig, Season]):
        with subtests.test(value=value, model=model):
            path = tmp_path / "mine.yaml"
            path.write_text(f"track: {value}\n")
            with pytest.raises(ConfigError, match=r"mine\.yaml:1: track.*; put a name in quotes"):
                read_document(path, model)


def test_a_date_that_there_is_not_names_its_line(tmp_path):
    said = refused(tmp_path, "speed: 1\nname: 2024-13-45\n")
    assert said.startswith("car.yaml:2: not valid YAML: 2024-13-45 is not a date (month must be in")
    assert said.endswith("put a name in quotes")


@pytest.mark.parametrize(("key", "what"), [("no", "a truth value"), ("2024-01-01", "a date")])
def test_a_key_that_is_no_text_names_its_line(tmp_path, key, what):
    said = refused(tmp_path, f"speed: 1\n{key}: 1\n")
    assert said == f"car.yaml:2: the key {key!r} is {what} to YAML; put it in quotes"


@pytest.mark.parametrize(
    "text", ["angles: &a [*a]\n", pytest.param("angles: " + "[" * 3000, marks=pytest.mark.slow)]
)
def test_a_file_without_end_is_refused(tmp_path, text):
    assert refused(tmp_path, text).startswith("car.yaml: not valid YAML: it holds itself")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_is_read_in_whatever_encoding_its_editor_marked(tmp_path, encoding):
    path = tmp_path / "car.yaml"
    path.write_text("# \u00fcber\r\nname: gr\u00fcn\r\n", encoding=encoding)
    assert read_document(path, Car) == Car(name="gr\u00fcn")


def test_a_file_without_keys_is_refused(tmp_path):
    said = refused(tmp_path, "- 1\n- 2\n")
    assert said == "car.yaml:1: expected keys with values, got list"


def test_yaml_that_would_build_an_object_is_refused(tmp_path):
    said = refused(tmp_path, "name: !!python/object/apply:os.getcwd []\n")
    assert said.startswith("car.yaml:1: not valid YAML: could not determine a constructor")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "car.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"car\.yaml: cannot be read"):
        read_document(path, Car)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    said = refused(tmp_path, "#" * (MAX_CONFIG_BYTES + 1))
    assert said == "car.yaml: over 10 MB; such a file is not read"


def test_a_missing_file_is_refused_as_the_kind_of_error_that_was_asked_for(tmp_path):
    with pytest.raises(TrackError, match=r"cannot be read: .*No such file"):
        read_document(tmp_path / "no.yaml", Car, TrackError)


def test_values_that_come_from_no_file_name_their_source():
    with pytest.raises(ConfigError, match=r"^the command line: unknown key 'spede'; did you mean"):
        validate_document({"spede": 1}, Car, "the command line")


def test_a_document_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        setattr(Car(), "speed", 2.0)  # noqa: B010


def test_what_is_wrong_with_a_sensor_is_said_where_it_stands(subtests, tmp_path):
    for text, said in [
        (
            "sensor: {kind: camera,\n  widht: 80}\n",
            "car.yaml:2: unknown key 'sensor.widht'; did you mean 'width'?",
        ),
        (
            "sensor:\n  - state\n  - kind: stereo\n    baselin: 1\n",
            "car.yaml:4: unknown key 'sensor.1.baselin'; did you mean 'baseline'?",
        ),
        ("sensor: camra\n", "car.yaml:1: sensor.kind: unknown 'camra'; did you mean 'camera'?"),
        ("sensor:\n  width: 80\n", "car.yaml:1: the key 'sensor.kind' is missing"),
        ("sensor:\n  - state\n  - 3\n", r"car.yaml:3: sensor.1: Input should be .*; got 3"),
        ("sensor: {kind: camera,\n  width: 3}\n", r"car.yaml:2: sensor.width: .*; got 3"),
        ("sensor: []\n", r"car.yaml:1: sensor: a car needs at least one sensor; got .*"),
        ("sensor: [state, state]\n", r"car.yaml:1: sensor: each kind .* twice is state; got .*"),
    ]:
        with subtests.test(text=text, said=said):
            path = tmp_path / "car.yaml"
            path.write_text(text)
            with pytest.raises(ConfigError) as caught:
                read_document(path, EnvConfig)
            assert re.fullmatch(
                said.replace("?", r"\?"), str(caught.value).removeprefix(f"{tmp_path}/")
            )

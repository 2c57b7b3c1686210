"""A new folder is complete, begins with what ships, and takes nothing from what is there."""

import os
import re

import pytest

from racer import assets
from racer.assets.document import read_document
from racer.cli import main
from racer.errors import BoardError, ProjectError
from racer.leaderboard.roster import read_roster
from racer.leaderboard.season import Season, load_season
from racer.project import class_project, write_car_project, write_class_project
from racer.project.project_folder import project_name, write_folder
from racer.reward import RewardSource
from racer.training.config import RunConfig

SEASONS = ("boxes", "open", "validation")


def contents(folder):
    """Everything below a folder, by its path."""
    paths = sorted(folder.rglob("*"))
    return {str(one.relative_to(folder)): one.read_bytes() for one in paths if one.is_file()}


def test_a_car_is_the_shipped_config_with_a_reward_of_its_own(subtests, tmp_path):
    for like in assets.shipped_names("configs"):
        with subtests.test(like=like):
            folder = tmp_path / like
            made = write_car_project(folder, like)
            assert sorted(contents(folder)) == sorted(made)
            shipped = read_document(assets.find_file(like, "configs"), RunConfig)
            own = read_document(folder / "car.yaml", RunConfig)
            assert own.reward == str(folder / "reward.py")
            assert own.model_copy(update={"reward": shipped.reward}) == shipped
            assert own.reward and shipped.reward
            assert (
                RewardSource.find(own.reward).content == RewardSource.find(shipped.reward).content
            )
            assert "Measured" not in (folder / "car.yaml").read_text()


def test_a_class_has_the_shipped_rules_under_its_own_name(subtests, tmp_path):
    for like in SEASONS:
        with subtests.test(like=like):
            folder = tmp_path / f"Club {like}"
            write_class_project(folder, like, ["ann", "Zoe\u0308"])
            season, shipped = load_season(str(folder / "season.yaml")), load_season(like)
            assert season.name == f"club-{like}"
            named = {"name": shipped.name, "description": shipped.description}
            assert season.model_copy(update=named) == shipped
            assert read_roster(folder / "names.txt") == ["ann", "Zo\u00eb"]
            assert (folder / "entries").is_dir()
            assert "racer new ann --like" in (folder / "README.md").read_text()


def test_no_placeholder_is_left_in_what_a_person_reads(tmp_path):
    write_car_project(tmp_path / "car")
    write_class_project(tmp_path / "class", names=["ann"])
    for path, content in contents(tmp_path).items():
        assert not re.search(rb"\$\w", content), path


def test_the_rules_say_what_the_season_says():
    season = Season.model_validate(
        {"name": "x", "tracks": ["oval"], "directions": ["forward", "reverse"], "ranking": "best"}
        | {"race": {"laps": 1, "time_limit": 60, "faults": "end"}, "seeds": [0, 1]}
    )
    said = "\n".join(class_project.season_rules(season))
    for words in ("one lap on `oval`", "against it, 2 times", "ends the run", "60 s"):
        assert words in said
    assert "each track's best lap" in said


def test_a_folder_with_anything_in_it_is_left_as_it_is(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("of mine")
    (tmp_path / "file").write_text("of mine")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    before = contents(tmp_path)
    for write in (write_car_project, write_class_project):
        for name in ("mine", "file", "link"):
            with pytest.raises(ProjectError, match="name a new or an empty folder"):
                write(tmp_path / name)
    assert contents(tmp_path) == before


def test_an_empty_folder_and_one_that_git_made_are_taken(tmp_path, monkeypatch):
    (tmp_path / "Empty").mkdir()
    monkeypatch.chdir(tmp_path / "Empty")
    main(["new", "."])
    assert "--name empty" in (tmp_path / "Empty/README.md").read_text()
    (tmp_path / "git/.git").mkdir(parents=True)
    main(["new", str(tmp_path / "git"), "--class", "--names", "ann"])
    assert (tmp_path / "git/names.txt").read_text().endswith("\nann\n")


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ProjectError, match="cannot be written: No such file"):
        write_folder(tmp_path / "a/b", {"one": "1", "in/": "", "none/two": "2"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "kept").mkdir()
    with pytest.raises(ProjectError, match="cannot be written"):
        write_folder(tmp_path / "kept", {"one": "1", "one/two": "2"})
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == []


def test_a_name_that_no_season_can_have_is_refused_before_anything_is_made(tmp_path):
    assert project_name(tmp_path / "\u00c5ngstr\u00f6m 7b!") == "angstrom-7b"
    for name in ("---", "\u00df", "x" * 41):
        for write in (write_car_project, write_class_project):
            with pytest.raises(ProjectError, match="letters a-z, digits and dashes"):
                write(tmp_path / name)
    with pytest.raises(BoardError, match="names: 'a/b' cannot name a file"):
        write_class_project(tmp_path / "class", names=["ann", "a/b"])
    for like in ("sealed", "opne"):
        with pytest.raises(ProjectError, match="season"):
            write_class_project(tmp_path / "class", like)
    with pytest.raises(ProjectError, match=r"no config 'open' ships .*: camera-160x120"):
        write_car_project(tmp_path / "car", "open")
    assert list(tmp_path.iterdir()) == []


def test_names_without_a_class_are_a_usage_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["new", str(tmp_path / "car"), "--names", "ann"])
    assert stop.value.code == 2
    assert "give --class too" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""What `racer runs rm`, `prune` and `note` delete and write, and what they leave alone."""

import json
import os
from datetime import datetime, timedelta

import pytest

from racer.cli import main
from racer.errors import RunError
from racer.reward import RewardSource
from racer.training.run_dir import Run
from racer.training.run_removal import (
    disk_size,
    open_removable,
    parse_age,
    remove_checkpoints,
    remove_run,
)
from tests.helpers.commands import printed
from tests.helpers.runs import config, written_run


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of three runs: a fast one, a slow one, and one that failed at once."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    written_run(folder / "fast")
    slow = written_run(folder / "slow")
    best = slow.best_record() or {}
    slow.mark_best(best | {"result": best["result"] | {"x_limit": 3.0}})
    failed = Run.create(folder / "broken", config(), RewardSource.find("progress"), {})
    failed.mark_ended("failed", "a reason")
    return folder


def pruned(capsys, *words):
    """The names of the runs that prune would delete."""
    found = printed(capsys, "runs", "prune", "--dry-run", "--json", *words)
    return sorted(one["run"].removeprefix("runs/") for one in found)


def refused(capsys, *words):
    """The message of a command that exits with 2."""
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_removed_run_is_gone_and_its_neighbours_stay(runs, capsys):
    main(["runs", "rm", "runs/fast", "runs/fast/", "runs/broken", "--yes"])
    assert sorted(path.name for path in runs.iterdir()) == ["slow"]
    assert "deleted: 2 runs" in capsys.readouterr().out


def test_nothing_is_removed_without_a_yes(runs, capsys, monkeypatch):
    assert "add --yes" in refused(capsys, "runs", "rm", "runs/fast")
    assert (runs / "fast" / "checkpoints").is_dir()


def test_a_link_in_a_run_is_removed_and_not_what_it_leads_to(runs, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file.txt").write_text("mine")
    (runs / "fast" / "out").symlink_to(tmp_path / "precious")
    (runs / "fast" / "checkpoints" / "inner").symlink_to(tmp_path / "precious")
    before = disk_size([runs / "fast"])
    remove_run(Run.open(runs / "fast"))
    assert not (runs / "fast").exists()
    assert (tmp_path / "precious" / "file.txt").read_text() == "mine"
    assert before < 1_000_000


def test_a_folder_that_must_not_be_removed_is_refused_with_the_reason(
    runs, tmp_path, monkeypatch, subtests
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "link").symlink_to(runs / "fast")
    written_run(runs / "slow" / "trials" / "inner")
    for folder, reason in {
        tmp_path: "holds no run",
        tmp_path / "mine": "no folder checkpoints",
        tmp_path / "link": "is a link",
        runs / "slow": "holds another run",
    }.items():
        with subtests.test(folder=folder), pytest.raises(RunError, match=reason):
            open_removable(folder)
    monkeypatch.chdir(runs / "fast" / "checkpoints")
    with pytest.raises(RunError, match="current folder or a parent"):
        remove_run(Run.open(runs / "fast"))


def test_a_run_that_is_being_trained_is_neither_removed_nor_pruned(runs, capsys):
    run = Run.open(runs / "fast")
    with run.locked():
        told = refused(capsys, "runs", "rm", "runs/broken", "runs/fast", "--yes")
        assert "trains this run now" in told
        assert pruned(capsys, "--older-than", "0m") == ["broken", "slow"]
    assert (runs / "fast" / "best.json").is_file()
    assert (runs / "broken").is_dir(), "all are checked before the first is removed"


def test_a_run_whose_removal_was_interrupted_can_still_be_removed(runs, monkeypatch):
    run = Run.open(runs / "fast")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(RunError, match="cannot be deleted: I/O error"):
            remove_run(run)
    assert not (runs / "fast" / "best.json").exists()
    remove_run(run)
    assert not (runs / "fast").exists()


@pytest.mark.slow
def test_prune_selects_the_runs_that_meet_every_condition(runs, capsys, subtests):
    old = json.loads((runs / "slow" / "run.json").read_text())
    ago = datetime.now().astimezone() - timedelta(days=8)
    (runs / "slow" / "run.json").write_text(json.dumps(old | {"began": ago.isoformat()}))
    for words, wanted in {
        "--failed": ["broken"],
        "--unevaluated": ["broken"],
        "--failed --unevaluated": ["broken"],
        "--keep-best 1": ["broken", "slow"],
        "--keep-best 2": ["broken"],
        "--older-than 7d": ["slow"],
        "--older-than 9d": [],
        "--older-than 1w --failed": [],
        "--older-than 1w --keep-best 1": ["slow"],
        "--older-than 0m --keep-best 3": [],
    }.items():
        with subtests.test(words=words):
            assert pruned(capsys, *words.split()) == wanted
    assert len(list(runs.iterdir())) == 3, "--dry-run deletes nothing"
    main(["runs", "prune", "--keep-best", "1", "--yes"])
    assert [path.name for path in runs.iterdir()] == ["fast"]


def test_prune_without_a_condition_or_with_a_wrong_one_is_refused(runs, capsys, subtests):
    for words, reason in {
        "": "needs a condition",
        "--keep-best 0": "at least 1|needs a condition",
        "--older-than 7x": "a whole number and a unit",
        "--failed --json": "--json needs --dry-run or --yes",
    }.items():
        with subtests.test(words=words):
            told = refused(capsys, "runs", "prune", *words.split())
            assert any(one in told for one in reason.split("|"))


def test_spare_checkpoints_are_those_that_are_neither_the_best_nor_the_newest(runs, capsys):
    main(["runs", "prune", "--checkpoints", "--yes"])
    run = Run.open(runs / "fast")
    assert [one.file for one in run.saved.known()] == ["step-1024.pt", "step-2048.pt"]
    assert sorted(os.listdir(run.checkpoints)) == ["step-1024.pt", "step-2048.pt"]
    assert "2 runs" in capsys.readouterr().out
    assert pruned(capsys, "--checkpoints") == []


def test_the_best_checkpoint_is_kept_if_the_run_cannot_be_resumed_from_it(runs):
    run = Run.open(runs / "fast")
    run.saved.save(b"interrupted", 2500, False, "step-2500.pt", 3)
    run.mark_best((run.best_record() or {}) | {"checkpoint": "step-2500.pt"})
    remove_checkpoints(run)
    kept = [one.file for one in run.saved.known()]
    assert kept == ["step-1024.pt", "step-2048.pt", "step-2500.pt"]


def test_a_note_is_set_shown_listed_and_cleared(runs, capsys):
    main(["runs", "note", "runs/fast", "  wider bends "])
    assert capsys.readouterr().out == "wider bends\n"
    main(["runs", "note", "runs/fast"])
    assert capsys.readouterr().out == "wider bends\n"
    main(["runs", "list"])
    assert "wider bends" in capsys.readouterr().out
    main(["runs", "note", "runs/fast", "--clear"])
    assert "has no note" in capsys.readouterr().out
    main(["runs", "list"])
    assert "note" not in capsys.readouterr().out


def test_a_note_of_several_lines_or_too_long_is_refused_and_the_old_one_stays(runs, capsys):
    run = Run.open(runs / "fast")
    run.set_note("old")
    for text in ("two\nlines", "\x1b[2J", "x" * 201):
        assert "a note is one line" in refused(capsys, "runs", "note", "runs/fast", text)
    assert run.note() == "old"


def test_an_age_has_a_number_and_a_unit():
    assert parse_age("90m") == timedelta(minutes=90)
    assert parse_age("2w") == timedelta(days=14)
    for text in ("7", "d", "-7d", "1.5h", ""):
        with pytest.raises(RunError, match="whole number and a unit"):
            parse_age(text)

"""The command line: verbs, plain JSON, and errors that a person can act on."""

import json
import subprocess
import sys

import pytest

from racer.cli import main


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "racer.cli", *map(str, words)], capture_output=True, text=True
    )


def refused(capsys, *words):
    """The message of a refusal; it must be exit code 2 and no traceback."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_help_names_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys, racer.cli; racer.cli.main(['--help']);"
        "heavy = ('torch', 'numba', 'pybullet', 'scipy', 'matplotlib', 'onnxruntime');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = ("analyze", "actions", "import-deepracer")
    for verb in (
        *ours,
        "train",
        "runs list",
        "watch",
        "export",
        "race",
        "board submit",
        "board show",
        "bench",
        "car report",
    ):
        assert verb in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_an_unknown_verb_names_the_known_ones(capsys):
    assert "known: train, export, race" in refused(capsys, "trian")


def test_an_unknown_key_in_a_config_names_file_line_and_the_near_one(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("track: oval\nppo:\n  learning_rat: 1e-4\n")
    said = refused(capsys, "train", file)
    assert f"{file}:3" in said
    assert "did you mean 'learning_rate'" in said


def test_a_value_out_of_range_names_file_line_and_range(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("cars: 0\n")
    said = refused(capsys, "train", file)
    assert f"{file}:1: cars" in said
    assert "greater than or equal to 1" in said


def test_a_missing_config_lists_the_shipped_ones(capsys):
    assert "quick" in refused(capsys, "train", "nothing-here.yaml")


def test_a_missing_track_lists_the_shipped_ones(capsys, tmp_path):
    said = refused(capsys, "train", "state", "--track", "monza", "--run", tmp_path / "run")
    assert "monza" in said
    assert "bowtie" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("def reward_function(params):\n    return params['sped']\n", 2, "KeyError"),
        ("def reward_function(params):\n    return float('nan')\n", 1, "nan"),
        ("def reward(params):\n    return 1.0\n", None, "reward_function"),
        ("def reward_function(params)\n    return 1.0\n", 1, "SyntaxError"),
    ],
    ids=["raises", "nan", "missing", "syntax"],
)
def test_a_bad_reward_names_its_file_and_line(capsys, tmp_path, source, line, what):
    file = tmp_path / "mine.py"
    file.write_text(source)
    words = ("--workers", 1, "--reward", file, "--run", tmp_path / "run")
    said = refused(capsys, "train", "state", *words)
    assert (f"{file}:{line}" if line else str(file)) in said
    assert what in said


def test_a_missing_and_a_broken_entry_are_refused(capsys, tmp_path):
    assert "gone.entry.zip" in refused(capsys, "race", tmp_path / "gone.entry.zip")
    broken = tmp_path / "broken.entry.zip"
    broken.write_bytes(b"PK not a zip")
    assert "broken.entry.zip" in refused(capsys, "board", "submit", broken)


def test_a_rule_between_fields_says_which_and_what_to_do(capsys):
    said = refused(capsys, "train", "state", "--ppo.batch-size", "1000000")
    assert "ppo.batch_size 1000000" in said
    assert len(said) < 200


def test_a_folder_without_a_run_cannot_be_exported(capsys, tmp_path):
    assert "holds no run" in refused(capsys, "export", tmp_path)


def test_debug_shows_where_an_error_came_from():
    done = run("train", "nothing-here.yaml", "--debug")
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr


def test_an_empty_board_is_an_empty_list(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path))
    main(["board", "show", "--json"])
    assert json.loads(capsys.readouterr().out) == []

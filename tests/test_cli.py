"""The command line: verbs, plain JSON, and errors that a person can act on."""

import contextlib
import functools
import inspect
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import racer
from racer import __version__, assets
from racer.assets.document import read_document
from racer.cli import main
from racer.cli.app import COMMANDS, GROUP_HELP
from racer.cli.options import config_fields, format_value
from racer.errors import ConfigError
from racer.training.config import RunConfig
from racer.training.run_dir import Run


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "racer.cli", *map(str, words)],
        capture_output=True,
        text=True,
        **options,
    )


def refused(capsys, *words):
    """The message of a refusal; it must be exit code 2 and no traceback."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


ALL = {path: function for commands in COMMANDS.values() for path, function in commands.items()}
HEAVY = ("torch", "numba", "pybullet", "scipy", "matplotlib", "onnxruntime", "pydantic")


@pytest.mark.parametrize("words", [["--help"], [], ["board"], ["train"], ["help", "race"]])
def test_help_imports_nothing_heavy(words):
    code = (
        f"import sys, racer.cli; racer.cli.main({words});"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


def helped(capsys, *words):
    """What the help of some words says, on a wide terminal."""
    main([*words])
    return capsys.readouterr().out


def test_the_overview_and_the_groups_name_every_command_with_a_line_of_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    groups = ("", *GROUP_HELP, "bench", "sweep")
    said = {group: helped(capsys, *group.split(), "--help") for group in groups}
    for path, function in ALL.items():
        above, _, name = path.rpartition(" ")
        about = (function.__doc__ or "").partition(".")[0].partition("\n")[0]
        assert re.search(rf"{name} +{re.escape(about)}", said[above]), path


def test_every_command_has_its_own_help_with_a_line_for_each_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for path, function in ALL.items():
        shown = helped(capsys, *path.split(), "-h")
        assert shown.startswith("Usage: racer " + path)
        for name in inspect.signature(function).parameters:
            option = name.strip("_").replace("_", "-")
            assert re.search(rf"{option} +\S", shown, re.IGNORECASE), (path, name)


def test_a_group_alone_is_its_help(subtests, capsys):
    for words in [(), ("board",), ("board", "season"), ("tracks",), ("runs",)]:
        with subtests.test(words=words):
            assert (
                helped(capsys, *words)
                == helped(capsys, *words, "--help")
                == helped(capsys, "help", *words)
            )


def test_the_version_is_told(capsys):
    assert helped(capsys, "--version") == f"racer {__version__}\n"


def test_a_misspelt_word_is_answered_with_the_near_one(subtests, capsys):
    for words, meant in [
        ("trian quick", "train"),
        ("board sumbit x.entry.zip", "submit"),
        ("board season sael x", "seal"),
        ("tracks lsit", "list"),
        ("race raceline --trak oval", "--track"),
        ("board show --jsn", "--json"),
        ("train quick --ppo.learning-rat 1", "--ppo.learning-rate"),
        ("train state --sensor.0.stak 2", "--sensor.0.stack"),
        ("completion bahs", "bash"),
    ]:
        with subtests.test(words=words, meant=meant):
            assert re.search(f'Did you mean "?{meant}"?\\?', refused(capsys, *words.split()))


def test_a_word_too_many_too_few_or_of_the_wrong_kind_is_a_usage_error(subtests, capsys):
    for words, said in [
        ("board submit", "ENTRY"),
        ("board show open", "does not take 'open'"),
        ("race raceline --laps 2.7", "--laps: a whole number is wanted, got '2.7'"),
        ("race raceline --kind boxes", "time_trial"),
        ("board verify 1 x", "IDS"),
        ("train quick --total-timesteps 1e5", "--total-timesteps"),
        ("train quick --seed", "--seed requires"),
        ("train quick state", "does not take 'state'"),
        ("train --seed 3", "wants a CONFIG"),
        ("train --resume runs/none --seed 3", "without --seed"),
    ]:
        with subtests.test(words=words, said=said):
            assert said in refused(capsys, *words.split())


@pytest.fixture
def trained(monkeypatch):
    """The configs and folders of trainings that are only begun."""
    begun = []
    monkeypatch.setattr("racer.cli.train._train", lambda *words: begun.append(words))
    return begun


def test_options_of_train_stand_before_or_after_the_config(subtests, trained):
    for words in [
        "quick --run x --seed 1 --track oval snake --race.walls",
        "--run x --seed 1 --track oval snake --race.walls quick",
        "--seed 1 --race.walls quick --track oval snake --run=x",
        "--race.walls --run x --seed=1 --track oval snake quick",
        "--track oval snake quick --seed 1 --race.walls --run x",
    ]:
        with subtests.test(words=words):
            main(["train", *words.split()])
            config, folder, *_, name = trained[-1]
            assert (str(folder), name) == ("x", "quick")
            assert (config.seed, config.track, config.race.walls) == (1, ("oval", "snake"), True)
            assert config.sensor[0].width == 80


def test_every_field_of_a_config_is_an_option_that_keeps_its_value(trained):
    """What the help shows as default is what the option takes, and changes nothing."""
    config = read_document(assets.find_file("quick", "configs"), RunConfig)
    words = []
    for field in config_fields(config):
        if bool in (field.kind, *get_args(field.kind)):
            words += [field.option] if field.value else []
        elif field.value != ():
            words += [field.option, *format_value(field.value).split()]
    main(["train", "quick", *words])
    assert trained[0][0] == config


def test_the_help_of_a_config_shows_its_values(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    said = helped(capsys, "train", "lidar", "--help")
    assert re.search(r"--sensor\.0\.beams .*\[default: 64\]", said)
    assert re.search(r"--race\.walls .*\[default: true\]", said)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("racer bo", "board"),
        ("racer board su", "submit"),
        ("racer train quick --ppo.learn", "--ppo.learning-rate"),
        ("racer train quick --evaluation.e", "--evaluation.eval-freq"),  # not --evaluation.every
        ("racer race x.entry.zip --kind obj", "object_avoidance"),
        ("racer completion f", "fish"),
    ],
)
def test_bash_completes_commands_options_and_values(scripts, words, wanted):
    line = words.split()
    code = f'. "{scripts["bash"]}"; COMP_WORDS=({shlex.join(line)}); COMP_CWORD={len(line) - 1}; '
    code += "_racer; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [wanted]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_reads_its_completion(scripts, shell):
    program = shutil.which(shell)
    if not program:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([program, "-n", scripts[shell]], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Each shell's completion, in a file."""
    files = {}
    for shell in ("bash", "zsh", "fish"):
        files[shell] = tmp_path_factory.mktemp("completion") / shell
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main(["completion", shell])
        files[shell].write_text(printed.getvalue())
    return files


def test_an_unknown_key_in_a_config_names_file_line_and_the_near_one(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("track: oval\nppo:\n  learning_rat: 1e-4\n")
    said = refused(capsys, "train", file)
    assert f"{file}:3" in said
    assert "did you mean 'learning_rate'" in said


def test_a_value_out_of_range_names_file_line_and_range(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("num_envs: 0\n")
    said = refused(capsys, "train", file)
    assert f"{file}:1: num_envs" in said
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


@pytest.mark.slow
def test_debug_shows_where_an_error_came_from():
    done = run("train", "nothing-here.yaml", "--debug")
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr


def test_an_empty_board_is_an_empty_list(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RACER_BOARD", str(tmp_path))
    main(["board", "show", "--json"])
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.slow
def test_a_thread_that_a_reward_leaves_does_not_keep_the_process(tmp_path):
    reward = tmp_path / "threaded.py"
    reward.write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), name='uploader').start()\n"
        "def reward_function(params):\n"
        "    return params['progress']\n"
    )
    words = ("reward", "check", reward, "--track", "oval")
    done = run(*words, timeout=120)
    assert done.returncode == 0
    assert "a thread that still runs: uploader" in done.stderr


@pytest.mark.slow
def test_a_reward_that_logs_shows_its_own_lines_alone(tmp_path):
    reward = tmp_path / "talking.py"
    reward.write_text(
        "import logging\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "logging.debug('mine')\n"
        "def reward_function(params):\n"
        "    return params['progress']\n"
    )
    words = ("reward", "explain", reward, "--track", "oval", "--out", tmp_path / "reward.png")
    done = run(*words, timeout=120)
    assert done.returncode == 0
    assert set(done.stderr.splitlines()) == {"DEBUG:root:mine"}


def test_python_s_export_takes_a_run_or_its_folder(tmp_path, monkeypatch):
    exported = []
    monkeypatch.setattr("racer.training.export.export_run", lambda *words: exported.append(words))
    run = Run(tmp_path / "first")
    for given in (run, run.folder, str(run.folder)):
        assert racer.export(given) == Path("first.entry.zip")
    assert exported == [(run.folder, Path("first.entry.zip"), "first", None, "best")] * 3


def test_the_end_of_the_path_names_what_python_s_export_writes(tmp_path, monkeypatch):
    exported = []
    for function in ("car_export.export_car", "command_export.export_commands"):
        tell = functools.partial(lambda name, *words: exported.append((name, *words)), function)
        monkeypatch.setattr(f"racer.training.{function}", tell)
    assert racer.export(tmp_path / "first", "car.tar.gz") == Path("car.tar.gz")
    racer.export(tmp_path / "first", "mine.onnx", checkpoint="last")
    assert exported == [
        ("car_export.export_car", tmp_path / "first", Path("car.tar.gz"), "best"),
        ("command_export.export_commands", tmp_path / "first", Path("mine.onnx"), "last"),
    ]
    for path in ("car.tar.gz", "mine.onnx"):
        for options in ({"name": "swift"}, {"int8": True}):
            with pytest.raises(ConfigError, match="only an entry"):
                racer.export(tmp_path / "first", path, **options)


def test_python_s_export_quantizes_where_it_is_asked_to(tmp_path, monkeypatch):
    exported = []
    monkeypatch.setattr(
        "racer.training.int8_export.export_int8", lambda *words: exported.append(words)
    )
    assert racer.export(tmp_path / "first", int8=True) == Path("first-int8.entry.zip")
    assert racer.export(tmp_path / "first", "a.zip", "swift", int8=True) == Path("a.zip")
    assert [words[1:] for words in exported] == [
        (Path("first-int8.entry.zip"), "first-int8", None, "best"),
        (Path("a.zip"), "swift", None, "best"),
    ]


def test_a_folder_is_no_entry_and_the_way_from_a_run_to_one_is_told(capsys, tmp_path):
    assert f"racer export {tmp_path}" in refused(capsys, "race", tmp_path)

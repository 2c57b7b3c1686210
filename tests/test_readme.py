"""What the README tells a person to type is there to be typed."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import racer
from racer import assets, cli
from racer.training.config import RunConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def test_a_racer_command_is_understood(subtests, monkeypatch, tmp_path):
    """Every option is parsed by the real command line; only the work itself is left out."""
    done = []

    class Parsed(Exception):
        pass

    def stop(*args, **kwargs):
        done.append((args, kwargs))
        raise Parsed

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("RACER_BOARD", str(tmp_path))
    for name in (
        "racer.cli.train._train",
        "racer.cli.train._resume",
        "racer.training.export.export_run",
        "racer.training.training_report.write_report",
        "racer.deepracer.importer.import_deepracer",
        "racer.training.trajectories.best_trajectory",
        "racer.deepracer.sim_trace.write_json",
        "racer.leaderboard.pages.site.write_site",
        "racer.leaderboard.server.BoardServer",
        "racer.leaderboard.batch.run_season",
        "racer.track.load_track",
        "racer.track.generator.draw_track_file",
        "racer.project.write_car_project",
        "racer.project.write_class_project",
    ):
        monkeypatch.setattr(name, stop)
    run = SimpleNamespace(config=RunConfig, story=dict)
    monkeypatch.setattr("racer.training.start_config.parent_run", lambda *words: run)
    find = assets.find_file

    def found(name, *rest):
        return find("quick" if name.startswith("imported/") else name, *rest)

    monkeypatch.setattr("racer.assets.find_file", found)
    monkeypatch.setattr("racer.training.racers.read_entry", stop)
    monkeypatch.setattr("racer.entries.package.read_entry", stop)
    monkeypatch.setattr("racer.evaluation.evaluate_entries", stop)
    monkeypatch.setattr("racer.leaderboard.ranking.rank", stop)
    monkeypatch.setattr("racer.reward.RewardSource.find", stop)
    monkeypatch.setattr("racer.reward.reward_file.find_reward", stop)
    for command in [line for line in COMMANDS if line.startswith("racer ")]:
        with subtests.test(command=command):
            done.clear()
            with pytest.raises(Parsed):
                cli.main(shlex.split(command)[1:])
            assert done


def test_the_first_thirty_lines_lead_a_stranger_on():
    """One sentence, a lap, the two commands, pip, and a door for each kind of reader."""
    screen = "\n".join(README.splitlines()[:30])
    assert "](docs/lap.gif)" in screen
    assert "make race\nmake test\n" in screen
    assert "pip install" in screen and "racer-rl" in screen
    for reader in ("student", "DeepRacer veteran", "teacher", "researcher"):
        assert re.search(rf"^\| an? {reader} \| .*\]\(docs/", screen, re.MULTILINE), reader


def test_the_film_of_a_lap_is_small_and_moves():
    lap = ROOT / "docs/lap.gif"
    assert lap.stat().st_size <= 2_000_000
    with Image.open(lap) as film:
        assert getattr(film, "n_frames", 1) > 20


def test_a_badge_says_what_the_project_says_of_itself():
    space: dict[str, Any] = {"__file__": str(ROOT / "scripts/badges.py"), "__name__": "badges"}
    exec((ROOT / "scripts/badges.py").read_text(encoding="utf-8"), space)
    wanted = space["badges"]()
    files = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/badges/*")}
    assert files == wanted, "python scripts/badges.py draws them"
    for name, drawn in wanted.items():
        (title,) = re.findall(r"<title>(.*): (.*)</title>", drawn)
        assert f"![{' '.join(title)}](docs/badges/{name})" in README


def test_the_make_targets_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in COMMANDS:
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE)


def test_a_link_leads_to_a_file(subtests):
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        with subtests.test(link=link):
            assert (ROOT / link).exists()


def test_a_named_file_ships(subtests):
    for path in sorted(set(re.findall(r"configs/[\w/]+\.(?:yaml|py)", README))):
        with subtests.test(path=path):
            assert (ROOT / path).is_file()


EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_the_example_trains_exports_and_races(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "total_timesteps=100_000" in EXAMPLES[0]
    exec(EXAMPLES[0].replace("total_timesteps=100_000", "total_timesteps=4_096"), scope := {})
    assert scope["entry"].is_file()
    assert scope["result"].track == "bowtie"
    assert str(scope["result"].lap_times_s) in capsys.readouterr().out


def test_the_example_of_the_environments_runs():
    scope: dict = {}
    exec(EXAMPLES[1], scope)
    scope["env"].close()
    scope["envs"].close()


LIBRARIES = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/libraries.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.slow
@pytest.mark.parametrize("example", LIBRARIES, ids=["alone", "race", "duel"])
def test_an_example_with_another_library_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for long, short in (
        (r"learn\([\d_]+\)", "learn(64)"),
        (r"n_steps=\d+", "n_steps=16"),
        (r"batch_size=\d+", "batch_size=64"),
    ):
        example = re.sub(long, short, example)
    exec(example, {})


DOCS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))
PAGES = ("README.md", *DOCS, "tracks/README.md")
"""The pages that may hold commands to type, in the order in which a person meets them."""
PAGES_OR_README = [
    pytest.param(PAGES[:1], id="README", marks=pytest.mark.ci),
    pytest.param(PAGES, id="all"),
]
SERVERS = ("tensorboard ", "racer board serve", "racer studio")
"""Commands that end with Ctrl-C; they run beside the ones that follow on their page."""
SHORT = "--num-envs 8 --ppo.batch-size 128 --ppo.n-steps 64 --ppo.n-epochs 1 --workers 1 "
SHORT += "--evaluation.eval-freq 4096 --evaluation.laps 1 --evaluation.time-limit 2 "
SHORT += "--evaluation.video-freq 0 --total-timesteps 512"
LEFT_OUT = {
    "racer clone-driver": "racer.imitation.cloning.run_cloning",
    "racer speedrun state": "racer.training.speedrun_challenge.compare_configs",
    "racer export runs/first --int8": "racer.training.int8_export.export_int8",
    "racer tracks limit": "racer.laptime.solve_lap_time_limit",
    "racer board run-season entries/ --season": "racer.leaderboard.batch.run_season",
}
"""Commands that go as far as their work, which takes long and which other tests do."""


def typed(page):
    """Each command of a page's shell blocks, without what continues a line or comments on it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [re.sub(r"\s+# .*", "", line) for line in lines if line and "make " not in line]


def shortened(command, port):
    """A command that does less by its own options, and takes a port that is free."""
    if command.startswith("racer train --resume"):
        return re.sub(r"--total-timesteps \S+", "--total-timesteps 1024", command)
    if command.startswith("racer train"):
        return re.sub(r"--(total-timesteps|minutes) \S+", "", command) + f" {SHORT}"
    if command.startswith("racer sweep configs"):
        command = re.sub(r"--(trials|jobs) \S+", r"--\1 2", command)
        return re.sub(r"--total-timesteps \S+", "", command) + f" {SHORT}"
    if command.startswith("racer board serve"):
        return f"racer board serve --port {port}"
    if command.startswith("racer studio"):
        return f"{command} --port 0"
    if command.startswith("curl "):
        return command.replace(":8000", f":{port}")
    if re.match(r"racer board (withdraw|dispute)", command):
        return f"{command} --yes"
    if command.startswith("racer import-deepracer my-model"):
        return f"{command} --no-rate"
    if command == "racer board verify --all":
        return f"{command} --no-policy"
    smaller = " --size 320x180" if "--video" in command else ""
    return command.replace("--laps 3", "--laps 1").replace("--seeds 5", "--seeds 1") + smaller


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose board has a row; what is typed there stays there."""
    for name in ("configs", "docs", "tracks", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    for key in [key for key in os.environ if key.startswith("RACER_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    # What the page of policies trained elsewhere makes in Python before it types commands.
    page = (ROOT / "docs" / "bring-your-own-policy.md").read_text(encoding="utf-8")
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], {})
    cli.main(["board", "submit", "pure-pursuit"])
    return tmp_path


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("pages", PAGES_OR_README)
def test_every_command_works_in_the_order_in_which_it_is_written(
    pages, subtests, checkout, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for page in pages:
        servers = []
        for command in typed(page):
            with subtests.test(page=page, command=command):
                if command.startswith(SERVERS):
                    servers.append(serve(shortened(command, port)))
                else:
                    do(shortened(command, port), monkeypatch)
                if "--out first.entry.zip" in command:
                    # From here on a policy that has learnt: its races end sooner.
                    racer.write_entry(
                        "steady.onnx", "first.entry.zip", sensor="state", track="bowtie"
                    )
        for server in servers:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)
        monkeypatch.chdir(checkout)  # a page may go into a folder that it makes


def do(command, monkeypatch):
    """Do what a line says: racer commands in this process, since each process starts for long."""
    if command.startswith("cd "):
        monkeypatch.chdir(command.removeprefix("cd "))
        return
    if not command.startswith("racer "):
        subprocess.run(["bash", "-c", command], check=True)
        return
    for start, work in LEFT_OUT.items():
        if command.startswith(start):
            with monkeypatch.context() as patch, pytest.raises(Begun):
                patch.setattr(work, begin)
                cli.main(shlex.split(command)[1:])
            return
    cli.main(shlex.split(command)[1:])


class Begun(Exception):
    """The work of a command is about to begin."""


def begin(*args, **kwargs):
    raise Begun


def serve(command):
    """Start a server and wait until it says where it is."""
    words = ["bash", "-c", f"exec {command}"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said, until = "", time.monotonic() + 60
    while "http://" not in said:
        assert server.poll() is None and time.monotonic() < until, said
        said += server.stdout.readline() if server.stdout else ""
    return server

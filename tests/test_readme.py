"""What the README tells a person to type is there to be typed."""

import re
import shlex
from pathlib import Path

import pytest

from racer import assets, cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("racer ")])
def test_a_racer_command_is_understood(command, monkeypatch, tmp_path):
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
        "racer.training.export.export_run",
        "racer.training.report.write_report",
        "racer.training.importer.import_deepracer",
        "racer.training.lines.best_line",
        "racer.deepracer.trace.write_json",
        "racer.board.page.site.write_site",
        "racer.board.server.BoardServer",
        "racer.board.many.run_season",
        "racer.track.load_track",
        "racer.track.generator.draw",
    ):
        monkeypatch.setattr(name, stop)
    find = assets.find

    def found(name, *rest):
        return find("quick" if name == "mine/mine.yaml" else name, *rest)

    monkeypatch.setattr("racer.assets.find", found)
    monkeypatch.setattr("racer.policy.entry.read_entry", stop)
    monkeypatch.setattr("racer.judge.judge_entries", stop)
    monkeypatch.setattr("racer.board.standing.rank", stop)
    monkeypatch.setattr("racer.reward.RewardSource.find", stop)
    with pytest.raises(Parsed):
        cli.main(shlex.split(command)[1:])
    assert done


def test_the_make_targets_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for line in COMMANDS:
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_a_link_leads_to_a_file(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"configs/[\w/]+\.(?:yaml|py)", README))))
def test_a_named_file_ships(path):
    assert (ROOT / path).is_file()


EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
def test_the_example_trains_exports_and_races(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "steps=100_000" in EXAMPLES[0]
    exec(EXAMPLES[0].replace("steps=100_000", "steps=4_096"), scope := {})
    assert scope["entry"].is_file()
    assert scope["result"].track == "bowtie"
    assert str(scope["result"].lap_times_s) in capsys.readouterr().out


def test_the_example_of_the_environments_runs():
    scope: dict = {}
    exec(EXAMPLES[1], scope)
    scope["env"].close()
    scope["envs"].close()

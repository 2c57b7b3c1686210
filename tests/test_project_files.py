"""What GitHub and citing programs read: held to its schemas, and to what the project does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from racer import __version__
from racer.entries import sandbox, sandbox_worker

ROOT = Path(__file__).parents[1]
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))
WORKFLOW = ROOT / ".github/workflows/ci.yml"
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.needs("check_jsonschema")
@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("citation-file-format", [ROOT / "CITATION.cff"]),
        ("github-workflows", [WORKFLOW]),
        ("github-issue-config", [path for path in FORMS if path.stem == "config"]),
        ("github-issue-forms", [path for path in FORMS if path.stem != "config"]),
    ],
    ids=["citation", "workflow", "config", "forms"],
)
def test_a_file_obeys_its_schema(schema, paths):
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*words, *map(str, paths)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_each_check_of_ci_s_script_and_no_other():
    script = ROOT / ".ci/run"
    listed = subprocess.run(
        ["bash", str(script), "--list"], capture_output=True, text=True, check=True
    )
    (job,) = read(WORKFLOW)["jobs"].values()
    assert job["strategy"]["matrix"]["check"] == listed.stdout.split()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs == ["bash .ci/run ${{ matrix.check }}"]
    wrong = subprocess.run(
        ["bash", str(script), "nope"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "nope is no check; there are: test newer" in wrong.stderr
    asked = re.findall(r"\bwants (\w+)", script.read_text(encoding="utf-8"))
    assert set(asked) == set(listed.stdout.split())


def test_the_workflow_has_the_pythons_that_ci_s_script_looks_for():
    (job,) = read(WORKFLOW)["jobs"].values()
    (given,) = [one["with"]["python-version"] for one in job["steps"] if "setup" in str(one)]
    assert given.split() == ["3.13", "3.11"]
    assert "for version in 3.13 3.12" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_the_citation_and_the_changelog_are_of_this_version():
    citation = read(ROOT / "CITATION.cff")
    assert (citation["version"], citation["license"]) == (__version__, "Apache-2.0")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)", changes, re.MULTILINE)
    assert headings[:2] == ["[Unreleased]", f"[{__version__}] - {citation['date-released']}"]


def test_the_page_on_security_says_what_the_sandbox_does():
    table = [line for line in SECURITY.splitlines() if line.startswith("| |")]
    assert re.findall(r"`([a-z ]+)`", table[0]) == list(sandbox_worker.STRENGTHS)
    megabytes = sandbox.SANDBOX_MEMORY_BYTES / 1e6
    for words in (
        f"{megabytes:.0f} MB beyond the libraries",
        f"{sandbox.LOAD:g} s to load, {sandbox.CALL:g} s an action, an hour in all",
        "eight times its processor time",
    ):
        assert words in SECURITY
    assert (sandbox.WALL_CLOCK_FACTOR, sandbox.SANDBOX_CPU_LIMIT_S) == (8, 3600)


def test_each_form_asks_for_something_and_names_commands_that_exist():
    from racer.cli.app import COMMANDS

    known = {path.partition(" ")[0] for paths in COMMANDS.values() for path in paths}
    for path in FORMS:
        form = read(path)
        if path.stem == "config":
            continue
        required = [one for one in form["body"] if one.get("validations", {}).get("required")]
        assert required, path
        assert len({one["id"] for one in form["body"] if "id" in one}) >= 2
    texts = [SECURITY, *(path.read_text(encoding="utf-8") for path in FORMS)]
    named = {word for text in texts for word in re.findall(r"`racer\s+([a-z-]+)", text)}
    assert {"new", "doctor", "board", "generalisation"} <= named
    assert {word for word in named if not word.startswith("-")} <= known

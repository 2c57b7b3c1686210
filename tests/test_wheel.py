"""The wheel and the sdist work without a checkout: in an environment and a folder of their own."""

import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from racer import __version__
from racer.cluster.node_facts import code_digest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BRIEF = (
    "--num-envs 8 --ppo.batch-size 128 --ppo.n-steps 64 --ppo.n-epochs 1 --workers 1 "
    "--evaluation.eval-freq 4096 --evaluation.laps 1 --evaluation.time-limit 2 "
    "--evaluation.video-freq 0 --total-timesteps 512"
)
"""Options of a training of seconds."""
TYPE = """
import shlex, subprocess, sys
from racer.cli import main
for line in sys.argv[1:]:
    print("$", line, flush=True)
    words = shlex.split(line)
    main(words[1:]) if words[0] == "racer" else subprocess.run(["bash", "-c", line], check=True)
"""
"""A program that does the lines in its arguments: in one process, as each compiles kernels anew."""
SERVERS = ("racer board serve", "racer studio")
"""Commands that end with Ctrl-C."""

pytestmark = [pytest.mark.slow(minutes=2), pytest.mark.needs("build")]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the sdist, and of the wheel that is made of the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def environment(built, tmp_path_factory):
    """The variables of a shell whose Python has the wheel.

    The packages that racer needs are those of this environment, as they are large.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder)]
    subprocess.run([*pip, "install", "-q", "--no-deps", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    env = {key: one for key, one in os.environ.items() if not key.startswith(("RACER_", "PYTHON"))}
    tools = (folder / "bin", Path(sys.executable).parent, os.environ["PATH"])
    return env | {"PATH": os.pathsep.join(map(str, tools)), "VIRTUAL_ENV": str(folder)}


@pytest.fixture
def shell(environment, tmp_path):
    """A function that runs a line in a shell in an empty folder, and returns what it prints."""
    place = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}

    def run(line, code=0):
        done = subprocess.run(["bash", "-c", line], check=False, **place)
        assert done.returncode == code, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout + done.stderr

    where = run("python -c 'import racer; print(racer.__file__)'").strip()
    assert where.startswith(environment["VIRTUAL_ENV"]), "the checkout's racer would be tested"
    return run


@pytest.mark.ci
def test_the_sdist_has_what_a_packager_needs(built):
    (sdist,) = built.glob("*.tar.gz")
    assert sdist.name == f"racer_rl-{__version__}.tar.gz"
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "SECURITY.md", "Makefile"}
    wanted |= {"tests/test_wheel.py", "docs/my-model/reward_function.py", "tracks/oval.yaml"}
    assert wanted <= names
    assert not [name for name in names if name.startswith((".venv", "runs/", "board/", "dist/"))]


@pytest.mark.ci
def test_the_chief_commands_work_by_name(shell):
    assert shell("racer --version") == f"racer {__version__}\n"
    lines = (
        "new ann --like state",
        f"train ann/car.yaml --run first {BRIEF}",
        "export first --out first.entry.zip",
        "race first.entry.zip --laps 1",
        "board submit first.entry.zip",
        "board season show validation",
        "reward new --like pace",
        "reward check mine.py --track oval",
        "tracks show hairpin",
        "import-deepracer my-model --name imported --no-rate",
        "actions --out imported/again.json",
        "new club --class --names ann",
        "doctor",
    )
    said = shell(shlex.join(["python", "-c", TYPE, *(f"racer {line}" for line in lines)]))
    assert "next: racer train imported/imported-faster.yaml" in said
    assert "season validation" in said
    facts = """
from importlib import metadata
from racer import doctor
from racer.cluster.node_facts import code_digest
from racer.assets.extras import how_to_install
print(metadata.version("racer-rl"), len(doctor._constraints()) > 100, code_digest())
print(how_to_install("limit"))
"""
    shown = shell(shlex.join(["python", "-c", facts]))
    assert shown == f"{__version__} True {code_digest()}\npip install 'racer-rl[limit]'\n"
    assert "shipped there: bowtie" in shell("racer tracks show ovla", code=2)


def readme_commands():
    """What the README tells to type, without make, which a checkout has, and TensorBoard."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [
        re.sub(r"\s+# .*", "", line)
        for line in lines
        if line and not re.match("make |tensorboard ", line)
    ]


def shortened(command):
    """A command that does less by its own options."""
    if command.startswith("racer train --resume"):
        return re.sub(r"--total-timesteps \S+", "--total-timesteps 1024", command)
    if command.startswith("racer train"):
        return re.sub(r"--(total-timesteps|minutes) \S+", "", command) + f" {BRIEF}"
    if command.startswith(SERVERS):
        served = re.sub(r"--port [0-9]+", "", command) + " --port 0"
        return f"grep -m 1 http:// <(timeout -s INT 120 {served} 2>&1)"
    smaller = " --size 320x180" if "--video" in command else ""
    return command.replace("--laps 3", "--laps 1") + smaller


def test_every_command_of_the_readme_works_from_an_empty_folder(shell):
    commands = readme_commands()
    assert len(commands) > 20
    shell(shlex.join(["python", "-c", TYPE, *map(shortened, commands)]))

"""Run the steps of a Dockerfile as plain commands, where there is no Docker.

COPY copies into a folder in place of the image's working directory, and RUN runs there with an
environment of Python of its own in front of the PATH. FROM, USER, EXPOSE and CMD do nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KNOWN = ("FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "CMD")


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, each with its words.

    Raises:
        ValueError: One of them is not known here.
    """
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, words = line.partition(" ")
        if name not in KNOWN:
            raise ValueError(f"{path}: {name}: wanted one of {', '.join(KNOWN)}")
        found.append((name, words.strip()))
    return found


def run_steps(path: Path, folder: Path) -> None:
    """Run the steps of a Dockerfile in a folder.

    Args:
        path: The Dockerfile; its COPY takes files of this checkout.
        folder: A new folder.
    """
    home = folder / "workdir"
    home.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "python")], check=True)
    env = {**os.environ, "PATH": f"{folder / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    for name, words in instructions(path):
        if name == "COPY":
            *sources, to = shlex.split(words)
            for source in sources:
                copy(ROOT / source, home / to, is_folder=to.endswith("/"))
        elif name == "RUN":
            print(f"RUN {words}", flush=True)
            subprocess.run(["/bin/sh", "-c", words], cwd=home, env=env, check=True)
        elif name == "ENV":
            env |= dict(one.split("=", 1) for one in shlex.split(words))


def copy(source: Path, to: Path, is_folder: bool) -> None:
    """Copy a file or the content of a folder, as COPY does.

    Args:
        source: The file or the folder.
        to: Where the copy goes.
        is_folder: Whether a file goes into the folder `to`.
    """
    if source.is_dir():
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        (to if is_folder else to.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to / source.name if is_folder else to)


def main() -> None:
    """Run the steps of deploy/Dockerfile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    run_steps(ROOT / "deploy" / "Dockerfile", parser.parse_args().folder)


if __name__ == "__main__":
    main()

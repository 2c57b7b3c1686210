"""The command that makes a new folder to begin in."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from racer.cli.output import shell_command
from racer.errors import UsageError


def cli_new(
    folder: Path,
    class_: Annotated[bool, Parameter(name="--class", negative=())] = False,
    like: str | None = None,
    names: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
) -> None:
    """Make a folder with a car to train, or with --class a season for a class.

    The car's folder has a config, its reward and the steps to a race; it trains at once. The
    season's folder has its rules, a list of names and the teacher's steps.

    Args:
        folder: The new folder, or an empty one. Its name is that of the car or the season.
        class_: Make a season for a class.
        like: The shipped config or season to begin with; quick or open by default.
        names: The names of the class, with --class; they can be written into names.txt later.
    """
    from racer.project import write_car_project, write_class_project

    if names and not class_:
        raise UsageError("--names are those of a class: give --class too, or leave them out")
    if class_:
        made = write_class_project(folder, like or "open", names)
        first = shell_command("board", "season", "show", "season.yaml")
    else:
        made = write_car_project(folder, like or "quick")
        first = shell_command("train", "car.yaml", "--run", "runs/first")
    print(f"folder: {folder}, with {', '.join(made)}; README.md has the steps")
    print(f"next: {shlex.join(['cd', str(folder)])}\n      {first}")

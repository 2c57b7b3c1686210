"""A new folder with a car to train: a config, its reward and the steps from here to a race."""

from __future__ import annotations

import re
from pathlib import Path

from racer import assets
from racer.errors import ProjectError
from racer.project.project_folder import fill_template, project_name, write_folder
from racer.reward.reward_file import find_reward

CAR_CONFIG_FILE = "car.yaml"
CAR_REWARD_FILE = "reward.py"
CAR_IGNORED_FILES = """\
# What racer writes and can write again.
/runs/
/sweeps/
/board/
/pages/
*.entry.zip
*.mp4
*.png
# Keys that sign entries: never share one.
*.key
"""


def write_car_project(folder: Path, like: str = "quick") -> list[str]:
    """Write a folder whose config trains at once, and return the names of its files.

    Args:
        folder: A new or an empty folder; its name names the entry.
        like: The shipped config that it begins with, a copy with the reward beside it.

    Raises:
        ProjectError: There is no such config, or as `write_folder` and `project_name`.
    """
    shipped = assets.shipped_names("configs")
    if like not in shipped:
        raise ProjectError(f"no config {like!r} ships with racer; there are: {', '.join(shipped)}")
    text = (assets.assets_root() / f"configs/{like}.yaml").read_text(encoding="utf-8")
    name = project_name(folder)
    reward = _reward_of(text)
    files = {
        CAR_CONFIG_FILE: _own_config(text, like),
        CAR_REWARD_FILE: find_reward(reward).read_text(encoding="utf-8"),
        "README.md": fill_template("car.md", name=name, like=like, reward=reward),
        ".gitignore": CAR_IGNORED_FILES,
    }
    write_folder(folder, files)
    return list(files)


def _reward_of(text: str) -> str:
    found = re.search(r"^reward: (\w+)$", text, re.MULTILINE)
    assert found, "each shipped config names its reward on a line of its own"
    return found[1]


def _own_config(text: str, like: str) -> str:
    """Return a shipped config's text with the reward of the folder and another heading.

    Its first lines say what was measured with the shipped reward, which need not hold any more.
    """
    fields = re.sub(r"\A(#.*\n)+", "", text)
    fields = re.sub(r"^reward: \w+$", f"reward: {CAR_REWARD_FILE}", fields, flags=re.MULTILINE)
    return (
        "# What the car sees and does, where it drives and how it learns. What is left out has a\n"
        f"# default; `racer train {CAR_CONFIG_FILE} --help` lists all fields.\n"
        f"# A copy of racer's config `{like}`.\n{fields}"
    )

"""A new folder with a season for a class: its rules, a list of names and the teacher's steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from racer import assets
from racer.assets.document import parse_yaml, validate_document
from racer.errors import ProjectError
from racer.leaderboard.roster import check_roster
from racer.leaderboard.season import Season
from racer.project.project_folder import fill_template, project_name, write_folder
from racer.registration import ENV_IDS

SEASON_FILE, ROSTER_FILE = "season.yaml", "names.txt"
CLASS_IGNORED_FILES = """\
# Names and entries of persons: share them only if all agree.
/names.txt
/entries/
/board/
/pages/
*.backup
*.mp4
"""
ROSTER_HEADING = """\
# The names of the class, one a line. An entry is called NAME.entry.zip.
"""


def write_class_project(folder: Path, like: str = "open", names: Sequence[str] = ()) -> list[str]:
    """Write a folder with a season of its own, and return the names of its files.

    Args:
        folder: A new or an empty folder; its name names the season.
        like: The shipped season whose rules it begins with; not a sealed one.
        names: The names of the class; they can be written into the file later.

    Raises:
        ProjectError: There is no such season, or as `write_folder` and `project_name`.
        BoardError: As `check_roster`.
    """
    name = project_name(folder)
    rules = _rules(like, name)
    season = validate_document(rules, Season, SEASON_FILE)
    roster = check_roster(names, "names") if names else []
    files = {
        SEASON_FILE: f"# The rules; a change of any field after the first entry makes another "
        f"season.\n{yaml.safe_dump(rules, sort_keys=False, default_flow_style=None)}",
        "RULES.md": fill_template("rules.md", name=name, rules="\n".join(season_rules(season))),
        ROSTER_FILE: ROSTER_HEADING + "".join(f"{one}\n" for one in roster),
        "README.md": fill_template("class.md", name=name, kind_config=_CONFIGS[season.race.kind]),
        ".gitignore": CLASS_IGNORED_FILES,
        "entries/": "",
    }
    write_folder(folder, files)
    return list(files)


def season_rules(season: Season) -> list[str]:
    """Return the rules of a season as items of a Markdown list, in words for those who race."""
    race, tracks = season.race, ", ".join(f"`{track}`" for track in season.tracks)
    laps = "one lap" if race.laps == 1 else f"{race.laps} laps"
    ways = " and ".join(_WAYS[one] for one in season.directions)
    seeds = f", {len(season.seeds)} times from other seeds" if len(season.seeds) > 1 else ""
    fault = (
        "Leaving the road with all wheels, standing still or driving backwards costs "
        f"{race.off_track_penalty:g} s and a crash {race.collision_penalty:g} s; the car goes on "
        "from the nearer lane"
        if race.faults == "reset"
        else "Leaving the road with all wheels, standing still, driving backwards or a crash ends "
        "the run"
    )
    return [
        f"- {_KINDS[season.race.kind]}: {laps} on {tracks}, {ways}{seeds}.",
        "- One car of the class at a time, from a standstill on the start line.",
        f"- All drive the same car, `{season.car}`.",
        f"- {fault}.",
        f"- A run ends after {race.time_limit:g} s, penalties included.",
        f"- What counts: {_RANKINGS[season.ranking]}.",
    ]


def _rules(like: str, name: str) -> dict[str, Any]:
    """Return the fields of a shipped season under another name, for the present physics."""
    shipped = assets.shipped_names("configs/seasons")
    if like not in shipped:
        raise ProjectError(f"no season {like!r} ships with racer; there are: {', '.join(shipped)}")
    found, _ = parse_yaml(assets.assets_root() / f"configs/seasons/{like}.yaml")
    if "sealed" in found:
        raise ProjectError(
            f"the season {like!r} is sealed, and its secret is known; begin with another one, and "
            "`racer board season seal` draws a secret for it"
        )
    physics = int(ENV_IDS[found["race"].get("kind", "time_trial")].rpartition("-v")[2])
    own = {"name": name, "description": f"The season of {name}."}
    return found | own | {"physics": physics}


_KINDS = {
    "time_trial": "A time trial on an empty road",
    "object_avoidance": "A race around boxes on the road",
    "head_to_bot": "A race past slower cars that change lanes",
}
_CONFIGS = {
    "time_trial": "quick",
    "object_avoidance": "object_avoidance",
    "head_to_bot": "head_to_bot",
}
"""The shipped config with which a student begins for each kind of race."""
_WAYS = {"forward": "in the track's own direction", "reverse": "against it"}
_RANKINGS = {
    "total": "most laps, then the least time for all of them",
    "best": "the sum of each track's best lap",
    "average": "most laps, then the least mean lap",
    "iqm": "most laps, then the mean lap over the middle half of all runs",
}

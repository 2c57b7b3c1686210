"""The `racer reward` commands."""

from __future__ import annotations

from pathlib import Path

from racer.cli.options import RaceKind
from racer.cli.output import print_json, shell_command
from racer.errors import RewardError


def reward_new(like: str = "progress", out: Path = Path("mine.py")) -> None:
    """Copy a reward that ships with racer, to change it; write over no other file.

    Args:
        like: A shipped reward's name, or a reward file.
        out: The file to write.
    """
    from racer.assets.atomic import write_new
    from racer.reward.reward_file import find_reward

    if out.suffix != ".py":
        raise RewardError(f"{out}: a reward is a Python file; let its name end with .py")
    content = find_reward(like).read_bytes()
    try:
        write_new(out, content)
    except OSError as problem:
        raise RewardError(f"{out}: cannot be written: {problem.strerror}") from problem
    print(f"reward: {out}, a copy of {like}\nnext: {shell_command('reward', 'check', out)}")


def reward_check(file: str, track: str | None = None, json: bool = False) -> None:
    """Call a reward in many states of every track, and look for mistakes and loopholes.

    The exit code is 2 if the file cannot be used; anything that is only suspicious is a warning.

    Args:
        file: The reward file, or a shipped one's name.
        track: Check on this track only: a shipped one's name or a YAML file; on all shipped ones
            by default.
        json: Print the report as JSON.
    """
    from racer import assets
    from racer.reward import RewardSource
    from racer.reward_check import check_reward
    from racer.track import load_track

    source = RewardSource.find(file)
    names = [track] if track else assets.shipped_names("tracks")
    report = check_reward(source, [load_track(name) for name in names])
    if json:
        print_json(report.as_dict())
    else:
        print("\n".join(report.as_lines()))


def reward_explain(
    file: str,
    track: str = "bowtie",
    out: Path = Path("reward.png"),
    speed: float = 1.4,
    heading: float = 0.0,
    kind: RaceKind = "time_trial",
    reverse: bool = False,
    driver: str = "pure-pursuit",
) -> None:
    """Draw a reward all over a track at one speed, and along one driven lap.

    Args:
        file: The reward file, or a shipped one's name.
        track: A shipped track's name or a YAML file.
        out: The PNG to write.
        speed: Speed of the car in metres per second, 0.1-4.
        heading: Heading of the car, in degrees to the left of the road's direction.
        kind: An empty road, one with boxes, or one with bots.
        reverse: Drive against the track's own direction.
        driver: Driver of the lap: a baseline controller, pure-pursuit or raceline, an entry,
            NAME.entry.zip, or a run's folder.
    """
    from racer.rendering.line_plots import save_figure
    from racer.reward import RewardSource
    from racer.reward_check import explain_reward
    from racer.training.racers import racer_named

    source = RewardSource.find(file)
    racer = racer_named(driver)
    save_figure(explain_reward(source, track, speed, heading, kind, reverse, racer), out)
    print(f"reward: {out}")

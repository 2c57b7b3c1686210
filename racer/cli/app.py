"""The tree of `racer`'s commands, on cyclopts.

A command is a function: its docstring is its help, its parameters without a default are words in
their order, all others are `--options`, which may stand before or after the words.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.exceptions import UnusedCliTokensError

from racer import __version__
from racer.assets.terminal import make_console
from racer.cli import (
    board,
    completion,
    deepracer,
    doctor,
    entry,
    measure,
    page,
    race,
    reward,
    runs,
    season,
    tracks,
    train,
)
from racer.cli.options import as_command, present_options, with_parameters
from racer.errors import UsageError

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Train": {
        "train": as_command(train.cli_train, None),
        "runs list": runs.runs_list,
        "runs show": runs.runs_show,
        "watch": runs.cli_watch,
        "analyze": deepracer.analyze,
        "export": train.cli_export,
        "card": runs.cli_card,
    },
    "Race": {
        "race": race.cli_race,
        "generalisation": race.generalisation,
        "board submit": board.board_submit,
        "board show": board.board_show,
        "board history": board.board_history,
        "board withdraw": board.board_withdraw,
        "board dispute": board.board_dispute,
        "board verify": board.board_verify,
        "board chain": board.board_chain,
        "board replay": board.board_replay,
        "board page": page.board_page,
        "board serve": page.board_serve,
        "board run-season": page.board_run_season,
        "board check": entry.board_check,
        "board keygen": entry.board_keygen,
        "board backup": board.board_backup,
        "board restore": board.board_restore,
        "board season new": season.season_new,
        "board season seal": season.season_seal,
        "board season reveal": season.season_reveal,
        "board season show": season.season_show,
    },
    "Prepare": {
        "entry write": entry.entry_write,
        "tracks list": tracks.tracks_list,
        "tracks show": tracks.tracks_show,
        "tracks generate": tracks.tracks_generate,
        "tracks import": tracks.tracks_import,
        "tracks export": tracks.tracks_export,
        "tracks limit": tracks.tracks_limit,
        "reward check": reward.reward_check,
        "reward explain": reward.reward_explain,
        "actions": deepracer.actions,
        "import-deepracer": deepracer.cli_import_deepracer,
    },
    "Measure": {
        "bench": measure.cli_bench,
        "bench train": measure.cli_bench_train,
        "car report": measure.car_report,
    },
    "Set up": {
        "doctor": doctor.doctor,
        "completion": completion.completion,
    },
}
"""Each command's function, under the heading that the overview gives its first word."""

GROUP_HELP = {
    "runs": "List runs, or show one.",
    "board": "Keep a leaderboard: judge entries, show the standing, publish and verify it.",
    "board season": "Make a season, seal and reveal it, or show one.",
    "tracks": "List, show, make, convert and solve tracks.",
    "reward": "Look over a reward function before it trains.",
    "car": "Measure a car.",
    "entry": "Make an entry of a policy that was trained elsewhere.",
}
"""What a command that only holds others says about itself."""

USAGE_LINES = {"train": "Usage: racer train CONFIG [OPTIONS], or racer train --resume RUN"}
"""How a command is called, where its parameters alone would not tell."""

EPILOGUE = """\
`racer COMMAND --help` explains a command; `--debug` anywhere shows where an error came from."""


def make_app(train_command: Callable[..., None] | None = None) -> App:
    """Return the whole command line.

    Args:
        train_command: `racer train` with a config's fields as options, which are many and slow to
            import; without them by default.
    """
    options = Group("Options", sort_key=len(COMMANDS))
    app = App(
        name="racer",
        help="A DeepRacer-style car in PyBullet: train it, race it, keep a leaderboard.",
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        group_parameters=options,
        version=f"racer {__version__}",
        default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
        console=make_console(),
        result_action="return_value",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        verbose=False,
    )
    for flag in ("--help", "--version"):
        app[flag].group = options
    apps = {"": app}
    for number, (heading, commands) in enumerate(COMMANDS.items()):
        group = Group(heading, sort_key=number)
        for path, function in commands.items():
            if path == "train" and train_command:
                function = train_command
            _add(apps, path, function, group)
    return app


def run(words: list[str]) -> None:
    """Parse the words and call the function that they name.

    Raises:
        UsageError: No such command or option, a word too many or too few, or a bad value.
    """
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    command = None
    if words[:1] == ["train"]:
        command, rest = train.train_command(words[1:])
        words = ["train", *rest]
    try:
        make_app(command)(words)
    except CycloptsError as problem:
        former = present_options(command) if command else {}
        raise UsageError(_message(problem, former)) from problem


def _add(apps: dict[str, App], path: str, function: Callable[..., None], group: Group) -> None:
    """Put a command into the tree, and the groups on the way to it."""
    above, _, name = path.rpartition(" ")
    if above not in apps:
        _add_group(apps, above, group)
    about = {"version_flags": (), "help_epilogue": "", "sort_key": len(apps)}
    apps[path] = App(name=name, group=() if above else group, usage=USAGE_LINES.get(path), **about)
    apps[path].default(_with_options(function))
    apps[above].command(apps[path])


def _add_group(apps: dict[str, App], path: str, group: Group) -> None:
    above, _, name = path.rpartition(" ")
    about = {"version_flags": (), "help_epilogue": "", "sort_key": len(apps)}
    apps[path] = App(name=name, group=() if above else group, help=GROUP_HELP[path], **about)
    apps[above].command(apps[path])


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    """The function as the parser shall see it: what has a default is an option, and only that."""
    kinds = []
    for one in inspect.signature(function, eval_str=True).parameters.values():
        if one.kind is one.POSITIONAL_OR_KEYWORD:
            is_word = one.default is one.empty
            one = one.replace(kind=one.POSITIONAL_ONLY if is_word else one.KEYWORD_ONLY)
        kinds.append(one)

    @functools.wraps(function)
    def call(*words: Any, **options: Any) -> None:
        function(*words, **options)

    call.__doc__ = _flowing(inspect.cleandoc(function.__doc__ or ""))
    return with_parameters(call, kinds)


def _flowing(text: str) -> str:
    """A docstring without the line breaks inside its paragraphs; the terminal has its own width."""
    text = re.sub(r"\n {8,}", " ", text)
    return re.sub(r"(?<=[^\n:])\n(?=\S)", " ", text)


def _message(problem: CycloptsError, former: Mapping[str, str]) -> str:
    """What is wrong, and the command whose help tells more.

    Args:
        problem: What the parser raised.
        former: Former names of options and the present ones, which are proposed instead.
    """
    chain, what = " ".join(("racer", *(problem.command_chain or ()))), str(problem)
    if isinstance(problem, UnusedCliTokensError):
        what = f"{chain} does not take {' '.join(problem.unused_tokens or ())!r}."
    elif problem.argument and problem.msg and problem.argument.name not in what:
        what = f"{problem.argument.name}: {what}"
    what = re.sub(r"(?<=Did you mean )--[^?]+", lambda found: former.get(found[0], found[0]), what)
    return f"{what} Try `{chain}{' CONFIG' * (chain == 'racer train')} --help`."

"""The commands of `racer`, parsed by cyclopts.

A command is a function, and its docstring is the command's help. Parameters without a default are
positional arguments; the others are `--options`, which may come before or after them.
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
    drives,
    entry,
    explain,
    imitation,
    measure,
    page,
    project,
    race,
    reward,
    runs,
    season,
    studio,
    sweep,
    tracks,
    train,
)
from racer.cli.options import as_command, present_options, with_parameters
from racer.errors import UsageError

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Train": {
        "train": as_command(train.cli_train, None),
        "sweep": as_command(sweep.cli_sweep, None),
        "sweep show": sweep.sweep_show,
        "clone-driver": imitation.cli_clone_driver,
        "runs list": runs.runs_list,
        "runs show": runs.runs_show,
        "runs compare": runs.runs_compare,
        "runs note": runs.runs_note,
        "runs stop": runs.runs_stop,
        "runs pause": runs.runs_pause,
        "runs resume": runs.runs_resume,
        "runs evaluate": runs.runs_evaluate,
        "runs rm": runs.runs_rm,
        "runs prune": runs.runs_prune,
        "runs push": runs.runs_push,
        "runs pull": runs.runs_pull,
        "studio": studio.cli_studio,
        "watch": runs.cli_watch,
        "analyze": deepracer.analyze,
        "export": train.cli_export,
        "card": runs.cli_card,
    },
    "Race": {
        "race": race.cli_race,
        "generalisation": race.generalisation,
        "robustness": race.robustness,
        "explain": explain.cli_explain,
        "drives list": drives.drives_list,
        "drives verify": drives.drives_verify,
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
        "board work": page.board_work,
        "board run-season": page.board_run_season,
        "board check": entry.board_check,
        "board keygen": entry.board_keygen,
        "board backup": board.board_backup,
        "board restore": board.board_restore,
        "board migrate": board.board_migrate,
        "board season new": season.season_new,
        "board season seal": season.season_seal,
        "board season reveal": season.season_reveal,
        "board season show": season.season_show,
    },
    "Prepare": {
        "new": project.cli_new,
        "entry write": entry.entry_write,
        "tracks list": tracks.tracks_list,
        "tracks show": tracks.tracks_show,
        "tracks generate": tracks.tracks_generate,
        "tracks import": tracks.tracks_import,
        "tracks export": tracks.tracks_export,
        "tracks limit": tracks.tracks_limit,
        "reward new": reward.reward_new,
        "reward check": reward.reward_check,
        "reward explain": reward.reward_explain,
        "actions": deepracer.actions,
        "import-deepracer": deepracer.cli_import_deepracer,
        "import-car": entry.cli_import_car,
    },
    "Measure": {
        "bench": measure.cli_bench,
        "bench train": measure.cli_bench_train,
        "bench gpu": measure.cli_bench_gpu,
        "benchmark": measure.cli_benchmark,
        "speedrun": measure.cli_speedrun,
        "car report": measure.car_report,
        "fit": measure.cli_fit,
    },
    "Set up": {
        "doctor": doctor.doctor,
        "completion": completion.completion,
    },
}
"""The function of each command, by the heading in the overview."""

CONFIG_COMMANDS = {"train": train.train_command, "sweep": sweep.sweep_command}
"""The commands whose options are the fields of a config, by name."""

GROUP_HELP = {
    "drives": "List and verify the races that you drove in the studio.",
    "runs": "List, show, compare, annotate, pause, stop, copy or delete runs.",
    "board": "Run a leaderboard: evaluate entries, show and publish the ranking, verify it.",
    "board season": "Make, seal, reveal or show a season.",
    "tracks": "List, show, generate, convert and solve tracks.",
    "reward": "Copy, check and explain a reward function before training.",
    "car": "Measure a car.",
    "entry": "Write an entry for a policy that was trained elsewhere.",
}
"""The help of each group of commands."""

USAGE_LINES = {
    "train": "Usage: racer train CONFIG [OPTIONS], racer train --from RUN [OPTIONS], "
    "or racer train --resume RUN",
    "sweep": "Usage: racer sweep CONFIG --param KEY=VALUES [OPTIONS], or racer sweep --resume DIR",
}
"""The usage line of commands whose parameters do not show it."""

EPILOGUE = """\
`racer COMMAND --help` explains a command; `--debug` shows the traceback of an error."""


def make_app(with_fields: Mapping[str, Callable[..., None]] | None = None) -> App:
    """Return the whole command line.

    Args:
        with_fields: `train` or `sweep` with a config's fields as options, by name. By default they
            have none of them, as they are slow to import.
    """
    options = Group("Options", sort_key=len(COMMANDS))
    app = App(
        name="racer",
        help="Train DeepRacer-style cars in PyBullet, race them and run a leaderboard.",
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
            _add(apps, path, (with_fields or {}).get(path, function), group)
    return app


def run(words: list[str]) -> None:
    """Parse the words of a command line and call the command's function.

    Args:
        words: The words after `racer`.

    Raises:
        UsageError: A command or an option is unknown, a word is missing or superfluous, or a value
            is invalid.
    """
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    with_fields: dict[str, Callable[..., None]] = {}
    former: dict[str, str] = {}
    name = "".join(words[:1])
    if name in CONFIG_COMMANDS and f"{name} {''.join(words[1:2])}" not in COMMANDS["Train"]:
        command, rest = CONFIG_COMMANDS[name](words[1:])
        with_fields, former = {name: command}, present_options(command)
        words = [name, *rest]
    try:
        make_app(with_fields)(words)
    except CycloptsError as problem:
        raise UsageError(_message(problem, former)) from problem


def _add(apps: dict[str, App], path: str, function: Callable[..., None], group: Group) -> None:
    """Add a command and the groups that it is in."""
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
    """Return the function with its parameters as positional arguments and options."""
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
    """Return a docstring without line breaks inside paragraphs, which the terminal wraps."""
    text = re.sub(r"\n {8,}", " ", text)
    return re.sub(r"(?<=[^\n:])\n(?=\S)", " ", text)


def _message(problem: CycloptsError, former: Mapping[str, str]) -> str:
    """Return the message of an error, and the command that shows the help.

    Args:
        problem: The error of the parser.
        former: Present names of options by their former ones, which are not proposed.
    """
    chain, what = " ".join(("racer", *(problem.command_chain or ()))), str(problem)
    if isinstance(problem, UnusedCliTokensError):
        what = f"{chain} does not take {' '.join(problem.unused_tokens or ())!r}."
    elif problem.argument and problem.msg and problem.argument.name not in what:
        what = f"{problem.argument.name}: {what}"
    what = re.sub(r"(?<=Did you mean )--[^?]+", lambda found: former.get(found[0], found[0]), what)
    return f"{what} Try `{chain}{' CONFIG' * (chain[6:] in CONFIG_COMMANDS)} --help`."

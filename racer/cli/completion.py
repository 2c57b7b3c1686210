"""The command that prints a shell's completion script."""

from __future__ import annotations

import re
from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print a script that lets a shell complete racer's commands, options and files.

    bash: put `source <(racer completion bash)` into ~/.bashrc.

    zsh: put `source <(racer completion zsh)` into ~/.zshrc, after compinit.

    fish: put `racer completion fish | source` into ~/.config/fish/config.fish.

    To start shells faster, write the script to a file once and source that file.

    Args:
        shell: The shell.
    """
    from racer.cli.app import make_app
    from racer.cli.options import as_command
    from racer.cli.sweep import cli_sweep
    from racer.cli.train import cli_train
    from racer.training.config import RunConfig

    commands = {"train": cli_train, "sweep": cli_sweep}
    with_fields = {name: as_command(one, RunConfig()) for name, one in commands.items()}
    script = make_app(with_fields).generate_completion(shell=shell)
    print(_with_files(script, shell))


def _with_files(script: str, shell: str) -> str:
    """Return the script, changed so that it completes file names if it knows no other word.

    Many words of racer's commands are files, which cyclopts does not complete.
    """
    if shell == "bash":
        return script.replace("complete -F", "complete -o default -F")
    if shell == "zsh":
        is_bare = r"^(\s+'(?:\d+:|\*:|\*--[^ ]*\[.*\]:)(?:(?!:\(|_files|->).)*)('(?: \\)?)$"
        started = 'if [[ "$funcstack[1]" == _racer ]]; then _cyclopts_racer "$@"; '
        started += "else compdef _cyclopts_racer racer; fi"
        return f"{re.sub(is_bare, _FILES, script, flags=re.MULTILINE)}\n{started}"
    return script


_FILES = r"\1:_files\2"

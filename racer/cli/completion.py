"""The command that makes a shell complete `racer`'s words."""

from __future__ import annotations

import re
from typing import Literal


def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the script with which a shell completes racer's commands, options and files.

    bash: put `source <(racer completion bash)` into ~/.bashrc.

    zsh: put `source <(racer completion zsh)` into ~/.zshrc, after compinit.

    fish: put `racer completion fish | source` into ~/.config/fish/config.fish.

    Faster, because no racer starts with each shell: write the script into a file, and source that.

    Args:
        shell: The shell that you use.
    """
    from racer.cli.app import make_app
    from racer.cli.options import as_command
    from racer.cli.train import cli_train
    from racer.training.config import RunConfig

    script = make_app(as_command(cli_train, RunConfig())).generate_completion(shell=shell)
    print(_with_files(script, shell))


def _with_files(script: str, shell: str) -> str:
    """The script, completing a file's name wherever it knows no other words.

    Most words of racer are a shipped file's name or a file, which cyclopts cannot know.
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

"""The verbs that make a policy."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from racer.cli.output import command, sentence
from racer.errors import ConfigError

if TYPE_CHECKING:
    from racer.training.watch import Watch

STOPPED = 3
"""Exit code of a training that a signal ended: saved, and to be resumed."""


def train(words: Sequence[str]) -> None:
    """Train a policy: `racer train CONFIG [--run FOLDER] [overrides]`, or go on with a run."""
    import tyro
    from pydantic import ValidationError

    from racer import assets
    from racer.assets.document import explain, read
    from racer.training.config import RunConfig

    if words and words[0].partition("=")[0] == "--resume":
        _, _, run = words[0].partition("=")
        positional = (tyro.conf.PositionalRequiredArgs,)
        more = [run, *words[1:]] if run else list(words[1:])
        tyro.cli(_resume, prog="racer train --resume", args=more, config=positional)
        return
    if not words or words[0].startswith("-"):
        wanted = ", ".join(assets.names("configs"))
        if words and words[0] not in ("-h", "--help"):
            raise ConfigError(f"racer train wants a config first: a YAML file, or one of {wanted}")
        print(f"usage: racer train CONFIG [options]; CONFIG: a YAML file, or one of {wanted}")
        print("`racer train CONFIG --help` lists every option with its value in that config")
        print("`racer train --resume RUN` goes on with a run that was interrupted")
        return
    path = assets.find(words[0], "configs")
    config = read(path, RunConfig)

    folder = tyro.conf.arg(help="the run's folder; runs/<config>-<time> if not given")
    logs = tyro.conf.arg(help="also write the logs that DeepRacer's analysis tools read")
    quiet = tyro.conf.arg(help="print nothing but errors")
    log = tyro.conf.arg(help="append a line an evaluation to this file, as to the run's log.txt")
    fields: list[Any] = [
        ("config", Annotated[RunConfig, tyro.conf.arg(name="")]),
        ("run", Annotated[Path | None, folder], None),
        ("deepracer_logs", Annotated[bool, logs], False),
        ("quiet", Annotated[bool, quiet], False),
        ("log", Annotated[Path | None, log], None),
    ]
    Options = make_dataclass("Options", fields)
    try:
        options = tyro.cli(
            Options,
            prog=f"racer train {words[0]}",
            args=words[1:],
            default=Options(config),
            config=(tyro.conf.AvoidSubcommands,),
        )
    except ValidationError as problem:
        raise ConfigError(explain(problem, RunConfig, "command line")) from problem
    _train(options, path.stem)


def _train(options: Any, name: str) -> None:
    from rich.console import Console

    from racer.training.run import train as run
    from racer.training.shared_output import shared_output

    with shared_output():
        watch = run(
            options.config,
            options.run,
            Console(quiet=options.quiet),
            deepracer_logs=options.deepracer_logs,
            name=name,
            log=options.log,
        )
        _tell(watch, options.quiet)


def _resume(
    run: Path,
    minutes: float | None = None,
    deepracer_logs: bool = False,
    quiet: bool = False,
    log: Path | None = None,
) -> None:
    """Go on with a run that was interrupted, as if it had not been.

    Args:
        run: The run's folder.
        minutes: Wall-clock minutes after which training ends, over all its parts; those of its
            config where they are not given.
        deepracer_logs: Also write the logs that DeepRacer's analysis tools read.
        quiet: Print nothing but errors.
        log: Append a line an evaluation to this file, as to the run's log.txt.
    """
    from rich.console import Console

    from racer.training.run import resume
    from racer.training.shared_output import shared_output

    with shared_output():
        watch = resume(run, Console(quiet=quiet), minutes, deepracer_logs, log)
        _tell(watch, quiet)


def _tell(watch: Watch, is_quiet: bool) -> None:
    """Say what a training came to; one that a signal stopped exits with `STOPPED`."""
    if not is_quiet:
        print("\n".join(_outcome(watch)))
    if watch.stop and not watch.is_out_of_time:
        sys.exit(STOPPED)


def _outcome(watch: Watch) -> Iterator[str]:
    folder = watch.run.folder
    yield f"run: {folder}"
    if watch.best is not None:
        yield f"best: {sentence(watch.best)}"
    if watch.stop:
        why = "its minutes were up" if watch.is_out_of_time else "it was stopped"
        yield f"training ended early because {why}; what it learnt is saved"
    if watch.stop and not watch.is_out_of_time:
        yield f"next: {command('train', '--resume', folder)}"
    else:
        entry = Path(f"{folder.resolve().name}.entry.zip")
        yield f"next: {command('export', folder, '--out', entry)}"


def export(run: Path, out: Path | None = None, name: str = "", key: Path | None = None) -> None:
    """Package a run's best policy as an entry.

    Args:
        run: The run's folder.
        out: The entry to write; <run>.entry.zip where it is not given.
        name: What the entry is called on a board; the run's name where it is not given.
        key: Sign it with this private key, made by `racer board keygen`.
    """
    from racer.policy.signing import read_key
    from racer.training.export import export_run

    own = run.resolve().name
    path = out or Path(f"{own}.entry.zip")
    digest = export_run(run, path, name or own, read_key(key) if key else None)
    print(f"entry: {path} (SHA-256 {digest[:12]})")

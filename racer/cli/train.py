"""Commands that train and export a policy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer.assets.terminal import make_console
from racer.cli.output import result_line, shell_command
from racer.errors import ConfigError

if TYPE_CHECKING:
    from racer.training.config import RunConfig
    from racer.training.train import TrainingResult

STOPPED_EXIT_CODE = 3
"""Exit code of a training that a signal stopped; the run is saved and can be resumed."""


def cli_train(
    config: str | None = None,
    /,
    *,
    resume: Path | None = None,
    run: Path | None = None,
    minutes: float | None = None,
    deepracer_logs: bool = False,
    quiet: bool = False,
    log: Path | None = None,
    changes: dict[str, Any] | None = None,
) -> None:
    """Train a policy, or resume a run that was interrupted.

    `racer train CONFIG` starts a new run. Every field of the config is also an option, such as
    `--seed 1 --ppo.learning-rate 1e-4`; `racer train CONFIG --help` lists all options with their
    values in that config.

    Args:
        config: A YAML file, or the name of a config that ships with racer.
        resume: Resume the run in this folder, as if it had not been interrupted.
        run: The new run's folder; by default runs/<config>-<time>.
        minutes: Wall-clock minutes after which training ends, summed over all parts of a resumed
            run; by default those of the config.
        deepracer_logs: Also write the logs that DeepRacer's analysis tools read.
        quiet: Print nothing but errors.
        log: Append a line for each evaluation to this file, as in the run's log.txt.
        changes: New values of the config's fields, by dotted names.
    """
    from racer import assets
    from racer.assets.document import read_document
    from racer.assets.overrides import with_overrides
    from racer.training.config import RunConfig

    changes = changes or {}
    if minutes is not None:
        changes["minutes"] = minutes
    if resume is not None:
        _check_resumed(config, run, changes)
        _resume(resume, changes.get("minutes"), deepracer_logs, quiet, log)
        return
    if config is None:
        raise ConfigError(f"racer train wants a CONFIG: a YAML file, or one of {_shipped()}")
    path = assets.find_file(config, "configs")
    chosen = with_overrides(read_document(path, RunConfig), changes, "command line")
    _train(chosen, run, deepracer_logs, quiet, log, path.stem)


def train_command(words: Sequence[str]) -> tuple[Callable[..., None], list[str]]:
    """Return `cli_train` with an option for each field of the config in the words, and the words.

    Args:
        words: The words after `racer train`.

    Raises:
        ConfigError: The config cannot be read.
    """
    from racer.cli.options import as_command, config_first

    if set(words) <= {"-h", "--help"}:
        return as_command(cli_train, None), ["--help"]
    from racer import assets
    from racer.assets.document import read_document
    from racer.training.config import RunConfig

    plain = as_command(cli_train, RunConfig())
    words = config_first(words, plain)
    if words[0].startswith("-"):
        return plain, words
    return as_command(
        cli_train, read_document(assets.find_file(words[0], "configs"), RunConfig)
    ), words


def _shipped() -> str:
    from racer import assets

    return ", ".join(assets.shipped_names("configs"))


def _check_resumed(config: str | None, run: Path | None, changes: dict[str, Any]) -> None:
    """Raise ConfigError for options that contradict a resumed run, which has its own config."""
    given = [config or "", "--run" if run else ""]
    given += [f"--{place}" for place in changes if place != "minutes"]
    if any(given):
        what = ", ".join(filter(None, given)).replace("_", "-")
        raise ConfigError(
            f"racer train --resume goes on with the run's own config; without {what}, please "
            "(--minutes, --deepracer-logs, --quiet and --log can be given)"
        )


def _train(
    config: RunConfig,
    folder: Path | None,
    deepracer_logs: bool,
    quiet: bool,
    log: Path | None,
    name: str,
) -> None:
    from racer.training.shared_output import shared_output
    from racer.training.train import run_training as run

    with shared_output():
        shown = make_console(quiet=quiet)
        result = run(config, folder, shown, deepracer_logs=deepracer_logs, name=name, log=log)
        _print_result(result, quiet)


def _resume(
    run: Path, minutes: float | None, deepracer_logs: bool, quiet: bool, log: Path | None
) -> None:
    from racer.training.shared_output import shared_output
    from racer.training.train import resume_training

    with shared_output():
        shown = make_console(quiet=quiet)
        result = resume_training(
            run, shown, minutes=minutes, deepracer_logs=deepracer_logs, log=log
        )
        _print_result(result, quiet)


def _print_result(result: TrainingResult, is_quiet: bool) -> None:
    """Print a training's result; exit with `STOPPED_EXIT_CODE` if a signal stopped it."""
    if not is_quiet:
        print("\n".join(_result_lines(result)))
    if result.ended == "stopped":
        sys.exit(STOPPED_EXIT_CODE)


def _result_lines(result: TrainingResult) -> Iterator[str]:
    from racer.training.export import entry_name

    folder = result.run.folder
    yield f"run: {folder}"
    if result.best is not None:
        yield f"best: {result_line(result.best)}"
    if not result.is_finished:
        why = "its minutes were up" if result.ended == "out of time" else "it was stopped"
        yield f"training ended early because {why}; what it learnt is saved"
    if result.ended == "stopped":
        yield f"next: {shell_command('train', '--resume', folder)}"
    else:
        entry = Path(f"{entry_name(folder)}.entry.zip")
        yield f"next: {shell_command('export', folder, '--out', entry)}"


def cli_export(
    run: Path,
    out: Path | None = None,
    name: str = "",
    key: Path | None = None,
    int8: bool = False,
) -> None:
    """Write a run's best policy as an entry.

    Args:
        run: The run's folder.
        out: The entry to write; by default <run>.entry.zip, or <run>-int8.entry.zip with --int8.
        name: The entry's name on a board; by default the run's name, followed by -int8 with --int8.
        key: Sign the entry with this private key, which `racer board keygen` makes.
        int8: Quantize the policy to 8 bits, calibrated on the observations of the run's evaluation
            race, and race it against the float32 policy.
    """
    from racer.entries.signing import read_key
    from racer.training.export import entry_name

    own = entry_name(run, int8)
    path, name = out or Path(f"{own}.entry.zip"), name or own
    private = read_key(key) if key else None
    if int8:
        from racer.training.int8_export import export_int8, int8_table

        measured = export_int8(run, path, name, private)
        digest = measured[-1].entry.sha256
        make_console().print(int8_table(measured))
    else:
        from racer.training.export import export_run

        digest = export_run(run, path, name, private)
    print(f"entry: {path} (SHA-256 {digest[:12]})")

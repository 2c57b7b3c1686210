"""Commands that train and export a policy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from racer.assets.terminal import make_console
from racer.cli.output import result_line, shell_command
from racer.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from racer.training.config import RunConfig
    from racer.training.train import TrainingResult

STOPPED_EXIT_CODE = 3
"""Exit code of a training that a signal stopped; the run is saved and can be resumed."""


def cli_train(
    config: str | None = None,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    resume: Path | None = None,
    run: Path | None = None,
    minutes: float | None = None,
    deepracer_logs: bool = False,
    quiet: bool = False,
    log: Path | None = None,
    cluster: str | None = None,
    price_per_core_hour: float | None = None,
    changes: dict[str, Any] | None = None,
) -> None:
    """Train a policy, clone another one and train it, or resume a run.

    `racer train CONFIG` starts a new run. Every field of the config is also an option, such as
    `--seed 1 --ppo.learning-rate 1e-4`; `racer train CONFIG --help` lists all options with their
    values in that config.

    `racer train --from RUN` starts a new run with the weights and the config of another one, and
    `racer train CONFIG --from RUN` with its weights and another config. Layers that do not fit
    another action space, sensor or network start anew.

    `racer train --resume RUN` continues a run. `--total-timesteps N` trains it until it has N steps
    in all, also if it is finished.

    Args:
        config: A YAML file, or the name of a config that ships with racer.
        from_: Begin with the weights of this run's best checkpoint, of RUN@last or RUN@STEPS, or
            of this entry.
        resume: Resume the run in this folder, as if it had not been interrupted.
        run: The new run's folder; by default runs/<config>-<time>.
        minutes: Wall-clock minutes after which training ends, summed over all parts of a resumed
            run; by default those of the config.
        deepracer_logs: Also write the logs that DeepRacer's analysis tools read.
        quiet: Print nothing but errors.
        log: Append a line for each evaluation to this file, as in the run's log.txt.
        cluster: Drive the cars on the nodes of a Ray cluster, and learn here: HOST:PORT,
            ray://HOST:PORT, or local for a Ray of this machine's own.
        price_per_core_hour: What a core costs for an hour, in your currency; `racer runs list` then
            shows what the run cost.
        changes: New values of the config's fields, by dotted names.
    """
    from racer.assets.overrides import with_overrides
    from racer.training.config import RunConfig
    from racer.training.start_config import start_config

    changes = changes or {}
    if minutes is not None:
        changes["minutes"] = minutes
    if resume is not None:
        names = [RunConfig.RENAMED_KEYS.get(name, name) for name in changes]
        _check_resumed(config, run, from_, names)
        limited = with_overrides(RunConfig(), changes, "command line")
        limits = {name: getattr(limited, name) for name in names}
        with _options(deepracer_logs, quiet, log, cluster, price_per_core_hour) as options:
            _resume(resume, limits, options, quiet)
        return
    base, name = start_config(config, from_)
    chosen = with_overrides(base, changes, "command line")
    with _options(deepracer_logs, quiet, log, cluster, price_per_core_hour) as options:
        _train(chosen, run, options, quiet, from_, name)


def train_command(words: Sequence[str]) -> tuple[Callable[..., None], list[str]]:
    """Return `cli_train` with an option for each field of the config in the words, and the words.

    Args:
        words: The words after `racer train`.

    Raises:
        ConfigError: The config cannot be read.
    """
    from racer.cli.options import as_command, config_first, option_value

    if set(words) <= {"-h", "--help"}:
        return as_command(cli_train, None), ["--help"]
    from racer.training.config import RunConfig
    from racer.training.start_config import start_config

    plain = as_command(cli_train, _with_algorithm(RunConfig(), words))
    parent = option_value(words, "--from")
    words = config_first(words, plain, is_needed=parent is None)
    named = None if words[0].startswith("-") else words[0]
    if named is None and parent is None:
        return plain, words
    config = _with_algorithm(start_config(named, parent)[0], words)
    for word in words:
        section = word.removeprefix("--").partition(".")[0].replace("-", "_")
        if word.startswith("--") and "." in word and section in config.unused_sections:
            raise ConfigError(
                f"{word} is for algorithm {section}, and the config's is {config.algorithm}: give "
                f"--algorithm {section} too"
            )
    return as_command(cli_train, config), words


def _with_algorithm(config: RunConfig, words: Sequence[str]) -> RunConfig:
    """Return the config with the algorithm that the words choose, whose section has options."""
    from racer.cli.options import option_value

    name = option_value(words, "--algorithm")
    return config if name in (None, config.algorithm) else config.with_algorithm(name)


def _check_resumed(
    config: str | None, run: Path | None, parent: str | None, fields: Sequence[str]
) -> None:
    """Raise ConfigError for options that contradict a resumed run, which has its own config.

    Args:
        config: The config that is named.
        run: The folder of a new run.
        parent: The policy to begin with.
        fields: The fields of the config that are given.
    """
    given = [config or "", "--run" if run else "", "--from" if parent else ""]
    given += [f"--{place}" for place in fields if place not in ("minutes", "total_timesteps")]
    if any(given):
        what = ", ".join(filter(None, given)).replace("_", "-")
        raise ConfigError(
            f"racer train --resume goes on with the run's own config; without {what}, please "
            "(--total-timesteps, --minutes, --deepracer-logs, --quiet, --log, --cluster and "
            "--price-per-core-hour can be given); to change more, clone it: racer train --from RUN"
        )


@contextmanager
def _options(
    deepracer_logs: bool,
    quiet: bool,
    log: Path | None,
    cluster: str | None,
    price_per_core_hour: float | None,
) -> Iterator[dict[str, Any]]:
    """Yield the options that a new and a resumed training share, connected to the cluster.

    Args:
        deepracer_logs: As in `cli_train`, and so are the others.
        quiet: Whether nothing is said of nodes.
        log: A second log file.
        cluster: The cluster's address.
        price_per_core_hour: Price of a core for an hour.
    """
    from racer.cli.output import say_aside
    from racer.cluster.address import open_cluster, say_nothing
    from racer.cluster.cost import refuse_price

    refuse_price(price_per_core_hour)
    options: dict[str, Any] = {"deepracer_logs": deepracer_logs, "log": log}
    options["price_per_core_hour"] = price_per_core_hour
    with open_cluster(cluster, say_nothing if quiet else say_aside) as nodes:
        yield options | {"cluster": nodes}


def _train(
    config: RunConfig,
    folder: Path | None,
    options: dict[str, Any],
    quiet: bool,
    from_: str | None,
    name: str,
) -> None:
    from racer.training.parent import load_parent
    from racer.training.shared_output import shared_output
    from racer.training.train import run_training as run

    with shared_output():
        shown = make_console(quiet=quiet)
        parent = load_parent(from_) if from_ else None
        result = run(config, folder, shown, name=name, parent=parent, **options)
        _print_result(result, quiet)


def _resume(run: Path, limits: dict[str, Any], options: dict[str, Any], quiet: bool) -> None:
    from racer.training.shared_output import shared_output
    from racer.training.train import resume_training

    with shared_output():
        shown = make_console(quiet=quiet)
        _print_result(resume_training(run, shown, **limits, **options), quiet)


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
    if cost := result.run.cost():
        yield f"cost: {cost.words}"
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
    checkpoint: Literal["best", "last"] | int = "best",
    key: Path | None = None,
    int8: bool = False,
    car: Path | None = None,
    onnx_float: Path | None = None,
) -> None:
    """Write a run's best policy, or that of another checkpoint, as an entry.

    With --car it is written as the archive that a DeepRacer car loads, and with --onnx-float as an
    ONNX graph for a car of your own, instead of an entry.

    Args:
        run: The run's folder.
        out: The entry to write; <name>.entry.zip by default.
        name: The entry's name on a board; by default the run's name, followed by the checkpoint if
            it is not the best, and by -int8 with --int8.
        checkpoint: best, last, or the steps after which it was saved, as `racer runs show` lists
            them.
        key: Sign the entry with this private key, which `racer board keygen` makes.
        int8: Quantize the policy to 8 bits, calibrated on the observations of the run's evaluation
            race, and race it against the float32 policy.
        car: Write NAME.tar.gz for a DeepRacer car; see docs/real-car.md.
        onnx_float: Write NAME.onnx, from float frames to steering in rad and speed in m/s; see
            docs/own-car.md.
    """
    from racer.entries.signing import read_key
    from racer.training.export import entry_name

    if car or onnx_float:
        what = "--car" if car else "--onnx-float"
        _refuse_entry_options(what, out=out, name=name, key=key, int8=int8)
        if car:
            from racer.training.car_export import export_car

            export_car(run, car, checkpoint)
            print(f"car: {car}")
        if onnx_float:
            from racer.training.command_export import export_commands

            export_commands(run, onnx_float, checkpoint)
            print(f"graph: {onnx_float}")
        return
    own = entry_name(run, int8, checkpoint)
    path, name = out or Path(f"{own}.entry.zip"), name or own
    private = read_key(key) if key else None
    if int8:
        from racer.training.int8_export import export_int8, int8_table

        measured = export_int8(run, path, name, private, checkpoint)
        digest = measured[-1].entry.sha256
        make_console().print(int8_table(measured))
    else:
        from racer.training.export import export_run

        digest = export_run(run, path, name, private, checkpoint)
    print(f"entry: {path} (SHA-256 {digest[:12]})")


def _refuse_entry_options(option: str, **given: Any) -> None:
    """Raise UsageError if an option that only an entry has is given with `option`."""
    wrong = ", ".join(f"--{name}" for name, value in given.items() if value)
    if wrong:
        raise UsageError(f"{option} does not write an entry; leave out {wrong}")

"""Commands that search hyperparameters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer.cli.output import make_console, print_json, say_aside, shell_command
from racer.errors import ConfigError

if TYPE_CHECKING:
    from racer.sweeps import Sweep
    from racer.sweeps.sweep import SweepTrial


def cli_sweep(
    config: str | None = None,
    /,
    *,
    param: tuple[str, ...] = (),
    trials: int | None = None,
    jobs: int | None = None,
    seeds: tuple[int, ...] = (),
    no_pruning: bool = False,
    folder: Path | None = None,
    resume: Path | None = None,
    cluster: str | None = None,
    changes: dict[str, Any] | None = None,
) -> None:
    """Search the values of a config's fields that drive most laps, then the fastest.

    `racer sweep CONFIG --param KEY=VALUES` trains one run for each trial. VALUES are choices
    `a,b,c`, a range `lo:hi` or `lo:hi:step`, or one on a logarithmic scale, `log:lo:hi`. The other
    fields of the config are options, as in `racer train`: the races on `--evaluation.track` are
    what is judged. Ctrl-C stops the search; --resume continues it.

    Args:
        config: A YAML file, or the name of a config that ships with racer.
        param: A field and its values, such as ppo.learning-rate=log:1e-5:1e-3; repeat the option
            for more fields.
        trials: Number of trials; 20 by default.
        jobs: Number of trials that train at the same time; 1 by default, on a cluster as many as
            its cores allow.
        seeds: Seeds that every trial trains with; by default that of the config.
        no_pruning: Train every trial to its end, even if it is worse than the median.
        folder: The new sweep's folder; by default sweeps/<config>-<time>.
        resume: Continue the sweep in this folder; --trials may give a new number.
        cluster: Train the trials on the nodes of a Ray cluster: HOST:PORT, ray://HOST:PORT, or
            local for a Ray of this machine's own.
        changes: New values of the config's fields, by dotted names.
    """
    from racer.cluster.address import open_cluster
    from racer.sweeps import resume_sweep, run_sweep

    shown = make_console()
    if resume is not None:
        given = [config or "", "--param" * bool(param), "--folder" * bool(folder)]
        given += ["--seeds" * bool(seeds), "--no-pruning" * no_pruning]
        given += [f"--{place}".replace("_", "-") for place in changes or ()]
        if any(given):
            raise ConfigError(
                f"racer sweep --resume goes on with the sweep's own config; leave out "
                f"{', '.join(filter(None, given))} (--trials, --jobs and --cluster can be given)"
            )
        with open_cluster(cluster, say_aside) as nodes:
            sweep = resume_sweep(resume, trials=trials, jobs=jobs, console=shown, cluster=nodes)
        _finish(sweep)
        return
    if config is None:
        raise ConfigError(
            "racer sweep wants a CONFIG, as `racer train` does, or --resume with a sweep's folder"
        )
    from racer import assets
    from racer.assets.document import read_document
    from racer.assets.overrides import with_overrides
    from racer.sweeps.parameters import split_parameter
    from racer.training.config import RunConfig

    path = assets.find_file(config, "configs")
    base = with_overrides(read_document(path, RunConfig), changes or {}, "command line")
    params = dict(split_parameter(text) for text in param)
    if len(params) < len(param):
        raise ConfigError("--param names a field twice; give all its values in one")
    with open_cluster(cluster, say_aside) as nodes:
        sweep = run_sweep(
            base,
            params,
            folder,
            trials=20 if trials is None else trials,
            jobs=jobs,
            seeds=seeds,
            is_pruning=not no_pruning,
            name=path.stem,
            console=shown,
            cluster=nodes,
        )
    _finish(sweep)


def sweep_show(folder: Path, plot: Path | None = None, json: bool = False) -> None:
    """Show a sweep: its trials, the best first.

    Args:
        folder: The sweep's folder.
        plot: Draw the search as this PNG: its history, the importance of each parameter, and the
            values over each parameter.
        json: Print the trials as JSON.
    """
    from racer.sweeps import Sweep
    from racer.sweeps.sweep import trials_table

    sweep = Sweep.open(folder)
    trials = sweep.trials()
    if plot:
        from racer.rendering.line_plots import save_figure

        save_figure(sweep.plot(trials), plot)
    if json:
        print_json([one.as_dict() for one in trials])
        return
    make_console().print(trials_table(sweep, trials))
    for one in trials:
        if one.error:
            print(f"trial {one.number}: {one.error}")
    _print_next(sweep, trials)
    if plot:
        print(f"plot: {plot}")


def sweep_command(words: Sequence[str]) -> tuple[Callable[..., None], list[str]]:
    """Return `cli_sweep` with an option for each field of the config in the words, and the words.

    Args:
        words: The words after `racer sweep`.

    Raises:
        ConfigError: The config cannot be read.
    """
    from racer.cli.options import as_command, config_first

    if set(words) <= {"-h", "--help"}:
        return as_command(cli_sweep, None), list(words)
    from racer import assets
    from racer.assets.document import read_document
    from racer.training.config import RunConfig

    plain = as_command(cli_sweep, RunConfig())
    words = config_first(words, plain)
    if words[0].startswith("-"):
        return plain, words
    config = read_document(assets.find_file(words[0], "configs"), RunConfig)
    return as_command(cli_sweep, config), words


def _finish(sweep: Sweep) -> None:
    """Print a sweep's trials, draw it, and say what to do next; exit with 3 if it was stopped."""
    from racer.cli.train import STOPPED_EXIT_CODE
    from racer.rendering.line_plots import save_figure
    from racer.sweeps.sweep import best_trial, count_done, trials_table

    trials = sweep.trials()
    print()
    make_console().print(trials_table(sweep, trials))
    if best_trial(trials):
        save_figure(sweep.plot(trials), sweep.folder / "sweep.png")
        print(f"plot: {sweep.folder / 'sweep.png'}")
    _print_next(sweep, trials)
    if count_done(trials) < sweep.config.trials:
        sys.exit(STOPPED_EXIT_CODE)


def _print_next(sweep: Sweep, trials: Sequence[SweepTrial]) -> None:
    from racer.sweeps.sweep import best_trial, count_done

    print(f"sweep: {sweep.folder}")
    if best := best_trial(trials):
        print(f"best: trial {best.number}, {best.folders[0]}")
        print(f"next: {shell_command('train', sweep.folder / 'best.yaml')}")
    if count_done(trials) < sweep.config.trials:
        print(f"unfinished; continue: {shell_command('sweep', '--resume', sweep.folder)}")

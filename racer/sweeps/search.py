"""The search: it draws configs, trains each in a process of its own, and stops the bad ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from racer.assets.document import validate_document
from racer.assets.processes import usable_cores
from racer.assets.terminal import make_console
from racer.errors import RacerError, RunError
from racer.sweeps.cluster_trials import ClusterTrialProcess, ClusterTrials, cluster_problem
from racer.sweeps.parameters import grid, whole_path, with_whole_path
from racer.sweeps.sweep import (
    REPLACES,
    Sweep,
    SweepConfig,
    SweepTrial,
    best_trial,
    count_done,
    counted_trials,
    format_number,
)
from racer.sweeps.trial import TrialMessage, TrialPlan, receive, send
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.training.run_removal import remove_run
from racer.training.workers import stop_signal_handlers

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial as OptunaTrial

    from racer.cluster.ray_cluster import RayCluster

SIGNAL_POLL_S = 1.0
"""Longest time that the search waits for the trials before it looks for a signal [s]."""


class _Process(NamedTuple):
    """A trial under way.

    Attributes:
        trial: The trial, as Optuna sees it.
        process: Its process.
        search: The connection to it.
    """

    trial: OptunaTrial
    process: subprocess.Popen[bytes] | ClusterTrialProcess
    search: Connection


def run_sweep(
    config: RunConfig,
    params: Mapping[str, str],
    folder: Path | None = None,
    *,
    trials: int = 20,
    jobs: int | None = None,
    seeds: Sequence[int] = (),
    is_pruning: bool = True,
    name: str = "run",
    console: Console | None = None,
    cluster: RayCluster | None = None,
) -> Sweep:
    """Search the values of a config's fields with which a training drives most laps, then fastest.

    Args:
        config: The config whose fields are varied. Its `evaluation.track` are the tracks whose
            races are the objective; see `racer.sweeps.objective.evaluation_value`.
        params: The values to search by the field's dotted name: `a,b,c` are choices, `lo:hi` and
            `lo:hi:step` a range, and `log:lo:hi` one on a logarithmic scale.
        folder: The sweep's folder; a new one in `sweeps/` if not given.
        trials: Number of trials.
        jobs: Number of trials that train at the same time, each in a process of its own; 1 by
            default, on a cluster as many as it has cores.
        seeds: Seeds that every trial trains with; its value is their mean. None: the config's.
        is_pruning: Whether to end a trial after an evaluation if its best value so far is below
            the median of the other trials at that evaluation.
        name: The config's name.
        console: Where a line for each trial is printed.
        cluster: The cluster on whose nodes trials are trained; None: on this machine.

    Returns:
        The sweep. SIGINT, SIGTERM or SIGHUP ends it early; `resume_sweep` continues it.

    Raises:
        RacerError: A parameter, the config or the folder cannot be used, or every trial failed.
    """
    import optuna  # noqa: F401 - before anything is written, if it is not installed

    _refuse_jobs(jobs)
    evaluation = config.evaluation
    judged = evaluation.track and tuple(map(whole_path, evaluation.track))
    base = config.model_copy(
        update={
            "reward": whole_path(config.reward or ""),
            "track": tuple(map(whole_path, config.track)),
            "evaluation": evaluation.model_copy(update={"track": judged}),
        }
    )
    whole = {key: with_whole_path(key.replace("-", "_"), form) for key, form in params.items()}
    tree = {"name": name, "base": base, "params": whole, "trials": trials, "seeds": tuple(seeds)}
    asked = validate_document(tree | {"is_pruning": is_pruning}, SweepConfig, "sweep")
    found = folder or Path("sweeps") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    sweep, console = Sweep.create(found, asked), console or make_console()
    with sweep.locked():
        if combinations := grid(sweep.parameters, trials):
            sweep = sweep.with_trials(len(combinations))
            console.print(f"each of the {len(combinations)} combinations is trained once")
            with sweep.study() as study:
                for values in combinations:
                    study.enqueue_trial(values)
        _search(sweep, jobs, console, cluster)
    return sweep


def resume_sweep(
    folder: Path,
    *,
    trials: int | None = None,
    jobs: int | None = None,
    console: Console | None = None,
    cluster: RayCluster | None = None,
) -> Sweep:
    """Continue a sweep; trials that were under way when it ended are run again.

    Args:
        folder: The sweep's folder.
        trials: A new total number of trials.
        jobs: As in `run_sweep`.
        console: Where a line for each trial is printed.
        cluster: As in `run_sweep`.

    Raises:
        RunError: The folder holds no sweep, another process runs it, nothing is left to do, or
            every trial failed.
    """
    _refuse_jobs(jobs)
    sweep = Sweep.open(folder)
    with sweep.locked():
        if trials is not None:
            sweep = sweep.with_trials(trials)
        with sweep.study() as study:
            _queue_interrupted(sweep, study)
            done = len(counted_trials(study))
        if done >= sweep.config.trials:
            raise RunError(
                f"all {sweep.config.trials} trials of {folder} are done; give a larger --trials"
            )
        _search(sweep, jobs, console or make_console(), cluster)
    return sweep


def _refuse_jobs(jobs: int | None) -> None:
    if os.name == "nt":
        raise RunError("a sweep needs pipes that Windows lacks: run it on Linux or macOS")
    if jobs is not None and not 1 <= jobs <= 1024:
        raise RunError(f"--jobs {jobs}: must be 1-1024")


def _queue_interrupted(sweep: Sweep, study: Study) -> None:
    """Queue the trials that were under way when the search ended, and delete their runs."""
    from optuna.trial import TrialState

    known = study.get_trials(deepcopy=False)
    replaced = {one.user_attrs.get(REPLACES) for one in known}
    for one in known:
        if one.state is not TrialState.RUNNING:
            continue
        if one.number not in replaced:
            study.enqueue_trial(one.params, user_attrs={REPLACES: one.number})
        study.tell(one.number, state=TrialState.FAIL)
        for folder in sweep.run_folders(one.number):
            if (folder / "config.yaml").is_file():
                remove_run(Run.open(folder))


def _search(
    sweep: Sweep, jobs: int | None, console: Console, cluster: RayCluster | None = None
) -> None:
    """Run trials until their number is reached, or a signal stops the search.

    Args:
        sweep: The sweep.
        jobs: Number of trials at the same time.
        console: Where a line for each trial is printed.
        cluster: Where they are trained; None: here.
    """
    far = ClusterTrials(sweep, cluster) if cluster else None
    try:
        _search_by(sweep, jobs or (far.jobs if far else 1), console, far)
    finally:
        if far:
            far.close()


def _search_by(sweep: Sweep, jobs: int, console: Console, far: ClusterTrials | None) -> None:
    """See `_search`.

    Args:
        sweep: The sweep.
        jobs: Number of trials at the same time.
        console: Where a line for each trial is printed.
        far: What starts trials on a cluster; None: they are processes here.
    """
    distributions = {one.key: one.distribution() for one in sweep.parameters}
    running: dict[Connection, _Process] = {}

    def is_ending() -> bool:
        return is_stopping() or (far is not None and far.problem is not None)

    with sweep.study() as study, _stopping(running) as is_stopping:
        begun = len(counted_trials(study))
        while running or (begun < sweep.config.trials and not is_ending()):
            while len(running) < jobs and begun < sweep.config.trials and not is_ending():
                begun += 1
                trial = study.ask(distributions)
                started = _start_far(sweep, trial, far) if far else _start(sweep, trial, jobs)
                if isinstance(started, _Process):
                    running[started.search] = started
                else:
                    _end(sweep, study, started[0], started[1], console)
            for search in wait(list(running), SIGNAL_POLL_S):
                assert isinstance(search, Connection)
                one = running[search]
                told = _told(sweep, one)
                if told.kind == "evaluation":
                    one.trial.report(told.value, told.step)
                    with suppress(OSError):  # If it has just died, the next message tells.
                        send(search, is_stopping() or not one.trial.should_prune())
                    continue
                del running[search]
                one.process.wait()
                search.close()
                # A trial that the search stopped stays under way: it is run again on resuming.
                if told.kind != "stopped" or not is_ending():
                    _end(sweep, study, one.trial, told, console)
        trials = sweep.trials_of(study)
    if problem := cluster_problem(far):
        raise problem
    if not is_stopping() and trials and all(one.state == "failed" for one in trials):
        raise RunError(f"every trial failed; the first one: {trials[0].error}")


def _start(
    sweep: Sweep, trial: OptunaTrial, jobs: int
) -> _Process | tuple[OptunaTrial, TrialMessage]:
    """Start a trial's process; if its config is invalid, return how the trial ended."""
    try:
        configs = sweep.run_configs(trial.params)
    except RacerError as problem:
        return trial, TrialMessage("failed", error=str(problem))
    cores = max(1, usable_cores() // jobs)
    shares: dict[str, Any] = {}
    if jobs > 1 and sweep.config.base.torch_threads == 0:
        shares["torch_threads"] = cores
    if jobs > 1 and sweep.config.base.workers == "auto" and cores == 1:
        shares["workers"] = 1
    runs = [config.model_copy(update=shares).model_dump(mode="json") for config in configs]
    folders = [str(folder) for folder in sweep.run_folders(trial.number)]
    plan = TrialPlan(name=sweep.config.name, runs=list(zip(folders, runs)))
    search, theirs = Pipe()
    code = "from racer.sweeps.trial import run_trial; run_trial()"
    words = [sys.executable, "-c", code, str(os.getpid()), str(theirs.fileno())]
    with theirs, (sweep.folder / "logs" / f"trial-{trial.number:03d}.txt").open("wb") as log:
        # In a session of its own, so that Ctrl-C reaches the search alone, which stops the trials.
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    send(search, plan)
    return _Process(trial, process, search)


def _start_far(
    sweep: Sweep, trial: OptunaTrial, far: ClusterTrials
) -> _Process | tuple[OptunaTrial, TrialMessage]:
    """Start a trial on a cluster; if its config is invalid, return how the trial ended.

    Args:
        sweep: The sweep.
        trial: The trial.
        far: What starts it.
    """
    try:
        return _Process(trial, *far.start(trial.number, sweep.run_configs(trial.params)))
    except RacerError as problem:
        return trial, TrialMessage("failed", error=str(problem))


def _told(sweep: Sweep, one: _Process) -> TrialMessage:
    """Return a trial's next message, or how its process ended."""
    try:
        return TrialMessage(**receive(one.search))
    except (EOFError, ConnectionResetError):
        code = one.process.wait()
    if code in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL):
        return TrialMessage("stopped", error=f"its process was ended by signal {-code}")
    log = sweep.folder / "logs" / f"trial-{one.trial.number:03d}.txt"
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    return TrialMessage("failed", error=f"its process ended {how}; see {log}")


def _end(
    sweep: Sweep, study: Study, trial: OptunaTrial, told: TrialMessage, console: Console
) -> None:
    """Record how a trial ended, print it, and write the best config if it is the best."""
    from optuna.trial import TrialState

    if best := told.best:
        figures = ("laps_completed", "laps", "best_lap_s", "total_time_s", "x_limit", "track")
        trial.set_user_attr("best", {name: best[name] for name in figures})
    if told.kind in ("failed", "stopped"):
        trial.set_user_attr("error", told.error or "a signal stopped its training")
        study.tell(trial, state=TrialState.FAIL)
    elif told.kind == "pruned":
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, told.value)
    trials = sweep.trials_of(study)
    ended = next(one for one in trials if one.number == trial.number)
    is_best = best_trial(trials) == ended
    if is_best:
        sweep.write_best(ended)
    line = f"{count_done(trials)} of {sweep.config.trials}: {_line(ended)}"
    line += ", the best so far" * is_best
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _line(one: SweepTrial) -> str:
    told = ", ".join(f"{key} {format_number(value, '.4g')}" for key, value in one.params.items())
    what = f"trial {one.number} ({told}) {one.state}"
    if one.error:
        return f"{what}: {one.error}"
    best = one.best
    lap = "" if best["best_lap_s"] is None else f", best lap {best['best_lap_s']:.2f} s"
    limit = "" if best["x_limit"] is None else f", {best['x_limit']:.2f} x the limit"
    return f"{what}: {best['laps_completed']} of {best['laps']} laps{lap}{limit}"


@contextmanager
def _stopping(running: Mapping[Connection, _Process]) -> Iterator[Any]:
    """Let signals stop the search and its trials; yield a function that says whether one came.

    A second signal kills the trials at once.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        for one in list(running.values()):
            one.process.send_signal(signal.SIGINT if len(came) == 1 else signal.SIGKILL)

    before = stop_signal_handlers()
    try:
        for one in before:
            signal.signal(one, stop)
    except ValueError:  # not in the main thread
        before.clear()
    try:
        yield lambda: bool(came)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        for one in list(running.values()):
            one.process.kill()
            one.process.wait()
            one.search.close()

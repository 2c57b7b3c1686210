"""The training run from config to checkpoint, in one go or in several."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat, configure
from tensorboard.compat.proto import event_pb2

from racer.assets import terminal
from racer.deepracer.training_log import DeepRacerTrainingLog
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError, RunError
from racer.networks.modules import DeterministicActor
from racer.reward.neighbour_files import files_beside
from racer.reward.reward_file import RewardSource
from racer.reward_check.param_cases import ParamCase, case_params
from racer.track import load_track
from racer.training.callbacks import Callback, sorted_callbacks
from racer.training.checkpoint_content import (
    chunk_seed,
    differing_versions,
    load_learner,
    restore_rng,
    unpack_checkpoint,
)
from racer.training.config import RunConfig
from racer.training.ppo import build_ppo, deterministic_actor
from racer.training.run_dir import Run, refuse_taken
from racer.training.training_log import refuse_unwritable
from racer.training.vec_env import CarsVecEnv
from racer.training.watch import Watch
from racer.training.workers import STOP_SIGNALS, WorkerPool, worker_count

State = dict[str, Any]

TRIED_STATES = 8
"""States in which a reward is called to see which files it opens."""


def run_training(
    config: RunConfig,
    folder: Path | None = None,
    console: Console | None = None,
    deepracer_logs: bool = False,
    name: str = "run",
    log: Path | None = None,
    callback: Callback | Sequence[Callback] | None = None,
) -> Watch:
    """Train as the config says and leave everything in `folder`, by default a new one in `runs/`.

    With `deepracer_logs` the folder `deepracer` in it holds what that world's tools read; see
    `racer.deepracer.sim_trace`. `name` is what the config is called, `callback` as in
    `racer.train`. A line an evaluation is added to `log.txt` in the folder and to the file `log`,
    and printed where the console is no terminal.

    SIGINT, SIGTERM and SIGHUP end the run at its next step, saved; a second SIGINT or SIGTERM ends
    it at once. An error, too, leaves a checkpoint of what was learnt. `resume_training` goes on
    with it.

    Returns:
        The watch, with `best` (the best evaluation) and `stop` (True where it was cut short).

    Raises:
        RacerError: A config, track, reward or folder that cannot be used.
    """
    functions, theirs = sorted_callbacks(callback)
    if folder is not None:
        refuse_taken(folder)
    if log is not None:
        refuse_unwritable(log)
    reward = RewardSource.find(config.reward or "")
    env = _cars(config, deepracer_logs)
    try:
        beside = files_beside(reward, lambda: _try_out(reward, config))
        env.seed(config.seed)
        model = build_ppo(config, env)
        run = Run.create(folder, config, reward, beside, name)
        trace = _log(run.folder, config, env, 0) if deepracer_logs else None
        watch = Watch(config, run, reward, console or terminal.make_console(), trace, log)
        watch.callbacks = functions
        with run.locked():
            _learn(run, watch, model, None, theirs)
        return watch
    finally:
        env.close()


def resume_training(
    folder: Path,
    console: Console | None = None,
    minutes: float | None = None,
    deepracer_logs: bool = False,
    log: Path | None = None,
) -> Watch:
    """Go on with a run from its newest whole checkpoint, as if it had never been interrupted.

    What came after that checkpoint is dropped and driven once more: on the same machine the
    weights and evaluations are, bit for bit, those of a run that was not interrupted. The reward
    is the run's own copy.

    Args:
        folder: The run's folder.
        console: Where its progress is shown.
        minutes: The run's `minutes` from now on, over all its parts.
        deepracer_logs: See `run_training`; they lie in `deepracer-<steps>`.
        log: See `run_training`.

    Raises:
        RunError: There is no run, it is finished, it trains already, or cannot be read.
    """
    run, shown = Run.open(folder), console or terminal.make_console()
    config = run.config()
    if minutes is not None:
        config = config.model_copy(update={"minutes": minutes})
    with run.locked():
        held = run.saved.newest_whole(lambda said: shown.print(f"{said}", style="yellow"))
        source = str(run.checkpoints / held[0].file) if held else ""
        reward = RewardSource.find(config.reward or "")
        env = _cars(config, deepracer_logs)
        try:
            model = build_ppo(config, env)
            env.seed(chunk_seed(config.seed, held[0].steps if held else 0))
            state = unpack_checkpoint(held[1], source, model.device) if held else None
            if state:
                _say(shown, run, config, state)
                load_learner(model, state, source)
            trace = _log(folder, config, env, model.num_timesteps) if deepracer_logs else None
            watch = Watch(config, run, reward, shown, trace, log)
            _learn(run, watch, model, state)
            return watch
        finally:
            env.close()


def _try_out(reward: RewardSource, config: RunConfig) -> None:
    """Call a reward in a few states of its first track, to see which files it opens."""
    case = ParamCase(load_track(config.track[0]), False, config.race.kind)
    with reward.watched():
        function = reward.functions(1)[0]
        for params in case_params(case)[:TRIED_STATES]:
            reward.call(function, params)


def _cars(config: RunConfig, is_logged: bool) -> CarsVecEnv:
    """The cars that train, here or in workers.

    Raises:
        RacerError: They cannot be made.
    """
    count = worker_count(config.workers, config.num_envs)
    if is_logged and count > 1:
        if config.workers != "auto":
            raise ConfigError(f"workers {count}: --deepracer-logs wants --workers 1, or auto")
        count = 1
    fields = config.env
    gamma = config.ppo.gamma if config.ppo.normalize_reward else None
    if count == 1:
        return CarsVecEnv(RacerVectorEnv(config.num_envs, **fields), gamma)
    return CarsVecEnv(WorkerPool(config.num_envs, count, fields), gamma)


def _log(folder: Path, config: RunConfig, env: CarsVecEnv, steps: int) -> DeepRacerTrainingLog:
    assert isinstance(env.cars, RacerVectorEnv)
    trace = DeepRacerTrainingLog(folder, config, env.cars, steps)
    env.log_to(trace.add)
    return trace


def _say(console: Console, run: Run, config: RunConfig, state: State) -> None:
    """Say where a run goes on, or why it does not.

    Raises:
        RunError: There is nothing left to train.
    """
    steps, progress = state["steps"], state["progress"]
    spent = progress["seconds"] / 60.0
    if steps >= config.total_timesteps:
        run.rewind(steps, progress["evaluations"], progress["best"])
        run.mark_ended("finished")
        raise RunError(
            f"all of its {config.total_timesteps:,} steps are trained; nothing is left to resume"
        )
    if spent >= config.minutes:
        raise RunError(
            f"its {config.minutes:g} minutes are up after {steps:,} of "
            f"{config.total_timesteps:,} steps; give it more in all with --minutes"
        )
    console.print(f"resumed after {steps:,} of {config.total_timesteps:,} steps")
    if changed := differing_versions(state):
        console.print(f"{changed}: the outcome may differ from an uninterrupted run's")


def _learn(
    run: Run,
    watch: Watch,
    model: PPO,
    state: State | None,
    callbacks: Sequence[BaseCallback] = (),
) -> None:
    """Train to the end, from a state or from the beginning."""
    steps = state["steps"] if state else 0
    progress = state["progress"] if state else {"evaluations": [], "best": None}
    try:
        run.mark_ended(None)
        run.rewind(steps, progress["evaluations"], progress["best"])
        model.set_logger(configure(str(run.folder), ["tensorboard"]))
        with closing(model.logger):
            if state:
                _purge_events(model, steps)
                watch.go_on(progress)
                restore_rng(state)
            with _signals_stop(watch):
                try:
                    # These are the steps to come: SB3 adds those that are done.
                    steps_to_come = watch.config.total_timesteps - steps
                    model.learn(steps_to_come, [watch, *callbacks], reset_num_timesteps=False)
                    watch.conclude()
                except BaseException as problem:
                    watch.on_training_end()
                    _keep_what_is_learnt(run, watch, problem)
                    raise
            run.mark_ended(watch.ended)
            watch.log.say(f"{watch.ended} after {watch.judged_steps:,} steps")
            model.logger.dump(watch.judged_steps)
    except OSError as problem:
        if problem is watch.raised:
            raise
        raise RunError(
            f"{run.folder}: cannot be written: {problem}; the checkpoints before are untouched: "
            f"make room, then `{terminal.shell_command('train', '--resume', run.folder)}`"
        ) from problem


def _keep_what_is_learnt(run: Run, watch: Watch, problem: BaseException) -> None:
    # The disk may be what is wrong; the first error is the one to tell.
    with contextlib.suppress(OSError):
        watch.save(is_whole=False)
    with contextlib.suppress(OSError):
        run.mark_ended("failed", str(problem) or type(problem).__name__)
    watch.log.keep(f"failed: {problem or type(problem).__name__}")


def _purge_events(model: PPO, steps: int) -> None:
    """Let TensorBoard drop what it was told of the steps that are driven once more."""
    for output in model.logger.output_formats:
        if isinstance(output, TensorBoardOutputFormat):
            begin: Any = event_pb2  # It has no types.
            start = begin.SessionLog(status=begin.SessionLog.START)
            anew = begin.Event(step=steps + 1, session_log=start)
            output.writer._get_file_writer().add_event(anew, steps + 1)


@contextmanager
def _signals_stop(watch: Watch) -> Iterator[None]:
    def ask(number: int, frame: object) -> None:
        watch.stop = True
        for one in before:
            # A terminal that is closed sends SIGHUP more than once; nobody asks for haste by it.
            again = signal.SIG_IGN if one == signal.SIGHUP else signal.SIG_DFL
            signal.signal(one, again)

    before = {one: signal.getsignal(one) for one in STOP_SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]  # As under nohup.
    try:
        for one in before:
            signal.signal(one, ask)
    except ValueError:
        before.clear()  # Not the main thread: signals are somebody else's.
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def trained_actor(run: Run) -> tuple[RunConfig, DeterministicActor, int]:
    """The config of a run, its best policy, and the steps that it took."""
    config, model = load_learner_of_run(run, run.best().name)
    return config, deterministic_actor(config, model), model.num_timesteps


def load_learner_of_run(run: Run, file: str) -> tuple[RunConfig, PPO]:
    """The config of a run, and its learner on the CPU as the checkpoint `file` holds it.

    It has the weights, the optimiser and the counts of the run, and a rollout of two steps. Its
    environment is closed.

    Raises:
        RunError: The checkpoint cannot be read or does not fit the run.
    """
    config = run.config()
    env = CarsVecEnv(RacerVectorEnv(1, **config.model_copy(update={"reward": None}).env))
    # Nothing is learnt here: the smallest rollout that PPO takes will do.
    ppo = config.ppo.model_copy(update={"n_steps": 2, "batch_size": 2})
    small = config.model_copy(update={"device": "cpu", "ppo": ppo})
    try:
        model = build_ppo(small, env)
        source = str(run.checkpoints / file)
        load_learner(model, unpack_checkpoint(run.saved.read(file), source, model.device), source)
        return config, model
    finally:
        env.close()

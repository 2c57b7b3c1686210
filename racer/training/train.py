"""The training run from config to checkpoint, in one go or in several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat, configure
from tensorboard.compat.proto import event_pb2

from racer.assets import terminal
from racer.envs import RacerVectorEnv
from racer.errors import RunError
from racer.evaluation import LapResult
from racer.reward.neighbour_files import files_beside
from racer.reward.param_cases import ParamCase, case_params
from racer.reward.reward_file import RewardSource
from racer.track import load_track
from racer.training.callbacks import Callback, sorted_callbacks
from racer.training.callbacks.save import stop_on_signals
from racer.training.callbacks.training_callbacks import TrainingCallbacks
from racer.training.checkpoint_content import (
    chunk_seed,
    differing_versions,
    load_learner,
    restore_rng,
    unpack_checkpoint,
)
from racer.training.config import RunConfig
from racer.training.ppo import build_ppo
from racer.training.run_dir import Ended, Run, refuse_taken
from racer.training.training_env import make_training_env, start_deepracer_log
from racer.training.training_log import refuse_unwritable
from racer.training.vec_env import CarsVecEnv

State = dict[str, Any]

TRIED_STATES = 8
"""Number of states in which a reward is called to find out which files it opens."""


@dataclass(frozen=True)
class TrainingResult:
    """A training that has ended.

    Attributes:
        run: The run's folder.
        ended: How the training ended.
        best: The first race of the best evaluation; None if nothing was evaluated.
        steps: Control steps before the last evaluation, over all cars.
        seconds: Wall-clock seconds of all parts of the training.
        spent: Seconds of `rollout`, `learning` and `evaluation`, over all parts; and of `physics`,
            `sensors` and `reward` in this part, if the cars were driven in this process.
    """

    run: Run
    ended: Ended
    best: LapResult | None
    steps: int
    seconds: float
    spent: dict[str, float]

    @property
    def is_finished(self) -> bool:
        """Whether all steps of the config were trained."""
        return self.ended == "finished"


def run_training(
    config: RunConfig,
    folder: Path | None = None,
    console: Console | None = None,
    *,
    deepracer_logs: bool = False,
    name: str = "run",
    log: Path | None = None,
    callback: Callback | Sequence[Callback] | None = None,
) -> TrainingResult:
    """Train a policy, and write everything into a run folder.

    SIGINT, SIGTERM and SIGHUP end the training at its next step, saved; a second SIGINT or SIGTERM
    ends it at once. After an error, too, what was learnt is saved. `resume_training` continues it.

    Args:
        config: The run.
        folder: The run's folder; a new one in `runs/` if not given.
        console: Where the progress is shown: a bar, or a line for each evaluation if the console
            is no terminal.
        deepracer_logs: Write the logs that DeepRacer's analysis tools read into the folder
            `deepracer` in the run's folder; see `racer.deepracer.sim_trace`.
        name: The config's name.
        log: A file to which a line for each evaluation is added, as to the run's `log.txt`.
        callback: As in `racer.train`.

    Raises:
        RacerError: The config, a track, the reward or the folder cannot be used.
    """
    functions, sb3_callbacks = sorted_callbacks(callback)
    if folder is not None:
        refuse_taken(folder)
    if log is not None:
        refuse_unwritable(log)
    reward = RewardSource.find(config.reward or "")
    env = make_training_env(config, deepracer_logs)
    try:
        beside = files_beside(reward, lambda: _try_reward(reward, config))
        env.seed(config.seed)
        model = build_ppo(config, env)
        run = Run.create(folder, config, reward, beside, name)
        trace = start_deepracer_log(run.folder, config, env, 0) if deepracer_logs else None
        callbacks = TrainingCallbacks(
            config, run, reward, console or terminal.make_console(), functions, trace, log
        )
        with run.locked():
            _learn(run, config, callbacks, model, None, sb3_callbacks)
        return _make_result(run, callbacks, env)
    finally:
        env.close()


def resume_training(
    folder: Path,
    console: Console | None = None,
    *,
    minutes: float | None = None,
    deepracer_logs: bool = False,
    log: Path | None = None,
) -> TrainingResult:
    """Continue a run from its newest whole checkpoint, as if it had never been interrupted.

    What the run wrote after that checkpoint is dropped and trained once more: on the same machine
    the weights and evaluations are, bit for bit, those of an uninterrupted run. The reward is the
    run's own copy.

    Args:
        folder: The run's folder.
        console: Where the progress is shown.
        minutes: Instead of the config's `minutes` from now on, over all parts of the run.
        deepracer_logs: As in `run_training`; the folder is `deepracer-<steps>`.
        log: As in `run_training`.

    Raises:
        RunError: There is no run, it is finished, another process trains it, or it cannot be read.
    """
    run, shown = Run.open(folder), console or terminal.make_console()
    config = run.config()
    if minutes is not None:
        config = config.model_copy(update={"minutes": minutes})
    with run.locked():
        newest = run.saved.newest_whole(lambda warning: shown.print(f"{warning}", style="yellow"))
        source = str(run.checkpoints / newest[0].file) if newest else ""
        reward = RewardSource.find(config.reward or "")
        env = make_training_env(config, deepracer_logs)
        try:
            model = build_ppo(config, env)
            env.seed(chunk_seed(config.seed, newest[0].steps if newest else 0))
            state = unpack_checkpoint(newest[1], source, model.device) if newest else None
            if state:
                _announce_resume(shown, run, config, state)
                load_learner(model, state, source)
            steps = model.num_timesteps
            trace = start_deepracer_log(folder, config, env, steps) if deepracer_logs else None
            callbacks = TrainingCallbacks(
                config, run, reward, shown, deepracer_log=trace, log_path=log
            )
            _learn(run, config, callbacks, model, state)
            return _make_result(run, callbacks, env)
        finally:
            env.close()


def _try_reward(reward: RewardSource, config: RunConfig) -> None:
    """Call a reward in a few states of its first track, to find out which files it opens."""
    case = ParamCase(load_track(config.track[0]), False, config.race.kind)
    with reward.watched():
        function = reward.functions(1)[0]
        for params in case_params(case)[:TRIED_STATES]:
            reward.call(function, params)


def _announce_resume(console: Console, run: Run, config: RunConfig, state: State) -> None:
    """Print where a run continues.

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
    config: RunConfig,
    callbacks: TrainingCallbacks,
    model: PPO,
    state: State | None,
    sb3_callbacks: Sequence[BaseCallback] = (),
) -> None:
    """Train from the beginning, or from a checkpoint, to the end.

    Args:
        run: The run's folder.
        config: The run's config.
        callbacks: The training's own callbacks.
        model: The learner; it has the weights of `state` already.
        state: What the checkpoint holds; None to train from the beginning.
        sb3_callbacks: The caller's callbacks of Stable-Baselines3's kind.

    Raises:
        RunError: A file cannot be written.
    """
    steps = state["steps"] if state else 0
    progress = state["progress"] if state else {"evaluations": [], "best": None}
    try:
        run.mark_ended(None)
        run.rewind(steps, progress["evaluations"], progress["best"])
        model.set_logger(configure(str(run.folder), ["tensorboard"]))
        with closing(model.logger):
            if state:
                _purge_events(model, steps)
                callbacks.resume(progress)
                restore_rng(state)
            with stop_on_signals(callbacks.save):
                try:
                    # The steps to come: Stable-Baselines3 adds those that are done.
                    model.learn(
                        config.total_timesteps - steps,
                        [callbacks, *sb3_callbacks],
                        reset_num_timesteps=False,
                    )
                    callbacks.finish()
                except BaseException as problem:
                    callbacks.fail(problem)
                    raise
            ended, steps = callbacks.save.ended, callbacks.evaluate.steps
            run.mark_ended(ended)
            callbacks.log.lines.say(f"{ended} after {steps:,} steps")
            model.logger.dump(steps)
    except OSError as problem:
        if problem is callbacks.user.raised:
            raise
        raise RunError(
            f"{run.folder}: cannot be written: {problem}; the checkpoints before are untouched: "
            f"make room, then `{terminal.shell_command('train', '--resume', run.folder)}`"
        ) from problem


def _make_result(run: Run, callbacks: TrainingCallbacks, env: CarsVecEnv) -> TrainingResult:
    driving = env.cars.simulation.durations if isinstance(env.cars, RacerVectorEnv) else {}
    return TrainingResult(
        run=run,
        ended=callbacks.save.ended,
        best=callbacks.evaluate.best,
        steps=callbacks.evaluate.steps,
        seconds=callbacks.clock.seconds,
        spent={**callbacks.clock.spent, **driving},
    )


def _purge_events(model: PPO, steps: int) -> None:
    """Let TensorBoard drop the events of the steps that are trained once more."""
    for output in model.logger.output_formats:
        if isinstance(output, TensorBoardOutputFormat):
            begin: Any = event_pb2  # It has no types.
            start = begin.SessionLog(status=begin.SessionLog.START)
            anew = begin.Event(step=steps + 1, session_log=start)
            output.writer._get_file_writer().add_event(anew, steps + 1)

"""Training of a policy from a config to a run folder, and training it further."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat, configure
from tensorboard.compat.proto import event_pb2

from racer.assets import terminal
from racer.assets.overrides import with_overrides
from racer.envs import RacerVectorEnv
from racer.errors import RunError
from racer.evaluation import LapResult
from racer.reward.reward_file import RewardSource
from racer.training.callbacks import Callback, sorted_callbacks
from racer.training.callbacks.cost import CostCallback
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
from racer.training.file_copies import needed_files
from racer.training.learner import build_learner, log_interval
from racer.training.parent import ParentPolicy, inherit_weights
from racer.training.run_dir import Ended, Run, refuse_taken
from racer.training.training_env import (
    TrainingEnv,
    make_host_env,
    make_training_env,
    start_deepracer_log,
)
from racer.training.training_log import refuse_unwritable
from racer.training.vec_env import CarsVecEnv

if TYPE_CHECKING:
    from racer.cluster.ray_cluster import RayCluster

State = dict[str, Any]
"""The state in a checkpoint; see `racer.training.checkpoint_content.unpack_checkpoint`."""


@dataclass(frozen=True)
class TrainingResult:
    """A training that has ended.

    Attributes:
        run: The run's folder.
        ended: How the training ended; see `racer.training.run_dir.Ended`.
        best: The first race of the best evaluation; None if nothing was evaluated.
        steps: Control steps trained before the last evaluation, over all cars.
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
    parent: ParentPolicy | None = None,
    cluster: RayCluster | None = None,
    price_per_core_hour: float | None = None,
) -> TrainingResult:
    """Train a policy, and write everything into a run folder.

    SIGINT, SIGTERM or SIGHUP ends the training at its next step, after saving a checkpoint; a
    second SIGINT or SIGTERM ends it immediately. If an exception ends the training, a checkpoint is
    saved, too. `resume_training` continues an interrupted training.

    Args:
        config: The run's config.
        folder: The run's folder; a new one in `runs/` if not given.
        console: Where the progress is shown: a bar, or a line for each evaluation if the console
            is no terminal.
        deepracer_logs: Write the logs that DeepRacer's analysis tools read into the folder
            `deepracer` in the run's folder; see `racer.deepracer.sim_trace`.
        name: The config's name.
        log: A file to which the lines of the training log are appended, as to the run's `log.txt`.
        callback: As in `racer.train`.
        parent: The policy whose weights the training begins with; new weights if not given. The
            optimizer and the count of steps begin anew.
        cluster: The cluster on whose nodes the cars are driven, while the policy learns in this
            process; the weights are the same. Not given: this machine.
        price_per_core_hour: What a core costs for an hour, for the run's record.

    Raises:
        RacerError: The config, a track, the reward or the folder cannot be used, or the parent's
            weights do not fit.
    """
    functions, sb3_callbacks = sorted_callbacks(callback)
    if folder is not None:
        refuse_taken(folder)
    if log is not None:
        refuse_unwritable(log)
    reward, told = RewardSource.find(config.reward or ""), []
    env = make_training_env(config, deepracer_logs, cluster, told.append)
    try:
        beside = needed_files(reward, config)
        env.seed(config.seed)
        model = build_learner(config, env)
        told += inherit_weights(model.policy, parent, config) if parent else []
        run = Run.create(folder, config, reward, beside, name, parent.lineage if parent else ())
        trace = start_deepracer_log(run.folder, config, env, 0) if deepracer_logs else None
        shown = console or terminal.make_console()
        callbacks = TrainingCallbacks(config, run, reward, shown, functions, trace, log)
        if cluster is not None:
            cluster.say = callbacks.log.lines.say
        _tell(told, shown, callbacks)
        costs = CostCallback(run, env, price_per_core_hour)
        with run.locked():
            _learn(run, config, callbacks, model, None, costs, sb3_callbacks)
        return _make_result(run, callbacks, env)
    finally:
        env.close()


def resume_training(
    folder: Path,
    console: Console | None = None,
    *,
    total_timesteps: int | None = None,
    minutes: float | None = None,
    deepracer_logs: bool = False,
    log: Path | None = None,
    callback: Callback | Sequence[Callback] | None = None,
    cluster: RayCluster | None = None,
    price_per_core_hour: float | None = None,
) -> TrainingResult:
    """Continue a run from its newest whole checkpoint, as if it had never been interrupted.

    Everything that the run wrote after that checkpoint is deleted and trained again. On the same
    machine the weights and evaluations are bit for bit those of an uninterrupted run. The reward is
    the copy in the run's folder. New limits are written into the run's `config.yaml`. A learning
    rate that decreases linearly reaches its last value at the new total of steps.

    Args:
        folder: The run's folder.
        console: Where the progress is shown, as in `run_training`.
        total_timesteps: Replaces the config's `total_timesteps`, the steps of all parts of the run
            together; a finished run needs more of them than it has.
        minutes: Replaces the config's `minutes`, the time limit of all parts of the run together.
        deepracer_logs: As in `run_training`; the folder is `deepracer-<steps>`.
        log: As in `run_training`.
        callback: As in `racer.train`.
        cluster: As in `run_training`; it need not be that of the run's first part.
        price_per_core_hour: As in `run_training`.

    Raises:
        RunError: The folder holds no run, or the run is finished, is being trained by another
            process, or cannot be read.
        ConfigError: A limit is out of range.
        RacerError: A track or the reward cannot be used.
    """
    run, shown = Run.open(folder), console or terminal.make_console()
    functions, sb3_callbacks = sorted_callbacks(callback)
    limits = {"total_timesteps": total_timesteps, "minutes": minutes}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    config = with_overrides(run.config(), given, "resume")
    with run.locked():
        run.clear_requests()  # Those that a killed process left.
        newest = run.saved.newest_whole(lambda warning: shown.print(f"{warning}", style="yellow"))
        source = str(run.checkpoints / newest[0].file) if newest else ""
        reward, told = RewardSource.find(config.reward or ""), []
        env = make_training_env(config, deepracer_logs, cluster, told.append)
        try:
            model = build_learner(config, env)
            env.seed(chunk_seed(config.seed, newest[0].steps if newest else 0))
            state = unpack_checkpoint(newest[1], source, model.device) if newest else None
            if state:
                _announce_resume(shown, run, config, state, total_timesteps is not None)
                before = state["progress"].get("simulator", "host")
                if before != env.simulator and state["steps"]:
                    told.append(
                        f"the cars are simulated on the {env.simulator} now, on the {before} "
                        "before: the outcome may differ from an uninterrupted run's"
                    )
                load_learner(model, state, source)
            elif run.lineage():
                raise RunError(
                    f"{folder} ended before it had the weights of its parent; delete it, and start "
                    "the training again with --from"
                )
            steps = model.num_timesteps
            run.extend(config, steps)
            trace = start_deepracer_log(folder, config, env, steps) if deepracer_logs else None
            callbacks = TrainingCallbacks(config, run, reward, shown, functions, trace, log)
            if cluster is not None:
                cluster.say = callbacks.log.lines.say
            _tell(told, shown, callbacks)
            costs = CostCallback(run, env, price_per_core_hour)
            _learn(run, config, callbacks, model, state, costs, sb3_callbacks)
            return _make_result(run, callbacks, env)
        finally:
            env.close()


def run_pretraining(
    config: RunConfig,
    learn: Callable[[BaseAlgorithm, CarsVecEnv, Callable[[str], None]], dict[str, Any]],
    folder: Path | None = None,
    console: Console | None = None,
    *,
    num_envs: int,
    name: str = "run",
) -> TrainingResult:
    """Write a run whose policy has learnt something before the first step of its training.

    The run is written once everything is learnt. `resume_training` goes on from it with all steps
    of the config.

    Args:
        config: The run's config.
        learn: Called with the learner, an environment of `num_envs` cars in this process, and a
            function that prints a line and keeps it for the run's log. It changes the policy's
            weights and returns the record for `run.json`; see `Run.mark_pretrained`.
        folder: The run's folder; a new one in `runs/` if not given.
        console: Where lines are printed.
        num_envs: Number of cars that `learn` drives.
        name: The config's name.

    Raises:
        RacerError: The config, a track, the reward or the folder cannot be used.
    """
    shown, said = console or terminal.make_console(), []

    def say(line: str) -> None:
        said.append(line)
        shown.print(line, markup=False, highlight=False, soft_wrap=True)

    reward = RewardSource.find(config.reward or "")
    # The smallest rollout that PPO accepts: `learn` collects what it needs itself.
    ppo = config.ppo.model_copy(update={"n_steps": 2, "batch_size": 2})
    small = config.model_copy(update={"num_envs": num_envs, "workers": 1, "ppo": ppo})
    env = make_host_env(small, is_logged=False)
    try:
        beside = needed_files(reward, config)
        env.seed(config.seed)
        model = build_learner(small, env)
        record = learn(model, env, say)
        run = Run.create(folder, config, reward, beside, name)
        with run.locked():
            callbacks = TrainingCallbacks(config, run, reward, shown)
            for line in said:
                callbacks.log.lines.keep(line)
            _save_pretrained(run, callbacks, model, record)
        return _make_result(run, callbacks, env)
    finally:
        env.close()


def _tell(lines: Sequence[str], console: Console, callbacks: TrainingCallbacks) -> None:
    """Print lines, and keep them in the run's log."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        callbacks.log.lines.keep(line)


def _save_pretrained(
    run: Run, callbacks: TrainingCallbacks, model: BaseAlgorithm, record: dict[str, Any]
) -> None:
    """Evaluate a policy that no step was trained yet, and save it as the run's first checkpoint.

    Args:
        run: The run's folder.
        callbacks: The training's own callbacks.
        model: The learner.
        record: What `Run.mark_pretrained` records.

    Raises:
        RunError: A file cannot be written.
    """
    try:
        run.mark_pretrained(record)
        model.set_logger(configure(str(run.folder), ["tensorboard"]))
        with closing(model.logger):
            callbacks.init_callback(model)
            callbacks.save_pretrained()
            model.logger.dump(0)
        run.mark_ended("pretrained")
    except OSError as problem:
        raise RunError(f"{run.folder}: cannot be written: {problem}; free some disk space") from (
            problem
        )


def _announce_resume(
    console: Console, run: Run, config: RunConfig, state: State, has_new_total: bool
) -> None:
    """Print after how many steps a run is resumed, and which packages have changed since.

    Args:
        console: Where it is printed.
        run: The run.
        config: The run's config, with the limits that apply now.
        state: The state in the checkpoint.
        has_new_total: Whether `total_timesteps` is not that of the config in the run's folder.

    Raises:
        RunError: No steps, or no minutes, are left.
    """
    steps, progress = state["steps"], state["progress"]
    spent = progress["seconds"] / 60.0
    total = config.total_timesteps
    resume = terminal.shell_command("train", "--resume", run.folder, "--total-timesteps")
    if has_new_total and steps >= total:
        raise RunError(
            f"the run has trained {steps:,} steps, and {total:,} is no more than that; the number "
            f"is the new total, such as `{resume} {2 * steps}`"
        )
    if steps >= total:
        run.rewind(steps, progress["evaluations"], progress["best"])
        run.mark_ended("finished")
        raise RunError(
            f"all of the run's {total:,} steps are trained; nothing is left to resume; train it "
            f"further with a larger total, such as `{resume} {2 * steps}`"
        )
    if spent >= config.minutes:
        raise RunError(
            f"the run's {config.minutes:g} minutes have passed after {steps:,} of "
            f"{total:,} steps; set a longer total time with --minutes"
        )
    console.print(f"resumed after {steps:,} of {total:,} steps")
    last = config.hyperparameters.final_learning_rate
    if has_new_total and last is not None:
        console.print(f"the learning rate now decreases to {last:g} at {total:,} steps")
    if changed := differing_versions(state):
        console.print(f"{changed}: the outcome may differ from an uninterrupted run's")


def _learn(
    run: Run,
    config: RunConfig,
    callbacks: TrainingCallbacks,
    model: BaseAlgorithm,
    state: State | None,
    costs: CostCallback,
    sb3_callbacks: Sequence[BaseCallback] = (),
) -> None:
    """Train from the beginning, or from a checkpoint, until the training ends.

    Args:
        run: The run's folder.
        config: The run's config.
        callbacks: The training's own callbacks.
        model: The learner, with the weights of `state` already loaded.
        state: The state in the checkpoint; None to train from the beginning.
        costs: Records what the training costs.
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
            elif run.lineage():  # No seed gives a clone's first weights again.
                callbacks.init_callback(model)
                callbacks.save.save(is_whole=True)
            with stop_on_signals(callbacks.save):
                try:
                    # Only the remaining steps, because Stable-Baselines3 adds those already done.
                    model.learn(
                        config.total_timesteps - steps,
                        [callbacks, costs, *sb3_callbacks],
                        log_interval=log_interval(model),
                        reset_num_timesteps=False,
                    )
                    callbacks.finish()
                except BaseException as problem:
                    callbacks.fail(problem)
                    raise
                finally:
                    costs.finish()
            ended, steps = callbacks.save.ended, callbacks.evaluate.steps
            run.mark_ended(ended)
            callbacks.log.lines.say(f"{ended} after {steps:,} steps")
            model.logger.dump(steps)
    except OSError as problem:
        if problem is callbacks.user.raised:
            raise
        raise RunError(
            f"{run.folder}: cannot be written: {problem}; earlier checkpoints are unchanged: "
            "free some disk space, then run "
            f"`{terminal.shell_command('train', '--resume', run.folder)}`"
        ) from problem


def _make_result(run: Run, callbacks: TrainingCallbacks, env: TrainingEnv) -> TrainingResult:
    driving = env.cars.simulation.durations if isinstance(env.cars, RacerVectorEnv) else {}
    return TrainingResult(
        run=run,
        ended=callbacks.save.ended,
        best=callbacks.evaluate.best,
        steps=callbacks.evaluate.steps,
        seconds=callbacks.clock.seconds,
        spent={**callbacks.clock.spent, **driving},
    )


def _purge_events(model: BaseAlgorithm, steps: int) -> None:
    """Make TensorBoard discard the events after `steps`, which are about to be recorded again."""
    for output in model.logger.output_formats:
        if isinstance(output, TensorBoardOutputFormat):
            begin: Any = event_pb2  # The module has no type annotations.
            start = begin.SessionLog(status=begin.SessionLog.START)
            event = begin.Event(step=steps + 1, session_log=start)
            output.writer._get_file_writer().add_event(event, steps + 1)

"""The training run from config to checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from stable_baselines3.common.logger import configure

from racer.env import RacerVectorEnv
from racer.policy.networks import DeterministicActor
from racer.reward.source import RewardSource
from racer.train.algorithm import actor, build, load
from racer.train.config import RunConfig
from racer.train.folder import Run
from racer.train.trace import TrainingTrace
from racer.train.vec_env import CarsVecEnv
from racer.train.watch import Watch


def train(
    config: RunConfig,
    folder: Path,
    console: Console | None = None,
    deepracer_logs: bool = False,
) -> Watch:
    """Train as the config says and leave everything in `folder`.

    With `deepracer_logs` the folder `deepracer` in it holds what that world's tools read; see
    `racer.deepracer.trace`.

    SIGINT and SIGTERM end the run at its next step, saved; a second signal ends it at once. An
    error, too, leaves a checkpoint of what was learnt.

    Returns:
        The watch, with `best` (the best evaluation) and `stop` (True where it was cut short).

    Raises:
        RacerError: A config, track, reward or folder that cannot be used.
    """
    run_console = console or Console()
    env = CarsVecEnv(RacerVectorEnv(config.cars, **config.env))
    try:
        env.seed(config.seed)
        model = build(config, env)
        reward = RewardSource.find(config.reward or "")
        run = Run.create(folder, config, reward.path.read_bytes())
        model.set_logger(configure(str(folder), ["tensorboard"]))
        trace = TrainingTrace(folder, config, env.cars) if deepracer_logs else None
        env.trace = trace.add if trace else None
        watch = Watch(config, run, reward, run_console, trace)
        try:
            with _signals_stop(watch):
                model.learn(config.steps, callback=watch)
        except BaseException:
            watch.on_training_end()
            run.save(model, model.num_timesteps)
            raise
        watch.evaluate()
        model.logger.dump(model.num_timesteps)
        model.logger.close()
        return watch
    finally:
        env.close()


@contextmanager
def _signals_stop(watch: Watch) -> Iterator[None]:
    def ask(number: int, frame: object) -> None:
        watch.stop = True
        for one, handler in before.items():
            signal.signal(one, handler)

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
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
    config = run.config()
    env = CarsVecEnv(RacerVectorEnv(1, **(config.env | {"reward": None})))
    # Nothing is learnt here: the smallest rollout that PPO takes will do.
    ppo = config.ppo.model_copy(update={"n_steps": 2, "batch_size": 2})
    small = config.model_copy(update={"device": "cpu", "ppo": ppo})
    try:
        model = load(small, run.best(), env)
        return config, actor(config, model), model.num_timesteps
    finally:
        env.close()

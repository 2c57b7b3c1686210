"""Train Stable-Baselines3's PPO from one seed by three VecEnvs, and compare their speed.

    python benchmarks/vec_envs.py [--rollouts 15] [--cars 32] [--environments 4]

The three take turns, so that whatever else the machine does slows all of them. Prints a line for
each VecEnv: steps per second with learning, processor time of the main process per step, the mean
return of the last 100 episodes, and that of 20 evaluation episodes without action noise.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common import env_util
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from racer.sb3 import make_vec_env

ID = "racer:racer/TimeTrial-v0"
CONFIG = {"sensor": "state", "actions": {"speed": [1.0, 3.5]}}
ROLLOUT = 4096
"""Steps of all cars between two updates, the same for each VecEnv."""


class Learner:
    """A policy that learns by one VecEnv, and the time that this has taken so far."""

    def __init__(self, name: str, env: VecEnv) -> None:
        self.name, self.env, self.seconds, self.busy = name, env, 0.0, 0.0
        self.model = PPO(
            "MlpPolicy",
            env,
            n_steps=ROLLOUT // env.num_envs,
            batch_size=512,
            n_epochs=5,
            learning_rate=6e-4,
            seed=0,
            device="cpu",
        )

    def learn(self) -> None:
        """Collect and learn one more rollout."""
        began, worked = time.perf_counter(), time.process_time()
        self.model.learn(ROLLOUT, reset_num_timesteps=False)
        self.seconds += time.perf_counter() - began
        self.busy += time.process_time() - worked

    def told(self) -> str:
        """Return the printed line."""
        rate = self.model.num_timesteps / self.seconds
        paid = np.mean([episode["r"] for episode in self.model.ep_info_buffer or ()])
        judge = make_vec_env(ID, 20, seed=100, **CONFIG)
        mean, _ = evaluate_policy(self.model, judge, 20)
        judge.close()
        cars = f"{self.env.num_envs} cars"
        busy = 1e6 * self.busy / self.model.num_timesteps
        return f"{self.name:32}{cars:>8}{rate:8,.0f} steps/s{busy:7,.0f} us{paid:8.2f}{mean:8.2f}"


def main() -> None:
    """Train three times."""
    parser = argparse.ArgumentParser(description="Compare three VecEnvs for PPO.")
    parser.add_argument("--rollouts", type=int, default=15, help=f"of {ROLLOUT} steps of all cars")
    parser.add_argument("--cars", type=int, default=32, help="cars in one world")
    parser.add_argument("--environments", type=int, default=4, help="of SB3's own make_vec_env")
    given = parser.parse_args()
    torch.set_num_threads(1)  # a small network learns no sooner on more, least of all on busy cores
    learners = [Learner("racer.sb3", make_vec_env(ID, given.cars, seed=0, **CONFIG))]
    for kind in (SubprocVecEnv, DummyVecEnv):
        env = env_util.make_vec_env(
            ID, given.environments, seed=0, env_kwargs=CONFIG, vec_env_cls=kind
        )
        learners.append(Learner(f"stable_baselines3, {kind.__name__}", env))
    for _ in range(given.rollouts):
        for learner in learners:
            learner.learn()
    for learner in learners:
        print(learner.told())
        learner.env.close()


if __name__ == "__main__":
    main()

"""Drive a million control steps with every sensor and kind of race, and watch the process.

    python benchmarks/soak.py [--steps 1000000] [--cars 64]

Prints a line for each tenth: steps so far, memory, time of one step. Exits with 1 where an
observation, reward or state is not finite, memory grows by more than 5 % after the first tenth, or
a step of the last tenth takes more than 1.3 times one of the first.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from racer.envs import RacerVectorEnv
from racer.race import RACE_KINDS

PARTS = 10
SENSORS = (
    {"kind": "camera", "width": 40, "height": 30, "colour": "rgb", "stack": 2},
    {"kind": "stereo", "width": 40, "height": 30},
    {"kind": "left_camera", "width": 40, "height": 30},
    "lidar",
    "sector_lidar",
    "discretized_sector_lidar",
    "state",
)


def memory_mb() -> float:
    """Return the resident memory of this process [MB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def drive(env: RacerVectorEnv, steps: int, rng: np.random.Generator) -> float:
    """Drive every car by random actions; return the time of one control step [s]."""
    began = time.perf_counter()
    for step in range(steps // env.num_envs):
        if step % 500 == 499:
            env.reset(seed=step)
        actions = rng.uniform((-0.5, -1.0), (0.5, 0.6), (env.num_envs, 2))
        obs, rewards, _, _, _ = env.step(actions)
        numbers: list[Any] = [rewards, env.world.state.body, *obs.values()]
        if not all(np.isfinite(some).all() for some in numbers):
            sys.exit(f"step {step}: not finite")
    return (time.perf_counter() - began) / steps


def main() -> None:
    """Drive, print and check."""
    parser = argparse.ArgumentParser(
        description="Drive a million control steps and watch the process."
    )
    parser.add_argument("--steps", type=int, default=1_000_000, help="control steps in all")
    parser.add_argument("--cars", type=int, default=64, help="cars in each world")
    wanted = parser.parse_args()
    envs = [
        RacerVectorEnv(
            wanted.cars,
            kind=kind,
            sensor=list(SENSORS),
            race={"walls": True, "direction": "alternate"},
            randomisation="sim2real",
        )
        for kind in RACE_KINDS
    ]
    rng = np.random.default_rng(0)
    for env in envs:
        env.reset(seed=0)
        drive(env, 20 * wanted.cars, rng)
    held, took = [], []
    for part in range(PARTS):
        took.append(float(np.mean([drive(env, wanted.steps // PARTS // 3, rng) for env in envs])))
        held.append(memory_mb())
        done = (part + 1) * wanted.steps // PARTS
        print(f"{done:>9,} steps  {held[-1]:7.1f} MB  {took[-1] * 1e6:6.1f} us a step", flush=True)
    if held[-1] > 1.05 * held[0] or took[-1] > 1.3 * took[0]:
        sys.exit("memory or the time of a step grew")


if __name__ == "__main__":
    main()

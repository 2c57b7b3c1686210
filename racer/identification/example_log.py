"""An example of a log: a simulated car of known quantities, with noise in what is measured."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.identification.car_log import CarLog
from racer.identification.simulated_drive import FITTED, SimulatedDrive

EXAMPLE_VALUES = {
    "latency": 0.08,
    "steering_gain": 0.93,
    "steering_offset": 0.02,
    "speed_gain": 0.9,
    "friction": 0.8,
}
"""What the example's car has, in the order of `FITTED`."""
LOG_RATE_HZ = 30.0
COMMAND_HOLD_S = 0.6
FASTEST_M_S = 3.5
YAW_RATE_NOISE_RAD_S, SPEED_NOISE_M_S = 0.05, 0.05
POSITION_NOISE_M, HEADING_NOISE_RAD = 0.005, 0.01
"""Standard deviations of what is measured."""


def example_log(
    spec: CarSpec,
    seed: int = 0,
    duration: float = 60.0,
    values: dict[str, float] | None = None,
    has_pose: bool = False,
) -> CarLog:
    """Return the log of a simulated car that drives random curves at random speeds.

    Args:
        spec: The car.
        seed: Seed of the commands and of the noise.
        duration: Length [s].
        values: The car's quantities; those of the example if not given.
        has_pose: Whether the pose is measured, instead of yaw rate and speed.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(int(duration * LOG_RATE_HZ)) / LOG_RATE_HZ
    held = (time / COMMAND_HOLD_S).astype(int)
    steering = rng.uniform(-spec.steering_limit, spec.steering_limit, held[-1] + 1)
    speed = rng.uniform(0.5, FASTEST_M_S, held[-1] + 1)
    commands = CarLog(time, np.column_stack([steering, speed])[held])
    drive = SimulatedDrive(spec, commands, 1)
    try:
        own = values or EXAMPLE_VALUES
        row = np.array([[own[name] for name in FITTED]])
        motion = drive.drive(row)[:, 0]
    finally:
        drive.close()
    noise = rng.normal(size=(len(time), 5))
    if has_pose:
        spread = (POSITION_NOISE_M, POSITION_NOISE_M, HEADING_NOISE_RAD)
        return CarLog(time, commands.command, pose=motion[:, :3] + noise[:, :3] * spread)
    return CarLog(
        time,
        commands.command,
        motion[:, 4] + YAW_RATE_NOISE_RAD_S * noise[:, 4],
        motion[:, 3] + SPEED_NOISE_M_S * noise[:, 3],
    )

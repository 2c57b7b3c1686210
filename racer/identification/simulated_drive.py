"""The same commands driven by simulated cars of different parameters, all at once."""

from __future__ import annotations

import numpy as np

from racer.car.spec import CarSpec
from racer.identification.car_log import CarLog
from racer.randomisation import neutral_draws
from racer.world import World

RATE_HZ = 120
"""Commands per second of the simulated cars: latency is found to a fraction of it [Hz]."""
SUBSTEPS = 2
"""Physics steps per command, which makes 240 Hz as in a race."""
FITTED = ("latency", "steering_gain", "steering_offset", "speed_gain", "friction")
"""The quantities of `racer.randomisation.Randomisation` that are found; latency in seconds."""


class SimulatedDrive:
    """n simulated cars that drive the commands of a log from rest, on an endless plane.

    Args:
        spec: The car.
        log: The log.
        n: Number of cars.
    """

    def __init__(self, spec: CarSpec, log: CarLog, n: int) -> None:
        self._log, self._n = log, n
        self._world = World(spec, n, rate=RATE_HZ, substeps=SUBSTEPS, engine="twin")
        ticks = int(np.ceil(log.time[-1] * RATE_HZ)) + 1
        self._tick_time = np.arange(ticks) / RATE_HZ

    def drive(self, values: np.ndarray) -> np.ndarray:
        """Return what each car did at the times of the log's rows.

        Args:
            values: The cars' quantities, (n, 5), in the order of `FITTED`. The latency is the time
                until a command reaches servo and motor.

        Returns:
            x, y [m], heading [rad, without jumps], speed [m/s] and yaw rate [rad/s],
            (T, n, 5).
        """
        world, log, everyone = self._world, self._log, np.arange(self._n)
        rows = neutral_draws(self._n)
        for name, column in zip(FITTED[1:], values.T[1:]):
            rows[name] = column
        world.vary(everyone, rows)
        world.reset(everyone, np.zeros((self._n, 2)), np.zeros(self._n))
        done = np.empty((len(self._tick_time) + 1, self._n, 5))
        for tick, command in enumerate(self._commands(values[:, 0])):
            done[tick] = _motion(world)
            world.step(command)
        done[-1] = _motion(world)
        done[..., 2] = np.unwrap(done[..., 2], axis=0)
        tick = np.minimum((log.time * RATE_HZ).astype(int), len(done) - 2)
        share = (log.time * RATE_HZ - tick)[:, None, None]
        return done[tick] * (1.0 - share) + done[tick + 1] * share

    def _commands(self, latency: np.ndarray) -> np.ndarray:
        """Return the mean command within each tick of cars of some latencies [s], (ticks, n, 2).

        The mean lets a latency be any time, not only whole ticks.
        """
        log = self._log
        way = np.diff(log.time)[:, None] * log.command[:-1]
        total = np.concatenate([np.zeros((1, 2)), np.cumsum(way, axis=0)])

        def until(time: np.ndarray) -> np.ndarray:
            row = np.maximum(np.searchsorted(log.time, time, side="right") - 1, 0)
            since = np.maximum(time - log.time[row], 0.0)
            return total[row] + log.command[row] * since[..., None]

        begin = self._tick_time[:, None] - latency
        return (until(begin + 1.0 / RATE_HZ) - until(begin)) * RATE_HZ

    def close(self) -> None:
        """Close the world."""
        self._world.close()


def _motion(world: World) -> np.ndarray:
    """Return place, heading, speed and yaw rate of all cars now, (n, 5)."""
    state = world.state
    speed = state.velocity[:, 0] * np.cos(state.yaw) + state.velocity[:, 1] * np.sin(state.yaw)
    return np.column_stack([state.xy, state.yaw, speed, state.angular_velocity[:, 2]])

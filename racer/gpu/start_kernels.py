# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""Commands, starts and returns to the track on a device, with the draws of each episode.

A number is drawn by hashing the environment's seed, the car, its episode and the number's place
(see `racer.sensors.counter_rng`), so that a car draws the same alone and among others. The draws
have the distributions of `racer.race` and `racer.randomisation`, not their numbers.
"""

from typing import Any

import numpy as np
import warp as wp

from racer.car.action_space import ActionSpace
from racer.gpu.force_functions import CarParameters
from racer.gpu.frame_kernels import counter_hash
from racer.gpu.rule_kernels import RaceLimits, RaceRecords
from racer.gpu.runtime import EXACT_OPTIONS
from racer.gpu.track_kernels import LineTables, lane_pose, place_on_line
from racer.race.config import CRASHED, RUNNING
from racer.race.race import ROUND_ROBIN_LAP_SHARE
from racer.randomisation import DRAWN_QUANTITIES
from racer.world.variation import MAX_LATENCY_STEPS

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
QUANTITIES = len(DRAWN_QUANTITIES)
_FIRST_DRAW = wp.constant(1)
"""Place of the first drawn quantity among an episode's numbers; the seed's is 0."""
_TRACK_DRAW = wp.constant(1 + QUANTITIES)
_START_DRAW = wp.constant(2 + QUANTITIES)
_ROUND_ROBIN = wp.constant(_F(ROUND_ROBIN_LAP_SHARE))
_SENT = wp.constant(MAX_LATENCY_STEPS + 1)
_FRICTION = wp.constant(DRAWN_QUANTITIES.index("friction"))
_MASS = wp.constant(DRAWN_QUANTITIES.index("mass"))
_FORWARD = wp.constant(DRAWN_QUANTITIES.index("mass_forward"))
_UP = wp.constant(DRAWN_QUANTITIES.index("mass_up"))
_MOTOR = wp.constant(DRAWN_QUANTITIES.index("motor"))
_SPEED_GAIN = wp.constant(DRAWN_QUANTITIES.index("speed_gain"))
_STEERING_GAIN = wp.constant(DRAWN_QUANTITIES.index("steering_gain"))
_STEERING_OFFSET = wp.constant(DRAWN_QUANTITIES.index("steering_offset"))
_LATENCY = wp.constant(DRAWN_QUANTITIES.index("latency"))
START_KINDS = {"line": 0, "random": 1, "round_robin": 2}
DIRECTIONS = {"forward": 0, "reverse": 1, "alternate": 2}
_RANDOM_START = wp.constant(START_KINDS["random"])
_ROUND_ROBIN_START = wp.constant(START_KINDS["round_robin"])
_REVERSE = wp.constant(DIRECTIONS["reverse"])
_ALTERNATE = wp.constant(DIRECTIONS["alternate"])


@wp.struct
class CarArrays:
    """The state of n cars; see `World` and `Variation` for the meaning of each array."""

    nominal: CarParameters
    cars: wp.array(dtype=CarParameters)
    shift: wp.array2d(dtype=_F)
    body: wp.array2d(dtype=_F)
    inverse: wp.array2d(dtype=_F)
    steering: wp.array(dtype=_F)
    command: wp.array2d(dtype=_F)
    acting: wp.array2d(dtype=_F)
    sent: wp.array3d(dtype=_F)
    seed: wp.array(dtype=wp.uint64)
    episode_seed: wp.array(dtype=wp.uint64)
    draws: wp.array2d(dtype=_F)


@wp.struct
class StartRules:
    """How an episode starts; the fields of `RaceConfig` as numbers, and what cars draw."""

    start: wp.int32
    direction: wp.int32
    tracks: wp.int32
    offset: _F
    is_random: wp.int32
    low: wp.array(dtype=_F)
    high: wp.array(dtype=_F)


@wp.func
def drawn_share(seed: wp.uint64, episode: int, place: int):
    """Return a uniform number from 0 to below 1: one of those that an episode draws.

    Args:
        seed: The car's seed.
        episode: Number of the episode.
        place: The number's place among those of the episode.
    """
    bits = counter_hash(seed, episode, wp.uint64(place)) >> wp.uint64(11)
    return _F(bits) * _F(1.1102230246251565e-16)


@wp.func
def _apply_draws(fleet: CarArrays, i: int):
    """Set a car's parameters to those of its draws; see `Variation._apply`."""
    car = fleet.nominal
    draws = fleet.draws
    car.inertia_x = car.inertia_x * draws[i, _MASS]
    car.inertia_y = car.inertia_y * draws[i, _MASS]
    car.inertia_z = car.inertia_z * draws[i, _MASS]
    car.mass = car.mass * draws[i, _MASS]
    car.friction = car.friction * draws[i, _FRICTION]
    car.drive_acceleration = car.drive_acceleration * draws[i, _MOTOR] / draws[i, _MASS]
    car.brake_acceleration = car.brake_acceleration / draws[i, _MASS]
    car.to_front_axle = car.to_front_axle - draws[i, _FORWARD]
    car.to_rear_axle = car.to_rear_axle + draws[i, _FORWARD]
    car.mass_height = car.mass_height + draws[i, _UP]
    fleet.shift[i, 0] = -draws[i, _FORWARD]
    fleet.shift[i, 1] = -draws[i, _UP]
    fleet.cars[i] = car


@wp.func
def _put_at_rest(
    fleet: CarArrays,
    records: RaceRecords,
    lines: LineTables,
    i: int,
    s: _F,
    lane: _F,
    skew: _F,
):
    """Place a car on its line, level and at rest; see `Race.set_on_track` and `World.reset`."""
    line = records.line[i]
    pose = lane_pose(lines, line, s, lane)
    x = pose[0]
    y = pose[1]
    yaw = pose[2] + skew
    ahead = -fleet.shift[i, 0]
    for k in range(13):
        fleet.body[i, k] = _F(0.0)
    for k in range(2):
        fleet.inverse[i, k] = -fleet.body[i, k]
        fleet.command[i, k] = _F(0.0)
        for late in range(_SENT):
            fleet.sent[late, i, k] = _F(0.0)
    fleet.body[i, 0] = x + ahead * wp.cos(yaw)
    fleet.body[i, 1] = y + ahead * wp.sin(yaw)
    fleet.body[i, 2] = fleet.cars[i].mass_height
    sin = wp.sin(yaw / _F(2.0))
    cos = wp.cos(yaw / _F(2.0))
    fleet.body[i, 5] = sin
    fleet.body[i, 6] = cos
    fleet.inverse[i, 2] = -sin
    fleet.inverse[i, 3] = cos
    fleet.steering[i] = _F(0.0)
    place = place_on_line(lines, line, x, y)
    records.s[i] = place.s
    records.d[i] = place.d
    records.segment[i] = place.segment
    records.x[i] = x
    records.y[i] = y
    records.still[i] = 0
    records.falling[i] = 0
    shares = records.distance[i] / lines.length[line] - _F(records.laps_before[i])
    records.progress[i] = wp.min(_F(100.0) * shares, _F(100.0))


@wp.func
def _clear_record(records: RaceRecords, i: int):
    """Set a car's records to those of a race that has not begun."""
    records.distance[i] = _F(0.0)
    records.time[i] = _F(0.0)
    records.lap_began[i] = _F(0.0)
    records.last_lap_time[i] = _F(0.0)
    records.reward_sum[i] = _F(0.0)
    records.steps[i] = 0
    records.laps[i] = 0
    records.laps_before[i] = 0
    records.sectors[i] = 0
    records.off_tracks[i] = 0
    records.collisions[i] = 0
    records.resets[i] = 0
    records.fault[i] = 0
    records.ending[i] = 0
    records.wheels_on_road[i] = 4


@wp.kernel
def start_episodes(
    fleet: CarArrays,
    records: RaceRecords,
    lines: LineTables,
    rules: StartRules,
    mask: wp.array(dtype=wp.int32),
):
    """Start the next episode of some cars: clear records, draw, and place them; see `Race.start`.

    Args:
        fleet: The cars.
        records: What the rules know of them.
        lines: The lines.
        rules: How an episode starts.
        mask: Cars that start, those with another value than 0, (n,).
    """
    i = wp.tid()
    if mask[i] == 0:
        return
    seed = fleet.seed[i]
    episode = records.episode[i]
    records.episode[i] = episode + 1
    _clear_record(records, i)
    fleet.episode_seed[i] = counter_hash(seed, episode, wp.uint64(0))
    if rules.is_random == 1:
        for k in range(QUANTITIES):
            low = rules.low[k]
            share = drawn_share(seed, episode, _FIRST_DRAW + k)
            drawn = low + share * (rules.high[k] - low)
            if k == _LATENCY:
                drawn = low + wp.floor(share * (rules.high[k] - low + _F(1.0)))
            fleet.draws[i, k] = drawn
        _apply_draws(fleet, i)
    track = int(0)
    if rules.tracks > 1:
        share = drawn_share(seed, episode, _TRACK_DRAW)
        track = wp.min(int(share * _F(rules.tracks)), rules.tracks - 1)
    is_reversed = int(0)
    if rules.direction == _REVERSE or (rules.direction == _ALTERNATE and episode % 2 == 1):
        is_reversed = 1
    line = 2 * track + is_reversed
    records.line[i] = line
    length = lines.length[line]
    s = rules.offset * length
    aside = _F(0.0)
    skew = _F(0.0)
    if rules.start == _RANDOM_START:
        s = s + drawn_share(seed, episode, _START_DRAW) * length
        aside = _F(0.2) * drawn_share(seed, episode, _START_DRAW + 1) - _F(0.1)
        skew = _F(0.2) * drawn_share(seed, episode, _START_DRAW + 2) - _F(0.1)
    elif rules.start == _ROUND_ROBIN_START:
        s = s + _ROUND_ROBIN * _F(episode) * length
    width = lines.mean_width[line]
    lane = aside * width / (width / _F(4.0))
    _put_at_rest(fleet, records, lines, i, s, lane, skew)


@wp.kernel
def return_to_track(
    fleet: CarArrays,
    records: RaceRecords,
    lines: LineTables,
    limits: RaceLimits,
):
    """Put cars with a fault that go on back on the nearer lane, with their penalty.

    See `Race.reset_to_track`.

    Args:
        fleet: The cars.
        records: What the rules know of them.
        lines: The lines.
        limits: The penalties.
    """
    i = wp.tid()
    if records.fault[i] == 0 or records.ending[i] != RUNNING:
        return
    penalty = limits.off_track_penalty
    if records.fault[i] == CRASHED:
        penalty = limits.collision_penalty
    records.time[i] = records.time[i] + penalty
    records.resets[i] = records.resets[i] + 1
    lane = _F(-1.0)
    if records.d[i] >= _F(0.0):
        lane = _F(1.0)
    _put_at_rest(fleet, records, lines, i, records.s[i], lane, _F(0.0))


@wp.func
def _hold_command(fleet: CarArrays, i: int, steering: _F, speed: _F, is_varied: int):
    """Set what a car is commanded, and what of it acts now; see `Variation.acting`."""
    limit = fleet.nominal.steering_limit
    fastest = fleet.nominal.speed_limit
    steering = wp.min(wp.max(steering, -limit), limit)
    speed = wp.min(wp.max(speed, _F(0.0)), fastest)
    fleet.command[i, 0] = steering
    fleet.command[i, 1] = speed
    if is_varied == 0:
        fleet.acting[i, 0] = steering
        fleet.acting[i, 1] = speed
        return
    for late in range(_SENT - 1):
        k = _SENT - 1 - late
        fleet.sent[k, i, 0] = fleet.sent[k - 1, i, 0]
        fleet.sent[k, i, 1] = fleet.sent[k - 1, i, 1]
    fleet.sent[0, i, 0] = steering
    fleet.sent[0, i, 1] = speed
    k = int(fleet.draws[i, _LATENCY])
    steering = fleet.sent[k, i, 0] * fleet.draws[i, _STEERING_GAIN]
    steering = steering + fleet.draws[i, _STEERING_OFFSET]
    speed = fleet.sent[k, i, 1] * fleet.draws[i, _SPEED_GAIN]
    fleet.acting[i, 0] = wp.min(wp.max(steering, -limit), limit)
    fleet.acting[i, 1] = wp.min(wp.max(speed, _F(0.0)), fastest)


@wp.kernel
def take_continuous_actions(
    fleet: CarArrays,
    actions: wp.array2d(dtype=wp.float32),
    table: wp.array2d(dtype=_F),
    is_varied: int,
    problems: wp.array(dtype=wp.int32),
):
    """Set the cars' commands from actions in [-1, 1]; see `ActionSpace.command`.

    Args:
        fleet: The cars.
        actions: Steering and speed, (n, 2).
        table: Lower and upper limits of steering [rad] and speed [m/s], (2, 2).
        is_varied: 1 if the cars have drawn differences, else 0.
        problems: The first number counts actions that are not finite; they are taken as 0.
    """
    i = wp.tid()
    held = wp.vec2d(_F(0.0), _F(0.0))
    for k in range(2):
        unit = _F(actions[i, k])
        if not wp.isfinite(unit):
            wp.atomic_add(problems, 0, 1)
            unit = _F(0.0)
        share = wp.min(wp.max(unit, _F(-1.0)), _F(1.0))
        low = table[0, k]
        held[k] = low + (share + _F(1.0)) * _F(0.5) * (table[1, k] - low)
    _hold_command(fleet, i, held[0], held[1], is_varied)


@wp.kernel
def take_discrete_actions(
    fleet: CarArrays,
    actions: wp.array(dtype=wp.int64),
    table: wp.array2d(dtype=_F),
    is_varied: int,
    problems: wp.array(dtype=wp.int32),
):
    """Set the cars' commands from indices of choices; see `ActionSpace.command`.

    Args:
        fleet: The cars.
        actions: The indices, (n,).
        table: Steering [rad] and speed [m/s] of each choice, (choices, 2).
        is_varied: 1 if the cars have drawn differences, else 0.
        problems: The first number counts indices out of range; they are taken as 0.
    """
    i = wp.tid()
    k = int(actions[i])
    if k < 0 or k >= table.shape[0]:
        wp.atomic_add(problems, 0, 1)
        k = 0
    _hold_command(fleet, i, table[k, 0], table[k, 1], is_varied)


def action_table(actions: ActionSpace, device: Any) -> Any:
    """Return the commands that actions stand for, on a device.

    Args:
        actions: The action space.
        device: The Warp device.

    Returns:
        Steering [rad] and speed [m/s]: of each choice of a discrete space, else the lower and the
        upper limits, (k, 2) float64.
    """
    if actions.kind == "discrete":
        commands = actions.command(np.arange(len(actions.choices)))
    else:
        commands = actions.command(np.array([[-1.0, -1.0], [1.0, 1.0]]))
    return wp.array(commands, dtype=_F, device=device)

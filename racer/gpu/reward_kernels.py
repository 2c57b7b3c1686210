# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false
"""What a reward gets of each car on a device, and the kernel that pays by a native reward.

`tell_params` follows `racer.reward.params`; its arrays have the rows of `ParamArrays`.
"""

import math
from typing import Any

import warp as wp

from racer.gpu.native_reward import NativeReward
from racer.gpu.rule_kernels import REACH_M, RaceRecords
from racer.gpu.runtime import EXACT_OPTIONS
from racer.gpu.start_kernels import CarArrays
from racer.gpu.track_kernels import LineTables, place_near, python_modulo
from racer.race.config import CRASHED

wp.set_module_options(EXACT_OPTIONS)
_F = wp.float64
_DEGREES = wp.constant(_F(180.0 / math.pi))


@wp.struct
class DeviceParams:
    """`ParamArrays` on a device, with the waypoints of each line one after another.

    Line l has `way_count[l]` waypoints from column `way_first[l]` of `points` on.
    """

    points: wp.array2d(dtype=_F)
    way_first: wp.array(dtype=wp.int32)
    way_count: wp.array(dtype=wp.int32)
    floats: wp.array2d(dtype=_F)
    ints: wp.array2d(dtype=wp.int64)
    bools: wp.array2d(dtype=wp.bool)
    on_road: wp.array(dtype=wp.int32)
    objects: wp.array3d(dtype=_F)
    is_left: wp.array2d(dtype=wp.bool)


@wp.struct
class ConstantTables:
    """The constants of a reward file, `NativeReward.tables`."""

    floats: wp.array(dtype=_F)
    ints: wp.array(dtype=wp.int64)
    bools: wp.array(dtype=wp.bool)


@wp.kernel
def tell_params(
    fleet: CarArrays,
    records: RaceRecords,
    lines: LineTables,
    body: wp.array2d(dtype=_F),
    yaw: wp.array(dtype=_F),
    offset: _F,
    params: DeviceParams,
):
    """Fill in what the reward gets of each car; see `ParamsBuilder.arrays`.

    Args:
        fleet: The cars.
        records: What the rules know of them after the step.
        lines: The lines.
        body: Body rows, (n, 13).
        yaw: Headings [rad], (n,).
        offset: Distance from the centre of mass to the front [m].
        params: The arrays that are filled.
    """
    i = wp.tid()
    line = records.line[i]
    x = body[i, 0] + offset * wp.cos(yaw[i])
    y = body[i, 1] + offset * wp.sin(yaw[i])
    front = place_near(lines, line, x, y, records.segment[i], REACH_M)
    floats = params.floats
    floats[0, i] = x
    floats[1, i] = y
    floats[2, i] = python_modulo(yaw[i] * _DEGREES + _F(180.0), _F(360.0)) - _F(180.0)
    floats[3, i] = wp.abs(front.d)
    floats[4, i] = front.s
    floats[5, i] = records.progress[i]
    floats[6, i] = fleet.command[i, 1]
    floats[7, i] = fleet.command[i, 0] * _DEGREES
    floats[8, i] = lines.width[lines.first[line] + front.segment]
    floats[9, i] = lines.length[line]
    floats[10, i] = records.time[i]
    ints = params.ints
    ints[0, i] = wp.int64(records.steps[i])
    ints[1, i] = wp.int64(front.segment)
    ints[2, i] = wp.int64(front.segment + 1)
    bools = params.bools
    bools[0, i] = records.wheels_on_road[i] == 4
    bools[1, i] = front.d > _F(0.0)
    bools[2, i] = line % 2 == 1
    bools[3, i] = records.wheels_on_road[i] == 0
    bools[4, i] = records.fault[i] == CRASHED


def pay_kernel(native: NativeReward) -> Any:
    """Return the kernel of a reward, `pay_cars`: one thread for each car.

    A thread pays the rows `i x steps` to `i x steps + steps - 1` of the params, one after another:
    one row for each car in a race, and the steps of a case in the proof.

    Args:
        native: The reward.
    """

    @wp.func_native(native.snippet)
    def pay_car(
        k: int,
        car: int,
        place: int,
        first: int,
        count_of_points: int,
        memory: wp.array2d(dtype=_F),
        rewards: wp.array(dtype=_F),
        status: wp.array(dtype=wp.int32),
        longest: wp.array(dtype=wp.int32),
        points: wp.array2d(dtype=_F),
        floats: wp.array2d(dtype=_F),
        ints: wp.array2d(dtype=wp.int64),
        bools: wp.array2d(dtype=wp.bool),
        on_road: wp.array(dtype=wp.int32),
        objects: wp.array3d(dtype=_F),
        is_left: wp.array2d(dtype=wp.bool),
        table_floats: wp.array(dtype=_F),
        table_ints: wp.array(dtype=wp.int64),
        table_bools: wp.array(dtype=wp.bool),
    ): ...

    @wp.func
    def pay_one(
        k: int,
        car: int,
        line: int,
        memory: wp.array2d(dtype=_F),
        rewards: wp.array(dtype=_F),
        status: wp.array(dtype=wp.int32),
        longest: wp.array(dtype=wp.int32),
        params: DeviceParams,
        tables: ConstantTables,
    ):
        pay_car(
            k,
            car,
            k,
            params.way_first[line],
            params.way_count[line],
            memory,
            rewards,
            status,
            longest,
            params.points,
            params.floats,
            params.ints,
            params.bools,
            params.on_road,
            params.objects,
            params.is_left,
            tables.floats,
            tables.ints,
            tables.bools,
        )

    @wp.kernel(module="unique", module_options=EXACT_OPTIONS)
    def pay_cars(
        steps: int,
        line: wp.array(dtype=wp.int32),
        memory: wp.array2d(dtype=_F),
        rewards: wp.array(dtype=_F),
        status: wp.array(dtype=wp.int32),
        longest: wp.array(dtype=wp.int32),
        params: DeviceParams,
        tables: ConstantTables,
        problems: wp.array(dtype=wp.int32),
    ):
        i = wp.tid()
        for step in range(steps):
            k = i * steps + step
            pay_one(k, i, line[i], memory, rewards, status, longest, params, tables)
            if status[k] != 0:
                wp.atomic_add(problems, 1, 1)
                problems[2] = status[k]

    return pay_cars

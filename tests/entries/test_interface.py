"""What a manifest says of a policy's numbers is what the environment makes of them."""

from typing import Any

import numpy as np
import pytest

from racer.assets.document import validate_document
from racer.car.action_space import ActionSpace
from racer.entries.interface import interface_of
from racer.envs import EnvConfig, RacerEnv
from racer.sensors.state_sensor import LOOKAHEAD_DISTANCES_M, STATE_MEANINGS

SENSORS = [
    "camera",
    {"kind": "camera", "colour": "rgb", "stack": 4},
    "left_camera",
    "stereo",
    "lidar",
    "sector_lidar",
    "discretized_sector_lidar",
    "state",
]


def words(sensor: Any = "state", actions: Any = "continuous"):
    config = validate_document({"sensor": sensor, "actions": actions}, EnvConfig, "test")
    return config, interface_of(config.sensor, config.actions)


def test_an_input_is_told_with_the_type_and_shape_of_its_observation(subtests):
    for sensor in SENSORS:
        with subtests.test(sensor=sensor):
            config, told = words(sensor)
            space = config.sensor[0].space
            shape = ", ".join(map(str, (1, *space.shape)))
            assert told.inputs["observation"].startswith(f"{space.dtype} ({shape}): ")


def test_several_inputs_are_told_by_the_names_of_their_sensors():
    _, told = words(["lidar", "camera"])
    assert list(told.inputs) == ["lidar", "camera"]
    assert told.inputs["lidar"].startswith("float32")
    assert told.inputs["camera"].startswith("uint8")


def test_the_ends_of_continuous_actions_are_those_that_the_car_is_given():
    actions = ActionSpace(steering_deg=(-25.0, 20.0), speed=(0.8, 3.5))
    _, told = words(actions=actions)
    for end, side in ((-1, "right"), (1, "left")):
        steering, speed = actions.command(np.full((1, 2), end))[0]
        assert (steering > 0) == (side == "left")
        degrees = f"{abs(np.rad2deg(steering)):.0f} deg {side}"
        assert f"{end} is {degrees} and {speed:g} m/s" in told.output["action"]


def test_each_choice_is_told_by_its_index():
    actions = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (0.0, 2.0), (15.0, 1.5)))
    told = words(actions=actions)[1].output["action"]
    assert told.endswith(
        "0: 20 deg right and 1 m/s; 1: 0 deg and 2 m/s; 2: 15 deg left and 1.5 m/s"
    )


def test_each_number_of_the_state_is_told_and_some_are_measured():
    """From rest with full lock to the left, on a track's straight."""
    env = RacerEnv(track="oval", sensor="state", reward=None, race={"start": "line"})
    env.reset(seed=0)
    seen, _, _, _, info = env.step(np.array([1.0, 0.0], np.float32))
    place, state = env.vector.race.place, env.vector.world.state
    at = {meaning: float(value) for meaning, value in zip(STATE_MEANINGS, seen, strict=True)}
    half = 0.5 * env.vector.tracks[0].width[place.segment[0]]
    assert np.hypot(
        at["forward velocity / 4 m/s"], at["leftward velocity / 4 m/s"]
    ) * 4 == pytest.approx(info["speed"], rel=1e-5)
    assert at["yaw rate / 5 rad/s, positive to the left"] > 0
    assert at["angle of the front wheels / steering limit, positive to the left"] > 0
    assert at["commanded steering / steering limit"] == pytest.approx(1.0)
    assert at["commanded speed / 4 m/s"] * 4 == pytest.approx(2.25)
    left = at["distance left of the centre line / half the road's width"]
    assert left * half == pytest.approx(float(place.d[0]), rel=1e-5)
    assert at["half the road's width / 1 m"] == pytest.approx(float(half), rel=1e-6)
    reached = np.array(
        [
            at[f"the centre line's point {distance:g} m ahead: forward of the car / 4 m"] * 4
            for distance in LOOKAHEAD_DISTANCES_M[:3]
        ]
    )
    assert reached == pytest.approx(np.array(LOOKAHEAD_DISTANCES_M[:3]), abs=0.05), (
        f"yaw {state.yaw[0]}"
    )
    env.close()

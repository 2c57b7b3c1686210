"""What the sensors see and what the actions are, as pictures."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from racer.assets.document import validate_document
from racer.car.action_space import ActionSpace
from racer.sensors.config import CameraConfig, LidarConfig, StereoConfig
from racer.studio.action_fan import action_fan
from racer.studio.sensor_view import SensorView, camera_frame, sensor_pictures
from racer.training.config import RunConfig


@pytest.mark.needs("pybullet")
def test_every_sensor_has_a_picture_that_changes_as_the_car_drives():
    sensors = ["camera", "lidar", "sector_lidar", "state"]
    config = validate_document({"sensor": sensors, "race": {"walls": True}}, RunConfig, "test")
    view = SensorView(config)
    first = view.pictures()
    view.drive(30)
    second = view.pictures()
    view.close()
    assert list(first) == list(second) == sensors
    assert first["camera"].startswith("<img src=")
    for name in ("lidar", "sector_lidar", "state"):
        ElementTree.fromstring(first[name])
    assert all(first[name] != second[name] for name in ("camera", "lidar", "state"))


def test_the_newest_frame_of_a_stack_is_shown_and_a_pair_side_by_side():
    seen = np.arange(8 * 8 * 4, dtype=np.uint8).reshape(8, 8, 4)
    shown = np.asarray(camera_frame(CameraConfig(width=8, height=8, stack=4), seen))
    assert np.array_equal(shown, seen[..., 3])
    pair = np.asarray(camera_frame(StereoConfig(width=8, height=8, stack=2), seen))
    assert np.array_equal(pair, np.hstack([seen[..., 2], seen[..., 3]]))
    colour = CameraConfig(width=8, height=8, colour="rgb")
    assert np.array_equal(np.asarray(camera_frame(colour, seen[..., :3])), seen[..., :3])


def test_a_beam_to_the_left_is_drawn_to_the_left():
    lidar = LidarConfig(beams=2, span_deg=180.0, yaw_deg=0.0)  # to the right, and to the left
    picture = sensor_pictures([lidar], np.array([0.5, 1.0]))["lidar"]
    right, left = re.findall(r"L([\d.]+) [\d.]+", picture)
    assert (float(right), float(left)) == (147.5, 5.0)


def test_a_fan_has_a_ray_for_each_choice_and_left_is_left():
    space = ActionSpace(kind="discrete", choices=((30.0, 1.0), (-30.0, 2.0)))
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', action_fan(space))
    (left, near), (right, far) = ((float(x), float(y)) for x, y in dots)
    assert left < 160.0 < right
    assert far < near
    assert action_fan(ActionSpace()).count("<polygon") == 1

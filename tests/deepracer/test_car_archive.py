"""What a car's loader takes, and what it cannot."""

import pytest

from racer.assets.document import validate_document
from racer.car.action_space import ActionSpace
from racer.deepracer.car_archive import car_inputs, car_metadata, write_car_archive
from racer.envs import EnvConfig
from racer.errors import ConfigError

NETWORK = "main_level/agent/main/online/network_0"


def sensors(*chosen):
    return validate_document({"sensor": list(chosen)}, EnvConfig, "test").sensor


def test_inputs_have_the_names_and_shapes_that_the_car_s_optimizer_asks_for():
    small = {"kind": "camera", "width": 80, "height": 60}
    assert car_inputs(sensors(small, "lidar")) == {
        "camera": (f"{NETWORK}/FRONT_FACING_CAMERA/FRONT_FACING_CAMERA", (120, 160, 1)),
        "lidar": (f"{NETWORK}/LIDAR/LIDAR", (64,)),
    }
    assert car_inputs(sensors("stereo", "sector_lidar")) == {
        "stereo": (f"{NETWORK}/STEREO_CAMERAS/STEREO_CAMERAS", (120, 160, 2)),
        "sector_lidar": (f"{NETWORK}/SECTOR_LIDAR/SECTOR_LIDAR", (8,)),
    }
    assert car_inputs(sensors("left_camera")) == {
        "left_camera": (f"{NETWORK}/LEFT_CAMERA/LEFT_CAMERA", (120, 160, 1)),
    }


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (["state"], "sees state: train one with `sensor: camera`"),
        (["lidar"], "sees lidar: train one with `sensor: camera`"),
        (["camera", "state"], "has no sensor state"),
        (["camera", "left_camera"], "one kind of camera"),
        (["camera", "discretized_sector_lidar"], "has no sensor discretized_sector_lidar"),
        ([{"kind": "camera", "stack": 2}], "train one with `stack: 1`"),
        ([{"kind": "camera", "colour": "rgb"}], "`colour: grey`"),
        ([{"kind": "camera", "width": 100, "height": 60}], "train one with 160x120, 80x60"),
        ([{"kind": "camera", "width": 320, "height": 240}], "train one with 160x120, 80x60"),
        (["camera", {"kind": "lidar", "yaw_deg": 0}], "mounted backwards"),
    ],
)
def test_what_the_car_cannot_show_a_policy_is_refused_with_what_to_do(chosen, words):
    with pytest.raises(ConfigError, match=words):
        car_inputs(sensors(*chosen))


def test_actions_that_the_car_would_divide_by_zero_or_exceed_are_refused():
    seen = sensors("camera")
    for fields in (
        {"steering_deg": (-30, 20)},
        {"steering_deg": (-30, 0)},
        {"speed": (1, 1)},
        {"kind": "discrete", "choices": ((0, 1), (0, 2))},
    ):
        with pytest.raises(ConfigError, match="the car divides"):
            car_metadata(ActionSpace.model_validate(fields), seen)
    tree = car_metadata(ActionSpace(steering_deg=(-20, 20), speed=(0.5, 2)), seen)
    assert tree["action_space"] == {
        "steering_angle": {"high": 20, "low": -20},
        "speed": {"high": 2, "low": 0.5},
    }


def test_the_lidar_s_figures_are_those_that_the_policy_was_trained_with():
    lidar = car_metadata(ActionSpace(), sensors("camera", "lidar"))["lidar_config"]
    assert lidar == {
        "num_values": 64,
        "min_angle": -150.0,
        "max_angle": 150.0,
        "min_distance": 0.15,
        "max_distance": 1.0,
        "clipping_distance": 1.0,
        "num_sectors": 64,
    }
    sectors = car_metadata(ActionSpace(), sensors("camera", "sector_lidar"))["lidar_config"]
    assert (sectors["max_distance"], sectors["num_sectors"]) == (0.5, 8)


def test_an_archive_has_the_suffix_that_the_car_takes(tmp_path):
    with pytest.raises(ConfigError, match=r"name it car.zip.tar.gz"):
        write_car_archive(tmp_path / "car.zip", b"", {})

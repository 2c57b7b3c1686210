"""The sensors: each declares its observation space and fills its array for n cars."""

from racer.sensors.config import (
    CameraConfig,
    DiscretizedSectorLidarConfig,
    LeftCameraConfig,
    LidarConfig,
    SectorLidarConfig,
    SensorConfig,
    Sensors,
    StateConfig,
    StereoConfig,
)
from racer.sensors.sensor_input import Sensor, SensorInput, empty_road_input
from racer.sensors.sensor_suite import (
    Observations,
    SensorSuite,
    copy_observations,
    make_sensor,
    make_sensors,
    observation_of_car,
)

__all__ = [
    "CameraConfig",
    "DiscretizedSectorLidarConfig",
    "LeftCameraConfig",
    "LidarConfig",
    "Observations",
    "SectorLidarConfig",
    "Sensor",
    "SensorConfig",
    "SensorInput",
    "SensorSuite",
    "Sensors",
    "StateConfig",
    "StereoConfig",
    "copy_observations",
    "empty_road_input",
    "make_sensor",
    "make_sensors",
    "observation_of_car",
]

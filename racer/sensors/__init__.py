"""What a car perceives: each sensor declares its space and fills its array for n cars."""

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
from racer.sensors.sensor_input import Sensor, Surroundings, empty_road
from racer.sensors.sensor_suite import (
    Observations,
    Suite,
    copied,
    make_sensor,
    make_sensors,
    of_car,
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
    "Sensors",
    "StateConfig",
    "StereoConfig",
    "Suite",
    "Surroundings",
    "copied",
    "empty_road",
    "make_sensor",
    "make_sensors",
    "of_car",
]

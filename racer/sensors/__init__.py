"""What a car perceives: each sensor declares its space and fills its array for n cars."""

from racer.sensors.config import CameraConfig, SensorConfig

__all__ = ["CameraConfig", "SensorConfig"]

"""New folders to begin in: a car to train, and a season for a class."""

from racer.project.car_project import write_car_project
from racer.project.class_project import write_class_project

__all__ = ["write_car_project", "write_class_project"]

"""The reward params of a race that was recorded by the evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from racer.car.spec import car_named
from racer.evaluation import LapResult
from racer.race import Ending, OtherCars
from racer.reward import ParamsBuilder, StepFacts
from racer.track import Track
from racer.world.car_state import yaw_of


def params_of_race(
    result: LapResult, track: Track, car: str, is_reversed: bool
) -> list[dict[str, Any]]:
    """Return the params of each control step of a recorded race.

    Args:
        result: The race.
        track: The track in the direction that was driven.
        car: Name of the car's preset.
        is_reversed: Whether that direction is against the track's own.
    """
    body = result.body
    facts = StepFacts(
        xy=body[:, :2],
        yaw=yaw_of(body),
        command=result.command,
        segment=track.locate(body[:, :2]).segment,
        progress=result.progress,
        steps=np.arange(1, len(body) + 1),
        all_wheels_on_track=result.wheels_on_road == 4,
        is_offtrack=result.wheels_on_road == 0,
        is_crashed=result.fault == Ending.CRASHED,
        time=result.time,
        objects=_objects(result, track),
    )
    return ParamsBuilder(track, car_named(car), is_reversed).build_all(facts)


def _objects(result: LapResult, track: Track) -> OtherCars | None:
    """Return the boxes or bots of the race; their speed is not recorded and 0 here."""
    boxes = result.boxes
    if not boxes.shape[1]:
        return None
    there = track.locate(boxes[..., :2].reshape(-1, 2))
    shape = boxes.shape[:2]
    yaw = yaw_of(boxes.reshape(-1, 10)).reshape(shape)
    pose = np.concatenate([boxes[..., :2], yaw[..., None]], axis=2)
    return OtherCars(there.s.reshape(shape), there.d.reshape(shape), pose, np.zeros(shape))

"""What a policy looked at, found by hiding parts of what it saw; this needs nothing but answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

import numpy as np

from racer.explain.policy_output import INPUT_BATCH, ExplainedPolicy, answer_in_batches, distance
from racer.sensors import SensorConfig
from racer.sensors.config import (
    CameraConfig,
    DiscretizedSectorLidarConfig,
    LeftCameraConfig,
    LidarConfig,
    SectorLidarConfig,
    StateConfig,
    StereoConfig,
)
from racer.sensors.state_sensor import STATE_MEANINGS

OCCLUSION_WINDOWS = 8
"""An occluding window has a side of the frame's over this."""
RISE_MASKS = 400
"""Random masks of RISE."""
RISE_CELLS = 8
"""Cells of a mask along each side of a frame."""
RISE_SHARE = 0.5
"""Share of the cells that a mask keeps."""


class Moment(NamedTuple):
    """One moment of a lap, whose observation is perturbed."""

    observation: dict[str, np.ndarray]
    """Observation of each sensor, without a leading axis."""
    hidden_state: np.ndarray
    """What the policy remembered, (size,)."""
    reading: np.ndarray
    """What the policy answered: steering and speed in shares of their ranges, (2,)."""


def is_picture(
    sensor: SensorConfig,
) -> TypeGuard[CameraConfig | LeftCameraConfig | StereoConfig]:
    """Return whether a sensor is a camera, or two."""
    return len(sensor.space.shape) == 3


def changed_by(
    policy: ExplainedPolicy, moment: Moment, name: str, changed: np.ndarray
) -> np.ndarray:
    """Return how far a policy's answers move if one sensor shows something else, (n,).

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the sensor's input.
        changed: What the sensor shows instead, (n, ...).

    Returns:
        Distances in shares of the ranges of steering and speed.
    """
    inputs = {
        other: changed if other == name else np.broadcast_to(seen, (len(changed), *seen.shape))
        for other, seen in moment.observation.items()
    }
    found = answer_in_batches(policy, inputs, moment.hidden_state)
    return distance(found, moment.reading)


def occlusion_windows(height: int, width: int) -> list[tuple[slice, slice]]:
    """Return the rows and columns of windows that cover a frame and overlap by half.

    Args:
        height: Rows of the frame.
        width: Columns of the frame.
    """

    def spans(size: int) -> list[slice]:
        side = max(size // OCCLUSION_WINDOWS, 2)
        starts = np.arange(-(side // 2), size - side // 2, max(side // 2, 1))
        return [slice(max(int(first), 0), min(int(first) + side, size)) for first in starts]

    return [(rows, columns) for rows in spans(height) for columns in spans(width)]


def occlusion_map(
    policy: ExplainedPolicy, moment: Moment, name: str, reference: np.ndarray
) -> np.ndarray:
    """Return how far the answer moves where a window of the frame is replaced, (H, W) >= 0.

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the camera's input.
        reference: What a window shows instead, (H, W, C).

    Returns:
        The mean over the windows that cover each pixel, in shares of the ranges.
    """
    frame = moment.observation[name]
    windows = occlusion_windows(*frame.shape[:2])
    total, count = np.zeros(frame.shape[:2]), np.zeros(frame.shape[:2])
    for first in range(0, len(windows), INPUT_BATCH):
        batch = windows[first : first + INPUT_BATCH]
        changed = np.repeat(frame[None], len(batch), axis=0)
        for k, window in enumerate(batch):
            changed[k][window] = reference[window]
        for window, moved in zip(batch, changed_by(policy, moment, name, changed)):
            total[window] += moved
            count[window] += 1.0
    return total / count


def rise_masks(height: int, width: int, seed: int) -> np.ndarray:
    """Return smooth random masks, (RISE_MASKS, H, W) float32 in 0 to 1: 1 keeps a pixel.

    Each is a grid of cells that are kept or not, enlarged bilinearly and shifted by up to a cell,
    as RISE (Petsiuk et al. 2018) makes them.

    Args:
        height: Rows of a frame.
        width: Columns of a frame.
        seed: Seed of the masks.
    """
    from scipy.ndimage import map_coordinates

    generator = np.random.default_rng(seed)
    masks = np.empty((RISE_MASKS, height, width), dtype=np.float32)
    for mask in masks:
        cells = (generator.random((RISE_CELLS + 1,) * 2) < RISE_SHARE).astype(np.float32)
        down, across = generator.random(2)
        rows = down + np.arange(height) * (RISE_CELLS - 1) / height
        columns = across + np.arange(width) * (RISE_CELLS - 1) / width
        mask[:] = map_coordinates(cells, np.meshgrid(rows, columns, indexing="ij"), order=1)
    return masks


def rise_map(
    policy: ExplainedPolicy,
    moment: Moment,
    name: str,
    reference: np.ndarray,
    masks: np.ndarray,
) -> np.ndarray:
    """Return how much keeping a pixel keeps the answer, (H, W) >= 0.

    It is the slope of minus the distance over the mask's value there, by least squares over all
    masks; negative slopes, which say that other pixels matter, become 0.

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the camera's input.
        reference: What a pixel shows that is not kept, (H, W, C).
        masks: Masks of `rise_masks`.
    """
    frame, moved = moment.observation[name].astype(np.float32), []
    for first in range(0, len(masks), INPUT_BATCH):
        kept = masks[first : first + INPUT_BATCH, ..., None]
        changed = np.rint(kept * frame + (1.0 - kept) * reference).astype(np.uint8)
        moved.append(changed_by(policy, moment, name, changed))
    nearness = -np.concatenate(moved)
    nearness -= nearness.mean()
    off = masks - masks.mean(axis=0)
    slope = np.tensordot(nearness, off, axes=1) / np.maximum(np.square(off).sum(axis=0), 1e-9)
    return np.maximum(slope, 0.0)


class NumberGroup(NamedTuple):
    """Numbers of an observation that belong together, with a name for people."""

    name: str
    indices: np.ndarray


def number_groups(sensor: SensorConfig) -> list[NumberGroup]:
    """Return the beams, sectors or numbers of a sensor that is no camera, with their names.

    A group has the same number of every frame of a stack.

    Args:
        sensor: The sensor.
    """
    names = _number_names(sensor)
    size = sensor.space.shape[0] // sensor.stack
    each = size // len(names)
    frames = np.arange(sensor.stack)[:, None] * size
    return [
        NumberGroup(name, (frames + np.arange(k * each, (k + 1) * each)).ravel())
        for k, name in enumerate(names)
    ]


def _number_names(sensor: SensorConfig) -> list[str]:
    if isinstance(sensor, StateConfig):
        return [_short_meaning(meaning) for meaning in STATE_MEANINGS]
    assert isinstance(sensor, LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig)
    half = sensor.span_deg / 2
    angles = sensor.yaw_deg + np.linspace(-half, half, sensor.beams)
    if isinstance(sensor, LidarConfig):
        return [_direction(angle) for angle in angles]
    parts = angles.reshape(sensor.sectors, -1)
    return [f"sector {k + 1}, {_direction(part.mean())}" for k, part in enumerate(parts)]


def beam_angles_deg(sensor: SensorConfig) -> np.ndarray:
    """Return the direction of each beam, or of each sector's middle, to the left of ahead [deg]."""
    assert isinstance(sensor, LidarConfig | SectorLidarConfig | DiscretizedSectorLidarConfig)
    half = sensor.span_deg / 2
    angles = sensor.yaw_deg + np.linspace(-half, half, sensor.beams)
    if isinstance(sensor, LidarConfig):
        return angles
    return angles.reshape(sensor.sectors, -1).mean(axis=1)


def _direction(angle_deg: float) -> str:
    """Return a direction to the left of ahead [deg] in words."""
    turned = (angle_deg + 180.0) % 360.0 - 180.0
    if abs(turned) < 0.5:
        return "ahead"
    return f"{abs(turned):.0f} deg {'left' if turned > 0 else 'right'}"


def _short_meaning(meaning: str) -> str:
    """Return the meaning of a number of the state sensor without its unit, and shorter."""
    text = meaning.partition(" / ")[0]
    return text.replace("the centre line's point ", "centre line ").replace(" of the car", "")


def number_bars(
    policy: ExplainedPolicy,
    moment: Moment,
    name: str,
    reference: np.ndarray,
    groups: Sequence[NumberGroup],
) -> np.ndarray:
    """Return how far the answer moves where each group of numbers is replaced, (groups,) >= 0.

    Args:
        policy: The policy.
        moment: The moment.
        name: Name of the sensor's input.
        reference: What the numbers are instead, (k,).
        groups: The groups.
    """
    changed = np.repeat(moment.observation[name][None], len(groups), axis=0)
    for row, group in zip(changed, groups):
        row[group.indices] = reference[group.indices]
    return changed_by(policy, moment, name, changed)

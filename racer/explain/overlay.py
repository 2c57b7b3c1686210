"""Pictures of what a policy looked at: a camera's frame with its map, bars, and a lidar's fan."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from racer.explain.attribution import beam_angles_deg, is_picture, number_groups
from racer.explain.explanation import LapExplanation, SensorExplanation
from racer.sensors import SensorConfig
from racer.sensors.config import StateConfig

PANEL_PAPER, PANEL_INK, PANEL_SOFT = (16, 20, 26), (216, 220, 226), (130, 140, 152)
MAP_LOW, MAP_HIGH = np.array([255.0, 214.0, 64.0]), np.array([255.0, 48.0, 36.0])
"""Colours of a map where it is low and high."""
MAP_OPACITY = 0.8
"""Opacity of a map where it is high."""
MAP_PERCENTILE = 99.5
"""Importance above this percentile has the colour of the highest."""
STRIP_WIDTH_PX, STRIP_MOMENTS, STRIP_BARS = 960, 6, 8
"""Width of a strip, and the moments or bars that it shows."""


def newest_frame(sensor: SensorConfig, observation: np.ndarray) -> np.ndarray:
    """Return the newest frame of a camera's observation in colour, (H, W, 3) uint8.

    Of a stereo pair it is the left camera's.

    Args:
        sensor: The camera.
        observation: Its observation, (H, W, channels x stack).
    """
    count = observation.shape[2] // sensor.stack
    frame = observation[..., -count:]
    return frame if count == 3 else np.repeat(frame[..., :1], 3, axis=2)


def map_scale(maps: Sequence[np.ndarray]) -> float:
    """Return the importance that is drawn in the highest colour, the same for a whole lap."""
    return max(float(np.percentile(np.stack(maps), MAP_PERCENTILE)), 1e-12) if len(maps) else 1.0


def overlaid(frame: np.ndarray, importance: np.ndarray, scale: float) -> np.ndarray:
    """Return a frame with its map over it, (H, W, 3) uint8.

    Args:
        frame: The frame, (H, W, 3) uint8.
        importance: The map, (H, W) >= 0.
        scale: Importance of the highest colour.
    """
    share = np.clip(importance / scale, 0.0, 1.0)[..., None]
    paint = MAP_LOW + (MAP_HIGH - MAP_LOW) * share
    opacity = MAP_OPACITY * share
    return np.rint(frame * (1.0 - opacity) + paint * opacity).astype(np.uint8)


@lru_cache(maxsize=16)
def panel_font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font for letters of a height [pixels]."""
    font = ImageFont.load_default(max(size, 9))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def draw_bars(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    names: Sequence[str],
    shares: Sequence[float],
    notes: Sequence[str],
) -> None:
    """Draw a bar for each name, with a note at its end.

    Args:
        pen: Draws on the picture.
        box: Left, top, right and bottom of the bars [pixels].
        names: The names.
        shares: Length of each bar, 0 to 1.
        notes: What is written behind each bar.
    """
    left, top, right, bottom = box
    row = (bottom - top) / max(len(names), 1)
    font = panel_font(round(min(0.72 * row, 15)))
    name_px = max((font.getlength(name) for name in names), default=0.0) + 10
    note_px = max((font.getlength(note) for note in notes), default=0.0) + 10
    room = max(right - left - name_px - note_px, 20)
    for k, (name, share, note) in enumerate(zip(names, shares, notes)):
        middle = top + (k + 0.5) * row
        pen.text((left, middle), name, font=font, fill=PANEL_INK, anchor="lm")
        end = left + name_px + room * min(max(share, 0.0), 1.0)
        colour = tuple(np.rint(MAP_LOW + (MAP_HIGH - MAP_LOW) * min(share, 1.0)).astype(int))
        edges = (left + name_px, middle - 0.32 * row, max(end, left + name_px + 1))
        pen.rectangle((*edges, middle + 0.32 * row), fill=colour)
        pen.text((end + 6, middle), note, font=font, fill=PANEL_SOFT, anchor="lm")


def draw_fan(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    sensor: SensorConfig,
    ranges: np.ndarray,
    shares: np.ndarray,
) -> None:
    """Draw a lidar's beams from above, ahead being up, coloured by their importance.

    Args:
        pen: Draws on the picture.
        box: Left, top, right and bottom [pixels].
        sensor: The lidar.
        ranges: Length of each beam or sector, 0 to 1.
        shares: Importance of each, 0 to 1.
    """
    left, top, right, bottom = box
    reach = min(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    angles = np.deg2rad(beam_angles_deg(sensor))
    pen.ellipse((x - reach, y - reach, x + reach, y + reach), outline=(43, 49, 59))
    for k in np.argsort(shares).tolist():
        ahead, left_of = float(np.cos(angles[k])), float(np.sin(angles[k]))
        length = reach * float(ranges[k])
        end = x - length * left_of, y - length * ahead
        share = min(max(float(shares[k]), 0.0), 1.0)
        paint = np.array(PANEL_SOFT) * 0.6
        paint = paint + (MAP_LOW + (MAP_HIGH - MAP_LOW) * share - paint) * np.sqrt(share)
        pen.line((x, y, *end), fill=tuple(np.rint(paint).astype(int)), width=1 + round(3 * share))
    pen.polygon([(x, y - 8), (x - 5, y + 6), (x + 5, y + 6)], fill=PANEL_INK)


def beam_lengths(sensor: SensorConfig, observation: np.ndarray) -> np.ndarray:
    """Return the length of each beam or sector of the newest scan, 0 to 1.

    A sector that sees something near is short; one that sees nothing is long.

    Args:
        sensor: The lidar.
        observation: Its observation, (k,).
    """
    groups = number_groups(sensor)
    newest = observation[len(observation) // sensor.stack * (sensor.stack - 1) :]
    each = newest.reshape(len(groups), -1)
    if each.shape[1] > 1:
        return (each.argmax(axis=1) + 1.0) / each.shape[1]
    top = float(sensor.space.high[0])
    return each[:, 0] / top if sensor.kind == "lidar" else 1.0 - 0.6 * each[:, 0]


def is_fan(sensor: SensorConfig) -> bool:
    """Return whether a sensor is drawn as a fan of beams."""
    return not is_picture(sensor) and not isinstance(sensor, StateConfig)


def explanation_strip(explanation: LapExplanation) -> bytes:
    """Return a small PNG of a lap: what the policy looked at at some moments, or as bars."""
    rows = [_sensor_strip(explanation, one) for one in explanation.sensors]
    whole = Image.new("RGB", (STRIP_WIDTH_PX, sum(row.height for row in rows)), PANEL_PAPER)
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    written = io.BytesIO()
    whole.quantize(200, dither=Image.Dither.NONE).save(written, format="PNG", optimize=True)
    return written.getvalue()


def _sensor_strip(explanation: LapExplanation, one: SensorExplanation) -> Image.Image:
    """Return the row of a strip that is about one sensor."""
    if not is_picture(one.sensor):
        return _bars_strip(one)
    lap, count = explanation.lap, min(STRIP_MOMENTS, len(one.steps))
    chosen = np.linspace(0, len(one.steps) - 1, count).astype(int).tolist()
    wide, scale = STRIP_WIDTH_PX // count, map_scale(one.maps)
    height, width = one.maps[0].shape
    high = round(wide * height / width)
    row = Image.new("RGB", (STRIP_WIDTH_PX, high + 22), PANEL_PAPER)
    pen = ImageDraw.Draw(row)
    for place, k in enumerate(chosen):
        step = int(one.steps[k])
        frame = newest_frame(one.sensor, lap.observations[one.name][step])
        shown = Image.fromarray(overlaid(frame, one.maps[k], scale))
        row.paste(shown.resize((wide - 4, high), Image.Resampling.BICUBIC), (place * wide + 2, 0))
        where = place * wide + wide / 2, high + 11
        text = f"{lap.time[step]:.1f} s"
        pen.text(where, text, font=panel_font(14), fill=PANEL_INK, anchor="mm")
    return row


def _bars_strip(one: SensorExplanation) -> Image.Image:
    """Return the row of a strip with the most important numbers of a sensor."""
    shown = one.parts[:STRIP_BARS]
    row = Image.new("RGB", (STRIP_WIDTH_PX, 24 * len(shown) + 12), PANEL_PAPER)
    top = max((weight for _, weight, _ in shown), default=0.0) or 1.0
    draw_bars(
        ImageDraw.Draw(row),
        (12, 6, STRIP_WIDTH_PX - 12, row.height - 6),
        [name for name, _, _ in shown],
        [weight / top for _, weight, _ in shown],
        [f"{weight:.0%}" for _, weight, _ in shown],
    )
    return row

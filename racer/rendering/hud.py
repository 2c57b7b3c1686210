"""What is written over a picture of a race: the clock, the map, the standing, names, notices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from racer.rendering.canvas import blend_over
from racer.rendering.car_model import Colour
from racer.track import Track

INK, DIM, PAPER = (255, 255, 255, 255), (196, 204, 212, 255), (12, 16, 22, 160)
GOOD, BAD = (28, 110, 66, 225), (178, 58, 20, 225)
SLOW, FAST = np.array([70, 120, 255]), np.array([255, 84, 50])
EDGE, PAD, ROUND = 20, 16, 12
"""Margins of the picture and of a card, and a card's round corners, at a height of 720 pixels."""
LARGE, MEDIUM, SMALL = 46, 26, 21
"""Heights of letters, at a height of 720 pixels."""
MIN_FONT_PX = 9
"""No letter is smaller than this [pixels]."""
MAX_NAME_LETTERS = 18
"""Longer names end in three dots."""
SUPERSAMPLING_FACTOR = 4
"""Round things are drawn this many times as large, then averaged."""
NAME_TAG_RANGE_M = 12.0
"""A car further away than this [m] has no name tag."""


class HudScale(NamedTuple):
    """How large everything is drawn; 1 at a height of 720 pixels."""

    value: float

    def px(self, size: float) -> int:
        """A size in pixels."""
        return max(round(size * self.value), 1)

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """Letters of a height."""
        return _font(max(round(size * self.value), MIN_FONT_PX))

    def line(self, size: int) -> int:
        """From one line of them to the next [pixels]."""
        return round(1.3 * max(size * self.value, MIN_FONT_PX))


class MapDot(NamedTuple):
    """A car on the map."""

    xy: np.ndarray
    colour: Colour
    is_waiting: bool


class NameTag(NamedTuple):
    """A name over a car."""

    pixel: np.ndarray
    depth: float
    words: str
    colour: Colour


class StandingLine(NamedTuple):
    """A line of the standing."""

    place: int
    name: str
    colour: Colour
    note: str
    is_followed: bool


class HudNotice(NamedTuple):
    """What has happened to the car, in large letters and in small ones."""

    words: str
    more: str = ""
    is_good: bool = False


@dataclass(frozen=True)
class HudContent:
    """What is written on a picture.

    Attributes:
        name: Whose car is followed.
        colour: That car's colour.
        time: Race time, penalties included [s].
        lap: Number of the lap, from 1.
        laps: Laps in all.
        lap_time: Time in this lap [s].
        best: The fastest lap so far [s], or None.
        speed: [m/s].
        way: How many legs of the line that the overlay draws have been driven.
        dots: The cars on the map, the followed one last.
        tags: Names over the cars.
        standing: The race's standing; empty where one car races.
        notice: What has just happened, or None.
        camera: The car's own picture, (H, W, C) uint8, or None: colour where C is 3, else its
            first plane.
    """

    name: str
    colour: Colour
    time: float
    lap: int
    laps: int
    lap_time: float
    best: float | None
    speed: float
    way: int = 0
    dots: tuple[MapDot, ...] = ()
    tags: tuple[NameTag, ...] = ()
    standing: tuple[StandingLine, ...] = ()
    notice: HudNotice | None = None
    camera: np.ndarray | None = None


class HudOverlay:
    """Writes over pictures of one size; all it writes grows with them.

    Args:
        track: What the map shows.
        width: Columns of a picture.
        height: Rows of a picture.
        legs: The line that the followed car drives, leg by leg [m], (T, 2, 2).
        speeds: Speed on each leg [m/s], (T,).
    """

    def __init__(
        self, track: Track, width: int, height: int, legs: np.ndarray, speeds: np.ndarray
    ) -> None:
        self._width, self._height = width, height
        self._at = HudScale(min(height / 720, width / 1080))
        self._legs, self._speeds = legs, speeds
        self._top = max(float(speeds.max(initial=0.0)), 0.1)
        corners = np.vstack([track.left, track.right])
        self._low, span = corners.min(axis=0), np.ptp(corners, axis=0)
        margin = self._at.px(PAD)
        self._metre = (self._at.px(300) - 2 * margin) / float(max(span[0], 1.4 * span[1]))
        wide, high = (int(one * self._metre) + 2 * margin for one in span)
        self._map = np.array(_card(wide, high, self._at.px(ROUND), PAPER))
        self._way, self._drawn = Image.fromarray(self._map), 0
        self._draw_borders(track)
        self._road = self._way.copy()

    def write(self, picture: np.ndarray, hud: HudContent) -> None:
        """Write over a picture (height, width, 4) uint8."""
        for tag in sorted(hud.tags, key=lambda tag: -tag.depth):
            self._tag(picture, tag)
        self._clock(picture, hud)
        self._speed(picture, hud)
        below = self._show_map(picture, hud)
        if hud.standing:
            self._stand(picture, hud, below)
        if hud.camera is not None:
            self._inset(picture, hud.camera)
        if hud.notice is not None:
            self._announce(picture, hud.notice)

    def _clock(self, picture: np.ndarray, hud: HudContent) -> None:
        lines = [(f"{hud.time:.2f} s", LARGE, INK)]
        if hud.laps > 1:
            lines.append((f"lap {hud.lap} of {hud.laps}    {hud.lap_time:.2f} s", SMALL, DIM))
        if hud.best is not None and hud.laps > 1:
            lines.append((f"best {hud.best:.2f} s", SMALL, DIM))
        high = sum(self._at.line(size) for _, size, _ in lines) + self._at.line(SMALL)
        high += 2 * self._at.px(PAD)
        card = _card(self._at.px(300), high, self._at.px(ROUND), PAPER).copy()
        pen, x, y = ImageDraw.Draw(card), self._at.px(PAD), self._at.px(PAD)
        dot, name = _dot(self._at.px(16), hud.colour, False), self._at.font(SMALL)
        card.alpha_composite(dot, (x, y + self._at.px(6)))
        pen.text((x + self._at.px(26), y), shortened_name(hud.name), font=name, fill=INK)
        y += self._at.line(SMALL)
        for words, size, ink in lines:
            pen.text((x, y), words, font=self._at.font(size), fill=ink)
            y += self._at.line(size)
        blend_over(np.asarray(card), (self._at.px(EDGE), self._at.px(EDGE)), picture)

    def _speed(self, picture: np.ndarray, hud: HudContent) -> None:
        wide, high = self._at.px(220), self._at.line(LARGE) + self._at.px(PAD)
        words, font = f"{hud.speed:.1f} m/s", self._at.font(LARGE)
        card = _plate(words, font, wide, high, self._at.px(ROUND), PAPER, INK)
        blend_over(card, (self._at.px(EDGE), self._height - self._at.px(EDGE) - high), picture)

    def _on_map(self, xy: np.ndarray) -> np.ndarray:
        x, y = ((xy - self._low) * self._metre + self._at.px(PAD)).T
        return np.stack([x, self._map.shape[0] - y], axis=-1)

    def _draw_borders(self, track: Track) -> None:
        """Both borders and the start line, smooth."""
        size = self._way.width * SUPERSAMPLING_FACTOR, self._way.height * SUPERSAMPLING_FACTOR
        lines = Image.new("RGBA", size, (235, 235, 235, 0))
        pen, width = (
            ImageDraw.Draw(lines),
            max(self._at.px(1.6 * SUPERSAMPLING_FACTOR), SUPERSAMPLING_FACTOR),
        )
        for ring in (track.left, track.right):
            closed = self._on_map(np.vstack([ring, ring[:1]])) * SUPERSAMPLING_FACTOR
            pen.line(closed.ravel().tolist(), fill=(235, 235, 235, 210), width=width)
        start = self._on_map(np.stack([track.left[0], track.right[0]])) * SUPERSAMPLING_FACTOR
        pen.line(start.ravel().tolist(), fill=(255, 255, 255, 255), width=2 * width)
        self._way.alpha_composite(lines.reduce(SUPERSAMPLING_FACTOR))

    def _show_map(self, picture: np.ndarray, hud: HudContent) -> int:
        """Draw the map with the line so far and the cars; the row under it."""
        if hud.way < self._drawn:
            self._way, self._drawn = self._road.copy(), 0
        pen, width = ImageDraw.Draw(self._way), max(self._at.px(3.0), 1)
        for leg in range(self._drawn, hud.way):
            share = float(self._speeds[leg]) / self._top
            colour = (SLOW + (FAST - SLOW) * share).astype(int).tolist()
            ends = self._on_map(self._legs[leg]).ravel().tolist()
            pen.line(ends, fill=(*colour, 255), width=width)
        self._drawn = hud.way
        left, top = self._width - self._map.shape[1] - self._at.px(EDGE), self._at.px(EDGE)
        blend_over(np.asarray(self._way), (left, top), picture)
        for number, dot in enumerate(hud.dots, 1):
            side = self._at.px(18 if number == len(hud.dots) else 14)
            x, y = self._on_map(dot.xy[None])[0]
            corner = round(left + x - side / 2), round(top + y - side / 2)
            blend_over(np.asarray(_dot(side, dot.colour, dot.is_waiting)), corner, picture)
        return top + self._map.shape[0]

    def _stand(self, picture: np.ndarray, hud: HudContent, below: int) -> None:
        wide, line = self._at.px(300), self._at.line(SMALL)
        top = below + self._at.px(PAD) // 2
        taken = self._at.px(240) if hud.camera is not None else 0
        fits = max((self._height - taken - top - 2 * self._at.px(PAD)) // line, 1)
        lines = hud.standing[:fits]
        if not any(one.is_followed for one in lines):
            lines = (*lines[:-1], *(one for one in hud.standing if one.is_followed))
        card = _standing(lines, wide, self._at)
        blend_over(card, (self._width - wide - self._at.px(EDGE), top), picture)

    def _inset(self, picture: np.ndarray, camera: np.ndarray) -> None:
        """The car's own picture in the lower right corner, in a thin frame."""
        high = self._at.px(200)
        wide = round(high * camera.shape[1] / camera.shape[0])
        rgb = camera if camera.shape[2] == 3 else np.repeat(camera[..., :1], 3, axis=2)
        shown = np.asarray(Image.fromarray(rgb).resize((wide, high), Image.Resampling.BILINEAR))
        edge, rim = self._at.px(EDGE), self._at.px(2)
        bottom, right = self._height - edge, self._width - edge
        picture[bottom - high - rim : bottom + rim, right - wide - rim : right + rim] = 235
        picture[bottom - high : bottom, right - wide : right, :3] = shown

    def _tag(self, picture: np.ndarray, tag: NameTag) -> None:
        x, y = tag.pixel
        if not (
            0.2 < tag.depth < NAME_TAG_RANGE_M and 0 <= x < self._width and 0 <= y < self._height
        ):
            return
        font = self._at.font(SMALL)
        wide = round(font.getlength(tag.words)) + self._at.px(PAD)
        high, pointer = self._at.line(SMALL) + self._at.px(4), self._at.px(5)
        plate = _plate(tag.words, font, wide, high, self._at.px(6), PAPER, INK)
        left, top = round(x - wide / 2), round(y - high - pointer)
        blend_over(plate, (left, top), picture)
        first, last = max(left, 0), min(left + wide, self._width)
        bar = slice(max(top + high, 0), max(top + high + self._at.px(3), 0))
        picture[bar, first:last, :3] = tag.colour

    def _announce(self, picture: np.ndarray, notice: HudNotice) -> None:
        card = _banner(notice, self._at)
        left = (self._width - card.shape[1]) // 2
        blend_over(card, (left, self._at.px(EDGE)), picture)


def shortened_name(name: str) -> str:
    """A name that fits a card."""
    return name if len(name) <= MAX_NAME_LETTERS else name[: MAX_NAME_LETTERS - 3] + "..."


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@lru_cache(maxsize=64)
def _card(wide: int, high: int, radius: int, fill: tuple[int, ...]) -> Image.Image:
    """An empty card with round corners."""
    card = Image.new(
        "RGBA", (wide * SUPERSAMPLING_FACTOR, high * SUPERSAMPLING_FACTOR), (*fill[:3], 0)
    )
    box = (0, 0, wide * SUPERSAMPLING_FACTOR - 1, high * SUPERSAMPLING_FACTOR - 1)
    ImageDraw.Draw(card).rounded_rectangle(box, radius * SUPERSAMPLING_FACTOR, fill=fill)
    return card.reduce(SUPERSAMPLING_FACTOR)


@lru_cache(maxsize=256)
def _plate(
    words: str,
    font: ImageFont.FreeTypeFont,
    wide: int,
    high: int,
    radius: int,
    fill: tuple[int, ...],
    ink: tuple[int, ...],
) -> np.ndarray:
    """A card with words in its middle."""
    card = _card(wide, high, radius, fill).copy()
    ImageDraw.Draw(card).text((wide / 2, high / 2), words, font=font, fill=ink, anchor="mm")
    return np.asarray(card)


@lru_cache(maxsize=256)
def _dot(side: int, colour: Colour, is_hollow: bool) -> Image.Image:
    """A round mark with a white rim; only the rim where it is hollow."""
    dot = Image.new(
        "RGBA", (side * SUPERSAMPLING_FACTOR, side * SUPERSAMPLING_FACTOR), (255, 255, 255, 0)
    )
    pen, rim = ImageDraw.Draw(dot), max(side * SUPERSAMPLING_FACTOR // 8, 1)
    box = (0, 0, side * SUPERSAMPLING_FACTOR - 1, side * SUPERSAMPLING_FACTOR - 1)
    fill = (12, 16, 22, 255) if is_hollow else (*colour, 255)
    outline = (*colour, 255) if is_hollow else (255, 255, 255, 255)
    pen.ellipse(box, fill=fill, outline=outline, width=2 * rim if is_hollow else rim)
    return dot.reduce(SUPERSAMPLING_FACTOR)


@lru_cache(maxsize=8)
def _standing(lines: tuple[StandingLine, ...], wide: int, at: HudScale) -> np.ndarray:
    """The standing on a card."""
    line = at.line(SMALL)
    high = len(lines) * line + at.px(PAD)
    card = _card(wide, high, at.px(ROUND), PAPER).copy()
    pen, font, y = ImageDraw.Draw(card), at.font(SMALL), at.px(PAD) // 2
    for place, name, colour, note, is_followed in lines:
        ink, x = INK if is_followed else DIM, at.px(PAD)
        pen.text((x, y), str(place), font=font, fill=ink)
        card.alpha_composite(_dot(at.px(15), colour, False), (x + line, y + line // 4))
        room = wide - 3 * x - 2 * line - (font.getlength(note) if note else 0)
        words = shortened_name(name)
        while words and font.getlength(words) > room:
            words = words[:-4] + "..." if len(words) > 4 else ""
        pen.text((x + 2 * line, y), words, font=font, fill=ink)
        if note:
            pen.text((wide - x, y), note, font=font, fill=INK, anchor="ra")
        y += line
    return np.asarray(card)


@lru_cache(maxsize=4)
def _banner(notice: HudNotice, at: HudScale) -> np.ndarray:
    """A notice on a card."""
    large, small = at.font(LARGE), at.font(MEDIUM)
    wide = round(max(large.getlength(notice.words), small.getlength(notice.more)))
    wide += 4 * at.px(PAD)
    high = at.line(LARGE) + (at.line(MEDIUM) if notice.more else 0) + at.px(PAD)
    card = _card(wide, high, at.px(ROUND), GOOD if notice.is_good else BAD).copy()
    pen, y = ImageDraw.Draw(card), at.px(PAD) // 2
    pen.text((wide / 2, y), notice.words, font=large, fill=INK, anchor="ma")
    if notice.more:
        y += at.line(LARGE)
        pen.text((wide / 2, y), notice.more, font=small, fill=INK, anchor="ma")
    return np.asarray(card)

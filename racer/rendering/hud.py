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
"""Longer names are cut and end in three dots."""
SUPERSAMPLING_FACTOR = 4
"""Round shapes are drawn this many times as large and then averaged."""
NAME_TAG_RANGE_M = 12.0
"""Distance beyond which a car has no name tag [m]."""


class HudScale(NamedTuple):
    """Scale of everything that is drawn; 1 at a height of 720 pixels."""

    value: float

    def px(self, size: float) -> int:
        """Return a size in pixels."""
        return max(round(size * self.value), 1)

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """Return the font for letters of a height."""
        return _font(max(round(size * self.value), MIN_FONT_PX))

    def line(self, size: int) -> int:
        """Return the distance between two lines of such letters [pixels]."""
        return round(1.3 * max(size * self.value, MIN_FONT_PX))


class MapDot(NamedTuple):
    """A car on the map."""

    xy: np.ndarray
    """Position [m], (2,)."""
    colour: Colour
    is_waiting: bool
    """Whether it waits out a penalty; its dot is hollow then."""


class NameTag(NamedTuple):
    """A name over a car."""

    pixel: np.ndarray
    """Column and row of the tag's lower middle, (2,)."""
    depth: float
    """Distance along the camera's axis [m]."""
    words: str
    colour: Colour


class RankingLine(NamedTuple):
    """A line of the race's ranking."""

    place: int
    name: str
    colour: Colour
    note: str
    """Final time, "out", or a penalty; may be empty."""
    is_followed: bool


class HudNotice(NamedTuple):
    """A large message about the car, with a smaller second line."""

    words: str
    more: str = ""
    is_good: bool = False


@dataclass(frozen=True)
class HudContent:
    """Content of the overlay of one picture.

    Attributes:
        name: Name of the followed car.
        colour: That car's colour.
        time: Race time, including penalties [s].
        lap: Number of the current lap, from 1.
        laps: Laps of the race.
        lap_time: Time in this lap [s].
        best: The fastest lap so far [s], or None.
        speed: Speed [m/s].
        way: Number of legs of the overlay's line that have been driven.
        dots: The cars on the map, the followed one last.
        tags: Names over the cars.
        ranking: The ranking; empty if one car races alone.
        notice: Message about the car, or None.
        camera: The car's own camera frame, (H, W, C) uint8, or None. It is shown in colour if C
            is 3, else its first plane is shown.
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
    ranking: tuple[RankingLine, ...] = ()
    notice: HudNotice | None = None
    camera: np.ndarray | None = None


class HudOverlay:
    """Draws the head-up display over pictures of one size; its parts scale with the pictures.

    Args:
        track: Track of the map.
        width: Width of a picture [pixels].
        height: Height of a picture [pixels].
        legs: Start and end of each leg of the followed car's line [m], (T, 2, 2).
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
        wide, high = (int(side * self._metre) + 2 * margin for side in span)
        self._map = np.array(_card(wide, high, self._at.px(ROUND), PAPER))
        self._way, self._drawn = Image.fromarray(self._map), 0
        self._draw_borders(track)
        self._road = self._way.copy()

    def write(self, picture: np.ndarray, hud: HudContent) -> None:
        """Draw the overlay over a picture, (height, width, 4) uint8, in place."""
        for tag in sorted(hud.tags, key=lambda tag: -tag.depth):
            self._draw_tag(picture, tag)
        self._draw_clock(picture, hud)
        self._draw_speed(picture, hud)
        below = self._draw_map(picture, hud)
        if hud.ranking:
            self._draw_ranking(picture, hud, below)
        if hud.camera is not None:
            self._draw_inset(picture, hud.camera)
        if hud.notice is not None:
            self._draw_notice(picture, hud.notice)

    def _draw_clock(self, picture: np.ndarray, hud: HudContent) -> None:
        """Draw name, race time, lap and best lap in the upper left corner."""
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

    def _draw_speed(self, picture: np.ndarray, hud: HudContent) -> None:
        """Draw the speed in the lower left corner."""
        wide, high = self._at.px(220), self._at.line(LARGE) + self._at.px(PAD)
        words, font = f"{hud.speed:.1f} m/s", self._at.font(LARGE)
        card = _plate(words, font, wide, high, self._at.px(ROUND), PAPER, INK)
        blend_over(card, (self._at.px(EDGE), self._height - self._at.px(EDGE) - high), picture)

    def _on_map(self, xy: np.ndarray) -> np.ndarray:
        """Return the pixels on the map of positions (k, 2) [m]."""
        x, y = ((xy - self._low) * self._metre + self._at.px(PAD)).T
        return np.stack([x, self._map.shape[0] - y], axis=-1)

    def _draw_borders(self, track: Track) -> None:
        """Draw both borders and the start line on the map."""
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

    def _draw_map(self, picture: np.ndarray, hud: HudContent) -> int:
        """Draw the map with the line so far and the cars, and return the row below it."""
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

    def _draw_ranking(self, picture: np.ndarray, hud: HudContent, below: int) -> None:
        """Draw as many lines of the ranking as fit, always including the followed car's."""
        wide, line = self._at.px(300), self._at.line(SMALL)
        top = below + self._at.px(PAD) // 2
        taken = self._at.px(240) if hud.camera is not None else 0
        fits = max((self._height - taken - top - 2 * self._at.px(PAD)) // line, 1)
        lines = hud.ranking[:fits]
        if not any(entry.is_followed for entry in lines):
            lines = (*lines[:-1], *(entry for entry in hud.ranking if entry.is_followed))
        card = _ranking_card(lines, wide, self._at)
        blend_over(card, (self._width - wide - self._at.px(EDGE), top), picture)

    def _draw_inset(self, picture: np.ndarray, camera: np.ndarray) -> None:
        """Draw the car's own camera frame in the lower right corner, in a thin border."""
        high = self._at.px(200)
        wide = round(high * camera.shape[1] / camera.shape[0])
        rgb = camera if camera.shape[2] == 3 else np.repeat(camera[..., :1], 3, axis=2)
        shown = np.asarray(Image.fromarray(rgb).resize((wide, high), Image.Resampling.BILINEAR))
        edge, rim = self._at.px(EDGE), self._at.px(2)
        bottom, right = self._height - edge, self._width - edge
        picture[bottom - high - rim : bottom + rim, right - wide - rim : right + rim] = 235
        picture[bottom - high : bottom, right - wide : right, :3] = shown

    def _draw_tag(self, picture: np.ndarray, tag: NameTag) -> None:
        """Draw a name over a car, if the car is in view and near enough."""
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

    def _draw_notice(self, picture: np.ndarray, notice: HudNotice) -> None:
        """Draw the message at the middle of the upper edge."""
        card = _banner(notice, self._at)
        left = (self._width - card.shape[1]) // 2
        blend_over(card, (left, self._at.px(EDGE)), picture)


def shortened_name(name: str) -> str:
    """Return a name of at most `MAX_NAME_LETTERS` letters.

    Example:
        >>> shortened_name("the-fastest-car-of-all")
        'the-fastest-car...'
    """
    return name if len(name) <= MAX_NAME_LETTERS else name[: MAX_NAME_LETTERS - 3] + "..."


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@lru_cache(maxsize=64)
def _card(wide: int, high: int, radius: int, fill: tuple[int, ...]) -> Image.Image:
    """Return an empty card with round corners."""
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
    """Return a card with words in its middle."""
    card = _card(wide, high, radius, fill).copy()
    ImageDraw.Draw(card).text((wide / 2, high / 2), words, font=font, fill=ink, anchor="mm")
    return np.asarray(card)


@lru_cache(maxsize=256)
def _dot(side: int, colour: Colour, is_hollow: bool) -> Image.Image:
    """Return a disc with a white rim, or a ring in its colour if it is hollow."""
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
def _ranking_card(lines: tuple[RankingLine, ...], wide: int, at: HudScale) -> np.ndarray:
    """Return a card with the ranking."""
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
    """Return a card with a notice."""
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

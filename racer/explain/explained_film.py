"""The film of a lap beside what the policy looked at, and the distribution of its action."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from racer.explain.attribution import is_picture, number_groups
from racer.explain.explanation import LapExplanation, lap_moments, sensor_maps, sensor_words
from racer.explain.overlay import (
    PANEL_INK,
    PANEL_PAPER,
    PANEL_SOFT,
    beam_lengths,
    draw_bars,
    draw_fan,
    is_fan,
    map_scale,
    newest_frame,
    overlaid,
    panel_font,
)
from racer.explain.policy_output import ExplainedPolicy, command_ends, mean_command, probabilities
from racer.rendering.race_video import END_HOLD_S, GIF_RATE, RATE, RacePlayback, save_picture
from racer.rendering.video_format import refuse_suffix
from racer.rendering.video_writer import GifWriter, VideoWriter
from racer.sensors import SensorConfig

FILM_MAP_STEPS = 3
"""Control steps from one map of a film to the next; 0.2 s."""
MAX_FILM_MAPS = 100
"""Maps of a film; of a longer lap they are further apart."""
PANEL_SHARE = 0.5
"""Width of the panel as a share of the chase view's."""
PANEL_BARS = 8
ACTION_COLOURS = ((240, 160, 32), (76, 195, 255))
"""Steering and speed."""

Progress = Callable[[int, int], None]
"""Called with the number of pictures done and of all pictures."""


def write_explained_film(
    path: Path,
    explanation: LapExplanation,
    policy: ExplainedPolicy,
    size: tuple[int, int],
    on_progress: Progress | None = None,
) -> None:
    """Write a lap as an mp4 or a GIF, or a still of it as a PNG, according to the file's suffix.

    On the left drives the car; on the right is what the policy looked at, from a map that is made
    anew every `FILM_MAP_STEPS` control steps, and below it the distribution of its action.

    Args:
        path: The file to write.
        explanation: The explanation of the lap.
        policy: The policy, which answers the perturbed observations.
        size: Width and height of the chase view [pixels], both even; the panel is added on the
            right.
        on_progress: Called after each picture.

    Raises:
        ConfigError: The suffix is not one of `VIDEO_SUFFIXES`.
        RacerError: The file cannot be written.
    """
    refuse_suffix(path)
    lap = explanation.lap
    play = RacePlayback(lap.track, [lap.result], lap.rules, [explanation.policy], size=size)
    wide = 2 * round(PANEL_SHARE * size[0] / 2)
    panel = ExplainedPanel(explanation, policy, (wide, size[1]))
    whole = np.zeros((size[1], size[0] + wide, 4), dtype=np.uint8)

    def draw(time: float, since: float | None) -> np.ndarray:
        whole[:, : size[0]] = play.picture(time, since)
        whole[:, size[0] :, :3] = panel.picture(time)
        return whole

    form = path.suffix.lower()
    if form == ".png":
        save_picture(draw(play.still_time(), None), path)
        return
    rate = GIF_RATE if form == ".gif" else RATE
    end = min(play.end, float(lap.time[-1]) + 1.0 / RATE)
    times = (np.arange(int(np.ceil(end * rate - 1e-9))) / rate).tolist()
    with (GifWriter if form == ".gif" else VideoWriter)(
        path, (whole.shape[1], whole.shape[0]), rate
    ) as video:
        for done, time in enumerate(times, 1):
            video.add(draw(time, 1.0 / rate))
            if on_progress:
                on_progress(done, len(times))
        for _ in range(round(END_HOLD_S * rate)):
            video.repeat()


class ExplainedPanel:
    """Draws what a policy looked at, and the distribution of its action, at any race time.

    Args:
        explanation: The explanation of the lap.
        policy: The policy, which answers the perturbed observations of further moments.
        size: Width and height of a picture [pixels].
    """

    def __init__(
        self, explanation: LapExplanation, policy: ExplainedPolicy, size: tuple[int, int]
    ) -> None:
        self._explained, self._lap, self._size = explanation, explanation.lap, size
        apart = max(FILM_MAP_STEPS, -(-self._lap.steps // MAX_FILM_MAPS))
        self._steps = np.arange(0, self._lap.steps, apart)
        moments = lap_moments(policy, self._lap, self._steps)
        self._maps = [
            sensor_maps(
                policy, self._lap, one.sensor, moments, explanation.method, explanation.seed
            )
            for one in explanation.sensors
        ]
        self._scales = [map_scale(maps) for maps in self._maps]
        self._pad = max(size[1] // 48, 6)
        self._text_px = max(size[1] // 32, 11)
        self._traces_top = round(0.64 * size[1])
        self._back = Image.new("RGB", size, PANEL_PAPER)
        self._traces = ActionTraces(explanation, policy, self._traces_box)
        self._traces.draw_lap(ImageDraw.Draw(self._back))

    @property
    def _traces_box(self) -> tuple[int, int, int, int]:
        wide, high = self._size
        return self._pad, self._traces_top, wide - self._pad, high - self._pad

    def picture(self, time: float) -> np.ndarray:
        """Return the picture at a race time [s], (height, width, 3) uint8."""
        step = max(int(np.searchsorted(self._lap.time, time, side="right")) - 1, 0)
        shown = max(int(np.searchsorted(self._steps, step, side="right")) - 1, 0)
        whole = self._back.copy()
        pen = ImageDraw.Draw(whole)
        top, count = self._pad, len(self._explained.sensors)
        each = (self._traces_top - self._pad) // count
        for number in range(count):
            box = self._pad, top, self._size[0] - self._pad, top + each - self._pad
            self._draw_sensor(whole, pen, box, number, shown)
            top += each
        self._traces.draw_now(pen, step)
        return np.asarray(whole)

    def _draw_sensor(
        self,
        whole: Image.Image,
        pen: ImageDraw.ImageDraw,
        box: tuple[int, int, int, int],
        number: int,
        shown: int,
    ) -> None:
        """Draw what the policy looked at through one sensor.

        Args:
            whole: The picture.
            pen: Draws on it.
            box: Left, top, right and bottom [pixels].
            number: Index of the sensor.
            shown: Index of the map.
        """
        left, top, right, bottom = box
        one, importance = self._explained.sensors[number], self._maps[number][shown]
        words = f"{sensor_words(one.sensor)}: what it looked at"
        note = "it ignores this" if one.is_ignored else f"map {one.proof.short_verdict}"
        font = panel_font(self._text_px)
        pen.text((left, top), words, font=font, fill=PANEL_INK)
        pen.text((right, top), note, font=font, fill=PANEL_SOFT, anchor="ra")
        top += round(1.5 * self._text_px)
        seen = self._lap.observations[one.name][self._steps[shown]]
        if is_picture(one.sensor):
            frame = overlaid(newest_frame(one.sensor, seen), importance, self._scales[number])
            scale = min((right - left) / frame.shape[1], (bottom - top) / frame.shape[0])
            size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
            picture = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
            whole.paste(picture, (left + (right - left - size[0]) // 2, top))
            return
        self._draw_numbers(pen, (left, top, right, bottom), one.sensor, seen, importance, number)

    def _draw_numbers(
        self,
        pen: ImageDraw.ImageDraw,
        box: tuple[int, int, int, int],
        sensor: SensorConfig,
        seen: np.ndarray,
        importance: np.ndarray,
        number: int,
    ) -> None:
        """Draw a lidar's fan, or the bars of the numbers that count most over the lap.

        Args:
            pen: Draws on the picture.
            box: Left, top, right and bottom [pixels].
            sensor: The sensor.
            seen: Its observation, (k,).
            importance: The importance of each number, (k,).
            number: Index of the sensor.
        """
        groups, scale = number_groups(sensor), self._scales[number]
        shares = np.array([importance[group.indices[0]] for group in groups]) / scale
        if is_fan(sensor):
            draw_fan(pen, box, sensor, beam_lengths(sensor, seen), np.clip(shares, 0.0, 1.0))
            return
        names = [name for name, _, _ in self._explained.sensors[number].parts[:PANEL_BARS]]
        places = [next(k for k, group in enumerate(groups) if group.name == name) for name in names]
        values = [f"{seen[groups[k].indices[-1]]:+.2f}" for k in places]
        draw_bars(pen, box, names, [float(shares[k]) for k in places], values)


class ActionTraces:
    """Draws the distribution of a policy's action over a lap.

    Of a discrete policy it is the probability of each choice; of a continuous one steering and
    speed with their standard deviations, where they are known.

    Args:
        explanation: The explanation of the lap.
        policy: The policy.
        box: Left, top, right and bottom [pixels].
    """

    def __init__(
        self,
        explanation: LapExplanation,
        policy: ExplainedPolicy,
        box: tuple[int, int, int, int],
    ) -> None:
        self._lap, self._actions = explanation.lap, policy.actions
        self._is_discrete = policy.actions.kind == "discrete"
        self._has_scores = explanation.has_scores
        self._box, self._font = box, panel_font(max((box[3] - box[1]) // 14, 11))
        words_px = round(self._font.getlength("-30 deg 4.0 m/s")) + 8
        self._name_px = min(words_px, (box[2] - box[0]) // 2)
        output = explanation.lap.output
        if self._is_discrete:
            self._shares = probabilities(output.scores)
        low, high = command_ends(policy.actions)
        self._low, self._span = low, np.where(high > low, high - low, 1.0)
        command = (mean_command(output, policy.actions) - low) / self._span
        self._command = np.clip(command, 0.0, 1.0)
        self._deviation = output.deviation / 2.0

    def draw_lap(self, pen: ImageDraw.ImageDraw) -> None:
        """Draw what is the same in every picture: the whole lap."""
        left, top = self._box[:2]
        title = "its action"
        if self._is_discrete:
            title = "probability of each choice" if self._has_scores else "the choice"
        elif self._deviation.any():
            title = "its action: mean and standard deviation"
        pen.text((left, top), title, font=self._font, fill=PANEL_INK)
        if self._is_discrete:
            self._draw_choices(pen)
        else:
            for row in range(2):
                self._draw_trace(pen, row)

    def draw_now(self, pen: ImageDraw.ImageDraw, step: int) -> None:
        """Draw the cursor at a step of the lap."""
        x = self._x(step)
        pen.line((x, self._top, x, self._box[3]), fill=PANEL_INK, width=2)

    @property
    def _top(self) -> int:
        return self._box[1] + round(1.5 * self._font.size)

    def _x(self, step: float) -> float:
        """Return the column of a step [pixels]."""
        left, right = self._box[0] + self._name_px, self._box[2]
        return left + (right - left) * step / max(self._lap.steps - 1, 1)

    def _draw_choices(self, pen: ImageDraw.ImageDraw) -> None:
        """Draw a row for each choice, lighter where it is more probable."""
        count, bottom = len(self._actions.choices), self._box[3]
        high = (bottom - self._top) / count
        for row, (steering, speed) in enumerate(self._actions.choices):
            y = self._top + row * high
            if high >= 9:
                words = f"{steering:+.0f} deg {speed:.1f} m/s"
                where = (self._box[0], y + high / 2)
                font = panel_font(round(min(0.8 * high, self._font.size)))
                pen.text(where, words, font=font, fill=PANEL_SOFT, anchor="lm")
            for step in range(self._lap.steps):
                share = self._shares[step, row]
                paint = np.array(PANEL_PAPER) + share * (
                    np.array(ACTION_COLOURS[0]) - np.array(PANEL_PAPER)
                )
                edges = self._x(step - 0.5), y, self._x(step + 0.5), max(y + high - 1, y)
                pen.rectangle(edges, fill=tuple(np.rint(paint).astype(int)))

    def _draw_trace(self, pen: ImageDraw.ImageDraw, row: int) -> None:
        """Draw steering, or speed, over the lap."""
        half = (self._box[3] - self._top) / 2
        top, bottom = self._top + row * half + 3, self._top + (row + 1) * half - 3
        name, unit = (("steering", "deg"), ("speed", "m/s"))[row]
        turn = np.rad2deg if row == 0 else float
        ends = [float(turn(self._low[row] + share * self._span[row])) for share in (1.0, 0.0)]
        texts = f"{ends[0]:+.0f} {unit}" if row == 0 else f"{ends[0]:.1f} {unit}", name
        texts = (*texts, f"{ends[1]:+.0f} {unit}" if row == 0 else f"{ends[1]:.1f} {unit}")
        font = panel_font(round(min(0.25 * half, self._font.size)))
        for text, y in zip(texts, (top, (top + bottom) / 2, bottom)):
            anchor = {top: "la", bottom: "ld"}.get(y, "lm")
            pen.text((self._box[0], y), text, font=font, fill=PANEL_SOFT, anchor=anchor)
        pen.rectangle((self._x(0), top, self._box[2], bottom), outline=(43, 49, 59))
        columns = [self._x(step) for step in range(self._lap.steps)]
        middle, off = self._command[:, row], self._deviation[:, row]
        colour = ACTION_COLOURS[row]

        def rows(shares: np.ndarray) -> list[float]:
            return (bottom - np.clip(shares, 0.0, 1.0) * (bottom - top)).tolist()

        if off.any() and len(columns) > 1:
            edge = list(zip(columns, rows(middle + off)))
            edge += list(zip(columns, rows(middle - off)))[::-1]
            dim = tuple(round(0.35 * part + 0.65 * back) for part, back in zip(colour, PANEL_PAPER))
            pen.polygon(edge, fill=dim)
        pen.line(list(zip(columns, rows(middle))), fill=colour, width=2)

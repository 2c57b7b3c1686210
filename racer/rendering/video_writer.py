"""Writes pictures as an mp4 or an animated GIF."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

import numpy as np

from racer.errors import RacerError
from racer.rendering.canvas import to_yuv420p

FAST_X264_PARAMS = "cabac=1:no-deblock=0"
MP4_OPTIONS = (
    "-crf",
    "23",
    "-preset",
    "ultrafast",
    "-x264-params",
    FAST_X264_PARAMS,
    "-movflags",
    "+faststart",
)
"""x264's options; they take a third of the time of the preset `veryfast`, for twice the bytes."""
GIF_DRAFT_OPTIONS = ("-crf", "8", "-preset", "ultrafast")
"""Options of the temporary mp4 from which a GIF is made; it must lose little."""
GIF_PALETTE_FILTER = "palettegen=stats_mode=full"
GIF_DITHER_FILTER = "paletteuse=dither=bayer:bayer_scale=4:diff_mode=rectangle"


class VideoWriter:
    """Writes an mp4 (H.264) atomically: the file appears when it is complete.

    Use it in a `with` statement.

    Args:
        path: The file to write.
        size: Width and height of the pictures [pixels], both even.
        fps: Pictures per second.

    Raises:
        RacerError: If the file cannot be written.
    """

    options = MP4_OPTIONS

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        import imageio_ffmpeg

        self._path = path
        self._planes = np.zeros((size[1] * 3 // 2, size[0]), dtype=np.uint8)
        self._part = path.with_name(f".{path.name}.part.mp4")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
        except OSError as problem:
            raise RacerError(f"{path}: the video cannot be written: {problem}") from problem
        self._sink = imageio_ffmpeg.write_frames(
            str(self._part),
            size,
            pix_fmt_in="yuv420p",
            fps=fps,  # pyright: ignore[reportArgumentType]
            codec="libx264",
            quality=None,  # pyright: ignore[reportArgumentType]
            macro_block_size=2,
            output_params=list(self.options),
            ffmpeg_log_level="error",
        )
        self._sink.send(None)

    def add(self, frame: np.ndarray) -> None:
        """Append a picture, (height, width, 4) uint8: red, green, blue and an unused byte."""
        to_yuv420p(np.ascontiguousarray(frame).view(np.uint32)[..., 0], self._planes)
        self.repeat()

    def repeat(self) -> None:
        """Append the last picture once more."""
        try:
            self._sink.send(self._planes)
        except (OSError, subprocess.SubprocessError) as problem:
            raise RacerError(f"{self._path}: the video cannot be written: {problem}") from problem

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sink.close()
        try:
            if kind is None:
                self._publish()
        finally:
            self._part.unlink(missing_ok=True)

    def _publish(self) -> None:
        self._part.replace(self._path)


class GifWriter(VideoWriter):
    """Writes an animated GIF with a palette made from its own pictures; else as `VideoWriter`."""

    options = GIF_DRAFT_OPTIONS

    def _publish(self) -> None:
        palette = self._path.with_name(f".{self._path.name}.png")
        whole = self._path.with_name(f".{self._path.name}.gif")
        try:
            self._ffmpeg("-vf", GIF_PALETTE_FILTER, str(palette))
            self._ffmpeg("-i", str(palette), "-lavfi", GIF_DITHER_FILTER, "-loop", "0", str(whole))
            whole.replace(self._path)
        finally:
            palette.unlink(missing_ok=True)
            whole.unlink(missing_ok=True)

    def _ffmpeg(self, *words: str) -> None:
        """Run ffmpeg on the temporary mp4 with further arguments."""
        from imageio_ffmpeg import get_ffmpeg_exe

        command = [get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(self._part), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RacerError(f"{self._path}: the GIF cannot be written: {done.stderr.strip()}")

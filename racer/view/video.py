"""Frames to an mp4."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

import numpy as np

from racer.errors import RacerError


class VideoWriter:
    """An mp4 (H.264) that appears under its name once it is whole; use it in a `with`.

    Args:
        path: The file to write.
        size: Width and height of the frames [pixels], both even.
        fps: Frames a second.

    Raises:
        RacerError: The file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int) -> None:
        import imageio_ffmpeg

        self._path = path
        self._part = path.with_name(f".{path.name}.part.mp4")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
        except OSError as problem:
            raise RacerError(f"{path}: the video cannot be written: {problem}") from problem
        self._sink = imageio_ffmpeg.write_frames(
            str(self._part),
            size,
            fps=fps,
            codec="libx264",
            quality=None,  # pyright: ignore[reportArgumentType]
            macro_block_size=2,
            output_params=["-crf", "23", "-preset", "veryfast", "-movflags", "+faststart"],
            ffmpeg_log_level="error",
        )
        self._sink.send(None)

    def add(self, frame: np.ndarray) -> None:
        """Append a frame, (height, width, 3) uint8."""
        try:
            self._sink.send(np.ascontiguousarray(frame))
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
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

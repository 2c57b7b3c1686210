"""What a notebook shows of an object: a table, a video. IPython is not needed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from markupsafe import Markup

from racer.assets.templates import SHARED_TEMPLATES, render_template

MIME_TYPES = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}


def has_widgets() -> bool:
    """Return whether a notebook can show rich's progress bars."""
    return find_spec("ipywidgets") is not None


def html_card(title: str, rows: Mapping[str, Any], picture: Markup | str = "") -> str:
    """Return HTML: a title, a table of two columns, and a picture beside it.

    Text takes its colour from the page, light or dark.

    Args:
        title: Printed above the table.
        rows: Values of the second column, by the names in the first.
        picture: An SVG picture; a plain string is escaped, as everything else is.
    """
    return render_template(SHARED_TEMPLATES, "card.html", title=title, rows=rows, picture=picture)


@dataclass(frozen=True, repr=False)
class Video:
    """A video, or a still picture, that a notebook shows as a cell's value.

    Attributes:
        content: The file's bytes.
        suffix: Ending of the file's name: .mp4, .gif or .png.
        path: Path of the file; None if it was not saved.
    """

    content: bytes
    suffix: str = ".mp4"
    path: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Video:
        """Return the video in a file.

        Raises:
            OSError: The file cannot be read.
        """
        return cls(path.read_bytes(), path.suffix.lower(), path)

    def save(self, path: Path | str) -> Path:
        """Write the video to a file, whose name should end with `suffix`, and return its path."""
        Path(path).write_bytes(self.content)
        return Path(path)

    def __repr__(self) -> str:
        where = f" {self.path}" if self.path else ""
        return f"<Video{where}: {self.suffix}, {len(self.content) / 1000:,.0f} kB>"

    def _repr_html_(self) -> str:
        mime, data = MIME_TYPES[self.suffix], b64encode(self.content).decode()
        return render_template(
            SHARED_TEMPLATES,
            "video.html",
            is_still=mime.startswith("image/"),
            label=repr(self),
            source=f"data:{mime};base64,{data}",
        )

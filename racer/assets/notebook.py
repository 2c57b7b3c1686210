"""What a notebook shows of an object: a table, a film. No IPython is needed for it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LABEL_STYLE = "color: inherit; text-align: left; opacity: .7; padding: 0 1.2em 0 0"
VALUE_STYLE = "color: inherit; text-align: left; padding: 0"
PICTURE_STYLE = "flex: 1; max-width: 360px; font: 22px system-ui, sans-serif"
MIME_TYPES = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}


def has_widgets() -> bool:
    """Whether a notebook here can show rich's progress bars."""
    return find_spec("ipywidgets") is not None


def html_card(title: str, rows: Mapping[str, Any], picture: str = "") -> str:
    """Return HTML: a title, a table of two columns, and an SVG picture beside it.

    It takes its ink from the page around it, light or dark. Everything but the picture is escaped.
    """
    cells = "".join(
        f'<tr style="background: none"><td style="{LABEL_STYLE}">{escape(str(name))}</td>'
        f'<td style="{VALUE_STYLE}">{escape(str(value))}</td></tr>'
        for name, value in rows.items()
    )
    drawn = f'<div style="{PICTURE_STYLE}">{picture}</div>' if picture else ""
    return (
        '<div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: center">'
        f"<div><b>{escape(title)}</b><table>{cells}</table></div>{drawn}</div>"
    )


@dataclass(frozen=True, repr=False)
class Video:
    """A film, or a still of it, that a notebook plays as a cell's value.

    Attributes:
        content: The file's bytes.
        suffix: Its form: .mp4, .gif or .png.
        path: Where the file is; None where it is only here.
    """

    content: bytes
    suffix: str = ".mp4"
    path: Path | None = None

    @classmethod
    def read(cls, path: Path) -> Video:
        """The video in a file.

        Raises:
            OSError: It cannot be read.
        """
        return cls(path.read_bytes(), path.suffix.lower(), path)

    def save(self, path: Path | str) -> Path:
        """Write it to a file, whose name should end with `suffix`."""
        Path(path).write_bytes(self.content)
        return Path(path)

    def __repr__(self) -> str:
        where = f" {self.path}" if self.path else ""
        return f"<Video{where}: {self.suffix}, {len(self.content) / 1000:,.0f} kB>"

    def _repr_html_(self) -> str:
        mime, data = MIME_TYPES[self.suffix], b64encode(self.content).decode()
        source = f'src="data:{mime};base64,{data}" style="max-width: 100%"'
        if mime.startswith("image/"):
            return f'<img alt="{escape(repr(self), quote=True)}" {source}>'
        return f"<video controls loop muted playsinline {source}></video>"

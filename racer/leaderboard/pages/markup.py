"""What all pages of the board have in common: templates, security policy, and safe JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from racer.assets.templates import render_template

FILES = Path(__file__).parent / "files"
TEMPLATES = Path(__file__).parent / "templates"
GENERATOR = "racer board"
"""Content of the `generator` meta element of each page."""
MARK = f'<meta name="generator" content="{GENERATOR}">'
"""Text by which the board's pages are recognised."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Content security policy: only files of the site are loaded, and no inline script or style."""


def embedded(value: Any) -> str:
    """Return a value as JSON that a script element can hold, and that cannot end the element.

    Every character that is not ASCII is escaped, U+2028 and U+2029 too, and so are `<`, `>`, `&`.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def render_page(name: str, up: str = "", scripts: Sequence[str] = (), **values: Any) -> bytes:
    """Return a page of the board.

    Args:
        name: File name of its template.
        up: Path from the page's folder to the site's folder.
        scripts: Names of the site's scripts that the page runs.
        **values: What the template calls by these names.
    """
    text = render_template(
        TEMPLATES, name, generator=GENERATOR, policy=POLICY, up=up, scripts=scripts, **values
    )
    return text.encode()


def refusal_page(message: str, status: int, home: str) -> bytes:
    """Return the page that answers a request which the server refuses.

    Args:
        message: Why the request is refused.
        status: Status of the answer.
        home: Address of the board.
    """
    return render_page("refusal.html", "/", message=message, status=status, home=home)

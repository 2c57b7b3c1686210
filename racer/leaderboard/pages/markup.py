"""HTML by hand: what is escaped, what a page may load, and the frame around each page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

MARK = '<meta name="generator" content="racer board">'
"""Tells the board's pages from somebody's own."""
FILES = Path(__file__).parent / "files"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What a page may load and ask for: only what lies beside it. No script or style is inside it."""


def embedded(value: Any) -> str:
    """A value as JSON that means the same inside a script, and that ends none.

    All but ASCII is escaped, U+2028 and U+2029 too, and so are the signs of HTML.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def page(title: str, body: str, up: str = "", scripts: Sequence[str] = ()) -> bytes:
    """A whole page.

    Args:
        title: Its title, as it is.
        body: Its body, as HTML.
        up: What leads from its folder to the site's.
        scripts: Names of the site's scripts that it runs.
    """
    loaded = "".join(f'<script src="{up}{name}" defer></script>' for name in scripts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{MARK}'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title>"
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="{up}board.css">{loaded}'
        f"</head><body>{body}</body></html>\n"
    ).encode()


def header(title: str, trail: Sequence[tuple[str, str]] = (), note: str = "") -> str:
    """A page's head: the way up to the board, a title and a line of prose.

    Args:
        title: The title, as it is.
        trail: Names and addresses of the pages above, the highest first.
        note: The line, as it is.
    """
    links = "".join(f'<a href="{escape(to)}">{escape(name)}</a>' for name, to in trail)
    told = f"<p>{escape(note)}</p>" if note else ""
    return f'<header><nav aria-label="where">{links}</nav><h1>{escape(title)}</h1>{told}</header>'


def tiles(facts: dict[str, str]) -> str:
    """Short facts side by side."""
    cells = "".join(f"<div>{escape(what)}<b>{escape(is_)}</b></div>" for what, is_ in facts.items())
    return f'<div class="tiles" id="facts">{cells}</div>'


def details(facts: dict[str, str]) -> str:
    """Facts as a list of names and values, already HTML; those without a value are left out."""
    lines = "".join(f"<dt>{escape(what)}</dt><dd>{is_}</dd>" for what, is_ in facts.items() if is_)
    return f"<dl>{lines}</dl>"


def code(text: str) -> str:
    """Text of a machine: a digest, a command."""
    return f"<code>{escape(text)}</code>"


def badge(text: str, kind: str = "", why: str = "") -> str:
    """A small flag; `why` is told to whoever points at it."""
    told = f' title="{escape(why)}"' if why else ""
    return f'<span class="badge {kind}"{told}>{escape(text)}</span>'


def section(title: str, body: str, kind: str = "", id: str = "") -> str:
    """A part of a page under a title."""
    named = f' id="{id}"' if id else ""
    return f'<section class="{kind}"{named}><h2>{escape(title)}</h2>{body}</section>'


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table whose rows become cards on a narrow screen; its cells are HTML already."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(title)}">{cell}</td>' for title, cell in zip(titles, row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def seconds(time: float | None) -> str:
    """A time to the millisecond, or a dash."""
    return "-" if time is None else f"{time:.3f}&nbsp;s"

"""HTML from templates, in which every value is escaped unless it is `markupsafe.Markup`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

SHARED_TEMPLATES = Path(__file__).parent / "templates"
"""Templates that those of any folder can import."""


def render_template(folder: Path, name: str, **values: Any) -> str:
    """Return the text of a template.

    Args:
        folder: Folder of the template, and of those that it extends or includes.
        name: File name of the template.
        **values: What the template calls by these names; one that is missing raises
            `jinja2.UndefinedError`.
    """
    return _environment(folder).get_template(name).render(values)


@cache
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader([folder, SHARED_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

"""Docstrings as the API reference reads them; `mkdocs.yml` names it."""

import re
from typing import Any

import griffe


class AsMarkdown(griffe.Extension):
    """Lets a doctest be code, and a `<` outside of code be no HTML tag."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object that was read."""
        if obj.docstring:
            text, heading, doctest = obj.docstring.value.partition("\nExample:\n")
            text = re.sub(r"`[^`]*`|<", lambda one: "&lt;" if one[0] == "<" else one[0], text)
            obj.docstring.value = text + heading.replace("Example", "Examples") + doctest

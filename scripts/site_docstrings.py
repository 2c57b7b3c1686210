"""Docstrings as the API reference reads them; `mkdocs.yml` names it."""

import ast
import re
from typing import Any

import griffe


class AsMarkdown(griffe.Extension):
    """Lets a doctest be code, a `<` outside of code be no HTML tag, and a field have its text."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object that was read."""
        if isinstance(obj, griffe.Attribute):
            _describe_field(obj)
        if obj.docstring:
            text, heading, doctest = obj.docstring.value.partition("\nExample:\n")
            text = re.sub(r"`[^`]*`|<", lambda one: "&lt;" if one[0] == "<" else one[0], text)
            obj.docstring.value = text + heading.replace("Example", "Examples") + doctest


def _describe_field(field: griffe.Attribute) -> None:
    """Take a config field's docstring from the description in its `Field(...)`, and its default."""
    call = field.value
    if not isinstance(call, griffe.ExprCall) or str(call.function) != "Field":
        return
    words = {one.name: one.value for one in call.arguments if isinstance(one, griffe.ExprKeyword)}
    field.value = words.get("default")
    about = str(words.get("description", ""))
    if about and not field.docstring:
        is_literal = not about.startswith("f")
        text = ast.literal_eval(about) if is_literal else re.sub(r"\{[^}]*\}", "...", about[2:-1])
        field.docstring = griffe.Docstring(text, parent=field)

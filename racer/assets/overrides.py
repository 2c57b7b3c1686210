"""A config with other values at some places, as the command line and Python give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from racer.assets.document import Document, validate_document
from racer.errors import ConfigError

Config = TypeVar("Config", bound=Document)


def with_overrides(config: Config, changes: Mapping[str, Any], source: str) -> Config:
    """Return the config with other values, each checked as in a file.

    Args:
        config: The config.
        changes: By field. A dot leads into a section, `{"ppo.gamma": 0.98}`, and so does a mapping,
            `{"ppo": {"gamma": 0.98}}`: both leave the section's other fields as they are. Items of
            a list are counted from 0, as in `sensor.0.width`. A mapping for the only sensor changes
            it, or replaces it if its `kind` is another.
        source: Where the changes come from, for messages.

    Raises:
        ConfigError: There is no such field, or a value is out of range or contradicts another.
    """
    tree = config.model_dump()
    for place, value in changes.items():
        _change(tree, place.split("."), value, f"{source}: {place}")
    return validate_document(tree, type(config), source)


def _change(there: Any, path: list[str], value: Any, source: str) -> None:
    for part in path[:-1]:
        there = _inside(there, part, source)
    key = _key(there, path[-1], source)
    merged = _merged if isinstance(there, dict) else _merged_item
    there[key] = merged(there.get(key) if isinstance(there, dict) else there[key], value)


def _inside(there: Any, part: str, source: str) -> Any:
    """The section or the list that a name leads to; an unknown one is left to be refused."""
    key = _key(there, part, source)
    if isinstance(there, dict) and key not in there:
        there[key] = {}
    if isinstance(there[key], tuple):
        there[key] = list(there[key])
    if not isinstance(there[key], dict | list):
        raise ConfigError(f"{source}: {part} is {there[key]!r} and has no fields")
    return there[key]


def _key(there: Any, part: str, source: str) -> Any:
    if isinstance(there, dict):
        return part
    if part.isdecimal() and int(part) < len(there):
        return int(part)
    raise ConfigError(f"{source}: {part!r} is none of the {len(there)} items, counted from 0")


def _merged(old: Any, new: Any) -> Any:
    """A section with the fields of a mapping; else the new value."""
    if isinstance(new, Document):
        new = new.model_dump()
    if not isinstance(new, Mapping):
        return new
    if isinstance(old, list | tuple) and len(old) == 1:
        return [_merged_item(old[0], new)]  # one sensor, written without the brackets of a list
    if not isinstance(old, dict):
        return dict(new)
    return old | {name: _merged(old.get(name), value) for name, value in new.items()}


def _merged_item(old: Any, new: Any) -> Any:
    """As `_merged`, but a sensor of another kind has other fields and takes the old one's place."""
    is_other = isinstance(old, dict) and isinstance(new, Mapping) and "kind" in new
    return dict(new) if is_other and new["kind"] != old.get("kind") else _merged(old, new)

"""A config with other values at some places, as the command line and Python give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from racer.assets.document import Document, both_names_message, validate_document
from racer.errors import ConfigError

Config = TypeVar("Config", bound=Document)


def with_overrides(config: Config, changes: Mapping[str, Any], source: str) -> Config:
    """Return the config with other values, each checked as in a file.

    Args:
        config: The config.
        changes: New values by field. A dot leads into a section, `{"ppo.gamma": 0.98}`, and so does
            a mapping, `{"ppo": {"gamma": 0.98}}`: both leave the section's other fields as they
            are. Items of a list are counted from 0, as in `sensor.0.width`. A mapping for the only
            sensor changes it, or replaces it if its `kind` is another. A field may be given by a
            former name (`Document.RENAMED_KEYS`).
        source: Where the changes come from, for messages.

    Raises:
        ConfigError: There is no such field, it is given by its former and its present name, or a
            value is out of range or contradicts another.
    """
    _refuse_both_names(config, changes, source)
    tree = config.model_dump()
    for place, value in changes.items():
        path, there = _present_path(config, place)
        _change(tree, path, _with_present_keys(there, value), f"{source}: {place}")
    return validate_document(tree, type(config), source)


def _refuse_both_names(config: Document, changes: Mapping[str, Any], source: str) -> None:
    """Raise ConfigError if a field is given by its former and its present name."""
    spelt: dict[str, str] = {}
    for place in _places(changes):
        present = ".".join(_present_path(config, place)[0])
        other = spelt.setdefault(present, place)
        if other != place:
            former = place if other == present else other
            raise ConfigError(f"{source}: {both_names_message(former, present)}")


def _places(changes: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The dotted name of each value, those inside mappings too."""
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _places(value, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def _present_path(config: Document, place: str) -> tuple[list[str], Any]:
    """The parts of a dotted name, each by its present name, and the value that the config has."""
    path, there = [], config
    for part in place.split("."):
        part, there = _present_step(there, part)
        path.append(part)
    return path, there


def _present_step(there: Any, part: str) -> tuple[str, Any]:
    """The present name of a part of a place, and what lies there; None if nothing does."""
    if isinstance(there, tuple):
        if part.isdecimal():
            return part, there[int(part)] if int(part) < len(there) else None
        there = there[0] if len(there) == 1 else None
    if not isinstance(there, Document):
        return part, None
    part = there.RENAMED_KEYS.get(part, part)
    return part, getattr(there, part) if part in type(there).model_fields else None


def _with_present_keys(there: Any, value: Any) -> Any:
    """A mapping for what lies somewhere, with the present names of its keys; else the value."""
    if not isinstance(value, Mapping):
        return value
    steps = ((_present_step(there, str(name)), one) for name, one in value.items())
    return {present: _with_present_keys(inner, one) for (present, inner), one in steps}


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

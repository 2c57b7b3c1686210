"""Changes of a config by the command line and by Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from racer.assets.document import Document, both_names_message, validate_document
from racer.errors import ConfigError

Config = TypeVar("Config", bound=Document)


def with_overrides(config: Config, changes: Mapping[str, Any], source: str) -> Config:
    """Return a config with new values for some fields, checked like those of a file.

    Args:
        config: The config.
        changes: New values by field. A dot leads into a section, `{"ppo.gamma": 0.98}`, and so does
            a mapping, `{"ppo": {"gamma": 0.98}}`: both leave the section's other fields as they
            are. Items of a list are counted from 0, as in `sensor.0.width`. A mapping for the only
            sensor changes it, or replaces it if its `kind` is another. A field may be given by a
            former name (`Document.RENAMED_KEYS`). If another section is chosen
            (`Document.SECTION_CHOICE`), its other fields have their defaults.
        source: Where the changes come from, for messages.

    Raises:
        ConfigError: There is no such field, it is given by its former and its present name, or a
            value is out of range or contradicts another.
    """
    _refuse_both_names(config, changes, source)
    tree = config.model_dump()
    choice = config.SECTION_CHOICE
    if choice and changes.get(choice, tree[choice]) != tree[choice]:
        del tree[tree[choice]]
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
    """Yield the dotted name of each value, including those inside mappings."""
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _places(value, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def _present_path(config: Document, place: str) -> tuple[list[str], Any]:
    """Return the parts of a dotted name in their present names, and the config's value there."""
    path, there = [], config
    for part in place.split("."):
        part, there = _present_step(there, part)
        path.append(part)
    return path, there


def _present_step(there: Any, part: str) -> tuple[str, Any]:
    """Return the present name of a field of `there`, and its value; None if there is no field."""
    if isinstance(there, tuple):
        if part.isdecimal():
            return part, there[int(part)] if int(part) < len(there) else None
        there = there[0] if len(there) == 1 else None
    if not isinstance(there, Document):
        return part, None
    part = there.RENAMED_KEYS.get(part, part)
    return part, getattr(there, part) if part in type(there).model_fields else None


def _with_present_keys(there: Any, value: Any) -> Any:
    """Return a new value for `there`, the keys of its mappings by their present names."""
    if not isinstance(value, Mapping):
        return value
    steps = ((_present_step(there, str(name)), one) for name, one in value.items())
    return {present: _with_present_keys(inner, one) for (present, inner), one in steps}


def _change(there: Any, path: list[str], value: Any, source: str) -> None:
    """Set or merge the value at a path in the tree `there`."""
    for part in path[:-1]:
        there = _inside(there, part, source)
    key = _key(there, path[-1], source)
    merged = _merged if isinstance(there, dict) else _merged_item
    there[key] = merged(there.get(key) if isinstance(there, dict) else there[key], value)


def _inside(there: Any, part: str, source: str) -> Any:
    """Return the section or list of a name; an unknown one is added, and refused by validation."""
    key = _key(there, part, source)
    if isinstance(there, dict) and key not in there:
        there[key] = {}
    if isinstance(there[key], tuple):
        there[key] = list(there[key])
    if not isinstance(there[key], dict | list):
        raise ConfigError(f"{source}: {part} is {there[key]!r} and has no fields")
    return there[key]


def _key(there: Any, part: str, source: str) -> Any:
    """Return the key of a section, or the index of a list's item."""
    if isinstance(there, dict):
        return part
    if part.isdecimal() and int(part) < len(there):
        return int(part)
    raise ConfigError(f"{source}: {part!r} is none of the {len(there)} items, counted from 0")


def _merged(old: Any, new: Any) -> Any:
    """Return the old section updated with a mapping, or any other new value as it is."""
    if isinstance(new, Document):
        new = new.model_dump()
    if not isinstance(new, Mapping):
        return new
    if isinstance(old, list | tuple) and len(old) == 1:
        return [_merged_item(old[0], new)]  # one sensor, given without a list
    if not isinstance(old, dict):
        return dict(new)
    return old | {name: _merged(old.get(name), value) for name, value in new.items()}


def _merged_item(old: Any, new: Any) -> Any:
    """Return `_merged`, or the new sensor alone if it is of another kind than the old one."""
    is_other = isinstance(old, dict) and isinstance(new, Mapping) and "kind" in new
    return dict(new) if is_other and new["kind"] != old.get("kind") else _merged(old, new)

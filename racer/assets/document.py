"""Reads a YAML file that a person wrote into a typed model, and names the line that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from racer.errors import ConfigError

MAX_BYTES = 10_000_000


class Document(BaseModel):
    """The base of every model read from YAML: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Model = TypeVar("Model", bound=Document)


def read(path: Path, model: type[Model], error: type[Exception] = ConfigError) -> Model:
    """The file's content as a `model`.

    Raises:
        error: The file cannot be read, is not YAML, has an unknown key or a value out of range;
            the message names the file and the line.
    """
    tree, lines = parse(path, error)
    return validate(tree, model, str(path), lines, error)


def parse(
    path: Path, error: type[Exception] = ConfigError
) -> tuple[dict[str, Any], dict[tuple[str | int, ...], int]]:
    """The file's mapping, and the line (from 1) on which each key or item stands."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error(f"{path}: over {MAX_BYTES // 1_000_000} MB; such a file is not read")
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: cannot be read: {problem}") from problem
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(problem, "problem", None) or problem
        raise error(f"{where}: not valid YAML: {what}") from problem
    if tree is None:
        return {}, {}
    if not isinstance(tree, dict):
        raise error(f"{path}:1: expected keys with values, got {type(tree).__name__}")
    lines: dict[tuple[str | int, ...], int] = {}
    _mark_lines(node, (), lines)
    return tree, lines


def validate(
    tree: dict[str, Any],
    model: type[Model],
    source: str,
    lines: dict[tuple[str | int, ...], int] | None = None,
    error: type[Exception] = ConfigError,
) -> Model:
    """`tree` as a `model`; `source` and `lines` say where it came from in a message."""
    try:
        return model.model_validate(tree)
    except ValidationError as problem:
        raise error(explain(problem, model, source, lines)) from problem


def explain(
    problem: ValidationError,
    model: type[BaseModel],
    source: str,
    lines: dict[tuple[str | int, ...], int] | None = None,
) -> str:
    """A sentence for each thing that is wrong, with where it stands in `source`."""
    return "\n".join(_sentence(one, model, source, lines or {}) for one in problem.errors())


def _mark_lines(node: Any, at: tuple[str | int, ...], lines: dict) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*at, key.value)] = key.start_mark.line + 1
            _mark_lines(value, (*at, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            _mark_lines(item, (*at, index), lines)


def _sentence(one: Any, model: type[BaseModel], source: str, lines: dict) -> str:
    at = tuple(one["loc"])
    line = next((lines[at[:k]] for k in range(len(at), 0, -1) if at[:k] in lines), None)
    where = f"{source}:{line}" if line else source
    key = ".".join(str(part) for part in at)
    if one["type"] == "extra_forbidden":
        known = _keys(model, at[:-1])
        near = difflib.get_close_matches(str(at[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key {key!r}; {hint}"
    if one["type"] == "missing":
        return f"{where}: the key {key!r} is missing"
    message = one["msg"].removeprefix("Value error, ")
    if not key:
        return f"{where}: {message}"
    return f"{where}: {key}: {message}; got {one['input']!r:.200}"


def _keys(model: type[BaseModel], at: Sequence[str | int]) -> list[str]:
    for part in at:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type):
            return []
        if not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)

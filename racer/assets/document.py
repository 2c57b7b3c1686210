"""Reads a YAML file that a person wrote into a typed model, and names the line that is wrong."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo

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
    return validate(tree, model, str(path), lines, error, path.parent)


def beside(name: str, info: ValidationInfo) -> str:
    """The path of a file that a document names, which lies in the document's own folder.

    A name that is no such file is returned as it is: a path from the current folder on, or the
    name of something that ships.
    """
    folder = (info.context or {}).get("folder")
    own = folder / name if folder else None
    return str(own) if own and os.path.isfile(own) else name


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
    folder: Path | None = None,
) -> Model:
    """`tree` as a `model`; `source` and `lines` say where it came from in a message.

    Where `folder` is given, the paths in it are looked for there first; see `beside`.
    """
    try:
        return model.model_validate(tree, context={"folder": folder})
    except ValidationError as problem:
        raise error(explain(problem, model, source, lines, tree)) from problem


def explain(
    problem: ValidationError,
    model: type[BaseModel],
    source: str,
    lines: dict[tuple[str | int, ...], int] | None = None,
    tree: Any = None,
) -> str:
    """A sentence for each thing that is wrong, with where it stands in `source`.

    Where `tree` is given, a place is named as it is written there: without the tag of a union and
    without the index of something that stands alone.
    """
    return "\n".join(_sentence(one, model, source, lines or {}, tree) for one in problem.errors())


def _mark_lines(node: Any, at: tuple[str | int, ...], lines: dict) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*at, key.value)] = key.start_mark.line + 1
            _mark_lines(value, (*at, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            _mark_lines(item, (*at, index), lines)


def _sentence(one: Any, model: type[BaseModel], source: str, lines: dict, tree: Any) -> str:
    loc = tuple(one["loc"])
    there, absent = (loc[:-1], loc[-1:]) if one["type"] == "missing" else (loc, ())
    if one["type"].startswith("union_tag"):
        absent = (one["ctx"]["discriminator"].strip("'"),)
    at = (*(there if tree is None else _written(there, tree)), *absent)
    line = next((lines[at[:k]] for k in range(len(at), 0, -1) if at[:k] in lines), None)
    where = f"{source}:{line}" if line else source
    key = ".".join(str(part) for part in at)
    if one["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}; {_hint(at[-1], _keys(model, loc[:-1]), ' keys')}"
    if one["type"] == "union_tag_invalid":
        got, known = one["ctx"]["tag"], one["ctx"]["expected_tags"]
        names = known.replace("'", "").split(", ")
        return f"{where}: {key}: unknown {got!r}; {_hint(got, names, '')}"
    if one["type"] in ("missing", "union_tag_not_found"):
        return f"{where}: the key {key!r} is missing"
    message = one["msg"].removeprefix("Value error, ")
    if not key:
        return f"{where}: {message}"
    return f"{where}: {key}: {message}; got {one['input']!r:.200}"


def _hint(word: object, known: list[str], what: str) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known{what}: {', '.join(known)}"


def _written(at: tuple[str | int, ...], tree: Any) -> tuple[str | int, ...]:
    """The place `at` without the parts that `tree` does not have."""
    path = []
    for part in at:
        is_item = isinstance(tree, list | tuple) and isinstance(part, int)
        if is_item or (isinstance(tree, dict) and part in tree):
            tree = tree[part]  # pyright: ignore[reportArgumentType, reportCallIssue]
            path.append(part)
    return tuple(path)


def _keys(model: type[BaseModel], at: Sequence[str | int]) -> list[str]:
    """The keys of the model that lies at a place within another."""
    there: Any = model
    for part in at:
        there = _inside(there, part)
    return list(there.model_fields) if _is_model(there) else []


def _inside(kind: Any, part: str | int) -> Any:
    """The type of a model's field, of a sequence's items or of a union's member by its tag."""
    if get_origin(kind) is Annotated:
        return _inside(get_args(kind)[0], part)
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return None if field is None else field.annotation
    if isinstance(part, int):
        return next(iter(get_args(kind)), None)
    tagged = (one for one in get_args(kind) if _is_model(one))
    return next((one for one in tagged if part in _defaults(one)), None)


def _defaults(model: type[BaseModel]) -> list[Any]:
    return [field.default for field in model.model_fields.values()]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

"""Read YAML files into typed models; an error names the line that is wrong."""

from __future__ import annotations

import datetime
import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from racer.assets.text import decode_text
from racer.errors import ConfigError

MAX_CONFIG_BYTES = 10_000_000
"""Size of the largest file that is read."""

NAME_ERRORS = ("string_type", "names")
"""Types of validation errors of a field that takes a name."""

NAME_OR_VALUE_ERRORS = ("tuple_type", "list_type", "model_type", "model_attributes_type")
"""Types of validation errors of a field that takes a name or another value."""

BOTH_NAMES_ERROR = "both_names"
"""Type of the error of a key that is given by its former and its present name."""

YAML_KINDS = {
    "bool": "a truth value",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}
"""YAML's tags of values that are not text, and what messages call them."""


class Document(BaseModel):
    """Base class of the models that are read from YAML: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    RENAMED_KEYS: ClassVar[Mapping[str, str]] = {}
    """Present names of keys by their former ones. Both are read; the present ones are written."""

    SECTION_CHOICE: ClassVar[str] = ""
    """The key whose value is the name of one of several sections, of which only that one counts."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema; if keys were renamed, it first renames those of the input."""
        schema = handler(source)
        if not cls.RENAMED_KEYS:
            return schema
        return core_schema.no_info_before_validator_function(cls._with_present_keys, schema)

    @classmethod
    def _with_present_keys(cls, value: Any) -> Any:
        """Return a mapping with the present names of its keys, or any other value as it is."""
        if not isinstance(value, Mapping):
            return value
        for former, present in cls.RENAMED_KEYS.items():
            if former in value and present in value:
                names = {"former": former, "present": present}
                raise PydanticCustomError(BOTH_NAMES_ERROR, "{former} is {present}", names)
        return {cls.RENAMED_KEYS.get(name, name): one for name, one in value.items()}


DocumentT = TypeVar("DocumentT", bound=Document)


Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest as 64 hexadecimal digits."""


class _Loader(yaml.SafeLoader):
    """A loader whose error for an invalid date has the date's line."""


def _date(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError as problem:
        what = f"{node.value} is not a date ({problem}); put a name in quotes"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


def read_document(
    path: Path, model: type[DocumentT], error: type[Exception] = ConfigError
) -> DocumentT:
    """Return the content of a file as a model.

    Args:
        path: The YAML file.
        model: The class of the model.
        error: The type of error to raise.

    Raises:
        error: The file cannot be read, is not YAML, has an unknown key or a value out of range;
            the message names the file and the line.
    """
    tree, lines = parse_yaml(path, error)
    return validate_document(tree, model, str(path), lines, error, path.parent)


def first_named(document: Document) -> dict[str, Any]:
    """Return a document as a JSON object in which each key has the first name that it had.

    A digest of that object does not change when a key is renamed.
    """
    return _first_named(document, document.model_dump(mode="json"))


def _first_named(value: Any, dumped: Any) -> Any:
    if isinstance(value, Document):
        first = {present: former for former, present in reversed([*value.RENAMED_KEYS.items()])}
        return {
            first.get(name, name): _first_named(getattr(value, name), one)
            for name, one in dumped.items()
        }
    if isinstance(value, tuple):
        return [_first_named(*pair) for pair in zip(value, dumped, strict=True)]
    return dumped


def path_beside(name: str, info: ValidationInfo) -> str:
    """Return the path of a file that a document names, looked up in the document's folder.

    If there is no such file, return the name unchanged: it may be a path relative to the current
    folder, or the name of a shipped file.

    Args:
        name: The name in the document.
        info: What pydantic tells a validator; its context has the document's folder.
    """
    folder = (info.context or {}).get("folder")
    own = folder / name if folder else None
    return str(own) if own and os.path.isfile(own) else name


def parse_yaml(
    path: Path, error: type[Exception] = ConfigError
) -> tuple[dict[str, Any], dict[tuple[str | int, ...], int]]:
    """Return the mapping in a file, and the line number of each key and item, from 1.

    Args:
        path: The YAML file.
        error: The type of error to raise.

    Raises:
        error: The file cannot be read, is not YAML, has no keys, or has a key twice.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise error(f"{path}: over {MAX_CONFIG_BYTES // 1_000_000} MB; such a file is not read")
        text = decode_text(path.read_bytes())
        tree = yaml.load(text, Loader=_Loader)
        lines: dict[tuple[str | int, ...], int] = {}
        wrong = list(_mark_lines(yaml.compose(text, Loader=_Loader), (), lines))
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: cannot be read: {problem}") from problem
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(problem, "problem", None) or problem
        raise error(f"{where}: not valid YAML: {what}") from problem
    except (ValueError, RecursionError) as problem:
        why = "it holds itself, or too many levels" if type(problem) is RecursionError else problem
        raise error(f"{path}: not valid YAML: {why}") from problem
    if wrong:
        raise error("\n".join(f"{path}:{sentence}" for sentence in wrong))
    if tree is None:
        return {}, {}
    if not isinstance(tree, dict):
        raise error(f"{path}:1: expected keys with values, got {type(tree).__name__}")
    return tree, lines


def validate_document(
    tree: dict[str, Any],
    model: type[DocumentT],
    source: str,
    lines: dict[tuple[str | int, ...], int] | None = None,
    error: type[Exception] = ConfigError,
    folder: Path | None = None,
) -> DocumentT:
    """Return a mapping as a model.

    Args:
        tree: The mapping.
        model: The class of the model.
        source: Where the mapping comes from, for messages.
        lines: The line number of each key and item, for messages.
        error: The type of error to raise.
        folder: The folder in which files that the mapping names are looked up first.

    Raises:
        error: A key is unknown or missing, or a value is out of range.
    """
    try:
        return model.model_validate(tree, context={"folder": folder})
    except ValidationError as problem:
        raise error(describe_errors(problem, model, source, lines, tree)) from problem


def describe_errors(
    problem: ValidationError,
    model: type[BaseModel],
    source: str,
    lines: dict[tuple[str | int, ...], int] | None = None,
    tree: Any = None,
) -> str:
    """Return a line for each validation error, with its place.

    Args:
        problem: The validation errors.
        model: The class of the model.
        source: Where the values come from.
        lines: The line number of each key and item.
        tree: The mapping that was validated. If given, places are written as in it: with former
            names of keys, without the tag of a union and without the index of a single item.
    """
    sentences = (_sentence(one, model, source, lines or {}, tree) for one in problem.errors())
    # A value that may be of several types has an error for each of them.
    wanted: dict[tuple[str, str], list[str]] = {}
    for sentence in sentences:
        found = re.fullmatch(r"(.*: Input should be )(.*)(; got .*)", sentence, re.DOTALL)
        start, one, end = found.groups() if found else (sentence, "", "")
        wanted.setdefault((start, end), []).append(one)
    return "\n".join(start + ", or ".join(ones) + end for (start, end), ones in wanted.items())


def errors_by_place(problem: ValidationError, model: type[BaseModel], tree: Any) -> dict[str, str]:
    """Return the message of each validation error by the dotted place of its value; "" is the root.

    Args:
        problem: The validation errors.
        model: The class of the model.
        tree: The mapping that was validated, in which the places are.
    """
    found: dict[str, list[str]] = {}
    for one in problem.errors():
        place = _dotted(_written(tuple(one["loc"]), tree, model))
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = f"unknown key {one['loc'][-1]!r}"
        found.setdefault(place, []).append(message)
    # A value that may be of several types has an error for each of them.
    start = "Input should be "
    return {
        place: messages[0] + "".join(f", or {one.removeprefix(start)}" for one in messages[1:])
        for place, messages in found.items()
    }


def _mark_lines(node: Any, at: tuple[str | int, ...], lines: dict) -> Iterator[str]:
    """Fill in the line of each key and item; yield a message for each key that is not allowed."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            place, line = (*at, key.value), key.start_mark.line + 1
            name, kind = (
                ".".join(str(part) for part in place),
                YAML_KINDS.get(key.tag.split(":")[-1]),
            )
            if kind:
                yield f"{line}: the key {name!r} is {kind} to YAML; put it in quotes"
            elif key.value in first:
                both = f"in line {first[key.value]} and in line {line}"
                yield f"{line}: the key {name!r} stands twice, {both}; leave one of them out"
            first.setdefault(key.value, line)
            lines[place] = line
            yield from _mark_lines(value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            yield from _mark_lines(item, (*at, index), lines)


def _sentence(one: Any, model: type[BaseModel], source: str, lines: dict, tree: Any) -> str:
    """Return the message of one error."""
    loc = tuple(one["loc"])
    there, absent = (loc[:-1], loc[-1:]) if one["type"] == "missing" else (loc, ())
    if one["type"].startswith("union_tag"):
        absent = (one["ctx"]["discriminator"].strip("'"),)
    at = (*(there if tree is None else _written(there, tree, model)), *absent)
    if one["type"] == BOTH_NAMES_ERROR:
        former, present = ((*at, one["ctx"][name]) for name in ("former", "present"))
        where = f"{source}:{lines[former]}" if former in lines else source
        return f"{where}: {both_names_message(*map(_dotted, (former, present)))}"
    line = next((lines[at[:k]] for k in range(len(at), 0, -1) if at[:k] in lines), None)
    where = f"{source}:{line}" if line else source
    key = _dotted(at)
    if one["type"] == "extra_forbidden":
        known, former = _keys(model, loc[:-1])
        hint = hint_at(at[-1], known, " keys", former)
        if sections := _sections_with(model, at[-1]):
            elsewhere = f"{at[-1]!r} is a key of {', '.join(sections)}"
            hint = f"{hint} {elsewhere}" if hint.endswith("?") else elsewhere
        return f"{where}: unknown key {key!r}; {hint}"
    if one["type"] == "union_tag_invalid":
        got, known = one["ctx"]["tag"], one["ctx"]["expected_tags"]
        names = known.replace("'", "").split(", ")
        return f"{where}: {key}: unknown {got!r}; {hint_at(got, names)}"
    if one["type"] in ("missing", "union_tag_not_found"):
        return f"{where}: the key {key!r} is missing"
    message = one["msg"].removeprefix("Value error, ")
    if not key:
        return f"{where}: {message}"
    return f"{where}: {key}: {message}; got {_got(one, lines)}"


def _got(one: Any, lines: dict) -> str:
    """Return the wrong value; if YAML did not read it as a name, advise to quote it."""
    value = one["input"]
    got = str(value) if isinstance(value, datetime.date) else f"{value!r:.200}"
    kind = YAML_KINDS.get("timestamp" if isinstance(value, datetime.date) else type(value).__name__)
    is_name = one["type"] in NAME_ERRORS or (
        kind != "a number" and one["type"] in NAME_OR_VALUE_ERRORS
    )
    if not lines or not kind or not is_name:
        return got
    words = " (as no, off, yes and on are)" if isinstance(value, bool) else ""
    return f"{got}, which is {kind} to YAML{words}; put a name in quotes"


def both_names_message(former: str, present: str) -> str:
    """Return the message of a key that is given by its former and its present name."""
    return (
        f"{former!r} is the former name of {present!r}, which is given too; leave one of them out"
    )


def hint_at(
    word: object, known: Sequence[str], what: str = "", former: Mapping[str, str] | None = None
) -> str:
    """Return the known word nearest to an unknown one as a question, or else all known words.

    Args:
        word: The unknown word.
        known: The known words.
        what: What the known words are, with a space in front, such as ` keys`.
        former: Present words by their former names, which count as near but are not proposed.
    """
    former = former or {}
    near = difflib.get_close_matches(str(word), [*known, *former], n=1)
    if near:
        return f"did you mean {former.get(near[0], near[0])!r}?"
    return f"known{what}: {', '.join(known)}"


def _dotted(at: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in at)


def _written(at: tuple[str | int, ...], tree: Any, model: type[BaseModel]) -> tuple[str | int, ...]:
    """Return the place `at` as it is written in `tree`, without parts that `tree` does not have."""
    path, there = [], model
    for part in at:
        spelt = _spelling(part, tree, there)
        is_item = isinstance(tree, list | tuple) and isinstance(part, int)
        if is_item or (isinstance(tree, dict) and spelt in tree):
            tree = tree[spelt]  # pyright: ignore[reportArgumentType, reportCallIssue]
            path.append(spelt)
        there = _inside(there, part)
    return tuple(path)


def _spelling(part: str | int, tree: Any, there: Any) -> str | int:
    """Return the former or present name under which `tree` has a key of the model `there`."""
    former = (name for name, present in _former(there).items() if present == part)
    return next((name for name in former if isinstance(tree, dict) and name in tree), part)


def _former(there: Any) -> Mapping[str, str]:
    is_document = _is_model(there) and issubclass(there, Document)
    return there.RENAMED_KEYS if is_document else {}


def _keys(model: type[BaseModel], at: Sequence[str | int]) -> tuple[list[str], Mapping[str, str]]:
    """Return the keys of the model at a place within another, and the former names of keys."""
    there: Any = model
    for part in at:
        there = _inside(there, part)
    return list(there.model_fields) if _is_model(there) else [], _former(there)


def _sections_with(model: type[BaseModel], key: str | int) -> list[str]:
    """Return the names of a model's sections that have a key."""
    return [
        name
        for name, field in model.model_fields.items()
        if _is_model(field.annotation) and key in _keys(model, (name,))[0]
    ]


def _inside(kind: Any, part: str | int) -> Any:
    """Return the type of a model's field, of a sequence's items or of a union's member."""
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

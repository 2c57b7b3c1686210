"""Reads a YAML file that a person wrote into a typed model, and names the line that is wrong."""

from __future__ import annotations

import datetime
import difflib
import os
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

NAME_ERRORS = ("string_type", "names")
"""Kinds of errors of pydantic, and of our own, where a name is wanted."""

NAME_OR_VALUE_ERRORS = ("tuple_type", "list_type", "model_type", "model_attributes_type")
"""Kinds of errors where a name may stand for what is wanted."""

BOTH_NAMES_ERROR = "both_names"
"""Kind of error of a key that is given by its former and its present name."""

YAML_KINDS = {
    "bool": "a truth value",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}
"""What YAML calls values that are no text, and what we call them."""


class Document(BaseModel):
    """The base of every model read from YAML: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    RENAMED_KEYS: ClassVar[Mapping[str, str]] = {}
    """Former names of keys and their present ones. Both are read; the present one is written."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Rename keys before validation; models without former names validate as they are."""
        schema = handler(source)
        if not cls.RENAMED_KEYS:
            return schema
        return core_schema.no_info_before_validator_function(cls._with_present_keys, schema)

    @classmethod
    def _with_present_keys(cls, value: Any) -> Any:
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
    """Names the line of a date that there is not."""


def _date(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError as problem:
        what = f"{node.value} is no date ({problem}); put a name in quotes"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)


def read_document(
    path: Path, model: type[DocumentT], error: type[Exception] = ConfigError
) -> DocumentT:
    """The file's content as a `model`.

    Raises:
        error: The file cannot be read, is not YAML, has an unknown key or a value out of range;
            the message names the file and the line.
    """
    tree, lines = parse_yaml(path, error)
    return validate_document(tree, model, str(path), lines, error, path.parent)


def first_named(document: Document) -> dict[str, Any]:
    """Return a document as JSON holds it, each key by the first name that it had.

    A digest of it stays the same when a key is renamed.
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
    """The path of a file that a document names, which lies in the document's own folder.

    A name that is no such file is returned as it is: a path from the current folder on, or the
    name of something that ships.
    """
    folder = (info.context or {}).get("folder")
    own = folder / name if folder else None
    return str(own) if own and os.path.isfile(own) else name


def parse_yaml(
    path: Path, error: type[Exception] = ConfigError
) -> tuple[dict[str, Any], dict[tuple[str | int, ...], int]]:
    """The file's mapping, and the line (from 1) on which each key or item stands.

    Raises:
        error: The file cannot be read, is not YAML, has no keys, or has one of them twice.
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
    """`tree` as a `model`; `source` and `lines` say where it came from in a message.

    Where `folder` is given, the paths in it are looked for there first; see `path_beside`.
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
    """A sentence for each thing that is wrong, with where it stands in `source`.

    Where `tree` is given, a place is named as it is written there: without the tag of a union and
    without the index of something that stands alone.
    """
    return "\n".join(_sentence(one, model, source, lines or {}, tree) for one in problem.errors())


def _mark_lines(node: Any, at: tuple[str | int, ...], lines: dict) -> Iterator[str]:
    """Fill the line of each key and item; yield a sentence for each key that cannot be one."""
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
        return f"{where}: unknown key {key!r}; {hint_at(at[-1], known, ' keys', former)}"
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
    """The value that is wrong, with a word on quotes where YAML took a name for something else."""
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
    """Return what is wrong where a key is given by its former and its present name."""
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
        what: What they are, such as ` keys`, for the list of them.
        former: Former names of known words; the present name is proposed.
    """
    former = former or {}
    near = difflib.get_close_matches(str(word), [*known, *former], n=1)
    if near:
        return f"did you mean {former.get(near[0], near[0])!r}?"
    return f"known{what}: {', '.join(known)}"


def _dotted(at: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in at)


def _written(at: tuple[str | int, ...], tree: Any, model: type[BaseModel]) -> tuple[str | int, ...]:
    """The place `at` as `tree` spells it, without the parts that `tree` does not have."""
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
    """The name by which `tree` gives a key of the model `there`."""
    former = (name for name, present in _former(there).items() if present == part)
    return next((name for name in former if isinstance(tree, dict) and name in tree), part)


def _former(there: Any) -> Mapping[str, str]:
    is_document = _is_model(there) and issubclass(there, Document)
    return there.RENAMED_KEYS if is_document else {}


def _keys(model: type[BaseModel], at: Sequence[str | int]) -> tuple[list[str], Mapping[str, str]]:
    """The keys of the model at a place within another, and the former names of some."""
    there: Any = model
    for part in at:
        there = _inside(there, part)
    return list(there.model_fields) if _is_model(there) else [], _former(there)


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

"""The fields of a config as options of `racer train`, such as `--ppo.learning-rate`."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Group, Parameter, Token, convert

from racer import assets
from racer.registration import ENV_IDS

if TYPE_CHECKING:
    from pydantic import BaseModel

    from racer.race import RaceKind
    from racer.training.config import RunConfig
else:
    # The same names, without the imports of racer.race that would slow every command down.
    RaceKind = Literal[tuple(ENV_IDS)]

FieldPath = tuple[str | int, ...]
"""The place of a field in a config: `("ppo", "gamma")` or `("sensor", 0, "width")`."""


@dataclass(frozen=True)
class ConfigField:
    """A field of a config that is not a section.

    Attributes:
        place: Where it is in the config.
        kind: Its type.
        value: Its value in the config.
        help: Its description.
        former_places: Its place by each of its former names.
    """

    place: FieldPath
    kind: Any
    value: Any
    help: str
    former_places: tuple[FieldPath, ...] = ()

    @property
    def option(self) -> str:
        """The option's name: `--ppo.learning-rate`."""
        return _option(self.place)

    @property
    def heading(self) -> str:
        """The section of the config that it belongs to."""
        return ".".join(map(str, self.place[:-1])) or "config"

    @property
    def key(self) -> str:
        """The name of the command's keyword argument."""
        return _key(self.place)


@dataclass(frozen=True)
class FormerName:
    """Marks a hidden option as a former name of another one.

    Attributes:
        former: The hidden option, such as `--steps`.
        present: The option that it stands for.
    """

    former: str
    present: str


def _option(place: FieldPath) -> str:
    return "--" + _dotted(place).replace("_", "-")


def _key(place: FieldPath) -> str:
    return "__".join(map(str, place))


def _dotted(place: FieldPath) -> str:
    return ".".join(map(str, place))


def config_fields(model: BaseModel, at: FieldPath = ()) -> Iterator[ConfigField]:
    """Yield a config's fields, those of its sections too, with their values."""
    from pydantic import BaseModel

    from racer.assets.document import Document

    renamed = model.RENAMED_KEYS if isinstance(model, Document) else {}
    unused = getattr(model, "unused_sections", ())

    for name, info in type(model).model_fields.items():
        if name in unused:
            continue
        value, place = getattr(model, name), (*at, name)
        if isinstance(value, BaseModel):
            yield from config_fields(value, place)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for index, item in enumerate(value):
                yield from config_fields(item, (*place, index))
        else:
            former = tuple((*at, old) for old, present in renamed.items() if present == name)
            kind = _without_limits(info.annotation)
            yield ConfigField(place, kind, value, info.description or "", former)


def _without_limits(kind: Any) -> Any:
    """Return a union's types without the limits of their values, which the config itself checks."""
    if not isinstance(kind, UnionType) and get_origin(kind) is not Union:
        return kind
    parts = (get_args(one)[0] if get_origin(one) is Annotated else one for one in get_args(kind))
    return Union[tuple(parts)]  # noqa: UP007 - of types that are found out here


def as_command(function: Callable[..., None], config: RunConfig | None) -> Callable[..., None]:
    """Return a command with the function's own options, and one for each field of the config.

    A field's former names are options that the help does not show.

    Args:
        function: A function with options of its own, and `changes`: the given values by dotted
            names such as `ppo.gamma`. A field of the config replaces an option of the same name.
        config: The config, whose values the help shows as defaults; None for only the function's
            own options.
    """
    found = list(config_fields(config)) if config else []
    spellings = [place for field in found for place in (field.place, *field.former_places)]
    places = {_key(place): _dotted(place) for place in spellings}

    @functools.wraps(function)
    def call(*words: Any, **options: Any) -> None:
        changes = {places[key]: options.pop(key) for key in list(options) if key in places}
        function(*words, **options, changes=changes)

    own = inspect.signature(function, eval_str=True).parameters.values()
    shown = [one for one in own if one.name != "changes" and one.name not in places]
    headings = list(dict.fromkeys(field.heading for field in found))
    for field in found:
        shown.append(_parameter(field, 100 + headings.index(field.heading)))
        shown += [_former_parameter(field, place) for place in field.former_places]
    return with_parameters(call, shown)


def with_parameters(
    function: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Return a wrapper with the signature that the parser reads.

    A flag that is off by default has no `--no-` option; a whole number is not rounded.

    Args:
        function: The wrapper.
        parameters: Its parameters.
    """
    shown = []
    for one in parameters:
        if get_origin(one.annotation) is Annotated:
            pass
        elif one.default is False and one.annotation is bool:
            flag = Parameter(negative=(), show_default=False)
            one = one.replace(annotation=Annotated[bool, flag])
        elif _mentions_int(one.annotation):
            one = one.replace(annotation=Annotated[one.annotation, Parameter(converter=_whole)])
        shown.append(one)
    function.__signature__ = inspect.Signature(shown)  # pyright: ignore[reportFunctionMemberAccess]
    function.__annotations__ = {one.name: one.annotation for one in shown}
    return function


def _mentions_int(kind: Any) -> bool:
    return kind is int or any(map(_mentions_int, get_args(kind)))


def _or_null(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert the value of a field that may be `null`."""
    return None if [token.value for token in tokens] == ["null"] else _whole(kind, tokens)


def _converter(kind: Any) -> Callable[[Any, Sequence[Token]], Any]:
    return _or_null if NoneType in get_args(kind) else _whole


def _whole(kind: Any, tokens: Sequence[Token]) -> Any:
    """Convert as cyclopts does, but refuse 2.7 where a whole number is wanted."""
    for token in tokens if _mentions_int(kind) else ():
        if re.fullmatch(r"[-+]?[\d_]*\.?[\d_]*(e[-+]?\d+)?", token.value, re.IGNORECASE):
            try:
                int(token.value)
            except ValueError:
                raise ValueError(f"a whole number is wanted, got {token.value!r}.") from None
    return convert(kind, tokens)


def option_value(words: Sequence[str], option: str) -> str | None:
    """Return the value of an option among the words of a command; None if it is not given."""
    for word, after in zip(words, [*words[1:], None]):
        if word == option:
            return after
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def config_first(
    words: Sequence[str], command: Callable[..., None], is_needed: bool = True
) -> list[str]:
    """Return the words of `racer train` with CONFIG in front.

    CONFIG is the first word that is neither an option nor an option's value. If there is none, but
    one is needed, it is the last value of a list, such as that of `--track`, that names a config.

    Args:
        words: The words after `racer train`.
        command: The command with its options.
        is_needed: Whether the command has no other config.
    """
    kinds = _kinds(command)
    given_up, values = None, 0
    for index, word in enumerate(words):
        if word.startswith("-"):
            values = 0 if "=" in word else _values(kinds.get(word.replace(".no-", "."), str))
        elif values == 0:
            return _first(words, index)
        elif values == 1:
            values = 0
        elif is_needed and _is_config(word):
            given_up = index
    return list(words) if given_up is None else _first(words, given_up)


def _is_config(word: str) -> bool:
    return word in assets.shipped_names("configs") or word.endswith((".yaml", ".yml"))


def _first(words: Sequence[str], index: int) -> list[str]:
    return [words[index], *words[:index], *words[index + 1 :]]


def _kinds(command: Callable[..., None]) -> dict[str, Any]:
    """Return the type of each option."""
    options = {"-h": bool, "--help": bool}
    for one in inspect.signature(command).parameters.values():
        kind, *marks = get_args(one.annotation) if _is_annotated(one) else (one.annotation,)
        names = [name for mark in marks for name in getattr(mark, "name", None) or ()]
        options[names[0] if names else "--" + one.name.replace("_", "-")] = kind
    return options


def _values(kind: Any) -> int:
    """Return the number of values that an option takes: 0, 1, or 2 for any number."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if bool in kinds:
        return 0
    return 2 if any(get_origin(_bare(one)) is tuple for one in kinds) else 1


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_annotated(parameter: inspect.Parameter) -> bool:
    return get_origin(parameter.annotation) is Annotated


def _parameter(field: ConfigField, sort_key: int) -> inspect.Parameter:
    """Return the option of a field, under its heading."""
    about = Parameter(
        name=field.option,
        help=field.help,
        converter=_converter(field.kind),
        group=Group(field.heading, sort_key=sort_key),
        show_default=format_value,
    )
    return inspect.Parameter(
        field.key,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.value,
        annotation=Annotated[field.kind, about],
    )


def _former_parameter(field: ConfigField, place: FieldPath) -> inspect.Parameter:
    """Return the hidden option of a field's former name."""
    former = FormerName(_option(place), field.option)
    about = Parameter(name=former.former, converter=_converter(field.kind), show=False)
    return inspect.Parameter(
        _key(place),
        inspect.Parameter.KEYWORD_ONLY,
        default=field.value,
        annotation=Annotated[field.kind, about, former],
    )


def present_options(command: Callable[..., None]) -> dict[str, str]:
    """Return the present names of a command's options by their former ones."""
    parameters = inspect.signature(command).parameters.values()
    marks = (mark for one in parameters if _is_annotated(one) for mark in get_args(one.annotation))
    found = {mark.former: mark.present for mark in marks if isinstance(mark, FormerName)}
    return found | {_negative(former): _negative(present) for former, present in found.items()}


def _negative(option: str) -> str:
    """Return the option that turns a flag off: `--race.no-walls`."""
    head, dot, name = option.removeprefix("--").rpartition(".")
    return f"--{head}{dot}no-{name}"


def format_value(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if isinstance(value, tuple):
        return " ".join(map(format_value, value))
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)

"""The fields of a config as a form shows them: kind, range and help, from the config's models."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

FieldKind = Literal["truth", "number", "choice", "pair", "text"]


@dataclass(frozen=True)
class FormField:
    """A field of a config.

    Attributes:
        place: Its dotted name in the whole config, such as `ppo.learning_rate`.
        kind: What it takes: a truth value, a number, one of several names, two numbers, or
            anything else, written as in YAML.
        help: Its description in the config.
        default: Its default, as JSON holds it.
        low: Its least number; None if there is none.
        high: Its largest number; None if there is none.
        choices: The names that it may be.
        is_optional: Whether it may be null.
    """

    place: str
    kind: FieldKind
    help: str
    default: Any
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    is_optional: bool = False

    @property
    def name(self) -> str:
        """Its name in its section, as people read it."""
        return self.place.rpartition(".")[2].replace("_", " ")


@dataclass(frozen=True)
class FormSection:
    """A section of a config.

    Attributes:
        place: Its dotted name in the whole config.
        help: Its description in the config.
        model: The class of its model.
    """

    place: str
    help: str
    model: type[BaseModel]

    @property
    def name(self) -> str:
        """Its name, as people read it."""
        return self.place.rpartition(".")[2].replace("_", " ")


def fields_of(model: type[BaseModel], at: str = "") -> Iterator[FormField | FormSection]:
    """Yield the fields and sections of a model, in its order.

    Args:
        model: The class of the model.
        at: The model's dotted name in the whole config; "" for the config itself.
    """
    for name, field in model.model_fields.items():
        place = f"{at}.{name}" if at else name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield FormSection(place, field.description or "", kind)
        else:
            yield _field(place, field)


def value_as_text(value: Any) -> str:
    """Return a value as a person writes it in a form, and as YAML reads it; null is ""."""
    if value is None:
        return ""
    if isinstance(value, str | bool | int | float):
        return str(value).lower() if isinstance(value, bool) else f"{value}"
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()


def text_as_value(text: str | None) -> Any:
    """Return what a person wrote in a form, read as YAML; a text that is not YAML as it is."""
    try:
        return yaml.safe_load(text or "")
    except (yaml.YAMLError, ValueError):
        return text


def _field(place: str, field: FieldInfo) -> FormField:
    kind, is_optional = _without_none(field.annotation)
    low, high = _limits([*field.metadata, *_extras(kind)])
    default = None if field.default is PydanticUndefined else field.default
    shown, choices = _kind_of(kind)
    return FormField(
        place=place,
        kind=shown,
        help=field.description or "",
        default=_plain(default),
        low=low,
        high=high,
        choices=choices,
        is_optional=is_optional,
    )


def _kind_of(kind: Any) -> tuple[FieldKind, tuple[str, ...]]:
    """Return how a form shows a type, and the names that it may be."""
    if get_origin(kind) is Annotated:
        return _kind_of(get_args(kind)[0])
    if kind is bool:
        return "truth", ()
    if kind in (int, float):
        return "number", ()
    if get_origin(kind) is Literal:
        return "choice", tuple(map(str, get_args(kind)))
    if get_origin(kind) is tuple and get_args(kind) == (float, float):
        return "pair", ()
    return "text", ()


def _without_none(kind: Any) -> tuple[Any, bool]:
    """Return a type without None, and whether it had it."""
    if get_origin(kind) in (Union, types.UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        if len(rest) == 1 and len(get_args(kind)) == 2:
            return rest[0], True
    return kind, False


def _extras(kind: Any) -> list[Any]:
    return list(kind.__metadata__) if get_origin(kind) is Annotated else []


def _limits(metadata: list[Any]) -> tuple[float | None, float | None]:
    """Return the least and the largest number that constraints allow."""

    def first(*names: str) -> float | None:
        found = (getattr(one, name, None) for one in metadata for name in names)
        return next((one for one in found if isinstance(one, int | float)), None)

    return first("ge", "gt"), first("le", "lt")


def _plain(value: Any) -> Any:
    """Return a default as JSON holds it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value

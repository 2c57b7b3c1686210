"""The parameters of a sweep: fields of the config, and the values to search."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from racer.assets.document import hint_at
from racer.errors import ConfigError
from racer.reward.reward_file import RewardSource
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.run_history import flatten_tree

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

PARAMETER_FORMS = "a,b,c (choices), lo:hi, lo:hi:step or log:lo:hi"
"""The forms of a parameter's values, for messages."""
TRACK_FIELDS = ("track", "evaluation.track")
"""Fields whose choices are names or files of tracks."""
_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")


@dataclass(frozen=True)
class SearchParameter:
    """A field of the config and the values that are searched.

    Attributes:
        key: The field's dotted name, such as `ppo.learning_rate`.
        choices: The choices as they are written in YAML; empty for a range.
        low: Lowest value of a range.
        high: Highest value of a range.
        step: Distance between the values of a range; None for any value, or any whole number.
        is_log: Whether a range is searched on a logarithmic scale.
        is_int: Whether the values of a range are whole numbers.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    is_log: bool = False
    is_int: bool = False

    def distribution(self) -> BaseDistribution:
        """Return the values as a distribution of Optuna's."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.is_int:
            step = int(self.step or 1)
            return IntDistribution(int(self.low), int(self.high), log=self.is_log, step=step)
        return FloatDistribution(self.low, self.high, log=self.is_log, step=self.step)

    @property
    def count(self) -> float:
        """The number of values; infinite for a range of real numbers without a step."""
        if self.choices:
            return len(self.choices)
        step = self.step or (1.0 if self.is_int else None)
        return math.inf if step is None else round((self.high - self.low) / step) + 1

    def values(self) -> list[Any]:
        """Return all values, as they are drawn from the distribution; `count` must be finite."""
        if self.choices:
            return list(self.choices)
        kind = int if self.is_int else float
        return [kind(self.low + k * (self.step or 1)) for k in range(int(self.count))]

    def value(self, sampled: Any) -> Any:
        """Return the field's value for a value that was drawn from the distribution."""
        return yaml.safe_load(sampled) if self.choices else sampled


def parse_parameters(params: Mapping[str, str], base: RunConfig) -> list[SearchParameter]:
    """Return the parameters of a sweep.

    Args:
        params: The values to search, in one of `PARAMETER_FORMS`, by the field's dotted name. A
            name may be spelt like the command line's options, `ppo.learning-rate`.
        base: The config whose fields are varied.

    Raises:
        ConfigError: There is no such field, the values have another form, or the field does not
            allow one of them.
    """
    if not params:
        raise ConfigError(
            f"a sweep needs a parameter, such as ppo.learning-rate=log:1e-5:1e-3; a parameter's "
            f"values are {PARAMETER_FORMS}"
        )
    return [_parse_parameter(key, form, base) for key, form in params.items()]


def check_files(parameters: Sequence[SearchParameter]) -> None:
    """Load the rewards and tracks among the choices.

    Raises:
        RacerError: One of them cannot be used.
    """
    for one in parameters:
        for choice in map(one.value, one.choices):
            if one.key == "reward":
                RewardSource.find(choice)
            elif one.key in TRACK_FIELDS:
                for track in [choice] if isinstance(choice, str) else choice:
                    load_track(track)


def grid(parameters: Sequence[SearchParameter], most: int) -> list[dict[str, Any]]:
    """Return all combinations of the parameters' values; an empty list if there are more than most.

    Args:
        parameters: The parameters.
        most: Largest number of combinations.
    """
    if math.prod(one.count for one in parameters) > most:
        return []
    keys = [one.key for one in parameters]
    return [dict(zip(keys, values)) for values in product(*(one.values() for one in parameters))]


def split_parameter(text: str) -> tuple[str, str]:
    """Return the field's name and the values of a text such as `ppo.gamma=0.9:0.99`.

    Raises:
        ConfigError: The text has no equals sign.
    """
    key, equals, form = text.partition("=")
    if not (equals and key.strip() and form.strip()):
        raise ConfigError(
            f"--param {text}: must be KEY=VALUES, where VALUES are {PARAMETER_FORMS}; e.g. "
            "--param ppo.learning-rate=log:1e-5:1e-3"
        )
    return key.strip(), form.strip()


def with_whole_path(key: str, form: str) -> str:
    """Return the choices of a reward or a track with whole paths instead of relative ones.

    Args:
        key: The field's dotted name.
        form: The values to search.
    """
    if key != "reward" and key not in TRACK_FIELDS:
        return form
    return ",".join(whole_path(choice) for choice in _split_choices(form))


def whole_path(name: str) -> str:
    """Return the absolute path of a file, or any other name as it is."""
    return str(Path(name).absolute()) if Path(name).is_file() else name


def _parse_parameter(given: str, form: str, base: RunConfig) -> SearchParameter:
    key, source = given.replace("-", "_"), f"--param {given}={form}"
    known = list(flatten_tree(base.model_dump(mode="json")))
    if key not in known:
        raise ConfigError(f"{source}: unknown field {given!r}; {hint_at(key, known, ' fields')}")
    field = _field(base, key)
    if found := _RANGE.fullmatch(form):
        parameter = _parse_range(key, field, source, *found.groups())
        values: list[Any] = [parameter.low, parameter.high]
        values = [int(value) if parameter.is_int else value for value in values]
    else:
        parameter = SearchParameter(key, tuple(_split_choices(form)))
        if len(set(parameter.choices)) < max(2, len(parameter.choices)):
            raise ConfigError(
                f"{source}: a search needs different values, got {', '.join(parameter.choices)}; "
                f"the forms are {PARAMETER_FORMS}"
            )
        values = [_parse_choice(choice, source) for choice in parameter.choices]
    for value in values:
        _check(field, value, source)
    return parameter


def _parse_range(
    key: str, field: FieldInfo, source: str, log: str | None, low: str, high: str, step: str | None
) -> SearchParameter:
    least, most, apart = float(low), float(high), None if step is None else float(step)
    written = [low, high, *([step] if step else [])]
    is_whole = all(re.fullmatch(r"[-+]?[\d_]+", number) for number in written)
    is_int = is_whole and _takes_int(field.annotation)
    if not least < most:
        raise ConfigError(f"{source}: {low} must be less than {high}")
    if apart is not None and (log or not 0.0 < apart <= most - least):
        raise ConfigError(
            f"{source}: a step must be above 0 and at most {most - least:g}, and a range with log "
            "has none"
        )
    if log and least <= 0.0:
        raise ConfigError(f"{source}: a range with log begins above 0, got {low}")
    if apart is not None:
        # Optuna too ends the range at the last step.
        most = least + apart * int((most - least) / apart + 1e-9)
    return SearchParameter(key, (), least, most, apart, bool(log), is_int)


def _split_choices(form: str) -> list[str]:
    """Return the parts between commas that are in no brackets."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", form)]


def _parse_choice(choice: str, source: str) -> Any:
    try:
        return yaml.safe_load(choice)
    except yaml.YAMLError as problem:
        raise ConfigError(f"{source}: {choice!r} is not a value in YAML: {problem}") from problem


def _field(base: BaseModel, key: str) -> FieldInfo:
    """Return the description of a field, by its dotted name."""
    there: Any = base
    *path, last = key.split(".")
    for part in path:
        there = there[int(part)] if isinstance(there, tuple) else getattr(there, part)
    return type(there).model_fields[last]


def _takes_int(kind: Any) -> bool:
    """Return whether a type is int, or a union or an annotation of it; a float takes no int."""
    return kind is int or any(_takes_int(one) for one in get_args(kind))


def _check(field: FieldInfo, value: Any, source: str) -> None:
    """Raise ConfigError if a field does not allow a value."""
    kind: Any = Annotated[field.annotation, field]  # pyright: ignore[reportInvalidTypeForm]
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as problem:
        what = problem.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{source}: {what}; got {value!r} ({field.description})") from problem

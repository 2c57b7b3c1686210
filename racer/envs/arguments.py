"""Checks of the arguments of environments' constructors and of `reset`."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from racer.assets.document import hint_at
from racer.envs.config import EnvConfig
from racer.errors import ConfigError, UnexpectedKeywordError
from racer.race import RaceConfig
from racer.registration import ENV_IDS


def refuse_unknown(config: Mapping[str, Any], environment: type) -> None:
    """Raise UnexpectedKeywordError if a keyword is unknown to an environment's constructor."""
    own = inspect.signature(environment).parameters.values()
    known = [argument.name for argument in own if argument.kind is not argument.VAR_KEYWORD]
    known += EnvConfig.model_fields
    for name in config:
        if name not in known:
            raise UnexpectedKeywordError(
                f"{environment.__name__}() got an unexpected keyword argument {name!r}; "
                f"{hint_at(name, known)}"
            )


def with_kind(config: Mapping[str, Any], kind: str | None) -> dict[str, Any]:
    """Return the fields of `EnvConfig` with the kind of race that an environment id stands for.

    Raises:
        ConfigError: `race` names another kind.
    """
    race = config.get("race")
    if kind is None:
        return dict(config)
    if isinstance(race, str):
        race = {"kind": race}
    elif isinstance(race, RaceConfig):
        race = race.model_dump(exclude_unset=True)
    if race is not None and not isinstance(race, Mapping):
        return dict(config)
    race = {"kind": kind, **(race or {})}
    refuse_other(race["kind"], kind)
    return {**config, "race": race}


def refuse_other(got: str, kind: str) -> None:
    """Raise ConfigError if a race is of another kind than the id stands for."""
    if got != kind and got in ENV_IDS:
        raise ConfigError(
            f"racer environment: the id stands for the race {kind!r}, but the arguments ask for "
            f"{got!r}; make {ENV_IDS[got]!r} instead"
        )


def refuse_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> None:
    """Raise ConfigError if `reset` does not know an option."""
    for name in options or {}:
        if name not in known:
            names = ", ".join(known) or "none"
            raise ConfigError(f"reset: unknown option {name!r}; known options: {names}")


def autoreset_mode_of(value: AutoresetMode | str) -> AutoresetMode:
    """Return the autoreset mode of that name; raise ConfigError if it is unknown."""
    try:
        return AutoresetMode(value)
    except ValueError:
        known = ", ".join(mode.value for mode in AutoresetMode)
        raise ConfigError(f"autoreset_mode: unknown {value!r}; known: {known}") from None


def refuse_below_one(name: str, value: Any) -> None:
    """Raise ConfigError if an argument is not an integer of at least 1."""
    if not isinstance(value, int | np.integer) or value < 1:
        raise ConfigError(f"{name}: {value!r}; it must be an integer of at least 1")


def seeds_of(seed: int | Sequence[int | None] | None, n: int) -> list[int | None]:
    """Return the seed, or None, of each of n cars; raise ConfigError if `seed` cannot be used."""
    if seed is None:
        return [None] * n
    seeds: list[int | None]
    try:
        if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str):
            seeds = [None if one is None else operator.index(one) for one in seed]
        else:
            seeds = [operator.index(seed) + i for i in range(n)]  # pyright: ignore
    except TypeError:
        seeds = [-1]
    if len(seeds) != n or any(one is not None and one < 0 for one in seeds):
        raise ConfigError(
            f"reset: seed must be an integer of at least 0, or a list of {n} of them or None, got "
            f"{seed!r:.200}"
        )
    return seeds

"""Take what changes in an object, and put it back."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def take_snapshot(holder: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return copies of an object's attributes, by name."""
    return {name: copy.deepcopy(getattr(holder, name)) for name in names}


def restore_snapshot(holder: Any, values: dict[str, Any]) -> None:
    """Give an object copies of values for its attributes.

    An array is written to in place where it fits, because others may hold a view of it.
    """
    for name, value in values.items():
        own = getattr(holder, name)
        if isinstance(own, np.ndarray) and own.shape == value.shape:
            own[...] = value
        else:
            setattr(holder, name, copy.deepcopy(value))

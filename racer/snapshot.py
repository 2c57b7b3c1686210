"""Copy the attributes of an object that change, and restore them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def take_snapshot(holder: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return deep copies of an object's attributes `names`, by name."""
    return {name: copy.deepcopy(getattr(holder, name)) for name in names}


def restore_snapshot(holder: Any, values: dict[str, Any]) -> None:
    """Set an object's attributes to copies of `values`, by name.

    An array of the same shape is written to in place, because other objects may hold a view of it.
    """
    for name, value in values.items():
        current = getattr(holder, name)
        if isinstance(current, np.ndarray) and current.shape == value.shape:
            current[...] = value
        else:
            setattr(holder, name, copy.deepcopy(value))

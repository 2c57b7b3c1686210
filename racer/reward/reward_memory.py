"""Saves the state that a run of a reward file keeps between steps, and restores it in another run.

A reward may keep state in its globals, in attributes of its classes and functions, in variables
that a function encloses, in instances of its classes, and in all of these in its siblings. The
state is pickled, except for the classes and functions themselves: they are stored by name, so that
a restored object belongs to the run that it is restored into.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import pickle
import sys
from collections.abc import Iterator, Sequence
from enum import EnumMeta
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

CODE_TYPES = (ModuleType, FunctionType, BuiltinFunctionType, type)
"""Types that are not state themselves, but whose attributes may be."""
ENCLOSED_PREFIX = "enclosed "
"""Prefix of the name of a variable that a function encloses; the cell's index follows."""
MemoryVariable = tuple[int, str, str]
"""Index of a run's module, name of the class or function in it ("" for a global), and attribute."""


def take_memory(names: Sequence[str]) -> bytes:
    """Return the pickled state of one run of a reward file.

    Args:
        names: Names of the run's modules in `sys.modules`, the file's own first.

    Raises:
        ValueError: If a variable cannot be pickled, such as an open file; the message names it.
    """
    variables = dict(_variables(names))
    try:
        return _pickled(variables, names)
    except Exception:
        for (_, owner, name), value in variables.items():
            try:
                _pickled(value, names)
            except Exception as problem:
                what = ".".join(filter(None, (owner, name)))
                raise ValueError(f"{what!r} cannot be saved: {problem}") from None
        raise


def restore_memory(names: Sequence[str], memory: bytes) -> None:
    """Replace the state of a run of a reward file by that of another run.

    Args:
        names: Names of the run's modules in `sys.modules`. Modules that only the other run has
            imported are skipped.
        memory: State from `take_memory`.
    """
    variables: dict[MemoryVariable, Any] = _Unpickler(io.BytesIO(memory), names).load()
    for module, owner, name in [place for place, _ in _variables(names) if place not in variables]:
        if not name.startswith(ENCLOSED_PREFIX):
            delattr(_owner(names[module], owner), name)
    for (module, owner, name), value in variables.items():
        if module >= len(names):
            continue
        holder = _owner(names[module], owner)
        if name.startswith(ENCLOSED_PREFIX):
            holder.__closure__[int(name.removeprefix(ENCLOSED_PREFIX))].cell_contents = value
        else:
            setattr(holder, name, value)


def _variables(names: Sequence[str]) -> Iterator[tuple[MemoryVariable, Any]]:
    """Yield each variable of a run's modules that is state, with its value."""
    for number, module in enumerate(names):
        for name, value in list(vars(sys.modules[module]).items()):
            if isinstance(value, CODE_TYPES):
                if getattr(value, "__module__", None) == module:
                    for attribute, held in _attributes(value):
                        yield (number, name, attribute), held
            elif not _is_internal(name):
                yield (number, "", name), value


def _attributes(code: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes and enclosed variables of a class or function that are state."""
    if isinstance(code, EnumMeta):
        return  # its members are constants that cannot be set
    for name, value in list(vars(code).items()):
        # Properties, methods and slots have `__get__`; state does not.
        if not (
            isinstance(value, CODE_TYPES) or hasattr(type(value), "__get__") or _is_internal(name)
        ):
            yield name, value
    for number, cell in enumerate(getattr(code, "__closure__", None) or ()):
        with contextlib.suppress(ValueError):  # an empty cell
            if not isinstance(cell.cell_contents, CODE_TYPES):
                yield f"{ENCLOSED_PREFIX}{number}", cell.cell_contents


def _is_internal(name: str) -> bool:
    """Return whether an attribute is set by Python itself."""
    return (name.startswith("__") and name.endswith("__")) or name == "_abc_impl"


def _owner(module: str, name: str) -> Any:
    return getattr(sys.modules[module], name) if name else sys.modules[module]


def _pickled(value: Any, names: Sequence[str]) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, names).dump(value)
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Stores classes and functions of a run by their module's index, other modules by name."""

    def __init__(self, stream: io.BytesIO, names: Sequence[str]) -> None:
        super().__init__(stream)
        self._numbers = {name: number for number, name in enumerate(names)}

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, ModuleType):
            return self._numbers.get(obj.__name__, obj.__name__), ""
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        if not isinstance(name, str) or module not in self._numbers:
            return None
        return (self._numbers[module], name) if _found(sys.modules[module], name) is obj else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, names: Sequence[str]) -> None:
        super().__init__(stream)
        self._names = names

    def persistent_load(self, pid: Any) -> Any:
        module, name = pid
        if isinstance(module, int):
            module = self._names[module]
        return _found(importlib.import_module(module), name)


def _found(module: ModuleType, name: str) -> Any:
    """Return the object that a module has under a name such as `Class.method`; None if absent."""
    if not name:
        return module
    return functools.reduce(lambda at, part: getattr(at, part, None), name.split("."), module)

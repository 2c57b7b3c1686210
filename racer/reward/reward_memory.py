"""What a reward file remembers from one step to the next: taken, and given to another run of it.

A reward may keep what it likes in its globals, in attributes of its classes and functions, in what
a function encloses, in objects of its classes, and in all that of its siblings. It is pickled, but
for the classes and functions themselves: they are named, so that an object goes on in the run that
it is given to.
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
"""What is no memory, but may have attributes that are."""
ENCLOSED_PREFIX = "enclosed "
"""Begins the name of what a function encloses, before its number."""
MemoryVariable = tuple[int, str, str]
"""Which of a run's modules, the class or function in it (or nothing), and the attribute."""


def take_memory(names: Sequence[str]) -> bytes:
    """Return what the modules of one run of a reward file remember.

    Args:
        names: The modules in `sys.modules`, the file's own first.

    Raises:
        ValueError: A variable cannot be pickled, such as an open file; the message names it.
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
    """Let the modules of a run remember what another run did, and nothing else.

    Args:
        names: The modules in `sys.modules`; those that the other run imported later are missing.
        memory: What `take_memory` returned.
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
    """Every variable of a run's modules that is no code."""
    for number, module in enumerate(names):
        for name, value in list(vars(sys.modules[module]).items()):
            if isinstance(value, CODE_TYPES):
                if getattr(value, "__module__", None) == module:
                    for attribute, held in _attributes(value):
                        yield (number, name, attribute), held
            elif not _is_python_s(name):
                yield (number, "", name), value


def _attributes(code: Any) -> Iterator[tuple[str, Any]]:
    """What a class or a function of the file holds that is no code itself."""
    if isinstance(code, EnumMeta):
        return  # its members are constants, and cannot be set
    for name, value in list(vars(code).items()):
        # Properties, methods and slots have `__get__`; what a step changes does not.
        if not (
            isinstance(value, CODE_TYPES) or hasattr(type(value), "__get__") or _is_python_s(name)
        ):
            yield name, value
    for number, cell in enumerate(getattr(code, "__closure__", None) or ()):
        with contextlib.suppress(ValueError):  # nothing is in it yet
            if not isinstance(cell.cell_contents, CODE_TYPES):
                yield f"{ENCLOSED_PREFIX}{number}", cell.cell_contents


def _is_python_s(name: str) -> bool:
    return (name.startswith("__") and name.endswith("__")) or name == "_abc_impl"


def _owner(module: str, name: str) -> Any:
    return getattr(sys.modules[module], name) if name else sys.modules[module]


def _pickled(value: Any, names: Sequence[str]) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, names).dump(value)
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Names classes and functions of a run by their module's number, and modules by their names."""

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
    """What a name such as `Class.method` stands for in a module; None if for nothing."""
    if not name:
        return module
    return functools.reduce(lambda at, part: getattr(at, part, None), name.split("."), module)

"""What a reward file remembers from one step to the next: taken, and given to another run of it.

A reward may keep what it likes in its globals, in attributes of its classes and functions, in
objects of its classes, and in those of its siblings. All of it is pickled, but for the classes and
functions themselves: they are named, so that an object goes on in the run that it is given to.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
from collections.abc import Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

CODE = (ModuleType, FunctionType, BuiltinFunctionType, type)
"""What is no memory, but may have attributes that are."""
Variable = tuple[int, str, str]
"""Which of a run's modules, the class or function in it (or nothing), and the attribute."""


def remembered(names: Sequence[str]) -> bytes:
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


def remember(names: Sequence[str], memory: bytes) -> None:
    """Let the modules of a run remember what another run did, and nothing else.

    Args:
        names: The modules in `sys.modules`; those that the other run imported later are missing.
        memory: What `remembered` returned.
    """
    variables: dict[Variable, Any] = _Unpickler(io.BytesIO(memory), names).load()
    for module, owner, name in [place for place, _ in _variables(names) if place not in variables]:
        delattr(_owner(names[module], owner), name)
    for (module, owner, name), value in variables.items():
        if module < len(names):
            setattr(_owner(names[module], owner), name, value)


def _variables(names: Sequence[str]) -> Iterator[tuple[Variable, Any]]:
    """Every variable of a run's modules that is no code."""
    for number, module_name in enumerate(names):
        for name, value in list(vars(sys.modules[module_name]).items()):
            is_own = getattr(value, "__module__", None) == module_name
            if isinstance(value, type | FunctionType) and is_own and value.__qualname__ == name:
                for attribute, held in list(vars(value).items()):
                    if _is_memory(attribute, held):
                        yield (number, name, attribute), held
            elif _is_memory(name, value):
                yield (number, "", name), value


def _is_memory(name: str, value: Any) -> bool:
    is_code = isinstance(value, CODE) or hasattr(type(value), "__get__")
    return not is_code and not (name.startswith("__") and name.endswith("__"))


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
        if isinstance(obj, type | FunctionType) and obj.__module__ in self._numbers:
            _found(sys.modules[obj.__module__], obj.__qualname__)
            return self._numbers[obj.__module__], obj.__qualname__
        return None


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
    return functools.reduce(getattr, name.split("."), module) if name else module

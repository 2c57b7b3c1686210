"""Imports the modules beside a reward file, separately for each run of the file."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
import weakref
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


class NeighbourModules:
    """Lets a reward file import modules beside it, e.g. `from helper import LINE`.

    A plain import would load such a sibling once and share it, so that all cars would share its
    globals, and two rewards with a `helper.py` each would share the first one's. Here each run of
    the file is a package with a unique name, and its siblings are modules of that package.

    A sibling takes precedence over an installed module of the same name, as it does beside a
    script, but never over the standard library or `racer` itself.

    Args:
        folder: The folder of the reward file.

    Attributes:
        paths: Files of the siblings imported so far.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.absolute())
        self.paths: list[str] = []
        self._modules: dict[str, list[str]] = {}
        self._codes: dict[str, CodeType] = {}
        self._is_own: dict[str, bool] = {}

    def adopt(self, module: ModuleType) -> list[str]:
        """Turn `module`, a run of the file in `sys.modules`, into a package of its siblings.

        Returns:
            Names in `sys.modules` of the package and its siblings. The list grows as siblings are
            imported.
        """
        module.__path__ = [self._folder]
        self.equip(module)
        _owners[module.__name__] = self
        return self._modules.setdefault(module.__name__, [module.__name__])

    def equip(self, module: ModuleType) -> None:
        """Give a module its own builtins, whose `__import__` finds the siblings of its package."""
        package = module.__name__.partition(".")[0]

        def find(
            name: str,
            globals: dict[str, Any] | None = None,
            locals: dict[str, Any] | None = None,
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> ModuleType:
            top = name.partition(".")[0]
            if level or not self.owns(top):
                return builtins.__import__(name, globals, locals, fromlist or (), level)
            found = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or (), 0)
            return found if fromlist else sys.modules[f"{package}.{top}"]

        vars(module)["__builtins__"] = {**vars(builtins), "__import__": find}

    def owns(self, name: str) -> bool:
        """Return whether `import name` means a module or package beside the reward file."""
        if name not in self._is_own:
            self._is_own[name] = self._is_beside(name)
        return self._is_own[name]

    def _is_beside(self, name: str) -> bool:
        if name in sys.stdlib_module_names or name == "racer":
            return False
        path = os.path.join(self._folder, name)
        if os.path.isfile(f"{path}.py") or os.path.isfile(os.path.join(path, "__init__.py")):
            return True
        if not os.path.isdir(path):
            return False
        # A folder without __init__.py counts as a package only if no such module is installed.
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return True
        return spec is None or spec.origin is None

    def locate(self, parts: Sequence[str]) -> tuple[str, bool] | None:
        """Return the path of a sibling module and whether it is a package; None if there is none.

        The path of a package without an `__init__.py` is its folder.

        Args:
            parts: Parts of the module's dotted name, e.g. `["helper", "lines"]`.
        """
        path = os.path.join(self._folder, *parts)
        if os.path.isfile(file := os.path.join(path, "__init__.py")):
            return file, True
        if os.path.isfile(f"{path}.py"):
            return f"{path}.py", False
        return (path, True) if os.path.isdir(path) else None

    def note(self, name: str) -> None:
        """Record that a sibling with this name in `sys.modules` was imported."""
        self._modules[name.partition(".")[0]].append(name)

    def code(self, path: str) -> CodeType:
        """Return a sibling's code, which is compiled once for all runs of the file."""
        if path not in self._codes:
            self.paths.append(path)
            self._codes[path] = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
        return self._codes[path]


_owners: weakref.WeakValueDictionary[str, NeighbourModules] = weakref.WeakValueDictionary()
"""The `NeighbourModules` of each package that is a run of a reward file, by the package's name."""


def forget_modules(names: Iterable[str]) -> None:
    """Remove modules from `sys.modules`."""
    for name in names:
        sys.modules.pop(name, None)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, siblings: NeighbourModules) -> None:
        super().__init__(name, path)
        self._siblings = siblings

    def exec_module(self, module: ModuleType) -> None:
        self._siblings.equip(module)
        exec(self._siblings.code(self.path), vars(module))


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, *parts = fullname.split(".")
        siblings = _owners.get(package)
        found = siblings.locate(parts) if siblings and parts else None
        if not siblings or not found:
            return None
        siblings.note(fullname)
        file, is_package = found
        if os.path.isdir(file):
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [file]
            return spec
        folder = [os.path.dirname(file)] if is_package else None
        loader = _Loader(fullname, file, siblings)
        return importlib.util.spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=folder
        )


sys.meta_path.insert(0, _Finder())

"""Finds the files that a reward needs beside it: the modules it imports and the data it opens."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from racer.reward.neighbour_modules import NeighbourModules
from racer.reward.reward_file import RewardSource

MAX_FOLDER_FILES = 1000
"""A folder that a reward's code names is taken with all its files, unless it has more than this."""
MAX_FOLDER_BYTES = 64_000_000
"""Such a folder is not taken either if it has more bytes than this."""
CODE_SUFFIXES = (".py", ".pyc", ".so")
"""Suffixes of files that an import opens; modules are found by their imports instead."""
FOREIGN_DIRS = ("__pycache__", "site-packages", "dist-packages")
"""Folders of installed packages and caches, whose files are never taken."""


def files_beside(source: RewardSource, try_out: Callable[[], Any]) -> dict[str, Path]:
    """Return the files that a reward needs in order to run elsewhere, by their relative paths.

    These are the modules in its own folder that it imports anywhere in its code, the files and
    folders named by a string in its code, and the files that it opens while `try_out` runs. Paths
    are relative to the reward's folder, or to the current folder for a file that the reward opens
    by a relative path from there.

    Args:
        source: The reward.
        try_out: Loads the reward and calls it a few times; its output and exceptions are
            discarded.
    """
    folder = str(source.path.absolute().parent)
    modules = _imported(source, folder)
    codes = [(folder, source.content)]
    codes += [(str(path.parent), path.read_bytes()) for path in modules.values()]
    with _TRY_LOCK, _recorded_opens() as opened, _silence(), contextlib.suppress(Exception):
        try_out()
    found: dict[str, Path] = dict(modules)
    for path in [*opened, *(path for code in codes for path in _named_paths(*code, folder))]:
        name = _copy_name(path, folder)
        if name and os.path.isfile(path) and not name.endswith(CODE_SUFFIXES):
            found.setdefault(name, Path(path).absolute())
    return {Path(name).as_posix(): path for name, path in sorted(found.items())}


def _copy_name(path: str, folder: str) -> str:
    """Return the relative path at which a run's copy of `path` must lie; "" if none is needed.

    An absolute path in the reward's folder was made from `__file__`, so it becomes relative to
    that folder. A relative path stays as it is.
    """
    name = os.path.normpath(path)
    if os.path.isabs(path) or name.startswith(os.pardir):
        name = os.path.relpath(path, folder)
    parts = Path(name).parts
    is_foreign = any(part.startswith(".") or part in FOREIGN_DIRS for part in parts)
    return "" if is_foreign or not parts else name


def _imported(source: RewardSource, folder: str) -> dict[str, Path]:
    """Return the modules beside a reward that it or they import, by their relative paths."""
    siblings = NeighbourModules(Path(folder))
    found: dict[str, Path] = {}
    waiting: list[tuple[bytes, tuple[str, ...]]] = [(source.content, ())]
    while waiting:
        code, package = waiting.pop()
        for parts in _imports(code, package):
            # `import a.b` runs a/__init__.py too.
            for depth in range(1, len(parts) + 1):
                at = siblings.locate(parts[:depth]) if siblings.owns(parts[0]) else None
                if at is None or os.path.isdir(at[0]):
                    continue
                name = os.path.relpath(at[0], folder)
                if name not in found and name != source.path.name:
                    found[name] = Path(at[0])
                    inside = parts[:depth] if at[1] else parts[: depth - 1]
                    waiting.append((found[name].read_bytes(), inside))
    return found


def _imports(code: bytes, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the parts of each dotted module name that a package's code may import."""
    for node in _nodes(code):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            # A name imported from a package may be a submodule.
            yield from ((*base, alias.name) for alias in node.names)


def _named_paths(own: str, code: bytes, folder: str) -> Iterator[str]:
    """Yield the paths that the strings in a module may name, and the files in such folders.

    Args:
        own: The folder of the module.
        code: The module's source.
        folder: The folder of the reward.
    """
    strings = {
        node.value
        for node in _nodes(code)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for text in sorted(strings):
        text = text.lstrip("/")
        if not text or len(text) > 255 or "\0" in text or "\n" in text or not text.strip("./"):
            continue
        for path in {os.path.join(own, text), os.path.join(folder, text)}:
            yield from _files_in(path) if os.path.isdir(path) else [path]
        yield text


def _files_in(folder: str) -> list[str]:
    """Return the files in a folder; none if it is too large to be a reward's data."""
    paths, size = [], 0
    for at, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in FOREIGN_DIRS
        ]
        paths += [os.path.join(at, name) for name in files]
        size += sum(os.path.getsize(os.path.join(at, name)) for name in files)
        if len(paths) > MAX_FOLDER_FILES or size > MAX_FOLDER_BYTES:
            return []
    return paths


def _nodes(code: bytes) -> Iterator[ast.AST]:
    try:
        yield from ast.walk(ast.parse(code))
    except (SyntaxError, ValueError):
        return  # The error is reported when the module is imported.


_TRY_LOCK = threading.Lock()
"""Held while a reward is tried, because all threads share `sys.stdout` and `_listeners`."""
_listeners: list[tuple[int, list[str]]] = []
"""Id of the thread that tries a reward, and the paths that it has opened."""


@contextmanager
def _recorded_opens() -> Iterator[list[str]]:
    """Record the paths that this thread opens for reading inside the block."""
    _install_hook()
    paths: list[str] = []
    _listeners.append((threading.get_ident(), paths))
    try:
        yield paths
    finally:
        _listeners.pop()


@functools.cache
def _install_hook() -> None:
    sys.addaudithook(_record_open)  # Audit hooks cannot be removed, so install one only once.


def _record_open(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" or not _listeners:
        return
    thread, paths = _listeners[-1]
    path, _, flags = args
    is_read = flags & (os.O_WRONLY | os.O_RDWR) == 0
    if is_read and not isinstance(path, int) and threading.get_ident() == thread:
        paths.append(os.fsdecode(path))


@contextmanager
def _silence() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield

"""Runs at an fsspec URL: each file once under its SHA-256, and a list of a run's files by name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from racer.assets.atomic import write_atomically
from racer.assets.caches import user_cache
from racer.assets.remote_files import RemoteFolder, is_remote
from racer.entries.package import LABEL_RULE, is_label
from racer.errors import RunError
from racer.training.run_dir import Run

StorageProgress = Callable[[int, int], None]
"""Called with the number of files that were copied or found, and the number of all files."""
OF_THE_PROCESS = frozenset({"lock", "stop", "pause", "evaluate", "watching", "live.ring"})
"""Files of a run's folder that belong to the process that trains it, and are not copied."""
INDEX_FILES = ("run.json", "checkpoints.json", "best.json")
"""Files that name others; a copy is consistent if they did not change while it was read."""
MAX_READS = 5
"""How often a run that changes while it is read is read again."""


class PushedRun(NamedTuple):
    """What was copied to a URL.

    Attributes:
        url: The URL of the run, for `pull_run`.
        files: Number of the run's files.
        sent: Number of files that were not there before.
        sent_bytes: Their size.
    """

    url: str
    files: int
    sent: int
    sent_bytes: int


def push_run(
    run: Run, url: str, name: str | None = None, tell: StorageProgress = lambda done, all: None
) -> PushedRun:
    """Copy a run's folder to a URL; a run that is being trained may be copied again and again.

    Only files whose content is not there yet are sent. The list of the run's files, `NAME.json`, is
    written last, so an interrupted copy leaves the earlier one.

    Args:
        run: The run.
        url: A URL that fsspec knows; several runs may be there.
        name: What the run is called there; as its folder by default.
        tell: Called after each file.

    Raises:
        RunError: The name is not allowed, another run has it there, or the run cannot be read.
        RemoteError: The files cannot be written.
    """
    name, remote = name or run.folder.resolve().name, RemoteFolder(url)
    if not is_label(name) or "/" in name:
        raise RunError(f"the name {name!r:.80} does not fit a run; wanted are {LABEL_RULE}, no /")
    identity = _identity(run)
    try:
        if (there := _listed(remote, name)["run"]) != identity:
            raise RunError(
                f"{remote.url}/{name} is another run, begun at {there['began']}; give this one "
                "another --name"
            )
    except FileNotFoundError:
        pass
    sent, sent_bytes = 0, 0
    files: dict[str, dict[str, Any]] = {}
    for attempt in range(MAX_READS):
        files, before, paths = {}, _index(run), _paths(run)
        for done, path in enumerate(paths, start=1):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                break  # a checkpoint that is no longer needed; the index shows whether it is
            except OSError as problem:
                raise RunError(f"{path}: cannot be read: {problem.strerror}") from problem
            sha256 = hashlib.sha256(content).hexdigest()
            if not remote.has(f"files/{sha256}"):
                remote.write(f"files/{sha256}", content)
                sent, sent_bytes = sent + 1, sent_bytes + len(content)
            inside = path.relative_to(run.folder).as_posix()
            files[inside] = {"sha256": sha256, "size": len(content)}
            tell(done, len(paths))
        if len(files) == len(paths) and _index(run) == before:
            break
        if attempt == MAX_READS - 1:
            raise RunError(f"{run.folder} changes while it is copied; pause it, and try again")
    text = json.dumps({"schema_version": 1, "run": identity, "files": files}, indent=1)
    remote.write(f"{name}.json", text.encode())
    return PushedRun(f"{remote.url}/{name}", len(files), sent, sent_bytes)


def pull_run(url: str, folder: Path, tell: StorageProgress = lambda done, all: None) -> Run:
    """Copy a run from a URL to a folder, and return it.

    Each file is compared with its SHA-256 and kept in the user's cache, from which it is taken the
    next time. An interrupted copy can be started again.

    Args:
        url: The URL of the run, which `push_run` returns.
        folder: The folder, missing or empty, or left by an interrupted copy of the same state.
        tell: Called after each file.

    Raises:
        RunError: There is no such run, its list cannot be used, a file is missing or was changed,
            or the folder has other files or cannot be written.
        RemoteError: The files cannot be read.
    """
    above, _, name = url.rstrip("/").rpartition("/")
    if not is_remote(above):
        raise RunError(f"{url}: no URL of a run; `racer runs push` prints it")
    remote = RemoteFolder(above)
    try:
        files = _listed(remote, name)["files"]
    except FileNotFoundError as problem:
        raise RunError(f"{url}: there is no such run; check the name") from problem
    _refuse_other_files(folder, files)
    # The config comes last, because a folder with one is a run.
    order = sorted(files, key=lambda inside: (inside == "config.yaml", inside))
    for done, inside in enumerate(order, start=1):
        path, sha256 = folder / inside, files[inside]["sha256"]
        if not path.is_file():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, _content(remote, sha256))
            except OSError as problem:
                raise RunError(f"{path}: cannot be written: {problem.strerror}") from problem
        tell(done, len(order))
    return Run.open(folder)


def _identity(run: Run) -> dict[str, str]:
    """Return what distinguishes a run from others of the same name, however far it is trained."""
    if began := str(run.story().get("began", "")):
        return {"began": began}
    config = (run.folder / "config.yaml").read_bytes()  # a run of an older racer
    return {"began": "an unknown time", "config_sha256": hashlib.sha256(config).hexdigest()}


def _paths(run: Run) -> list[Path]:
    """Return the files of a run, its index first, without those of the process that trains it."""
    found = [
        path
        for path in sorted(run.folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(run.folder).as_posix() not in OF_THE_PROCESS
        and not path.name.endswith(".part")
    ]
    return sorted(found, key=lambda path: path.name not in INDEX_FILES)


def _index(run: Run) -> list[bytes | None]:
    """Return the contents of the files that name others."""
    paths = [run.folder / name for name in INDEX_FILES]
    return [path.read_bytes() if path.is_file() else None for path in paths]


def _listed(remote: RemoteFolder, name: str) -> dict[str, Any]:
    """Return the list of a run's files; raise FileNotFoundError if there is none."""
    where = f"{remote.url}/{name}.json"
    try:
        tree = json.loads(remote.read(f"{name}.json"))
        if tree["schema_version"] != 1:
            raise ValueError(f"schema {tree['schema_version']} is not known; update racer")
        for inside, about in tree["files"].items():
            parts = PurePosixPath(inside).parts
            is_inside = bool(parts) and "\\" not in inside and parts[0] != "/"
            if not is_inside or ".." in parts or ":" in parts[0]:
                raise ValueError(f"{inside!r:.80} leads out of the run's folder")
            if not re.fullmatch("[0-9a-f]{64}", about["sha256"]):
                raise ValueError(f"{inside!r:.80} has no SHA-256")
        return {"run": dict(tree["run"]), "files": tree["files"]}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RunError(f"{where}: no list of a run's files: {problem}") from problem


def _refuse_other_files(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file():
            continue
        about = files.get(path.relative_to(folder).as_posix())
        if not about or hashlib.sha256(path.read_bytes()).hexdigest() != about["sha256"]:
            raise RunError(
                f"{path} is not a file of that run as it is there now, and is not written over; "
                "name a new folder with --out"
            )


def _content(remote: RemoteFolder, sha256: str) -> bytes:
    """Return a file by its SHA-256, from the user's cache or from the URL."""
    cache = user_cache()
    kept = cache / "racer" / "files" / sha256 if cache else None
    if kept and kept.is_file():
        content = kept.read_bytes()
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
    try:
        content = remote.read(f"files/{sha256}")
    except FileNotFoundError as problem:
        raise RunError(f"{remote.url}/files/{sha256}: the file is missing") from problem
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RunError(f"{remote.url}/files/{sha256}: the file was changed; push the run again")
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, content)
    return content

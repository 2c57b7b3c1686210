"""A run's checkpoints: written atomically, verified by their hashes, and deleted when obsolete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from racer.assets.atomic import write_atomically
from racer.errors import RunError

CHECKPOINTS_FILE = "checkpoints.json"
"""Name of the manifest, which lies in a run's folder beside the folder `checkpoints`."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as the manifest lists it.

    Attributes:
        file: The name of its file in the folder `checkpoints`.
        steps: Control steps trained before it, over all cars.
        sha256: SHA-256 of its content, in hexadecimal.
        is_whole: Whether it was saved at the end of a chunk, so that the run can be resumed from
            it. A checkpoint that is saved because the run is interrupted within a chunk holds the
            learner, but no run can be resumed from it.
        best: The file of the best checkpoint when this one was saved; None if there was none.
    """

    file: str
    steps: int
    sha256: str
    is_whole: bool
    best: str | None


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: The run's folder.

    Attributes:
        folder: The folder of the checkpoints' files, `checkpoints` in the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._manifest = folder / "checkpoints", folder / CHECKPOINTS_FILE

    def known(self) -> list[Checkpoint]:
        """Return the checkpoints that the manifest lists, the oldest first.

        Raises:
            RunError: The manifest cannot be read.
        """
        try:
            tree = json.loads(self._manifest.read_text(encoding="utf-8"))
            return [Checkpoint(**one) for one in tree["checkpoints"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise RunError(f"{self._manifest}: not a list of checkpoints: {problem}") from problem

    def save(
        self, content: bytes, steps: int, is_whole: bool, best: str | None, keep: int | None
    ) -> Checkpoint:
        """Write a checkpoint, list it in the manifest, and delete the obsolete ones.

        The newest `keep` whole checkpoints are kept, and the best checkpoint of each of them. A
        checkpoint that is not whole never replaces a whole one after the same steps: then nothing
        is written, and the whole one is returned.

        Args:
            content: What `pack_checkpoint` returned.
            steps: Control steps trained so far, over all cars.
            is_whole: Whether the run can be resumed from it.
            best: The file of the best checkpoint so far; None if there is none.
            keep: Number of whole checkpoints to keep; None to keep all.

        Returns:
            The checkpoint as the manifest lists it.

        Raises:
            OSError: It cannot be written; the files that existed before are unchanged.
        """
        known = self.known()
        there = next((one for one in known if one.steps == steps and one.is_whole), None)
        if there and not is_whole:
            return there
        file = f"step-{steps}.pt"
        write_atomically(self.folder / file, content)
        new = Checkpoint(file, steps, hashlib.sha256(content).hexdigest(), is_whole, best)
        known = [one for one in known if one.file != file] + [new]
        whole = [one for one in known if one.is_whole][-(keep or 0) :]
        needed = {one.file for one in whole} | {one.best for one in whole} | {file}
        # Before the first whole checkpoint, all are kept.
        left = [one for one in known if one.file in needed or not whole or keep is None]
        self._write(left)
        for one in known:
            if one not in left:
                (self.folder / one.file).unlink(missing_ok=True)
        return new

    def read(self, file: str) -> bytes:
        """Return a checkpoint's content, verified by the SHA-256 in the manifest.

        Raises:
            RunError: The file is missing, cut short or altered.
        """
        path = self.folder / file
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise RunError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
        wanted = next((one.sha256 for one in self.known() if one.file == file), None)
        got = hashlib.sha256(content).hexdigest()
        if wanted and got != wanted:
            raise RunError(
                f"{path}: cut short or altered: its SHA-256 is {got[:12]}, "
                f"{CHECKPOINTS_FILE} wants {wanted[:12]}"
            )
        return content

    def newest_whole(self, say: Callable[[str], None]) -> tuple[Checkpoint, bytes] | None:
        """Return the newest whole checkpoint and its content; None if the run has none yet.

        Args:
            say: Called with a warning for each damaged checkpoint, which is skipped.

        Raises:
            RunError: All whole checkpoints are damaged, or there are files but no manifest.
        """
        known = self.known()
        for one in reversed([one for one in known if one.is_whole]):
            try:
                return one, self.read(one.file)
            except RunError as problem:
                say(f"{problem}; the checkpoint before it is taken")
        if any(one.is_whole for one in known):
            raise RunError(f"{self.folder}: no checkpoint is left that is not damaged")
        if not known and any(self.folder.glob("step-*.pt")):
            raise RunError(
                f"{self.folder}: there is no {CHECKPOINTS_FILE} to say what these files are"
            )
        return None

    def rewind(self, steps: int) -> None:
        """Delete every file except the whole checkpoints up to `steps` and their best ones.

        Args:
            steps: Control steps after which the run will be resumed; 0 to start again.
        """
        left = [one for one in self.known() if one.steps <= steps and one.is_whole]
        bests = {one.best for one in left}
        left = [one for one in self.known() if one in left or one.file in bests]
        self._write(left)
        names = {one.file for one in left}
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink()

    def unneeded(self, best: str | None) -> list[Checkpoint]:
        """Return the checkpoints that are neither the best one nor needed to resume the run.

        Args:
            best: The file of the best checkpoint; None if none was evaluated.

        Raises:
            RunError: The manifest cannot be read.
        """
        known = self.known()
        resumed = [one for one in known if one.is_whole][-1:]
        needed = {best, *(file for one in resumed for file in (one.file, one.best))}
        return [one for one in known if one.file not in needed] if resumed else []

    def delete(self, checkpoints: Collection[Checkpoint]) -> None:
        """Delete checkpoints, from the manifest first.

        Raises:
            OSError: A file cannot be written or deleted.
        """
        self._write([one for one in self.known() if one not in checkpoints])
        for one in checkpoints:
            (self.folder / one.file).unlink(missing_ok=True)

    def _write(self, checkpoints: list[Checkpoint]) -> None:
        tree = {"checkpoints": [asdict(one) for one in checkpoints]}
        write_atomically(self._manifest, json.dumps(tree, indent=2).encode())

"""A run's checkpoints: written whole, known by their hashes, and the older ones dropped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from racer.assets.atomic import write_atomically
from racer.errors import RunError

CHECKPOINTS_FILE = "checkpoints.json"
"""In a run's folder, beside the folder `checkpoints`."""


@dataclass(frozen=True)
class Checkpoint:
    """A line of the manifest.

    Attributes:
        file: Its name in `checkpoints`.
        steps: Training steps before it.
        sha256: Digest of its bytes, in hexadecimal.
        is_whole: Whether it ends a chunk, so that a run can go on from it; what is saved where a
            run is cut short within one holds what was learnt, and no more.
        best: The best checkpoint's file as it was known then.
    """

    file: str
    steps: int
    sha256: str
    is_whole: bool
    best: str | None


class Checkpoints:
    """The checkpoints of the run in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._manifest = folder / "checkpoints", folder / CHECKPOINTS_FILE

    def known(self) -> list[Checkpoint]:
        """What the manifest lists, the oldest first.

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
        self, content: bytes, steps: int, is_whole: bool, best: str | None, keep: int
    ) -> Checkpoint:
        """Write a checkpoint, list it, and drop those that nobody needs any more.

        Of the whole ones the newest `keep` stay, and what each of them knew as the best. One that
        is not whole never takes the place of a whole one.

        Raises:
            OSError: It cannot be written; what was there is untouched.
        """
        known = self.known()
        there = next((one for one in known if one.steps == steps and one.is_whole), None)
        if there and not is_whole:
            return there
        file = f"step-{steps}.pt"
        write_atomically(self.folder / file, content)
        new = Checkpoint(file, steps, hashlib.sha256(content).hexdigest(), is_whole, best)
        known = [one for one in known if one.file != file] + [new]
        whole = [one for one in known if one.is_whole][-keep:]
        needed = {one.file for one in whole} | {one.best for one in whole} | {file}
        # While nothing is whole yet, nothing is old.
        left = [one for one in known if one.file in needed or not whole]
        self._write(left)
        for one in known:
            if one not in left:
                (self.folder / one.file).unlink(missing_ok=True)
        return new

    def read(self, file: str) -> bytes:
        """A checkpoint's bytes, which are those that were written.

        Raises:
            RunError: It is missing, cut short or altered.
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
                f"{CHECKPOINTS_FILE} wants "
                f"{wanted[:12]}"
            )
        return content

    def newest_whole(self, say: Callable[[str], None]) -> tuple[Checkpoint, bytes] | None:
        """The newest checkpoint that a run can go on from; None where there is none yet.

        Args:
            say: Told of each that is damaged; the one before it is taken then.

        Raises:
            RunError: There are some, and all are damaged, or they are not listed.
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
        """Drop what came after `steps` steps, and whatever else lies there."""
        left = [one for one in self.known() if one.steps <= steps and one.is_whole]
        bests = {one.best for one in left}
        left = [one for one in self.known() if one in left or one.file in bests]
        self._write(left)
        names = {one.file for one in left}
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink()

    def _write(self, checkpoints: list[Checkpoint]) -> None:
        tree = {"checkpoints": [asdict(one) for one in checkpoints]}
        write_atomically(self._manifest, json.dumps(tree, indent=2).encode())

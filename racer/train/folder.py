"""A run's folder: what is written there, and reading it back."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from racer.assets.atomic import write_atomically
from racer.assets.document import read
from racer.errors import RunError
from racer.train.config import RunConfig

if TYPE_CHECKING:
    from stable_baselines3 import PPO


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    `config.yaml` is the resolved config, `reward.py` a copy of the reward, `checkpoints/step-N.pt`
    a state of policy and optimiser after N steps, `best.json` names the best of them,
    `evaluations.jsonl` holds a line an evaluation, `episodes.jsonl` one a training episode,
    `lines/step-N.npz` the line driven in an evaluation (see `racer.train.lines`), and
    TensorBoard's events lie beside them.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path, config: RunConfig, reward: bytes) -> Run:
        """A new folder with the resolved config and a copy of the reward file in it.

        Raises:
            RunError: The folder already holds a run, or cannot be written.
        """
        if (folder / "config.yaml").exists():
            raise RunError(
                f"{folder} already holds a run; name another with --run, or remove that folder"
            )
        run = cls(folder)
        try:
            run.checkpoints.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
            write_atomically(folder / "reward.py", reward)
            write_atomically(folder / "config.yaml", text.encode())
        except OSError as problem:
            raise RunError(f"{folder}: cannot be written: {problem}") from problem
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """An existing run.

        Raises:
            RunError: There is no run in that folder.
        """
        if not (folder / "config.yaml").is_file():
            raise RunError(
                f"{folder} holds no run: it has no config.yaml; see the folders in runs/"
            )
        return cls(folder)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    def config(self) -> RunConfig:
        """The resolved config that the run was started with."""
        return read(self.folder / "config.yaml", RunConfig, RunError)

    def save(self, model: PPO, steps: int) -> Path:
        """Write policy and optimiser after `steps` steps, whole or not at all."""
        import torch

        buffer = io.BytesIO()
        state = {"policy": model.policy.state_dict(), "steps": steps}
        torch.save(state | {"optimizer": model.policy.optimizer.state_dict()}, buffer)
        path = self.checkpoints / f"step-{steps}.pt"
        write_atomically(path, buffer.getvalue())
        return path

    def mark_best(self, checkpoint: Path, result: dict[str, Any]) -> None:
        """Name the checkpoint that an export takes."""
        record = {"checkpoint": checkpoint.name, "result": result}
        write_atomically(self.folder / "best.json", json.dumps(record, indent=2).encode())

    def best(self) -> Path:
        """The best checkpoint; the newest where none was evaluated.

        Raises:
            RunError: The run saved no checkpoint.
        """
        record = self.folder / "best.json"
        if record.is_file():
            return self.checkpoints / json.loads(record.read_text())["checkpoint"]
        saved = sorted(self.checkpoints.glob("step-*.pt"), key=_steps)
        if not saved:
            raise RunError(f"{self.folder} has no checkpoint yet; train it for longer")
        return saved[-1]

    def log(self, name: str, records: list[dict[str, Any]]) -> None:
        """Append a line each to `<name>.jsonl`, one of `evaluations` and `episodes`."""
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(record) + "\n" for record in records)

    def records(self, name: str) -> list[dict[str, Any]]:
        """What `log` wrote; nothing where it wrote nothing.

        Raises:
            RunError: A line cannot be read.
        """
        path = self.folder / f"{name}.jsonl"
        if not path.is_file():
            return []
        found = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                found.append(json.loads(line))
            except ValueError as problem:
                raise RunError(f"{path}:{number}: not a line of JSON: {problem}") from problem
        return found

    def line(self, steps: int) -> Path:
        """Where the line driven in the evaluation after `steps` steps is kept."""
        return self.folder / "lines" / f"step-{steps}.npz"


def _steps(path: Path) -> int:
    found = re.fullmatch(r"step-(\d+)", path.stem)
    return int(found.group(1)) if found else -1

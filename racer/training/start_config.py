"""The config that a training starts from: a shipped one, a file's, or another run's."""

from __future__ import annotations

from pathlib import Path

from racer import assets
from racer.assets.document import read_document
from racer.errors import ConfigError, RunError
from racer.training.checkpoint_choice import split_checkpoint
from racer.training.config import RunConfig
from racer.training.run_dir import Run


def start_config(config: str | None, parent: str | None) -> tuple[RunConfig, str]:
    """Return the config that a training starts from, and its name.

    Args:
        config: A shipped config's name, or a YAML file; None for the config of the parent.
        parent: The policy whose weights the training begins with, as users write it; see
            `racer.training.parent.load_parent`.

    Raises:
        ConfigError: There is no config.
        RunError: The parent is no run.
    """
    if config is not None:
        path = assets.find_file(config, "configs")
        return read_document(path, RunConfig), path.stem
    if parent is None:
        known = ", ".join(assets.shipped_names("configs"))
        raise ConfigError(f"racer train wants a CONFIG: a YAML file, or one of {known}")
    path, _ = split_checkpoint(parent)
    if path.is_file():
        raise ConfigError(
            f"--from {parent}: an entry holds no config; name a CONFIG with its network: "
            f"racer train CONFIG --from {parent}"
        )
    run = parent_run(path, parent)
    return run.config(), run.story().get("config") or "run"


def parent_run(folder: Path, parent: str) -> Run:
    """Return the run in a folder.

    Args:
        folder: The folder.
        parent: The run as the user wrote it, for messages.

    Raises:
        RunError: There is no such folder, or it holds no run.
    """
    if not folder.exists():
        raise RunError(f"--from {parent}: no such run or entry; see `racer runs list`")
    return Run.open(folder)

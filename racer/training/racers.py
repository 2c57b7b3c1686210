"""What may race, as users name it: an entry, a run's policy, or a baseline controller."""

from __future__ import annotations

from pathlib import Path

from racer.controllers import CONTROLLERS
from racer.entries.package import Entry, read_entry
from racer.errors import ConfigError
from racer.training.checkpoint_choice import CheckpointChoice, split_checkpoint


def racer_named(word: str, checkpoint: CheckpointChoice | None = None) -> Entry | str:
    """Return an entry, or the name itself if it is a baseline controller's.

    Args:
        word: `ENTRY`, `RUN`, `RUN@best`, `RUN@last`, `RUN@STEPS`, or a baseline controller's name.
            A run's policy becomes an entry as its export does.
        checkpoint: The checkpoint of a run that is named without one; None for the best.

    Raises:
        ConfigError: A checkpoint of something else than a run is asked for.
        RacerError: There is no such entry, run or checkpoint, or it cannot be used.
    """
    if word in CONTROLLERS:
        return word
    path, chosen = split_checkpoint(word)
    if _is_run(path):
        from racer.training.export import entry_of_run

        return entry_of_run(path, chosen or checkpoint or "best")
    if chosen is not None and path.is_file():
        raise ConfigError(f"{word}: an entry holds one policy; leave out @{chosen}")
    return read_entry(path if chosen is None else Path(word))


def training_track(word: str, racer: Entry | str) -> str | None:
    """Return the track that a policy was trained on; None if it is not known.

    Args:
        word: What the user wrote; a run has copies of its tracks.
        racer: What `racer_named` returned for it.
    """
    path, _ = split_checkpoint(word)
    if word not in CONTROLLERS and _is_run(path):
        from racer.training.run_dir import Run

        return Run.open(path).config().track[0]
    return None if isinstance(racer, str) else racer.manifest.trained_on.track


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()

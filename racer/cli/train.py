"""The verbs that make a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any

from racer.cli.output import sentence
from racer.errors import ConfigError


def train(words: Sequence[str]) -> None:
    """Train a policy: `racer train CONFIG [--run FOLDER] [overrides]`."""
    import tyro
    from pydantic import ValidationError

    from racer import assets
    from racer.assets.document import explain, read
    from racer.train.config import RunConfig

    if not words or words[0].startswith("-"):
        wanted = ", ".join(assets.names("configs"))
        if words and words[0] not in ("-h", "--help"):
            raise ConfigError(f"racer train wants a config first: a YAML file, or one of {wanted}")
        print(f"usage: racer train CONFIG [options]; CONFIG: a YAML file, or one of {wanted}")
        print("`racer train CONFIG --help` lists every option with its value in that config")
        return
    path = assets.find(words[0], "configs")
    config = read(path, RunConfig)

    folder = tyro.conf.arg(help="the run's folder; runs/<config>-<time> if not given")
    logs = tyro.conf.arg(help="also write the logs that DeepRacer's analysis tools read")
    fields: list[Any] = [
        ("config", Annotated[RunConfig, tyro.conf.arg(name="")]),
        ("run", Annotated[Path | None, folder], None),
        ("deepracer_logs", Annotated[bool, logs], False),
    ]
    Options = make_dataclass("Options", fields)
    try:
        options = tyro.cli(
            Options,
            prog=f"racer train {words[0]}",
            args=words[1:],
            default=Options(config),
            config=(tyro.conf.AvoidSubcommands,),
        )
    except ValidationError as problem:
        raise ConfigError(explain(problem, RunConfig, "command line")) from problem
    _train(options.config, options.run or _new_run(path.stem), options.deepracer_logs)


def _new_run(stem: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"


def _train(config: Any, folder: Path, deepracer_logs: bool = False) -> None:
    from racer.train.run import train as run

    watch = run(config, folder, deepracer_logs=deepracer_logs)
    print(f"run: {folder}")
    if watch.best is not None:
        print(f"best: {sentence(watch.best)}")
    if watch.stop:
        why = "its minutes were up" if watch.is_out_of_time else "it was stopped"
        print(f"training ended early because {why}; what it learnt is saved")
    print(f"next: racer export {folder} --out {folder.name}.entry.zip")


def export(run: Path, out: Path | None = None, name: str = "", key: Path | None = None) -> None:
    """Package a run's best policy as an entry.

    Args:
        run: The run's folder.
        out: The entry to write; <run>.entry.zip where it is not given.
        name: What the entry is called on a board; the run's name where it is not given.
        key: Sign it with this private key, made by `racer board keygen`.
    """
    from racer.policy.signing import read_key
    from racer.train.export import export_run

    path = out or Path(f"{run.name}.entry.zip")
    digest = export_run(run, path, name or run.name, read_key(key) if key else None)
    print(f"entry: {path} (SHA-256 {digest[:12]})")

"""The records of the lap speedrun: a JSON file, and the table made from it."""

from __future__ import annotations

import subprocess
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from racer.assets.atomic import write_atomically
from racer.assets.document import Document, read_document
from racer.assets.overrides import with_overrides
from racer.errors import ConfigError
from racer.tables import FittedTable, TableColumn
from racer.training.config import RunConfig
from racer.training.machine_description import describe_machine
from racer.training.run_history import config_differences
from racer.training.speedrun import SpeedrunComparison

RECORDS_FILE = Path("docs/speedrun.json")
"""The records of a checkout of racer."""

CHECKOUT = Path(__file__).parents[2]
"""The folder around the package: a checkout, unless racer was installed from a wheel."""
CODE_FOLDERS = ("racer", "configs", "tracks")
"""Folders of a checkout that a training time depends on."""


class MadeOn(NamedTuple):
    """What a time depends on beside the config.

    Attributes:
        commit: See `current_commit`.
        machine: See `describe_machine`.
    """

    commit: str
    machine: str

    @classmethod
    def here(cls, device: str) -> MadeOn:
        """Return the code and the machine of this process.

        Args:
            device: The config's device.
        """
        return cls(current_commit(), describe_machine(device))


class SpeedrunRecord(Document):
    """A config that was faster than all before it in its category."""

    track: str = Field(description="track of the evaluation")
    sensor: str = Field(description="kind of the sensors")
    date: str = Field(description="day of the measurement, ISO 8601")
    name: str = Field(description="name of the config")
    config: dict[str, Any] = Field(description="fields that differ from the defaults, dotted names")
    commit: str = Field(description="commit of racer, with -dirty if files were changed")
    machine: str = Field(description="processor, cores, memory and GPU")
    limit_s: float = Field(gt=0, description="limit of one run [s]")
    seeds: tuple[int, ...] = Field(description="seed of each run")
    seconds: tuple[float, ...] = Field(description="time of each run [s]")
    median_s: float = Field(gt=0, description="median of `seconds` [s]")
    beaten: str | None = Field(default=None, description="name of the record before")
    beaten_seconds: tuple[float, ...] = Field(
        default=(), description="its times on the same machine [s]"
    )
    p: float | None = Field(default=None, description="p-value of the test; null for the first")

    def run_config(self) -> RunConfig:
        """Return the record's config.

        Raises:
            ConfigError: It does not fit this version of racer.
        """
        return with_overrides(RunConfig(), self.config, f"record {self.name}")


class SpeedrunRecords(Document):
    """All records, the oldest first."""

    records: tuple[SpeedrunRecord, ...] = Field(default=(), description="the records")

    def standing(self, track: str, sensor: str) -> SpeedrunRecord | None:
        """Return the newest record of a category; None if there is none.

        Args:
            track: The track.
            sensor: The kind of the sensors.
        """
        same = self.of(track, sensor).records
        return same[-1] if same else None

    def of(self, track: str | None, sensor: str | None) -> SpeedrunRecords:
        """Return the records of a track and of a kind of sensor.

        Args:
            track: The track; None for all.
            sensor: The kind of the sensors; None for all.
        """
        same = [
            one
            for one in self.records
            if track in (None, one.track) and sensor in (None, one.sensor)
        ]
        return SpeedrunRecords(records=tuple(same))


def read_records(path: Path) -> SpeedrunRecords:
    """Return the records in a file.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file; start racer in a checkout, which has {RECORDS_FILE}, or name "
            "another file with --records"
        )
    return read_document(path, SpeedrunRecords)


def add_record(path: Path, record: SpeedrunRecord) -> None:
    """Append a record to a file.

    Raises:
        ConfigError: The file cannot be read or written.
    """
    known = read_records(path)
    new = known.model_copy(update={"records": (*known.records, record)})
    try:
        write_atomically(path, new.model_dump_json(indent=2).encode() + b"\n")
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be written: {problem.strerror}") from problem


def _changes(config: RunConfig) -> dict[str, Any]:
    """Return the fields that differ from the defaults by dotted names; the sensors as one list.

    A config with these changes is the same again, whatever the default sensor is.
    """
    changed = config_differences(config)
    sensors = [key for key in changed if key.partition(".")[0] == "sensor"]
    fields = {key: value for key, value in changed.items() if key not in sensors}
    return ({"sensor": config.model_dump(mode="json")["sensor"]} if sensors else {}) | fields


def make_record(
    comparison: SpeedrunComparison,
    config: RunConfig,
    name: str,
    beaten: SpeedrunRecord | None,
    made_on: MadeOn,
) -> SpeedrunRecord:
    """Return the record of a comparison that a challenger has won.

    Args:
        comparison: The comparison.
        config: The challenger's config, as `speedrun_config` returns it.
        name: The config's name.
        beaten: The record before.
        made_on: The code and the machine that were timed.
    """
    times, before = comparison.challenger, comparison.record
    return SpeedrunRecord(
        track=config.evaluation_tracks[0],
        sensor=config.sensor[0].kind,
        date=date.today().isoformat(),
        name=name,
        config=_changes(config),
        commit=made_on.commit,
        machine=made_on.machine,
        limit_s=60.0 * config.minutes,
        seeds=times.seeds,
        seconds=tuple(round(one, 2) for one in times.seconds),
        median_s=round(times.median_s, 2),
        beaten=beaten.name if beaten else None,
        beaten_seconds=tuple(round(one, 2) for one in before.seconds) if before else (),
        p=comparison.p,
    )


def speedrun_table(records: SpeedrunRecords) -> FittedTable:
    """Return the records as a table for a terminal."""
    shown = FittedTable(
        TableColumn("track", "left"),
        TableColumn("sensor", "left"),
        TableColumn("config", "left", least=8),
        TableColumn("median [s]"),
        TableColumn("p", drop=2),
        TableColumn("runs", drop=3),
        TableColumn("date", "left", drop=1),
        TableColumn("machine", "left", least=12, drop=4),
        TableColumn("commit", "left", drop=5),
    )
    for row in _rows(records):
        shown.add_row(*row)
    return shown


def records_markdown(records: SpeedrunRecords) -> str:
    """Return the records as the table in docs/speedrun.md."""
    headings = "track", "sensor", "config", "median [s]", "p", "runs", "date", "machine", "commit"
    lines = [headings, ["---"] * len(headings), *_rows(records)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rows(records: SpeedrunRecords) -> list[list[str]]:
    return [
        [
            one.track,
            one.sensor,
            one.name,
            f"{one.median_s:.1f}",
            "first" if one.p is None else f"{one.p:.4f}",
            str(len(one.seconds)),
            one.date,
            one.machine,
            one.commit,
        ]
        for one in records.records
    ]


def current_commit() -> str:
    """Return the commit of the checkout that racer is imported from; `unknown` without one.

    `-dirty` follows if a committed file of the package, the configs or the tracks was changed.
    """
    if not (CHECKOUT / ".git").exists():
        return "unknown"  # else git would name the commit of a project around a .venv
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *CODE_FOLDERS)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + "-dirty" * bool(changed)


def _git(*words: str) -> str:
    """Return what git prints in the checkout that racer is imported from."""
    command = ["git", *words]
    found = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return found.stdout.strip()

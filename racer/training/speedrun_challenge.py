"""A challenge of a standing speedrun record, from the names that a user types to a new record."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from racer import assets
from racer.assets.document import read_document
from racer.cluster.jobs import JobPool
from racer.training.config import RunConfig
from racer.training.speedrun import (
    SIGNIFICANCE,
    TARGET_LAPS,
    TARGET_X_LIMIT,
    SpeedrunComparison,
    SpeedrunConfigs,
    compare_configs,
    speedrun_config,
)
from racer.training.speedrun_records import (
    MadeOn,
    SpeedrunRecord,
    add_record,
    make_record,
    read_records,
)


class Challenge(NamedTuple):
    """The outcome of a challenge.

    Attributes:
        name: The challenger's name.
        track: The category's track.
        sensor: The category's kind of sensor.
        standing: The record that stood; None if none did.
        comparison: The times of both.
        made_on: The code and the machine that were timed.
    """

    name: str
    track: str
    sensor: str
    standing: SpeedrunRecord | None
    comparison: SpeedrunComparison
    made_on: MadeOn

    @property
    def summary(self) -> str:
        """The outcome in a few lines."""
        found, record = self.comparison, self.comparison.record
        lines = [
            f"{self.track}, {self.sensor}: seconds to {TARGET_LAPS} clean laps within "
            f"{TARGET_X_LIMIT:g} x the limit",
            f"{self.name}: median {found.challenger.median_s:.1f} s, {found.challenger.reached} of "
            f"{len(found.challenger.seconds)} runs got there",
        ]
        if record is None or self.standing is None:
            lines.append("the first record" if found.is_record else "no record: most runs failed")
            return "\n".join(lines)
        lines.append(
            f"{self.standing.name}, the record: median {record.median_s:.1f} s, {record.reached} "
            f"of {len(record.seconds)} runs got there"
        )
        verdict = "a new record" if found.is_record else "no record"
        lines.append(f"p = {found.p:.4f}, wanted below {SIGNIFICANCE:g}: {verdict}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome in plain values."""
        found = self.comparison
        return {
            "track": self.track,
            "sensor": self.sensor,
            "challenger": {"name": self.name, **found.challenger._asdict()},
            "record": {"name": self.standing.name, **found.record._asdict()}
            if self.standing and found.record
            else None,
            "p": found.p,
            "is_record": found.is_record,
            **self.made_on._asdict(),
        }


def challenge_record(
    config: str,
    track: str,
    sensor: str | None,
    seeds: int,
    minutes: float,
    records: Path,
    save: bool,
    console: Console,
    pool: JobPool | None = None,
) -> Challenge:
    """Time a config and the standing record of its category, and tell which is faster.

    Args:
        config: The challenger: a shipped config's name, or a YAML file.
        track: The category's track.
        sensor: The category's kind of sensor; the challenger's by default.
        seeds: Number of runs of each config.
        minutes: Limit of one run.
        records: The file of the records.
        save: Whether the challenger is added to the file if it is a record.
        console: Where each run is shown.
        pool: The machines of a cluster, on which pairs of runs are timed; None: this machine.

    Raises:
        ConfigError: The config breaks a rule of the speedrun, or the file cannot be used.
        RacerError: A config cannot be trained.
    """
    path = assets.find_file(config, "configs")
    chosen, known = read_document(path, RunConfig), read_records(records)
    sensor = sensor or chosen.sensor[0].kind
    challenger = speedrun_config(chosen, track, sensor, minutes)
    standing = known.standing(track, sensor)
    before = speedrun_config(standing.run_config(), track, sensor, minutes) if standing else None

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    # Before the runs, so that no edit meanwhile is taken for the code that was timed.
    made_on = MadeOn.here(challenger.device)
    comparison = compare_configs(SpeedrunConfigs(challenger, before), seeds, say, pool=pool)
    if comparison.machine:
        made_on = made_on._replace(machine=comparison.machine)
    outcome = Challenge(path.stem, track, sensor, standing, comparison, made_on)
    if save and comparison.is_record:
        add_record(records, make_record(comparison, challenger, path.stem, standing, made_on))
    return outcome

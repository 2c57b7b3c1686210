"""The result of one run of a submission, as the board stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

RUN_NOTES = frozenset({"replay", "pilot", "failure"})
"""Fields of a `RunResult` that are not part of its score."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of one run: the score, and notes beside it.

    The fields are called as the keys of the stored JSON object. Older versions of racer stored
    fewer keys; a field whose key is not there has its default.

    Attributes:
        track: The track's name; `sealed:K` for a track that a secret draws.
        direction: `forward` or `reverse`.
        seed: Seed of the environment; its index for a seed that a secret draws.
        laps: Laps to complete.
        laps_completed: Completed laps.
        lap_times_s: Time of each completed lap [s], penalties included.
        sector_times_s: Times of the completed thirds of each lap [s].
        total_time_s: Time of all laps [s]; None if a lap is missing.
        best_lap_s: Time of the fastest completed lap [s]; None if there is none.
        limit_s: Minimum time of all laps [s]; None if unknown.
        x_limit: `total_time_s` over `limit_s`; None if either is unknown.
        off_tracks: Number of times all four wheels left the road.
        collisions: Number of crashes.
        resets: Number of resets to the track, for any fault; None if unknown.
        distance_m: Progress along the centre line [m]; None if unknown.
        ending: How the run ended, as in `LapResult.ending`.
        length_m: Length of the track's centre line [m]; None if unknown.
        track_sha256: `road_sha256` of the track; None if unknown.
        replay: SHA-256 of the replay's file; None if there is no replay.
        pilot: Name of the built-in controller that drove; empty if an entry drove.
        failure: Message of the policy's failure; empty if it did not fail.
        absent: Names of the fields whose keys the JSON object does not have. Fields with other
            values than their defaults are removed from it.
        unknown: Values of the keys that this version of racer does not know.
    """

    track: str = ""
    direction: Literal["forward", "reverse"] = "forward"
    seed: int = 0
    laps: int = 0
    laps_completed: int = 0
    lap_times_s: list[float] = field(default_factory=list)
    sector_times_s: list[list[float]] = field(default_factory=list)
    total_time_s: float | None = None
    best_lap_s: float | None = None
    limit_s: float | None = None
    x_limit: float | None = None
    off_tracks: int = 0
    collisions: int = 0
    resets: int | None = None
    distance_m: float | None = None
    ending: str = ""
    length_m: float | None = None
    track_sha256: str | None = None
    replay: str | None = None
    pilot: str = ""
    failure: str = ""
    absent: frozenset[str] = RUN_NOTES
    unknown: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        absent = frozenset(name for name in self.absent if getattr(self, name) == _DEFAULTS[name])
        object.__setattr__(self, "absent", absent)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> RunResult:
        """Return the result that a JSON object holds; `as_json` returns an equal object.

        Raises:
            TypeError: It is not a JSON object.
        """
        if not isinstance(tree, Mapping):
            raise TypeError(f"a run's result is a JSON object, got {tree!r:.80}")
        known = {key: value for key, value in tree.items() if key in _STORED}
        unknown = {key: value for key, value in tree.items() if key not in _STORED}
        return cls(**known, absent=_STORED - known.keys(), unknown=unknown)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that the board stores, with its keys in alphabetical order."""
        known = {name: getattr(self, name) for name in _STORED - self.absent}
        return dict(sorted((known | self.unknown).items()))

    @property
    def score(self) -> RunResult:
        """The result without its notes, as the replay holds it."""
        return replace(self, replay=None, pilot="", failure="", absent=self.absent | RUN_NOTES)

    @property
    def faults(self) -> int:
        """How many times the car was put back on the track."""
        return self.off_tracks + self.collisions if self.resets is None else self.resets


_STORED = frozenset(one.name for one in fields(RunResult)) - {"absent", "unknown"}
"""Fields that are keys of the stored JSON object."""
_DEFAULTS: dict[str, Any] = {
    one.name: one.default if one.default_factory is MISSING else one.default_factory()
    for one in fields(RunResult)
}

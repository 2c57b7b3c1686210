"""A season: the rules that make results comparable."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from racer import assets
from racer.assets.document import Document, Sha256Hex, read_document
from racer.car.spec import CarName
from racer.errors import BoardError
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.season_event import PhaseName, SeasonEvent
from racer.leaderboard.season_race import (
    SeasonRaceConfig,
    flatten_race_fields,
    nest_race_fields,
)
from racer.leaderboard.season_secret import derive_number, is_secret_of
from racer.race import RaceConfig
from racer.registration import ENV_IDS

MAX_RUNS = 500
"""The most runs that a season may have."""


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class SeasonRun(NamedTuple):
    """One race of a season.

    Attributes:
        track: The track.
        direction: The direction.
        seed: Seed of the environment.
        label: What the board shows of the track: the track, or `sealed:K` if a secret draws it.
        number: What the board shows of the seed: the seed, or its index if a secret draws it.
    """

    track: str
    direction: Literal["forward", "reverse"]
    seed: int
    label: str
    number: int

    @property
    def stratum(self) -> str:
        """Track and direction, which runs with other seeds have in common."""
        return f"{self.label} {self.direction}"


class SealedDraws(Document):
    """What a season draws from a secret, which is published when the season closes."""

    sha256: Sha256Hex = Field(description="SHA-256 of the secret, published when the season opens")
    tracks: int = Field(default=0, ge=0, le=20, description="generated tracks, 0-20")
    seeds: int = Field(
        default=1, ge=1, le=100, description="seeds for each track and direction, 1-100"
    )


class Season(Document):
    """The rules of a season. A change of any field makes another season.

    In a file `track: oval` and `seed: 0` mean a list of one. The older, flat layout, which has the
    fields of `race` beside the others, is read as well.
    """

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="lower case letters, digits and dashes, at most 40",
    )
    description: str = Field(default="", max_length=500, description="one line of prose")
    race: SeasonRaceConfig = Field(description="the rules of each run: kind, laps, time limit ...")
    tracks: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(),
        max_length=50,
        validation_alias=AliasChoices("tracks", "track"),
        description="shipped tracks' names, or files",
    )
    directions: Annotated[tuple[Literal["forward", "reverse"], ...], BeforeValidator(_listed)] = (
        Field(
            default=("forward",),
            min_length=1,
            description="the tracks' own direction, against it, or both",
        )
    )
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], BeforeValidator(_listed)
    ] = Field(
        default=(0,),
        max_length=100,
        validation_alias=AliasChoices("seeds", "seed"),
        description="seeds of the environment; empty if a secret draws them",
    )
    car: CarName = Field(default="deepracer", description="the car of all entries")
    physics: int = Field(default=0, ge=0, description="the N in `-vN` of the environment's id")
    scoring: Literal[1] = Field(default=1, description="version of the score")
    ranking: Literal["total", "best", "average", "iqm"] = Field(
        default="total",
        description="total: laps, then the time of all; best: the sum of each track's best lap; "
        "average: laps, then the mean lap; iqm: share of laps, then the interquartile mean",
    )
    sealed: SealedDraws | None = Field(default=None, description="what a secret draws")
    event: SeasonEvent | None = Field(
        default=None, description="when it takes entries, how many of a person, and its phases"
    )

    @model_validator(mode="before")
    @classmethod
    def _flat_race_fields_are_taken(cls, tree: Any) -> Any:
        return nest_race_fields(tree) if isinstance(tree, dict) else tree

    @model_validator(mode="before")
    @classmethod
    def _a_sealed_one_has_no_seeds(cls, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        has_seeds = "seeds" in tree or "seed" in tree
        return tree if has_seeds or not tree.get("sealed") else {**tree, "seeds": ()}

    @model_validator(mode="after")
    def _runs_are_there_once(self) -> Season:
        drawn = self.sealed.tracks if self.sealed else 0
        seeds = self.sealed.seeds if self.sealed else len(self.seeds)
        if not self.tracks and not drawn:
            raise ValueError("a season wants tracks: add `tracks: [bowtie]`")
        if self.seeds and self.sealed:
            raise ValueError("a sealed season draws its seeds: leave out `seeds`")
        if not self.seeds and not self.sealed:
            raise ValueError("a season wants seeds: add `seeds: [0]`")
        for given in (self.tracks, self.directions, self.seeds):
            if len(set(given)) < len(given):
                raise ValueError(f"got {list(given)}; remove the values that are repeated")
        if (count := (len(self.tracks) + drawn) * len(self.directions) * seeds) > MAX_RUNS:
            raise ValueError(
                f"{count} runs; a season has up to {MAX_RUNS}: take fewer tracks or seeds"
            )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of `canonical`."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def folder(self) -> str:
        """Name of the folder of its pages; different for two seasons with the same name."""
        return f"{self.name}-{self.digest[:8]}"

    @property
    def canonical(self) -> str:
        """All fields as JSON that is the same for the same season, in the flat layout."""
        return canonical_json(self.flat_fields())

    def flat_fields(self) -> dict[str, Any]:
        """Return all fields as JSON values in the flat layout, from which the digest is made.

        The fields of `race` are beside those of the season, as in the seasons that boards hold, so
        the digest does not depend on the layout of the file. `event` is there if it is given.
        """
        return flatten_race_fields(self.model_dump(mode="json"))

    def phase_at(self, time: str) -> PhaseName | None:
        """Return the season's phase at a time; None if it takes no entries then.

        A season without `event` is always in its final phase.
        """
        return self.event.phase_at(time) if self.event else "final"

    def race_in(self, direction: Literal["forward", "reverse"]) -> RaceConfig:
        """Return the rules of each run in a direction, from a standstill on the start line."""
        return RaceConfig(**self.race.model_dump(), start="line", direction=direction)

    def runs(self, secret: str | None = None) -> list[SeasonRun]:
        """Return every race of the season: each track, in each direction, with each seed.

        Args:
            secret: The season's secret, 64 hexadecimal digits; None if the season is not sealed.

        Raises:
            BoardError: The season is sealed, and the secret is missing or is another one.
        """
        roads = [(track, track) for track in self.tracks]
        seeds = [(seed, seed) for seed in self.seeds]
        if self.sealed:
            if not secret or not is_secret_of(secret, self.sealed.sha256):
                raise BoardError(
                    f"season {self.name} is sealed, and its secret is not here; only its owner "
                    "can judge entries until `racer board season reveal` publishes the secret"
                )
            for k in range(self.sealed.tracks):
                number = derive_number(secret, self.digest, f"track {k}", 10**9)
                roads.append((f"generated:{number}", f"sealed:{k}"))
            for k in range(self.sealed.seeds):
                seeds.append((derive_number(secret, self.digest, f"seed {k}", 2**31), k))
        return [
            SeasonRun(track, direction, seed, label, number)
            for track, label in roads
            for direction in self.directions
            for seed, number in seeds
        ]

    def refuse_other_physics(self) -> None:
        """Raise BoardError if the season is for another physics version than racer's."""
        version = int(ENV_IDS[self.race.kind].rpartition("-v")[2])
        if version != self.physics:
            raise BoardError(
                f"season {self.name} is for physics version {self.physics}, this racer has "
                f"{version}; make a new season, or install the racer of that version"
            )


def season_path(name: str) -> Path:
    """Return a season's file, given by a path, a shipped name, or NAME for NAME.yaml here.

    Raises:
        ConfigError: There is no such season.
    """
    here = Path(f"{name}.yaml")
    is_shipped = name in assets.shipped_names("configs/seasons")
    if re.fullmatch(r"[a-z0-9-]+", name) and not is_shipped and here.is_file():
        return here
    return assets.find_file(name, "configs/seasons")


def load_season(name: str) -> Season:
    """Return the season of a file or a shipped name; see `season_path`.

    Raises:
        ConfigError: There is no such season, or its file cannot be used.
    """
    return read_document(season_path(name), Season)

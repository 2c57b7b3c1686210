"""A season: the rules that make results comparable."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field

from racer import assets
from racer.assets.document import Document, read


class Season(Document):
    """What every entry of a season is asked to do. A change of any field is a new season."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="lower case, digits and dashes, to 40"
    )
    description: str = Field(default="", max_length=500, description="one line of prose")
    track: str = Field(description="a shipped track's name, or a YAML file")
    laps: int = Field(default=3, ge=1, le=100, description="laps to complete, 1-100")
    off_track_penalty: float = Field(
        default=3.0, ge=0, le=60, description="seconds added for each time off the track, 0-60"
    )
    time_limit: float = Field(
        gt=0, le=3600, description="simulated seconds for the whole race, to 3600"
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of the environment")
    ranking: Literal["total"] = Field(
        default="total", description="total: more laps first, then less time for all of them"
    )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all fields."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def canonical(self) -> str:
        """All fields as JSON that is the same for the same season."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def load_season(name: str) -> Season:
    """The season that a person means: a shipped name or the path of a YAML file.

    Raises:
        ConfigError: There is no such season, or its file cannot be used.
    """
    return read(assets.find(name, "configs/seasons"), Season)

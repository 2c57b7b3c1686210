"""What the pages of one season tell, gathered once for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from racer.leaderboard.season import Season
from racer.leaderboard.submissions import Submission


@dataclass(frozen=True)
class RunRecording:
    """One run of a row as the pages show it.

    Attributes:
        key: Name of the poses' file without its ending; None where the run cannot be shown.
        verdict: What simulating it again came to, or why it was not simulated.
        is_fine: Whether the run holds; None where that is not known.
    """

    key: str | None
    verdict: str
    is_fine: bool | None


@dataclass(frozen=True)
class SeasonContext:
    """A season and all that happened in it.

    Attributes:
        season: Its rules.
        standing: What `rank` gives.
        others: Of each row in the standing the lines of its name's other entries.
        rows: Every submission of it, those too that are not in the standing.
        films: Each row's runs, by the row's number.
        roads: Of each run the name of its road's file; None where it is not to be shown.
        is_served: Whether the pages come from a server that takes entries.
    """

    season: Season
    standing: list[dict[str, Any]]
    others: dict[int, list[dict[str, Any]]]
    rows: list[Submission]
    films: dict[int, list[RunRecording]] = field(default_factory=dict)
    roads: list[str | None] = field(default_factory=list)
    is_served: bool = False

    @property
    def leaders(self) -> str:
        """Who leads, where somebody does: the first, and how many share that place."""
        shared = sum(line["rank"] == 1 for line in self.standing) - 1
        more = f" and {shared} more" if shared > 0 else ""
        return self.standing[0]["name"] + more if self.standing else ""

    @property
    def ranks(self) -> dict[int, str]:
        """The rank of each row that has one, with `=` where it is shared."""
        ranks = [line["rank"] for line in self.standing]
        return {
            line["id"]: f"{line['rank']}{'=' if ranks.count(line['rank']) > 1 else ''}"
            for line in self.standing
        }

    def run_names(self) -> list[str]:
        """What each run is called, by the first row: its track, and what else tells them apart."""
        runs = self.rows[0].runs if self.rows else []
        ways = {run.get("direction", "forward") for run in runs}
        seeds = {run.get("seed", 0) for run in runs}
        return [
            ", ".join(
                [str(run["track"])]
                + [str(run.get("direction", "forward"))] * (len(ways) > 1)
                + [f"seed {run.get('seed', 0)}"] * (len(seeds) > 1)
            )
            for run in runs
        ]

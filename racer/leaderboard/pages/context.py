"""The data that all pages of a season show."""

from __future__ import annotations

from dataclasses import dataclass, field

from racer.explain.explained_card import ExplainedCard
from racer.leaderboard.ranking import RankedSubmission
from racer.leaderboard.season import Season
from racer.leaderboard.submissions import Submission


@dataclass(frozen=True)
class RunRecording:
    """The replay of a run.

    Attributes:
        key: Name of the file of its poses, without the ending; None if it cannot be shown.
        verdict: Result of simulating the run again, or why it was not simulated.
        is_fine: Whether the result is the same; None if that is not known.
    """

    key: str | None
    verdict: str
    is_fine: bool | None


@dataclass(frozen=True)
class SeasonContext:
    """A season and all its submissions.

    Attributes:
        season: Its rules.
        standing: The ranked lines of `rank`.
        others: Lines of the participant's other entries, by the id of the ranked line.
        rows: Every submission, also those without a rank.
        recordings: The replays of each submission's runs, by its id.
        roads: Name of the file of each run's road; None if the road is not shown.
        is_served: Whether the pages come from a server that takes entries.
        cards: The explained lap of each submission that has one, by its id.
    """

    season: Season
    standing: list[RankedSubmission]
    others: dict[int, list[RankedSubmission]]
    rows: list[Submission]
    recordings: dict[int, list[RunRecording]] = field(default_factory=dict)
    roads: list[str | None] = field(default_factory=list)
    is_served: bool = False
    cards: dict[int, ExplainedCard] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The kind of race, in words."""
        return self.season.race.kind.replace("_", " ")

    @property
    def leaders(self) -> str:
        """The first name in the ranking and how many share its rank; empty without any."""
        shared = sum(line.rank == 1 for line in self.standing) - 1
        more = f" and {shared} more" if shared > 0 else ""
        return self.standing[0].name + more if self.standing else ""

    @property
    def ranks(self) -> dict[int, str]:
        """The rank of each submission that has one, by its id, with `=` if it is shared."""
        ranks = [line.rank for line in self.standing]
        return {
            line.id: f"{line.rank}{'=' if ranks.count(line.rank) > 1 else ''}"
            for line in self.standing
        }

    def run_names(self) -> list[str]:
        """Return a name for each run: its track, and direction and seed if they vary."""
        runs = self.rows[0].runs if self.rows else []
        ways = {run.direction for run in runs}
        seeds = {run.seed for run in runs}
        return [
            ", ".join(
                [run.track]
                + [run.direction] * (len(ways) > 1)
                + [f"seed {run.seed}"] * (len(seeds) > 1)
            )
            for run in runs
        ]

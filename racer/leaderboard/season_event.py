"""The event of a season: when it takes entries, how many of a person, practice and final."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from racer.assets.document import Document
from racer.errors import BoardError

PhaseName = Literal["practice", "final"]


def utc_text(time: datetime) -> str:
    """Return a time as the board stores it: ISO 8601 in UTC, in whole seconds, rounded down."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole_seconds_in_utc(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            value = None
    if not isinstance(value, datetime):
        raise ValueError("wanted is a date and a time of day in UTC, as 2026-12-01T09:00:00Z")
    if value.tzinfo is None:
        raise ValueError("the time has no zone: add Z for UTC, as 2026-12-01T09:00:00Z")
    if value.microsecond:
        raise ValueError("a season's times are whole seconds")
    return utc_text(value)


EventTime = Annotated[str, BeforeValidator(_whole_seconds_in_utc)]
"""A time in UTC as text, which sorts as time does."""


class SeasonEvent(Document):
    """When a season takes entries, and how many of each person.

    All times are held to the clock of the board's store. An entry counts at the time when it was
    handed in, however late it is evaluated. A person is a key, under whatever names it signs; of
    entries without a signature, a name.
    """

    opens: EventTime | None = Field(
        default=None, description="from when on entries are taken [UTC]; always if not given"
    )
    closes: EventTime | None = Field(
        default=None, description="from when on no more entries are taken [UTC]; never if not given"
    )
    final_from: EventTime | None = Field(
        default=None,
        description="when practice ends and the final begins, which alone ranks from then on "
        "[UTC]; there is no practice if not given",
    )
    entries_per_person: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="the most entries of a person in each phase, 1-10,000; any number if not given",
    )

    @model_validator(mode="after")
    def _times_are_in_order(self) -> SeasonEvent:
        given = [time for time in (self.opens, self.final_from, self.closes) if time]
        if given != sorted(set(given)):
            raise ValueError(
                f"got {', '.join(given)}; `opens`, `final_from` and `closes` follow one another"
            )
        return self

    def phase_at(self, time: str) -> PhaseName | None:
        """Return the phase at a time; None before the opening and from the closing time on."""
        if (self.opens and time < self.opens) or (self.closes and time >= self.closes):
            return None
        return "practice" if self.final_from and time < self.final_from else "final"

    def refuse_closed_at(self, time: str, season: str) -> PhaseName:
        """Return the phase at a time.

        Args:
            time: The time, as `utc_text` returns it.
            season: The season's name, for the message.

        Raises:
            BoardError: The season takes no entries at that time; the code is `early` or `closed`.
        """
        if self.opens and time < self.opens:
            raise BoardError(
                f"season {season} opens at {self.opens}; on the board it is {time}", "early"
            )
        if (phase := self.phase_at(time)) is None:
            raise BoardError(
                f"season {season} closed at {self.closes}; on the board it is {time}", "closed"
            )
        return phase

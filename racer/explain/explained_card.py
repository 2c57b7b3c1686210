"""A lap's explanation in short, for a page: a small picture, sentences and two tables; cached."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from racer.assets.atomic import write_atomically
from racer.assets.document import Document
from racer.errors import EntryError, RacerError
from racer.explain.explanation import explain_lap
from racer.explain.overlay import STRIP_MOMENTS, explanation_strip
from racer.explain.policy_output import ExplainedPolicy
from racer.explain.reaction_table import map_rows, proof_words, reaction_rows
from racer.explain.recorded_lap import record_lap
from racer.race import RaceConfig

FAILURES_OF_POLICIES = frozenset(("run", "action", "memory", "crash"))
"""Codes of errors that the same policy would cause again, so that its card says so for good."""
CARD_FORMAT = 1
"""Raise it when a card of an older version must be made anew."""
CARD_LAP_S = 30.0
"""A card explains at most this much driving [s], so that it takes seconds."""


class ExplainedCard(Document):
    """The explanation of a lap in short."""

    card_format: Literal[1] = Field(description="version of the format")
    title: str = Field(description="the policy, the track and the lap")
    picture: str = Field(description="a PNG in base64; empty if the policy failed")
    sentences: tuple[str, ...] = Field(description="the findings")
    maps: tuple[tuple[str, ...], ...] = Field(description="rows of what it looked at")
    reactions: tuple[tuple[str, ...], ...] = Field(description="rows of what it reacts to")

    @property
    def picture_url(self) -> str:
        """The picture as a URL that holds it; empty if there is none."""
        return f"data:image/png;base64,{self.picture}" if self.picture else ""


def make_card(
    policy: ExplainedPolicy, track: str, rules: RaceConfig, seed: int, car: str
) -> ExplainedCard:
    """Return the card of one lap; one of a policy that fails at it says how.

    Args:
        policy: The policy.
        track: A shipped track's name, or a YAML file.
        rules: The race, of one lap.
        seed: Seed of the race, and of all that is random.
        car: Name of the car's preset.

    Raises:
        RacerError: A name or number cannot be used, or an observation is too large.
        EntryError: The sandbox fails for another reason than the policy.
    """
    try:
        lap = record_lap(policy, track, rules, seed, car, CARD_LAP_S)
        found = explain_lap(policy, lap, "rise", seed=seed, count=STRIP_MOMENTS)
    except EntryError as problem:
        if problem.code not in FAILURES_OF_POLICIES:
            raise
        return failed_card(policy.name, problem)
    return ExplainedCard(
        card_format=CARD_FORMAT,
        title=f"{policy.name} on {lap.track.name}: {lap.result.summary}",
        picture=base64.b64encode(explanation_strip(found)).decode(),
        sentences=(*found.sentences, *proof_words(found)),
        maps=tuple(tuple(row) for row in map_rows(found)),
        reactions=tuple(tuple(row) for row in reaction_rows(found)),
    )


def failed_card(name: str, problem: RacerError) -> ExplainedCard:
    """Return the card of a policy that could not be explained.

    Args:
        name: Name of the policy.
        problem: Why not.
    """
    return ExplainedCard(
        card_format=CARD_FORMAT,
        title=name,
        picture="",
        sentences=(f"It could not be explained: {problem}",),
        maps=(),
        reactions=(),
    )


def read_card(path: Path) -> ExplainedCard | None:
    """Return the card in a file; None if there is none of this format."""
    try:
        return ExplainedCard.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def kept_card(path: Path | None, make: Callable[[], ExplainedCard]) -> ExplainedCard:
    """Return the card in a file, or make it and write the file.

    Args:
        path: The file; None to keep nothing.
        make: Makes the card.

    Raises:
        RacerError: The file cannot be written.
    """
    found = read_card(path) if path else None
    if found is not None:
        return found
    card = make()
    if path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, card.model_dump_json().encode())
        except OSError as problem:
            raise RacerError(f"{path}: cannot be written: {problem.strerror}") from problem
    return card

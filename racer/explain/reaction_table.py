"""What a policy reacts to, as rows of text for a terminal, a report and a board's page."""

from __future__ import annotations

import numpy as np

from racer.explain.explanation import LapExplanation, sensor_words
from racer.tables import FittedTable, TableColumn

REACTION_TITLES = (
    "in a changed world",
    "steering [deg]",
    "size",
    "speed [m/s]",
    "size",
    "other action",
)
MAP_TITLES = ("it looked at", "share of the map", "share of what it sees")
MAP_ROWS = 8
"""Rows of a sensor in the table of its maps."""


def reaction_rows(explanation: LapExplanation) -> list[list[str]]:
    """Return a row for each change of the world, below the titles `REACTION_TITLES`.

    Steering and speed are the mean change and the mean size of the change; the last column is the
    share of the lap's steps in which the policy does something else.

    Args:
        explanation: The explanation.
    """
    rows = []
    for effect in explanation.effects:
        told = effect.as_dict()
        if effect.seen_share == 0.0:
            rows.append([str(told["words"]), *["not seen"] * 4, "-"])
            continue
        rows.append(
            [
                str(told["words"]),
                f"{told['steering_deg']:+.2f}",
                f"{told['steering_size_deg']:.2f}",
                f"{told['speed_m_s']:+.3f}",
                f"{told['speed_size_m_s']:.3f}",
                f"{effect.answer_share:.0%}",
            ]
        )
    return rows


def map_rows(explanation: LapExplanation) -> list[list[str]]:
    """Return a row for each part of what the policy sees, below the titles `MAP_TITLES`."""
    rows = []
    for one in explanation.sensors:
        words = sensor_words(one.sensor)
        if one.is_ignored:
            rows.append([f"{words}: ignored", "-", "-"])
            continue
        rows += [
            [f"{words}: {name}", f"{weight:.0%}", f"{area:.0%}"]
            for name, weight, area in one.parts[:MAP_ROWS]
        ]
    return rows


def proof_words(explanation: LapExplanation) -> list[str]:
    """Return the scores of each sensor's maps, a sentence each."""
    found = []
    for one in explanation.sensors:
        proof = one.proof
        if one.is_ignored:
            continue
        scores = "not scored"
        if not np.isnan(proof.deletion):
            scores = (
                f"deletion {proof.deletion:.2f}, insertion {proof.insertion:.2f} (in random order "
                f"{proof.random_deletion:.2f} and {proof.random_insertion:.2f})"
            )
        likeness = "-" if np.isnan(proof.similarity) else f"{proof.similarity:.2f}"
        found.append(
            f"The map of the {sensor_words(one.sensor)} {proof.verdict}: {scores}, similarity to "
            f"the map of random weights {likeness}."
        )
    return found


def reaction_table(explanation: LapExplanation) -> FittedTable:
    """Return the table of changed worlds for a terminal."""
    columns = [TableColumn(REACTION_TITLES[0], "left"), *map(TableColumn, REACTION_TITLES[1:])]
    table = FittedTable(*columns, title="what it does in a changed world, mean over the lap")
    for row in reaction_rows(explanation):
        table.add_row(*row)
    return table


def map_table(explanation: LapExplanation) -> FittedTable:
    """Return the table of what the policy looked at for a terminal."""
    columns = [TableColumn(MAP_TITLES[0], "left"), *map(TableColumn, MAP_TITLES[1:])]
    table = FittedTable(*columns, title=f"what it looked at, by {explanation.method}")
    for row in map_rows(explanation):
        table.add_row(*row)
    return table

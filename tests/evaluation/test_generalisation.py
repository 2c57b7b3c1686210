"""What the report over all shipped tracks says."""

from dataclasses import replace

import pytest

from racer.evaluation import evaluate_entries, make_race_rules
from racer.evaluation.generalisation import (
    evaluate_all_tracks,
    generalisation_table,
    summarize_by_set,
    tracks_in_set,
)
from racer.track.track_file import TRACK_SETS


@pytest.fixture(scope="module")
def result():
    return evaluate_entries(["raceline"], "oval", make_race_rules(1, 3.0, 60.0))[0]


def test_every_shipped_track_is_in_one_set():
    named = [name for chosen in TRACK_SETS for name in tracks_in_set(chosen)]
    assert len(named) == len(set(named)) >= 12
    assert tracks_in_set("held-out") == ["comb", "harbour", "serpent"]


def test_a_set_s_row_counts_its_own_tracks_only(result):
    off = replace(result, laps_completed=0, lap_times_s=[], resets=2)
    seen = [("train", result), ("train", off), ("validation", result), ("held-out", off)]
    train, validation, unseen = summarize_by_set(seen)
    assert (train["tracks"], train["completion"], train["clean"]) == (2, 0.5, 0.5)
    assert train["x_limit"] == validation["x_limit"] == result.x_limit
    assert (unseen["completion"], unseen["clean"], unseen["x_limit"]) == (0.0, 0.0, None)


def test_the_table_has_a_row_a_track_and_one_a_set(result):
    seen = [("train", result), ("validation", result), ("held-out", result)]
    assert generalisation_table(seen).row_count == 6


@pytest.mark.slow
def test_the_tour_begins_with_what_may_be_trained_on():
    chosen, first = next(evaluate_all_tracks("raceline", laps=1))
    assert (chosen, first.track) == ("train", tracks_in_set("train")[0])
    assert first.laps_completed == 1

"""An entry's page shows what the entry looks at, once a lap of it was explained."""

import threading

import pytest

from racer.leaderboard.explained_entry import (
    EntryExplainer,
    explain_entry,
    kept_entry_card,
    unexplained_entries,
)
from racer.leaderboard.pages.site import write_site
from tests.helpers.boards import FAIR, fill
from tests.helpers.html import Tags


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("fair"))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep cards in a folder of the test's own."""
    folder = tmp_path / "kept"
    monkeypatch.setattr("racer.leaderboard.explained_entry.private_folder", lambda name: folder)
    monkeypatch.setattr("racer.explain.explained_card.CARD_LAP_S", 2.0)
    return folder


@pytest.mark.slow
def test_an_explained_lap_is_on_the_page_of_its_entry_alone(store, kept, tmp_path):
    waiting = list(unexplained_entries(store, [FAIR], lambda season: None))
    ((row, season, run),) = waiting
    assert kept_entry_card(row, season) is None
    explain_entry(store, row, season, run)
    assert kept_entry_card(row, season) is not None
    same = {one.id for one in store.rows(FAIR) if one.entry_sha256 == row.entry_sha256}
    write_site(store, tmp_path / "pages", [FAIR], lambda season: None)
    for path in (tmp_path / "pages" / FAIR.folder).glob("entry-*.html"):
        pictures = [given for tag, given in Tags(path.read_text()).tags if tag == "img"]
        assert bool(pictures) == (int(path.stem.removeprefix("entry-")) in same)


@pytest.mark.slow
def test_a_served_board_explains_its_entries_in_the_background(store, kept):
    made, all_made = [], threading.Event()

    def count():
        made.append(1)
        if not list(unexplained_entries(store, [FAIR], lambda season: None)):
            all_made.set()

    explainer = EntryExplainer(store, [FAIR], lambda season: None, count)
    explainer.start()
    assert all_made.wait(300)
    explainer.close()
    assert len(list(kept.iterdir())) == len(made)


def test_an_error_in_one_entry_leaves_the_others_their_turn(store, kept, monkeypatch, capsys):
    tried, all_tried = [], threading.Event()

    def fail(store, row, season, run):
        tried.append(row.id)
        raise ValueError("the sandbox is closed")

    rows = [row.id for row, _, _ in unexplained_entries(store, [FAIR], lambda season: None)]
    monkeypatch.setattr("racer.leaderboard.explained_entry.explain_entry", fail)
    explainer = EntryExplainer(store, [FAIR], lambda season: None, all_tried.set)
    explainer._explain_all()
    explainer._explain_all()
    assert tried == rows  # each once
    assert not all_tried.is_set()
    assert capsys.readouterr().err.count("the sandbox is closed") == len(rows)

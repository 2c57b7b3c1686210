"""Fixtures of the board's tests."""

import pytest

from racer.leaderboard.store import BoardStore
from tests.helpers.boards import make_entry


@pytest.fixture(scope="package", autouse=True)
def no_kept_cards():
    """Explain no entry, and show none that was explained before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("racer.leaderboard.explained_entry.private_folder", lambda name: None)
        yield


@pytest.fixture
def entry(tmp_path):
    return make_entry(tmp_path, b"a graph")


@pytest.fixture
def store(tmp_path):
    return BoardStore(tmp_path / "deep" / "board")

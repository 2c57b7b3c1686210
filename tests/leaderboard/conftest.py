"""Fixtures of the board's tests."""

import pytest

from racer.leaderboard.store import BoardStore
from tests.helpers.boards import make_entry


@pytest.fixture
def entry(tmp_path):
    return make_entry(tmp_path, b"a graph")


@pytest.fixture
def store(tmp_path):
    return BoardStore(tmp_path / "deep" / "board")

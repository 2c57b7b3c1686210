"""The explained lap of a board's entry: made once in a sandbox, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from racer import __version__
from racer.assets.caches import private_folder
from racer.entries.package import Entry, read_entry
from racer.errors import BoardError, RacerError
from racer.evaluation import make_race_rules
from racer.explain.entry_policy import EntryPolicy
from racer.explain.explained_card import (
    CARD_FORMAT,
    ExplainedCard,
    kept_card,
    make_card,
    read_card,
)
from racer.leaderboard.hash_chain import canonical_json
from racer.leaderboard.season import Season, SeasonRun
from racer.leaderboard.store import HOUSE_DIGEST, BoardStore
from racer.leaderboard.submissions import PERSON_DIGEST, Submission

MAX_CLOSE_S = 5.0
"""How long the end of a server waits for the card that is being made [s]."""


def card_path(entry_sha256: str, season: Season) -> Path | None:
    """Return the file of an entry's card in a season; None if this machine keeps none.

    Args:
        entry_sha256: SHA-256 of the entry's package.
        season: The season.
    """
    folder = private_folder("explained")
    told = [CARD_FORMAT, __version__, entry_sha256, season.digest]
    key = hashlib.sha256(canonical_json(told).encode()).hexdigest()[:24]
    return folder and folder / f"{key}.json"


def has_policy(row: Submission) -> bool:
    """Return whether a submission is an entry, not a person or a part of racer."""
    return row.entry_sha256 not in (HOUSE_DIGEST, PERSON_DIGEST)


def kept_entry_card(row: Submission, season: Season) -> ExplainedCard | None:
    """Return a submission's card if it was made before.

    Args:
        row: The submission.
        season: Its season.
    """
    path = card_path(row.entry_sha256, season) if has_policy(row) else None
    return read_card(path) if path else None


def explain_entry(store: BoardStore, row: Submission, season: Season, run: SeasonRun) -> None:
    """Make a submission's card, unless it was made before; it takes some seconds.

    Args:
        store: The board.
        row: The submission, which has a policy.
        season: Its season.
        run: The race of the season of which a lap is explained.

    Raises:
        RacerError: The entry cannot be explained now, or the card cannot be written.
    """

    def make() -> ExplainedCard:
        return _entry_card(read_entry(store.entry_path(row.entry_sha256)), season, run)

    kept_card(card_path(row.entry_sha256, season), make)


def _entry_card(entry: Entry, season: Season, run: SeasonRun) -> ExplainedCard:
    like = season.race.model_copy(update={"direction": run.direction})
    rules = make_race_rules(1, season.race.off_track_penalty, like=like)
    with closing(EntryPolicy(entry)) as policy:
        return make_card(policy, run.track, rules, run.seed, season.car)


def unexplained_entries(
    store: BoardStore, seasons: Sequence[Season], secret_of: Callable[[Season], str | None]
) -> Iterator[tuple[Submission, Season, SeasonRun]]:
    """Yield each submission that has a policy and no card, with its season and its first race.

    Nothing is yielded on a machine that can keep no card.

    Args:
        store: The board.
        seasons: The seasons.
        secret_of: Returns the secret of a sealed season if it is public, else None; then its
            entries are not explained, because a picture would reveal a track.
    """
    for season in seasons:
        secret = secret_of(season)
        if season.sealed and secret is None:
            continue
        try:
            season.refuse_other_physics()
        except BoardError:  # Its laps were driven by other physics than would be explained.
            continue
        runs = season.runs(secret)
        for row in store.rows(season):
            path = card_path(row.entry_sha256, season) if has_policy(row) else None
            if path and read_card(path) is None:
                yield row, season, runs[0]


class EntryExplainer:
    """Explains a served board's entries one after the other, in a thread of its own.

    Args:
        store: The board.
        seasons: The seasons.
        secret_of: See `unexplained_entries`.
        on_made: Called after each card.
    """

    def __init__(
        self,
        store: BoardStore,
        seasons: Sequence[Season],
        secret_of: Callable[[Season], str | None],
        on_made: Callable[[], None],
    ) -> None:
        self._told = store, seasons, secret_of
        self._on_made = on_made
        self._failed: set[int] = set()
        self._is_wanted, self._is_closed = threading.Event(), False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin."""
        self.wake()
        self._thread.start()

    def wake(self) -> None:
        """Look for entries that have no card yet."""
        self._is_wanted.set()

    def close(self) -> None:
        """End after the card that is being made, or without it if it takes longer."""
        self._is_closed = True
        self.wake()
        if self._thread.is_alive():
            # A slow policy may take minutes; the thread and its sandbox end with this process.
            self._thread.join(MAX_CLOSE_S)

    def _work(self) -> None:
        while not self._is_closed:
            self._is_wanted.wait()
            self._is_wanted.clear()
            try:
                self._explain_all()
            except RacerError:  # The board is away: until the next time.
                continue
            except ImportError:  # The extra is not installed.
                return

    def _explain_all(self) -> None:
        store, seasons, secret_of = self._told
        for row, season, run in unexplained_entries(store, seasons, secret_of):
            if self._is_closed:
                return
            if self._explain(store, row, season, run) and not self._is_closed:
                self._on_made()

    def _explain(self, store: BoardStore, row: Submission, season: Season, run: SeasonRun) -> bool:
        """Return whether an entry was explained; whatever an entry does, the next one has a turn.

        An entry that failed is tried again when the server is started again.
        """
        if row.id in self._failed:
            return False
        try:
            explain_entry(store, row, season, run)
        except ImportError:
            raise
        except Exception as problem:
            self._failed.add(row.id)
            print(f"{row.name} is not explained: {problem!r}", file=sys.stderr)
            return False
        return True

"""The verbs that show a board as pages, serve it, and judge many entries at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from racer.board.season import Season
    from racer.board.store import Store


def board_page(out: Path = Path("pages"), season: str = "") -> None:
    """Write the board as pages that need nothing else: tables, entries, and races to watch.

    Args:
        out: The folder to write; open its index.html.
        season: A shipped season's name or a YAML file; every season of the board by default.
    """
    from racer.board.page.site import seasons_of, write_site
    from racer.board.season import load_season
    from racer.board.store import Store
    from racer.cli.output import progress

    store = Store()
    seasons = [load_season(season)] if season else seasons_of(store)
    with progress("simulating races") as tell:
        pages = write_site(store, out, seasons, lambda one: public_secret(store, one), tell=tell)
    print(f"pages: {pages}; open {out / 'index.html'}")


def public_secret(store: Store, season: Season) -> str | None:
    """The secret of a sealed season, only where all may know it: the board or racer revealed it."""
    from racer import assets
    from racer.board.season import load_season
    from racer.cli.season import secret_of

    if not season.sealed:
        return None
    if secret := store.revealed(season.digest):
        return secret
    if season.name in assets.names("configs/seasons") and load_season(season.name) == season:
        return secret_of(season, season.name)
    return None

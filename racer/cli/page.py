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


def board_serve(port: int = 8000, host: str = "127.0.0.1", season: str = "") -> None:
    """Serve the board's pages on this machine, and judge the entries that are handed in there.

    Args:
        port: The port; 0 for a free one.
        host: Where to listen; other than on this machine, anybody who reaches it can hand in.
        season: The season that takes entries; `open` and every season of the board by default.
    """
    from racer.board.page.site import seasons_of
    from racer.board.season import load_season
    from racer.board.server import BoardServer
    from racer.board.store import Store
    from racer.cli.board import secret_on

    store = Store()
    seasons = [load_season(season)] if season else seasons_of(store)
    if not season and load_season("open") not in seasons:
        seasons.append(load_season("open"))
    server = BoardServer(
        store,
        seasons,
        lambda one: secret_on(store, one),
        lambda one: public_secret(store, one),
        host,
        port,
    )
    try:
        server.write()
        if host not in ("127.0.0.1", "localhost", "::1"):
            print(f"warning: whoever reaches {host} can hand in entries; there is no password")
        print(f"serving http://{host}:{server.server_port}/ ; Ctrl-C ends it", flush=True)
        server.serve_forever()
    finally:
        print("finishing the entry that is judged ...")
        server.close()


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

"""The verbs that show a board as pages, serve it, and judge many entries at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from racer.leaderboard.season import Season
    from racer.leaderboard.store import BoardStore


def board_page(out: Path = Path("pages"), season: str = "", explain: bool = True) -> None:
    """Write the board as pages that need nothing else: tables, entries, and races to watch.

    Args:
        out: The folder to write; open its index.html.
        season: A shipped season's name or a YAML file; every season of the board by default.
        explain: First explain a lap of each entry for which that was not done yet; `--no-explain`
            saves these seconds.
    """
    from racer.cli.board import public_secret
    from racer.cli.output import progress
    from racer.leaderboard.pages.site import seasons_of, write_site
    from racer.leaderboard.season import load_season
    from racer.leaderboard.store import BoardStore

    store = BoardStore()
    seasons = [load_season(season)] if season else seasons_of(store)
    if explain:
        _explain_entries(store, seasons)
    with progress("simulating races") as tell:
        pages = write_site(store, out, seasons, lambda one: public_secret(store, one), tell=tell)
    print(f"pages: {pages}; open {out / 'index.html'}")


def _explain_entries(store: BoardStore, seasons: Sequence[Season]) -> None:
    """Explain a lap of each entry that has no card; if that fails, say so and go on."""
    from racer.cli.board import public_secret
    from racer.cli.output import progress
    from racer.errors import RacerError
    from racer.leaderboard.explained_entry import explain_entry, unexplained_entries

    failed = []
    try:
        waiting = list(unexplained_entries(store, seasons, lambda one: public_secret(store, one)))
        with progress("explaining entries") as tell:
            for done, (row, season, run) in enumerate(waiting, 1):
                try:
                    explain_entry(store, row, season, run)
                except RacerError as problem:
                    failed.append(f"{row.name} is not explained: {problem}")
                tell(done, len(waiting))
    except (RacerError, ImportError) as problem:
        failed.append(f"not explained: {problem}")
    for line in failed:
        print(line, file=sys.stderr)


def board_serve(
    port: int = 8000,
    host: str = "127.0.0.1",
    season: str = "",
    judge: bool = True,
    explain: bool = True,
) -> None:
    """Serve the board's pages on this machine, and judge the entries that are handed in there.

    Entries that wait when it ends are judged when it starts again, or by `racer board work`.

    Args:
        port: The port; 0 for a free one.
        host: Where to listen; other than on this machine, anybody who reaches it can hand in.
        season: The season that takes entries; `open` and every season of the board by default.
        judge: Judge the entries here too; otherwise they wait for `racer board work`.
        explain: Explain a lap of each entry on its page; see docs/explain.md.
    """
    from racer.cli.board import public_secret, secret_on
    from racer.leaderboard.pages.site import seasons_of
    from racer.leaderboard.season import load_season
    from racer.leaderboard.server import BoardServer
    from racer.leaderboard.store import BoardStore

    store = BoardStore()
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
        is_judging=judge,
        is_explaining=explain,
    )
    try:
        server.write()
        if host not in ("127.0.0.1", "localhost", "::1"):
            print(
                "warning: anyone who reaches this machine can submit entries; there is no password"
            )
        here, *others = server.addresses()
        print(f"serving {here}")
        for address in others:
            print(f"  from another machine: {address}")
        if names := server.named_addresses():
            print(f"  or, where its name is known: {' '.join(names)}")
        print("Ctrl-C ends it", flush=True)
        server.serve_forever()
    finally:
        if judge:
            print("finishing the entry that is judged ...")
        server.close()


def board_work(drain: bool = False) -> None:
    """Judge the entries that wait in the board's queue, one after the other, until Ctrl-C.

    Several may work at once; with a board on PostgreSQL and its files at a URL, on several
    machines. An entry whose judge was killed goes to another one.

    Args:
        drain: End as soon as no entry is left.
    """
    from racer.cli.board import secret_on
    from racer.leaderboard.store import BoardStore
    from racer.leaderboard.submission_judge import SubmissionJudge
    from racer.leaderboard.submission_queue import SubmissionQueue

    store = BoardStore()
    judge = SubmissionJudge(
        SubmissionQueue(store, {}),
        lambda one: secret_on(store, one),
        tell=lambda said: print(said, flush=True),
    )
    if not drain:
        print(f"judging the entries of {store.place}; Ctrl-C ends it", flush=True)
    print(f"{judge.work(is_drained=drain)} entries judged")


def board_run_season(
    folder: Path,
    season: str = "open",
    names: Path | None = None,
    workers: Literal["auto"] | int = "auto",
    cluster: str | None = None,
    price_per_core_hour: float | None = None,
    json: bool = False,
) -> None:
    """Evaluate every entry of a folder on a season, on all processors, and add them to the board.

    Results of earlier runs are reused, so a run that was stopped continues where it was. An entry
    has its own name, or its file's name if several have the same one.

    Args:
        folder: The folder with the files NAME.entry.zip.
        season: A shipped season's name or a YAML file.
        names: A class's list of names, one a line: take and name entries by it, and say of whom
            there is none.
        workers: Number of processes that evaluate; auto: one for each processor.
        cluster: Evaluate on the nodes of a Ray cluster: HOST:PORT, ray://HOST:PORT, or local for a
            Ray of this machine's own.
        price_per_core_hour: What a core costs for an hour, in your currency, to tell the price.
        json: Print the summary as JSON.
    """
    from racer.cli.output import print_json, progress, say_aside
    from racer.cli.season import secret_of
    from racer.cluster import Cost, open_pool
    from racer.cluster.cost import refuse_price
    from racer.leaderboard.batch import run_season
    from racer.leaderboard.costs import keep_cost
    from racer.leaderboard.ranking import rank
    from racer.leaderboard.roster import read_roster
    from racer.leaderboard.season import load_season
    from racer.leaderboard.store import BoardStore

    refuse_price(price_per_core_hour)
    roster = read_roster(names) if names else ()
    store, rules = BoardStore(), load_season(season)
    count = None if workers == "auto" else workers
    secret = secret_of(rules, season)
    with open_pool(cluster, count, say_aside) as pool, progress("judging races") as tell:
        found = run_season(store, rules, folder, secret, count, tell, pool, roster)
    cost = Cost(found.wall_s, found.core_s, price_per_core_hour=price_per_core_hour)
    if found.core_s:
        keep_cost(store, rules, cost, found)
    if json:
        refused = {
            name: {"code": code, "said": said} for name, (code, said) in found.refused.items()
        }
        print_json(
            {
                "added": [row.id for row in found.added],
                "there": found.there,
                "named": found.named,
                "refused": refused,
                "lacking": found.lacking,
                "races": found.races,
                "kept": found.kept,
                "workers": found.workers,
                "wall_s": found.wall_s,
                "race_s": found.race_s,
                "ratio": found.ratio,
                "cost": cost.as_dict(),
                "sandboxes": found.boxes,
            }
        )
        return
    for name, (code, said) in sorted(found.refused.items()):
        print(f"refused: {name}: {code}: {said}")
    if found.lacking:
        print(f"no file of: {', '.join(found.lacking)}")
    if found.named:
        print(f"named by their files: {', '.join(found.named.values())}")
    standing = rank(store.rows(rules), rules)
    new = {row.competitor for row in found.added}
    several = [line.name for line in standing if line.others and line.competitor in new]
    if several:
        print(f"several entries of one name, of which the best stands: {', '.join(several)}")
    print(
        f"season {rules.name}: {len(found.added)} entries added, {len(found.there)} there already, "
        f"{len(found.refused)} refused; {found.races} races judged, {found.kept} kept from before"
    )
    if found.ratio:
        took = f"{found.wall_s:.1f} s with {found.workers} workers"
        print(f"{took}, {found.ratio:.2f} x the time of the races alone")
    if found.core_s:
        print(f"cost: {cost.words}")
    for node, box in sorted(found.boxes.items() if cluster else ()):
        print(f"node {node} holds policies by: {box}")

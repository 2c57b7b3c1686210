"""The `racer board` verbs."""

from __future__ import annotations

from racer.cli.output import console, print_json, sentence
from racer.cli.race import racer_named


def board_submit(
    entry: str,
    name: str | None = None,
    season: str = "open",
    json: bool = False,
) -> None:
    """Judge an entry on a season and add it to the leaderboard.

    Args:
        entry: The entry, NAME.entry.zip, or a pilot, pure-pursuit or raceline.
        name: What the board calls it; the entry's own name by default.
        season: A shipped season's name or a YAML file.
        json: Print the new row as JSON.
    """
    from racer.board.season import load_season
    from racer.board.standing import rank
    from racer.board.store import Store
    from racer.judge import judge_entries, race_rules
    from racer.policy.box import BoxedPolicy
    from racer.policy.check import check_entry

    racer, rules = racer_named(entry), load_season(season)
    package = None if isinstance(racer, str) else racer
    if package:
        check_entry(package)
    store = Store()
    race = race_rules(rules.laps, rules.off_track_penalty, rules.time_limit)
    result = judge_entries([racer], rules.track, race, rules.seed, policy_of=BoxedPolicy)[0]
    label = name or (package.manifest.name if package else entry)
    added = store.add(rules, label, package, result.as_dict())
    rows = rank(store.rows(rules))
    mine = (added.name, added.entry_sha256)
    row = next(row for row in rows if (row["name"], row["entry_sha256"]) == mine)
    if json:
        print_json(row)
    else:
        print(f"season {rules.name}: {row['name']} is number {row['rank']} of {len(rows)}")
        print(sentence(result))


def board_show(season: str = "open", json: bool = False) -> None:
    """Show the leaderboard of a season.

    Args:
        season: A shipped season's name or a YAML file.
        json: Print the rows as JSON.
    """
    from racer.board.season import load_season
    from racer.board.standing import rank, table
    from racer.board.store import Store

    rows = rank(Store().rows(load_season(season)))
    if json:
        print_json(rows)
    else:
        console().print(table(rows))

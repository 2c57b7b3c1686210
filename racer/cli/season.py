"""The `racer board season` verbs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from racer.cli.options import RaceKind
from racer.cli.output import print_json, shell_command
from racer.errors import BoardError

if TYPE_CHECKING:
    from racer.leaderboard.season import Season


def season_new(
    name: str,
    tracks: tuple[str, ...] = ("bowtie",),
    kind: RaceKind = "time_trial",
    directions: tuple[Literal["forward", "reverse"], ...] = ("forward",),
    laps: int = 3,
    seeds: int = 1,
    time_limit: float = 180.0,
    off_track_penalty: float = 3.0,
    collision_penalty: float = 5.0,
    faults: Literal["reset", "end"] = "reset",
    car: Literal["deepracer", "f1tenth"] = "deepracer",
    ranking: Literal["total", "best", "average", "iqm"] = "total",
    opens: str | None = None,
    closes: str | None = None,
    final_from: str | None = None,
    entries_per_person: int | None = None,
    description: str = "",
) -> None:
    """Write the rules of a new season to NAME.yaml, where one works.

    Args:
        name: Lower case letters, digits and dashes.
        tracks: Shipped tracks' names, or YAML files.
        kind: An empty road, one with boxes, or one with bot cars.
        directions: The tracks' own, against it, or both.
        laps: Laps of each run.
        seeds: How many seeds, from 0 on; boxes and bots stand elsewhere with each.
        time_limit: Simulated seconds for each run.
        off_track_penalty: Seconds added for a fault that is no crash.
        collision_penalty: Seconds added for a crash.
        faults: A fault puts the car back, or ends the run.
        car: The car that everybody drives.
        ranking: What ranks; several seeds or tracks want iqm.
        opens: When entries are taken from, in UTC, as 2026-12-01T09:00:00Z; always by default.
        closes: From when on no more entries are taken, in UTC; never by default.
        final_from: When practice ends and the final begins, in UTC; no practice by default.
        entries_per_person: The most entries of a person in each phase; any number by default.
        description: One line of prose.
    """
    from racer.assets.document import validate_document
    from racer.leaderboard.season import Season
    from racer.registration import ENV_IDS
    from racer.track import load_track

    rules: dict[str, Any] = {
        "name": name,
        "description": description,
        "race": {
            "kind": kind,
            "laps": laps,
            "time_limit": time_limit,
            "off_track_penalty": off_track_penalty,
            "collision_penalty": collision_penalty,
            "faults": faults,
        },
        "tracks": list(tracks),
        "directions": list(directions),
        "seeds": list(range(seeds)),
        "car": car,
        "physics": int(ENV_IDS[kind].rpartition("-v")[2]),
        "ranking": ranking,
    }
    event = {
        "opens": opens,
        "closes": closes,
        "final_from": final_from,
        "entries_per_person": entries_per_person,
    }
    if given := {key: value for key, value in event.items() if value is not None}:
        rules["event"] = given
    season = validate_document(rules, Season, "season")
    for track in season.tracks:
        load_track(track)
    path = Path(f"{name}.yaml")
    if path.exists():
        raise BoardError(f"{path} is there already, and a season does not change; take a new name")
    _write(path, rules)
    print(f"season: {path}; next: {shell_command('board', 'submit', 'ENTRY', '--season', path)}")


def season_seal(name: str, tracks: int = 0, seeds: int = 1, only_drawn: bool = False) -> None:
    """Let a secret draw a season's seeds, and tracks if you like; publish the secret's SHA-256.

    Args:
        name: The YAML file of a season to which nobody has submitted yet.
        tracks: How many generated tracks are raced beside the season's own.
        seeds: How many seeds are drawn.
        only_drawn: Leave the season's own tracks out.
    """
    from racer import assets
    from racer.assets.document import parse_yaml, validate_document
    from racer.leaderboard.season import Season, load_season, season_path
    from racer.leaderboard.season_secret import commitment, make_secret
    from racer.leaderboard.store import BoardStore

    path, store = season_path(name), BoardStore()
    if path.resolve().is_relative_to(assets.assets_root() / "configs"):
        raise BoardError(f"{path} ships with racer; `racer board season new` makes one to seal")
    if load_season(str(path)).sealed:
        raise BoardError(f"{path} is sealed already; make a new season to seal another")
    if store.rows(load_season(str(path))):
        raise BoardError(f"{path} has submissions, and a season does not change; make a new one")
    rules, _ = parse_yaml(path)
    dropped = ("seed", "seeds", *(("track", "tracks") if only_drawn else ()))
    rules = {key: value for key, value in rules.items() if key not in dropped}
    drawn = {"tracks": tracks, "seeds": seeds}
    validate_document(rules | {"sealed": drawn | {"sha256": "0" * 64}}, Season, str(path))
    rules["sealed"] = {"sha256": commitment(make_secret())} | drawn
    _write(path, rules)
    season = load_season(str(path))
    store.open(season)
    print(f"sealed: {path}, SHA-256 of the secret {rules['sealed']['sha256']}")
    print(f"publish {path}; when it is over: racer board season reveal {path}")


def season_reveal(name: str) -> None:
    """Close a sealed season: publish its secret, so that anybody can check what was drawn.

    Args:
        name: The season's YAML file.
    """
    from racer.leaderboard.season import load_season, season_path
    from racer.leaderboard.season_secret import revealed_path, write_revealed
    from racer.leaderboard.store import BoardStore

    season = load_season(name)
    secret = secret_of(season, name)
    if not season.sealed or not secret:
        raise BoardError(f"season {season.name} has no secret here to reveal")
    path = revealed_path(season_path(name))
    write_revealed(path, season.name, season.digest, secret)
    BoardStore().reveal(season, secret)
    print(f"revealed: {path}")


def season_show(name: str, json: bool = False) -> None:
    """Show a season's rules, its digest and its runs; of a sealed one whether the secret holds.

    Args:
        name: A shipped season's name or a YAML file.
        json: Print them as JSON.
    """
    from racer.leaderboard.season import load_season, season_path
    from racer.leaderboard.season_secret import revealed_path

    season = load_season(name)
    is_revealed = revealed_path(season_path(name)).is_file()
    # Who sealed a season can judge it, but what it draws is shown only when all may see it.
    secret = secret_of(season, name) if is_revealed else None
    runs = season.runs(secret) if secret or not season.sealed else []
    shown = [{"track": one.track, "direction": one.direction, "seed": one.seed} for one in runs]
    rules = season.flat_fields()
    if json:
        print_json({"digest": season.digest, "rules": rules, "runs": shown})
        return
    print(f"season {season.name}: {season.description}\ndigest {season.digest}")
    kind, only_of = season.race.kind, {"obstacles": "object_avoidance", "bots": "head_to_bot"}
    for key, value in rules.items():
        if key not in ("name", "description") and only_of.get(key, kind) == kind:
            print(f"  {key}: {value}")
    if season.sealed:
        print("the secret is revealed, and is the published one" if secret else "still sealed")
    for one in shown:
        print(f"  run: {one['track']} {one['direction']}, seed {one['seed']}")


def secret_of(season: Season, name: str) -> str | None:
    """The secret of a sealed season whose file a person named; None where there is none here."""
    from racer.leaderboard.season import season_path
    from racer.leaderboard.season_secret import find_secret, revealed_path

    if not season.sealed:
        return None
    return find_secret(season.sealed.sha256, revealed_path(season_path(name)))


def _write(path: Path, rules: dict[str, Any]) -> None:
    import yaml

    from racer.assets.atomic import write_atomically

    try:
        write_atomically(path, yaml.safe_dump(rules, sort_keys=False).encode())
    except OSError as problem:
        raise BoardError(f"{path}: cannot be written: {problem.strerror}") from problem

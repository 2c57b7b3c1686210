"""The `racer board` verbs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from racer.cli.output import confirm, make_console, print_json
from racer.errors import BoardError, ConfigError

if TYPE_CHECKING:
    from racer.leaderboard.season import Season
    from racer.leaderboard.store import BoardStore
    from racer.leaderboard.submissions import Submission


def board_submit(
    entry: str,
    *more: str,
    name: str | None = None,
    season: str = "open",
    json: bool = False,
) -> None:
    """Judge an entry on a season and add it to the leaderboard.

    Args:
        entry: The entry, NAME.entry.zip, a run's folder, a controller, pure-pursuit or raceline, or
            a race that you drove in the studio, NAME.drive.
        more: Further drives, if the season has several races.
        name: What the board calls it; the entry's own name by default. The table shows the best
            entry of a name.
        season: A shipped season's name or a YAML file.
        json: Print the entry's row as JSON.
    """
    from racer.cli.season import secret_of
    from racer.entries.entry_check import check_entry
    from racer.leaderboard.drive_submission import submit_drives
    from racer.leaderboard.drives import DRIVE_SUFFIX, read_drive
    from racer.leaderboard.season import load_season
    from racer.leaderboard.store import BoardStore
    from racer.leaderboard.submission_evaluation import evaluate_season
    from racer.leaderboard.submissions import board_name
    from racer.training.racers import racer_named

    rules = load_season(season)
    if more or entry.endswith(DRIVE_SUFFIX):
        drives = [read_drive(Path(file)) for file in (entry, *more)]
        store, secret = BoardStore(), secret_of(rules, season) if rules.sealed else None
        _tell_submitted(store, rules, submit_drives(store, rules, drives, name, secret), json)
        return
    racer = racer_named(entry)
    package = None if isinstance(racer, str) else racer
    box = check_entry(package).box if package else "none"
    signer = (package.signer or "") if package else ""
    store = BoardStore()
    usual = package.manifest.name if package else entry
    label = board_name(usual if name is None else name)
    handed_in = store.admit(rules, label, signer)
    runs = evaluate_season(store, rules, racer, secret_of(rules, season))
    added = store.add(rules, label, package, runs, box, signer, handed_in=handed_in)
    _tell_submitted(store, rules, added, json)


def _tell_submitted(store: BoardStore, rules: Season, added: Submission, json: bool) -> None:
    """Print the place of a submission that was just added, or its row as JSON."""
    from racer.leaderboard.placement import announcement, placement_of
    from racer.leaderboard.ranking import submission_line

    one = placement_of(store.rows(rules), rules, added)
    if json:
        print_json(one.line.as_json() if one.line else None)
    else:
        place, *notes = announcement(rules, one)
        print("\n".join([place, submission_line(rules, added), *notes]))


def board_show(
    season: str = "open",
    all: bool = False,
    phase: Literal["practice", "final"] | None = None,
    json: bool = False,
) -> None:
    """Show the leaderboard of a season, each name with its best entry.

    Args:
        season: A shipped season's name or a YAML file.
        all: Show every entry of each name, the others behind the best, without a rank.
        phase: Of a season with a practice phase; by default the final as soon as it has an entry.
        json: Print the rows as JSON.
    """
    from racer.leaderboard.ranking import rank, rank_with_others, ranking_table
    from racer.leaderboard.season import load_season
    from racer.leaderboard.store import BoardStore

    rules = load_season(season)
    rows = (rank_with_others if all else rank)(BoardStore().rows(rules), rules, phase)
    if json:
        print_json([line.as_json() for line in rows])
    elif rows:
        make_console().print(ranking_table(rows))
    else:
        print(f"season {rules.name}: nobody stands there yet; next: racer board submit ENTRY")


def board_history(name: str, json: bool = False) -> None:
    """Show all that happened to a name, over all seasons.

    Args:
        name: What the board calls an entry.
        json: Print the records as JSON.
    """
    from racer.leaderboard.store import BoardStore
    from racer.leaderboard.submissions import submission_in, utc_minute

    records = BoardStore().history(name)
    if json:
        print_json([asdict(record) for record in records])
        return
    if not records:
        print(f"nothing is known of {name!r}")
    for one in records:
        runs = submission_in(one).runs if one.kind == "submission" else []
        laps, of = sum(run.laps_completed for run in runs), sum(run.laps for run in runs)
        what = one.body.get("why") or f"{laps} of {of} laps"
        about = f" of {one.about}" if one.about else ""
        about += f" (key {one.body['signer'][:8]})" if one.body.get("signer") else ""
        print(
            f"{one.id:>5}  {utc_minute(one.created)} UTC  {one.season}  {one.kind}{about}: {what}"
        )


def board_withdraw(id: int, why: str = "", yes: bool = False) -> None:
    """Take a submission out of the standing; its row stays, and so does the reason.

    Prints the row that is meant and asks first.

    Args:
        id: The submission's id, as `racer board show` tells it.
        why: The reason, which must be given.
        yes: Do not ask.
    """
    from racer.leaderboard.placement import placement_of
    from racer.leaderboard.store import BoardStore

    store = BoardStore()
    row = store.refuse_remark(id, why)
    _print_row(store, row)
    confirm(f"withdraw submission {id} for ever", yes)
    print(f"submission {id} is withdrawn: {store.withdraw(id, why).body['why']}")
    rules = store.season(row.season_digest)
    if place := placement_of(store.rows(rules), rules, row).place:
        print(f"{row.name} stands there with id {place.id} now, as number {place.rank}")


def board_dispute(id: int, why: str = "", yes: bool = False) -> None:
    """Put a doubt beside a submission, which stays in the standing.

    Prints the row that is meant and asks first.

    Args:
        id: The submission's id, as `racer board show` tells it.
        why: The reason, which must be given.
        yes: Do not ask.
    """
    from racer.leaderboard.store import BoardStore

    store = BoardStore()
    _print_row(store, store.refuse_remark(id, why))
    confirm(f"dispute submission {id} for ever", yes)
    print(f"submission {id} is disputed: {store.dispute(id, why).body['why']}")


def _print_row(store: BoardStore, row: Submission) -> None:
    """Print which row a number means, before something is done with it."""
    from racer.leaderboard.placement import describe_submission, placement_of

    rules = store.season(row.season_digest)
    print(describe_submission(rules, placement_of(store.rows(rules), rules, row)))


def board_verify(*ids: int, all: bool = False, policy: bool = True, json: bool = False) -> None:
    """Check the chain, simulate rows again from their replays, and run their policies again.

    Args:
        ids: The submissions' ids, as `racer board show` tells them.
        all: Every submission of the board.
        policy: Run the policies too, which takes as long as judging did.
        json: Print what was found as JSON.
    """
    from racer.leaderboard.store import BoardStore
    from racer.leaderboard.verification import verify_submission

    if bool(ids) == all:
        raise ConfigError("racer board verify wants the ids of submissions, or --all")
    store = BoardStore()
    rows = store.every_row() if all else [store.row(id) for id in ids]
    fault = store.chain().fault
    if not json:
        print(f"chain: {fault or 'holds'}")
    found = []
    for row in rows:
        secret = secret_on(store, store.season(row.season_digest))
        for one in verify_submission(store, row, secret, policy):
            found.append(one)
            if not json:
                acts = f"; {one.policy.text}" if one.policy else ""
                print(f"{one.id:>5}  {one.name}, run {one.run}: {one.simulated.text}{acts}")
    wrong = sum(not one.is_fine for one in found)
    if json:
        print_json({"chain": fault or "holds", "runs": [asdict(one) for one in found]})
    if wrong or fault:
        raise BoardError(
            f"{wrong} of {len(found)} runs do not hold, or cannot be simulated here; "
            f"chain: {fault or 'holds'}"
        )


def board_chain(head: str = "", json: bool = False) -> None:
    """Check that no record was changed, and print the last hash, which is worth noting down.

    Args:
        head: A hash that was noted down earlier; it must still be in the chain.
        json: Print the result as JSON.
    """
    from racer.leaderboard.store import BoardStore

    chain = BoardStore().chain()
    if json:
        print_json({"records": len(chain.hashes), "head": chain.head, "fault": chain.fault})
    if chain.fault:
        raise BoardError(f"the chain is broken: {chain.fault}")
    if head and head not in chain.hashes:
        raise BoardError(f"no record has the hash {head:.64}; the board was rewritten since")
    if not json:
        print(f"{len(chain.hashes)} records, head {chain.head}")


def board_replay(
    id: int,
    video: Path | None = None,
    run: int = 0,
    size: str | None = None,
    yes: bool = False,
) -> None:
    """Film a judged run, simulated again from its replay.

    Prints the row that is meant, and asks before a file is written over.

    Args:
        id: The submission's id, as `racer board show` tells it.
        video: The .mp4 or .gif to write, or the .png of a still, which must be given.
        run: Which of its runs, from 0.
        size: 480p, 720p, 1080p or WIDTHxHEIGHT; by default 480p, 720p of a .png, 480x270 of a
            .gif.
        yes: Do not ask.
    """
    from racer.cli.race import Shot
    from racer.entries.package import read_entry
    from racer.leaderboard.store import BoardStore
    from racer.leaderboard.verification import resimulate_run
    from racer.rendering.video_format import refuse_suffix, video_size

    if video is None:
        raise ConfigError("racer board replay wants a file to write: add --video FILE.mp4")
    refuse_suffix(video)
    pixels, store = video_size(size, video), BoardStore()
    row = store.row(id)
    _print_row(store, row)
    if video.exists():
        confirm(f"write over {video}", yes)
    season, driven, result = resimulate_run(
        store, row, run, secret_on(store, store.season(row.season_digest))
    )
    package = store.entry_path(row.entry_sha256)
    sensor = read_entry(package).manifest.sensor if package.exists() else ()
    shot = Shot(video, pixels, [row.name], sensor=sensor)
    shot.film([result], driven.track, season.race_in(driven.direction), season.car)
    print(f"video: {video}")


def board_backup(file: Path) -> None:
    """Write the whole board into one file: records, packages and replays, but no secrets.

    Args:
        file: The file to write.
    """
    from racer.leaderboard.backup import write_backup
    from racer.leaderboard.store import BoardStore

    count = write_backup(BoardStore(), file)
    print(f"backup: {file}, {count} submissions, {file.stat().st_size:,} bytes")


def board_restore(file: Path) -> None:
    """Make the board again from a backup, where RACER_BOARD says, or in the folder `board`.

    The folder, or the database on a server, must be empty.

    Args:
        file: What `racer board backup` wrote.
    """
    from racer.leaderboard.board_copy import restore_board
    from racer.leaderboard.store import board_place, files_place

    store = restore_board(file, board_place(), files_place())
    print(f"board: {store.place}, {len(store.every_row())} submissions")


def board_migrate(source: str, target: str, files: str | None = None) -> None:
    """Copy a board to a new place, such as a PostgreSQL server, and verify the copy.

    The board at the old place stays as it is. Entries that wait in its queue are judged before.

    Args:
        source: The board's folder, or postgresql://USER@HOST/DATABASE.
        target: The new place, a folder or such a URL, without a board.
        files: Where packages and replays go: a folder, or a URL such as s3://BUCKET/PREFIX; in the
            target's folder by default.
    """
    from racer.cli.output import progress
    from racer.leaderboard.board_copy import copy_board
    from racer.leaderboard.board_database import is_database_url
    from racer.leaderboard.store import DATABASE_FILE, BoardStore

    if not is_database_url(source) and not (Path(source) / DATABASE_FILE).is_file():
        raise BoardError(f"{source}: there is no board; name its folder, or its URL")
    old, new = BoardStore(source), BoardStore(target, files)
    with progress("copying files") as tell:
        copied = copy_board(old, new, tell)
    print(
        f"copied: {copied.records} records and {copied.files} files to {new.place}; every file and "
        f"the chain were verified there, head {copied.head}"
    )


def secret_on(store: BoardStore, season: Season) -> str | None:
    """The secret of a season on the board: revealed by the board or by racer, or kept here."""
    from racer.leaderboard.season_secret import find_secret

    if not season.sealed:
        return None
    return public_secret(store, season) or find_secret(season.sealed.sha256)


def public_secret(store: BoardStore, season: Season) -> str | None:
    """The secret of a sealed season, only where all may know it: the board or racer revealed it."""
    from racer import assets
    from racer.cli.season import secret_of
    from racer.leaderboard.season import load_season

    if not season.sealed:
        return None
    if secret := store.revealed(season.digest):
        return secret
    if (
        season.name in assets.shipped_names("configs/seasons")
        and load_season(season.name) == season
    ):
        return secret_of(season, season.name)
    return None

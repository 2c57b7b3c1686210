"""The `racer drives` verbs: races that a person drove in the studio."""

from __future__ import annotations

from pathlib import Path

from racer.cli.output import make_console, print_json
from racer.errors import BoardError


def drives_list(folder: Path | None = None, json: bool = False) -> None:
    """List the races that persons drove in the studio.

    Args:
        folder: The folder of the drives; by default RACER_DRIVES, or drives.
        json: Print them as JSON.
    """
    from racer.leaderboard.drives import DriveRecord, drives_folder, drives_in, drives_table

    where = folder or drives_folder()
    found = drives_in(where)
    if json:
        print_json(
            [
                {"file": str(path)}
                | (one.as_json() if isinstance(one, DriveRecord) else {"error": str(one)})
                for path, one in found
            ]
        )
    elif found:
        make_console().print(drives_table(found))
    else:
        print(f"{where}: no drive is there; next: racer studio, page Drive")


def drives_verify(*files: Path, json: bool = False) -> None:
    """Simulate drives again from their commands, and compare states and times.

    Args:
        files: The drives, NAME.drive.
        json: Print what was found as JSON.
    """
    from racer.leaderboard.drives import read_drive, verify_drive

    found = []
    for file in files:
        result, verdict = verify_drive(read_drive(file))
        found.append({"file": str(file), "verdict": verdict.text, "is_fine": verdict.is_fine})
        if not json:
            print(f"{file}: {verdict.text}; {result.summary}")
    if json:
        print_json(found)
    if wrong := sum(not one["is_fine"] for one in found):
        raise BoardError(f"{wrong} of {len(found)} drives are not confirmed")

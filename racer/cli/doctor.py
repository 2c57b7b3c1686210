"""The command that says what this machine has and lacks."""

from __future__ import annotations

import sys

from racer.cli.output import make_console, print_json


def doctor(json: bool = False) -> None:
    """Say what this machine has and lacks, and how to mend it; exit code 1 if racer cannot run.

    Args:
        json: Print the findings as JSON.
    """
    from racer.doctor import check_machine, doctor_table

    found = check_machine()
    is_fit = all(one.is_fit for one in found)
    if json:
        print_json({"is_fit": is_fit, "checks": [one.as_dict() for one in found]})
    else:
        make_console().print(doctor_table(found))
        for one in found:
            if one.mend:
                print(f"{one.name}: {one.mend}")
    if not is_fit:
        sys.exit(1)

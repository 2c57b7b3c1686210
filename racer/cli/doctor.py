"""The `racer doctor` command, which checks this machine."""

from __future__ import annotations

import sys

from racer.cli.output import make_console, print_json


def doctor(json: bool = False) -> None:
    """Check this machine and say how to fix what is missing; exit code 1 if racer cannot run.

    Args:
        json: Print the checks as JSON.
    """
    from racer.doctor import check_machine, doctor_table

    checks = check_machine()
    is_fit = all(check.is_fit for check in checks)
    if json:
        print_json({"is_fit": is_fit, "checks": [check.as_dict() for check in checks]})
    else:
        make_console().print(doctor_table(checks))
        for check in checks:
            if check.mend:
                print(f"{check.name}: {check.mend}")
    if not is_fit:
        sys.exit(1)

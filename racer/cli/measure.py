"""The verbs that measure: the simulator's speed, and a car."""

from __future__ import annotations

import sys
from pathlib import Path

from racer.cli.output import console, print_json


def bench(json: bool = False) -> None:
    """Time the simulator on one core of this machine, beside Bullet's own floor.

    Args:
        json: Print the figures as JSON.
    """
    from racer.bench import bench as measure
    from racer.bench import table

    figures = measure()
    if json:
        print_json(figures)
    else:
        console().print(table(figures))


def car_report(car: str = "deepracer", out: Path | None = None, json: bool = False) -> None:
    """Measure a car on the proving ground against closed forms; a missed gate is said, not failed.

    Args:
        car: The car, deepracer or f1tenth.
        out: Write the plots into this folder.
        json: Print the checks as JSON.
    """
    from racer.car.spec import car_named
    from racer.proving.gates import prove
    from racer.proving.report import as_dict, table

    spec = car_named(car)
    checks = prove(spec)
    if json:
        print_json(as_dict(spec, checks))
    else:
        console().print(table(spec, checks))
    if out:
        from racer.proving.plots import draw

        for path in draw(spec, out):
            print(f"plot: {path}", file=sys.stderr if json else sys.stdout)

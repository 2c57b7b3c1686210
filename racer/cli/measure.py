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
    from racer.benchmark import bench as measure
    from racer.benchmark import table

    figures = measure()
    if json:
        print_json(figures)
    else:
        console().print(table(figures))


def bench_train(config: str, seeds: tuple[int, ...] = (0, 1, 2, 3, 4), json: bool = False) -> None:
    """Train a config from several seeds until it drives clean laps, and tell how long that took.

    Args:
        config: A shipped config's name or a YAML file.
        seeds: The seeds, one run each.
        json: Print the figures as JSON.
    """
    from racer import assets
    from racer.assets.document import read
    from racer.training.config import RunConfig
    from racer.training.time_to_clean_laps import bench, table

    chosen = read(assets.find(config, "configs"), RunConfig)
    figures = bench(chosen, seeds)
    if json:
        print_json(figures)
    else:
        console().print(table(figures, chosen.evaluation.laps))


def car_report(car: str = "deepracer", out: Path | None = None, json: bool = False) -> None:
    """Measure a car on the proving ground against closed forms; a missed gate is said, not failed.

    Args:
        car: The car, deepracer or f1tenth.
        out: Write the plots into this folder.
        json: Print the checks as JSON.
    """
    from racer.car.spec import car_named
    from racer.validation.checks import prove
    from racer.validation.vehicle_report import as_dict, table

    spec = car_named(car)
    checks = prove(spec)
    if json:
        print_json(as_dict(spec, checks))
    else:
        console().print(table(spec, checks))
    if out:
        from racer.validation.manoeuvre_plots import draw

        for path in draw(spec, out):
            print(f"plot: {path}", file=sys.stderr if json else sys.stdout)

"""Solve the minimum lap time of every shipped track for every car; write `tracks/limits.json`."""

import json
from dataclasses import asdict

from racer import assets
from racer.car.spec import CAR_PRESETS, car_named
from racer.laptime import solve_lap_time_limit
from racer.laptime.lap_time_limit import LIMITS_FILE
from racer.track import load_track


def main() -> None:
    """Solve, print a table and write the file."""
    rows = []
    for name in assets.shipped_names("tracks"):
        for car in CAR_PRESETS:
            limit = solve_lap_time_limit(load_track(name), car_named(car)).limit
            rows.append(asdict(limit))
            print(
                f"{name:12} {car:10} flying {limit.flying:7.3f} s  standing {limit.standing:7.3f} s"
                f"  QSS {limit.qss:7.3f} s  margin {limit.margin:.3%}",
                flush=True,
            )
    lines = ",\n".join(json.dumps(row) for row in rows)
    (assets.assets_root() / LIMITS_FILE).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

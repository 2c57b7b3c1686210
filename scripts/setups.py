"""Find the fastest clean set-up of `raceline` on every shipped track: `tracks/setups.json`."""

import json
from itertools import product

from racer import assets
from racer.car.spec import CAR_PRESETS, car_named
from racer.controllers import path_following
from racer.evaluation import evaluate_controller, make_race_rules
from racer.laptime.lap_time_limit import limit_digest
from racer.track import load_track

SHARES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
INSIDES = (0.04, 0.07, 0.1, 0.15)


def main() -> None:
    """Race every set-up and keep the fastest that never left the road, on each track."""
    found, race = {}, make_race_rules(3, 3.0, 180.0)
    for name, car in product(assets.shipped_names("tracks"), CAR_PRESETS):
        road, spec = load_track(name), car_named(car)
        clean = []
        for inside in INSIDES:
            lines = path_following.candidate_lines(road, inside)
            for share in SHARES:
                result = evaluate_controller(
                    path_following.fastest_follower(lines, spec, share), name, race, car=car
                )
                if result.is_clean and result.total_time_s:
                    clean.append((result.total_time_s, share, inside))
        if not clean:
            print(f"{name:12} {car:10} no set-up stays on the road; it keeps to the careful one")
            continue
        time, share, inside = min(clean)
        found[f"{road.name} {limit_digest(road, spec)}"] = {"share": share, "inside": inside}
        print(f"{name:12} {car:10} {time:7.3f} s  share {share}  inside {inside} m", flush=True)
    (assets.assets_root() / path_following.SETUPS_FILE).write_text(
        json.dumps(found, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()

"""The cars and races that the canvas of a page can replay."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from racer.car.spec import car_named
from racer.leaderboard.pages.context import SeasonContext
from racer.leaderboard.pages.markup import embedded
from racer.leaderboard.ranking import short_keys
from racer.leaderboard.submissions import Submission


def player_races(
    view: SeasonContext, shown: Sequence[int] = (), extra: Submission | None = None
) -> Markup | None:
    """Return the races and cars for `player.html`, as JSON; None if no race can be replayed.

    Args:
        view: The season.
        shown: Ids of the submissions whose cars are shown at first.
        extra: A submission whose car can be chosen although it has no rank.
    """
    keys = {id: [one.key for one in recordings] for id, recordings in view.recordings.items()}
    key_names = short_keys(view.standing)
    cars = [
        (line.id, " ".join(filter(None, (line.name, key_names.get(line.signer)))))
        for line in view.standing
    ]
    if extra and extra.id not in view.ranks:
        cars.insert(0, (extra.id, extra.name))
    if not any(any(keys.get(id, [])) for id, _ in cars):
        return None
    spec = car_named(view.season.car)
    races = {
        "runs": [{"name": name, "road": road} for name, road in zip(view.run_names(), view.roads)],
        "cars": [
            {"id": id, "name": name, "rank": view.ranks.get(id, ""), "films": keys.get(id, [])}
            for id, name in cars
        ],
        "shown": list(shown),
        "size": [spec.body_length, spec.body_width],
    }
    return Markup(embedded(races))  # `embedded` leaves no character that HTML interprets

"""The canvas on which races are replayed, with its buttons and what it has to show."""

from __future__ import annotations

from collections.abc import Sequence

from racer.car.spec import car_named
from racer.leaderboard.pages.context import SeasonContext
from racer.leaderboard.pages.markup import embedded
from racer.leaderboard.ranking import short_keys
from racer.leaderboard.submissions import Submission

KEYBOARD_HELP = (
    "space plays and pauses, left and right go a second back and on, up and down change the speed"
)
_BUTTONS = f"""
<div class="pick"><label>race<select id="run"></select></label>
<label>from<select id="lap"></select></label>
<label>speed<select id="rate"><option value="0.25">¼ x</option><option value="0.5">½ x</option>
<option value="1" selected>1 x</option><option value="2">2 x</option><option value="4">4 x</option>
</select></label></div>
<div class="stage" id="stage" tabindex="0" aria-label="the race; {KEYBOARD_HELP}">
<canvas id="road" role="img" aria-label="the track from above, with the cars"></canvas>
<p id="note" role="status"></p></div>
<div class="play"><button id="play" type="button" aria-label="play">▶</button>
<input id="scrub" type="range" min="0" max="1" step="any" value="0" aria-label="time">
<output id="clock">0.00 s</output></div>
<canvas id="chart" role="img" aria-label="speed over time"></canvas>
<div class="ramp"><span id="slow"></span><i></i><span id="fast"></span></div>
<div id="cars"></div>
<p class="keys">Keys: {KEYBOARD_HELP}. The line, and boxes or bots, are those of the
car marked first.</p>
"""


def race_player(
    view: SeasonContext, shown: Sequence[int] = (), also: Submission | None = None
) -> str:
    """The canvas, its buttons, and as data which cars raced which runs; as HTML.

    Args:
        view: The season.
        shown: Numbers of the rows whose cars are shown at first.
        also: A row that is not in the standing and is a car to choose all the same.
    """
    films = {id: [film.key for film in films] for id, films in view.films.items()}
    keys = short_keys(view.standing)
    cars = [
        (line["id"], " ".join(filter(None, (line["name"], keys.get(line["signer"])))))
        for line in view.standing
    ]
    if also and also.id not in view.ranks:
        cars.insert(0, (also.id, also.name))
    can_show = any(films.get(id) and any(films[id]) for id, _ in cars)
    if not can_show:
        return '<p class="none">There is no replay here to show.</p>'
    spec = car_named(view.season.car)
    data = {
        "runs": [{"name": name, "road": road} for name, road in zip(view.run_names(), view.roads)],
        "cars": [
            {"id": id, "name": name, "rank": view.ranks.get(id, ""), "films": films.get(id, [])}
            for id, name in cars
        ],
        "shown": list(shown),
        "size": [spec.body_length, spec.body_width],
    }
    return (
        f'<div class="screen" id="screen">{_BUTTONS}</div>'
        f'<script type="application/json" id="races">{embedded(data)}</script>'
    )

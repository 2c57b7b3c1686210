"""The fields by which a race is chosen on the studio's pages."""

from __future__ import annotations

from nicegui import ui

from racer import assets
from racer.car.spec import CAR_PRESETS
from racer.errors import StudioError
from racer.evaluation import make_race_rules
from racer.leaderboard.drives import make_drive_season
from racer.leaderboard.season import Season
from racer.race import RACE_KINDS
from racer.track.generator import GENERATED_PREFIX

KIND_WORDS = {
    "time_trial": "time trial",
    "object_avoidance": "among boxes",
    "head_to_bot": "among bots",
}
NO_SEASON = "free"
"""The choice of a race that is no season's."""
NARROW, WIDE = "dense options-dense", "w-40 grow"


class RaceForm:
    """The fields of a race; a season's race sets those that its rules fix.

    It fills the element in which it is made.
    """

    def __init__(self) -> None:
        self._seasons: dict[str, Season] = {}
        shipped = assets.shipped_names("tracks")
        self._season = ui.select([NO_SEASON], value=NO_SEASON, label="season")
        self._run = ui.select({}, label="race of the season").props(NARROW).classes("w-56 grow")
        self._track = ui.select(
            shipped, value="oval", label="track", with_input=True, new_value_mode="add-unique"
        )
        self._track.tooltip(f"a shipped track, a file, or {GENERATED_PREFIX}SEED")
        self._kind = ui.select(KIND_WORDS, value=RACE_KINDS[0], label="race")
        self._car = ui.select(list(CAR_PRESETS), value="deepracer", label="car")
        self._direction = ui.select(["forward", "reverse"], value="forward", label="direction")
        self._laps = ui.number("laps", value=3, min=1, max=50, precision=0)
        self._seed = ui.number("seed", value=0, min=0, precision=0)
        self._walls = ui.checkbox("walls")
        for field in (self._season, self._track, self._kind, self._car):
            field.props(NARROW).classes(WIDE)
        self._direction.props(NARROW).classes("w-28")
        for field in (self._laps, self._seed):
            field.props("dense").classes("w-28")
        self._run.bind_visibility_from(self._season, "value", lambda value: value != NO_SEASON)
        for one in (self._track, self._kind, self._car, self._direction, self._laps, self._seed):
            one.bind_enabled_from(self._season, "value", lambda value: value == NO_SEASON)
        self._walls.bind_enabled_from(self._season, "value", lambda value: value == NO_SEASON)
        self._season.on_value_change(self._show_runs)

    def offer(self, seasons: dict[str, Season]) -> None:
        """Offer the seasons, by their names; what is chosen stays."""
        if seasons != self._seasons:
            self._seasons = seasons
            self._season.set_options([NO_SEASON, *seasons], value=self._season.value)

    def chosen(self) -> Season:
        """Return the chosen race.

        Raises:
            RacerError: A value cannot be used.
        """
        if (season := self._seasons.get(self._season.value or "")) is not None:
            run = season.runs()[int(self._run.value or 0)]
            return make_drive_season(run.track, season.race_in(run.direction), run.seed, season.car)
        if self._laps.value is None or self._seed.value is None or not self._track.value:
            raise StudioError("choose a track, the laps and a seed")
        rules = make_race_rules(int(self._laps.value)).model_copy(
            update={
                "kind": self._kind.value,
                "walls": bool(self._walls.value),
                "direction": self._direction.value,
            }
        )
        track, car = self._track.value.strip(), self._car.value
        return make_drive_season(track, rules, int(self._seed.value), car)

    def _show_runs(self) -> None:
        """Offer the races of the chosen season."""
        season = self._seasons.get(self._season.value or "")
        runs = [] if season is None else season.runs()
        labels = {
            k: f"{one.label} {one.direction}, seed {one.number}" for k, one in enumerate(runs)
        }
        self._run.set_options(labels, value=0 if runs else None)

"""The verb that races entries and pilots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from racer.cli.deepracer import log_race
from racer.cli.options import RaceKind
from racer.cli.output import make_console, print_json, progress, result_line
from racer.errors import ConfigError, TrackError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from racer.entries.package import Entry
    from racer.evaluation import LapResult
    from racer.race import RaceConfig
    from racer.sensors import Sensors


def cli_race(
    *entries: str,
    track: str | None = None,
    car: str = "deepracer",
    kind: RaceKind | None = None,
    walls: Literal["on", "off"] | None = None,
    laps: int = 3,
    seed: int = 0,
    video: Path | None = None,
    follow: str | None = None,
    size: str | None = None,
    plot: Path | None = None,
    json: bool = False,
    deepracer_logs: Path | None = None,
) -> None:
    """Race an entry from the start line, or several together from a grid.

    A car that leaves the road, stands still or drives backwards goes on 3 seconds later, one that
    crashes 5 seconds later.

    Args:
        entries: The entries, NAME.entry.zip, or pilots, pure-pursuit or raceline; more than one
            race each other in one world.
        track: A shipped track's name or a YAML file; the one it was trained on by default.
        car: The car where only pilots race; an entry brings its own.
        kind: An empty road, one with six boxes, or one with three bot cars; what the first entry
            was trained in by default.
        walls: Walls on both borders; as the first entry was trained by default.
        laps: Laps to drive.
        seed: Seed of the environment.
        video: Film the race, with all penalties, as this .mp4 or .gif; a .png is a still of it,
            where most of the others are seen, or alone in the tightest bend.
        follow: Whom the camera follows, by name; of those who share one, the second is "NAME 2".
            The first by default.
        size: 480p, 720p, 1080p or WIDTHxHEIGHT; by default 480p, 720p of a .png, 480x270 of a
            .gif.
        plot: Draw the first entry's driven line as this PNG.
        json: Print the result as JSON; a list of them where several race.
        deepracer_logs: Write the first entry's race into this folder as DeepRacer's tools read it.
    """
    from racer.evaluation import evaluate_entries, make_race_rules, race_of_training
    from racer.rendering.video_format import numbered_names

    racers = [racer_named(entry) for entry in entries]
    if not racers:
        raise ConfigError("racer race wants an entry: a file that ends with .entry.zip, or a pilot")
    manifests = [racer.manifest for racer in racers if not isinstance(racer, str)]
    road = track or (manifests[0].trained_on.track if manifests else None)
    if road is None:
        raise ConfigError(f"racer race {entries[0]} wants a track: add --track NAME")
    asked = {"kind": kind, "walls": None if walls is None else walls == "on"}
    chosen = {name: value for name, value in asked.items() if value is not None}
    rules = make_race_rules(laps, like=race_of_training(racers[0]).model_copy(update=chosen))
    if not track and manifests:
        _check_home(road, manifests[0].name)
    names = numbered_names(
        [racer if isinstance(racer, str) else racer.manifest.name for racer in racers]
    )
    shot = _shot(video, follow, size, racers, names)
    results = evaluate_entries(racers, road, rules, seed, car)
    car = manifests[0].car if manifests else car
    if plot:
        _draw(results[0], road, names[0], plot)
    if shot:
        shot.film(results, road, rules, car)
    if deepracer_logs:
        if isinstance(racers[0], str):
            raise ConfigError("--deepracer-logs wants an entry, which says what its actions are")
        log_race(deepracer_logs, results[0], road, racers[0].manifest)
    if json:
        figures = [result.as_dict() for result in results]
        print_json(figures if len(figures) > 1 else figures[0])
        return
    for name, result in zip(names, results):
        print(f"{name} on {result.track}{_among(rules)}: {result_line(result)}")
        if result.failure:
            print(f"{name} stopped: {result.failure}", file=sys.stderr)
    for label, path in (("video", video), ("driven line", plot)):
        if path:
            print(f"{label}: {path}")


def _among(rules: RaceConfig) -> str:
    """What stands on the road, for a person."""
    met = {"object_avoidance": " among boxes", "head_to_bot": " among bots"}.get(rules.kind, "")
    return met + " between walls" * rules.walls


def _check_home(track: str, name: str) -> None:
    """An entry knows its track by name alone, and a file's name may mean nothing here."""
    from racer.track import load_track

    try:
        load_track(track)
    except TrackError as problem:
        raise ConfigError(
            f"{name} was trained on {track!r}, which is not here: add --track with a shipped "
            "track's name or the file it was trained on"
        ) from problem


def racer_named(word: str) -> Entry | str:
    """The entry whose package a word names, or the word itself where it names a pilot."""
    from racer.controllers import CONTROLLERS
    from racer.entries.package import read_entry

    return word if word in CONTROLLERS else read_entry(Path(word))


def _draw(result: LapResult, track: str, name: str, plot: Path) -> None:
    from racer.rendering.line_plots import plot_driven_line, save_figure
    from racer.track import load_track

    road = load_track(track)
    title = f"{name} on {road.name}: {result_line(result)}"
    save_figure(plot_driven_line(road, result.xy, result.speed, title), plot)


class Shot(NamedTuple):
    """A film that is asked for: where it goes, what it shows, and how large."""

    path: Path
    size: tuple[int, int]
    names: Sequence[str]
    follow: int = 0
    sensor: Sensors = ()

    def film(self, results: Sequence[LapResult], track: str, rules: RaceConfig, car: str) -> None:
        """Write it; a terminal shows how far it is."""
        from racer.rendering.race_video import write_race_video
        from racer.track import load_track

        chosen = self.names, self.follow, self.sensor, car, self.size
        with progress("filming") as told:
            write_race_video(self.path, load_track(track), results, rules, *chosen, heard=told)


def _shot(
    video: Path | None,
    follow: str | None,
    size: str | None,
    racers: Sequence[Entry | str],
    names: Sequence[str],
) -> Shot | None:
    """The film that the options ask for, refused before a race is driven for nothing."""
    from racer.rendering.video_format import refuse_suffix, video_size

    if video is None:
        for option, value in (("--follow", follow), ("--size", size)):
            if value is not None:
                raise ConfigError(f"{option} {value} says how to film: add --video FILE.mp4")
        return None
    refuse_suffix(video)
    if follow is not None and follow not in names:
        raise ConfigError(f"--follow {follow}: nobody races under this name; {', '.join(names)} do")
    followed = names.index(follow) if follow else 0
    racer = racers[followed]
    sensor = () if isinstance(racer, str) else racer.manifest.sensor
    return Shot(video, video_size(size, video), names, followed, sensor)


def generalisation(entry: str, laps: int = 3, seed: int = 0, json: bool = False) -> None:
    """Race an entry alone on every shipped track: those to train on, to validate, held out.

    Args:
        entry: The entry, NAME.entry.zip, or a pilot, pure-pursuit or raceline.
        laps: Laps to drive on each track.
        seed: Seed of the environment.
        json: Print the results as JSON.
    """
    from rich.progress import track as shown

    from racer.evaluation.generalisation import (
        evaluate_all_tracks,
        generalisation_table,
        summarize_by_set,
        tracks_in_set,
    )
    from racer.track.track_file import TRACK_SETS

    count = sum(len(tracks_in_set(chosen)) for chosen in TRACK_SETS)
    driven = evaluate_all_tracks(racer_named(entry), laps, seed)
    seen = list(
        shown(driven, "racing", total=count, transient=True, disable=json, console=make_console())
    )
    if json:
        races = [{"set": chosen, **result.as_dict()} for chosen, result in seen]
        print_json({"sets": summarize_by_set(seen), "tracks": races})
    else:
        make_console().print(generalisation_table(seen))

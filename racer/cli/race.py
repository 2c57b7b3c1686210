"""Commands that race entries and baseline controllers."""

from __future__ import annotations

import sys
from contextlib import nullcontext
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
    checkpoint: Literal["best", "last"] | int | None = None,
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
    """Race an entry or a run from the start line, or several together from a grid.

    A car that leaves the road, stands still or drives backwards continues 3 seconds later, and one
    that crashes 5 seconds later.

    Args:
        entries: The entries, NAME.entry.zip; runs, of which the best checkpoint drives, or
            RUN@last or RUN@STEPS; or a baseline controller, pure-pursuit or raceline. Several of
            them race each other in one world.
        track: A shipped track's name or a YAML file; by default the track of the first entry's
            training.
        checkpoint: The checkpoint of the runs: best, last, or the steps after which it was saved,
            as `racer runs show` lists them; best by default.
        car: The car if only baseline controllers race; an entry brings its own.
        kind: An empty road, one with six boxes, or one with three bot cars; by default as in the
            first entry's training.
        walls: Walls on both borders; by default as in the first entry's training.
        laps: Laps to drive.
        seed: Seed of the environment.
        video: Film the race, with all penalties, as this .mp4 or .gif; a .png is a still of the
            moment with most other cars in view, or, if the car is alone, in the tightest bend.
        follow: Name of the car that the camera follows; if two have the same name, the second is
            "NAME 2". The first by default.
        size: 480p, 720p, 1080p or WIDTHxHEIGHT; by default 480p, 720p of a .png, 480x270 of a
            .gif.
        plot: Draw the first entry's driven line as this PNG.
        json: Print the result as JSON; a list of results if several race.
        deepracer_logs: Write the first entry's race into this folder as DeepRacer's tools read it.
    """
    from racer.evaluation import evaluate_entries, make_race_rules, race_of_training
    from racer.rendering.video_format import numbered_names
    from racer.training.racers import racer_named, training_track

    if not entries:
        raise ConfigError(
            "racer race needs an entry: a file that ends with .entry.zip, a run's folder, or a "
            "baseline controller, pure-pursuit or raceline"
        )
    racers = [racer_named(entry, checkpoint) for entry in entries]
    manifests = [racer.manifest for racer in racers if not isinstance(racer, str)]
    own_tracks = (training_track(word, racer) for word, racer in zip(entries, racers))
    road = track or next((one for one in own_tracks if one), None)
    if road is None:
        raise ConfigError(f"racer race {entries[0]} needs a track: add --track NAME")
    options = {"kind": kind, "walls": None if walls is None else walls == "on"}
    changes = {name: value for name, value in options.items() if value is not None}
    rules = make_race_rules(laps, like=race_of_training(racers[0]).model_copy(update=changes))
    if not track and manifests:
        _check_training_track(road, manifests[0].name)
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
            raise ConfigError(
                f"--deepracer-logs needs an entry, whose action space it logs; {racers[0]} has none"
            )
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
    """Return what is on the road, in words for the result line."""
    obstacles = {"object_avoidance": " among boxes", "head_to_bot": " among bots"}
    return obstacles.get(rules.kind, "") + " between walls" * rules.walls


def _check_training_track(track: str, name: str) -> None:
    """Raise ConfigError if the track that an entry was trained on is not found.

    A manifest has only the track's name, which may be that of a file on another machine.
    """
    from racer.track import load_track

    try:
        load_track(track)
    except TrackError as problem:
        raise ConfigError(
            f"{name} was trained on {track!r}, which is not found here: add --track with a "
            "shipped track's name or the file that it was trained on"
        ) from problem


def _draw(result: LapResult, track: str, name: str, plot: Path) -> None:
    from racer.rendering.line_plots import plot_driven_line, save_figure
    from racer.track import load_track

    road = load_track(track)
    title = f"{name} on {road.name}: {result_line(result)}"
    save_figure(plot_driven_line(road, result.xy, result.speed, title), plot)


class Shot(NamedTuple):
    """Options of a video: its file, its size [pixels], the cars' names, and the followed car."""

    path: Path
    size: tuple[int, int]
    names: Sequence[str]
    follow: int = 0
    sensor: Sensors = ()

    def film(self, results: Sequence[LapResult], track: str, rules: RaceConfig, car: str) -> None:
        """Write the video of a race, with a progress bar in a terminal.

        Args:
            results: The race of each car.
            track: Name or file of the track.
            rules: The race's rules.
            car: Preset of the cars.
        """
        from racer.rendering.race_video import write_race_video
        from racer.track import load_track

        options = self.names, self.follow, self.sensor, car, self.size
        with progress("filming") as report:
            write_race_video(
                self.path, load_track(track), results, rules, *options, on_progress=report
            )


def _shot(
    video: Path | None,
    follow: str | None,
    size: str | None,
    racers: Sequence[Entry | str],
    names: Sequence[str],
) -> Shot | None:
    """Return the video that the options ask for, checked before the race is driven."""
    from racer.rendering.video_format import refuse_suffix, video_size

    if video is None:
        for option, value in (("--follow", follow), ("--size", size)):
            if value is not None:
                raise ConfigError(f"{option} {value} needs a video: add --video FILE.mp4")
        return None
    refuse_suffix(video)
    if follow is not None and follow not in names:
        raise ConfigError(f"--follow {follow}: no car has this name; there are {', '.join(names)}")
    followed = names.index(follow) if follow else 0
    racer = racers[followed]
    sensor = () if isinstance(racer, str) else racer.manifest.sensor
    return Shot(video, video_size(size, video), names, followed, sensor)


def generalisation(
    entry: str,
    checkpoint: Literal["best", "last"] | int | None = None,
    laps: int = 3,
    seed: int = 0,
    cluster: str | None = None,
    json: bool = False,
) -> None:
    """Race an entry or a run alone on every shipped track: training, validation and held-out.

    Args:
        entry: The entry, NAME.entry.zip, a run's folder, or a baseline controller, pure-pursuit or
            raceline.
        checkpoint: The checkpoint of the run: best, last, or the steps after which it was saved, as
            `racer runs show` lists them; best by default.
        laps: Laps to drive on each track.
        seed: Seed of the environment.
        cluster: Drive the races on the nodes of a Ray cluster: HOST:PORT, ray://HOST:PORT, or local
            for a Ray of this machine's own.
        json: Print the results as JSON.
    """
    from rich.progress import track as show_progress

    from racer.cli.output import say_aside
    from racer.cluster import open_pool
    from racer.evaluation.generalisation import (
        evaluate_all_tracks,
        generalisation_table,
        summarize_by_set,
        tracks_in_set,
    )
    from racer.track.track_file import TRACK_SETS
    from racer.training.racers import racer_named

    count = sum(len(tracks_in_set(name)) for name in TRACK_SETS)
    racer, console = racer_named(entry, checkpoint), make_console()
    with open_pool(cluster, say=say_aside) if cluster else nullcontext() as pool:
        races = evaluate_all_tracks(racer, laps, seed, pool)
        shown = {"total": count, "transient": True, "disable": json, "console": console}
        results = list(show_progress(races, "racing", **shown))
    if json:
        tracks = [{"set": track_set, **result.as_dict()} for track_set, result in results]
        print_json({"sets": summarize_by_set(results), "tracks": tracks})
    else:
        console.print(generalisation_table(results))


def robustness(
    entry: str,
    checkpoint: Literal["best", "last"] | int | None = None,
    track: str | None = None,
    randomisation: str = "sim2real",
    races: int = 20,
    laps: int = 3,
    seed: int = 1000,
    json: bool = False,
) -> None:
    """Race an entry or a run with each quantity of a randomisation at both ends of its range.

    All other quantities are drawn for each race. Quantities that the sensors do not notice are left
    out.

    Args:
        entry: The entry, NAME.entry.zip, a run's folder, or a baseline controller, pure-pursuit or
            raceline.
        checkpoint: The checkpoint of the run: best, last, or the steps after which it was saved, as
            `racer runs show` lists them; best by default.
        track: A shipped track's name or a YAML file; by default the track of the training.
        randomisation: The ranges: a shipped randomisation's name or a YAML file.
        races: Races in each line of the table.
        laps: Laps of each race.
        seed: Seed of each line's first race; the next have the numbers after it.
        json: Print the figures as JSON.
    """
    from racer.evaluation import make_race_rules, race_of_training
    from racer.evaluation.robustness import (
        evaluate_robustness,
        quantities_noticed,
        robustness_table,
    )
    from racer.randomisation import load_randomisation
    from racer.training.racers import racer_named, training_track

    racer, ranges = racer_named(entry, checkpoint), load_randomisation(randomisation)
    track = track or training_track(entry, racer)
    if track is None:
        raise ConfigError(f"racer robustness {entry} needs a track: add --track NAME")
    rules = make_race_rules(laps, like=race_of_training(racer))
    rows, count = [], 2 + 2 * len(quantities_noticed(racer, ranges))
    with progress("racing") as tell:
        for row in evaluate_robustness(racer, ranges, track, rules, races, seed):
            rows.append(row)
            tell(len(rows), count)
    if json:
        print_json({"track": track, "rows": [row.as_dict() for row in rows]})
    else:
        make_console().print(robustness_table(rows))

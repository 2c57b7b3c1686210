"""The `racer` command: parse, call one function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from racer import cli_tracks
from racer.cli_deepracer import actions, analyze, import_deepracer, log_race
from racer.errors import ConfigError, RacerError

if TYPE_CHECKING:
    from racer.judge import LapResult
    from racer.policy.entry import Entry
    from racer.sensors import Sensors

USAGE = """usage: racer VERB ...

  train CONFIG     train a policy; CONFIG is a YAML file such as configs/quick.yaml
  export RUN       package a run's best policy as an entry
  race ENTRY ...   race an entry on a track, or several together, with a video if you like
  analyze RUN      write a report of a run as one HTML file
  actions          make a list of actions, and show it
  import-deepracer take over a model's files from the DeepRacer world
  board submit     judge an entry on a season and add it to the leaderboard
  board show       the leaderboard
  bench            time the simulator on this machine
  tracks list      the shipped tracks; also show, generate, import and export
  tracks limit     solve the least lap time of a track, with a picture if you like
  reward check     find what is wrong with a reward file before it trains
  reward explain   draw what a reward pays over a track and along a lap
  car report       measure a car against closed forms, with plots if you like

`racer VERB --help` tells each one's options; `--debug` shows where an error came from.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exit code 0, or 2 with one clear message where a person can mend it."""
    words = list(sys.argv[1:] if argv is None else argv)
    is_debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        _dispatch(words)
    except RacerError as problem:
        if is_debug:
            raise
        print(f"racer: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("racer: stopped", file=sys.stderr)
        sys.exit(130)


def _dispatch(words: list[str]) -> None:
    verbs: dict[str, Callable[..., None]] = {
        "export": export,
        "race": race,
        "analyze": analyze,
        "actions": actions,
        "import-deepracer": import_deepracer,
        "board submit": board_submit,
        "board show": board_show,
        "bench": bench,
        "car report": car_report,
        "tracks list": cli_tracks.tracks_list,
        "tracks show": cli_tracks.tracks_show,
        "tracks generate": cli_tracks.tracks_generate,
        "tracks import": cli_tracks.tracks_import,
        "tracks export": cli_tracks.tracks_export,
        "tracks limit": cli_tracks.tracks_limit,
        "reward check": reward_check,
        "reward explain": reward_explain,
    }
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
    elif words[0] == "--version":
        from racer import __version__

        print(f"racer {__version__}")
    elif words[0] == "train":
        train(words[1:])
    else:
        count = 2 if words[0] in ("board", "car", "reward", "tracks") else 1
        verb = " ".join(words[:count])
        if verb not in verbs:
            raise ConfigError(f"no verb {verb!r}; known: train, {', '.join(verbs)}")
        import tyro

        tyro.cli(
            verbs[verb],
            prog=f"racer {verb}",
            args=words[count:],
            config=(tyro.conf.PositionalRequiredArgs,),
        )


def train(words: Sequence[str]) -> None:
    """Train a policy: `racer train CONFIG [--run FOLDER] [overrides]`."""
    import tyro
    from pydantic import ValidationError

    from racer import assets
    from racer.assets.document import explain, read
    from racer.train.config import RunConfig

    if not words or words[0].startswith("-"):
        wanted = ", ".join(assets.names("configs"))
        if words and words[0] not in ("-h", "--help"):
            raise ConfigError(f"racer train wants a config first: a YAML file, or one of {wanted}")
        print(f"usage: racer train CONFIG [options]; CONFIG: a YAML file, or one of {wanted}")
        print("`racer train CONFIG --help` lists every option with its value in that config")
        return
    path = assets.find(words[0], "configs")
    config = read(path, RunConfig)

    folder = tyro.conf.arg(help="the run's folder; runs/<config>-<time> if not given")
    logs = tyro.conf.arg(help="also write the logs that DeepRacer's analysis tools read")
    fields: list[Any] = [
        ("config", Annotated[RunConfig, tyro.conf.arg(name="")]),
        ("run", Annotated[Path | None, folder], None),
        ("deepracer_logs", Annotated[bool, logs], False),
    ]
    Options = make_dataclass("Options", fields)
    try:
        options = tyro.cli(
            Options,
            prog=f"racer train {words[0]}",
            args=words[1:],
            default=Options(config),
            config=(tyro.conf.AvoidSubcommands,),
        )
    except ValidationError as problem:
        raise ConfigError(explain(problem, RunConfig, "command line")) from problem
    _train(options.config, options.run or _new_run(path.stem), options.deepracer_logs)


def _new_run(stem: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"


def _train(config: Any, folder: Path, deepracer_logs: bool = False) -> None:
    from racer.train.run import train as run

    watch = run(config, folder, deepracer_logs=deepracer_logs)
    print(f"run: {folder}")
    if watch.best is not None:
        print(f"best: {_sentence(watch.best)}")
    if watch.stop:
        why = "its minutes were up" if watch.is_out_of_time else "it was stopped"
        print(f"training ended early because {why}; what it learnt is saved")
    print(f"next: racer export {folder} --out {folder.name}.entry.zip")


def export(run: Path, out: Path | None = None, name: str = "") -> None:
    """Package a run's best policy as an entry.

    Args:
        run: The run's folder.
        out: The entry to write; <run>.entry.zip where it is not given.
        name: What the entry is called on a board; the run's name where it is not given.
    """
    from racer.train.export import export_run

    path = out or Path(f"{run.name}.entry.zip")
    digest = export_run(run, path, name or run.name)
    print(f"entry: {path} (SHA-256 {digest[:12]})")


def race(
    entries: tuple[str, ...],
    track: str | None = None,
    car: str = "deepracer",
    kind: Literal["time_trial", "object_avoidance", "head_to_bot"] = "time_trial",
    walls: bool = False,
    laps: int = 3,
    seed: int = 0,
    video: Path | None = None,
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
        kind: An empty road, one with six boxes, or one with three bot cars.
        walls: Put walls on both borders.
        laps: Laps to drive.
        seed: Seed of the environment.
        video: Record the race as this mp4; the camera follows the first entry.
        plot: Draw the first entry's driven line as this PNG.
        json: Print the result as JSON; a list of them where several race.
        deepracer_logs: Write the first entry's race into this folder as DeepRacer's tools read it.
    """
    from racer.judge import judge_entries, race_rules
    from racer.race import RaceConfig

    racers = [_racer(entry) for entry in entries]
    if not racers:
        raise ConfigError("racer race wants an entry: a file that ends with .entry.zip, or a pilot")
    manifests = [racer.manifest for racer in racers if not isinstance(racer, str)]
    road = track or (manifests[0].trained_on.track if manifests else None)
    if road is None:
        raise ConfigError(f"racer race {racers[0]} wants a track: add --track NAME")
    rules = race_rules(laps, 3.0, 60.0 * laps, like=RaceConfig(kind=kind, walls=walls))
    results = judge_entries(racers, road, rules, seed, car)
    names = [racer if isinstance(racer, str) else racer.manifest.name for racer in racers]
    if video or plot:
        sensor = () if isinstance(racers[0], str) else racers[0].manifest.sensor
        car = manifests[0].car if manifests else car
        _picture(results[0], road, walls, names[0], sensor, car, video, plot)
    if deepracer_logs:
        if isinstance(racers[0], str):
            raise ConfigError("--deepracer-logs wants an entry, which says what its actions are")
        log_race(deepracer_logs, results[0], road, racers[0].manifest)
    if json:
        figures = [result.as_dict() for result in results]
        _print_json(figures if len(figures) > 1 else figures[0])
        return
    for name, result in zip(names, results):
        print(f"{name} on {result.track}: {_sentence(result)}")
    for label, path in (("video", video), ("driven line", plot)):
        if path:
            print(f"{label}: {path}")


def _racer(word: str) -> Entry | str:
    """The entry whose package a word names, or the word itself where it names a pilot."""
    from racer.pilot import PILOTS
    from racer.policy.entry import read_entry

    return word if word in PILOTS else read_entry(Path(word))


def _picture(
    result: LapResult,
    track: str,
    walls: bool,
    name: str,
    sensor: Sensors,
    car: str,
    video: Path | None,
    plot: Path | None,
) -> None:
    from racer.track import load_track
    from racer.view.plot import driven_line, save
    from racer.view.race import film

    road = load_track(track)
    if plot:
        title = f"{name} on {road.name}: {_sentence(result)}"
        save(driven_line(road, result.xy, result.speed, title), plot)
    if video:
        race = result.body, result.steering, result.lap_times_s, result.laps
        film(
            video,
            road,
            *race,
            sensor,
            boxes=result.boxes,
            colours=result.colours,
            walls=walls,
            car=car,
        )


def board_submit(
    entry: str,
    name: str | None = None,
    season: str = "open",
    json: bool = False,
) -> None:
    """Judge an entry on a season and add it to the leaderboard.

    Args:
        entry: The entry, NAME.entry.zip, or a pilot, pure-pursuit or raceline.
        name: What the board calls it; the entry's own name by default.
        season: A shipped season's name or a YAML file.
        json: Print the new row as JSON.
    """
    from racer.board.season import load_season
    from racer.board.standing import rank
    from racer.board.store import Store
    from racer.judge import judge_entries, race_rules

    racer, rules, store = _racer(entry), load_season(season), Store()
    race = race_rules(rules.laps, rules.off_track_penalty, rules.time_limit)
    result = judge_entries([racer], rules.track, race, rules.seed)[0]
    package = None if isinstance(racer, str) else racer
    label = name or (package.manifest.name if package else entry)
    added = store.add(rules, label, package, result.as_dict())
    rows = rank(store.rows(rules))
    mine = (added.name, added.entry_sha256)
    row = next(row for row in rows if (row["name"], row["entry_sha256"]) == mine)
    if json:
        _print_json(row)
    else:
        print(f"season {rules.name}: {row['name']} is number {row['rank']} of {len(rows)}")
        print(_sentence(result))


def board_show(season: str = "open", json: bool = False) -> None:
    """Show the leaderboard of a season.

    Args:
        season: A shipped season's name or a YAML file.
        json: Print the rows as JSON.
    """
    from racer.board.season import load_season
    from racer.board.standing import rank, table
    from racer.board.store import Store

    rows = rank(Store().rows(load_season(season)))
    if json:
        _print_json(rows)
    else:
        _console().print(table(rows))


def bench(json: bool = False) -> None:
    """Time the simulator on one core of this machine, beside Bullet's own floor.

    Args:
        json: Print the figures as JSON.
    """
    from racer.bench import bench as measure
    from racer.bench import table

    figures = measure()
    if json:
        _print_json(figures)
    else:
        _console().print(table(figures))


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
        _print_json(as_dict(spec, checks))
    else:
        _console().print(table(spec, checks))
    if out:
        from racer.proving.plots import draw

        for path in draw(spec, out):
            print(f"plot: {path}", file=sys.stderr if json else sys.stdout)


def reward_check(file: str, track: str | None = None, json: bool = False) -> None:
    """Call a reward in many states of every track, and look for mistakes and loopholes.

    A file that cannot be used ends with exit code 2; what is only suspicious is a warning.

    Args:
        file: The reward file, or a shipped one's name.
        track: Only this track: a shipped one's name or a YAML file; all shipped ones by default.
        json: Print the report as JSON.
    """
    from racer import assets
    from racer.reward import RewardSource
    from racer.scrutiny import check
    from racer.track import load_track

    source = RewardSource.find(file)
    names = [track] if track else assets.names("tracks")
    report = check(source, [load_track(name) for name in names])
    if json:
        _print_json(report.as_dict())
    else:
        print("\n".join(report.as_lines()))


def reward_explain(
    file: str,
    track: str = "bowtie",
    out: Path = Path("reward.png"),
    speed: float = 1.4,
    heading: float = 0.0,
    kind: Literal["time_trial", "object_avoidance", "head_to_bot"] = "time_trial",
    reverse: bool = False,
) -> None:
    """Draw what a reward pays all over a track, and along a lap of the centre line.

    Args:
        file: The reward file, or a shipped one's name.
        track: A shipped track's name or a YAML file.
        out: The PNG to write.
        speed: Speed of the car in metres a second, 0.1-4.
        heading: Where it looks, in degrees to the left of the road's direction.
        kind: An empty road, one with boxes, or one with bots.
        reverse: Drive against the track's own direction.
    """
    from racer.reward import RewardSource
    from racer.scrutiny import explain
    from racer.track import load_track
    from racer.view.plot import save

    source = RewardSource.find(file)
    save(explain(source, load_track(track), speed, heading, kind, reverse), out)
    print(f"reward: {out}")


CLEAN = "never off the road"


def _sentence(result: LapResult) -> str:
    laps = ", ".join(f"{lap:.2f}" for lap in result.lap_times_s)
    times = f" in {laps} s" if laps else ""
    times += f", {result.x_limit:.2f} x the limit" if result.x_limit else ""
    stopped = result.resets - result.off_tracks - result.collisions
    faults = [
        f"{what} {count}x"
        for what, count in (
            ("off the road", result.off_tracks),
            ("crashed", result.collisions),
            ("stopped or wrong way", stopped),
        )
        if count > 0
    ]
    return f"{result.laps_completed} of {result.laps} laps{times}, {', '.join(faults) or CLEAN}"


def _console() -> Any:
    from rich.console import Console

    return Console()


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2, allow_nan=False))


if __name__ == "__main__":
    main()

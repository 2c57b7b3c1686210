"""The command that explains a policy."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from racer.cli.options import RaceKind
from racer.cli.output import make_console, print_json, progress
from racer.errors import ConfigError

if TYPE_CHECKING:
    from racer.explain.explanation import LapExplanation
    from racer.explain.policy_output import ExplainedPolicy
    from racer.race import RaceConfig


def cli_explain(
    entry: str,
    *,
    track: str | None = None,
    video: Path | None = None,
    method: Literal["integrated-gradients", "grad-cam", "occlusion", "rise"] = "rise",
    what_if: tuple[Literal["line", "box", "light", "place"], ...] = (),
    out: Path | None = None,
    checkpoint: Literal["best", "last"] | int | None = None,
    kind: RaceKind | None = None,
    walls: Literal["on", "off"] | None = None,
    seed: int = 0,
    size: str | None = None,
    json: bool = False,
) -> None:
    """Show what a policy looks at and what it reacts to, over a lap, and whether to believe it.

    The lap is rendered again in a changed world, and each map is scored: by deletion and insertion,
    and against the map of random weights. docs/explain.md explains the figures.

    Args:
        entry: An entry, NAME.entry.zip, which runs in the sandbox; or a run, of which the best
            checkpoint drives, or RUN@last or RUN@STEPS.
        track: A shipped track's name or a YAML file; by default the track of its training.
        video: Film the lap beside what the policy looked at, as this .mp4 or .gif; a .png is a
            still.
        method: How the maps are made. integrated-gradients and grad-cam need a run.
        what_if: Changes of the world: the inner line 5 cm into the road, the next box 20 cm to the
            left, dimmed light, the car 5 cm to the left; by default all that make sense.
        out: Write a sheet with the maps, their scores and the changes as this PNG.
        checkpoint: The checkpoint of the run: best, last, or the steps after which it was saved.
        kind: An empty road, one with six boxes, or one with three bot cars; by default as in its
            training.
        walls: Walls on both borders; by default as in its training.
        seed: Seed of the race and of all that is random.
        size: Size of the chase view: 480p, 720p, 1080p or WIDTHxHEIGHT.
        json: Print all figures as JSON.
    """
    from racer.evaluation import make_race_rules
    from racer.explain.explained_film import write_explained_film
    from racer.explain.explanation import check_method, explain_lap
    from racer.explain.explanation_sheet import explanation_sheet
    from racer.explain.recorded_lap import record_lap
    from racer.rendering.line_plots import save_figure
    from racer.rendering.video_format import refuse_suffix, video_size

    if video:
        refuse_suffix(video)
        video_size(size, video)
    if out and out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: the name must end with .png")
    options = {"kind": kind, "walls": None if walls is None else walls == "on"}
    changes = {name: value for name, value in options.items() if value is not None}
    with ExitStack() as stack:
        policy, race, car, own_track = _opened_policy(entry, checkpoint, stack)
        check_method(policy, method)
        road = track or own_track
        if road is None:
            raise ConfigError(f"racer explain {entry} needs a track: add --track NAME")
        rules = make_race_rules(1, like=race.model_copy(update=changes))
        lap = record_lap(policy, road, rules, seed, car)
        explained = explain_lap(policy, lap, method, what_if or None, seed)
        if video:
            with progress("filming") as report:
                pixels = video_size(size, video)
                write_explained_film(video, explained, policy, pixels, report)
        if out:
            save_figure(explanation_sheet(explained, policy), out)
    if json:
        print_json(explained.as_dict())
    else:
        _print_tables(explained)
    for label, path in (("video", video), ("sheet", out)):
        if path:
            print(f"{label}: {path}", file=sys.stderr if json else sys.stdout)


class _Opened(NamedTuple):
    """A policy to explain, and the race that it was trained for."""

    policy: ExplainedPolicy
    race: RaceConfig
    car: str
    track: str | None


def _opened_policy(
    word: str, checkpoint: Literal["best", "last"] | int | None, stack: ExitStack
) -> _Opened:
    """Return the network of a run's checkpoint, or an entry's graph in the sandbox.

    Args:
        word: What the user wrote.
        checkpoint: The checkpoint of a run.
        stack: Closes what is opened for the policy.

    Raises:
        ConfigError: It is a baseline controller, which has no sensors.
    """
    from racer.evaluation import race_of_training
    from racer.explain.entry_policy import EntryPolicy
    from racer.training.checkpoint_choice import split_checkpoint
    from racer.training.racers import racer_named

    path, chosen = split_checkpoint(word)
    if (path / "config.yaml").is_file():
        from racer.training.explained_run import explained_policy_of_run, one_torch_thread
        from racer.training.run_dir import Run

        run = Run.open(path)
        config = run.config()
        stack.enter_context(one_torch_thread())
        policy = explained_policy_of_run(run, chosen or checkpoint or "best")
        return _Opened(policy, config.race, config.car, config.evaluation_tracks[0])
    entry = racer_named(word, checkpoint)
    if isinstance(entry, str):
        raise ConfigError(f"{word} is a controller, which has no sensors; name an entry or a run")
    sandboxed = stack.enter_context(closing(EntryPolicy(entry)))
    about = entry.manifest
    return _Opened(sandboxed, race_of_training(entry), about.car, about.trained_on.track)


def _print_tables(explained: LapExplanation) -> None:
    """Print the findings, what the policy looked at and what it reacts to."""
    from racer.explain.reaction_table import map_table, proof_words, reaction_table

    lap = explained.lap
    print(f"{explained.policy} on {lap.track.name}: {lap.result.summary}")
    for sentence in explained.sentences:
        print(sentence)
    for sentence in proof_words(explained):
        print(sentence)
    console = make_console()
    print()
    console.print(map_table(explained))
    print()
    console.print(reaction_table(explained))

"""The `racer` command: parse, call one function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from racer.cli import (
    board,
    deepracer,
    entry,
    measure,
    page,
    race,
    reward,
    runs,
    season,
    tracks,
    train,
)
from racer.errors import ConfigError, RacerError

USAGE = """usage: racer VERB ...

  train CONFIG     train a policy; CONFIG is a YAML file such as configs/quick.yaml
                   `racer train --resume RUN` goes on with a run that was interrupted
  runs list        the runs and what they came to; also runs show RUN
  watch RUN        open TensorBoard on a run
  export RUN       package a run's best policy as an entry
  race ENTRY ...   race an entry on a track, or several together, with a video if you like
  generalisation   race an entry on every shipped track, seen and unseen
  analyze RUN      write a report of a run as one HTML file
  actions          make a list of actions, and show it
  import-deepracer take over a model's files from the DeepRacer world
  board check      find out whether a board would take an entry, and how it is boxed
  board keygen     make a key that signs entries
  board submit     judge an entry on a season and add it to the leaderboard
  board show       the leaderboard; also history, withdraw and dispute
  board verify     simulate what was judged again, and check the chain of the board's records
  board replay     film a judged run
  board backup     the whole board as one file; also restore
  board page       the board as pages that need nothing else, with the races to watch
  board serve      the same pages on this machine, with a place to hand in entries
  board run-season judge a whole folder of entries, on all processors
  board season     new, seal, reveal or show a season
  bench            time the simulator on this machine; `bench train`: time to clean laps
  tracks list      the shipped tracks; also show, generate, import and export
  tracks limit     solve the least lap time of a track, with a picture if you like
  reward check     find what is wrong with a reward file before it trains
  reward explain   draw what a reward pays over a track and along a lap
  car report       measure a car against closed forms, with plots if you like

`racer VERB --help` tells each one's options; `--debug` shows where an error came from.
"""


VERBS: dict[str, Callable[..., None]] = {
    "export": train.export,
    "race": race.race,
    "generalisation": race.generalisation,
    "runs list": runs.runs_list,
    "runs show": runs.runs_show,
    "watch": runs.watch,
    "analyze": deepracer.analyze,
    "actions": deepracer.actions,
    "import-deepracer": deepracer.import_deepracer,
    "board check": entry.board_check,
    "board keygen": entry.board_keygen,
    "board submit": board.board_submit,
    "board show": board.board_show,
    "board history": board.board_history,
    "board withdraw": board.board_withdraw,
    "board dispute": board.board_dispute,
    "board verify": board.board_verify,
    "board chain": board.board_chain,
    "board replay": board.board_replay,
    "board backup": board.board_backup,
    "board restore": board.board_restore,
    "board page": page.board_page,
    "board serve": page.board_serve,
    "board run-season": page.board_run_season,
    "board season new": season.season_new,
    "board season seal": season.season_seal,
    "board season reveal": season.season_reveal,
    "board season show": season.season_show,
    "bench": measure.bench,
    "bench train": measure.bench_train,
    "car report": measure.car_report,
    "tracks list": tracks.tracks_list,
    "tracks show": tracks.tracks_show,
    "tracks generate": tracks.tracks_generate,
    "tracks import": tracks.tracks_import,
    "tracks export": tracks.tracks_export,
    "tracks limit": tracks.tracks_limit,
    "reward check": reward.reward_check,
    "reward explain": reward.reward_explain,
}


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
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
    elif words[0] == "--version":
        from racer import __version__

        print(f"racer {__version__}")
    elif words[0] == "train":
        train.train(words[1:])
    else:
        count = next((n for n in (3, 2, 1) if " ".join(words[:n]) in VERBS), 0)
        if not count:
            families = ("board", "car", "reward", "runs", "tracks")
            meant = " ".join(words[: 2 if words[0] in families else 1])
            raise ConfigError(f"no verb {meant!r}; known: train, {', '.join(VERBS)}")
        verb = " ".join(words[:count])
        import tyro

        tyro.cli(
            VERBS[verb],
            prog=f"racer {verb}",
            args=words[count:],
            config=(tyro.conf.PositionalRequiredArgs,),
        )

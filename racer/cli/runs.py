"""Commands for existing runs."""

from __future__ import annotations

import sys
from pathlib import Path

from racer.cli.output import make_console, print_json, shell_command
from racer.errors import RunError


def runs_list(folder: Path = Path("runs"), json: bool = False) -> None:
    """List the runs in a folder, with their steps, state and best lap.

    Args:
        folder: The folder of the runs.
        json: Print the runs as JSON.
    """
    from racer.training.run_history import runs_in, runs_table

    found = runs_in(folder)
    if json:
        print_json(found)
        return
    make_console().print(runs_table(found))
    for one in found:
        if one.get("error"):
            print(f"{one['run']}: {one['error']}")
    if any(one.get("is_resumable") for one in found):
        print("go on with one: racer train --resume RUN")


def runs_show(run: Path, json: bool = False) -> None:
    """Show a run: its differences from the default config, its evaluations and its checkpoints.

    Args:
        run: The run's folder.
        json: Print the run as JSON.
    """
    from racer.training.run_dir import Run
    from racer.training.run_history import evaluations_table, run_details, runs_table

    one = run_details(Run.open(run))
    if json:
        print_json(one)
        return
    shown = make_console()
    shown.print(runs_table([one]))
    if one["error"]:
        print(f"error: {one['error']}")
    print(f"began: {one['began'] or 'unknown'}; differs from the defaults in:")
    for key, value in one["differences"].items():
        print(f"  {key}: {value}")
    if one["evaluations"]:
        shown.print(evaluations_table(one))
    if one["is_resumable"]:
        print(f"next: {shell_command('train', '--resume', run)}")
    elif one["state"] == "finished":
        print(f"next: {shell_command('export', run)}")


def cli_card(run: Path, out: Path | None = None, episodes: int = 10) -> None:
    """Write a run's model card for the Hugging Face Hub.

    A card that racer wrote and that was not changed since is written over; no other file is.

    Args:
        run: The run's folder.
        out: The card; by default README.md in the run's folder.
        episodes: Number of episodes for the mean reward.
    """
    from racer.training.model_card import write_card

    path, (mean, spread, _) = write_card(run, out, episodes)
    print(f"card: {path}")
    print(f"mean reward: {mean:.2f} +/- {spread:.2f} over {episodes} episodes")


def cli_watch(run: Path, port: int = 6006) -> None:
    """Start TensorBoard for a run or a folder of runs; Ctrl-C ends it.

    Args:
        run: The run's folder, or a folder of runs such as runs/.
        port: The port of TensorBoard, which listens on this machine only.
    """
    import socket
    import subprocess

    if not run.is_dir():
        raise RunError(f"{run}: no such folder; see `racer runs list`")
    if not any(run.glob("**/events.out.tfevents.*")):
        raise RunError(f"{run}: nothing to watch there yet; name the folder of a run")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as problem:
            raise RunError(f"port {port}: {problem}; choose another with --port") from problem
    words = ["-m", "tensorboard.main", "--logdir", str(run), "--host", "127.0.0.1"]
    print(f"http://127.0.0.1:{port}/ shows {run} in a few seconds; Ctrl-C closes it", flush=True)
    done = subprocess.run([sys.executable, *words, "--port", str(port)], check=False)
    if done.returncode > 0:
        raise RunError(f"TensorBoard ended with exit code {done.returncode}; its words are above")

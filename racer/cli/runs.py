"""Commands for existing runs."""

from __future__ import annotations

import sys
from pathlib import Path

from racer.cli.output import confirm, make_console, print_json, shell_command
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
    from racer.training.run_history import (
        evaluations_table,
        origin_words,
        run_details,
        runs_table,
    )

    shown, one = make_console(), run_details(Run.open(run))
    if json:
        print_json(one)
        return
    shown.print(runs_table([one]))
    if one["error"]:
        print(f"error: {one['error']}")
    for words in origin_words(Run.open(run)):
        print(words)
    print(f"began: {one['began'] or 'unknown'}; differs from the defaults in:")
    for key, value in one["differences"].items():
        print(f"  {key}: {value}")
    if one["evaluations"]:
        shown.print(evaluations_table(one))
    if one["is_resumable"]:
        print(f"next: {shell_command('train', '--resume', run)}")
    elif one["state"] == "finished":
        print(f"next: {shell_command('export', run)}")


def runs_compare(
    *runs: Path, plot: Path | None = None, reward_diff: bool = False, json: bool = False
) -> None:
    """Compare runs: their results, and the fields and rewards in which they differ.

    Args:
        runs: The runs' folders, at least two.
        plot: Draw the runs' curves as this PNG: reward, progress and lap times over the steps.
        reward_diff: Print how the rewards differ from the first run's, line by line.
        json: Print the comparison as JSON.
    """
    from racer.training.run_comparison import compare_runs, differences_table, records_table

    compared = compare_runs(runs)
    if plot:
        from racer.rendering.line_plots import save_figure

        save_figure(compared.plot(), plot)
    if json:
        print_json(compared.as_dict())
        return
    shown = make_console()
    shown.print(records_table(compared))
    print()
    if compared.differences:
        shown.print(differences_table(compared))
    else:
        print("the configs are the same")
    for name, diff in compared.reward_diffs.items():
        if reward_diff:
            print(f"\n{_printable(diff)}")
            continue
        lines = diff.splitlines()[2:]
        added, removed = (sum(line[:1] == sign for line in lines) for sign in "+-")
        print(f"reward of {name}: +{added} -{removed} lines; --reward-diff shows them")
    if plot:
        print(f"curves: {plot}")


def runs_note(run: Path, text: str | None = None, /, *, clear: bool = False) -> None:
    """Show, set or clear a run's note, which `racer runs list` shows.

    Args:
        run: The run's folder.
        text: The new note, one line; without it, the note is printed.
        clear: Remove the note.
    """
    from racer.training.run_dir import Run

    one = Run.open(run)
    if clear and text:
        raise RunError(f"a new note or --clear, not both; got {text!r} and --clear")
    if text is not None or clear:
        one.set_note(text or "")
    print(
        one.note()
        or f"{run} has no note; set one with {shell_command('runs', 'note', run, 'TEXT')}"
    )


def runs_stop(run: Path) -> None:
    """Stop a training that runs in another terminal or was started by the studio.

    It saves a checkpoint and ends at its next step, as by Ctrl-C.

    Args:
        run: The run's folder.
    """
    from racer.training.run_dir import Run

    Run.open(run).request_stop()
    print(f"{run} stops at its next step; go on with {shell_command('train', '--resume', run)}")


def runs_pause(run: Path) -> None:
    """Let a training wait at its next step; `racer runs resume` lets it go on.

    Its minutes do not count meanwhile, and it can be stopped.

    Args:
        run: The run's folder.
    """
    from racer.training.run_dir import Run

    Run.open(run).request("pause")
    print(f"{run} waits at its next step; go on with {shell_command('runs', 'resume', run)}")


def runs_resume(run: Path) -> None:
    """Let a paused training go on; `racer train --resume` goes on with one that has ended.

    Args:
        run: The run's folder.
    """
    from racer.training.run_dir import Run

    one = Run.open(run)
    if not one.is_running() or not one.is_requested("pause"):
        raise RunError(
            f"{run} is not paused; a run that has ended goes on with "
            f"{shell_command('train', '--resume', run)}"
        )
    one.clear_request("pause")
    print(f"{run} goes on")


def runs_evaluate(run: Path) -> None:
    """Let a training evaluate its policy before its next rollout, beside its own evaluations.

    The weights are the same as without it.

    Args:
        run: The run's folder.
    """
    from racer.training.run_dir import Run

    Run.open(run).request("evaluate")
    print(f"{run} is evaluated before its next rollout; {shell_command('runs', 'show', run)}")


def runs_rm(*runs: Path, yes: bool = False) -> None:
    """Delete runs with everything in their folders, after asking.

    Args:
        runs: The runs' folders.
        yes: Delete them without asking.
    """
    from racer.training.run_history import summarize_run
    from racer.training.run_removal import (
        RunFiles,
        disk_size,
        format_size,
        open_removable,
        removal_table,
        remove_run,
    )

    if not runs:
        raise RunError("racer runs rm wants a run's folder; `racer runs list` shows them")
    opened = {folder.resolve(): open_removable(folder) for folder in runs}
    found = [
        RunFiles(run, summarize_run(run), [run.folder], disk_size([run.folder]))
        for run in opened.values()
    ]
    make_console(stderr=True).print(removal_table(found))
    size = format_size(sum(one.size for one in found))
    confirm(f"delete {_counted(len(found), 'run')}, {size}", yes)
    for one in found:
        remove_run(one.run)
    print(f"deleted: {_counted(len(found), 'run')}, {size}")


def runs_prune(
    folder: Path = Path("runs"),
    failed: bool = False,
    unevaluated: bool = False,
    older_than: str | None = None,
    keep_best: int | None = None,
    checkpoints: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Delete the runs that meet every given condition, or only their spare checkpoints.

    What would be deleted is listed first, with its size. Runs that are being trained are kept.

    Args:
        folder: The folder of the runs.
        failed: Runs that an error ended; with --unevaluated, either of the two.
        unevaluated: Runs without an evaluation.
        older_than: Runs that began longer ago than this: a number and m, h, d or w, such as 7d.
        keep_best: Runs other than this number of best ones: most laps, then the least time.
        checkpoints: Keep the runs, and delete their checkpoints other than the best and the
            newest; without a condition, those of all runs.
        dry_run: Only list what would be deleted.
        yes: Delete without asking.
        json: Print what would be deleted as JSON; needs --dry-run or --yes.
    """
    from racer.training.run_removal import (
        format_size,
        parse_age,
        prunable_runs,
        removal_table,
        remove_checkpoints,
        remove_run,
        unneeded_checkpoints,
    )

    if not (failed or unevaluated or older_than or keep_best or checkpoints):
        raise RunError(
            "racer runs prune needs a condition: --failed, --unevaluated, --older-than 7d or "
            "--keep-best N (from 1); or --checkpoints for those that no run needs any more"
        )
    if keep_best is not None and keep_best < 1:
        raise RunError(f"--keep-best {keep_best}: must be at least 1")
    if json and not (dry_run or yes):
        raise RunError("--json needs --dry-run or --yes, since nothing can be asked")
    found = prunable_runs(
        folder,
        has_failed=failed,
        is_unevaluated=unevaluated,
        min_age=parse_age(older_than) if older_than else None,
        keep_best=keep_best,
    )
    if checkpoints:
        found = unneeded_checkpoints(found)
    what = "the spare checkpoints of " if checkpoints else ""
    what += f"{_counted(len(found), 'run')}, {format_size(sum(one.size for one in found))}"
    if json:
        print_json(
            [
                one.summary | {"files": [str(path) for path in one.paths], "bytes": one.size}
                for one in found
            ]
        )
    elif found:
        make_console().print(removal_table(found))
    if not found or dry_run:
        if not json:
            print(f"nothing was deleted; would be: {what}" if found else "nothing to delete")
        return
    confirm(f"delete {what}", yes)
    for one in found:
        (remove_checkpoints if checkpoints else remove_run)(one.run)
    if not json:
        print(f"deleted: {what}")


def runs_push(run: Path, url: str, name: str | None = None) -> None:
    """Copy a run's folder to a URL, such as a bucket; what is there already is not sent again.

    A run that is being trained may be copied again and again.

    Args:
        run: The run's folder.
        url: Where runs are kept, such as s3://BUCKET/runs.
        name: What the run is called there; as its folder by default.
    """
    from racer.cli.output import progress
    from racer.training.run_dir import Run
    from racer.training.run_storage import push_run

    with progress("copying files") as tell:
        done = push_run(Run.open(run), url, name, tell)
    print(f"pushed: {done.url}, {done.files} files, {done.sent} sent, {done.sent_bytes:,} bytes")
    print(f"next: racer runs pull {done.url}")


def runs_pull(url: str, out: Path | None = None) -> None:
    """Copy a run from a URL to a folder, as `racer runs push` left it; every file is verified.

    Args:
        url: The run's URL, such as s3://BUCKET/runs/first.
        out: The folder to write; runs/NAME by default.
    """
    from racer.cli.output import progress
    from racer.training.run_storage import pull_run

    folder = out or Path("runs") / url.rstrip("/").rpartition("/")[2]
    with progress("copying files") as tell:
        pull_run(url, folder, tell)
    print(f"pulled: {folder}; next: racer runs show {folder}")


def _printable(text: str) -> str:
    """Return a text without characters that control the terminal, except for tabs and newlines."""
    return "".join(one if one.isprintable() or one in "\t\n" else "?" for one in text)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


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

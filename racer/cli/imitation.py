"""The command that clones a driver."""

from __future__ import annotations

from pathlib import Path

from racer.assets.terminal import make_console
from racer.cli.output import result_line, shell_command


def cli_clone_driver(
    driver: str,
    config: str | None = None,
    track: str | None = None,
    out: Path | None = None,
    laps: int = 50,
    steps: int | None = None,
    rounds: int | None = None,
    epochs: int = 20,
    seed: int | None = None,
    quiet: bool = False,
) -> None:
    """Clone a driver: a policy learns its actions, and training can go on from there.

    The driver drives in the config's race, the clone's sensors observe, and the clone learns the
    driver's actions from what they saw. The result is a run, which `racer export`, `racer runs` and
    `racer train --resume` take.

    Args:
        driver: A baseline controller, pure-pursuit or raceline; an entry, NAME.entry.zip, or a run,
            RUN or RUN@last, whose sensors may be others than the clone's; NAME.drive, a race that
            you drove in the studio, or a folder of such; or board:ID, the recorded races of a
            submission.
        config: A YAML file, or the name of a config that ships with racer, with the clone's race,
            sensors, actions and network; by default the entry's own sensors and actions, or
            a camera on the drive's track.
        track: A shipped track's name or a YAML file; by default that of the config.
        out: The new run's folder; by default runs/<config>-<time>.
        laps: Laps that the driver drives.
        steps: Control steps that the driver drives, over all cars, instead of laps.
        rounds: In each round after the first, the clone drives as many steps, and learns what the
            driver would have done (DAgger); by default 3, and 1 for a recording.
        epochs: Passes over all that was driven, in each round.
        seed: Seed of cars, network and batches; by default that of the config.
        quiet: Print nothing but errors.
    """
    from racer.imitation.cloning import CloneOptions, config_of_clone, run_cloning
    from racer.training.shared_output import shared_output

    options = CloneOptions(laps=laps, steps=steps, rounds=rounds, epochs=epochs)
    given = {"track": track, "seed": seed}
    changes = {field: value for field, value in given.items() if value is not None}
    chosen, name = config_of_clone(driver, config, changes)
    with shared_output():
        shown = make_console(quiet=quiet)
        result = run_cloning(driver, chosen, out, options, shown, name=name)
        if not quiet:
            folder = result.run.folder
            print(f"run: {folder}")
            if result.best is not None:
                print(f"clone: {result_line(result.best)}")
            print(f"next: {shell_command('train', '--resume', folder)}")

"""Commands that write and check an entry, and make a key to sign it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from racer.cli.output import print_json, shell_command
from racer.errors import ConfigError, EntryError

if TYPE_CHECKING:
    from racer.entries.entry_check import CheckedEntry


def entry_write(
    policy: Path,
    out: Path | None = None,
    name: str = "",
    sensor: tuple[str, ...] = (),
    actions: str = "continuous",
    env: str = "racer/TimeTrial-v0",
    track: str | None = None,
    walls: bool = False,
    car: str = "deepracer",
    author: str = "",
    hidden_state_size: int | None = None,
    key: Path | None = None,
) -> None:
    """Write an entry from an ONNX file, a policy that was trained elsewhere.

    Write sensors and actions as in a config: a name, or YAML such as
    '{kind: camera, width: 80, height: 60}'. An entry that a board would refuse is not written.
    See docs/bring-your-own-policy.md.

    Args:
        policy: The ONNX file.
        out: The entry to write; <policy>.entry.zip by default.
        name: Name of the entry on a board; the name of the policy's file by default.
        sensor: What the policy observes, one sensor or several; that of the environment by
            default.
        actions: What its actions mean: continuous, discrete, YAML, or a model_metadata.json.
        env: Id of the environment that it is made for.
        track: Track that it was trained on, which is also the default track of its races.
        walls: That track had walls on its borders.
        car: Car that it drives.
        author: Author of the policy.
        hidden_state_size: Numbers that a recurrent policy remembers from step to step.
        key: Sign the entry with this private key, made by `racer board keygen`.
    """
    from racer.entries.external_policy import write_foreign_entry
    from racer.entries.signing import read_key

    path = out or Path(f"{policy.stem}.entry.zip")
    checked = write_foreign_entry(
        policy,
        path,
        name=name or policy.stem,
        sensor=[_yaml(word, "--sensor") for word in sensor] or None,
        actions=_yaml(actions, "--actions"),
        env=env,
        track=track,
        walls=walls,
        car=car,
        author=author,
        hidden_state_size=hidden_state_size,
        key=read_key(key) if key else None,
    )
    _print_accepted(checked)
    track_option = "" if track else " --track bowtie"
    print(f"entry: {path}")
    print(f"next: {shell_command('race', path)}{track_option}")


def cli_import_car(archive: Path, out: Path | None = None, name: str = "") -> None:
    """Write an entry from the archive of a DeepRacer car: a model that somebody else trained.

    It must have `agent/model.pb` and `model_metadata.json`. The model is run in the sandbox only.
    See docs/real-car.md.

    Args:
        archive: The .tar.gz, or its unpacked folder.
        out: The entry to write; <archive>.entry.zip by default.
        name: Name of the entry on a board; the name of the archive by default.
    """
    from racer.entries.car_import import import_car

    own = archive.resolve().name.removesuffix(".gz").removesuffix(".tar")
    path = out or Path(f"{own}.entry.zip")
    _print_accepted(import_car(archive, path, name or own))
    print(f"entry: {path}")
    print(f"next: {shell_command('race', path)} --track bowtie")


def _yaml(word: str, option: str) -> Any:
    """Return an option's value parsed as YAML, as in a config."""
    import yaml

    try:
        return yaml.safe_load(word)
    except yaml.YAMLError as problem:
        raise ConfigError(f"{option} {word}: not a name, and not valid YAML") from problem


def board_check(entry: Path, json: bool = False) -> None:
    """Check an entry as a board does before its evaluation, and run its policy in the sandbox.

    If the entry is refused, the exit code is 2, and one of the codes in docs/leaderboard.md is
    printed.

    Args:
        entry: The entry, NAME.entry.zip.
        json: Print the result as JSON.
    """
    from racer.entries.entry_check import check_entry
    from racer.entries.package import read_entry

    try:
        checked = check_entry(read_entry(entry))
    except EntryError as problem:
        if json:
            print_json({"code": problem.code, "message": str(problem)})
        else:
            print(f"refused: {problem.code}")
        raise
    if json:
        print_json(checked.as_dict())
        return
    _print_accepted(checked)


def _print_accepted(checked: CheckedEntry) -> None:
    """Print author, signer, action time and sandbox of an accepted entry."""
    manifest = checked.entry.manifest
    by = f" by {manifest.author}" if manifest.author else ""
    print(f"accepted: {manifest.name}{by} (SHA-256 {checked.entry.sha256[:12]})")
    if manifest.quantization:
        print(f"quantized: to {manifest.quantization}")
    print(f"signed: {checked.entry.signer or 'by nobody'}")
    print(f"answers: in {1000 * checked.answer_s:.2f} ms")
    print(f"box: {checked.box}")


def board_keygen(out: Path = Path("racer.key")) -> None:
    """Make an Ed25519 key that signs entries: `racer export RUN --key FILE`.

    Args:
        out: File of the private key, which must not exist. Keep it secret.
    """
    from racer.entries.signing import make_key

    public = make_key(out)
    print(f"private key: {out}")
    print(f"public key: {public}")

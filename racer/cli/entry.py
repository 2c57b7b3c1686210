"""The verbs that check and sign an entry."""

from __future__ import annotations

from pathlib import Path

from racer.cli.output import print_json
from racer.errors import EntryError


def board_check(entry: Path, json: bool = False) -> None:
    """Check an entry as a board does before it judges one, and try its policy in the box.

    One that is refused ends with exit code 2 and one of the codes in docs/leaderboard.md.

    Args:
        entry: The entry, NAME.entry.zip.
        json: Print the outcome as JSON.
    """
    from racer.policy.check import check_entry
    from racer.policy.entry import read_entry

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
        out: The private key's file, which must not exist. Keep it to yourself.
    """
    from racer.policy.signing import make_key

    public = make_key(out)
    print(f"private key: {out}")
    print(f"public key: {public}")

"""The secret of a sealed season: made, kept apart, published, and what is drawn from it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path

from racer.assets.atomic import write_atomically
from racer.errors import BoardError

SECRET_BYTES = 32
_PRIVATE = 0o600


def secrets_folder() -> Path:
    """Where secrets are kept: the folder RACER_SECRETS, or one in the user's own configuration."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(os.environ.get("RACER_SECRETS") or Path(home) / "racer" / "secrets")


def commitment(secret: str) -> str:
    """What is published of a secret before it is: SHA-256 of its 32 bytes, in hexadecimal."""
    return hashlib.sha256(bytes.fromhex(secret)).hexdigest()


def is_secret_of(secret: str, sha256: str) -> bool:
    """Whether a text is the secret that a digest was published for."""
    try:
        return len(secret) == 2 * SECRET_BYTES and commitment(secret) == sha256
    except ValueError:
        return False


def derive_number(secret: str, season: str, what: str, below: int) -> int:
    """A number from 0 to below, drawn from a secret for one purpose in one season.

    It is the first 16 bytes of HMAC-SHA256 over `SEASON_DIGEST WHAT`, with the secret's 32 bytes
    as the key, read as a big-endian number, modulo `below`.
    """
    drawn = hmac.digest(bytes.fromhex(secret), f"{season} {what}".encode(), "sha256")
    return int.from_bytes(drawn[:16], "big") % below


def make_secret() -> str:
    """Draw a secret from the system and keep it in a file that only its owner can read.

    Raises:
        BoardError: It cannot be kept.
    """
    secret = secrets.token_hex(SECRET_BYTES)
    path = _path(commitment(secret))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(handle, "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise BoardError(
            f"{path}: the secret cannot be kept: {problem.strerror}; name another folder with "
            "RACER_SECRETS"
        ) from problem
    return secret


def find_secret(sha256: str, revealed: Path | None = None) -> str | None:
    """The secret that a digest was published for, where it is kept here or was revealed.

    Args:
        sha256: The published digest.
        revealed: The file beside the season's into which it is revealed.

    Raises:
        BoardError: The file of the secret can be read by others, or what was revealed is wrong.
    """
    path = _path(sha256)
    if path.is_file():
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BoardError(f"{path}: others can read this secret; run `chmod 600 {path}`")
        return path.read_text().strip()
    return _read_revealed(revealed, sha256) if revealed and revealed.is_file() else None


def revealed_path(season: Path) -> Path:
    """The file into which the secret of a season's file is revealed, beside it."""
    return season.with_suffix(".reveal.json")


def write_revealed(path: Path, name: str, digest: str, secret: str) -> None:
    """Publish a season's secret in a file that anybody can check.

    Raises:
        BoardError: The file cannot be written.
    """
    tree = {"season": name, "digest": digest, "sha256": commitment(secret), "secret": secret}
    try:
        write_atomically(path, (json.dumps(tree, indent=2) + "\n").encode())
    except OSError as problem:
        raise BoardError(f"{path}: cannot be written: {problem.strerror}") from problem


def _read_revealed(path: Path, sha256: str) -> str:
    try:
        secret = json.loads(path.read_text())["secret"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BoardError(f"{path}: no revealed secret: {problem}") from problem
    if not isinstance(secret, str) or not is_secret_of(secret, sha256):
        raise BoardError(
            f"{path}: its secret is not the one whose SHA-256 {sha256[:12]}... the season "
            "published; who runs the season owes an answer"
        )
    return secret


def _path(sha256: str) -> Path:
    return secrets_folder() / f"{sha256}.secret"

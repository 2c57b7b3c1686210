"""The secret of a sealed season: making, keeping and publishing it, and drawing from it."""

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
    """Return the folder of secrets: RACER_SECRETS, or one in the user's configuration."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(os.environ.get("RACER_SECRETS") or Path(home) / "racer" / "secrets")


def commitment(secret: str) -> str:
    """Return the SHA-256 of a secret's 32 bytes, which is published before the secret itself."""
    return hashlib.sha256(bytes.fromhex(secret)).hexdigest()


def is_secret_of(secret: str, sha256: str) -> bool:
    """Return whether a text is the secret with a published SHA-256."""
    try:
        return len(secret) == 2 * SECRET_BYTES and commitment(secret) == sha256
    except ValueError:
        return False


def derive_number(secret: str, season: str, what: str, below: int) -> int:
    """Return a number that a secret gives for one purpose in one season.

    It is the first 16 bytes of HMAC-SHA256 over `SEASON WHAT`, with the secret's 32 bytes as the
    key, read as a big-endian number, modulo `below`.

    Args:
        secret: The secret, 64 hexadecimal digits.
        season: The season's digest.
        what: The purpose, as `seed 0`.
        below: The number is from 0 to `below` - 1.
    """
    drawn = hmac.digest(bytes.fromhex(secret), f"{season} {what}".encode(), "sha256")
    return int.from_bytes(drawn[:16], "big") % below


def make_secret() -> str:
    """Return a new random secret, written to a file that only its owner can read.

    Raises:
        BoardError: The file cannot be written.
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
    """Return the secret with a published SHA-256; None if it is neither kept here nor revealed.

    Args:
        sha256: The published SHA-256.
        revealed: The file beside the season's file that holds the revealed secret, if it exists.

    Raises:
        BoardError: Other users can read the file of the secret, or the revealed secret is wrong.
    """
    path = _path(sha256)
    if path.is_file():
        # Windows has no such bits; there the user's folder is the user's own.
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BoardError(f"{path}: other users can read this secret; run `chmod 600 {path}`")
        return path.read_text().strip()
    return _read_revealed(revealed, sha256) if revealed and revealed.is_file() else None


def revealed_path(season: Path) -> Path:
    """Return the file, beside a season's file, that holds its revealed secret."""
    return season.with_suffix(".reveal.json")


def write_revealed(path: Path, name: str, digest: str, secret: str) -> None:
    """Write a season's secret to a file that anybody can check.

    Args:
        path: The file; see `revealed_path`.
        name: The season's name.
        digest: The season's digest.
        secret: The secret, 64 hexadecimal digits.

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
        secret = json.loads(path.read_text(encoding="utf-8"))["secret"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BoardError(f"{path}: holds no revealed secret: {problem}") from problem
    if not isinstance(secret, str) or not is_secret_of(secret, sha256):
        raise BoardError(
            f"{path}: its secret is not the one whose SHA-256 {sha256[:12]}... the season "
            "published; ask the season's owner for the right one"
        )
    return secret


def _path(sha256: str) -> Path:
    return secrets_folder() / f"{sha256}.secret"

"""Signs entries with an Ed25519 key, and verifies the signature of an entry.

The signature covers the bytes of `manifest.json`, which contains the SHA-256 of the graph. It is a
separate member, so that a verifier need not serialize the manifest again to check it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field, ValidationError

from racer.assets.document import Document
from racer.errors import EntryError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    PrivateKey: TypeAlias = Ed25519PrivateKey
else:
    PrivateKey = object

_PURPOSE = b"racer entry signature 1\n"
"""Prefix of the signed bytes, so that a signature made for another purpose is not valid here."""
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
"""Prime and coefficient d of Ed25519's curve, -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032, 5.1)."""


class SignatureFile(Document):
    """Content of an entry's `signature.json`."""

    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Ed25519 public key, 64 hexadecimal digits"
    )
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")] = Field(
        description="Ed25519 signature of the manifest, 128 hexadecimal digits"
    )


def make_key(path: Path | str) -> str:
    """Write a new private key, readable by its owner only, and return its public key.

    Args:
        path: The file, which must not exist yet.

    Returns:
        The public key, 64 hexadecimal digits.

    Raises:
        EntryError: With the code `key` if the file exists or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except FileExistsError:
        raise EntryError(
            f"{path}: exists, and a key is never overwritten; choose another file", "key"
        ) from None
    except (OSError, ValueError) as problem:
        raise EntryError(f"{path}: the key cannot be written: {problem}", "key") from problem
    return public_key(key)


def read_key(path: Path | str) -> PrivateKey:
    """Return the private key in a PEM file.

    Raises:
        EntryError: With the code `key` if the file holds no unencrypted Ed25519 private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as problem:
        why = getattr(problem, "strerror", None) or "it is no PEM file without a password"
        raise _no_key(path, why) from problem
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "it is a key of another kind")
    return key


def public_key(key: PrivateKey) -> str:
    """Return the public key of a private key, 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()


def sign_manifest(manifest: bytes, key: PrivateKey) -> bytes:
    """Return the content of `signature.json`, which depends on manifest and key alone."""
    fields = {
        "public_key": public_key(key),
        "signature": key.sign(_PURPOSE + manifest).hex(),
    }
    return (json.dumps(fields, indent=2) + "\n").encode()


def signer_of(signature: bytes, manifest: bytes, source: str) -> str:
    """Return the public key that signed a manifest, 64 hexadecimal digits.

    Args:
        signature: The content of `signature.json`.
        manifest: The content of `manifest.json`.
        source: Name of the signature in error messages.

    Raises:
        EntryError: With the code `forged` if it is not a signature of that manifest by the key
            that it names.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        file = SignatureFile.model_validate_json(signature, strict=True)
        if _has_small_order(bytes.fromhex(file.public_key)):
            raise ValueError("anybody can sign for this key")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(file.public_key))
        key.verify(bytes.fromhex(file.signature), _PURPOSE + manifest)
    except (ValidationError, ValueError, InvalidSignature) as problem:
        raise EntryError(
            f"{source}: not a signature of this manifest by the key that it names; the package "
            "was altered or forged: ask its author for the entry, or export it again",
            "forged",
        ) from problem
    return file.public_key


def _no_key(path: Path | str, why: str) -> EntryError:
    return EntryError(
        f"{path}: no private key: {why}; make one with `racer board keygen --out FILE`", "key"
    )


def _has_small_order(key: bytes) -> bool:
    """Return whether a public key is a curve point of order 1, 2, 4 or 8.

    For such a key anybody can make valid signatures. Their y is 1, -1 or 0, or a root of
    x^2 + y^2 = 0, where doubling gives y = 0.
    """
    square = pow(int.from_bytes(key, "little") % 2**255, 2, _P)
    return square in (0, 1) or (_D * square * square + 2 * square - 1) % _P == 0

"""Extracts the members of an entry's zip without trusting anything that the zip declares."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import PurePosixPath, PureWindowsPath

from racer.errors import EntryError

MANIFEST_FILE = "manifest.json"
POLICY_FILE = "policy.onnx"
SIGNATURE_FILE = "signature.json"
"""Present in signed entries only."""
MAX_PACKAGE_BYTES = 64_000_000
"""Maximum size of a package, and of the graph in it [bytes]."""
MAX_MEMBER_SIZES = {MANIFEST_FILE: 64_000, POLICY_FILE: MAX_PACKAGE_BYTES, SIGNATURE_FILE: 1000}
"""Maximum inflated size of each member [bytes]."""
MAX_DIRECTORY_BYTES = 64_000
"""Maximum size of the zip's central directory [bytes]; three members need about 200."""

_MEMBERS = f"{MANIFEST_FILE}, {POLICY_FILE} and, where it is signed, {SIGNATURE_FILE}"
# The end-of-central-directory record: signature, disk and member counts, the directory's size and
# offset, and the comment's length (PKWARE APPNOTE 4.3.16).
_END = struct.Struct("<4s4H2LH")
_ENCRYPTED = 0x1  # bit 0 of a member's general-purpose flags
# Exceptions that zipfile, struct and zlib raise on corrupt bytes.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
)


def read_members(content: bytes, source: str) -> dict[str, bytes]:
    """Return the bytes of each member by its name: manifest, policy and, if signed, signature.

    Args:
        content: The zip's bytes.
        source: Name of the package in error messages.

    Raises:
        EntryError: If the zip breaks a rule of the package format; its `code` is `not_a_zip`,
            `broken`, `unsafe_name`, `duplicate`, `members`, `not_a_file`, `encrypted`,
            `compression` or `too_big`.
    """
    _check_directory(content, source)
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            infos = archive.infolist()
            _check_names([info.orig_filename for info in infos], source)
            for info in infos:
                _check_member(info, source)
            return {info.filename: _inflate(archive, info, source) for info in infos}
    except _BROKEN as problem:
        why = str(problem) or "it ends too soon"
        raise EntryError(
            f"{source}: a broken zip: {why}; copy or export the entry again",
            "broken",
        ) from problem


def _check_directory(content: bytes, source: str) -> None:
    """Raise EntryError if the zip's directory is missing or too large.

    This runs before zipfile sees the bytes, because zipfile builds an object for each directory
    record, so a hostile directory would exhaust memory.
    """
    tail = content[-_END.size :]
    if not (len(tail) == _END.size and tail[:4] == b"PK\x05\x06" and tail[-2:] == b"\0\0"):
        raise EntryError(
            f"{source}: not a zip, or one that is cut short or carries a comment; "
            "an entry is a zip: copy or export it again",
            "not_a_zip",
        )
    size = _END.unpack(tail)[5]
    is_zip64 = content[-_END.size - 20 :].startswith(b"PK\x06\x07")
    if size > MAX_DIRECTORY_BYTES or is_zip64:
        problem = "is in the zip64 format" if is_zip64 else f"takes {size:,} bytes"
        raise EntryError(
            f"{source}: the zip's directory {problem}; an entry has {_MEMBERS}: export it again",
            "members",
        )


def _check_names(names: list[str], source: str) -> None:
    """Raise EntryError unless the members are the allowed ones, each present exactly once."""
    for name in names:
        parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
        if ".." in parts or name.startswith(("/", "\\")) or PureWindowsPath(name).drive:
            raise EntryError(
                f"{source}: the member {name!r} points outside the package; an entry has "
                f"{_MEMBERS}: export it again",
                "unsafe_name",
            )
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise EntryError(
            f"{source}: has {repeated[0]!r} more than once; a member may occur once: "
            "export it again",
            "duplicate",
        )
    if {*names, SIGNATURE_FILE} != set(MAX_MEMBER_SIZES):
        got = ", ".join(repr(name) for name in names[:8]) or "nothing"
        raise EntryError(
            f"{source}: contains {got}; an entry contains {_MEMBERS}: "
            "remove the rest, or export it again",
            "members",
        )


def _check_member(info: zipfile.ZipInfo, source: str) -> None:
    """Raise EntryError unless a member is a plain, unencrypted file of an allowed size."""
    member = f"{source}: {info.filename}"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise EntryError(f"{member} is a link or a folder, not a plain file", "not_a_file")
    if info.flag_bits & _ENCRYPTED:
        raise EntryError(f"{member} is encrypted; pack it without a password", "encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise EntryError(
            f"{member} uses compression method {info.compress_type}; "
            "only stored and deflated members are read",
            "compression",
        )
    if info.file_size > MAX_MEMBER_SIZES[info.filename]:
        raise EntryError(
            f"{member} declares {info.file_size:,} bytes; "
            f"{MAX_MEMBER_SIZES[info.filename]:,} are allowed",
            "too_big",
        )


def _inflate(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: str) -> bytes:
    """Return a member's bytes; read at most one byte more than it declares."""
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise EntryError(
            f"{source}: {info.filename} has {len(content):,} bytes and declares "
            f"{info.file_size:,}; copy or export the entry again",
            "broken",
        )
    return content

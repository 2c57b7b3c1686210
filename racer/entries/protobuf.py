"""Reads protobuf bytes against a list of known fields, in bounded time and memory.

A general protobuf parser makes an object for each empty message, so that two bytes cost a hundred:
8 MB of empty nodes took 606 MB in the `onnx` package. This one keeps slices of the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MAX_FIELDS = 200_000
"""Fields that are read before a graph is refused; those that racer exports have some hundreds."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_KINDS = {
    "number": (_VARINT,),
    "text": (_BYTES,),
    "message": (_BYTES,),
    "numbers": (_VARINT, _BYTES),
    "float": (_FIXED32,),
    "floats": (_FIXED32, _BYTES),
    "doubles": (_FIXED64, _BYTES),
    "messages": (_BYTES,),
    "texts": (_BYTES,),
}
"""The wire types of each kind: that of one value, and where it may be repeated, of many packed."""
_REPEATED = ("numbers", "floats", "doubles", "messages", "texts")
_TOO_LONG = re.compile(rb"[\x80-\xff]{10}")
"""In packed numbers: one of more than ten bytes."""


class ProtobufError(ValueError):
    """The bytes are not a message of the fields that are known."""


class ProtobufField(NamedTuple):
    """One field that a message may have.

    Attributes:
        name: What it is called.
        kind: `number`, `float`, `text` or `message`, which may stand once, or the plural, or
            `doubles`.
    """

    name: str
    kind: str


class FieldBudget:
    """How many fields may still be read."""

    def __init__(self, fields: int = MAX_FIELDS) -> None:
        self._left = fields

    def spend(self) -> None:
        """Count one field.

        Raises:
            WireError: There are more than were allowed.
        """
        self._left -= 1
        if self._left < 0:
            raise ProtobufError("it has too many parts")


def read_message(
    content: memoryview, known: Mapping[int, ProtobufField], budget: FieldBudget
) -> dict[str, Any]:
    """A message's fields by name: the value, or a list of them where a field may be repeated.

    Stricter than protobuf: a field that is not known, of another type, or that stands twice where
    one is asked for, is refused and not skipped, replaced or merged. So no other reader of the
    same bytes can find something in them that this one did not see.

    Args:
        content: The message's bytes.
        known: Its fields by their numbers.
        budget: Of the whole document.

    Raises:
        WireError: The bytes end too soon, or hold what is not known.
    """
    found: dict[str, Any] = {}
    for number, wire, value in _fields(content, budget):
        field = known.get(number)
        if field is None or wire not in _KINDS[field.kind]:
            raise ProtobufError(f"it has a field {number} of type {wire}, which is not known")
        if field.kind in ("text", "texts"):
            value = _text(value)
        elif wire != _KINDS[field.kind][0]:
            _check_packed(field, value)
        if field.kind in _REPEATED:
            found.setdefault(field.name, []).append(value)
        elif field.name in found:
            raise ProtobufError(f"{field.name} stands twice")
        else:
            found[field.name] = value
    return found


def _fields(content: memoryview, budget: FieldBudget) -> Iterator[tuple[int, int, Any]]:
    at, end = 0, len(content)
    while at < end:
        budget.spend()
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield number, wire, value
            continue
        size = _SIZES.get(wire)
        if wire == _BYTES:
            size, at = _varint(content, at)
        if size is None:
            raise ProtobufError(f"it has a field {number} of type {wire}, which is not known")
        if size > end - at:
            raise ProtobufError("it ends too soon")
        yield number, wire, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(content):
            raise ProtobufError("it ends too soon")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    if at < len(content) and content[at] == 1:  # the tenth byte of a negative number
        return value | 1 << 63, at + 1
    raise ProtobufError("it has a number of more than 64 bits")


def _check_packed(field: ProtobufField, value: memoryview) -> None:
    """That the numbers which stand in one field of bytes are whole."""
    size = _SIZES.get(_KINDS[field.kind][0])
    if size:
        is_whole = len(value) % size == 0
    else:
        is_whole = not len(value) or (value[-1] < 0x80 and not _TOO_LONG.search(value))
    if not is_whole:
        raise ProtobufError(f"its {field.name} do not end where their field does")


def _text(value: memoryview) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise ProtobufError("it has a text that is not UTF-8") from None

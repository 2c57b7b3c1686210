"""Parses protobuf messages against a list of known fields, in bounded time and memory.

A general protobuf parser builds an object for each message, even an empty one, so that two bytes
cost a hundred: 8 MB of empty nodes took 606 MB in the `onnx` package. This parser keeps slices of
the bytes instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_FIELDS = 200_000
"""Maximum number of fields in a graph; the graphs that racer exports have some hundreds."""

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
"""Wire types of each kind of field: that of one value and, if it may be packed, of packed values.

See https://protobuf.dev/programming-guides/encoding/.
"""
_REPEATED = ("numbers", "floats", "doubles", "messages", "texts")
_TOO_LONG = re.compile(rb"[\x80-\xff]{10}")
"""Matches a varint of more than ten bytes among packed ones."""


class ProtobufError(ValueError):
    """Raised for bytes that are not a message with the known fields."""


class ProtobufField(NamedTuple):
    """A field that a message may have.

    Attributes:
        name: Its name.
        kind: `number`, `float`, `text` or `message` for a field that may occur once; the plural
            of these, or `doubles`, for a repeated one.
    """

    name: str
    kind: str


def message_fields(fields: str) -> dict[int, ProtobufField]:
    """Return a message's fields by their numbers, from lines of `number name kind`."""
    words = [line.split() for line in fields.strip().splitlines()]
    return {int(number): ProtobufField(name, kind) for number, name, kind in words}


class FieldBudget:
    """Counts the fields of a document, so that a hostile one cannot take unbounded time."""

    def __init__(self, fields: int = MAX_FIELDS) -> None:
        self._left = fields

    def spend(self) -> None:
        """Count one field.

        Raises:
            ProtobufError: If the document has more fields than allowed.
        """
        self._left -= 1
        if self._left < 0:
            raise ProtobufError("it has too many parts")


def read_message(
    content: memoryview, known: Mapping[int, ProtobufField], budget: FieldBudget
) -> dict[str, Any]:
    r"""Return a message's fields by name: a value, or a list of values for a repeated field.

    This is stricter than protobuf: a field that is unknown, of another type, or repeated without
    being allowed to, is an error and is not skipped, replaced or merged. So no other parser of
    the same bytes can find something in them that this one did not check.

    Args:
        content: The message's bytes.
        known: The fields that the message may have, by their numbers.
        budget: Field count of the whole document; it is spent.

    Returns:
        Numbers as int, texts as str, and everything else as a slice of `content`.

    Raises:
        ProtobufError: If the bytes end too soon, or contain an unknown field.

    Example:
        >>> known = {1: ProtobufField("name", "text"), 2: ProtobufField("sizes", "numbers")}
        >>> read_message(memoryview(b"\x0a\x02hi\x10\x03\x10\x04"), known, FieldBudget())
        {'name': 'hi', 'sizes': [3, 4]}
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
    """Yield each field's number, wire type and value: an int for a varint, else a slice."""
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
    """Return the varint at an offset, and the offset after it."""
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
    """Raise ProtobufError if the packed values in a field do not end where the field does."""
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


def packed_numbers(values: Sequence[int | memoryview]) -> list[int]:
    r"""Return the values of a field of the kind `numbers` as signed numbers.

    Args:
        values: What `read_message` returned for it: numbers, and slices of packed ones.

    Example:
        >>> packed_numbers([5, memoryview(b"\x01\xac\x02"), 2**64 - 1])
        [5, 1, 300, -1]
    """
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in found]

"""The text of a file that a person wrote, whatever editor saved it."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and what they announce; UTF-32's begins with UTF-16's."""


def decode_text(data: bytes) -> str:
    """Return the text of a file's bytes: UTF-8, or what its byte order mark announces.

    Raises:
        UnicodeDecodeError: The bytes are not text of that encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    return data.decode("utf-8-sig")

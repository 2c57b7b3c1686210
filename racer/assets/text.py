"""Decoding of text files in the encodings that editors use."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and their encodings; UTF-32 comes first, as its mark begins with UTF-16's."""


def decode_text(data: bytes) -> str:
    """Return the text of a file's bytes, which are UTF-8 or have a byte order mark.

    Raises:
        UnicodeDecodeError: The bytes are not text in that encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    return data.decode("utf-8-sig")

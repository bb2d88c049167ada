"""Escapes of half a character, as `\\ud83d` by itself: RFC 8259 allows them, and our parser does not read them.

They come from programs that cut texts in the middle of an emoji. Looked for only where a text could not be read.
"""

import re

_HALF = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def mended(data: bytes) -> bytes | None:
    """With U+FFFD in the place of each half; None when there is none."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return None
    whole = _HALF.sub(lambda found: found[1] + (found[2] or b"\\ufffd"), data)
    return whole if whole != data else None

"""Where a chunk or an answer in the manner of chat completions tells its usage: not all do it at the top."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

ABSENT = Raw(b"null")


class _Groq(Struct):
    usage: Raw = ABSENT


_decode = msgspec.json.Decoder(_Groq).decode


def usage_told(at_top: Raw, x_groq: Raw, in_choices: Iterable[Raw]) -> Raw:
    """Groq's may be in a member of its own, Moonshot's is in the choice. https://console.groq.com/docs/api-reference"""
    if bytes(at_top) != b"null":
        return at_top
    if bytes(x_groq) != b"null":
        try:
            usage: Raw = _decode(x_groq).usage
        except msgspec.MsgspecError:
            usage = ABSENT
        if bytes(usage) != b"null":
            return usage
    return next((each for each in in_choices if bytes(each) != b"null"), at_top)

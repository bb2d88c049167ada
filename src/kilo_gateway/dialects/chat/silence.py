"""Whether an answer in this dialect says anything, in whichever member: text, reasoning, calls, or what is yet to come."""

import msgspec
from msgspec import Raw, Struct

_NOTHING = frozenset({b"null", b'""', b"[]", b"{}"})
_CONTENT = b'"content":"'
_BESIDE = frozenset({"role", "name"})
_ENDS = frozenset({None, "", "stop"})  # by which an answer claims to be whole


class _Choice(Struct):
    delta: dict[str, Raw] | None = None
    message: dict[str, Raw] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None


_decode_choices = msgspec.json.Decoder(list[_Choice] | None).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode


def is_empty(choices: Raw) -> bool:
    """Of a whole answer: it has choices, and none says anything. What cannot be read may say something."""
    data = bytes(choices)
    at = data.find(_CONTENT)  # most answers are told by it in a tenth of the time; in a text its quotes would be escaped
    if at >= 0 and data[at + len(_CONTENT) : at + len(_CONTENT) + 1] != b'"':
        return False
    try:
        found = _decode_choices(choices)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return bool(found) and not any(_says(choice) or not is_end(choice.finish_reason) for choice in found or ())


def says_anything(payload: bytes) -> bool:
    """Of a chunk. What cannot be read may say something."""
    try:
        return any(_says(choice) for choice in _decode_chunk(payload).choices or ())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return True


def is_end(finish_reason: str | None) -> bool:
    """Whether an answer that says nothing must not end by it: the others tell why there is nothing."""
    return finish_reason in _ENDS


def _says(choice: _Choice) -> bool:
    if choice.text:
        return True
    members = choice.message or choice.delta or {}
    return any(name not in _BESIDE and bytes(value) not in _NOTHING for name, value in members.items())

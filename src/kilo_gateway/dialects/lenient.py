"""Answers in a shape that nobody expected. A member that only adorns an answer is no reason to refuse the whole of it."""

import re
from typing import TypeVar

import msgspec
from msgspec import Raw

_T = TypeVar("_T")
_MOST = 20  # members left out of one answer
_place = re.compile(r" - at `\$([^`]+)`$").search
_steps = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
# What an answer says, calls, or ends with: without it another answer would come out.
_ESSENTIAL = frozenset({
    "choices", "delta", "message", "content", "content_block", "output", "parts", "candidates", "item", "type", "text",
    "refusal", "partial_json", "tool_calls", "function", "functionCall", "name", "arguments", "input", "args", "error",
    "finish_reason", "finishReason", "stop_reason", "status", "output_index",
})  # fmt: skip


def decoded(decoder: msgspec.json.Decoder[_T], data: bytes | Raw) -> _T:
    """As the decoder reads it; a member that does not fit is taken for absent, but no essential one.

    Raises what the decoder raises. Costs nothing where all fits.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        found = fitting(decoder, data)
        if found is None:
            raise
    return decoder.decode(found)


def fitting(decoder: msgspec.json.Decoder[_T], data: bytes | Raw) -> bytes | None:
    """Without what does not fit; None where that is essential."""
    try:
        whole, made = msgspec.json.decode(data), bytes(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for _ in range(_MOST):
        try:
            decoder.decode(made)
        except msgspec.ValidationError as error:
            if not _leave_out(whole, str(error)):
                return None
            made = msgspec.json.encode(whole)
        else:
            return made
    return None


def _leave_out(whole: object, message: str) -> bool:
    """Whether what the message names could be."""
    place = _place(message)
    steps = [name or int(number) for name, number in _steps.findall(place[1])] if place is not None else []
    names = [step for step in steps if isinstance(step, str)]
    if place is None or not names or names[-1] in _ESSENTIAL:
        return False
    try:
        for step in steps[:-1]:
            whole = whole[step]  # type: ignore[index]  # whatever it is
        del whole[steps[-1]]  # type: ignore[attr-defined]
    except (LookupError, TypeError):
        return False
    return True

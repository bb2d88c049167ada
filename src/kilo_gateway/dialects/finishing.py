"""Why a chat completion ended, read off the end of what was relayed. Nothing is decoded: the rest has passed by then."""

import re

from msgspec import Raw

from kilo_gateway.dialects.hub.answered import FinishReason

SEARCHED_BYTES = 4096  # at an end; it stands in the last event but one, or in the last members of a JSON answer
_AT_FRONT_BYTES = 256  # of a JSON answer's choices: some have it before the message
MAX_NATIVE = 60
_LOOKED_AT = 8  # members, from the last: every event may have one that is null
# Quotes inside of texts are escaped, so that no text looks like a member.
_NAME = b'finish_reason"'
_value = re.compile(rb'\s{0,9}:\s{0,9}"([\x21\x23-\x5b\x5d-\x7e]{1,60})"').match

_AT_END_BYTES = 200
_PLAIN, _NATIVE = b'"finish_reason":"', b'"native_finish_reason"'

UNKNOWN = ("", "")
REASONS: dict[str, FinishReason] = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls",
    "content_filter": "content_filter", "error": "error", "max_tokens": "length", "end_turn": "stop", "eos": "stop",
    "model_length": "length", "tool_use": "tool_calls", "model_context_window_exceeded": "length",
    # https://docs.z.ai/api-reference/llm/chat-completion, https://api-docs.deepseek.com/api/create-chat-completion
    "sensitive": "content_filter", "network_error": "error", "insufficient_system_resource": "error",
}  # fmt: skip


def in_events(*parts: bytes) -> tuple[str, str]:
    """Of a stream's last parts, the latest first: the reason in one word of ours, and the upstream's own."""
    for part in parts:
        if part and (found := _last(part, max(len(part) - SEARCHED_BYTES, 0))) is not UNKNOWN:
            return found
    return UNKNOWN


def in_choices(choices: Raw | bytes) -> tuple[str, str]:
    """Of a JSON answer; of several choices the last."""
    if plain := _plain(choices):
        return plain
    text = memoryview(choices)
    found = _last(bytes(text[-SEARCHED_BYTES:]), 0)
    return _last(bytes(text[:_AT_FRONT_BYTES]), 0) if found is UNKNOWN else found


def _plain(choices: Raw | bytes) -> tuple[str, str] | None:
    """Of most answers: written without spaces, and without an upstream's own word beside ours."""
    end = bytes(memoryview(choices)[-_AT_END_BYTES:])
    at = end.rfind(_PLAIN)
    if at < 0 or _NATIVE in end:
        return None
    begin = at + len(_PLAIN)
    word = end[begin : end.find(b'"', begin)].decode("latin-1")
    reason = REASONS.get(word)
    return None if reason is None else (reason, word)


def _last(text: bytes, begin: int) -> tuple[str, str]:
    """Backwards: a pattern would look at every byte."""
    end, native = len(text), b""
    for _ in range(_LOOKED_AT):
        end = text.rfind(_NAME, begin, end)
        if end < 0:
            break
        value = _value(text, end + len(_NAME))
        if value is None:
            continue
        if text.startswith(b'"', end - 1):
            word = value[1].decode()
            return REASONS.get(word, "stop"), (native or _native_before(text, end) or value[1]).decode()
        if text.startswith(b'"native_', end - 8):
            native = value[1]
    return UNKNOWN


def _native_before(text: bytes, end: int) -> bytes:
    begin = text.rfind(b'"native_' + _NAME, max(end - _AT_FRONT_BYTES, 0), end)
    value = _value(text, begin + 8 + len(_NAME)) if begin >= 0 else None
    return b"" if value is None else value[1]

"""Relayed chat answers without what was thought, for callers who asked not to be shown it. What is left is as it came."""

import re

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import UpstreamError
from kilo_gateway.dialects.relay import RelayBody, RelayStream

_Members = dict[str, Raw]
_THOUGHTS = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
_MARKS = (b'"reasoning', b'"thinking"')  # the latter of Mistral's parts: https://docs.mistral.ai/capabilities/reasoning/
_DATA = re.compile(rb"^data:[ ]?(.*?)(?=\r?$)", re.MULTILINE)
_decode = msgspec.json.Decoder(_Members).decode
_decode_list = msgspec.json.Decoder(list[_Members]).decode
_decode_shown = msgspec.json.Decoder(dict[str, object] | None).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_wanted(fields: _Members) -> bool:
    """Asked of every chat request: two look-ups."""
    if "reasoning" not in fields and "include_reasoning" not in fields:
        return False
    if bytes(fields.get("include_reasoning", b"")) == b"false":
        return True
    try:
        return (_decode_shown(fields.get("reasoning", Raw(b"null"))) or {}).get("exclude") is True
    except _UNREADABLE:
        return False


class QuietBody(RelayBody):
    def finish(self) -> bytes:
        return _without(super().finish())


class QuietStream(RelayStream):
    """What leaves a relayed stream is whole events."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        try:
            return _quiet(super().feed(data))
        except UpstreamError as error:
            error.before = _quiet(error.before)
            raise

    def finish(self) -> bytes:
        return _quiet(super().finish())

    def held(self) -> bytes:
        return _quiet(super().held())


def _quiet(data: bytes) -> bytes:
    if not _may_think(data):
        return data
    return _DATA.sub(lambda found: b"data: " + _without(found[1]), data)


def _may_think(data: bytes) -> bool:
    return any(mark in data for mark in _MARKS)


def _without(payload: bytes) -> bytes:
    if not _may_think(payload):
        return payload
    try:
        answer = _decode(payload)
        answer["choices"] = Raw(_encode([_choice(choice) for choice in _decode_list(answer["choices"])]))
    except (KeyError, *_UNREADABLE):
        return payload
    return _encode(answer)


def _choice(choice: _Members) -> _Members:
    for name in ("delta", "message"):
        if bytes(choice.get(name, b"null")) != b"null":
            said = {each: value for each, value in _decode(choice[name]).items() if each not in _THOUGHTS}
            if bytes(said.get("content", b""))[:1] == b"[":
                said["content"] = Raw(_encode(_spoken(_decode_list(said["content"]))))
            choice[name] = Raw(_encode(said))
    return choice


def _spoken(parts: list[_Members]) -> list[_Members]:
    return [part for part in parts if bytes(part.get("type", b"")) != b'"thinking"']

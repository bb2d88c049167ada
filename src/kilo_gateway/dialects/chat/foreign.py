"""A relayed request without what other families' models have signed: conversations come here from models of all of them.

An upstream of many families signs in the format of each, so who can read what is told by the author of the model. All else
stays byte for byte. For a model of a known author, finding no mark takes 1 to 2 us for each KB of the messages.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec
from msgspec import Raw

from kilo_gateway.core.types import Endpoint

_Members = dict[str, Raw]
_AUTHORS = {
    "anthropic-claude-v1": "anthropic", "google-gemini-v1": "google", "openai-responses-v1": "openai",
    "azure-openai-responses-v1": "openai", "xai-responses-v1": "x-ai",
}  # fmt: skip
# Whose models read their own format or none. Of other names nobody knows what is behind them.
_KNOWN = frozenset({*_AUTHORS.values(), "deepseek", "meta-llama", "mistralai", "qwen", "cohere"})
# In a text the quote behind would be escaped. None stands before: they are found in half the time.
_SIGNATURES = (b'thought_signature"', b'thoughtSignature"')
_MARKS = (b'reasoning_details"', *_SIGNATURES)
_GEMINIS = ("thought_signature", "thoughtSignature")
_TOLD = ("messages: reasoning signatures of another provider left out",)
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(_Members).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def without_foreign(fields: Mapping[str, Raw], endpoint: Endpoint) -> tuple[_Members, tuple[str, ...]] | None:
    """The request's fields anew, and what was changed in them; None: there is nothing to change, or it cannot be read."""
    authors = _authors(endpoint.model, endpoint.model_json)
    if not authors:
        return None
    messages = bytes(fields.get("messages", b""))
    if not _has(messages, _MARKS):
        return None
    cleaning = _Cleaning(authors)
    try:
        cleaned = [cleaning.message(each) for each in _decode_list(messages)]
    except (msgspec.MsgspecError, RecursionError):
        return None  # it is the upstream's to say what is wrong with it
    return ({**fields, "messages": Raw(_encode(cleaned))}, _TOLD) if cleaning.has_cut else None


@lru_cache(maxsize=4096)
def _authors(model: str, model_json: bytes) -> frozenset[str]:
    """By the catalogue's id and by the upstream's own; empty where neither names one that is known."""
    return _KNOWN & {id.partition("/")[0].lower() for id in (model, _decode_text(model_json))}


class _Cleaning:
    def __init__(self, authors: frozenset[str]) -> None:
        self._authors = authors
        self.has_cut = False

    def message(self, raw: Raw) -> Raw:
        if not _has(bytes(raw), _MARKS):
            return raw
        members = _decode_object(raw)
        if "reasoning_details" in members:
            details = [left for each in _listed(members["reasoning_details"]) if (left := self._detail(each)) is not None]
            members["reasoning_details"] = Raw(_encode(details))
            if not details:
                del members["reasoning_details"]
        if "google" not in self._authors:
            for name in ("content", "tool_calls"):
                if _has(bytes(members.get(name, b"")), _SIGNATURES) and (parts := _listed(members[name])):
                    members[name] = Raw(_encode([self._unsigned(each) for each in parts]))
        return Raw(_encode(members))

    def _detail(self, raw: Raw) -> Raw | None:
        """Its text may be read by everybody. None: there is none."""
        detail = _decode_object(raw)
        author = _AUTHORS.get(_text(detail.get("format")))
        if author is None or author in self._authors or not detail.keys() & {"signature", "data"}:
            return raw
        self.has_cut = True
        detail.pop("signature", None)
        return Raw(_encode(detail)) if detail.pop("data", None) is None else None

    def _unsigned(self, raw: Raw) -> Raw:
        """A part or a call without Gemini's signature, in each of the places where it is put."""
        if not _has(bytes(raw), _SIGNATURES):
            return raw
        members = _decode_object(raw)
        self._take(members)
        extra = _object(members.get("extra_content"))
        if google := _object(extra.get("google")):
            self._take(google)
            _put(extra, "google", google)
            _put(members, "extra_content", extra)
        return Raw(_encode(members))

    def _take(self, members: _Members) -> None:
        for name in _GEMINIS:
            if members.pop(name, None) is not None:
                self.has_cut = True


def _has(text: bytes, marks: tuple[bytes, ...]) -> bool:
    return any(mark in text for mark in marks)


def _put(members: _Members, name: str, value: _Members) -> None:
    if value:
        members[name] = Raw(_encode(value))
    else:
        del members[name]


def _listed(raw: Raw) -> list[Raw]:
    """Nothing for a text, or null."""
    return _decode_list(raw) if bytes(raw)[:1] == b"[" else []


def _object(raw: Raw | None) -> _Members:
    """Empty for what is none."""
    return _decode_object(raw) if raw is not None and bytes(raw)[:1] == b"{" else {}


def _text(raw: Raw | None) -> str:
    return _decode_text(raw) if raw is not None and bytes(raw)[:1] == b'"' else ""

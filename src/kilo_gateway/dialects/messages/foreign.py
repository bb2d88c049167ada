"""A relayed request without what other providers have signed: conversations come here from models of every dialect.

All else stays byte for byte. A request is looked into only where a mark is in it, which takes one search for each.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.dialects.messages.claude import claude
from kilo_gateway.dialects.messages.signatures import MARK, OWN, UNKNOWN, unseal

_MARKS = (MARK.encode(), b'"thought_signature"')
_THOUGHTS = ("thinking", "redacted_thinking")
_GEMINIS = ("thought_signature", "thoughtSignature")
_NO_THINKING = Raw(b'{"type":"disabled"}')
_ABSENT = Raw(b"null")
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class _Kind(Struct):
    type: str = ""


class _Proof(Struct):
    type: str = ""
    signature: str | None = None
    data: str | None = None


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_proof = msgspec.json.Decoder(_Proof).decode


def without_foreign(fields: Mapping[str, Raw], model: str) -> tuple[dict[str, Raw], tuple[str, ...]] | None:
    """The request's fields anew, and what was changed in them; None: there is nothing to change, or it cannot be read."""
    messages = bytes(fields.get("messages", b""))
    if not any(mark in messages for mark in _MARKS):
        return None
    try:
        cleaning = _Cleaning(OWN if claude(model).is_claude else UNKNOWN)
        kept = [left for each in _decode_list(messages) if (left := cleaning.message(each)) is not None]
        changed = {"messages: reasoning of another provider left out": None} if cleaning.has_cut else {}
        made = {**fields, "messages": Raw(_encode(kept))}
        if cleaning.has_cut and _is_budgeted(fields) and _lacks_thought(kept):
            made["thinking"] = _NO_THINKING
            changed["thinking: off, for the calls being answered carry no thought of this provider's"] = None
            if b'"clear_thinking' in bytes(fields.get("context_management", b"")):  # is refused without thinking
                del made["context_management"]
                changed["context_management: left out without thinking"] = None
    except (msgspec.MsgspecError, RecursionError):
        return None  # it is the upstream's to say what is wrong with it
    return made, tuple(changed)


class _Cleaning:
    def __init__(self, own: str) -> None:
        self._own = own
        self.has_cut = False

    def message(self, raw: Raw) -> Raw | None:
        """None: nothing is left of it."""
        if not _is_marked(raw):
            return raw
        members = _decode_object(raw)
        content = members.get("content", _ABSENT)
        if bytes(content)[:1] != b"[":
            return raw
        blocks = [made for each in _decode_list(content) if (made := self._block(each)) is not None]
        return Raw(_encode({**members, "content": blocks})) if blocks else None

    def _block(self, raw: Raw) -> Raw | None:
        if not _is_marked(raw):
            return raw
        kind = _decode_kind(raw).type
        if kind == "tool_use":
            self.has_cut = True
            return Raw(_encode({name: value for name, value in _decode_object(raw).items() if name not in _GEMINIS}))
        return self._thought(raw) if kind in _THOUGHTS else raw

    def _thought(self, raw: Raw) -> Raw | None:
        """What is this provider's own, and came another way, is unwrapped."""
        told = _decode_proof(raw)
        sealed = (told.signature if told.type == "thinking" else told.data) or ""
        if sealed and not sealed.startswith(MARK):
            return raw
        proof = unseal(sealed)
        value = proof.signature if told.type == "thinking" else proof.encrypted
        if proof.format != self._own or not value:
            self.has_cut = True
            return None
        member = "signature" if told.type == "thinking" else "data"
        return Raw(_encode({**_decode_object(raw), member: value}))


def _is_marked(raw: Raw) -> bool:
    text = bytes(raw)
    return any(mark in text for mark in _MARKS)


def _is_budgeted(fields: Mapping[str, Raw]) -> bool:
    """Whether thinking is on in the manner that demands a thought before each call."""
    raw = fields.get("thinking", _ABSENT)
    return bytes(raw) != b"null" and _decode_kind(raw).type == "enabled"


def _lacks_thought(messages: list[Raw]) -> bool:
    """Whether calls are being answered of which none came with a thought."""
    is_answering = False
    for raw in reversed(messages):
        content = _decode_object(raw).get("content", _ABSENT)
        kinds = [_decode_kind(each).type for each in _decode_list(content)] if bytes(content)[:1] == b"[" else []
        if any(kind in _THOUGHTS for kind in kinds):
            return False
        if bytes(_decode_object(raw).get("role", _ABSENT)) == b'"user"':
            if "tool_result" not in kinds:
                break
            is_answering = True
    return is_answering

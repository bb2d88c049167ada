"""What OpenAI itself knows of a chat completion request: it refuses the rest, and so do some who speak its dialect."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects.chat.shaping import KNOWN, MAX_STOPS, RANGES, effort_word
from kilo_gateway.dialects.chat.thinking import NAMES, thinking_of
from kilo_gateway.dialects.tool_ids import FORMS, Form
from kilo_gateway.dialects.top_level import Rules

_Members = dict[str, Raw]
_decode_list = msgspec.json.Decoder(list[_Members]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
# Members that OpenRouter, Kilo, DeepSeek and Gemini have in messages, in their parts and calls, and in tools.
_FOREIGN = frozenset({
    "reasoning", "reasoning_content", "reasoning_details", "images", "cache_control", "extra_content", "thought_signature",
    "thoughtSignature",
})  # fmt: skip
_OTHER_WORDS = NAMES - {"reasoning_effort", "include_reasoning", "extra_body"}  # for how much is to be thought
_MARKS = (b'"reasoning', b'"cache_control"', b'"extra_content"')  # of those that agents send


def mend(fields: _Members, endpoint: Endpoint) -> Mapping[str, int]:
    """Reasoning is asked for in OpenAI's word, messages lose what is foreign, and ids of calls get the form that is taken.

    Messages are looked into only where a mark of such a thing stands in them; to search for it takes some 2 us for each KB.
    """
    counts: dict[str, int] = {}
    form = FORMS.get(endpoint.tool_ids)
    if endpoint.is_strict:
        _say_effort(fields, endpoint.efforts)
        fit: list[str] = []
        for name in ("messages", "tools"):
            text = bytes(fields.get(name, b""))
            if any(mark in text for mark in _MARKS):
                fit += _clean(fields, name)
        if fit:
            counts["foreign_member"] = len(fit)
    if form is not None and "messages" in fields and form.odd.search(bytes(fields["messages"])):
        renamed = _rename(fields, form)
        if renamed:
            counts["tool_call_id"] = renamed
    return counts


def _say_effort(fields: _Members, efforts: Sequence[str]) -> None:
    if "reasoning_effort" in fields or fields.keys().isdisjoint(NAMES):
        return
    try:
        asked = thinking_of(fields)
    except BadRequest:
        return
    word = None if asked is None else effort_word(asked)
    if word == "none" and "none" not in efforts and "minimal" in efforts:
        word = "minimal"
    if word is not None:
        fields["reasoning_effort"] = Raw(_encode(word))
        for name in _OTHER_WORDS & fields.keys():
            del fields[name]


def _clean(fields: _Members, name: str) -> list[str]:
    """Gives what was taken out."""
    gone: list[str] = []
    found = _listed(fields[name])
    if found is None:
        return gone
    for members in found:
        _take_out(members, gone)
        for inner in ("content", "tool_calls"):
            parts = _listed(members.get(inner))
            if parts is not None:
                for part in parts:
                    _take_out(part, gone)
                members[inner] = Raw(_encode(parts))
    if gone:
        fields[name] = Raw(_encode(found))
    return gone


def _take_out(members: _Members, gone: list[str]) -> None:
    for name in _FOREIGN & members.keys():
        del members[name]
        gone.append(name)


def _rename(fields: _Members, form: Form) -> int:
    """How many ids got another form."""
    messages = _listed(fields["messages"])
    if messages is None:
        return 0
    odd: dict[str, str] = {}
    for message in messages:
        _fit(message, "tool_call_id", form, odd)
        calls = _listed(message.get("tool_calls"))
        if calls:
            for call in calls:
                _fit(call, "id", form, odd)
            message["tool_calls"] = Raw(_encode(calls))
    fields["messages"] = Raw(_encode(messages))
    return len(odd)


def _fit(members: _Members, name: str, form: Form, odd: dict[str, str]) -> None:
    try:
        id = _decode_text(members[name])
    except (KeyError, msgspec.MsgspecError):
        return
    if not form.fits(id):
        odd[id] = form.fit(id)
        members[name] = Raw(_encode(odd[id]))


def _listed(raw: Raw | None) -> list[_Members] | None:
    """None for what is no list of objects."""
    if raw is None:
        return None
    try:
        return _decode_list(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None


RULES = Rules(
    of_tools=("tool_choice", "parallel_tool_calls"), known=KNOWN, ranges=RANGES,
    caps=("max_completion_tokens", "max_tokens"), stops=("stop", MAX_STOPS), more=mend,
)  # fmt: skip

"""Answers of Cohere's chat as events, and its streams: https://docs.cohere.com/v2/docs/streaming

What a model plans ahead of calls (tool_plan) is a thought.
"""

from collections.abc import Iterator
from typing import NoReturn

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.codes import NO_CODE, code_of
from kilo_gateway.dialects.hub.answered import (
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Event,
    Failed,
    Finished,
    FinishReason,
    TextDelta,
    ThoughtDelta,
    Told,
)

_REASONS: dict[str, FinishReason] = {
    "COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls", "ERROR": "error",
    "TIMEOUT": "error", "ERROR_TOXIC": "content_filter", "ERROR_LIMIT": "length",
}  # fmt: skip
_MOST = 10**9
_PLAN = -1  # in the place of a content's index
_ABSENT = Raw()


class _Content(Struct, gc=False):
    text: str | None = None
    thinking: str | None = None


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None


class _Source(Struct):
    id: str | None = None
    document: dict[str, object] | None = None
    tool_output: dict[str, object] | None = None


class _Citation(Struct):
    start: int | None = None
    end: int | None = None
    sources: list[_Source] | None = None
    type: str | None = None


class _ContentIn(Struct):
    content: _Content | None = None


class _ContentDelta(Struct):
    message: _ContentIn


class _ContentEvent(Struct, tag_field="type", tag="content-delta"):
    delta: _ContentDelta
    index: int = 0


class _ContentStart(Struct, tag_field="type", tag="content-start"):
    delta: _ContentDelta
    index: int = 0


class _PlanIn(Struct, gc=False):
    tool_plan: str | None = None


class _PlanDelta(Struct):
    message: _PlanIn


class _PlanEvent(Struct, tag_field="type", tag="tool-plan-delta"):
    delta: _PlanDelta


class _CallIn(Struct):
    tool_calls: _Call | None = None


class _CallOf(Struct):
    message: _CallIn


class _CallStart(Struct, tag_field="type", tag="tool-call-start"):
    delta: _CallOf
    index: int = 0


class _CallEvent(Struct, tag_field="type", tag="tool-call-delta"):
    delta: _CallOf
    index: int = 0


class _CitationIn(Struct):
    citations: _Citation | None = None


class _CitationOf(Struct):
    message: _CitationIn


class _CitationStart(Struct, tag_field="type", tag="citation-start"):
    delta: _CitationOf


class _MessageStart(Struct, tag_field="type", tag="message-start"):
    id: str | None = None


class _Ending(Struct):
    finish_reason: str | None = None
    usage: Raw = _ABSENT
    error: str | None = None


class _MessageEnd(Struct, tag_field="type", tag="message-end"):
    delta: _Ending


_EVENTS = (
    _ContentEvent | _ContentStart | _PlanEvent | _CallStart | _CallEvent | _CitationStart | _MessageStart | _MessageEnd
)  # fmt: skip
_KNOWN = frozenset({
    "content-delta", "content-start", "tool-plan-delta", "tool-call-start", "tool-call-delta", "citation-start",
    "message-start", "message-end",
})  # fmt: skip


class _Kind(Struct):
    type: str | None = None


class _Message(Struct):
    content: list[_Content] | str | None = None
    tool_plan: str | None = None
    tool_calls: list[_Call] | None = None
    citations: list[_Citation] | None = None


class _Answer(Struct):
    id: str | None = None
    message: _Message | str | None = None  # a text: of an error
    finish_reason: str | None = None
    usage: Raw = _ABSENT


class _Tokens(Struct, gc=False):
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Usage(Struct):
    tokens: _Tokens | None = None
    billed_units: Raw = _ABSENT
    cached_tokens: float | None = None


_decode = msgspec.json.Decoder(_EVENTS).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_tokens = msgspec.json.Decoder(_Tokens).decode
_decode_loose = msgspec.json.Decoder(dict[str, object]).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Reader:
    """Over with message-end, or with [DONE] where an operator puts it."""

    def __init__(self) -> None:
        self.is_done = False
        self._thoughts: dict[int, int] = {}  # index of a content -> of our thought
        self._calls: dict[int, int] = {}  # index of a call -> ours

    def read(self, name: bytes, data: bytes) -> list[Event]:
        try:
            event = _decode(data)
        except _UNREADABLE as error:
            return self._unknown(data, error)
        if isinstance(event, _ContentEvent | _ContentStart):
            return self._content(event.index, event.delta.message.content)
        if isinstance(event, _CallEvent):
            return self._call(event.index, event.delta.message.tool_calls)
        if isinstance(event, _PlanEvent):
            plan = event.delta.message.tool_plan
            return [ThoughtDelta(self._thought(_PLAN), plan)] if plan else []
        return self._rare(event)

    def _rare(self, event: _CallStart | _CitationStart | _MessageStart | _MessageEnd) -> list[Event]:
        if isinstance(event, _CallStart):
            return self._call(event.index, event.delta.message.tool_calls or _Call())
        if isinstance(event, _CitationStart):
            citation = event.delta.message.citations
            return list(_cited(citation)) if citation is not None else []
        if isinstance(event, _MessageStart):
            return [Begun(event.id or "")]
        self.is_done = True
        return _end(event.delta, has_calls=bool(self._calls))

    def _content(self, index: int, content: _Content | None) -> list[Event]:
        if content is None:
            return []
        if content.text:
            return [TextDelta(content.text)]
        return [ThoughtDelta(self._thought(index), content.thinking)] if content.thinking else []

    def _thought(self, index: int) -> int:
        return self._thoughts.setdefault(index, len(self._thoughts))

    def _call(self, index: int, call: _Call | None) -> list[Event]:
        if call is None:
            return []
        function = call.function or _Function()
        events: list[Event] = []
        if index not in self._calls:
            self._calls[index] = len(self._calls)
            events.append(CallBegun(self._calls[index], call.id or "", function.name or ""))
        if function.arguments:
            events.append(CallDelta(self._calls[index], function.arguments))
        return events

    def _unknown(self, data: bytes, error: Exception) -> list[Event]:
        """An event of another kind gives nothing; one without a kind may be an error."""
        if data.strip() == b"[DONE]":
            self.is_done = True
            return []
        try:
            kind = _decode_kind(data).type
        except _UNREADABLE:
            _refuse(error)
        if kind in _KNOWN:
            _refuse(error)
        failed = _error_in(data, 500) if kind in (None, "error") else None
        if failed is None:
            return []
        self.is_done = True
        return [failed]


def read_answer(body: bytes) -> list[Event]:
    """Raises BadAnswer."""
    try:
        answer = _decode_answer(body)
    except _UNREADABLE as error:
        _refuse(error)
    message = answer.message
    if not isinstance(message, _Message):
        failed = _error_in(body, 500)
        if failed is None:
            raise BadAnswer("the answer has no message")
        return [failed]
    events: list[Event] = [Begun(answer.id or ""), *_said(message)]
    return events + _end(_Ending(answer.finish_reason, answer.usage), has_calls=bool(message.tool_calls))


def read_error(body: bytes, status: int) -> Failed:
    failed = _error_in(body, status)
    if failed is not None:
        return failed
    text = body[:500].decode("utf-8", "replace").strip()
    return Failed(text or f"status {status}", NO_CODE, status)


def _said(message: _Message) -> Iterator[Event]:
    thoughts = 0
    told = [_Content(message.content)] if isinstance(message.content, str) else message.content
    for content in told or ():
        if content.text:
            yield TextDelta(content.text)
        elif content.thinking:
            yield ThoughtDelta(thoughts, content.thinking)
            thoughts += 1
    if message.tool_plan:
        yield ThoughtDelta(thoughts, message.tool_plan)
    for index, call in enumerate(message.tool_calls or ()):
        function = call.function or _Function()
        yield CallBegun(index, call.id or "", function.name or "")
        if function.arguments:
            yield CallDelta(index, function.arguments)
    for citation in message.citations or ():
        yield from _cited(citation)


def _cited(citation: _Citation) -> Iterator[Event]:
    """Each source by itself. Places in a plan or a thought are none in the text."""
    is_of_text = citation.type in (None, "TEXT_CONTENT")
    begin = citation.start if is_of_text and citation.start is not None else -1
    end = citation.end if is_of_text and citation.end is not None else -1
    for source in citation.sources or ():
        told = source.document or source.tool_output or {}
        text = told.get("text", told.get("snippet"))
        yield Cited(_text(told.get("url")), _text(told.get("title")) or source.id or "", _text(text), begin, end)


def _end(ending: _Ending, *, has_calls: bool) -> list[Event]:
    native = ending.finish_reason or ""
    reason = _REASONS.get(native, "stop")
    if ending.error and reason in ("error", "stop"):
        return [Failed(ending.error, NO_CODE, 504 if native == "TIMEOUT" else 500)]
    if reason in ("stop", "tool_calls"):
        reason = "tool_calls" if has_calls else "stop"
    usage = _usage(ending.usage)
    told: list[Event] = [] if usage is None else [Told(usage)]
    return [*told, Finished(reason, native)]


def _usage(raw: Raw) -> Usage | None:
    """Of all tokens, where they are told; what is billed is fewer, for Cohere does not charge its own prompts."""
    try:
        told = _decode_usage(raw)
    except msgspec.MsgspecError:
        return None
    billed = _billed(told.billed_units)
    counts, cached = _whole(told.tokens) if told.tokens is not None else billed, told.cached_tokens or 0
    if counts is None:
        return None
    prompt, completion = counts
    read = int(cached) if 0 <= cached <= prompt else 0
    return Usage(prompt, completion, cache_read_tokens=read, billed=None if billed == counts else billed)


def _billed(raw: Raw) -> tuple[int, int] | None:
    try:
        return _whole(_decode_tokens(raw))
    except msgspec.MsgspecError:
        return None


def _whole(tokens: _Tokens) -> tuple[int, int] | None:
    """None for numbers that are no counts."""
    prompt, completion = tokens.input_tokens, tokens.output_tokens
    if prompt is None or completion is None:
        return None
    if not all(0 <= number <= _MOST and number == int(number) for number in (prompt, completion)):
        return None
    return int(prompt), int(completion)


def _error_in(body: bytes, status: int) -> Failed | None:
    """{"message"} mostly; {"error"} or {"detail"} of what stands in front of Cohere."""
    try:
        told = _decode_loose(body)
    except _UNREADABLE:
        return None
    inner = told.get("error")
    more: dict[object, object] = inner if isinstance(inner, dict) else {}
    words = (told.get("message"), more.get("message"), inner, told.get("detail"))
    message = next((word for word in words if isinstance(word, str) and word), None)
    if message is None:
        return None
    codes = (more.get("code"), more.get("type"), told.get("code"))
    return Failed(message, code_of(*codes), status)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _refuse(error: Exception) -> NoReturn:
    raise BadAnswer("the answer cannot be read as one of Cohere's chat") from error

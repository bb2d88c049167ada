"""Answers of upstreams that speak chat completions, as events."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.dialects import lenient, openai_chat
from kilo_gateway.dialects.chat import shapes
from kilo_gateway.dialects.chat.calls import Call, Calls, Function
from kilo_gateway.dialects.chat.details import format_of
from kilo_gateway.dialects.codes import NO_CODE
from kilo_gateway.dialects.finishing import REASONS
from kilo_gateway.dialects.hub.answered import (
    Begun,
    Cited,
    Drawn,
    Event,
    Failed,
    Finished,
    RefusalDelta,
    Spoken,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.usages import usage_told


class _Citation(Struct):
    url: str | None = None
    title: str | None = None
    content: str | None = None
    start_index: int = -1
    end_index: int = -1


class _Annotation(Struct):
    type: str = ""
    url_citation: _Citation | None = None


class _Audio(Struct):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None


class _Thinking(Struct):
    """A part of Mistral's: https://docs.mistral.ai/capabilities/reasoning/"""

    type: str = "text"
    text: str | None = None
    thinking: list["_Thinking"] | str | None = None


class _Said(Struct):
    content: str | list[_Thinking] | None = None
    refusal: str | None = None
    reasoning: Raw = shapes.ABSENT
    reasoning_content: str | list[_Thinking] | None = None
    reasoning_details: list[shapes.Detail] | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None  # of before there were several
    annotations: list[_Annotation] | None = None
    images: list[shapes.Part] | None = None
    audio: _Audio | None = None


class _Choice(Struct):
    index: int | None = None
    finish_reason: str | None = None
    delta: _Said | None = None
    message: _Said | None = None
    usage: Raw = shapes.ABSENT


class _Chunk(Struct):
    id: Raw = shapes.ABSENT
    model: str | None = None
    created: Raw = shapes.ABSENT
    choices: list[_Choice] | None = None
    usage: Raw = shapes.ABSENT
    error: Raw = shapes.ABSENT
    x_groq: Raw = shapes.ABSENT


_PLAIN = shapes.Detail()
_LEGACY = -1  # in the place of a call's index
_decoder = msgspec.json.Decoder(_Chunk)
_decode_text = msgspec.json.Decoder(str | list[_Thinking] | None).decode


class Reader:
    """A stream: over with [DONE], for a finish alone leaves room for usage. `is_cost_reported`: its cost is USD charged.

    `origin`: of what is signed in it.
    """

    def __init__(self, *, is_cost_reported: bool = False, origin: str = "") -> None:
        self.is_done = False
        self._is_cost_reported = is_cost_reported
        self._origin = origin
        self._has_begun = False
        self._details: dict[int, int] = {}  # index of a detail -> of our thought
        self._ids: dict[int, str] = {}  # of our thoughts
        self._count = 0  # of our thoughts
        self._calls = Calls(origin)

    def read(self, name: bytes, data: bytes) -> list[Event]:
        if data.strip() == b"[DONE]":
            self.is_done = True
            return []
        chunk = _chunk(data)
        if not self._has_begun and _says_nothing(chunk):
            return []
        return list(self._events(chunk))

    def _events(self, chunk: _Chunk) -> Iterator[Event]:
        problem = openai_chat.error_of(chunk.error)
        if problem is not None:
            yield Failed(problem.message, problem.code, problem.status)
            return
        if not self._has_begun:
            self._has_begun = True
            yield Begun(openai_chat.id_of(chunk.id), chunk.model or "", openai_chat.created_of(chunk.created))
        for choice in chunk.choices or ():
            if not choice.index:
                said = choice.delta or choice.message
                if said is not None:
                    yield from self._said(said)
                if choice.finish_reason:
                    yield from self._calls.end()
                    yield self._finish(choice.finish_reason)
        told = usage_told(chunk.usage, chunk.x_groq, [choice.usage for choice in chunk.choices or ()])
        if bytes(told) != b"null":  # as it is in most chunks
            usage = openai_chat.usage_in(told, is_cost_reported=self._is_cost_reported)
            if usage is not None:
                yield Told(usage)

    def _finish(self, native: str) -> Finished:
        reason = REASONS.get(native, "stop")
        return Finished("tool_calls" if reason == "stop" and self._calls.count else reason, native)

    def _said(self, said: _Said) -> Iterator[Event]:
        yield from self._thoughts(said)
        if said.content:
            yield from _content(said.content)
        if said.refusal:
            yield RefusalDelta(said.refusal)
        for call in said.tool_calls or ():
            yield from self._calls.read(call)
        if said.function_call is not None:
            yield from self._calls.read(Call(_LEGACY, function=said.function_call))
        for note in said.annotations or ():
            cited = note.url_citation
            if cited is not None:
                yield Cited(cited.url or "", cited.title or "", cited.content or "", cited.start_index, cited.end_index)
        for image in said.images or ():
            if image.image_url is not None:
                yield Drawn(image.image_url if isinstance(image.image_url, str) else image.image_url.url)
        if said.audio is not None:
            yield Spoken(said.audio.data or "", said.audio.transcript or "", id=said.audio.id or "")

    def _thoughts(self, said: _Said) -> Iterator[Event]:
        """Details say all that the plain text says, and more."""
        if said.reasoning_details:
            for detail in said.reasoning_details:
                yield ThoughtDelta(
                    self._numbered(detail), detail.text or "", detail.summary or "", detail.signature or "",
                    detail.data or "", format_of(detail), detail.id or "", self._origin,
                )  # fmt: skip
            return
        text = _joined(said.reasoning_content) or _plain(said.reasoning)
        if text:
            yield ThoughtDelta(self._numbered(_PLAIN), text)

    def _numbered(self, detail: shapes.Detail) -> int:
        """Of our thought. Details of one id are one, whatever their index; those of one index too, but for their ids."""
        known, id = self._details.get(detail.index or 0), detail.id or ""
        if id and known is not None and self._ids.get(known, id) != id:
            known = None
        if id and known is None:
            known = next((number for number, other in self._ids.items() if other == id), None)
        if known is None:
            known = self._count
            self._count += 1
        if id:
            self._ids[known] = id
        self._details[detail.index or 0] = known
        return known


def read_answer(body: bytes, *, is_cost_reported: bool = False, origin: str = "") -> list[Event]:
    """Raises BadAnswer."""
    chunk = _chunk(body)
    if chunk.choices is None and openai_chat.error_of(chunk.error) is None:
        raise BadAnswer("the answer has no choices")
    events = Reader(is_cost_reported=is_cost_reported, origin=origin)._events(chunk)
    return sorted(events, key=lambda event: isinstance(event, Finished))


def read_error(body: bytes, status: int) -> Failed:
    """However it is worded: OpenAI's object, a message or detail at the top, or plain text."""
    event = openai_chat.read_event(body)
    problem = openai_chat.error_of(event.error) if event is not None else None
    if problem is not None:
        return Failed(problem.message, problem.code, status)
    try:
        loose = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        loose = {}
    message = loose.get("message") or loose.get("detail")
    if not isinstance(message, str):
        message = body[:500].decode("utf-8", "replace").strip() or f"status {status}"
    return Failed(message, NO_CODE, status)


def _says_nothing(chunk: _Chunk) -> bool:
    """Azure begins a stream with what its filters found in the prompt: no choices, no id, no model."""
    return not chunk.choices and bytes(chunk.usage) == b"null" and openai_chat.error_of(chunk.error) is None


def _chunk(data: bytes) -> _Chunk:
    try:
        return lenient.decoded(_decoder, data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if (whole := surrogates.mended(data)) is not None:
            return _chunk(whole)
        raise BadAnswer("the answer cannot be read as a chat completion") from error


def _content(content: str | list[_Thinking]) -> Iterator[Event]:
    if isinstance(content, str):
        yield TextDelta(content)
        return
    for part in content:
        if part.text:
            yield TextDelta(part.text)
        if thought := _joined(part.thinking):
            yield ThoughtDelta(0, thought)


def _plain(raw: Raw) -> str:
    """Of a text, or of parts that have one."""
    try:
        found = _decode_text(raw)
    except msgspec.MsgspecError:
        return ""
    return _joined(found)


def _joined(found: str | list[_Thinking] | None) -> str:
    return found or "" if isinstance(found, str | None) else "".join(part.text or "" for part in found)

"""Answers of upstreams that speak Responses, as events."""

from collections.abc import Callable, Iterator
from typing import TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.dialects import lenient
from kilo_gateway.dialects.codes import NO_CODE
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Begun,
    CallBegun,
    CallDelta,
    Drawn,
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Format
from kilo_gateway.dialects.responses import answers
from kilo_gateway.dialects.responses.answers import ABSENT, Annotation, Item, Part, Response, error_of, usage_of
from kilo_gateway.dialects.responses.envelope import FAMILY

_T = TypeVar("_T")
_UNREADABLE = "an event of the answer cannot be read as one of a response"
_FORMATS: tuple[Format, ...] = get_args(Format)
_CALLS = ("function_call", "custom_tool_call")
_REASONS: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_MIME = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}


class _Read(Struct):
    """One event. Members of cold kinds stay Raw."""

    type: str = ""
    delta: str = ""
    output_index: int = -1
    content_index: int = 0
    summary_index: int = 0
    item: Raw = ABSENT
    annotation: Raw = ABSENT
    response: Raw = ABSENT
    error: Raw = ABSENT


class _Kind(Struct):
    type: str = ""


_event: msgspec.json.Decoder[_Read] = msgspec.json.Decoder(_Read)
_kind: msgspec.json.Decoder[_Kind] = msgspec.json.Decoder(_Kind)
_item: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)
_response: msgspec.json.Decoder[Response] = msgspec.json.Decoder(Response)
_annotation: msgspec.json.Decoder[Annotation] = msgspec.json.Decoder(Annotation)
_parts: msgspec.json.Decoder[list[Part] | None] = msgspec.json.Decoder(list[Part] | None)
_text: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)
_encode = msgspec.json.Encoder().encode


class _Open(Struct):
    """An output item of which something came. `number`: of the thought or the call."""

    type: str = ""
    number: int = -1
    id: str = ""
    is_begun: bool = False  # a call whose name is known
    has_text: bool = False
    has_refusal: bool = False
    has_thought: bool = False
    has_summary: bool = False
    has_arguments: bool = False
    is_done: bool = False
    part: int = -1  # the last one
    bases: dict[int, int] = {}  # where each part begins in the whole text
    annotations: int = 0


class Reader:
    """A stream. `is_cost_reported`: the cost in its usage is USD charged."""

    def __init__(self, *, is_cost_reported: bool = False) -> None:
        self.is_done = False
        self._is_cost_reported = is_cost_reported
        self._items: dict[int, _Open] = {}
        self._ids: set[str] = set()  # of items that are done
        self._has_begun = False
        self._thoughts = 0
        self._calls = 0
        self._said = 0  # characters of text
        self._searches = 0
        self._kinds: dict[str, Callable[[_Read], list[Event]]] = {
            "response.created": self._created,
            "response.in_progress": self._created,
            "response.output_item.added": self._added,
            "response.output_item.done": self._item_done,
            "response.refusal.delta": self._refusal,
            "response.reasoning_text.delta": self._thought,
            "response.reasoning.delta": self._thought,  # https://openrouter.ai/docs/api-reference/responses/reasoning
            "response.reasoning_summary_text.delta": self._summary,
            "response.function_call_arguments.delta": self._arguments,
            "response.custom_tool_call_input.delta": self._input,
            "response.output_text.annotation.added": self._annotated,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._ended,
            "response.cancelled": self._ended,
        }

    def read(self, name: bytes, data: bytes) -> list[Event]:
        try:
            event = _event.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self._strange(name, data, error)
        kind = event.type or name.decode("latin-1")
        if kind == "response.output_text.delta":
            return self._text(event)
        known = self._kinds.get(kind)
        if known is not None:
            return known(event)
        if kind in answers.ERRORS or (not kind and bytes(event.error) != b"null"):
            return self._failed(error_of(data))
        return []

    def _strange(self, name: bytes, data: bytes, error: Exception) -> list[Event]:
        """The end in the manner of chat, an event of an unknown kind, or half a character; else it cannot be read."""
        if data == b"[DONE]":
            self.is_done = True
            return []
        if isinstance(error, msgspec.ValidationError):
            try:
                kind = _kind.decode(data).type
            except msgspec.MsgspecError:
                kind = ""
            if kind in answers.ERRORS:
                return self._failed(error_of(data))
            if kind and kind not in self._kinds and kind != "response.output_text.delta":
                return []
            fitting = lenient.fitting(_event, data)
            if fitting is not None:
                return self.read(name, fitting)
        elif (whole := surrogates.mended(data)) is not None:
            return self.read(name, whole)
        raise BadAnswer(_UNREADABLE) from error

    def whole(self, response: Response) -> list[Event]:
        """Events of a response that came at once."""
        events = self._begun(response)
        if response.status not in ("failed", "cancelled"):
            return events + self._close(response)
        return events + self._failed(error_of(response.error))

    def _begun(self, response: Response) -> list[Event]:
        if self._has_begun:
            return []
        self._has_begun = True
        return [Begun(response.id, response.model or "", int(response.created_at or 0))]

    def _created(self, event: _Read) -> list[Event]:
        return [] if self._has_begun else self._begun(_decoded(_response, event.response))

    def _open(self, at: int) -> _Open:
        item = self._items.get(at)
        if item is None:
            item = self._items[at] = _Open()
        return item

    def _text(self, event: _Read) -> list[Event]:
        item = self._items.get(event.output_index) or self._open(event.output_index)
        if item.part != event.content_index:
            item.part = event.content_index
            item.bases[item.part] = self._said
        item.has_text = True
        delta = event.delta
        self._said += len(delta)
        return [TextDelta(delta)] if delta else []

    def _refusal(self, event: _Read) -> list[Event]:
        self._open(event.output_index).has_refusal = True
        return [RefusalDelta(event.delta)] if event.delta else []

    def _numbered(self, at: int) -> _Open:
        item = self._items.get(at) or self._open(at)
        if item.number < 0:
            item.number, self._thoughts = self._thoughts, self._thoughts + 1
        return item

    def _thought(self, event: _Read) -> list[Event]:
        item = self._numbered(event.output_index)
        gap = "\n\n" if item.has_thought and item.part != event.content_index else ""
        item.has_thought, item.part = True, event.content_index
        return [ThoughtDelta(item.number, text=gap + event.delta, format=FAMILY, id=item.id)]

    def _summary(self, event: _Read) -> list[Event]:
        item = self._numbered(event.output_index)
        gap = "\n\n" if item.has_summary and item.part != event.summary_index else ""
        item.has_summary, item.part = True, event.summary_index
        return [ThoughtDelta(item.number, summary=gap + event.delta, format=FAMILY, id=item.id)]

    def _arguments(self, event: _Read) -> list[Event]:
        item = self._open(event.output_index)
        if not item.is_begun or not event.delta:
            return []  # they stand in the item, whose end tells its name
        item.has_arguments = True
        return [CallDelta(item.number, event.delta)]

    def _input(self, event: _Read) -> list[Event]:
        """Plain text, as the argument `input`."""
        item = self._open(event.output_index)
        if not item.is_begun or not event.delta:
            return []
        begin = "" if item.has_arguments else '{"input":"'
        item.has_arguments = True
        return [CallDelta(item.number, begin + _encode(event.delta)[1:-1].decode())]

    def _annotated(self, event: _Read) -> list[Event]:
        item = self._open(event.output_index)
        item.annotations += 1
        cited = _decoded(_annotation, event.annotation).cited(item.bases.get(event.content_index, self._said))
        return [] if cited is None else [cited]

    def _added(self, event: _Read) -> list[Event]:
        return list(self._begin_item(self._open(event.output_index), _decoded(_item, event.item)))

    def _begin_item(self, open_item: _Open, item: Item) -> Iterator[Event]:
        open_item.type, open_item.id = item.type, item.id or ""
        if item.type in _CALLS and not open_item.is_begun and (name := _plain(item.name)):
            open_item.is_begun = True
            open_item.number, self._calls = self._calls, self._calls + 1
            yield CallBegun(open_item.number, item.call_id or item.id or "", name)

    def _item_done(self, event: _Read) -> list[Event]:
        return list(self._end_item(event.output_index, _decoded(_item, event.item)))

    def _end_item(self, at: int, item: Item) -> Iterator[Event]:
        """What its deltas did not say."""
        open_item = self._open(at)
        if open_item.is_done:
            return
        open_item.is_done = True
        self._ids |= {item.id} if item.id else set()
        yield from self._begin_item(open_item, item)
        if item.type == "message":
            yield from self._end_message(open_item, item)
        elif item.type == "reasoning":
            yield from self._end_thought(at, item)
        elif item.type in _CALLS:
            yield from self._end_call(open_item, item)
        elif item.type == "image_generation_call" and (data := _plain(item.result)):
            yield Drawn(f"data:image/{_MIME.get(item.output_format or 'png', 'png')};base64,{data}")
        else:
            self._searches += item.type == "web_search_call"
            yield Acted(item.type)

    def _end_message(self, open_item: _Open, item: Item) -> Iterator[Event]:
        seen = 0
        has_text, has_refusal = open_item.has_text, open_item.has_refusal
        open_item.has_text = open_item.has_refusal = True
        parts = _decoded(_parts, item.content)
        for nth, part in enumerate(parts or ()):
            if part.text is not None:
                if not has_text:
                    open_item.bases[nth] = self._said
                    self._said += len(part.text)
                    yield from [TextDelta(part.text)] if part.text else []
            elif part.refusal is not None and not has_refusal:
                yield RefusalDelta(part.refusal)
            for annotation in part.annotations or ():
                seen += 1
                cited = annotation.cited(open_item.bases.get(nth, 0)) if seen > open_item.annotations else None
                if cited is not None:
                    yield cited
        open_item.annotations = max(seen, open_item.annotations)

    def _end_thought(self, at: int, item: Item) -> Iterator[Event]:
        open_item = self._open(at)
        text = "" if open_item.has_thought else _joined(item.content)
        summary = "" if open_item.has_summary else _joined(item.summary)
        signature, encrypted = item.signature or "", item.encrypted_content or ""
        if text or summary or signature or encrypted:
            told = _plain(item.format)
            format = next((known for known in _FORMATS if known and known == told), FAMILY)
            yield ThoughtDelta(self._numbered(at).number, text, summary, signature, encrypted, format, item.id or "")

    def _end_call(self, open_item: _Open, item: Item) -> Iterator[Event]:
        if not open_item.is_begun:
            raise BadAnswer("a call in the answer has no name")
        if item.type == "custom_tool_call":
            said = '"}' if open_item.has_arguments else _encode({"input": _plain(item.input)}).decode()
        else:
            said = "" if open_item.has_arguments else _plain(item.arguments)
        if said:
            yield CallDelta(open_item.number, said)

    def _ended(self, event: _Read) -> list[Event]:
        response = _decoded(_response, event.response)
        if event.type in ("response.failed", "response.cancelled"):
            return self._begun(response) + self._told(response) + self._failed(error_of(response.error))
        return self._begun(response) + self._close(response)

    def _close(self, response: Response) -> list[Event]:
        """With what came in no event of its own."""
        events: list[Event] = []
        for at, item in enumerate(response.output or ()):
            open_item = self._open(at)
            if not open_item.is_done and (not item.id or item.id not in self._ids):
                events += self._end_item(at, item)
            elif item.type == "message" and item.id == open_item.id:
                events += self._end_message(open_item, item)
        self.is_done = True
        return [*events, *self._told(response), Finished(self._reason(response), _native(response))]

    def _reason(self, response: Response) -> FinishReason:
        if response.status == "incomplete":
            details = response.incomplete_details
            return _REASONS.get((details.reason if details is not None else None) or "", "stop")
        return "tool_calls" if self._calls else "stop"

    def _told(self, response: Response) -> list[Event]:
        usage = usage_of(response, self._searches, is_cost_reported=self._is_cost_reported)
        return [] if usage is None else [Told(usage)]

    def _failed(self, failed: Failed | None) -> list[Event]:
        self.is_done = True
        return [failed or Failed("the upstream reported an error", NO_CODE)]


def read_answer(body: bytes, *, is_cost_reported: bool = False) -> list[Event]:
    """Raises BadAnswer."""
    response = _decoded(_response, body)
    if response.output is None or response.status in ("failed", "cancelled"):
        failed = error_of(response.error)
        if failed is not None:
            return [failed]
        if response.output is None:
            raise BadAnswer("the answer has no output")
    if response.status in ("queued", "in_progress"):
        raise BadAnswer(f"the answer is not ready: its status is {response.status}")
    return Reader(is_cost_reported=is_cost_reported).whole(response)


def read_error(body: bytes, status: int) -> Failed:
    """However it is worded: an object, a message or detail at the top, or plain text."""
    failed = error_of(body, status)
    if failed is None:
        text = body[:500].decode("utf-8", "replace").strip()
        failed = Failed(text or f"status {status}", NO_CODE, status)
    return failed


def _native(response: Response) -> str:
    details = response.incomplete_details
    return (details.reason if details is not None else None) or response.status or ""


def _decoded(decoder: msgspec.json.Decoder[_T], data: bytes | Raw) -> _T:
    try:
        return lenient.decoded(decoder, data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if (whole := surrogates.mended(bytes(data))) is not None:
            return _decoded(decoder, whole)
        raise BadAnswer("the answer cannot be read as a response") from error


def _plain(raw: Raw) -> str:
    try:
        return _text.decode(raw) or ""
    except msgspec.MsgspecError:
        return ""


def _joined(raw: Raw) -> str:
    parts = _decoded(_parts, raw)
    return "\n\n".join(part.text for part in parts or () if part.text)

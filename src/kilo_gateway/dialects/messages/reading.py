"""Answers of upstreams that speak this dialect, as events. https://docs.anthropic.com/en/docs/build-with-claude/streaming"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.dialects import lenient
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.messages.faults import read_error, read_problem
from kilo_gateway.dialects.messages.output import ANSWER_TOOL
from kilo_gateway.dialects.messages.shapes import ABSENT
from kilo_gateway.dialects.messages.signatures import OWN, UNKNOWN, unseal
from kilo_gateway.dialects.messages.usage import Tally

__all__ = ["Reader", "read_answer", "read_error"]

_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "compaction": "stop", "max_tokens": "length",
    "model_context_window_exceeded": "length", "tool_use": "tool_calls", "refusal": "content_filter",
}  # fmt: skip
_NOTHING = (b"", b"{}", b"null")


class _Citation(Struct):
    """Of a page found, of a search result the caller gave, or of a document of his."""

    cited_text: str | None = None
    title: str | None = None
    document_title: str | None = None
    url: str | None = None
    source: str | None = None


class _Details(Struct):
    explanation: str | None = None


class _Block(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    thought_signature: str | None = None
    citations: list[_Citation] | None = None


class _Delta(Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    citation: _Citation | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _Details | None = None


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _Details | None = None
    usage: Raw = ABSENT
    type: str = ""
    error: Raw = ABSENT


class _Event(Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


class _Kind(Struct):
    type: str = ""


_event = msgspec.json.Decoder(_Event)
_answer = msgspec.json.Decoder(_Message)
_decode_kind = msgspec.json.Decoder(_Kind).decode
_KNOWN = frozenset({"message_start", "content_block_start", "content_block_delta", "message_delta", "error"})


class _Open(Struct):
    """A block that is being sent. `kind`: text, thought, call, or answer (a call that stands for text)."""

    kind: str
    index: int = 0  # of our thoughts or calls; of an answer its block's
    begin: int = 0  # of a text: characters that came before
    input: bytes = b""  # of a call, given whole at its start
    cited: list[_Citation] = []


class Reader:
    """`is_cost_reported`: the upstream's cost is USD it charged."""

    def __init__(self, *, is_cost_reported: bool = False) -> None:
        self.is_done = False
        self._tally = Tally(is_cost_reported=is_cost_reported)
        self._open: dict[int, _Open] = {}
        self._thoughts = self._calls = self._characters = 0
        self._format = OWN

    def read(self, name: bytes, data: bytes) -> list[Event]:
        event = _read(data)
        kind = event.type
        if kind == "content_block_delta":
            block, delta = self._open.get(event.index), event.delta
            if delta is None:
                return []
            if block is None:
                if delta.type != "text_delta":  # of a tool of the upstream's own
                    return []
                block = self._open[event.index] = _Open("text", begin=self._characters)
            return self._delta(block, delta)
        if kind == "content_block_start" and event.content_block is not None:
            return self._begin(event.index, event.content_block)
        if kind == "content_block_stop":
            return list(self._end(event.index))
        if kind == "message_start" and event.message is not None:
            return list(self._start(event.message))
        if kind == "message_delta":
            return list(self._finish(event.delta or _Delta(), event.usage))
        if kind == "message_stop":
            self.is_done = True
        elif kind == "error" or name == b"error":
            self.is_done = True
            return [read_problem(event.error)]
        return []

    def _delta(self, block: _Open, delta: _Delta) -> list[Event]:
        if delta.text:
            self._characters += len(delta.text)
            return [TextDelta(delta.text)]
        if delta.partial_json:
            block.input = b""
            if block.kind == "answer":
                self._characters += len(delta.partial_json)
                return [TextDelta(delta.partial_json, block.index)]
            return [CallDelta(block.index, delta.partial_json)]
        if delta.thinking:
            return [ThoughtDelta(block.index, delta.thinking, format=self._format)]
        if delta.signature:
            return [self._proof(block.index, delta.signature)]
        if delta.citation is not None:
            block.cited.append(delta.citation)
        return []

    def _start(self, message: _Message) -> Iterator[Event]:
        yield Begun(message.id or "", message.model or "")
        if message.model and "claude" not in message.model:
            self._format = UNKNOWN
        usage = self._tally.take(message.usage)
        if usage is not None:
            yield Told(replace(usage, is_estimated=True))  # its completion has only begun

    def _begin(self, at: int, block: _Block) -> list[Event]:
        """What upstreams give whole at the start, ours leaves to deltas."""
        if block.type == "text":
            opened = self._open[at] = _Open("text", begin=self._characters, cited=block.citations or [])
            return self._delta(opened, _Delta(text=block.text or ""))
        if block.type in ("thinking", "redacted_thinking"):
            opened = self._open[at] = _Open("thought", self._thoughts)
            self._thoughts += 1
            return self._thought(opened.index, block)
        if block.type != "tool_use":
            return [Acted(block.type)]
        given = b"" if bytes(block.input) in _NOTHING else bytes(block.input)
        if (block.name or "").startswith(ANSWER_TOOL):
            self._open[at] = _Open("answer", at, self._characters, given)
            return []
        index = self._calls
        self._calls += 1
        self._open[at] = _Open("call", index, input=given)
        return [CallBegun(index, block.id or "", block.name or "", block.thought_signature or "")]

    def _thought(self, index: int, block: _Block) -> list[Event]:
        events: list[Event] = []
        if block.thinking:
            events.append(ThoughtDelta(index, block.thinking, format=self._format))
        if block.signature:
            events.append(self._proof(index, block.signature))
        if block.data:
            events.append(self._proof(index, block.data, is_redacted=True))
        return events

    def _proof(self, index: int, text: str, *, is_redacted: bool = False) -> ThoughtDelta:
        found = unseal(text, self._format, is_redacted=is_redacted)
        return ThoughtDelta(
            index, signature=found.signature, encrypted=found.encrypted, format=found.format, id=found.id
        )  # fmt: skip

    def _end(self, at: int) -> Iterator[Event]:
        block = self._open.pop(at, None)
        if block is None:
            return
        if block.input:
            yield from self._delta(block, _Delta(partial_json=block.input.decode()))
        elif block.kind == "answer" and block.begin == self._characters:
            yield from self._delta(block, _Delta(partial_json="{}"))
        for each in block.cited:
            yield Cited(
                each.url or each.source or "", each.title or each.document_title or "", each.cited_text or "",
                block.begin, self._characters,
            )  # fmt: skip

    def _finish(self, delta: _Delta | _Message, usage: Raw) -> Iterator[Event]:
        told = self._tally.take(usage)
        if told is not None:
            yield Told(told)
        native = delta.stop_reason
        if native is None:
            return
        reason = _REASONS.get(native, "stop")
        if reason == "content_filter" and delta.stop_details is not None and delta.stop_details.explanation:
            yield RefusalDelta(delta.stop_details.explanation)
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls else "stop"
        yield Finished(reason, native, delta.stop_sequence)

    def whole(self, message: _Message) -> Iterator[Event]:
        """A JSON answer, block by block."""
        yield from (event for event in self._start(message) if isinstance(event, Begun))
        for at, block in enumerate(message.content or ()):
            yield from self._begin(at, block)
            opened = self._open.get(at)
            if opened is not None and opened.kind == "call" and not opened.input:
                yield CallDelta(opened.index, "{}")
            yield from self._end(at)
        yield from self._finish(message, message.usage)


def read_answer(body: bytes, *, is_cost_reported: bool = False) -> list[Event]:
    """Raises BadAnswer."""
    message = _decoded(body)
    if message.type == "error" or bytes(message.error) != b"null":
        return [read_problem(message.error)]
    if message.content is None:
        raise BadAnswer("the answer has no content")
    return list(Reader(is_cost_reported=is_cost_reported).whole(message))


def _read(data: bytes) -> _Event:
    """Kinds that are not known may have any members."""
    try:
        return _event.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        whole = surrogates.mended(data)
        if whole is not None:
            return _read(whole)
        if isinstance(error, msgspec.ValidationError) and not _is_known(data):
            return _Event()
        if isinstance(error, msgspec.ValidationError) and (fitting := lenient.fitting(_event, data)) is not None:
            return _event.decode(fitting)
        raise BadAnswer("an event of the answer cannot be read") from error


def _is_known(data: bytes) -> bool:
    try:
        return _decode_kind(data).type in _KNOWN
    except msgspec.MsgspecError:
        return True


def _decoded(body: bytes) -> _Message:
    try:
        return lenient.decoded(_answer, body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        whole = surrogates.mended(body)
        if whole is not None:
            return _decoded(whole)
        raise BadAnswer("the answer cannot be read as a message") from error

"""Answers of Converse as events, and of ConverseStream: https://docs.aws.amazon.com/bedrock/latest/APIReference/

An event of a stream is named in its frame (dialects/eventstream.py); an exception's name begins with ":exception:".
"""

import base64
from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.codes import NO_CODE, code_of
from kilo_gateway.dialects.converse.tools import OUTPUT_PREFIX
from kilo_gateway.dialects.converse.turns import FORMAT
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Failed,
    Finished,
    FinishReason,
    TextDelta,
    ThoughtDelta,
    Told,
)

_EXCEPTION = b":exception:"
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length",
    "model_context_window_exceeded": "length", "guardrail_intervened": "content_filter", "refusal": "content_filter",
    "content_filtered": "content_filter", "malformed_model_output": "error", "malformed_tool_use": "error",
}  # fmt: skip
_STATUSES = {
    "internalserverexception": 500, "modelstreamerrorexception": 424, "validationexception": 400,
    "throttlingexception": 429, "serviceunavailableexception": 503, "modeltimeoutexception": 408,
    "modelerrorexception": 424, "accessdeniedexception": 403, "resourcenotfoundexception": 404,
    "modelnotreadyexception": 429, "servicequotaexceededexception": 400,
}  # fmt: skip
_MOST = 10**9
_ABSENT = Raw()


class _Use(Struct, gc=False):
    toolUseId: str = ""
    name: str = ""
    type: str = ""
    input: Raw = _ABSENT


class _UseDelta(Struct, gc=False):
    input: str = ""


class _ReasoningText(Struct, gc=False):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct):
    """A delta has text and signature itself; a block has them in reasoningText."""

    text: str = ""
    signature: str = ""
    redactedContent: str = ""
    reasoningText: _ReasoningText | None = None


class _Piece(Struct, gc=False):
    text: str = ""


class _Web(Struct, gc=False):
    url: str | None = None


class _Location(Struct):
    web: _Web | None = None


class _Citation(Struct):
    title: str | None = None
    source: str | None = None
    sourceContent: list[_Piece] | None = None
    location: _Location | None = None


class _CitedText(Struct):
    content: list[_Piece] | None = None
    citations: list[_Citation] | None = None


class _Source(Struct, gc=False):
    bytes: str = ""


class _Image(Struct):
    format: str = "png"
    source: _Source | None = None


class _Delta(Struct):
    text: str | None = None
    toolUse: _UseDelta | None = None
    reasoningContent: _Reasoning | None = None
    citation: _Citation | None = None
    image: _Image | None = None


class _BlockDelta(Struct):
    delta: _Delta
    contentBlockIndex: int = 0


class _Start(Struct):
    toolUse: _Use | None = None
    image: _Image | None = None


class _BlockStart(Struct):
    start: _Start
    contentBlockIndex: int = 0


class _BlockStop(Struct, gc=False):
    contentBlockIndex: int = 0


class _Stop(Struct):
    stopReason: str = ""
    additionalModelResponseFields: Raw = _ABSENT


class _Metadata(Struct):
    usage: Raw = _ABSENT


class _Block(Struct):
    text: str | None = None
    toolUse: _Use | None = None
    reasoningContent: _Reasoning | None = None
    citationsContent: _CitedText | None = None
    image: _Image | None = None


class _Message(Struct):
    content: list[_Block] | None = None


class _Out(Struct):
    message: _Message | None = None


class _Answer(Struct):
    output: _Out | None = None
    stopReason: str = ""
    usage: Raw = _ABSENT
    additionalModelResponseFields: Raw = _ABSENT


class _CacheDetail(Struct, gc=False):
    ttl: str = ""
    inputTokens: int = 0


class _Usage(Struct):
    inputTokens: int
    outputTokens: int
    cacheReadInputTokens: int | None = None
    cacheWriteInputTokens: int | None = None
    cacheDetails: list[_CacheDetail] | None = None


class _StopSequence(Struct, gc=False):
    stop_sequence: str | None = None


class _Error(Struct):
    message: str | None = None
    Message: str | None = None
    type: str | None = msgspec.field(default=None, name="__type")
    originalStatusCode: int | None = None
    originalMessage: str | None = None


_decode_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_start = msgspec.json.Decoder(_BlockStart).decode
_decode_block_stop = msgspec.json.Decoder(_BlockStop).decode
_decode_stop = msgspec.json.Decoder(_Stop).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_sequence = msgspec.json.Decoder(_StopSequence | None).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Reader:
    """Over with the metadata behind the stop, or with an exception."""

    def __init__(self) -> None:
        self.is_done = False
        self._is_stopped = False
        self._calls: dict[int, int] = {}  # block -> call
        self._thoughts: dict[int, int] = {}  # block -> thought
        self._answers: set[int] = set()  # blocks whose arguments are the answer
        self._images: dict[int, tuple[str, list[bytes]]] = {}

    def read(self, name: bytes, data: bytes) -> list[Event]:
        try:
            if name == b"contentBlockDelta":
                block = _decode_delta(data)
                text = block.delta.text
                return [TextDelta(text)] if text else self._delta(block.contentBlockIndex, block.delta)
            return self._other(name, data)
        except _UNREADABLE as error:
            raise BadAnswer(f"the event {name[:40].decode('latin-1')} cannot be read") from error

    def _other(self, name: bytes, data: bytes) -> list[Event]:
        if name == b"contentBlockStart":
            start = _decode_start(data)
            return self._start(start.contentBlockIndex, start.start)
        if name == b"contentBlockStop":
            return self._end(_decode_block_stop(data).contentBlockIndex)
        if name == b"messageStart":
            return [Begun()]
        if name == b"messageStop":
            self._is_stopped = True
            return [_finished(_decode_stop(data), bool(self._calls))]
        if name == b"metadata":
            self.is_done = self._is_stopped
            usage = _usage(_decode_metadata(data).usage)
            return [] if usage is None else [Told(usage)]
        if name.startswith(_EXCEPTION):
            self.is_done = True
            return [_exception(name.removeprefix(_EXCEPTION).decode("latin-1"), data)]
        return []

    def _start(self, index: int, start: _Start) -> list[Event]:
        use = start.toolUse
        if use is not None and use.name.startswith(OUTPUT_PREFIX):
            self._answers.add(index)
        elif use is not None and use.type != "server_tool_use":
            number = self._calls[index] = len(self._calls)
            return [CallBegun(number, use.toolUseId, use.name)]
        elif use is not None:
            return [Acted(use.name)]
        elif start.image is not None:
            self._images[index] = (start.image.format, [])
        return []

    def _delta(self, index: int, delta: _Delta) -> list[Event]:
        if delta.toolUse is not None:
            arguments = delta.toolUse.input
            if arguments and index in self._calls:
                return [CallDelta(self._calls[index], arguments)]
            return [TextDelta(arguments, index)] if arguments and index in self._answers else []
        if delta.reasoningContent is not None:
            number = self._thoughts.setdefault(index, len(self._thoughts))
            return _thought(number, delta.reasoningContent)
        if delta.citation is not None:
            return [_cited(delta.citation)]
        if delta.image is not None and delta.image.source is not None and index in self._images:
            self._images[index][1].append(_bytes(delta.image.source.bytes))
        return []

    def _end(self, index: int) -> list[Event]:
        form, pieces = self._images.pop(index, ("", []))
        return [_drawn(form, base64.b64encode(b"".join(pieces)).decode())] if pieces else []


def read_answer(body: bytes) -> list[Event]:
    """Raises BadAnswer."""
    try:
        answer = _decode_answer(body)
    except _UNREADABLE as error:
        raise BadAnswer("the answer cannot be read as one of Converse") from error
    if answer.output is None or answer.output.message is None:
        failed = _error_in(body, None)
        if failed is None:
            raise BadAnswer("the answer has no message")
        return [failed]
    reading = _Reading()
    events: list[Event] = [Begun(), *reading.events(answer.output.message)]
    usage = _usage(answer.usage)
    if usage is not None:
        events.append(Told(usage))
    stop = _Stop(answer.stopReason, answer.additionalModelResponseFields)
    events.append(_finished(stop, reading.calls > 0))
    return events


def read_error(body: bytes, status: int) -> Failed:
    failed = _error_in(body, status)
    if failed is not None:
        return failed
    text = body[:500].decode("utf-8", "replace").strip()
    return Failed(text or f"status {status}", NO_CODE, status)


class _Reading:
    """Of a whole message."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers = 0
        self._thoughts = 0
        self._characters = 0  # of text so far

    def events(self, message: _Message) -> Iterator[Event]:
        for block in message.content or ():
            if block.text:
                yield self._text(block.text)
            elif block.toolUse is not None:
                yield from self._use(block.toolUse)
            elif block.reasoningContent is not None:
                yield from _thought(self._thoughts, block.reasoningContent)
                self._thoughts += 1
            elif block.citationsContent is not None:
                yield from self._cited(block.citationsContent)
            elif block.image is not None and block.image.source is not None:
                yield _drawn(block.image.format, block.image.source.bytes)

    def _text(self, text: str, answer: int = -1) -> TextDelta:
        self._characters += len(text)
        return TextDelta(text, answer)

    def _use(self, use: _Use) -> Iterator[Event]:
        arguments = bytes(use.input).decode()
        arguments = "{}" if arguments in ("", "null") else arguments
        if use.name.startswith(OUTPUT_PREFIX):
            yield self._text(arguments, self.answers)
            self.answers += 1
        elif use.type != "server_tool_use":
            yield CallBegun(self.calls, use.toolUseId, use.name)
            yield CallDelta(self.calls, arguments)
            self.calls += 1
        else:
            yield Acted(use.name)

    def _cited(self, cited: _CitedText) -> Iterator[Event]:
        begin = self._characters
        text = "".join(piece.text for piece in cited.content or ())
        if text:
            yield self._text(text)
        for citation in cited.citations or ():
            yield _cited(citation, begin, self._characters)


def _thought(number: int, said: _Reasoning) -> list[Event]:
    """Only Claude signs and encrypts, so what is signed is Claude's."""
    text, signature = said.text, said.signature
    if said.reasoningText is not None:
        text, signature = said.reasoningText.text, said.reasoningText.signature or ""
    if said.redactedContent:
        try:
            encrypted = base64.b64decode(said.redactedContent, validate=True).decode()
        except ValueError:
            return [ThoughtDelta(number, encrypted=said.redactedContent, format="unknown")]
        return [ThoughtDelta(number, encrypted=encrypted, format=FORMAT)]
    if signature:
        return [ThoughtDelta(number, text, signature=signature, format=FORMAT)]
    return [ThoughtDelta(number, text)] if text else []


def _cited(citation: _Citation, begin: int = -1, end: int = -1) -> Cited:
    web = citation.location.web if citation.location is not None else None
    text = "".join(piece.text for piece in citation.sourceContent or ())
    return Cited((web.url if web is not None else None) or citation.source or "", citation.title or "", text, begin, end)


def _drawn(form: str, data: str) -> Drawn:
    return Drawn(f"data:image/{form};base64,{data}")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise BadAnswer("an image cannot be read") from error


def _finished(stop: _Stop, has_calls: bool) -> Finished:
    reason = _REASONS.get(stop.stopReason, "stop")
    if reason == "stop" and has_calls:
        reason = "tool_calls"
    elif reason == "tool_calls" and not has_calls:
        reason = "stop"  # it was the answer, or a tool of the provider's
    sequence = None
    if stop.additionalModelResponseFields:
        try:
            found = _decode_sequence(stop.additionalModelResponseFields)
        except msgspec.MsgspecError:
            found = None
        sequence = found.stop_sequence if found is not None else None
    return Finished(reason, stop.stopReason, sequence)


def _usage(raw: Raw) -> Usage | None:
    """Input tokens come without those read from and written to the cache."""
    try:
        told = _decode_usage(raw)
    except msgspec.MsgspecError:
        return None
    read, written = told.cacheReadInputTokens or 0, told.cacheWriteInputTokens or 0
    hour = sum(detail.inputTokens for detail in told.cacheDetails or () if detail.ttl == "1h")
    prompt = told.inputTokens + read + written
    if not all(0 <= number <= _MOST for number in (told.inputTokens, told.outputTokens, read, written, prompt)):
        return None
    return Usage(
        prompt, told.outputTokens, cache_read_tokens=read, cache_write_tokens=written,
        cache_write_1h_tokens=hour if 0 <= hour <= written else 0,
    )  # fmt: skip


def _exception(kind: str, data: bytes) -> Failed:
    """Its own status, or that of the model behind it."""
    try:
        error = _decode_error(data)
    except _UNREADABLE:
        error = _Error()
    status = _STATUSES.get(kind.lower(), 500)
    if error.originalStatusCode is not None and 400 <= error.originalStatusCode < 600:
        status = error.originalStatusCode
    message = error.message or error.Message or error.originalMessage or kind or "the stream broke off"
    return Failed(message, code_of(kind), status)


def _error_in(body: bytes, status: int | None) -> Failed | None:
    """Where there is a message or a type; the type says the status where the answer's own is a success."""
    try:
        error = _decode_error(body)
    except _UNREADABLE:
        return None
    kind = (error.type or "").rpartition("#")[2]
    message = error.message or error.Message
    if not message and not kind:
        return None
    if status is None:
        status = _STATUSES.get(kind.lower(), 500)
    return Failed(message or kind, code_of(kind), status)

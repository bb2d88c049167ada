"""An answer of generateContent or streamGenerateContent as Events. https://ai.google.dev/api/generate-content"""

import re
import zlib
from datetime import datetime

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from kilo_gateway.core import surrogates
from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.dialects import lenient
from kilo_gateway.dialects.codes import NO_CODE, code_of
from kilo_gateway.dialects.gemini.signatures import FORMAT
from kilo_gateway.dialects.gemini.sources import Said, grounded, quoted
from kilo_gateway.dialects.gemini.usage import read_usage
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
    Spoken,
    TextDelta,
    ThoughtDelta,
    Told,
)

_ABSENT = Raw(b"null")
_not_of_ids = re.compile(r"[^A-Za-z0-9_-]").sub
_MAX_ID = 40  # of an answer, in ids that are made of it
_REASONS: dict[str, FinishReason] = {
    "STOP": "stop", "FINISH_REASON_UNSPECIFIED": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length",
    "SAFETY": "content_filter", "RECITATION": "content_filter", "LANGUAGE": "content_filter", "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter", "SPII": "content_filter", "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter", "IMAGE_PROHIBITED_CONTENT": "content_filter", "IMAGE_RECITATION": "content_filter",
}  # fmt: skip
_WITH_CALLS = ("STOP", "FINISH_REASON_UNSPECIFIED", "UNEXPECTED_TOOL_CALL")  # the last: of a tool that was not declared
_SOUNDS = {"mpeg": "mp3", "mp3": "mp3", "wav": "wav", "x-wav": "wav", "l16": "pcm16", "pcm": "pcm16"}


class _Call(Struct):
    name: str = ""
    id: str | None = None
    args: Raw = _ABSENT


class _Blob(Struct, rename="camel"):
    mime_type: str = ""
    data: str = ""


class _Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None
    inline_data: _Blob | None = None
    executable_code: Raw = _ABSENT
    code_execution_result: Raw = _ABSENT
    tool_call: Raw = _ABSENT
    tool_response: Raw = _ABSENT


class _Content(Struct):
    parts: list[_Part] | None = None


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    grounding_metadata: Raw = _ABSENT
    citation_metadata: Raw = _ABSENT


class _Feedback(Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: Raw = _ABSENT
    prompt_feedback: _Feedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: Raw = _ABSENT


_one = msgspec.json.Decoder(_Chunk)
_many = msgspec.json.Decoder(list[_Chunk])
_ACTS = ("executable_code", "code_execution_result", "tool_call", "tool_response")


class Reader:
    """A stream, or a whole answer. Nothing in it says that it is over: some tell a reason with every chunk, and usage and

    sources may follow it. So it is whole where a reason was told and its connection ends as it should; `is_done` only
    when it has failed.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._has_begun = False
        self._is_thinking = False
        self._thoughts = 0
        self._calls = 0
        self._id = ""
        self._said = Said()
        self._is_text = False
        self._cited: set[Cited] = set()
        self._finished: Finished | None = None

    def read(self, name: bytes, data: bytes) -> list[Event]:
        """`name` is always empty."""
        events: list[Event] = []
        for chunk in _chunks(data):
            self._read(chunk, data, events)
        return events

    def _read(self, chunk: _Chunk, data: bytes, events: list[Event]) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._id = chunk.response_id or ""
            events.append(Begun(self._id, chunk.model_version or "", _seconds(chunk.create_time)))
        if chunk.error is not _ABSENT and bytes(chunk.error) != b"null":
            self.is_done = True
            events.append(_failed(chunk.error, None))
            return
        candidate = next((each for each in chunk.candidates or () if not each.index), None)
        finished = None
        if candidate is not None:
            if candidate.content is not None:
                for part in candidate.content.parts or ():
                    self._add(part, data, events)
            if candidate.grounding_metadata is not _ABSENT:
                self._cite(grounded(candidate.grounding_metadata, self._said), events)
            if candidate.citation_metadata is not _ABSENT:
                self._cite(quoted(candidate.citation_metadata, self._said), events)
            finished = self._finish(candidate.finish_reason) if candidate.finish_reason else None
        elif chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            finished = Finished("content_filter", chunk.prompt_feedback.block_reason)
        if chunk.usage_metadata is not _ABSENT and (usage := read_usage(chunk.usage_metadata)) is not None:
            is_half = not usage.completion_tokens and finished is None and self._finished is None
            events.append(Told(replace(usage, is_estimated=True) if is_half else usage))
        if finished is not None and finished != self._finished:  # some say STOP with every chunk
            self._finished = finished
            events.append(finished)

    def _add(self, part: _Part, data: bytes, events: list[Event]) -> None:
        if part.text is not None:
            self._say(part, part.text, events)
            return
        self._is_text = False
        self._said.starts.append(None)
        if part.thought and part.function_call is None:  # a draft of an image
            return
        if part.function_call is not None:
            self._call(part.function_call, part.thought_signature or "", data, events)
        elif part.inline_data is not None:
            self._show(part.inline_data, events)
            if part.thought_signature:
                self._sign(part.thought_signature, events)
        else:
            events += (Acted(name) for name in _ACTS if getattr(part, name) is not _ABSENT)

    def _say(self, part: _Part, text: str, events: list[Event]) -> None:
        signature = part.thought_signature or ""
        if part.thought:
            if not self._is_thinking:
                self._said.starts.append(None)
            self._is_text, self._is_thinking = False, True
            events.append(ThoughtDelta(self._thoughts, text, signature=signature, format=FORMAT))
            if signature:
                self._end_thought()
            return
        if self._is_thinking:
            self._end_thought()
        if text:
            said = self._said
            if not self._is_text:  # pieces of one part come in many chunks
                self._is_text = True
                said.starts.append(said.size)
            said.pieces.append(text)
            said.size += len(text) if text.isascii() else len(text.encode(errors="replace"))
            events.append(TextDelta(text))
        if signature:
            self._sign(signature, events)

    def _sign(self, signature: str, events: list[Event]) -> None:
        """The signature of a text or image, as a thought of its own behind it: asking puts it back there."""
        events.append(ThoughtDelta(self._thoughts, signature=signature, format=FORMAT))
        self._thoughts += 1

    def _end_thought(self) -> None:
        self._is_thinking = False
        self._thoughts += 1

    def _call(self, call: _Call, signature: str, data: bytes, events: list[Event]) -> None:
        if self._is_thinking:
            self._end_thought()
        id = call.id or self._made_id(call, data)
        events.append(CallBegun(self._calls, id, call.name, signature))
        arguments = bytes(call.args).decode()
        events.append(CallDelta(self._calls, arguments if arguments != "null" else "{}"))
        self._calls += 1

    def _made_id(self, call: _Call, data: bytes) -> str:
        """Another for each call of a conversation: some proxies give all answers one id, or none."""
        known = _not_of_ids("", self._id)[:_MAX_ID]
        seen = zlib.crc32(call.args, zlib.crc32(call.name.encode())) if known else zlib.crc32(data)
        return f"call_{known}{'_' if known else ''}{seen:08x}_{self._calls}"

    def _show(self, blob: _Blob, events: list[Event]) -> None:
        if self._is_thinking:
            self._end_thought()
        kind, _, rest = blob.mime_type.lower().partition("/")
        if kind == "image":
            events.append(Drawn(f"data:{blob.mime_type};base64,{blob.data}"))
        elif kind == "audio":
            name = rest.split(";", 1)[0]
            events.append(Spoken(blob.data, format=_SOUNDS.get(name, name)))

    def _cite(self, sources: list[Cited], events: list[Event]) -> None:
        """Later chunks tell again what earlier ones told."""
        events += (each for each in dict.fromkeys(sources) if each not in self._cited)
        self._cited.update(sources)

    def ended(self) -> Finished:
        return self._finish("FINISH_REASON_UNSPECIFIED")

    def _finish(self, told: str) -> Finished:
        if self._calls and told in _WITH_CALLS:
            return Finished("tool_calls", told)
        return Finished(_REASONS.get(told, "error"), told)


def read_answer(body: bytes) -> list[Event]:
    """A JSON answer: all events at once, Finished last."""
    reader = Reader()
    events = reader.read(b"", body)
    if not reader.is_done and not any(isinstance(each, Finished) for each in events):
        if all(isinstance(each, Begun | Told) for each in events):
            raise BadAnswer("The answer has no candidate that has ended.")
        events.append(reader.ended())  # it is whole, whatever it forgot
    return sorted(events, key=lambda each: isinstance(each, Finished))


def read_error(body: bytes, status: int) -> Failed:
    """`{"error": ...}`, by itself or in an array."""
    try:
        told = next((each.error for each in _chunks(body) if bytes(each.error) != b"null"), _ABSENT)
    except BadAnswer:
        told = _ABSENT
    return _failed(told, status)


def _chunks(data: bytes) -> list[_Chunk]:
    """Without `alt=sse` a stream is one array, and so are its errors."""
    try:
        return lenient.decoded(_many, data) if data.lstrip()[:1] == b"[" else [lenient.decoded(_one, data)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if (whole := surrogates.mended(data)) is not None:
            return _chunks(whole)
        raise BadAnswer(f"The upstream sent what cannot be read: {error}.") from error


class _Error(Struct):
    message: str | None = None
    code: int | str | None = None
    status: str | None = None


_decode_error = msgspec.json.Decoder(_Error | str).decode


def _failed(raw: Raw, status: int | None) -> Failed:
    """`status`: of the HTTP answer; None: it is one of the stream's."""
    try:
        error = _decode_error(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Failed("The upstream reported an error that cannot be read.", NO_CODE, status)
    if isinstance(error, str):
        return Failed(error, NO_CODE, status)
    code = code_of(error.status, error.code)
    number = error.code if isinstance(error.code, int) and 100 <= error.code <= 599 else None
    return Failed(error.message or "The upstream reported an error.", code, status if status is not None else number)


def _seconds(time: str | None) -> int:
    """Unix seconds of an RFC 3339 time; 0: unknown."""
    try:
        return int(datetime.fromisoformat(time).timestamp()) if time else 0
    except (ValueError, OverflowError):
        return 0

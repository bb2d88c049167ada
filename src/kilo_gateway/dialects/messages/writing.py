"""Answers to callers who speak this dialect, from events. https://docs.anthropic.com/en/docs/build-with-claude/streaming"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    Answer,
    AnswerHead,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Finished,
    RefusalDelta,
    Spoken,
    TextDelta,
    ThoughtDelta,
)
from kilo_gateway.dialects.hub.asked import Text, Thought, ToolCall
from kilo_gateway.dialects.messages import answered
from kilo_gateway.dialects.messages.faults import type_of
from kilo_gateway.dialects.messages.signatures import seal
from kilo_gateway.dialects.messages.usage import usage_members

Json = dict[str, object]
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_encode = msgspec.json.Encoder().encode
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b}}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class Writer:
    """Blocks come one behind the other. A call that begins while another's arguments are not whole waits for them."""

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._has_begun = False
        self._kind = ""  # of the open block: text, thought, call
        self._at = -1  # the last block's index
        self._text_at = -1  # the last text's
        self._has_cited = False  # in the open block
        self._thought = _Thought(-1)
        self._call = -1
        self._call_at: dict[int, int] = {}  # a call's index -> its block's
        self._arguments: list[str] = []
        self._waiting: list[CallBegun | CallDelta] = []
        self._refusal: list[str] = []
        self._finished = Finished("stop")

    def write(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        if not self._has_begun:
            out.append(self._start())
        for event in events:
            if type(event) is TextDelta:
                out.append(self._text(event.text))
            elif isinstance(event, CallBegun | CallDelta):
                out += self._calls(event)
            elif isinstance(event, ThoughtDelta):
                out += self._think(event)
            else:
                out += self._beside(event)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        return error_events(error, self._head)

    def end(self, usage: Usage, cost_usd: float | None) -> bytes:
        start = b"" if self._has_begun else self._start()
        delta = answered.ended(self._finished, "".join(self._refusal))
        last = _event("message_delta", delta=delta, usage=usage_members(usage, cost_usd))
        return b"%b%b%b%b" % (start, self._close(), last, _MESSAGE_STOP)

    def _start(self) -> bytes:
        self._has_begun = True
        nothing: Json = {"input_tokens": 0, "output_tokens": 0}
        return _event("message_start", message=answered.message(self._head, [], answered.RUNNING, nothing))

    def _beside(self, event: Event) -> Iterator[bytes]:
        match event:
            case Cited():
                yield self._cite(event)
            case Finished():
                self._finished = event
            case RefusalDelta(text):
                self._refusal.append(text)
            case Drawn(url):
                yield self._text(answered.picture(url))
            case Spoken(transcript=transcript) if transcript:
                yield self._text(transcript)

    def _text(self, text: str) -> bytes:
        before = b"" if self._kind == "text" and not self._has_cited else self._open("text", answered.TEXT)
        self._text_at = self._at
        return before + _DELTA % (self._at, b'"text_delta","text":' + _encode(text))

    def _cite(self, cited: Cited) -> bytes:
        """Sources that come behind other blocks belong to the last text; an empty text could not be sent back."""
        before = self._open("text", answered.TEXT) if self._text_at < 0 else b""
        if before:
            self._text_at = self._at
        self._has_cited = self._kind == "text"
        return before + _DELTA % (self._text_at, b'"citations_delta","citation":' + _encode(answered.citation(cited)))

    def _think(self, event: ThoughtDelta) -> Iterator[bytes]:
        if self._kind != "thought" or self._thought.index != event.index:
            yield self._close()
            self._kind, self._thought = "thought", _Thought(event.index)
        thought = self._thought
        thought.take(event)
        text = event.text or event.summary
        if text:
            if not thought.is_open:
                thought.is_open = True
                yield self._begin(answered.THINKING)
            yield _DELTA % (self._at, b'"thinking_delta","thinking":' + _encode(text))

    def _calls(self, event: CallBegun | CallDelta) -> Iterator[bytes]:
        is_own = self._kind != "call" or event.index == self._call
        if is_own or (isinstance(event, CallDelta) and event.index in self._call_at):
            yield self._argue(event)
        else:
            self._waiting.append(event)
        if self._waiting and _is_whole(self._arguments):
            yield from self._release()

    def _release(self) -> Iterator[bytes]:
        """The open call is whole; those that waited have their turn."""
        waiting, self._waiting = self._waiting, []
        first = waiting[0].index
        yield self._argue(waiting[0])
        for event in waiting[1:]:
            if event.index == first:
                yield self._argue(event)
            else:
                self._waiting.append(event)
        if self._waiting and _is_whole(self._arguments):
            yield from self._release()

    def _argue(self, event: CallBegun | CallDelta) -> bytes:
        if isinstance(event, CallBegun):
            call = ToolCall(event.id, event.name, "", event.signature, origin=event.origin)
            opened = self._open("call", answered.tool_use(call))
            self._call, self._arguments = event.index, []
            self._call_at[event.index] = self._at
            return opened
        if self._kind == "call" and event.index == self._call:
            self._arguments.append(event.arguments)
        at = self._call_at.get(event.index, self._at)
        return _DELTA % (at, b'"input_json_delta","partial_json":' + _encode(event.arguments))

    def _open(self, kind: str, block: Json) -> bytes:
        before = self._close()
        self._kind, self._has_cited = kind, False
        return before + self._begin(block)

    def _begin(self, block: Json) -> bytes:
        self._at += 1
        return _event("content_block_start", index=self._at, content_block=block)

    def _close(self) -> bytes:
        if self._kind == "thought":
            return self._close_thought()
        if not self._kind:
            return b""
        self._kind, stop = "", _STOP % self._at
        while self._waiting:  # nothing will make the calls before them whole
            stop += b"".join(self._release()) + _STOP % self._at
            self._kind = ""
        return stop

    def _close_thought(self) -> bytes:
        """What proves a thought is known at its end."""
        self._kind = ""
        thought = self._thought.whole()
        if self._thought.is_open:
            signed = _DELTA % (self._at, b'"signature_delta","signature":' + _encode(seal(thought)))
            return signed + _STOP % self._at
        return b"".join(self._begin(block) + _STOP % self._at for block in answered.thoughts(thought))


class _Thought:
    """One that is being sent."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.is_open = False
        self._known: dict[str, str] = {}

    def take(self, event: ThoughtDelta) -> None:
        names = ("signature", "encrypted", "format", "id", "origin")
        self._known |= {name: value for name in names if (value := getattr(event, name))}

    def whole(self) -> Thought:
        return msgspec.convert(self._known, Thought)


def write_answer(answer: Answer, head: AnswerHead, usage: Usage, cost_usd: float | None) -> bytes:
    finished = answered.ended(answer.finished or Finished("stop"), answer.refusal)
    return _encode(answered.message(head, list(_content(answer)), finished, usage_members(usage, cost_usd)))


def _content(answer: Answer) -> Iterator[Json]:
    texts = answered.Texts(answer)
    for block in answer.blocks:
        match block:
            case Text(text):
                yield from texts.split(text)
            case Thought():
                yield from answered.thoughts(block)
            case ToolCall():
                yield answered.tool_use(block, _input(block.arguments))
            case Drawn(url):
                yield {"type": "text", "text": answered.picture(url)}
    yield from texts.rest()
    if answer.spoken is not None and answer.spoken.transcript:
        yield {"type": "text", "text": answer.spoken.transcript}


def _input(arguments: str) -> object:
    """It has to be an object; what is none is put into one."""
    return Raw(arguments.encode()) if _is_whole([arguments]) else {"arguments": arguments} if arguments.strip() else {}


def write_count(tokens: int) -> bytes:
    """An answer to count_tokens."""
    return b'{"input_tokens":%d}' % tokens


def error_body(error: GatewayError) -> bytes:
    return _encode({"type": "error", "error": _error_object(error), "request_id": error.metadata.get("request_id")})


def error_events(error: GatewayError, head: AnswerHead) -> bytes:
    """How a stream that has begun is ended."""
    return _event("error", error=_error_object(error), request_id=head.id or None)


def _error_object(error: GatewayError) -> Json:
    return {"type": type_of(error.status), "message": str(error), "code": error.code, "metadata": error.metadata}


def _event(kind: str, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind} | members))


def _is_whole(arguments: list[str]) -> bool:
    """Whether they are an object of JSON."""
    try:
        _decode_object("".join(arguments))
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode

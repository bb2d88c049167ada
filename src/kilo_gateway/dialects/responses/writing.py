"""Answers to callers who speak Responses, from events."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

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
from kilo_gateway.dialects.hub.asked import Text, Thought
from kilo_gateway.dialects.responses import envelope
from kilo_gateway.dialects.responses.items import (
    Call,
    Drawing,
    FreeformCall,
    Item,
    Json,
    Message,
    Reasoning,
    Said,
    SignedCall,
    Strand,
)

_I = TypeVar("_I", bound=Item)
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_FAILED = {"code": "server_error", "message": "The upstream ended its answer with an error."}
_PREFIXES = {
    "message": "msg", "reasoning": envelope.OWN_ID, "function_call": "fc", "custom_tool_call": "ctc",
    "image_generation_call": "ig",
}  # fmt: skip
_plain = re.compile(r"[^A-Za-z0-9]+").sub
PING = b": KILO PROCESSING\n\n"
_encode = msgspec.json.Encoder().encode


_NUMBERS = re.compile(rb'"sequence_number"[ ]?:[ ]?(\d{1,9})').findall


class Writer:
    """Calls stay open until a thought begins, or the end: their pieces may come by turns. Items close in their order."""

    def __init__(self, head: AnswerHead, number: int = 0) -> None:
        self._head = head
        self._suffix = _plain("", head.id)[-48:]
        self._number = number  # of the next event
        self._items: list[Item] = []
        self._open_items: list[Item] = []  # and perhaps some that are closed
        self._ids: set[str] = set()
        self._message: Message | None = None  # the last one
        self._thoughts: dict[int, Reasoning] = {}
        self._calls: dict[int, Call] = {}
        self._text: Strand | None = None  # open, and last
        self._said = 0  # characters of text
        self._cited: list[Cited] = []  # before there is a text
        self._finished: Finished | None = None

    def write(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if not self._number:
                out.append(self._begin())
            if type(event) is TextDelta:
                out.append(self._say(event.text))
            elif type(event) is ThoughtDelta:
                out.append(self._think(event))
            elif type(event) is CallDelta:
                out.append(self._argue(event))
            else:
                out.append(self._write_rare(event))
        return b"".join(out)

    def end(self, usage: Usage, cost_usd: float | None) -> bytes:
        out = b"" if self._number else self._begin()
        closed, response = self._ended(usage, cost_usd)
        return out + closed + self._event((f"response.{response['status']}", {"response": response}))

    def fail(self, error: GatewayError) -> bytes:
        """The end of a stream that broke off: its number is the next one, and what was said stands in it."""
        output = [item.whole(item.status) for item in self._items]
        response = _response(self._head, "failed", output) | {"error": _failure(error)}
        return self._event(("response.failed", {"response": response}))

    def whole(self, usage: Usage, cost_usd: float | None) -> Json:
        """The response object of an answer that is not streamed."""
        return self._ended(usage, cost_usd)[1]

    def _ended(self, usage: Usage, cost_usd: float | None) -> tuple[bytes, Json]:
        finished = self._finished or Finished("stop")
        reason = _INCOMPLETE.get(finished.reason)
        status = "failed" if finished.reason == "error" else "incomplete" if reason else "completed"
        last = "incomplete" if status != "completed" else "completed"
        closed = self._close_all(last)
        for cited in self._cited:
            if self._message is not None:
                self._message.cite(cited)
        response = _response(self._head, status, [item.whole(item.status) for item in self._items])
        response["incomplete_details"] = {"reason": reason} if reason else None
        response["usage"] = usage_members(usage, cost_usd)
        if status == "failed":
            response["error"] = _FAILED
        return closed, response

    def _begin(self) -> bytes:
        response = _response(self._head, "in_progress", [])
        return self._events([("response.created", {"response": response}), ("response.in_progress", {"response": response})])

    def _event(self, said: Said) -> bytes:
        kind, members = said
        data = _encode({"type": kind} | members | {"sequence_number": self._number})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def _events(self, said: Iterable[Said]) -> bytes:
        return b"".join([self._event(each) for each in said])

    def _delta(self, strand: Strand, text: str) -> bytes:
        strand.pieces.append(text)
        number = self._number
        self._number = number + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (strand.before, _encode(text), number)

    def _say(self, text: str) -> bytes:
        strand = self._text
        self._said += len(text)
        if strand is not None:
            return self._delta(strand, text)
        if not text:
            return b""
        out, message = self._speak(self._said - len(text))
        strand, events = message.strand("output_text")
        out += self._events(events)
        for cited in self._cited:
            out += self._events(message.cite(cited))
        self._cited = []
        self._text = strand
        return out + self._delta(strand, text)

    def _speak(self, began: int) -> tuple[bytes, Message]:
        """The message that is open, else a new one. `began`: where it begins in the whole text."""
        message = self._message
        if message is not None and not message.is_closed:
            return b"", message
        out = self._close_thoughts()
        opened, message = self._open(lambda id, at: Message(id, at, began), "message")
        self._message = message
        return out + opened, message

    def _think(self, event: ThoughtDelta) -> bytes:
        item = self._thoughts.get(event.index)
        out = b""
        if item is None or item.is_closed:
            if not (event.text or event.summary or event.signature or event.encrypted):
                return b""
            out = self._close_all()
            id = event.id if event.id.startswith("rs_") and event.id not in self._ids else ""
            opened, item = self._open(Reasoning, "reasoning", id)
            self._thoughts[event.index] = item
            out += opened
        if event.signature or event.encrypted or event.format or event.id:
            before = item.thought
            item.thought = Thought(
                "", "", event.signature or before.signature, event.encrypted or before.encrypted,
                event.format or before.format, event.id or before.id, event.origin or before.origin,
            )  # fmt: skip
        for kind, text in (("reasoning_summary_text", event.summary), ("reasoning_text", event.text)):
            if text:
                strand, events = item.strand(kind)
                out += self._events(events) + self._delta(strand, text)
        return out

    def _argue(self, event: CallDelta) -> bytes:
        call = self._calls.get(event.index)
        if call is None or call.is_closed or not event.arguments:
            return b""
        if isinstance(call, FreeformCall):
            call.strand.pieces.append(event.arguments)
            return b""
        return self._delta(call.strand, event.arguments)

    def _write_rare(self, event: Event) -> bytes:
        match event:
            case CallBegun():
                return self._call(event)
            case RefusalDelta(text):
                return self._refuse(text)
            case Cited():
                return self._cite(event)
            case Drawn(url):
                return self._draw(url)
            case Spoken(transcript=transcript):
                return self._say(transcript)  # no item carries sound
            case Finished():
                self._finished = event
        return b""

    def _call(self, event: CallBegun) -> bytes:
        out = self._close_thoughts() + self._close_message()
        if event.signature:
            has_open = any(not item.is_closed for item in self._open_items)
            opened, signed = self._open(
                lambda id, at: SignedCall(id, at, event.id, event.signature, event.origin), "reasoning"
            )
            out += opened if has_open else opened + self._events(signed.close("completed"))
        kind = FreeformCall if event.name in self._head.freeform else Call
        namespace, name = self._head.namespaces.get(event.name, ("", event.name))
        opened, call = self._open(lambda id, at: kind(id, at, event.id, name, namespace), kind.kind)
        self._calls[event.index] = call
        return out + opened

    def _refuse(self, text: str) -> bytes:
        out, message = self._speak(self._said)
        strand, events = message.strand("refusal")
        self._text = None
        return out + self._events(events) + self._delta(strand, text)

    def _cite(self, cited: Cited) -> bytes:
        if self._text is None or self._message is None:
            self._cited.append(cited)
            return b""
        return self._events(self._message.cite(cited))

    def _draw(self, url: str) -> bytes:
        if not url.startswith("data:image/"):
            return self._say(f"![image]({url})")
        out = self._close_all()
        opened, drawing = self._open(lambda id, at: Drawing(id, at, url), "image_generation_call")
        return out + opened + self._events(drawing.close("completed"))

    def _open(self, make: Callable[[str, int], _I], kind: str, id: str = "") -> tuple[bytes, _I]:
        at = len(self._items)
        item = make(id or f"{_PREFIXES[kind]}_{self._suffix}_{at}", at)
        self._items.append(item)
        self._open_items.append(item)
        self._ids.add(item.id)
        self._text = None
        return self._events(item.open()), item

    def _close_thoughts(self) -> bytes:
        thoughts = [item for item in self._open_items if isinstance(item, Reasoning) and not item.is_closed]
        return b"".join([self._events(item.close("completed")) for item in thoughts])

    def _close_message(self) -> bytes:
        """And the calls before it, so that items end in their order."""
        message = self._message
        if message is None or message.is_closed:
            return b""
        return self._close_all()

    def _close_all(self, last: str = "completed") -> bytes:
        """`last`: the status of the last item."""
        self._text = None
        items = [item for item in self._open_items if not item.is_closed]
        self._open_items = []
        return b"".join([self._events(item.close(last if item is self._items[-1] else "completed")) for item in items])


def write_answer(answer: Answer, head: AnswerHead, usage: Usage, cost_usd: float | None) -> bytes:
    writer = Writer(head)
    writer.write(_unfolded(answer))
    return _encode(writer.whole(usage, cost_usd))


def _unfolded(answer: Answer) -> Iterator[Event]:
    """A source stands behind the text it is of, or behind the last one."""
    cited, texts = list(answer.cited), sum(isinstance(block, Text) for block in answer.blocks)
    said = thoughts = calls = 0
    for block in answer.blocks:
        if isinstance(block, Text):
            texts, said = texts - 1, said + len(block.text)
            yield TextDelta(block.text)
            of_this = [each for each in cited if not texts or 0 <= each.begin < said]
            cited = [each for each in cited if each not in of_this]
            yield from of_this
        elif isinstance(block, Thought):
            yield ThoughtDelta(
                thoughts, block.text, block.summary, block.signature, block.encrypted, block.format, block.id, block.origin
            )  # fmt: skip
            thoughts += 1
        elif isinstance(block, Drawn):
            yield block
        else:
            yield CallBegun(calls, block.id, block.name, block.signature, block.origin)
            yield CallDelta(calls, block.arguments)
            calls += 1
    if answer.refusal:
        yield RefusalDelta(answer.refusal)
    if answer.spoken is not None:
        yield answer.spoken
    yield from cited
    if answer.finished is not None:
        yield answer.finished


def error_body(error: GatewayError) -> bytes:
    return _encode({"error": {
        "message": str(error), "type": error.kind, "code": error.code, "param": None, "metadata": error.metadata,
    }})  # fmt: skip


def error_events(error: GatewayError, head: AnswerHead) -> bytes:
    """For whoever has no Writer at hand; else Writer.fail, which knows the number and what was said."""
    return Writer(head).fail(error)


def failure_behind(relayed: bytes, error: GatewayError, head: AnswerHead) -> bytes:
    """The end of a stream that was relayed so far: `relayed` is the last of it."""
    numbers = _NUMBERS(relayed)
    return Writer(head, int(numbers[-1]) + 1 if numbers else 0).fail(error)


def usage_members(usage: Usage, cost_usd: float | None) -> Json:
    members: Json = {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }  # fmt: skip
    if usage.is_estimated:
        members["estimated"] = True
    return members | {"cost": cost_usd}


def _failure(error: GatewayError) -> Json:
    return {"code": error.code, "message": str(error), "metadata": error.metadata}


def _response(head: AnswerHead, status: str, output: list[Json]) -> Json:
    """What the caller asked for is not repeated; where a member has to be, it says what holds when nothing was asked."""
    return {
        "id": head.id, "object": "response", "created_at": head.created, "status": status, "background": False,
        "completed_at": None, "error": None, "frequency_penalty": None, "incomplete_details": None, "instructions": None,
        "max_output_tokens": None, "max_tool_calls": None, "model": head.model, "provider": head.provider, "output": output,
        "parallel_tool_calls": True, "presence_penalty": None, "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None}, "service_tier": None, "store": False, "temperature": None,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": None, "truncation": "disabled",
        "usage": None, "user": None, "metadata": {},
    }  # fmt: skip


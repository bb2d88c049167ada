"""Answers to callers who speak chat completions, from events."""

from collections.abc import Iterable

import msgspec

from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.chat.details import Details
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

Json = dict[str, object]
_encode = msgspec.json.Encoder().encode
_CHOICE = (
    b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"provider":%b,'
    b'"choices":[{"index":0,"delta":'
)


class Writer:
    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._before = _CHOICE % (_encode(head.id), head.created, _encode(head.model), _encode(head.provider))
        self._finished: Finished | None = None
        self._has_role = False
        self._details = Details()

    def write(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                out.append(self._chunk(b'{%b"content":%b}' % (self._role(), _encode(event.text))))
            elif type(event) is Finished:
                self._finished = event
            elif delta := _delta(event, self._details):
                out.append(self._chunk(b"{%b%b" % (self._role(), _encode(delta)[1:])))
        return b"".join(out)

    def end(self, usage: Usage, cost_usd: float | None) -> bytes:
        finished = self._finished or Finished("stop")
        last = self._chunk(b"{%b}" % self._role()[:-1], finished)
        told: Json = {
            "id": self._head.id, "object": "chat.completion.chunk", "created": self._head.created, "model": self._head.model,
            "provider": self._head.provider, "choices": [], "usage": usage_members(usage, cost_usd),
        }  # fmt: skip
        return b"%bdata: %b\n\n%b" % (last, _encode(told), openai_chat.DONE)

    def fail(self, error: GatewayError) -> bytes:
        return error_events(error, self._head)

    def _role(self) -> bytes:
        """In the first chunk alone."""
        if self._has_role:
            return b""
        self._has_role = True
        return b'"role":"assistant",'

    def _chunk(self, delta: bytes, finished: Finished | None = None) -> bytes:
        if finished is None:
            return b'%b%b,"finish_reason":null}]}\n\n' % (self._before, delta)
        native = _encode(finished.native or None)
        return b'%b%b,"finish_reason":"%b","native_finish_reason":%b}]}\n\n' % (
            self._before, delta, finished.reason.encode(), native,
        )  # fmt: skip


def write_answer(answer: Answer, head: AnswerHead, usage: Usage, cost_usd: float | None) -> bytes:
    thoughts = [block for block in answer.blocks if isinstance(block, Thought)]
    details = _details(answer)
    calls = [_call(block) for block in answer.blocks if isinstance(block, ToolCall)]
    text = "".join(block.text for block in answer.blocks if isinstance(block, Text))
    images = [_image(block.url, at) for at, block in enumerate(block for block in answer.blocks if isinstance(block, Drawn))]
    finished = answer.finished or Finished("stop")
    nothing = None if calls or answer.refusal else ""
    message: Json = {"role": "assistant", "content": text or nothing, "refusal": answer.refusal or None}
    if thoughts:
        message["reasoning"] = "".join(thought.text or thought.summary for thought in thoughts) or None
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    if images:
        message["images"] = images
    if answer.cited:
        message["annotations"] = [_annotation(each) for each in answer.cited]
    if answer.spoken is not None:
        message["audio"] = _audio(answer.spoken) | {"expires_at": 0}
    choice: Json = {
        "index": 0, "message": message, "logprobs": None, "finish_reason": finished.reason,
        "native_finish_reason": finished.native or None,
    }  # fmt: skip
    return _encode({
        "id": head.id, "object": "chat.completion", "created": head.created, "model": head.model, "provider": head.provider,
        "system_fingerprint": None, "choices": [choice], "usage": usage_members(usage, cost_usd),
    })  # fmt: skip


def error_body(error: GatewayError) -> bytes:
    return openai_chat.error_body(error)


def error_events(error: GatewayError, head: AnswerHead) -> bytes:
    return openai_chat.error_events(error, head.id, head.model, head.created)


def usage_members(usage: Usage, cost_usd: float | None) -> Json:
    members: Json = {
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.input_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.output_audio_tokens,
            "image_tokens": usage.output_image_tokens,
        },
    }  # fmt: skip
    if usage.web_searches:
        members["server_tool_use"] = {"web_search_requests": usage.web_searches}
    if usage.is_estimated:
        members["estimated"] = True
    return members | {"cost": cost_usd}


def _delta(event: Event, details: Details) -> Json:
    match event:
        case ThoughtDelta():
            plain = {"reasoning": text} if (text := event.text or event.summary) else {}
            thought = Thought(event.text, event.summary, event.signature, event.encrypted, event.format, event.id)
            return plain | {"reasoning_details": details.of(thought, event.index)}
        case CallBegun(index, id, name, signature):
            call = ToolCall(id, name, "", signature)
            thoughts: Json = {"reasoning_details": details.of_call(call)} if signature else {}
            return thoughts | {"tool_calls": [{"index": index} | _call(call)]}
        case CallDelta(index, arguments):
            return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}
        case RefusalDelta(text):
            return {"refusal": text}
        case Cited():
            return {"annotations": [_annotation(event)]}
        case Drawn(url):
            return {"images": [_image(url, 0)]}
        case Spoken():
            return {"audio": _audio(event)}
        case _:
            return {}


def _details(answer: Answer) -> list[Json]:
    details, made, thoughts = Details(), list[Json](), 0
    for block in answer.blocks:
        if isinstance(block, Thought):
            made += details.of(block, thoughts)
            thoughts += 1
        elif isinstance(block, ToolCall):
            made += details.of_call(block)
    return made


def _call(call: ToolCall) -> Json:
    made: Json = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    if call.signature:
        made["extra_content"] = {"google": {"thought_signature": call.signature}}
    return made


def _audio(spoken: Spoken) -> Json:
    return {"id": spoken.id or "audio", "data": spoken.data, "transcript": spoken.transcript}


def _image(url: str, index: int) -> Json:
    return {"type": "image_url", "image_url": {"url": url}, "index": index}


def _annotation(cited: Cited) -> Json:
    place: Json = {} if cited.begin < 0 else {"start_index": cited.begin, "end_index": cited.end}
    text: Json = {"content": cited.text} if cited.text else {}
    return {"type": "url_citation", "url_citation": {"url": cited.url, "title": cited.title} | text | place}



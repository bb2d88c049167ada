"""Answers to callers of legacy completions: text alone. Thoughts, calls and pictures have no place in it."""

from collections.abc import Iterable

import msgspec

from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.chat.writing import usage_members
from kilo_gateway.dialects.hub.answered import Answer, AnswerHead, Event, Finished, RefusalDelta, TextDelta
from kilo_gateway.dialects.hub.asked import Text

Json = dict[str, object]
_encode = msgspec.json.Encoder().encode


class Writer:
    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        self._finished = Finished("stop")

    def write(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if isinstance(event, TextDelta | RefusalDelta):
                out.append(self._chunk(choices=[_choice(event.text)]))
            elif isinstance(event, Finished):
                self._finished = event
        return b"".join(out)

    def end(self, usage: Usage, cost_usd: float | None) -> bytes:
        last = self._chunk(choices=[_choice("", self._finished)])
        return last + self._chunk(choices=[], usage=usage_members(usage, cost_usd)) + openai_chat.DONE

    def fail(self, error: GatewayError) -> bytes:
        return error_events(error, self._head)

    def _chunk(self, **members: object) -> bytes:
        return b"data: %b\n\n" % _encode(_top(self._head) | members)


def write_answer(answer: Answer, head: AnswerHead, usage: Usage, cost_usd: float | None) -> bytes:
    text = "".join(block.text for block in answer.blocks if isinstance(block, Text)) or answer.refusal
    choice = _choice(text, answer.finished or Finished("stop"))
    return _encode(_top(head) | {"choices": [choice], "usage": usage_members(usage, cost_usd)})


def error_events(error: GatewayError, head: AnswerHead) -> bytes:
    """One chunk with the error, then [DONE]."""
    choice = _choice("") | {"finish_reason": "error"}
    chunk = _top(head) | {"error": openai_chat.error_object(error), "choices": [choice]}
    return b"data: %b\n\n%b" % (_encode(chunk), openai_chat.DONE)


def _top(head: AnswerHead) -> Json:
    return {
        "id": head.id, "object": "text_completion", "created": head.created, "model": head.model, "provider": head.provider,
    }  # fmt: skip


def _choice(text: str, finished: Finished | None = None) -> Json:
    """Clients of this dialect know no `tool_calls`."""
    choice: Json = {"text": text, "index": 0, "logprobs": None, "finish_reason": None}
    if finished is not None:
        choice["finish_reason"] = "stop" if finished.reason == "tool_calls" else finished.reason
        choice["native_finish_reason"] = finished.native or None
    return choice

"""Relayed answers to callers who do not want to see what was thought."""

import json

import pytest
from tests.dialects.support import endpoint

from kilo_gateway.core.types import Call
from kilo_gateway.dialects import openai_chat, quiet
from kilo_gateway.dialects.bridge import Bridge

THOUGHTS = {"reasoning": "SECRET", "reasoning_content": "SECRET", "reasoning_details": [{"type": "reasoning.text", "text": "SECRET"}]}
QUIET = [{"reasoning": {"effort": "high", "exclude": True}}, {"include_reasoning": False}]
USAGE = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}


def opened(**more: object) -> Call:
    return openai_chat.open_body(json.dumps({"model": "a/m", "messages": [], **more}).encode())


def answered(call: Call, *pieces: bytes) -> bytes:
    kind = b"text/event-stream" if call.is_stream else b"application/json"
    translator = Bridge().translator(call, endpoint("openai-chat"), kind)
    return b"".join(map(translator.feed, pieces)) + translator.finish()


def event(delta: object, end: bytes = b"\n\n", **more: object) -> bytes:
    return b"data: %b%b" % (json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta, **more}]}).encode(), end)


@pytest.mark.parametrize("asked", QUIET)
def test_thoughts_are_left_out_of_a_json_answer_and_nothing_else(asked: dict[str, object]) -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "SECRET"}]}, {"type": "text", "text": "hi"}]
    choices = [{"index": at, "message": {"role": "assistant", "content": each, **THOUGHTS}, "logprobs": None} for at, each in enumerate(["hi", content])]
    told = answered(opened(n=2, **asked), json.dumps({"id": "c", "choices": choices, "usage": USAGE}).encode())
    assert b"SECRET" not in told
    first, second = json.loads(told)["choices"]
    assert first == {"index": 0, "message": {"role": "assistant", "content": "hi"}, "logprobs": None}
    assert second["message"]["content"] == [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize("asked", QUIET)
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_thoughts_are_left_out_of_a_stream(asked: dict[str, object], end: bytes) -> None:
    events = (event(THOUGHTS, end), event({"content": "hi"}, end), event({}, end, finish_reason="stop"), b"data: [DONE]" + end)
    told = answered(opened(stream=True, **asked), *events)
    assert b"SECRET" not in told and b'"content": "hi"' in told and told.endswith(b"data: [DONE]" + end)


@pytest.mark.parametrize("asked", [{}, {"reasoning": {"effort": "high"}}, {"reasoning": 7}, {"include_reasoning": True}, {"reasoning": None}])
def test_others_are_shown_them(asked: dict[str, object]) -> None:
    assert not quiet.is_wanted(opened(**asked).fields)
    assert b"SECRET" in answered(opened(stream=True, **asked), event(THOUGHTS), event({"content": "hi"}), b"data: [DONE]\n\n")

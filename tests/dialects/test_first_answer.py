"""JSON by tool stays JSON, whatever the model says beside it."""

import json

import pytest

from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.hub import first_answer
from kilo_gateway.dialects.hub.answered import CallBegun, CallDelta, Event, Finished, TextDelta
from kilo_gateway.dialects.hub.first_answer import FirstAnswer
from kilo_gateway.dialects.messages.output import ANSWER_TOOL

SAID, MORE = TextDelta("I should answer."), TextDelta("Done.")
ANSWER, AGAIN = TextDelta('{"a":1}', 1), TextDelta('{"a":2}', 3)
LOOK, END = CallBegun(0, "id", "look"), Finished("stop", "tool_use")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([ANSWER, END], [ANSWER, END]),
        ([SAID, ANSWER, MORE, AGAIN, END], [ANSWER, END]),
        ([ANSWER, LOOK, END], [ANSWER, LOOK, END]),
        ([SAID, LOOK, END], [SAID, LOOK, END]),
        ([SAID, LOOK, MORE, ANSWER, END], [SAID, LOOK, MORE, END]),
        ([SAID, MORE, END], [SAID, MORE, END]),
        ([SAID], [SAID]),
    ],
)  # fmt: skip
def test_the_first_call_that_stands_for_the_answer_is_all_the_text(given: list[Event], kept: list[Event]) -> None:
    assert FirstAnswer().whole(given) == kept


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_answer, "_MOST_HELD", 20)
    one = FirstAnswer()
    assert list(one.take(SAID)) == []
    assert list(one.take(MORE)) == [SAID, MORE]
    assert list(one.take(ANSWER)) == []


def test_other_events_pass_in_their_order() -> None:
    arguments = CallDelta(0, "{}")
    assert FirstAnswer().whole([SAID, LOOK, arguments]) == [SAID, LOOK, arguments]


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_claude_that_speaks_before_its_answer(is_stream: bool) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}
    body = {"model": "a/m", "messages": [{"role": "user", "content": "hi"}], "response_format": wanted, "stream": is_stream}
    call = openai_chat.open_body(json.dumps(body).encode())
    endpoint = Endpoint(
        "one", "a/m", Origin("h", 1), "anthropic-messages", b'"claude-3-5-haiku-20241022"', b"", b"", b'"one"', b'"a/m"', None
    )  # fmt: skip
    Bridge().shape(call, endpoint, None)
    head = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "usage": {"input_tokens": 5, "output_tokens": 2}}
    blocks = [{"type": "text", "text": "Well."}, {"type": "tool_use", "id": "t", "name": ANSWER_TOOL + "a", "input": {"a": 1}}]
    kind = b"text/event-stream" if is_stream else b"application/json"
    reader = Bridge().translator(call, endpoint, kind)
    if not is_stream:
        reader.feed(json.dumps({**head, "content": blocks, "stop_reason": "tool_use"}).encode())
        assert json.loads(json.loads(reader.finish())["choices"][0]["message"]["content"]) == {"a": 1}
        return
    events = [{"type": "message_start", "message": {**head, "content": []}}]
    for at, block in enumerate(blocks):
        events += [{"type": "content_block_start", "index": at, "content_block": block}, {"type": "content_block_stop", "index": at}]
    events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}, {"type": "message_stop"}]
    out = reader.feed(b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in events)) + reader.finish()
    assert b"Well." not in out and rb'{\"a\": 1}' in out

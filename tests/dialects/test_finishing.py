"""Why an answer ended is known at its end, from whichever of its last bytes say so."""

import json
from contextlib import suppress

import pytest
from msgspec import Raw
from tests.dialects.test_relay import CALL, ENDPOINT, pieces_of
from tests.streams import DONE, FINISH, STREAMS, content, usage

from kilo_gateway.core.errors import EmptyAnswer, UpstreamError
from kilo_gateway.core.pipeline import has_tools
from kilo_gateway.core.types import Call
from kilo_gateway.dialects.finishing import in_choices
from kilo_gateway.dialects.relay import RelayBody, RelayStream

CALLS = content("", finish='"tool_calls"')


def ended(*pieces: bytes) -> tuple[str, str]:
    stream = RelayStream(CALL, ENDPOINT)
    for piece in pieces:
        stream.feed(piece)
    stream.finish()
    return stream.finish_reason()


@pytest.mark.parametrize("name", [name for name, stream in STREAMS.items() if b'"finish_reason":"' in stream.sent])
def test_a_stream_that_tells_why_it_ended_is_heard_wherever_it_was_cut(name: str) -> None:
    data = STREAMS[name].sent
    found = {ended(*pieces_of(data, [cut])) for cut in range(1, len(data), 5)}
    assert found == {("stop", "stop")}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((content("a"), CALLS, usage(), DONE), ("tool_calls", "tool_calls")),
        ((content("a"), CALLS, usage()), ("tool_calls", "tool_calls")),
        ((content("a"), usage(choices='[{"index":0,"delta":{},"finish_reason":"function_call"}]')), ("tool_calls", "function_call")),
        ((content("a"), FINISH.replace(b'"finish_reason":', b'"native_finish_reason": "end_turn", "finish_reason" : '), DONE), ("stop", "end_turn")),
        ((content('"finish_reason":"length"'), usage(), DONE), ("", "")),
        ((content("a" * 9000), content("b", finish='"eos"'), DONE), ("stop", "eos")),
    ],
)  # fmt: skip
def test_the_word_is_one_of_ours_and_the_upstreams_own(events: tuple[bytes, ...], reason: tuple[str, str]) -> None:
    assert ended(*events) == ended(b"".join(events)) == reason


def test_a_stream_that_broke_off_has_no_reason() -> None:
    stream = RelayStream(CALL, ENDPOINT)
    stream.feed(content("a"))
    with pytest.raises(UpstreamError):
        stream.finish()
    assert stream.finish_reason() == ("", "")


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ([{"index": 0, "message": {"content": "x" * 9000}, "finish_reason": "length"}], ("length", "length")),
        ([{"index": 0, "finish_reason": "tool_calls", "message": {"content": "x" * 9000}}], ("tool_calls", "tool_calls")),
        ([{"finish_reason": None, "message": {"content": '"finish_reason":"stop"'}}], ("", "")),
        ([{"finish_reason": "x" * 61, "message": {}}], ("", "")), ([], ("", "")), (None, ("", "")), ("stop", ("", "")),
    ],
)  # fmt: skip
def test_a_json_answer_says_it_before_or_behind_the_message(choices: object, reason: tuple[str, str]) -> None:
    body = RelayBody(CALL, ENDPOINT)
    body.feed(json.dumps({"id": "a", "choices": choices}).encode())
    with suppress(EmptyAnswer):
        body.finish()
    assert body.finish_reason() == reason
    assert in_choices(b"") == ("", "")


@pytest.mark.parametrize(
    ("fields", "is_so"),
    [
        ({}, False), ({"tools": "[]"}, False), ({"tools": "null"}, False), ({"tools": '[{"type":"function"}]'}, True),
        ({"tools": "[1]", "tool_choice": '"none"'}, False), ({"tools": "[1]", "tool_choice": '{"type":"none"}'}, False),
        ({"tools": "[1]", "tool_choice": '"auto"'}, True),
    ],
)  # fmt: skip
def test_tools_are_offered_when_the_model_may_choose_one(fields: dict[str, str], is_so: bool) -> None:
    assert has_tools(Call("openai-chat", "m", True, 1, {name: Raw(text.encode()) for name, text in fields.items()})) is is_so

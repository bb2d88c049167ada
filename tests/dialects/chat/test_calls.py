"""Tool calls as the many upstreams that speak chat completions send them."""

import json

import pytest

from kilo_gateway.dialects.chat.reading import Reader, read_answer
from kilo_gateway.dialects.hub.answered import Event
from kilo_gateway.dialects.hub.asked import ToolCall
from kilo_gateway.dialects.hub.folding import fold

FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
BOTH = [("f", {"a": 1}), ("g", {})]


def streamed(*calls: dict[str, object]) -> list[Event]:
    reader = Reader()
    chunks: list[object] = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    return [event for chunk in [*chunks, FINISH] for event in reader.read(b"", json.dumps(chunk).encode())]


def called(events: list[Event]) -> list[tuple[str, object]]:
    calls = [block for block in fold(events).blocks if isinstance(block, ToolCall)]
    return [(call.name, json.loads(call.arguments)) for call in calls]


def piece(index: int | None, id: object, name: str | None, arguments: object) -> dict[str, object]:
    said = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return said if index is None else said | {"index": index}


@pytest.mark.parametrize(
    "pieces",
    [
        (piece(0, "1", "f", ""), piece(1, "2", "g", ""), piece(0, None, None, '{"a":'), piece(1, None, None, "{}"), piece(0, None, None, "1}")),
        (piece(None, "1", "f", '{"a":1}'), piece(None, "2", "g", "{}")),
        (piece(None, "1", "f", '{"a"'), piece(None, None, None, ":1}"), piece(None, "2", "g", "{}")),
        (piece(0, "1", "f", '{"a"'), piece(0, None, None, ":1}"), piece(0, "2", "g", "{"), piece(0, None, None, "}")),
        (piece(0, "1", None, '{"a"'), piece(0, None, "f", ":1}"), piece(1, "2", "g", None)),
        (piece(0, "1", "f", ""), piece(0, "1", "f", '{"a":1}'), piece(1, "2", "g", "")),
        (piece(0, 1, "f", {"a": 1}), piece(1, 2, "g", {})),
    ],
    ids=["by turns", "no index", "no index, in pieces", "one index for all", "the name comes late", "the name comes twice", "objects"],
)
def test_calls_are_told_apart_and_put_together(pieces: tuple[dict[str, object], ...]) -> None:
    assert called(streamed(*pieces)) == BOTH


def test_a_custom_call_is_told_whole_as_the_argument_input() -> None:
    begin = {"index": 0, "id": "1", "type": "custom", "custom": {"name": "sh", "input": 'a "'}}
    assert called(streamed(begin, {"index": 0, "custom": {"input": 'b"'}})) == [("sh", {"input": 'a "b"'})]


def test_the_one_call_of_before_there_were_several_is_read() -> None:
    message = {"content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
    body = {"choices": [{"message": message, "finish_reason": "function_call"}]}
    assert called(read_answer(json.dumps(body).encode())) == [("f", {"a": 1})]

"""Answers of upstreams that speak Messages, streamed or whole, as events."""

import json
from typing import Any

import pytest

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Event,
    Failed,
    Finished,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Format
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.messages.output import ANSWER_TOOL
from kilo_gateway.dialects.messages.reading import Reader, read_answer, read_error

OWN: Format = "anthropic-claude-v1"
USAGE = {"input_tokens": 3, "output_tokens": 4}


def _read(*events: dict[str, Any], reader: Reader | None = None) -> list[Event]:
    reader = reader or Reader()
    return [found for each in events for found in reader.read(each["type"].encode(), json.dumps(each).encode())]


def _start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind} | members}


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def _end(reason: str, **members: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None} | members, "usage": {"output_tokens": 9}}


def _answer(*content: object, **members: Any) -> list[Event]:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content, "stop_reason": "end_turn", "usage": USAGE}
    return read_answer(json.dumps(body | members).encode())


def test_a_whole_stream() -> None:
    usage = {"input_tokens": 3, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 1,
             "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2}}  # fmt: skip
    reader = Reader()
    found = _read(
        {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [], "usage": usage}},
        _start(0, type="thinking", thinking="", signature=""), {"type": "ping"}, _delta(0, "thinking_delta", thinking="hm"),
        _delta(0, "signature_delta", signature="c2ln"), _stop(0),
        _start(1, type="text", text=""), _delta(1, "text_delta", text="hel"), _delta(1, "text_delta", text="lo"), _stop(1),
        _start(2, type="tool_use", id="t1", name="look", input={}), _delta(2, "input_json_delta", partial_json=""),
        _delta(2, "input_json_delta", partial_json='{"a":'), _delta(2, "input_json_delta", partial_json="1}"), _stop(2),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9, "input_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}, "server_tool_use": {"web_search_requests": 2}}},
        {"type": "a_new_kind", "delta": "anything", "index": "x"}, _delta(9, "a_new_delta", what=1),
        reader=reader,
    )  # fmt: skip
    told = Usage(15, 1, is_estimated=True, cache_read_tokens=7, cache_write_tokens=5, cache_write_1h_tokens=2)
    assert found == [
        Begun("msg_1", "claude-x"), Told(told), ThoughtDelta(0, "hm", format=OWN),
        ThoughtDelta(0, signature="c2ln", format=OWN), TextDelta("hel"), TextDelta("lo"), CallBegun(0, "t1", "look"),
        CallDelta(0, '{"a":'), CallDelta(0, "1}"),
        Told(Usage(15, 9, cache_read_tokens=7, cache_write_tokens=5, cache_write_1h_tokens=2, reasoning_tokens=4, web_searches=2)),
        Finished("tool_calls", "tool_use"),
    ]  # fmt: skip
    assert not reader.is_done
    assert _read({"type": "message_stop"}, reader=reader) == [] and reader.is_done


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"), ("pause_turn", "stop"), ("tool_use", "stop"), ("something_new", "stop"),
    ],
)  # fmt: skip
def test_every_reason_to_stop(native: str, reason: str) -> None:
    assert _read(_end(native))[-1] == Finished(reason, native)  # type: ignore[arg-type]


def test_calls_make_the_finish_and_a_sequence_is_told() -> None:
    call = _start(0, type="tool_use", id="a", name="b", input={})
    assert _read(call, _stop(0), _end("end_turn"))[-1] == Finished("tool_calls", "end_turn")
    assert _read(_end("stop_sequence", stop_sequence="END"))[-1] == Finished("stop", "stop_sequence", "END")


def test_why_it_refuses_is_told() -> None:
    found = _read(_end("refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "No."}))
    assert found[-2:] == [RefusalDelta("No."), Finished("content_filter", "refusal")]


def test_what_the_upstreams_own_tools_do_is_named() -> None:
    found = _read(
        _start(0, type="server_tool_use", id="s", name="web_search", input={}), _delta(0, "input_json_delta", partial_json='{"q":1}'), _stop(0),
        _start(1, type="web_search_tool_result", tool_use_id="s", content=[{"type": "web_search_result", "title": "t"}]), _stop(1),
        _start(2, type="text", text=""), _delta(2, "text_delta", text="so"), _stop(2), _end("end_turn"),
    )  # fmt: skip
    assert [each for each in found if not isinstance(each, Told)] == [
        Acted("server_tool_use"), Acted("web_search_tool_result"), TextDelta("so"), Finished("stop", "end_turn"),
    ]  # fmt: skip


def test_sources_have_the_place_of_their_block() -> None:
    page = {"type": "web_search_result_location", "url": "https://e.example", "title": "T", "cited_text": "c", "encrypted_index": "x"}
    found = _read(
        _start(0, type="text", text=""), _delta(0, "text_delta", text="ab"), _stop(0),
        _start(1, type="text", text="", citations=[]), _delta(1, "citations_delta", citation=page), _delta(1, "text_delta", text="cde"), _stop(1),
    )  # fmt: skip
    assert found[-1] == Cited("https://e.example", "T", "c", 2, 5)
    document = {"type": "page_location", "document_title": "D", "cited_text": "d", "document_index": 0, "start_page_number": 1, "end_page_number": 2}
    result = {"type": "search_result_location", "source": "https://r.example", "title": None, "cited_text": "r", "search_result_index": 0}
    found = _answer({"type": "text", "text": "ab"}, {"type": "text", "text": "cde", "citations": [page, document, result]})
    assert [each for each in found if isinstance(each, Cited)] == [
        Cited("https://e.example", "T", "c", 2, 5), Cited("", "D", "d", 2, 5), Cited("https://r.example", "", "r", 2, 5),
    ]  # fmt: skip


def test_what_other_makers_models_sign_is_not_claudes() -> None:
    found = _answer({"type": "thinking", "thinking": "hm", "signature": "c2ln"}, model="glm-4.6")
    assert found[1:3] == [ThoughtDelta(0, "hm", format="unknown"), ThoughtDelta(0, signature="c2ln", format="unknown")]


def test_what_is_redacted_is_encrypted() -> None:
    assert _read(_start(0, type="redacted_thinking", data="ZW5j")) == [ThoughtDelta(0, encrypted="ZW5j", format=OWN)]


def test_what_is_given_whole_at_the_start_of_a_block_is_taken() -> None:
    found = _read(
        _start(0, type="text", text="all"), _stop(0), _start(1, type="thinking", thinking="hm", signature="c2ln"), _stop(1),
        _start(2, type="tool_use", id="a", name="b", input={"c": 1}), _stop(2),
        _start(3, type="tool_use", id="d", name="e", input={"f": 1}), _delta(3, "input_json_delta", partial_json='{"f":1}'), _stop(3),
    )  # fmt: skip
    assert found == [
        TextDelta("all"), ThoughtDelta(0, "hm", format=OWN), ThoughtDelta(0, signature="c2ln", format=OWN),
        CallBegun(0, "a", "b"), CallDelta(0, '{"c": 1}'), CallBegun(1, "d", "e"), CallDelta(1, '{"f":1}'),
    ]  # fmt: skip


def test_text_of_a_block_that_never_began_is_text() -> None:
    assert _read(_delta(0, "text_delta", text="hi"), _delta(5, "input_json_delta", partial_json="{}")) == [TextDelta("hi")]


def test_the_tool_that_stands_for_json_gives_text() -> None:
    name = ANSWER_TOOL + "answer"
    found = _read(
        _start(0, type="tool_use", id="a", name=name, input={}), _delta(0, "input_json_delta", partial_json='{"x":'),
        _delta(0, "input_json_delta", partial_json="1}"), _stop(0), _end("tool_use"),
    )  # fmt: skip
    assert [each for each in found if not isinstance(each, Told)] == [TextDelta('{"x":', 0), TextDelta("1}", 0), Finished("stop", "tool_use")]
    assert _answer({"type": "tool_use", "id": "a", "name": name, "input": {"x": 1}}, stop_reason="tool_use")[1:] == [
        TextDelta('{"x": 1}', 0), Told(Usage(3, 4)), Finished("stop", "tool_use"),
    ]  # fmt: skip
    assert TextDelta("{}", 0) in _answer({"type": "tool_use", "id": "a", "name": name, "input": {}}, stop_reason="tool_use")


def test_a_whole_answer() -> None:
    found = _answer(
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "hello"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}, "caller": {"type": "direct"}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}}, stop_reason="tool_use",
    )  # fmt: skip
    assert found == [
        Begun("msg_1", "claude-x"), ThoughtDelta(0, "hm", format=OWN), ThoughtDelta(0, signature="c2ln", format=OWN), TextDelta("hello"),
        CallBegun(0, "t1", "look"), CallDelta(0, '{"a": 1}'), CallBegun(1, "t2", "now"), CallDelta(1, "{}"),
        Told(Usage(3, 4)), Finished("tool_calls", "tool_use"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "x", {"input_tokens": 3}, {"input_tokens": "3", "output_tokens": 4}, {"input_tokens": -3, "output_tokens": 4},
     {"input_tokens": 3, "output_tokens": 10**10}, {"input_tokens": 1e300, "output_tokens": 4}],
)  # fmt: skip
def test_usage_that_is_missing_or_cannot_be_true_is_not_told(usage: object) -> None:
    assert not any(isinstance(each, Told) for each in _answer({"type": "text", "text": "x"}, usage=usage))


def test_details_that_cannot_be_read_are_done_without() -> None:
    assert fold(_answer(usage=USAGE | {"server_tool_use": 5, "cache_creation": []})).usage == Usage(3, 4)
    assert fold(_answer(usage={"input_tokens": 3.0, "output_tokens": 4.0})).usage == Usage(3, 4)


def test_a_cost_counts_where_its_word_is_taken() -> None:
    body = json.dumps({"content": [], "stop_reason": "end_turn", "usage": USAGE | {"cost": 0.25}}).encode()
    assert fold(read_answer(body)).usage == Usage(3, 4)
    assert fold(read_answer(body, is_cost_reported=True)).usage == Usage(3, 4, reported_cost=250_000_000)


def test_counts_of_the_start_are_not_undone_by_zeros_at_the_end() -> None:
    found = _read(
        {"type": "message_start", "message": {"usage": {"input_tokens": 30, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 0, "output_tokens": 5}},
    )  # fmt: skip
    assert fold(found).usage == Usage(30, 5)


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, Failed("Overloaded", "overloaded_error", 529)),
        ({"type": "rate_limit_error", "message": "m", "code": "rate_limited"}, Failed("m", "rate_limited", 429)),
        ({"type": "words of a prompt", "message": "m", "code": 503}, Failed("m", "upstream_error", 503)),
        ("plain", Failed("plain", "upstream_error")), (None, Failed("the upstream reported an error", "upstream_error")),
        ([1], Failed("the upstream reported an error", "upstream_error")),
    ],
)  # fmt: skip
def test_an_error_inside_an_answer(error: object, failed: Failed) -> None:
    reader = Reader()
    assert _read({"type": "error", "error": error}, reader=reader) == [failed] and reader.is_done
    assert read_answer(json.dumps({"type": "error", "error": error}).encode()) == [failed]


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b'{"type":"error","error":{"type":"not_found_error","message":"model: x"},"request_id":"r"}', Failed("model: x", "not_found_error", 418)),
        (b'{"error":"plain"}', Failed("plain", "upstream_error", 418)), (b'{"message":"m"}', Failed("m", "upstream_error", 418)),
        (b'{"detail":"d","type":"t"}', Failed("d", "t", 418)), (b"<html>no</html>", Failed("<html>no</html>", "upstream_error", 418)),
        (b"", Failed("the upstream answered with status 418", "upstream_error", 418)),
        (b'{"error":{"message":"m","code":429}}', Failed("m", "upstream_error", 418)),
        (b"\xff", Failed("\ufffd", "upstream_error", 418)), (b"[]", Failed("[]", "upstream_error", 418)),
    ],
)  # fmt: skip
def test_an_error_answer_however_it_is_worded(body: bytes, failed: Failed) -> None:
    assert read_error(body, 418) == failed


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"type":"content_block_delta","index":0,"delta":{"text":5}}'])
def test_what_cannot_be_read_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Reader().read(b"", data)
    with pytest.raises(BadAnswer):
        read_answer(data)


def test_half_a_character_does_not_end_a_stream() -> None:
    data = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\ud83d"}}'
    assert Reader().read(b"", data) == [TextDelta("a\ufffd")]

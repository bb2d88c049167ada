"""Answers to callers who speak Messages."""

import json
from typing import Any

import pytest

from kilo_gateway.core.errors import (
    BadRequest,
    Forbidden,
    GatewayError,
    InvalidKey,
    MethodNotAllowed,
    OutOfFunds,
    Overloaded,
    TimedOut,
    TooLarge,
    TooManyRequests,
    UnknownModel,
    UpstreamRefused,
)
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    AnswerHead,
    Begun,
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
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.messages import writing
from kilo_gateway.dialects.messages.writing import Writer
from kilo_gateway.dialects.sse import Splitter

HEAD = AnswerHead("gen-1", 5, "anthropic/claude", "one")
USAGE = Usage(20, 9, cache_read_tokens=7, cache_write_tokens=5, cache_write_1h_tokens=2, reasoning_tokens=3, web_searches=1)


def _stream(*events: Event, usage: Usage = USAGE, cost: float | None = 0.5) -> list[dict[str, Any]]:
    writer = Writer(HEAD)
    out = b"".join(writer.write([event]) for event in events) + writer.end(usage, cost)
    found = []
    for name, data in Splitter().feed(out):
        found.append(json.loads(data))
        assert found[-1]["type"] == name.decode()
    return found


def _blocks(*events: Event) -> list[str]:
    """What happens, each in a word."""
    words = []
    for each in _stream(*events, Finished("stop"))[1:-2]:
        inner = each.get("content_block") or each.get("delta") or {}
        words.append(f"{each['index']} {each['type'].removeprefix('content_block_')} {inner.get('type', '')}".rstrip())
    return words


def test_a_whole_stream() -> None:
    found = _stream(Begun("x", "y"), TextDelta("hel"), TextDelta("lo"), Finished("stop", "end_turn"))
    assert found == [
        {"type": "message_start", "message": {
            "id": "gen-1", "type": "message", "role": "assistant", "model": "anthropic/claude", "content": [], "stop_reason": None,
            "stop_sequence": None, "stop_details": None, "usage": {"input_tokens": 0, "output_tokens": 0}, "provider": "one",
        }},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}, "usage": {
            "input_tokens": 8, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2}, "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 3}, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
            "cost": 0.5,
        }},
        {"type": "message_stop"},
    ]  # fmt: skip


def test_blocks_follow_each_other_with_their_indexes() -> None:
    assert _blocks(
        ThoughtDelta(0, "hm"), ThoughtDelta(0, signature="c2ln", format="anthropic-claude-v1"), TextDelta("a"),
        CallBegun(0, "x", "y"), CallDelta(0, '{"a":'), CallDelta(0, "1}"), CallBegun(1, "z", "w"), CallDelta(1, "{}"), TextDelta("b"),
    ) == [
        "0 start thinking", "0 delta thinking_delta", "0 delta signature_delta", "0 stop", "1 start text", "1 delta text_delta",
        "1 stop", "2 start tool_use", "2 delta input_json_delta", "2 delta input_json_delta", "2 stop", "3 start tool_use",
        "3 delta input_json_delta", "3 stop", "4 start text", "4 delta text_delta", "4 stop",
    ]  # fmt: skip


def test_calls_whose_arguments_come_mixed_are_sorted() -> None:
    found = _stream(
        CallBegun(0, "x", "a"), CallBegun(1, "y", "b"), CallBegun(2, "z", "c"), CallDelta(1, '{"b":'), CallDelta(0, '{"a":1'),
        CallDelta(2, '{"c":3}'), CallDelta(0, "}"), CallDelta(1, "2}"), Finished("tool_calls"),
    )  # fmt: skip
    starts = [each["content_block"]["name"] for each in found if each["type"] == "content_block_start"]
    parts: dict[int, str] = {}
    for each in found:
        if each["type"] == "content_block_delta":
            parts[each["index"]] = parts.get(each["index"], "") + each["delta"]["partial_json"]
    assert starts == ["a", "b", "c"] and parts == {0: '{"a":1}', 1: '{"b":2}', 2: '{"c":3}'}
    opened = 0
    for each in found:
        opened += {"content_block_start": 1, "content_block_stop": -1}.get(each["type"], 0)
        assert opened in (0, 1)


def test_calls_that_wait_for_one_without_arguments_are_sent_at_the_end() -> None:
    words = _blocks(CallBegun(0, "x", "a"), CallBegun(1, "y", "b"), CallDelta(1, "{}"))
    assert words == ["0 start tool_use", "0 stop", "1 start tool_use", "1 delta input_json_delta", "1 stop"]


def test_what_is_encrypted_is_redacted_thinking() -> None:
    found = _stream(ThoughtDelta(0, encrypted="ZW5j", format="anthropic-claude-v1"), ThoughtDelta(1, encrypted="eA==", format="openai-responses-v1", id="rs_1"))
    blocks = [each["content_block"] for each in found if each["type"] == "content_block_start"]
    assert blocks == [{"type": "redacted_thinking", "data": "ZW5j"}, {"type": "redacted_thinking", "data": "KILO_SEALED_THOUGHT:openai-responses-v1:encrypted:4:rs_1eA=="}]


def test_sources_stand_at_the_text_they_are_of() -> None:
    page = Cited("https://e.example", "T", "c")
    assert _blocks(TextDelta("a"), page, TextDelta("b"), CallBegun(0, "x", "y"), Cited("", "D")) == [
        "0 start text", "0 delta text_delta", "0 delta citations_delta", "0 stop", "1 start text", "1 delta text_delta", "1 stop",
        "2 start tool_use", "1 delta citations_delta", "2 stop",
    ]  # fmt: skip
    citation = _stream(TextDelta("a"), page)[3]["delta"]["citation"]
    assert citation == {"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "", "title": "T", "url": "https://e.example"}


def test_pictures_and_speech_are_told_as_text() -> None:
    found = _stream(Drawn("https://e.example/a.png"), Spoken(data="AAAA"), Spoken(transcript="hi"))
    texts = [each["delta"]["text"] for each in found if each.get("delta", {}).get("type") == "text_delta"]
    assert texts == ["![image](https://e.example/a.png)", "hi"]


@pytest.mark.parametrize(
    ("finished", "reason"),
    [
        (Finished("stop", "STOP"), "end_turn"), (Finished("stop", "x", "END"), "stop_sequence"), (Finished("length"), "max_tokens"),
        (Finished("tool_calls"), "tool_use"), (Finished("content_filter"), "refusal"), (Finished("stop", "pause_turn"), "pause_turn"),
        (Finished("length", "model_context_window_exceeded"), "model_context_window_exceeded"), (Finished("error"), "end_turn"),
        (Finished("tool_calls", "pause_turn"), "tool_use"),
    ],
)  # fmt: skip
def test_every_reason_to_stop(finished: Finished, reason: str) -> None:
    assert _stream(finished)[-2]["delta"]["stop_reason"] == reason
    assert json.loads(writing.write_answer(fold([finished]), HEAD, USAGE, None))["stop_reason"] == reason


def test_a_refusal_is_told_with_its_words() -> None:
    delta = _stream(RefusalDelta("I will "), RefusalDelta("not."), Finished("stop"))[-2]["delta"]
    assert (delta["stop_reason"], delta["stop_details"]["explanation"]) == ("refusal", "I will not.")


def test_an_unknown_cost_is_null_and_an_estimate_is_called_one() -> None:
    usage = _stream(Finished("stop"), usage=Usage(1, 2, is_estimated=True), cost=None)[-2]["usage"]
    assert usage["cost"] is None and usage["estimated"] is True


def test_a_whole_answer() -> None:
    events: list[Event] = [
        ThoughtDelta(0, "hm", signature="c2ln", format="anthropic-claude-v1"), TextDelta("abcd"), Cited("https://e.example", "T", "c", 0, 2),
        CallBegun(0, "x", "y", "Z2Vt"), CallDelta(0, '{"a": 1}'), CallBegun(1, "z", "w"), CallDelta(1, "not json"), Finished("tool_calls"),
    ]  # fmt: skip
    body = json.loads(writing.write_answer(fold(events), HEAD, USAGE, 0.25))
    assert body["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "text", "text": "ab", "citations": [{"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "", "title": "T", "url": "https://e.example"}]},
        {"type": "text", "text": "cd"}, {"type": "tool_use", "id": "x", "name": "y", "input": {"a": 1}, "thought_signature": "Z2Vt"},
        {"type": "tool_use", "id": "z", "name": "w", "input": {"arguments": "not json"}},
    ]  # fmt: skip
    assert (body["id"], body["type"], body["role"], body["model"], body["provider"]) == ("gen-1", "message", "assistant", "anthropic/claude", "one")
    assert (body["stop_reason"], body["usage"]["input_tokens"], body["usage"]["cost"]) == ("tool_use", 8, 0.25)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("m"), "invalid_request_error"), (InvalidKey("m"), "authentication_error"), (OutOfFunds("m"), "billing_error"),
        (Forbidden("m"), "permission_error"), (UnknownModel("m"), "not_found_error"), (TooLarge("m"), "request_too_large"),
        (TooManyRequests("m"), "rate_limit_error"), (GatewayError("m"), "api_error"), (Overloaded("m"), "overloaded_error"),
        (TimedOut("m"), "timeout_error"), (MethodNotAllowed("m", "POST"), "invalid_request_error"),
        (UpstreamRefused("one", 529, "m"), "overloaded_error"), (UpstreamRefused("one", 500, "m"), "api_error"),
    ],
)  # fmt: skip
def test_every_error_in_this_dialects_words(error: GatewayError, kind: str) -> None:
    body = json.loads(writing.error_body(error))
    assert body == {"type": "error", "error": {"type": kind, "message": "m", "code": error.code, "metadata": error.metadata}, "request_id": None}
    [(name, data)] = Splitter().feed(writing.error_events(error, HEAD))
    assert name == b"error" and json.loads(data) == body | {"request_id": "gen-1"}


def test_a_ping_is_an_event_and_a_count_a_number() -> None:
    assert Splitter().feed(writing.PING) == [(b"ping", b'{"type": "ping"}')]
    assert json.loads(writing.write_count(12)) == {"input_tokens": 12}

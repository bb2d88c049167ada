"""Answers of Cohere's chat, and its streams, as events."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.support import endpoint

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Price, Usage, kinds
from kilo_gateway.dialects.cohere.reading import Reader, read_answer, read_error
from kilo_gateway.dialects.hub.answered import (
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Event,
    Failed,
    Finished,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.folding import fold

Json = dict[str, Any]
USED: Json = {"billed_units": {"input_tokens": 2, "output_tokens": 3}, "tokens": {"input_tokens": 50.0, "output_tokens": 7}, "cached_tokens": 16}
TOLD = Told(Usage(50, 7, cache_read_tokens=16, billed=(2, 3)))


def read(*events: Json, reader: Reader | None = None) -> list[Event]:
    reader = reader or Reader()
    return [found for event in events for found in reader.read(str(event.get("type", "")).encode(), json.dumps(event).encode())]


def said(kind: str, index: int | None = None, **message: Any) -> Json:
    return {"type": kind, "delta": {"message": message}} | ({} if index is None else {"index": index})


def call(index: int, id: str, name: str) -> Json:
    return said("tool-call-start", index, tool_calls={"id": id, "type": "function", "function": {"name": name, "arguments": ""}})


def arguments(index: int, text: str) -> Json:
    return said("tool-call-delta", index, tool_calls={"function": {"arguments": text}})


def end(reason: str, **more: Any) -> Json:
    return {"type": "message-end", "id": "m1", "delta": {"finish_reason": reason} | more}


def answer(reason: str = "COMPLETE", usage: Any = USED, **message: Any) -> bytes:
    return json.dumps({"id": "m1", "finish_reason": reason, "message": {"role": "assistant"} | message, "usage": usage}).encode()


BEGIN: Json = {"type": "message-start", "id": "m1", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}

# ---------------------------------------------------------------- streams


def test_a_stream_of_thoughts_and_text() -> None:
    reader = Reader()
    assert read(
        BEGIN, said("content-start", 0, content={"type": "thinking", "thinking": ""}), said("content-delta", 0, content={"thinking": "Hm"}),
        {"type": "content-end", "index": 0}, said("content-start", 1, content={"type": "text", "text": "P"}), said("content-delta", 1, content={"text": "aris"}),
        {"type": "content-end", "index": 1}, reader=reader,
    ) == [Begun("m1"), ThoughtDelta(0, "Hm"), TextDelta("P"), TextDelta("aris")]  # fmt: skip
    assert not reader.is_done
    assert read(end("COMPLETE", usage=USED), reader=reader) == [TOLD, Finished("stop", "COMPLETE")] and reader.is_done


def test_a_plan_is_a_thought_and_calls_are_numbered_in_their_order() -> None:
    assert read(
        said("tool-plan-delta", tool_plan="I "), said("tool-plan-delta", tool_plan="look"), call(1, "a", "look"), arguments(1, '{"x"'), arguments(1, ":1}"),
        {"type": "tool-call-end", "index": 1}, call(2, "b", "wait"), {"type": "tool-call-end", "index": 2}, end("TOOL_CALL"),
    ) == [
        ThoughtDelta(0, "I "), ThoughtDelta(0, "look"), CallBegun(0, "a", "look"), CallDelta(0, '{"x"'), CallDelta(0, ":1}"), CallBegun(1, "b", "wait"),
        Finished("tool_calls", "TOOL_CALL"),
    ]  # fmt: skip


def test_a_plan_and_thoughts_are_two() -> None:
    assert read(said("content-delta", 0, content={"thinking": "a"}), said("tool-plan-delta", tool_plan="b"), said("content-delta", 0, content={"thinking": "c"})) == [
        ThoughtDelta(0, "a"), ThoughtDelta(1, "b"), ThoughtDelta(0, "c"),
    ]  # fmt: skip


def test_citations_name_each_source_and_their_place() -> None:
    sources = [
        {"type": "document", "id": "d1", "document": {"id": "d1", "url": "https://example.com", "title": "T", "snippet": "s"}},
        {"type": "tool", "id": "look:0", "tool_output": {"n": 1}}, {"type": "new"},
    ]  # fmt: skip
    found = [Cited("https://example.com", "T", "s", 2, 5), Cited("", "look:0", "", 2, 5), Cited("", "", "", 2, 5)]
    cited = {"start": 2, "end": 5, "text": "ris", "sources": sources, "type": "TEXT_CONTENT"}
    assert read(said("citation-start", 0, citations=cited), {"type": "citation-end", "index": 0}) == found
    assert [event for event in read_answer(answer(content=[{"type": "text", "text": "Paris"}], citations=[cited])) if isinstance(event, Cited)] == found
    assert read(said("citation-start", 0, citations=cited | {"type": "PLAN", "sources": sources[1:2]})) == [Cited("", "look:0")]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"), ("TOOL_CALL", "stop"), ("ERROR", "error"), ("TIMEOUT", "error"),
        ("ERROR_TOXIC", "content_filter"), ("SOMETHING_NEW", "stop"),
    ],
)  # fmt: skip
def test_every_finish_has_a_reason(reason: str, expected: str) -> None:
    assert read(end(reason))[-1:] == [Finished(expected, reason)]  # type: ignore[arg-type]
    assert read_answer(answer(reason))[-1] == Finished(expected, reason)  # type: ignore[arg-type]


def test_a_finish_with_calls_is_one_of_calls_unless_it_was_cut() -> None:
    assert read(call(0, "a", "look"), end("COMPLETE"))[-1] == Finished("tool_calls", "COMPLETE")
    assert read(call(0, "a", "look"), end("MAX_TOKENS"))[-1] == Finished("length", "MAX_TOKENS")


def test_an_error_at_the_end_is_a_failure() -> None:
    reader = Reader()
    assert read(end("ERROR", error="the model broke", usage=USED), reader=reader) == [Failed("the model broke", "upstream_error", 500)] and reader.is_done
    assert read(end("TIMEOUT", error="too slow")) == [Failed("too slow", "upstream_error", 504)]


def test_an_error_in_between_is_a_failure_and_the_end() -> None:
    for event in ({"message": "overloaded"}, {"type": "error", "message": "overloaded"}):
        reader = Reader()
        assert read(event, reader=reader) == [Failed("overloaded", "upstream_error", 500)] and reader.is_done


def test_unknown_events_give_nothing_and_a_last_word_is_the_end() -> None:
    reader = Reader()
    assert read({"type": "debug", "prompt": "x"}, {"type": "new", "delta": 1, "message": "no error"}, {"a": 1}, reader=reader) == [] and not reader.is_done
    assert read(said("content-delta", 0), said("tool-call-delta", 0), said("citation-start", 0), said("tool-plan-delta")) == []
    assert reader.read(b"", b"[DONE]") == [] and reader.is_done


@pytest.mark.parametrize("data", [b"{", b"", b"[]", b'{"type":"content-delta","delta":1}', b'{"type":"content-delta","delta":{"message":{"content":{"text":5}}}}', b'{"type":"message-end"}'])
def test_what_cannot_be_read_is_a_bad_answer(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        Reader().read(b"", data)


# ---------------------------------------------------------------- JSON


def test_a_whole_answer_is_the_same_events() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}, {"id": "b", "type": "function", "function": {"name": "wait"}}]
    content = [{"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Paris"}, {"type": "new"}]
    assert read_answer(answer("TOOL_CALL", content=content, tool_plan="I look", tool_calls=calls)) == [
        Begun("m1"), ThoughtDelta(0, "Hm"), TextDelta("Paris"), ThoughtDelta(1, "I look"), CallBegun(0, "a", "look"), CallDelta(0, '{"x":1}'),
        CallBegun(1, "b", "wait"), TOLD, Finished("tool_calls", "TOOL_CALL"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"billed_units": {"input_tokens": 1}}, {"tokens": {"input_tokens": -1, "output_tokens": 1}}, {"tokens": {"input_tokens": "1", "output_tokens": 1}},
     {"tokens": {"input_tokens": 1e10, "output_tokens": 1}}, {"tokens": {"input_tokens": 1.5, "output_tokens": 1}}, {"tokens": {"input_tokens": 1}}],
)  # fmt: skip
def test_numbers_that_cannot_be_are_not_told(usage: object) -> None:
    assert read_answer(answer(usage=usage)) == [Begun("m1"), Finished("stop", "COMPLETE")] and read(end("COMPLETE", usage=usage)) == [Finished("stop", "COMPLETE")]


def test_what_is_billed_is_used_where_nothing_else_is_told() -> None:
    assert read(end("COMPLETE", usage={"billed_units": {"input_tokens": 5.0, "output_tokens": 1}}))[0] == Told(Usage(5, 1))


def test_what_is_billed_is_charged_and_all_tokens_are_told() -> None:
    [told, _] = read(end("COMPLETE", usage=USED))
    assert isinstance(told, Told) and kinds(told.usage)[0] == 16
    dear = msgspec.structs.replace(endpoint("cohere"), price=Price(1_000_000, 10_000_000, cache_read=1))
    assert cost_of(told.usage, dear, 0) == 2 * 1_000 + 3 * 10_000


@pytest.mark.parametrize("billed", [None, 7, {}, {"input_tokens": -1, "output_tokens": 1}, {"input_tokens": 1}, {"search_units": 1}])
def test_without_a_word_on_what_is_billed_all_tokens_are(billed: object) -> None:
    assert read(end("COMPLETE", usage=USED | {"billed_units": billed}))[0] == Told(Usage(50, 7, cache_read_tokens=16))


def test_more_from_the_cache_than_the_prompt_has_is_not_believed() -> None:
    assert read(end("COMPLETE", usage={"tokens": {"input_tokens": 5, "output_tokens": 1}, "cached_tokens": 6}))[0] == Told(Usage(5, 1))


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b'{"id":"x","message":"invalid api token"}', Failed("invalid api token", "upstream_error", 401)),
        (b'{"error":{"message":"no","code":"bad_key"}}', Failed("no", "bad_key", 401)), (b'{"error":"no"}', Failed("no", "upstream_error", 401)),
        (b'{"detail":"no","code":"not a code"}', Failed("no", "upstream_error", 401)), (b"<html>", Failed("<html>", "upstream_error", 401)),
        (b"", Failed("status 401", "upstream_error", 401)), (b'{"message":""}', Failed('{"message":""}', "upstream_error", 401)),
    ],
)  # fmt: skip
def test_an_error_is_read_however_it_is_worded(body: bytes, failed: Failed) -> None:
    assert read_error(body, 401) == failed


def test_an_error_in_a_success_is_a_failure() -> None:
    assert read_answer(b'{"message":"odd"}') == [Failed("odd", "upstream_error", 500)]
    assert read_answer(b'{"error":{"message":"odd"}}') == [Failed("odd", "upstream_error", 500)]


def test_content_may_be_one_text() -> None:
    assert TextDelta("x") in read_answer(b'{"message":{"content":"x"},"finish_reason":"COMPLETE"}')


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"message":5}', b'{"message":{"content":7}}', b"[" * 100_000])
def test_what_is_no_answer_is_a_bad_one(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_answer(body)


pieces = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4)


@given(st.none() | pieces, st.none() | pieces, st.none() | pieces, st.lists(pieces, max_size=3), st.sampled_from(["COMPLETE", "TOOL_CALL", "MAX_TOKENS"]))
def test_a_stream_folds_to_what_the_whole_answer_says(thought: list[str] | None, text: list[str] | None, plan: list[str] | None, calls: list[list[str]], reason: str) -> None:
    events = [BEGIN]
    message: Json = {"content": []}
    for index, (kind, parts) in enumerate([("thinking", thought), ("text", text)]):
        if parts:
            message["content"].append({"type": kind, kind: "".join(parts)})
            events += [said("content-start", index, content={"type": kind, kind: ""}), *(said("content-delta", index, content={kind: part}) for part in parts)]
    if plan:
        message["tool_plan"] = "".join(plan)
        events += [said("tool-plan-delta", tool_plan=part) for part in plan]
    message["tool_calls"] = [{"id": f"id{at}", "type": "function", "function": {"name": "look", "arguments": "".join(parts)}} for at, parts in enumerate(calls)]
    for at, parts in enumerate(calls):
        events += [call(at, f"id{at}", "look"), *(arguments(at, part) for part in parts)]
    events.append(end(reason, usage=USED))
    assert fold(read(*events)) == fold(read_answer(answer(reason, **message)))

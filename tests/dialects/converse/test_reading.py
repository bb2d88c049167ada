"""Answers of Converse and ConverseStream, as events."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.converse.reading import Reader, read_answer, read_error
from kilo_gateway.dialects.converse.tools import OUTPUT_PREFIX
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Answer,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Failed,
    Finished,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Text, Thought, ToolCall
from kilo_gateway.dialects.hub.folding import fold

Json = dict[str, Any]
TOLD: Json = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}


def answer(*blocks: Json, stop: str = "end_turn", **more: Any) -> bytes:
    message = {"role": "assistant", "content": list(blocks)}
    return json.dumps({"output": {"message": message}, "stopReason": stop, "usage": TOLD, "metrics": {"latencyMs": 3}} | more).encode()


def read(*events: tuple[str, Json], reader: Reader | None = None) -> list[Event]:
    reader = reader or Reader()
    return [found for name, payload in events for found in reader.read(name.encode(), json.dumps(payload | {"p": "abcd"}).encode())]


def delta(block: int, **said: Any) -> tuple[str, Json]:
    return "contentBlockDelta", {"contentBlockIndex": block, "delta": said}


def start(block: int, **said: Any) -> tuple[str, Json]:
    return "contentBlockStart", {"contentBlockIndex": block, "start": said}


def use(name: str, id: str = "t1", **more: Any) -> Json:
    return {"toolUseId": id, "name": name} | more


# ---------------------------------------------------------------- streams


def test_a_stream_of_text_is_over_with_its_metadata() -> None:
    reader = Reader()
    events = read(("messageStart", {"role": "assistant"}), delta(0, text="Par"), delta(0, text=""), delta(0, text="is"), ("contentBlockStop", {"contentBlockIndex": 0}), reader=reader)
    assert events == [Begun(), TextDelta("Par"), TextDelta("is")]
    assert read(("messageStop", {"stopReason": "end_turn"}), reader=reader) == [Finished("stop", "end_turn")] and not reader.is_done
    assert read(("metadata", {"usage": TOLD}), reader=reader) == [Told(Usage(5, 7))] and reader.is_done


def test_metadata_ahead_of_the_stop_is_not_the_end() -> None:
    reader = Reader()
    read(("metadata", {"usage": TOLD}), reader=reader)
    assert not reader.is_done


def test_calls_are_numbered_in_their_order_and_may_interleave() -> None:
    assert read(
        start(1, toolUse=use("look", "a")), start(3, toolUse=use("wait", "b")), delta(1, toolUse={"input": '{"x"'}), delta(3, toolUse={"input": ""}),
        delta(1, toolUse={"input": ":1}"}), ("messageStop", {"stopReason": "tool_use"}),
    ) == [
        CallBegun(0, "a", "look"), CallBegun(1, "b", "wait"), CallDelta(0, '{"x"'), CallDelta(0, ":1}"), Finished("tool_calls", "tool_use"),
    ]  # fmt: skip


def test_reasoning_is_told_with_what_signs_and_encrypts_it() -> None:
    assert read(
        delta(0, reasoningContent={"text": "I "}), delta(0, reasoningContent={"text": "think"}), delta(0, reasoningContent={"signature": "c2ln"}),
        delta(1, reasoningContent={"redactedContent": base64.b64encode(b"EmwK").decode()}), delta(2, reasoningContent={"redactedContent": "//79"}),
        delta(3, reasoningContent={"text": ""}),
    ) == [
        ThoughtDelta(0, "I "), ThoughtDelta(0, "think"), ThoughtDelta(0, signature="c2ln", format="anthropic-claude-v1"),
        ThoughtDelta(1, encrypted="EmwK", format="anthropic-claude-v1"), ThoughtDelta(2, encrypted="//79", format="unknown"),
    ]  # fmt: skip


def test_what_the_answering_tool_takes_is_the_answer() -> None:
    events = read(start(0, toolUse=use(OUTPUT_PREFIX + "json")), delta(0, toolUse={"input": '{"a"'}), delta(0, toolUse={"input": ":1}"}), ("messageStop", {"stopReason": "tool_use"}))
    assert events == [TextDelta('{"a"', 0), TextDelta(":1}", 0), Finished("stop", "tool_use")]


def test_what_the_provider_runs_itself_is_no_call_of_the_caller_s() -> None:
    assert read(
        start(0, toolUse=use("nova_grounding", type="server_tool_use")), delta(0, toolUse={"input": '{"q":1}'}),
        start(1, toolResult={"toolUseId": "t1"}), delta(1, toolResult=[{"text": "found"}]), delta(2, text="So."), ("messageStop", {"stopReason": "tool_use"}),
    ) == [Acted("nova_grounding"), TextDelta("So."), Finished("stop", "tool_use")]  # fmt: skip


def test_citations_name_their_source() -> None:
    assert read(
        delta(0, citation={"title": "T", "sourceContent": [{"text": "a"}, {"text": "b"}], "location": {"web": {"url": "https://example.com", "domain": "example.com"}}}),
        delta(0, citation={"source": "Document 1", "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}}}),
    ) == [Cited("https://example.com", "T", "ab"), Cited("Document 1")]  # fmt: skip


def test_an_image_is_told_once_it_is_whole() -> None:
    first, last = base64.b64encode(b"a").decode(), base64.b64encode(b" dot").decode()
    assert read(
        start(0, image={"format": "webp"}), delta(0, image={"source": {"bytes": first}}), delta(0, image={"source": {"bytes": last}}),
        ("contentBlockStop", {"contentBlockIndex": 0}), ("contentBlockStop", {"contentBlockIndex": 0}),
    ) == [Drawn("data:image/webp;base64," + base64.b64encode(b"a dot").decode())]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "payload", "failed"),
    [
        ("throttlingException", {"message": "Too many requests"}, Failed("Too many requests", "throttlingException", 429)),
        ("validationException", {"message": "Bad"}, Failed("Bad", "validationException", 400)),
        ("internalServerException", {}, Failed("internalServerException", "internalServerException", 500)),
        ("serviceUnavailableException", {"Message": "Later"}, Failed("Later", "serviceUnavailableException", 503)),
        ("modelStreamErrorException", {"message": "Broke", "originalStatusCode": 529, "originalMessage": "x"}, Failed("Broke", "modelStreamErrorException", 529)),
        ("modelStreamErrorException", {"originalMessage": "x"}, Failed("x", "modelStreamErrorException", 424)),
        ("odd exception!", {"message": "?"}, Failed("?", "upstream_error", 500)),
    ],
)
def test_an_exception_is_a_failure_with_a_status_and_the_end(kind: str, payload: Json, failed: Failed) -> None:
    reader = Reader()
    assert read((f":exception:{kind}", payload), reader=reader) == [failed] and reader.is_done


def test_an_exception_that_says_nothing_is_a_failure_all_the_same() -> None:
    assert Reader().read(b":exception:throttlingException", b"") == [Failed("throttlingException", "throttlingException", 429)]


def test_unknown_events_blocks_and_members_give_nothing() -> None:
    assert read(("initial-response", {}), ("newEvent", {"a": 1}), start(0, newBlock={}), delta(0, newDelta={"a": [1]}), delta(7, toolUse={"input": "{}"})) == []


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"delta":{"text":1}}', b'{"delta":{"text":"\xff"}}', b"", b'{"delta":{"image":{"source":{"bytes":"!"}}},"contentBlockIndex":9}x'])
def test_what_cannot_be_read_is_a_bad_answer(payload: bytes) -> None:
    with pytest.raises(BadAnswer, match="contentBlockDelta"):
        Reader().read(b"contentBlockDelta", payload)


# ---------------------------------------------------------------- JSON


def test_a_whole_answer_is_the_same_events() -> None:
    events = read_answer(answer(
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}}, {"reasoningContent": {"redactedContent": base64.b64encode(b"E").decode()}},
        {"text": "Paris"}, {"toolUse": use("look", "a", input={"x": [1, 2.50]}, type="tool_use")}, {"toolUse": use("wait", "b", input={})},
        {"newBlock": 1}, {"image": {"format": "png", "source": {"bytes": "YQ=="}}}, stop="tool_use",
    ))  # fmt: skip
    assert events == [
        Begun(), ThoughtDelta(0, "Hm", signature="c2ln", format="anthropic-claude-v1"), ThoughtDelta(1, encrypted="E", format="anthropic-claude-v1"), TextDelta("Paris"),
        CallBegun(0, "a", "look"), CallDelta(0, '{"x": [1, 2.5]}'), CallBegun(1, "b", "wait"), CallDelta(1, "{}"), Drawn("data:image/png;base64,YQ=="),
        Told(Usage(5, 7)), Finished("tool_calls", "tool_use"),
    ]  # fmt: skip


def test_a_whole_structured_answer_is_text() -> None:
    events = read_answer(answer({"toolUse": use(OUTPUT_PREFIX + "json", input={"a": 1})}, stop="tool_use"))
    assert events[1:] == [TextDelta('{"a": 1}', 0), Told(Usage(5, 7)), Finished("stop", "tool_use")]


def test_cited_text_is_text_and_its_place_is_told() -> None:
    cited = {"content": [{"text": "is "}, {"text": "big"}], "citations": [{"title": "T", "location": {"web": {"url": "https://example.com"}}}]}
    events = read_answer(answer({"text": "Paris "}, {"citationsContent": cited}))
    assert events[1:4] == [TextDelta("Paris "), TextDelta("is big"), Cited("https://example.com", "T", "", 6, 12)]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("model_context_window_exceeded", "length"), ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"), ("malformed_tool_use", "error"), ("malformed_model_output", "error"), ("something_new", "stop"), ("", "stop"),
    ],
)  # fmt: skip
def test_every_stop_has_a_reason(stop: str, reason: str) -> None:
    assert read_answer(answer({"text": "x"}, stop=stop))[-1] == Finished(reason, stop)  # type: ignore[arg-type]
    assert read(("messageStop", {"stopReason": stop})) == [Finished(reason, stop)]  # type: ignore[arg-type]


def test_a_finish_with_calls_is_one_of_calls_unless_it_was_cut() -> None:
    call = {"toolUse": use("look", input={})}
    assert read_answer(answer(call, stop="end_turn"))[-1] == Finished("tool_calls", "end_turn")
    assert read_answer(answer(call, stop="max_tokens"))[-1] == Finished("length", "max_tokens")


def test_the_sequence_that_stopped_it_is_told() -> None:
    more = {"additionalModelResponseFields": {"stop_sequence": "END"}}
    assert read_answer(answer({"text": "x"}, stop="stop_sequence", **more))[-1] == Finished("stop", "stop_sequence", "END")
    assert read(("messageStop", {"stopReason": "stop_sequence"} | more)) == [Finished("stop", "stop_sequence", "END")]
    for other in (None, [], "x", {"stop_sequence": 1}, {"stop_sequence": None}):
        assert read_answer(answer({"text": "x"}, additionalModelResponseFields=other))[-1] == Finished("stop", "end_turn")


# ---------------------------------------------------------------- usage


def test_what_was_cached_belongs_to_the_prompt() -> None:
    told = {"inputTokens": 10, "outputTokens": 3, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 40, "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 10}]}
    usage = Usage(150, 3, cache_read_tokens=100, cache_write_tokens=40, cache_write_1h_tokens=30)
    assert Told(usage) in read_answer(answer({"text": "x"}, usage=told)) and read(("metadata", {"usage": told})) == [Told(usage)]


@pytest.mark.parametrize(
    "told",
    [None, {}, [], "x", {"inputTokens": -1, "outputTokens": 1}, {"inputTokens": 1, "outputTokens": 10**10}, {"inputTokens": "5", "outputTokens": 1}, {"inputTokens": 5},
     {"inputTokens": 5, "outputTokens": 5, "cacheReadInputTokens": -3}, {"inputTokens": 5.5, "outputTokens": 1}],
)  # fmt: skip
def test_numbers_that_cannot_be_are_not_told(told: object) -> None:
    assert read_answer(answer({"text": "x"}, usage=told)) == [Begun(), TextDelta("x"), Finished("stop", "end_turn")]
    assert read(("metadata", {"usage": told})) == [] == read(("metadata", {}))


def test_an_hour_that_is_more_than_all_is_not_believed() -> None:
    told = TOLD | {"cacheWriteInputTokens": 3, "cacheDetails": [{"ttl": "1h", "inputTokens": 4}]}
    assert read(("metadata", {"usage": told})) == [Told(Usage(8, 7, cache_write_tokens=3))]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("body", "status", "failed"),
    [
        (b'{"message":"The model id is wrong."}', 400, Failed("The model id is wrong.", "upstream_error", 400)),
        (b'{"Message":"No."}', 403, Failed("No.", "upstream_error", 403)),
        (b'{"__type":"com.amazon.coral#ThrottlingException","message":"Slow"}', 429, Failed("Slow", "ThrottlingException", 429)),
        (b'{"__type":"ExpiredToken"}', 403, Failed("ExpiredToken", "ExpiredToken", 403)),
        (b'{"__type":"not a code","message":"x"}', 500, Failed("x", "upstream_error", 500)),
        (b"<html>Bad gateway</html>", 502, Failed("<html>Bad gateway</html>", "upstream_error", 502)),
        (b"", 503, Failed("status 503", "upstream_error", 503)), (b'{"message":5}', 500, Failed('{"message":5}', "upstream_error", 500)),
        (b"\xff\xfe", 500, Failed("��", "upstream_error", 500)),
    ],
)  # fmt: skip
def test_an_error_is_read_however_it_is_worded(body: bytes, status: int, failed: Failed) -> None:
    assert read_error(body, status) == failed


def test_an_error_in_a_success_is_a_failure() -> None:
    assert read_answer(b'{"__type":"x#ThrottlingException","message":"Slow"}') == [Failed("Slow", "ThrottlingException", 429)]
    assert read_answer(b'{"message":"Odd"}') == [Failed("Odd", "upstream_error", 500)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"output":{}}', b'{"output":{"message":{"content":[1]}}}', b'{"output":{"message":{"content":[{"text":"\xff"}]}}}', b"[" * 100_000])
def test_what_is_no_answer_is_a_bad_one(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_answer(body)


# ---------------------------------------------------------------- both say the same

pieces = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["text", "thought", "call", "answer"]), pieces), max_size=6), st.sampled_from(["end_turn", "tool_use", "max_tokens"]))
def test_a_stream_folds_to_what_the_whole_answer_says(said: list[tuple[str, list[str]]], stop: str) -> None:
    blocks: list[Json] = []
    events: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
    for at, (kind, parts) in enumerate(said):
        whole = "".join(parts)
        if kind == "text":
            blocks.append({"text": whole})
            events += [delta(at, text=part) for part in parts]
        elif kind == "thought":
            blocks.append({"reasoningContent": {"reasoningText": {"text": whole, "signature": "c2ln"}}})
            events += [*(delta(at, reasoningContent={"text": part}) for part in parts), delta(at, reasoningContent={"signature": "c2ln"})]
        else:
            name = "look" if kind == "call" else OUTPUT_PREFIX + "json"
            text = json.dumps({"a": whole})
            blocks.append({"toolUse": use(name, f"id{at}", input={"a": whole})})
            events += [start(at, toolUse=use(name, f"id{at}")), *(delta(at, toolUse={"input": text[n : n + 3]}) for n in range(0, len(text), 3))]
        events.append(("contentBlockStop", {"contentBlockIndex": at}))
    events += [("messageStop", {"stopReason": stop}), ("metadata", {"usage": TOLD})]
    streamed = fold(read(*events))
    assert streamed == fold(read_answer(answer(*blocks, stop=stop)))
    assert isinstance(streamed, Answer) and all(isinstance(block, Text | Thought | ToolCall) for block in streamed.blocks)

"""Answers to callers who speak Responses."""

import json
from collections.abc import Iterable
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from openai.types.responses import Response, ResponseStreamEvent
from openrouter.components import OpenResponsesResult, StreamEvents
from pydantic import TypeAdapter

from kilo_gateway.core.errors import TimedOut
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects import sse
from kilo_gateway.dialects.hub.answered import (
    Answer,
    AnswerHead,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Finished,
    FinishReason,
    RefusalDelta,
    Spoken,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Message, Request, Target, Thought, ToolCall
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.responses.asking import read_request, write_request
from kilo_gateway.dialects.responses.envelope import unseal
from kilo_gateway.dialects.responses.reading import Reader, read_answer
from kilo_gateway.dialects.responses.writing import PING, Writer, error_body, error_events, write_answer

HEAD = AnswerHead("gen-1", 7, "lab/m", "Lab")
USAGE = Usage(10, 5, cache_read_tokens=4, cache_write_tokens=2, reasoning_tokens=3)
Json = dict[str, Any]


def stream(events: Iterable[Event], head: AnswerHead = HEAD, usage: Usage = USAGE, cost: float | None = 0.25) -> bytes:
    """Each event in a write of its own."""
    writer = Writer(head)
    return b"".join([writer.write([event]) for event in events]) + writer.end(usage, cost)


def split(body: bytes) -> list[tuple[bytes, bytes]]:
    splitter = sse.Splitter()
    return splitter.feed(body) + splitter.rest()


def sent(*events: Event, head: AnswerHead = HEAD) -> list[Json]:
    found: list[Json] = []
    for name, data in split(stream(events, head)):
        found.append(json.loads(data))
        assert found[-1]["type"] == name.decode()
    assert [each["sequence_number"] for each in found] == list(range(len(found)))
    return found


def whole(*events: Event, head: AnswerHead = HEAD) -> Json:
    """The JSON answer, which the end of the stream says too."""
    told: Json = json.loads(write_answer(fold(events), head, USAGE, 0.25))
    assert sent(*events, head=head)[-1]["response"] == told
    return told


def kinds(events: list[Json]) -> list[str]:
    return [each["type"].removeprefix("response.") for each in events]


def read_again(body: bytes) -> Answer:
    reader = Reader()
    return fold([event for name, data in split(body) for event in reader.read(name, data)])


def test_a_text_is_streamed_as_openai_does() -> None:
    told = sent(Begun("up", "m", 7), TextDelta("Hel"), TextDelta("lo."), Finished("stop", "end_turn"), Told(USAGE))
    assert kinds(told) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert told[4] == {
        "type": "response.output_text.delta", "item_id": "msg_gen1_0", "output_index": 0, "content_index": 0, "logprobs": [],
        "delta": "Hel", "sequence_number": 4,
    }  # fmt: skip
    last = told[-1]["response"]
    assert (last["id"], last["status"], last["model"], last["provider"]) == ("gen-1", "completed", "lab/m", "Lab")
    assert last["output"][0]["content"] == [{"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}]
    assert last["usage"] == {
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15, "cost": 0.25,
    }  # fmt: skip


def test_every_kind_of_event_stands_in_its_place() -> None:
    told = sent(
        ThoughtDelta(0, summary="s"), ThoughtDelta(0, text="t"), TextDelta("a"), Cited("https://x/", "X", "", 0, 1), RefusalDelta("no"),
        CallBegun(0, "c1", "f"), CallDelta(0, "{}"), Drawn("data:image/png;base64,QUJD"), Finished("tool_calls"),
    )  # fmt: skip
    assert kinds(told)[2:] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "content_part.added", "reasoning_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.annotation.added", "output_text.done", "content_part.done",
        "content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "output_item.done", "completed",
    ]  # fmt: skip
    last = told[-1]["response"]["output"]
    assert [item["type"] for item in last] == ["reasoning", "message", "function_call", "image_generation_call"]
    assert [part["type"] for part in last[1]["content"]] == ["output_text", "refusal"]
    done = [each["item"] for each in told if each["type"] == "response.output_item.done"]
    assert done == last


def test_parallel_calls_may_come_by_turns_and_are_closed_in_their_order() -> None:
    told = sent(
        CallBegun(0, "c1", "f"), CallDelta(0, '{"a"'), CallBegun(1, "c2", "g"), CallDelta(1, '{"b":2}'), CallDelta(0, ":1}"), CallBegun(2, "c3", "h"),
        Finished("tool_calls"),
    )  # fmt: skip
    done = [each["item"] for each in told if each["type"] == "response.output_item.done"]
    assert [(item["call_id"], item["arguments"]) for item in done] == [("c1", '{"a":1}'), ("c2", '{"b":2}'), ("c3", "{}")]
    assert [each["delta"] for each in told if each["type"].endswith("arguments.delta") and each["output_index"] == 2] == ["{}"]


def test_a_thought_ends_before_what_follows_from_it() -> None:
    told = sent(
        ThoughtDelta(0, text="a", format="anthropic-claude-v1"), ThoughtDelta(0, signature="sig"), CallBegun(0, "c1", "f"), CallDelta(0, "{}"),
        ThoughtDelta(1, text="b"), TextDelta("c"), CallBegun(1, "c2", "g"), TextDelta("d"), Finished("tool_calls"),
    )  # fmt: skip
    done = [each["output_index"] for each in told if each["type"] == "response.output_item.done"]
    assert done == sorted(done) == [0, 1, 2, 3, 4, 5]


def test_pieces_of_what_is_closed_are_not_lost_for_a_thought() -> None:
    told = sent(ThoughtDelta(0, text="a"), ThoughtDelta(0, encrypted="gAAA", format="openai-responses-v1", id="rs_1"), TextDelta("b"), Finished("stop"))
    first = told[-1]["response"]["output"][0]
    assert first == {"id": "rs_kilo_gen1_0", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "a"}], "encrypted_content": "gAAA"}
    late = sent(ThoughtDelta(0, text="a"), TextDelta("b"), ThoughtDelta(0, signature="sig", format="anthropic-claude-v1"), Finished("stop"))
    items = late[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["reasoning", "message", "reasoning"] and items[2]["encrypted_content"].startswith("kilo:")


def test_ids_of_openais_own_thoughts_are_kept_once() -> None:
    told = sent(ThoughtDelta(0, encrypted="x", format="openai-responses-v1", id="rs_9"), TextDelta("b"),
                ThoughtDelta(0, encrypted="y", format="openai-responses-v1", id="rs_9"), Finished("stop"))  # fmt: skip
    assert [item["id"] for item in told[-1]["response"]["output"]] == ["rs_9", "msg_gen1_1", "rs_kilo_gen1_2"]


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None), ("tool_calls", "completed", None), ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}), ("error", "failed", None),
    ],
)  # fmt: skip
def test_every_end_is_told(reason: FinishReason, status: str, details: Json | None) -> None:
    told = sent(TextDelta("a"), Finished(reason))
    assert told[-1]["type"] == f"response.{status}"
    last = told[-1]["response"]
    assert (last["status"], last["incomplete_details"]) == (status, details)
    assert last["output"][0]["status"] == ("completed" if status == "completed" else "incomplete")
    assert (last["error"] is None) == (status != "failed")


def test_a_refusal_is_an_answer() -> None:
    told = whole(RefusalDelta("No."), Finished("stop"))
    assert told["status"] == "completed" and told["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_refusal_by_a_filter_is_incomplete_and_has_its_words() -> None:
    told = whole(RefusalDelta("No."), Finished("content_filter"))
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert told["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_an_unknown_cost_is_null_and_an_estimate_says_so() -> None:
    [*_, last] = split(stream([TextDelta("a"), Finished("stop")], usage=Usage(1, 2, is_estimated=True), cost=None))
    usage = json.loads(last[1])["response"]["usage"]
    assert usage["cost"] is None and usage["estimated"] is True


def test_citations_are_placed_in_their_own_message() -> None:
    told = whole(
        TextDelta("One. "), CallBegun(0, "c", "f"), TextDelta("Two."), Cited("https://x/", "X", "", 5, 8), Cited("https://y/"), Finished("tool_calls"),
    )  # fmt: skip
    notes = told["output"][2]["content"][0]["annotations"]
    assert [(note["url"], note["start_index"], note["end_index"]) for note in notes] == [("https://x/", 0, 3), ("https://y/", 0, 0)]


def test_a_citation_waits_for_its_text_or_stands_in_the_whole_alone() -> None:
    early = sent(Cited("https://x/"), TextDelta("a"), Finished("stop"))
    assert "response.output_text.annotation.added" in [each["type"] for each in early]
    late = sent(TextDelta("a"), CallBegun(0, "c", "f"), Cited("https://x/"), Finished("tool_calls"))
    assert late[-1]["response"]["output"][0]["content"][0]["annotations"][0]["url"] == "https://x/"
    assert sent(Cited("https://x/"), Finished("stop"))[-1]["response"]["output"] == []


def test_sound_is_told_by_its_words_and_a_linked_image_as_a_link() -> None:
    told = whole(Spoken("QUJD", "Hello."), Finished("stop"))
    assert told["output"][0]["content"][0]["text"] == "Hello."
    told = whole(Drawn("https://x/a.png"), Finished("stop"))
    assert told["output"][0]["content"][0]["text"] == "![image](https://x/a.png)"


def test_a_freeform_tool_is_called_with_plain_text() -> None:
    head = AnswerHead("gen-1", 7, "lab/m", "Lab", frozenset({"apply_patch"}))
    text = '*** "Begin"\n'
    arguments = json.dumps({"input": text})
    events = (CallBegun(0, "c", "apply_patch"), CallDelta(0, arguments[:9]), CallDelta(0, arguments[9:]), Finished("tool_calls"))
    told = sent(*events, head=head)
    assert kinds(told)[2:] == ["output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done", "completed"]
    assert told[3]["delta"] == told[4]["input"] == text
    [item] = whole(*events, head=head)["output"]
    assert item == {"id": "ctc_gen1_0", "type": "custom_tool_call", "status": "completed", "call_id": "c", "name": "apply_patch", "input": text}
    [odd] = whole(CallBegun(0, "c", "apply_patch"), CallDelta(0, '{"patch":1}'), Finished("tool_calls"), head=head)["output"]
    assert odd["input"] == '{"patch":1}'


def test_a_broken_stream_ends_with_one_failure_that_has_all_that_was_said() -> None:
    writer = Writer(HEAD)
    before = split(writer.write([ThoughtDelta(0, text="t"), TextDelta("Hel")]))
    [(name, data)] = split(writer.fail(TimedOut("Lab was silent for 60 s.")))
    told = json.loads(data)
    assert name == b"response.failed" and told["sequence_number"] == len(before)
    response = told["response"]
    assert response["status"] == "failed" and response["error"]["code"] == "upstream_timeout" and "silent" in response["error"]["message"]
    assert response["output"][1]["content"][0]["text"] == "Hel"
    [(name, _)] = split(error_events(TimedOut("x"), HEAD))
    assert name == b"response.failed"


def test_an_error_is_worded_as_openai_does() -> None:
    assert json.loads(error_body(TimedOut("x", {"provider": "Lab"}))) == {
        "error": {"message": "x", "type": "upstream_error", "code": "upstream_timeout", "param": None, "metadata": {"provider": "Lab"}}
    }


def test_a_ping_is_no_event() -> None:
    assert split(PING) == []


# ---------------------------------------------------------------- what a caller sends back


def replayed(events: Iterable[Event], keep: frozenset[str] | None = None) -> tuple[Message, ...]:
    """The items as a client puts them into its next request; `keep`: the members that it keeps of reasoning."""
    found = list(events)
    streamed = [each["item"] for each in sent(*found) if each["type"] == "response.output_item.done"]
    assert streamed == json.loads(write_answer(fold(found), HEAD, USAGE, None))["output"]
    items = [{name: value for name, value in item.items() if keep is None or item["type"] != "reasoning" or name in keep} for item in streamed]
    return read_request({"model": Raw(b'"m"'), "input": Raw(json.dumps(items).encode())}).messages


CODEX = frozenset({"type", "summary", "content", "encrypted_content"})
KILO = frozenset({"type", "summary", "encrypted_content"})


@pytest.mark.parametrize("keep", [None, CODEX, KILO])
def test_signatures_of_other_providers_return_unharmed(keep: frozenset[str] | None) -> None:
    [message] = replayed([
        ThoughtDelta(0, text="I th", format="anthropic-claude-v1"), ThoughtDelta(0, text="ink.", format="anthropic-claude-v1"),
        ThoughtDelta(0, signature="sig=", format="anthropic-claude-v1"), ThoughtDelta(1, encrypted="blob", format="anthropic-claude-v1"),
        CallBegun(0, "c1", "f", "c2ln"), CallDelta(0, "{}"), CallBegun(1, "c2", "f"), CallDelta(1, "{}"), Finished("tool_calls"),
    ], keep)  # fmt: skip
    assert message.parts == (
        Thought("I think.", "", "sig=", "", "anthropic-claude-v1"), Thought("", "", "", "blob", "anthropic-claude-v1"),
        ToolCall("c1", "f", "{}", "c2ln"), ToolCall("c2", "f", "{}"),
    )  # fmt: skip


def test_none_of_it_reaches_another_provider_and_openais_own_does() -> None:
    messages = replayed([
        ThoughtDelta(0, text="t", signature="sig", format="anthropic-claude-v1"), CallBegun(0, "c1", "f", "c2ln"), CallDelta(0, "{}"),
        ThoughtDelta(1, summary="s", encrypted="gAAA", format="openai-responses-v1", id="rs_1"), TextDelta("a"), Finished("tool_calls"),
    ])  # fmt: skip
    told = json.loads(write_request(Request(model="m", messages=messages), Target("m")).body)
    assert told["input"] == [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
    ]


def test_plain_reasoning_has_no_envelope() -> None:
    [message] = replayed([ThoughtDelta(0, text="t"), Finished("stop")])
    assert message.parts == (Thought("t"),)
    assert "encrypted_content" not in whole(ThoughtDelta(0, text="t"), Finished("stop"))["output"][0]


# ---------------------------------------------------------------- properties

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
FORMATS: list[Any] = ["", "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "unknown"]


@st.composite
def answers(draw: st.DrawFn, signs_all: bool = True) -> list[Event]:
    """Blocks in any order, each in pieces; what may come by turns does. `signs_all`: not the first call alone."""
    events: list[Event] = [Begun("up", "m", 7)]
    thoughts = calls = said = 0
    for kind in draw(st.lists(st.sampled_from(["text", "thought", "calls", "image", "cited"]), max_size=6)):
        if kind == "text":
            for text in draw(st.lists(TEXTS, min_size=1, max_size=3)):
                events.append(TextDelta(text))
                said += len(text)
            if draw(st.booleans()):
                events.append(Cited("https://x/", "X", "", said - 1, said))
        elif kind == "thought":
            format = draw(st.sampled_from(FORMATS))
            field = draw(st.sampled_from(["text", "summary"]))
            events += [ThoughtDelta(thoughts, **{field: text}, format=format) for text in draw(st.lists(TEXTS, min_size=1, max_size=2))]
            last = draw(st.sampled_from(["signature", "encrypted", ""]))
            events += [ThoughtDelta(thoughts, **{last: draw(TEXTS)}, format=format)] if last else []
            thoughts += 1
        elif kind == "calls":
            count = draw(st.integers(1, 3))
            events += [CallBegun(calls + nth, f"c{calls + nth}", "f", draw(st.sampled_from(["", "c2ln"])) if signs_all or not calls + nth else "") for nth in range(count)]
            events += draw(st.permutations([CallDelta(calls + nth, '{"a":1}') for nth in range(count)]))
            calls += count
        elif kind == "image":
            events.append(Drawn("data:image/png;base64,QUJD"))
    if draw(st.booleans()):
        events.append(RefusalDelta(draw(TEXTS)))
    events.append(Finished(draw(st.sampled_from(["stop", "length"]))))
    return events


@given(answers(signs_all=False), st.integers(0, 8))
def test_a_stream_and_the_json_answer_are_the_same(events: list[Event], cut: int) -> None:
    body = write_answer(fold(events), HEAD, USAGE, 0.25)
    out = stream(events)
    assert json.loads(split(out)[-1][1])["response"] == json.loads(body)
    assert read_again(out) == fold(read_answer(body))
    writer = Writer(HEAD)
    assert writer.write(events[:cut]) + writer.write(events[cut:]) + writer.end(USAGE, 0.25) == out


@given(answers())
def test_what_was_said_is_read_again(events: list[Event]) -> None:
    before, after = fold(events), read_again(stream(events))
    assert [block for block in before.blocks if not isinstance(block, Thought | ToolCall)] == [
        block for block in after.blocks if not isinstance(block, Thought | ToolCall)
    ]
    calls = [(block.id, block.name, block.arguments) for block in before.blocks if isinstance(block, ToolCall)]
    assert calls == [(block.id, block.name, block.arguments) for block in after.blocks if isinstance(block, ToolCall)]
    thoughts = [block for block in after.blocks if isinstance(block, Thought) and not ((seal := unseal(block.encrypted)) and seal.call)]
    assert [(block.text, block.summary) for block in before.blocks if isinstance(block, Thought)] == [(each.text, each.summary) for each in thoughts]
    assert (before.refusal, before.cited) == (after.refusal, after.cited) and after.usage == USAGE


@given(answers())
def test_thoughts_and_signatures_return_through_the_caller(events: list[Event]) -> None:
    before = fold(events)
    parts = [part for message in replayed(events) for part in message.parts if isinstance(part, Thought | ToolCall)]
    expected: list[Thought | ToolCall] = []
    for block in before.blocks:
        if isinstance(block, ToolCall):
            expected.append(block)
        elif isinstance(block, Thought):
            is_bare = block.format == "openai-responses-v1" and not (block.encrypted or block.signature)
            expected.append(Thought(block.text, block.summary) if is_bare else block)
    assert parts == expected


@given(answers())
def test_the_official_sdks_read_every_event(events: list[Event]) -> None:
    body = write_answer(fold(events), HEAD, USAGE, 0.25)
    Response.model_validate_json(body)
    OpenResponsesResult.model_validate_json(body)
    for _, data in split(stream(events)):
        _OPENAI.validate_json(data)
        kind = type(_OPENROUTER.validate_python(json.loads(data))).__name__
        assert not kind.startswith("Unknown") or b"custom_tool" in data, data


_OPENAI: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_OPENROUTER: TypeAdapter[Any] = TypeAdapter(StreamEvents)


# ---------------------------------------------------------------- the SDK itself


def sdk(body: bytes, kind: str) -> openai.OpenAI:
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, content=body, headers={"content-type": kind}))
    return openai.OpenAI(api_key="k", base_url="http://gateway", http_client=httpx2.Client(transport=answer))


SAID: list[Event] = [
    ThoughtDelta(0, text="I think.", format="anthropic-claude-v1"), ThoughtDelta(0, signature="sig", format="anthropic-claude-v1"), TextDelta("Hel"),
    TextDelta("lo."), CallBegun(0, "c1", "f"), CallDelta(0, '{"a"'), CallDelta(0, ":1}"), Finished("tool_calls"),
]  # fmt: skip


def test_the_openai_sdk_puts_the_stream_together() -> None:
    with sdk(stream(SAID), "text/event-stream") as client, client.responses.stream(model="m", input="Hi") as told:
        seen = [event.type for event in told]
        final = told.get_final_response()
    assert seen[0] == "response.created" and seen[-1] == "response.completed"
    assert final.output_text == "Hello." and final.usage is not None and final.usage.total_tokens == 15
    [thought, _, call] = final.output
    assert thought.type == "reasoning" and (thought.encrypted_content or "").startswith("kilo:")
    assert call.type == "function_call" and (call.call_id, call.arguments) == ("c1", '{"a":1}')


def test_the_openai_sdk_reads_the_json_answer_and_a_failure() -> None:
    with sdk(write_answer(fold(SAID), HEAD, USAGE, 0.25), "application/json") as client:
        assert client.responses.create(model="m", input="Hi").output_text == "Hello."
    writer = Writer(HEAD)
    broken = writer.write(SAID[:3]) + writer.fail(TimedOut("silent"))
    with sdk(broken, "text/event-stream") as client:
        [*_, last] = client.responses.create(model="m", input="Hi", stream=True)
        assert last.type == "response.failed" and last.response.error is not None and last.response.error.message == "silent"


def test_a_call_of_a_namespaces_tool_has_the_name_that_the_caller_knows() -> None:
    events: list[Event]
    head = AnswerHead("gen-1", 7, "lab/m", "Lab", frozenset({"n__patch"}), {"n__f": ("n", "f"), "n__patch": ("n", "patch")})
    events = [CallBegun(at, f"c{at}", name) for at, name in enumerate(("n__f", "n__patch", "g"))]
    events += [CallDelta(at, '{"input":"x"}') for at in range(3)]
    found = sent(*events, head=head)
    items = [each["item"] for each in found if each["type"] == "response.output_item.done"]
    assert [(each["name"], each.get("namespace")) for each in items] == [("f", "n"), ("patch", "n"), ("g", None)]
    assert [each["name"] for each in found if each["type"] == "response.function_call_arguments.done"] == ["f", "g"]
    assert whole(*events, head=head)["output"] == items

"""Requests for upstreams that speak Responses."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    Effort,
    File,
    Image,
    Message,
    Output,
    Part,
    Request,
    Target,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
    Written,
)
from kilo_gateway.dialects.responses.asking import read_request, write_request

TARGET = Target("gpt-lab", max_output=32_000)
USER = Message("user", (Text("Hi"),))
OWN = Thought("", "sum", "", "gAAA", "openai-responses-v1", "rs_1")


def written(target: Target = TARGET, **members: Any) -> Written:
    return write_request(Request(**({"model": "m", "messages": (USER,)} | members)), target)


def body(target: Target = TARGET, **members: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(written(target, **members).body)
    return told


def items(*messages: Message) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(messages=messages)["input"]
    return found


def test_nothing_is_stored_and_what_was_thought_is_asked_for_encrypted() -> None:
    assert body() == {
        "model": "gpt-lab", "store": False, "include": ["reasoning.encrypted_content"],
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    }  # fmt: skip
    assert body(is_stream=True)["stream"] is True


def test_the_first_system_message_is_instructions_and_later_ones_are_the_developers() -> None:
    system = Message("system", (Text("S"),))
    told = body(messages=(system, USER, system))
    assert told["instructions"] == "S"
    assert [item["role"] for item in told["input"]] == ["user", "developer"]


def test_input_is_never_empty() -> None:
    assert body(messages=(Message("system", (Text("S"),)),))["input"][0]["role"] == "developer"


def test_parts_of_every_kind_are_written() -> None:
    [item] = items(Message("user", (
        Image("https://x/a.png"), Image("data:image/png;base64,QUJD", "high"), File("data:application/pdf;base64,QUJD"),
        File("https://x/a.pdf"), File(id="file_1"), Audio("QUJD", "wav"),
    )))  # fmt: skip
    assert item["content"] == [
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"},
        {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "high"},
        {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,QUJD"},
        {"type": "input_file", "file_url": "https://x/a.pdf"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
    ]


def test_a_turn_of_the_assistant_keeps_its_order() -> None:
    told = items(
        USER,
        Message("assistant", (OWN, Text("I look."), ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}"))),
        Message("tool", (ToolResult("c1", (Text("a"),)), ToolResult("c2", (Text("b"), Image("https://x/a.png"))), ToolResult("c3", ()))),
    )  # fmt: skip
    assert told[1:] == [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "sum"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "a"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "b"}, {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"}]},
        {"type": "function_call_output", "call_id": "c3", "output": ""},
    ]


@pytest.mark.parametrize(
    ("thought", "why"),
    [
        (Thought("t", "", "sig", "", "anthropic-claude-v1"), "reasoning of another provider left out"),
        (Thought("", "", "", "blob", "xai-responses-v1"), "reasoning of another provider left out"),
        (Thought("t"), "reasoning of another provider left out"),
        (Thought("", "s", "", "", "openai-responses-v1"), "reasoning without its encrypted part left out"),
    ],
)  # fmt: skip
def test_only_what_this_family_encrypted_goes_back(thought: Thought, why: str) -> None:
    told = written(messages=(USER, Message("assistant", (thought, ToolCall("c", "f", "{}", "c2ln")))))
    assert told.changed == (why,)
    assert [item["type"] for item in json.loads(told.body)["input"]] == ["message", "function_call"]
    assert b"sig" not in told.body and b"blob" not in told.body and b"c2ln" not in told.body


def test_what_has_no_place_is_named() -> None:
    told = written(
        messages=(Message("user", (Text("x"), Video("https://x/v"))), Message("assistant", (Image("data:image/png;base64,QUJD"),)),
                  Message("tool", (ToolResult("c", (Text("no"),), is_error=True),))),
        top_k=1, min_p=0.1, stop=("END",), seed=7, frequency_penalty=0.1, presence_penalty=0.1, repetition_penalty=1.1,
        logit_bias=Raw(b"{}"), choices=2, service_tier="standard_only", tool_choice=ToolChoice("required"),
    )  # fmt: skip
    assert set(told.dropped) == {
        "videos", "images of the assistant", "is_error", "top_k", "min_p", "stop", "seed", "frequency_penalty",
        "presence_penalty", "repetition_penalty", "logit_bias", "choices", "service_tier", "tool_choice",
    }  # fmt: skip


def test_what_a_model_does_not_know_is_not_sent() -> None:
    told = written(
        Target("m", parameters=frozenset({"tools"})),
        temperature=1.0, top_p=0.5, verbosity="low", logprobs=2, thinking=Thinking(True, "high"),
    )  # fmt: skip
    assert set(told.dropped) == {"temperature", "top_p", "verbosity", "logprobs", "reasoning"}
    assert json.loads(told.body).keys() == {"model", "store", "input"}


def test_values_out_of_range_are_clamped_and_told() -> None:
    told = written(max_tokens=90_000, temperature=2.5, top_p=-1.0)
    assert [each.split(",")[0] for each in told.clamped] == ["max_tokens: 32000", "temperature: 2", "top_p: 0"]
    assert json.loads(told.body).items() >= {"max_output_tokens": 32_000, "temperature": 2, "top_p": 0}.items()
    assert written(max_tokens=5).clamped == ("max_tokens: 16, the least that is taken",)


def test_logprobs_are_asked_for() -> None:
    assert body(logprobs=0)["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert body(logprobs=5)["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice("auto"), "auto"), (ToolChoice("none"), "none"), (ToolChoice("required"), "required"),
        (ToolChoice("tool", "f"), {"type": "function", "name": "f"}), (None, None),
    ],
)  # fmt: skip
def test_every_choice_of_tools_is_written(choice: ToolChoice | None, told: object) -> None:
    sent = body(tools=(Tool("f", "d", Raw(b'{"type":"object"}')),), tool_choice=choice, allows_parallel=False)
    assert sent.get("tool_choice") == told and sent["parallel_tool_calls"] is False
    assert sent["tools"] == [{"type": "function", "name": "f", "description": "d", "strict": False, "parameters": {"type": "object"}}]


def test_a_tool_without_a_schema_has_an_empty_one() -> None:
    assert body(tools=(Tool("f"),))["tools"][0]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("thinking", "max_tokens", "told"),
    [
        (Thinking(True, "xhigh"), None, {"effort": "xhigh", "summary": "auto"}),
        (Thinking(True, max_tokens=9_500), 10_000, {"effort": "high", "summary": "auto"}),
        (Thinking(True, max_tokens=5_000), 10_000, {"effort": "medium", "summary": "auto"}),
        (Thinking(True, max_tokens=1_000), 10_000, {"effort": "low", "summary": "auto"}),
        (Thinking(True, max_tokens=31_000), None, {"effort": "high", "summary": "auto"}),
        (Thinking(True), None, {"effort": "medium", "summary": "auto"}), (Thinking(False), None, {"effort": "none"}),
        (Thinking(True, "low", is_excluded=True), None, {"effort": "low"}), (Thinking(summary="detailed"), None, {"summary": "detailed"}),
    ],
)  # fmt: skip
def test_how_much_is_to_be_thought_is_written(thinking: Thinking, max_tokens: int | None, told: object) -> None:
    assert body(thinking=thinking, max_tokens=max_tokens)["reasoning"] == told


def test_the_form_of_the_answer_is_written() -> None:
    assert body(output=Output(), verbosity="max")["text"] == {"format": {"type": "json_object"}, "verbosity": "high"}
    assert body(output=Output(Raw(b'{"a":1}'), "", "d", True))["text"]["format"] == {
        "type": "json_schema", "name": "answer", "description": "d", "schema": {"a": 1}, "strict": True,
    }  # fmt: skip


def test_marks_of_a_cache_become_a_key_that_is_the_same_for_the_same_beginning() -> None:
    marked = Message("system", (Text("S", Cache()),))
    told = written(messages=(marked, USER), user="u")
    again = written(messages=(marked, USER, USER), user="u")
    key = json.loads(told.body)["prompt_cache_key"]
    assert key == json.loads(again.body)["prompt_cache_key"] and len(key) <= 64
    assert told.changed == ("cache: marks became a prompt_cache_key",)
    assert json.loads(written(messages=(marked, USER), user="v").body)["prompt_cache_key"] != key
    own = written(messages=(marked, USER), cache_key="mine")
    assert json.loads(own.body)["prompt_cache_key"] == "mine" and own.dropped == ("cache",)
    assert "prompt_cache_key" not in body()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
IDS = st.text("abcdef_123", min_size=1, max_size=20)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, TEXTS), st.builds(Image, st.just("https://x/a.png"), st.sampled_from(["auto", "low", "high"])),
    st.builds(File, st.just("data:application/pdf;base64,QUJD"), st.just(""), TEXTS), st.builds(File, st.just("https://x/a.pdf")),
    st.builds(File, st.just(""), IDS), st.builds(Audio, st.just("QUJD"), st.sampled_from(["wav", "mp3"])),
)  # fmt: skip
OWN_THOUGHTS = st.builds(Thought, st.just(""), st.text("ab", max_size=3), st.just(""), TEXTS.filter(lambda text: not text.startswith("kilo:")),
                         st.just("openai-responses-v1"), st.one_of(st.just(""), IDS))  # fmt: skip
SAID: st.SearchStrategy[Part] = st.one_of(st.builds(Text, TEXTS), OWN_THOUGHTS, st.builds(ToolCall, IDS, IDS, st.just('{"a":1}')))
RESULTS: st.SearchStrategy[Part] = st.builds(
    ToolResult, IDS, st.lists(st.one_of(st.builds(Text, TEXTS), st.builds(Image, st.just("https://x/b.png"), st.just("low"))), max_size=3).map(tuple)
)


def messages(role: Any, parts: st.SearchStrategy[Part]) -> st.SearchStrategy[Message]:
    return st.builds(Message, st.just(role), st.lists(parts, min_size=1, max_size=4).map(tuple))


TURNS = st.tuples(messages("user", PARTS), messages("assistant", SAID), messages("tool", RESULTS), messages("system", st.builds(Text, TEXTS)))
SCHEMAS = st.dictionaries(IDS, IDS, max_size=3).map(lambda members: Raw(msgspec.json.encode(members)))
EFFORTS: list[Effort] = ["minimal", "low", "medium", "high", "xhigh", "max"]
REQUESTS = st.builds(
    Request, model=st.just("gpt-lab"), is_stream=st.booleans(),
    messages=st.lists(TURNS, min_size=1, max_size=3).map(lambda turns: tuple(message for turn in turns for message in turn)),
    tools=st.lists(st.builds(Tool, IDS, st.none() | TEXTS, SCHEMAS, st.booleans()), min_size=1, max_size=3, unique_by=lambda tool: tool.name).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, st.sampled_from(["auto", "none", "required"])) | st.builds(ToolChoice, st.just("tool"), IDS),
    allows_parallel=st.none() | st.booleans(),
    thinking=st.none() | st.just(Thinking(False, "none")) | st.builds(Thinking, st.just(True), st.sampled_from(EFFORTS), summary=st.sampled_from(["auto", "detailed"])),
    output=st.none() | st.just(Output()) | st.builds(Output, SCHEMAS, IDS, st.none() | TEXTS, st.none() | st.booleans()),
    verbosity=st.sampled_from([None, "low", "high"]), max_tokens=st.none() | st.integers(16, 32_000),
    temperature=st.none() | st.floats(0, 2), top_p=st.none() | st.floats(0, 1), logprobs=st.none() | st.integers(0, 20),
    user=st.none() | IDS, metadata=st.none() | st.just(Raw(b'{"a":"b"}')), service_tier=st.sampled_from([None, "flex", "auto"]),
    cache_key=st.none() | IDS,
)  # fmt: skip


@given(REQUESTS)
def test_a_request_that_went_out_and_is_read_again_means_the_same(request: Request) -> None:
    told = write_request(request, TARGET)
    assert told.dropped == () and told.changed == ()
    assert read_request(msgspec.json.decode(told.body, type=dict[str, Raw])) == request


@given(REQUESTS)
def test_a_request_that_was_read_is_written_as_before(request: Request) -> None:
    once = write_request(request, TARGET).body
    again = read_request(msgspec.json.decode(once, type=dict[str, Raw]))
    assert write_request(replace(again, lost=()), TARGET).body == once

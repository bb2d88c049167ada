"""Requests to Cohere's chat."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.dialects.cohere.asking import write_request
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
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

TARGET = Target("command-a-03-2025")
SCHEMA = Raw(b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}')
TOOLS = (Tool("look", "Looks.", SCHEMA), Tool("wait"))
HELLO = Message("user", (Text("Hello"),))
PNG = "data:image/png;base64," + base64.b64encode(b"a dot").decode()


def asked(*messages: Message, target: Target = TARGET, **fields: Any) -> tuple[dict[str, Any], Written]:
    written = write_request(Request(model="m", messages=messages or (HELLO,), **fields), target)
    body: dict[str, Any] = json.loads(written.body)
    return body, written


def content(*parts: Part, **fields: Any) -> Any:
    return asked(Message("user", parts), **fields)[0]["messages"][0]["content"]


def test_a_plain_request_is_its_messages() -> None:
    body, written = asked(Message("system", (Text("Be brief."),)), HELLO, is_stream=True)
    assert body == {
        "model": "command-a-03-2025", "stream": True,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }  # fmt: skip
    assert written.dropped == written.changed == ()


def test_calls_their_plan_and_a_message_for_each_result() -> None:
    thought = Thought("I look it up.")
    calls = (thought, Text("Wait."), ToolCall("a", "look", '{"city":"Oslo"}'), ToolCall("b", "wait", ""))
    body, written = asked(HELLO, Message("assistant", calls), Message("tool", (ToolResult("a", (Text("s"), Text("un"))), ToolResult("b", ()))), tools=TOOLS)
    assert body["messages"][1:] == [
        {"role": "assistant", "content": "Wait.", "tool_plan": "I look it up.", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"city":"Oslo"}'}},
            {"id": "b", "type": "function", "function": {"name": "wait", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "a", "content": "sun"}, {"role": "tool", "tool_call_id": "b", "content": "(nothing)"},
    ]  # fmt: skip
    assert written.dropped == written.changed == ()


def test_what_a_result_shows_follows_its_text() -> None:
    result = ToolResult("a", (Text("Here"), Image(PNG)), is_error=True)
    body, written = asked(HELLO, Message("assistant", (ToolCall("a", "look", "{}"),)), Message("tool", (result, ToolResult("b", (Text("x"),)))), tools=TOOLS)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert body["messages"][-1]["content"] == [{"type": "image_url", "image_url": {"url": PNG}}] and written.dropped == ("is_error",)


def test_only_plain_reasoning_ahead_of_calls_goes_back() -> None:
    call = ToolCall("a", "look", "{}")
    signed = Thought("x", signature="c2ln", format="anthropic-claude-v1")
    body, written = asked(HELLO, Message("assistant", (signed, Thought(summary="s", format="unknown"), call)))
    assert body["messages"][1]["tool_plan"] == "s" and written.changed == ("reasoning of another provider left out",)
    body, written = asked(HELLO, Message("assistant", (Thought("x"), Text("So."))))
    assert body["messages"][1] == {"role": "assistant", "content": "So."} and written.changed == ("reasoning of an answer without calls left out",)


def test_empty_messages_are_left_out_and_told() -> None:
    body, written = asked(HELLO, Message("assistant", (Thought("x", format="google-gemini-v1"),)), Message("user", ()), Message("system", (Text(""),)), HELLO)
    assert len(body["messages"]) == 2 and "messages: an empty one left out" in written.changed


def test_images_go_by_their_address() -> None:
    assert content(Text("See"), Image("https://example.com/a.png", "low"), Image(PNG, "original"), File(url=PNG)) == [
        {"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": PNG}}, {"type": "image_url", "image_url": {"url": PNG}},
    ]  # fmt: skip


def test_text_files_are_documents_unless_there_are_tools_or_json() -> None:
    parts = (Text("Read"), File(url="data:text/plain;base64," + base64.b64encode("olé".encode()).decode(), name="a.txt"), File(url="data:application/json,%7B%7D"))
    body, _ = asked(Message("user", parts))
    assert body["documents"] == [{"data": {"title": "a.txt", "text": "olé"}}, {"data": {"title": "document 2", "text": "{}"}}]
    assert body["messages"][0]["content"][1] == {"type": "text", "text": "[a.txt: see the documents]"}
    for more in ({"tools": TOOLS}, {"output": Output()}):
        body, _ = asked(Message("user", parts), **more)
        assert "documents" not in body and body["messages"][0]["content"][1] == {"type": "text", "text": "a.txt:\n\nolé"}


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (File(url="https://example.com/a.pdf"), "file.url"), (File(id="file-1"), "file.id"), (File(url="data:application/pdf;base64,YQ=="), "file"),
        (File(url="data:text/plain;base64,//79"), "file"), (Audio("YQ==", "wav"), "audio"), (Video("https://example.com/a.mp4"), "video"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_named_and_leaves_a_text_in_its_place(part: Part, field: str) -> None:
    body, written = asked(Message("user", (Text("See:"), part)))
    assert "left out" in body["messages"][0]["content"][1]["text"] and written.dropped == (field,)


# ---------------------------------------------------------------- tools


def test_tools_are_functions() -> None:
    body, written = asked(tools=TOOLS)
    assert body["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": json.loads(bytes(SCHEMA))}},
        {"type": "function", "function": {"name": "wait", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert "tool_choice" not in body and "strict_tools" not in body and written.dropped == ()


def test_strictness_is_said_of_all_or_none() -> None:
    strict = replace(TOOLS[0], is_strict=True)
    assert asked(tools=(strict,))[0]["strict_tools"] is True
    body, written = asked(tools=(strict, TOOLS[1]))
    assert "strict_tools" not in body and written.dropped == ("is_strict",)


@pytest.mark.parametrize(("mode", "expected"), [("auto", None), ("none", "NONE"), ("required", "REQUIRED")])
def test_every_choice_of_a_tool(mode: Any, expected: str | None) -> None:
    body, written = asked(tools=TOOLS, tool_choice=ToolChoice(mode))
    assert body.get("tool_choice") == expected and len(body["tools"]) == 2 and written.changed == ()


def test_the_one_tool_that_must_be_called_is_sent_alone() -> None:
    body, written = asked(tools=TOOLS, tool_choice=ToolChoice("tool", "wait"))
    assert body["tool_choice"] == "REQUIRED" and [tool["function"]["name"] for tool in body["tools"]] == ["wait"]
    assert written.changed == ("tools: only the one that must be called",)
    assert asked(tools=TOOLS[1:], tool_choice=ToolChoice("tool", "wait"))[1].changed == ()


def test_a_choice_without_tools_is_named() -> None:
    body, written = asked(tool_choice=ToolChoice("required"))
    assert "tool_choice" not in body and written.dropped == ("tool_choice",)
    assert asked(tool_choice=ToolChoice("none"))[1].dropped == ()


# ---------------------------------------------------------------- structured answers


def test_json_has_its_schema() -> None:
    assert asked(output=Output(SCHEMA, "city"))[0]["response_format"] == {"type": "json_object", "json_schema": json.loads(bytes(SCHEMA))}
    assert asked(output=Output())[0]["response_format"] == {"type": "json_object"}


def test_beside_tools_json_is_asked_for_in_words() -> None:
    body, written = asked(Message("system", (Text("Be brief."),)), HELLO, output=Output(SCHEMA), tools=TOOLS)
    assert "response_format" not in body and len(body["tools"]) == 2 and written.changed == ("output: asked for in words",)
    assert body["messages"][0]["content"] == "Be brief." and bytes(SCHEMA).decode() in body["messages"][1]["content"]
    assert "JSON" in asked(output=Output(), tools=TOOLS)[0]["messages"][0]["content"]
    body, written = asked(output=Output(SCHEMA), tools=TOOLS, tool_choice=ToolChoice("none"))
    assert "tools" not in body and "response_format" in body and written.changed == ()


# ---------------------------------------------------------------- settings


def test_what_both_have_arrives() -> None:
    body, written = asked(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=40, seed=42, frequency_penalty=0.3, presence_penalty=0.4, stop=("END",), service_tier="auto",
    )  # fmt: skip
    assert {name: body[name] for name in body.keys() - {"model", "stream", "messages"}} == {
        "max_tokens": 9, "temperature": 0.5, "p": 0.9, "k": 40, "seed": 42, "frequency_penalty": 0.3, "presence_penalty": 0.4, "stop_sequences": ["END"],
    }  # fmt: skip
    assert written.dropped == written.changed == ()


def test_out_of_range_is_clamped_and_told() -> None:
    body, written = asked(temperature=1.5, top_p=1, top_k=900, frequency_penalty=-1, presence_penalty=2, stop=tuple("abcdefg"))
    assert (body["temperature"], body["p"], body["k"], body["frequency_penalty"], body["presence_penalty"]) == (1, 0.99, 500, 0, 1)
    assert body["stop_sequences"] == list("abcde")
    assert [each.split(",")[0] for each in written.clamped] == [
        "stop: the first 5 of 7", "temperature: 1", "top_p: 0.99", "top_k: 500", "frequency_penalty: 0", "presence_penalty: 1",
    ]  # fmt: skip
    body, written = asked(target=Target("m", max_output=100), max_tokens=500)
    assert body["max_tokens"] == 100 and written.clamped == ("max_tokens: 100, the most that the model gives",)


def test_what_has_no_place_is_named() -> None:
    fields: dict[str, Any] = {
        "verbosity": "low", "min_p": 0.1, "repetition_penalty": 1.1, "logit_bias": Raw(b"{}"), "logprobs": 0, "user": "u", "metadata": Raw(b"{}"), "cache_key": "k",
        "choices": 2, "service_tier": "flex",
    }  # fmt: skip
    body, written = asked(Message("user", (Text("x", Cache()),)), tools=(replace(TOOLS[0], cache=Cache()),), allows_parallel=False, cache=Cache(), **fields)
    assert sorted(written.dropped) == sorted([*fields, "cache_control", "allows_parallel"])
    assert body.keys() == {"model", "stream", "messages", "tools"}


def test_what_the_model_is_known_not_to_take_is_not_sent() -> None:
    body, written = asked(target=Target("c", parameters=frozenset()), temperature=0.5, thinking=Thinking(effort="low"))
    assert body.keys() == {"model", "stream", "messages"} and written.dropped == ("temperature", "reasoning")
    assert asked(target=Target("c", parameters=frozenset()), thinking=Thinking(is_enabled=False))[1].dropped == ()


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (Thinking(effort="low"), {"type": "enabled", "token_budget": 2_000}), (Thinking(effort="max"), {"type": "enabled", "token_budget": 9_500}),
        (Thinking(effort="minimal"), {"type": "enabled", "token_budget": 1_000}), (Thinking(max_tokens=300), {"type": "enabled", "token_budget": 300}),
        (Thinking(is_enabled=True), {"type": "enabled"}), (Thinking(effort="none"), {"type": "disabled"}), (Thinking(is_enabled=False), {"type": "disabled"}),
        (Thinking(is_excluded=True), None),
    ],
)  # fmt: skip
def test_thinking_has_a_budget(thinking: Thinking, expected: object) -> None:
    body, written = asked(thinking=thinking, max_tokens=10_000)
    assert body.get("thinking") == expected and written.dropped == written.changed == ()


def test_a_budget_leaves_room_for_the_answer() -> None:
    body, written = asked(thinking=Thinking(max_tokens=5_000, summary="auto"), max_tokens=1_000)
    assert body["thinking"]["token_budget"] == 950 and written.changed == ("reasoning.max_tokens: 950",) and written.dropped == ("reasoning.summary",)
    assert asked(target=Target("c", max_output=4_000), thinking=Thinking(effort="medium"))[0]["thinking"]["token_budget"] == 2_000


texts = st.text(max_size=5).map(Text)
parts = st.lists(st.one_of(texts, st.just(Image(PNG)), st.just(File(url="data:text/plain,hi"))), max_size=3)


@given(st.lists(st.one_of(
    st.builds(lambda found: Message("user", tuple(found)), parts), st.builds(lambda found: Message("system", tuple(found)), st.lists(texts, max_size=2)),
    st.builds(lambda found: Message("assistant", tuple(found)), st.lists(st.one_of(texts, st.just(Thought("t")), st.just(ToolCall("a", "look", "{}"))), max_size=3)),
    st.builds(lambda found: Message("tool", (ToolResult("a", tuple(found)),)), parts),
), max_size=5))  # fmt: skip
def test_every_text_and_call_arrives_in_its_order(messages: list[Message]) -> None:
    body, _ = asked(*messages) if messages else asked()
    meant = [part.text for message in messages for part in message.parts if isinstance(part, Text) and part.text and message.role != "tool"]
    told = "".join(
        message["content"] if isinstance(message["content"], str) else "".join(part.get("text", "") for part in message["content"])
        for message in body["messages"] if "content" in message
    )  # fmt: skip
    at = 0
    for text in meant:
        at = told.index(text, at) + len(text)
    assert sum(len(message.get("tool_calls", ())) for message in body["messages"]) == sum(isinstance(part, ToolCall) for message in messages for part in message.parts)
    assert all(message.get("content") or message.get("tool_calls") for message in body["messages"])

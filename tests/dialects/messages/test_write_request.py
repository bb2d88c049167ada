"""The hub's request, written for an upstream that speaks Messages."""

import json
from typing import Any

import pytest
from msgspec import Raw

from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    Effort,
    File,
    Format,
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
from kilo_gateway.dialects.messages.asking import write_request
from kilo_gateway.dialects.messages.output import ANSWER_TOOL

OWN: Format = "anthropic-claude-v1"
OLD, LATE, NEW = Target("claude-sonnet-4-20250514"), Target("claude-opus-4-6"), Target("claude-opus-4-8")
HELLO = Message("user", (Text("hello"),))
SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}')
LOOK = Tool("look", "looks", SCHEMA)


def _written(target: Target = OLD, **members: Any) -> tuple[dict[str, Any], Written]:
    asked: dict[str, Any] = {"messages": (HELLO,), "max_tokens": 8000} | members
    written = write_request(Request(model="caller/name", **asked), target)
    return json.loads(written.body), written


def _content(*messages: Message, target: Target = OLD) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _written(target, messages=messages)[0]["messages"]
    return found


def test_a_plain_request_is_as_the_api_wants_it() -> None:
    body, written = _written(is_stream=True, temperature=0.5, top_k=3, stop=("END",), user="u1", service_tier="default")
    assert body == {
        "model": "claude-sonnet-4-20250514", "max_tokens": 8000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "temperature": 0.5, "top_k": 3, "stop_sequences": ["END"], "metadata": {"user_id": "u1"},
        "service_tier": "standard_only", "stream": True,
    }  # fmt: skip
    assert (written.dropped, written.changed) == ((), ())


@pytest.mark.parametrize(
    ("asked", "most", "sent", "told"),
    [
        (10, None, 10, ()), (None, None, 4096, ("max_tokens: 4096, for none was asked for",)),
        (None, 64000, 64000, ("max_tokens: 64000, for none was asked for",)),
        (99999, 64000, 64000, ("max_tokens: 64000, the most that the model gives",)),
    ],
)  # fmt: skip
def test_max_tokens_are_always_there(asked: int | None, most: int | None, sent: int, told: tuple[str, ...]) -> None:
    body, written = _written(Target("m", most), max_tokens=asked)
    assert (body["max_tokens"], written.changed + written.clamped) == (sent, told)


def test_what_has_no_place_is_named() -> None:
    _, written = _written(
        seed=1, min_p=0.1, frequency_penalty=0.1, presence_penalty=0.1, repetition_penalty=1.1, logit_bias=Raw(b'{"1":2}'),
        logprobs=2, metadata=Raw(b'{"a":"b"}'), choices=2, service_tier="flex", verbosity="low", cache_key=None,
        messages=(Message("user", (Text("x"), Image("https://e.example/a.png", "high"), Audio("AAAA", "wav"), Video("https://e.example/v"))),),
    )  # fmt: skip
    assert set(written.dropped) == {
        "seed", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "metadata",
        "choices", "service_tier", "verbosity", "detail", "audio", "video",
    }  # fmt: skip


def test_system_messages_ahead_of_all_are_the_system() -> None:
    body, _ = _written(messages=(Message("system", (Text("a", Cache("1h")),)), Message("system", (Text("b"),)), HELLO))
    assert body["system"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"type": "text", "text": "b"},
    ]  # fmt: skip


@pytest.mark.parametrize(("target", "role", "text"), [(OLD, "user", "<system>\nin French\n</system>"), (NEW, "system", "in French")])
def test_a_system_message_amid_the_others_stays_there(target: Target, role: str, text: str) -> None:
    sent = _content(HELLO, Message("assistant", (Text("hi"),)), HELLO, Message("system", (Text("in French"),)), target=target)
    assert (sent[-1]["role"], sent[-1]["content"][-1]["text"]) == (role, text)
    assert len(sent) == (3 if target is OLD else 4)


def test_a_system_message_where_the_api_takes_none_is_said_by_the_user() -> None:
    amid = Message("system", (Text("in French"),))
    sent = _content(HELLO, Message("assistant", (Text("hi"),)), amid, HELLO, target=NEW)
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert sent[2]["content"][0]["text"] == "<system>\nin French\n</system>"
    calls, answers = Message("assistant", (ToolCall("a", "look", "{}"),)), Message("tool", (ToolResult("a", (Text("x"),)),))
    sent = _content(HELLO, calls, amid, answers, amid, Message("assistant", (Text("so"),)), HELLO, target=NEW)
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user", "system", "assistant", "user"]
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result", "text"]


def test_a_system_alone_is_said_by_the_user() -> None:
    body, written = _written(messages=(Message("system", (Text("a"),)),))
    assert "system" not in body and body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    assert len(written.changed) == 1


def test_the_first_turn_is_the_users_and_the_last_ends_without_space() -> None:
    sent = _content(Message("assistant", (Text("I say "),)))
    assert [turn["role"] for turn in sent] == ["user", "assistant"]
    assert sent[1]["content"] == [{"type": "text", "text": "I say"}]


def test_turns_of_one_role_are_merged_and_empty_texts_left_out() -> None:
    sent = _content(HELLO, Message("user", (Text("  \n"), Text("again"))), Message("assistant", (Text(""),)), Message("user", (Text("?"),)))
    assert sent == [{"role": "user", "content": [{"type": "text", "text": each} for each in ("hello", "again", "?")]}]


def test_parallel_calls_and_their_results_first_in_the_turn_that_follows() -> None:
    sent = _content(
        HELLO, Message("assistant", (Text("I look"), ToolCall("a", "look", '{"a":"1"}'), ToolCall("b", "look", "{}"))),
        Message("user", (Text("quick!"),)),
        Message("tool", (ToolResult("a", (Text("one"), Image("data:image/png;base64,AAAA"), File("data:application/pdf;base64,BBBB", name="f.pdf"))),)),
        Message("tool", (ToolResult("b", (Text("bad"),), is_error=True, name="look"),)),
    )  # fmt: skip
    assert sent[1]["content"][1:] == [
        {"type": "tool_use", "id": "a", "name": "look", "input": {"a": "1"}}, {"type": "tool_use", "id": "b", "name": "look", "input": {}},
    ]  # fmt: skip
    assert sent[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [
            {"type": "text", "text": "one"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}, "title": "f.pdf"},
        ]},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "bad"}], "is_error": True},
        {"type": "text", "text": "quick!"},
    ]  # fmt: skip


def test_images_and_documents_of_every_kind() -> None:
    parts: tuple[Part, ...] = (
        Image("https://e.example/a.png", cache=Cache()), Image("data:image/svg+xml,%3Csvg%2F%3E"), File("https://e.example/a.pdf"),
        File("data:text/markdown;base64,IyBh", name="a.md"), File(id="file_1"), File(id="file_2", is_image=True),
        File("data:image/jpeg;base64,AAAA", name="p.jpg"), File("data:text/plain;base64,/w=="),
    )  # fmt: skip
    assert _content(Message("user", parts))[0]["content"] == [
        {"type": "image", "source": {"type": "url", "url": "https://e.example/a.png"}, "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zy8+"}},
        {"type": "document", "source": {"type": "url", "url": "https://e.example/a.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# a"}, "title": "a.md"},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "/w=="}},
    ]  # fmt: skip


def test_only_thoughts_of_this_provider_go_back() -> None:
    parts: tuple[Part, ...] = (
        Thought("mine", signature="c2ln", format=OWN), Thought(encrypted="ZW5j", format=OWN), Thought("not signed", format=OWN),
        Thought("his", signature="eA==", format="google-gemini-v1"), Thought(summary="its", encrypted="eQ==", format="openai-responses-v1"),
        Thought("nobody's"), Text("so"),
    )  # fmt: skip
    body, written = _written(messages=(HELLO, Message("assistant", parts), HELLO))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "ZW5j"}, {"type": "text", "text": "so"},
    ]  # fmt: skip
    assert written.changed == ("messages: reasoning of another provider left out",)


def test_other_makers_models_get_their_own_thoughts_alone() -> None:
    parts: tuple[Part, ...] = (Thought("theirs", signature="dA==", format="unknown"), Thought("mine", signature="c2ln", format=OWN), Text("so"))
    sent = _content(HELLO, Message("assistant", parts), HELLO, target=Target("glm-4.6"))
    assert sent[1]["content"] == [{"type": "thinking", "thinking": "theirs", "signature": "dA=="}, {"type": "text", "text": "so"}]


def test_where_only_texts_may_stand_others_are_left_out_and_named() -> None:
    picture = Image("https://e.example/a.png")
    body, written = _written(messages=(Message("system", (Text("a"), picture)), HELLO, Message("assistant", (picture, Text("b"))), HELLO))
    assert body["system"] == [{"type": "text", "text": "a"}] and len(body["messages"][1]["content"]) == 1
    assert written.dropped == ("image",)


def test_tools_are_sent_with_a_schema_that_is_an_object() -> None:
    tools = (Tool("a", "does", SCHEMA, True, Cache("5m")), Tool("b"), Tool("c", schema=Raw(b'{"properties":{}}')), Tool("d", schema=Raw(b"{}")))
    body, _ = _written(LATE, tools=tools)
    nothing = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"name": "a", "description": "does", "input_schema": json.loads(bytes(SCHEMA)), "strict": True, "cache_control": {"type": "ephemeral", "ttl": "5m"}},
        {"name": "b", "input_schema": nothing}, {"name": "c", "input_schema": nothing}, {"name": "d", "input_schema": nothing},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None), (ToolChoice("auto"), None, {"type": "auto"}), (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), None, {"type": "any"}), (ToolChoice("tool", "look"), None, {"type": "tool", "name": "look"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("required"), True, {"type": "any", "disable_parallel_tool_use": False}),
    ],
)  # fmt: skip
def test_every_choice_of_tools(choice: ToolChoice | None, parallel: bool | None, sent: dict[str, object] | None) -> None:
    body, written = _written(tools=(LOOK,), tool_choice=choice, allows_parallel=parallel)
    assert (body.get("tool_choice"), written.dropped) == (sent, ())


def test_a_choice_without_tools_is_not_sent() -> None:
    body, written = _written(tool_choice=ToolChoice("required"))
    assert "tool_choice" not in body and written.dropped == ("tool_choice",)


@pytest.mark.parametrize(
    ("effort", "budget"), [("max", 7600), ("xhigh", 7600), ("high", 6400), ("medium", 4000), ("low", 1600), ("minimal", 1024)]
)
def test_effort_becomes_a_share_of_max_tokens_where_a_budget_is_wanted(effort: Effort, budget: int) -> None:
    body, written = _written(thinking=Thinking(True, effort))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget} and written.changed == ()


@pytest.mark.parametrize(
    ("target", "thinking", "member", "effort"),
    [
        (LATE, Thinking(True, "high"), {"type": "adaptive"}, "high"),
        (LATE, Thinking(True, "xhigh"), {"type": "adaptive"}, "max"),
        (LATE, Thinking(True), {"type": "adaptive"}, None),
        (LATE, Thinking(True, None, 2000), {"type": "enabled", "budget_tokens": 2000}, None),
        (NEW, Thinking(True, "xhigh"), {"type": "adaptive", "display": "summarized"}, "xhigh"),
        (NEW, Thinking(True, "minimal", is_excluded=True), {"type": "adaptive", "display": "omitted"}, "low"),
        (NEW, Thinking(True, None, 6000), {"type": "adaptive", "display": "summarized"}, "high"),
        (NEW, Thinking(effort="low"), None, "low"),
        (OLD, Thinking(effort="low"), {"type": "enabled", "budget_tokens": 1600}, None),
        (OLD, Thinking(True), {"type": "enabled", "budget_tokens": 4000}, None),
        (OLD, Thinking(True, None, 100), {"type": "enabled", "budget_tokens": 1024}, None),
        (OLD, Thinking(True, None, 9000), {"type": "enabled", "budget_tokens": 7999}, None),
        (OLD, Thinking(is_excluded=True), None, None),
        (OLD, Thinking(False), {"type": "disabled"}, None),
        (OLD, Thinking(effort="none"), {"type": "disabled"}, None),
        (Target("glm-4.6"), Thinking(True, summary="auto"), {"type": "enabled", "budget_tokens": 4000}, None),
    ],
)  # fmt: skip
def test_thinking_is_asked_for_as_the_model_takes_it(target: Target, thinking: Thinking, member: object, effort: str | None) -> None:
    body, _ = _written(target, thinking=thinking)
    assert (body.get("thinking"), body.get("output_config", {}).get("effort")) == (member, effort)


def test_a_budget_without_max_tokens_leaves_room_for_an_answer() -> None:
    body, _ = _written(max_tokens=None, thinking=Thinking(True, None, 10000))
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (14096, 10000)


def test_too_few_tokens_to_think_turn_thinking_off() -> None:
    body, written = _written(max_tokens=1024, thinking=Thinking(True, "high"))
    assert body["thinking"] == {"type": "disabled"} and "leaves no room" in written.changed[0]


@pytest.mark.parametrize("model", ["claude-3-5-haiku-20241022", "claude-3-haiku-20240307", "claude-3.5-sonnet", "claude-2.1"])
def test_claudes_before_the_first_that_thought_are_not_asked_to(model: str) -> None:
    body, written = _written(Target(model), thinking=Thinking(True, "high"))
    assert "thinking" not in body and written.dropped == ("reasoning",)
    assert _written(Target(model), thinking=Thinking(False))[0].keys() == _written(Target(model))[0].keys()


def test_a_model_without_reasoning_gets_none() -> None:
    body, written = _written(Target("m", None, frozenset({"tools"})), thinking=Thinking(True, "high"))
    assert "thinking" not in body and "output_config" not in body and written.dropped == ("reasoning",)
    assert _written(Target("m", None, frozenset()), thinking=Thinking(False))[1].dropped == ()


def test_thinking_gives_way_to_a_forced_call_and_sampling_to_thinking() -> None:
    body, written = _written(thinking=Thinking(True), tools=(LOOK,), tool_choice=ToolChoice("required"))
    assert body["thinking"] == {"type": "disabled"} and written.changed == ("reasoning: off, for tool_choice forces a call",)
    body, written = _written(thinking=Thinking(True), temperature=0.2, top_k=5)
    assert "temperature" not in body and "top_k" not in body and len(written.changed) == 2
    body, _ = _written(thinking=Thinking(True), top_p=0.5)
    assert body["top_p"] == 0.95


def test_calls_without_a_thought_are_answered_without_thinking() -> None:
    calls = Message("assistant", (ToolCall("a", "look", "{}"),))
    answers = Message("tool", (ToolResult("a", (Text("x"),)),))
    body, _ = _written(thinking=Thinking(True), tools=(LOOK,), messages=(HELLO, calls, answers))
    assert body["thinking"] == {"type": "disabled"}
    thought = Message("assistant", (Thought("hm", signature="c2ln", format=OWN), *calls.parts))
    later = Message("assistant", (ToolCall("b", "look", "{}"),)), Message("tool", (ToolResult("b", (Text("y"),)),))
    body, _ = _written(thinking=Thinking(True), tools=(LOOK,), messages=(HELLO, thought, answers, *later))
    assert body["thinking"]["type"] == "enabled"
    body, _ = _written(LATE, thinking=Thinking(True), tools=(LOOK,), messages=(HELLO, calls, answers))
    assert body["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(("asked", "sent"), [(1.5, 1.0), (-1.0, 0.0), (1, 1), (0, 0)])
def test_temperature_stays_within_its_bounds(asked: float, sent: float) -> None:
    body, written = _written(temperature=asked)
    assert body["temperature"] == sent and bool(written.clamped) == (asked != sent)


def test_what_a_later_claude_refuses_is_left_out() -> None:
    _, written = _written(NEW, temperature=0.5, top_p=0.5, top_k=5)
    assert written.dropped == ("temperature", "top_p", "top_k")
    body, written = _written(Target("claude-haiku-4-5"), temperature=0.5, top_p=0.5)
    assert "top_p" not in body and len(written.changed) == 1


@pytest.mark.parametrize(("target", "sent"), [(NEW, {"effort": "max"}), (OLD, None), (Target("claude-opus-4-5"), {"effort": "high"})])
def test_verbosity_is_effort_where_the_model_takes_it(target: Target, sent: object) -> None:
    assert _written(target, verbosity="max")[0].get("output_config") == sent


def test_json_of_a_schema_is_asked_for_by_its_name() -> None:
    body, written = _written(LATE, output=Output(SCHEMA, "x"))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": json.loads(bytes(SCHEMA))}}
    assert written.changed == ()


def test_a_schema_is_closed_as_the_api_demands() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}, "$defs": {"d": {"anyOf": [{"type": "object"}]}}}
    body, written = _written(LATE, output=Output(Raw(json.dumps(schema).encode())))
    sent = body["output_config"]["format"]["schema"]
    objects = sent, sent["properties"]["a"]["items"], sent["$defs"]["d"]["anyOf"][0]
    assert all(each["additionalProperties"] is False for each in objects) and len(written.changed) == 1


@pytest.mark.parametrize(
    ("target", "can"),
    [
        (Target("claude-sonnet-4"), False), (Target("claude-opus-4-1"), True), (Target("glm-4.6"), True), (Target("glm-4.6", None, frozenset()), False),
        (Target("claude-sonnet-4", None, frozenset({"structured_outputs"})), True), (Target("claude-opus-5", None, frozenset({"response_format"})), True),
    ],
)  # fmt: skip
def test_what_is_said_of_a_model_counts_more_than_its_name(target: Target, can: bool) -> None:
    body, written = _written(target, output=Output(SCHEMA), tools=(Tool("a", schema=SCHEMA, is_strict=True),))
    assert ("output_config" in body, "strict" in body["tools"][0], "strict" not in written.dropped) == (can, can, can)


PLAIN = Target("claude-3-5-haiku-20241022", None, frozenset({"tools", "reasoning"}))


def test_where_the_model_knows_no_schemas_a_tool_is_forced() -> None:
    body, written = _written(PLAIN, output=Output(SCHEMA, "my answer", "What is wanted."), thinking=Thinking(True))
    name = ANSWER_TOOL + "my_answer"
    [tool] = body["tools"]
    assert (tool["name"], tool["input_schema"]) == (name, json.loads(bytes(SCHEMA)))
    assert tool["description"].startswith("What is wanted.")
    assert body["tool_choice"] == {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    assert body["thinking"] == {"type": "disabled"}
    assert written.changed == (f"output: asked for as arguments of a tool, {name}", "reasoning: off, for tool_choice forces a call")


def test_beside_other_tools_any_is_forced() -> None:
    body, _ = _written(PLAIN, output=Output(SCHEMA), tools=(LOOK,), tool_choice=ToolChoice("auto"))
    assert [tool["name"] for tool in body["tools"]] == ["look", ANSWER_TOOL + "answer"]
    assert body["tool_choice"] == {"type": "any"}
    _, written = _written(PLAIN, output=Output(SCHEMA), tools=(LOOK,), tool_choice=ToolChoice("tool", "look"))
    assert "output" in written.dropped


def test_json_without_a_schema_is_always_a_tool() -> None:
    body, _ = _written(NEW, output=Output())
    assert body["tools"][0]["input_schema"] == {"type": "object"}


def test_four_marks_leave_and_the_last_win() -> None:
    marked = tuple(Text(str(at), Cache()) for at in range(3))
    body, written = _written(
        tools=(Tool("a", cache=Cache()), Tool("b", cache=Cache())),
        messages=(Message("system", marked[:1]), Message("user", marked[1:]), Message("assistant", (ToolCall("t", "a", "{}"),)),
                  Message("tool", (ToolResult("t", (Text("x", Cache()),)),))),
    )  # fmt: skip
    texts = [body["system"][0], *body["messages"][0]["content"], body["messages"][2]["content"][0]["content"][0]]
    assert all("cache_control" in each for each in texts)
    assert not any("cache_control" in tool for tool in body["tools"])
    assert written.changed == ("cache: the first 2 of 6 marks left out, for 4 may be",)


def test_the_mark_of_the_whole_prompt_counts_too() -> None:
    parts = tuple(Text(str(at), Cache()) for at in range(4))
    body, _ = _written(messages=(Message("user", parts),), cache=Cache("1h"))
    assert body["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert ["cache_control" in block for block in body["messages"][0]["content"]] == [False, True, True, True]


def test_an_hour_does_not_stand_behind_five_minutes() -> None:
    parts = Text("a", Cache("1h")), Text("b", Cache("5m")), Text("c", Cache("1h"))
    body, written = _written(messages=(Message("user", parts),))
    assert [block["cache_control"].get("ttl") for block in body["messages"][0]["content"]] == ["1h", "5m", None]
    assert written.changed == ("cache: 1h behind 5m shortened to 5m",)


def test_a_cache_key_marks_the_whole_prompt_where_nothing_else_is_marked() -> None:
    assert _written(cache_key="k")[0]["cache_control"] == {"type": "ephemeral"}
    body, written = _written(cache_key="k", messages=(Message("user", (Text("a", Cache()),)),))
    assert "cache_control" not in body and written.dropped == ("cache_key",)


def test_stops_of_space_alone_are_left_out() -> None:
    body, written = _written(stop=("\n", "END", ""))
    assert body["stop_sequences"] == ["END"] and len(written.changed) == 1

"""Requests to Converse: conversations, tools, structured answers. botocore's model of the service is the oracle of shapes."""

import base64
import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.dialects.converse.asking import write_request
from kilo_gateway.dialects.converse.tools import OUTPUT_PREFIX
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

CLAUDE = Target("us.anthropic.claude-sonnet-4-20250514-v1:0")
NOVA = Target("us.amazon.nova-lite-v1:0")
LLAMA = Target("us.meta.llama4-maverick-17b-instruct-v1:0")
DOT = base64.b64encode(b"a dot").decode()
SCHEMA = Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}')
TOOLS = (Tool("look", "Looks.", SCHEMA), Tool("wait"))
CONVERSE = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
HELLO = Message("user", (Text("Hello"),))


def body_of(written: Written) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(written.body)
    report = ParamValidator().validate(body | {"modelId": "a.model-v1"}, CONVERSE)
    assert not report.has_errors(), report.generate_report()
    return body


def asked(*messages: Message, target: Target = CLAUDE, **fields: Any) -> tuple[dict[str, Any], Written]:
    written = write_request(Request(model="m", messages=messages or (HELLO,), **fields), target)
    return body_of(written), written


def blocks(*parts: Part, target: Target = CLAUDE, role: Any = "user") -> list[dict[str, Any]]:
    body, _ = asked(HELLO, Message(role, parts), target=target) if role == "assistant" else asked(Message(role, parts), target=target)
    content: list[dict[str, Any]] = body["messages"][-1]["content"]
    return content


def test_a_plain_request_is_its_messages() -> None:
    body, written = asked()
    assert body == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
    assert written.dropped == written.changed == ()


def test_system_messages_stand_apart_and_turns_alternate() -> None:
    body, written = asked(
        Message("system", (Text("One."), Text("Two."))), HELLO, Message("user", (Text("You?"),)), Message("assistant", (Text("Yes."),)),
        Message("system", (Text("Three."),)), Message("assistant", (Text("Here."),)), Message("user", (Text("Good."),)),
    )  # fmt: skip
    assert body["system"] == [{"text": "One."}, {"text": "Two."}, {"text": "Three."}]
    assert body["messages"] == [
        {"role": "user", "content": [{"text": "Hello"}, {"text": "You?"}]},
        {"role": "assistant", "content": [{"text": "Yes."}, {"text": "Here."}]}, {"role": "user", "content": [{"text": "Good."}]},
    ]  # fmt: skip
    assert written.changed == ("messages: a later system message put in front",)


def test_a_conversation_begins_with_a_user_and_has_no_empty_turns() -> None:
    body, written = asked(Message("assistant", (Text("Hi."),)), Message("user", (Text("  "),)), Message("assistant", (Text("So? "),)))
    assert body["messages"] == [{"role": "user", "content": [{"text": "."}]}, {"role": "assistant", "content": [{"text": "Hi."}, {"text": "So?"}]}]
    assert set(written.changed) == {"messages: a user's put first", "messages: an empty one left out"}
    assert asked(Message("user", ()))[0]["messages"][0]["content"] == [{"text": "."}]


def test_calls_keep_their_order_and_results_stand_first_in_the_turn_after() -> None:
    calls = (Text("I look."), ToolCall("a", "look", '{"city":"Oslo"}'), ToolCall("b", "wait", "{}"))
    body, _ = asked(
        HELLO, Message("assistant", calls), Message("user", (Text("Hurry."),)),
        Message("tool", (ToolResult("a", (Text("sun"), Text(""))), ToolResult("b", (), is_error=True))), tools=TOOLS,
    )  # fmt: skip
    assert body["messages"][1]["content"] == [
        {"text": "I look."}, {"toolUse": {"toolUseId": "a", "name": "look", "input": {"city": "Oslo"}}},
        {"toolUse": {"toolUseId": "b", "name": "wait", "input": {}}},
    ]  # fmt: skip
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "sun"}]}},
        {"toolResult": {"toolUseId": "b", "content": [{"text": "(nothing)"}], "status": "error"}}, {"text": "Hurry."},
    ]  # fmt: skip


def test_a_failed_result_is_only_marked_where_the_model_knows_marks() -> None:
    failed = (HELLO, Message("assistant", (ToolCall("a", "look", "{}"),)), Message("tool", (ToolResult("a", (Text("no"),), is_error=True),)))
    body, written = asked(*failed, target=LLAMA, tools=TOOLS)
    assert "status" not in body["messages"][2]["content"][0]["toolResult"] and written.dropped == ("is_error",)
    assert asked(*failed, target=NOVA, tools=TOOLS)[0]["messages"][2]["content"][0]["toolResult"]["status"] == "error"


def test_arguments_keep_every_digit() -> None:
    written = write_request(Request(model="m", messages=(HELLO, Message("assistant", (ToolCall("a", "look", '{"n":12345678901234567890.10}'),)))), CLAUDE)
    assert b'{"n":12345678901234567890.10}' in written.body


# ---------------------------------------------------------------- images, files, sounds


@pytest.mark.parametrize(("kind", "form"), [("image/png", "png"), ("image/jpeg", "jpeg"), ("IMAGE/JPG", "jpeg"), ("image/webp", "webp"), ("image/gif", "gif")])
def test_images_are_bytes_with_their_format(kind: str, form: str) -> None:
    assert blocks(Image(f"data:{kind};base64,{DOT}")) == [{"image": {"format": form, "source": {"bytes": DOT}}}]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Image("https://example.com/a.png"), "image.url"), (Image("s3://bucket/a.png"), "image.url"), (Image(f"data:image/bmp;base64,{DOT}"), "image"),
        (File(url="https://example.com/a.pdf"), "file.url"), (File(id="file-1"), "file.id"), (File(url=f"data:application/zip;base64,{DOT}"), "file"),
        (Video("https://example.com/a.mp4"), "video.url"), (Video(f"data:video/ogg;base64,{DOT}"), "video"), (Audio(DOT, "midi"), "audio"),
        (Image("data:image/png;base64,"), "image"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_named_and_leaves_a_text_in_its_place(part: Part, field: str) -> None:
    body, written = asked(Message("user", (Text("See:"), part)))
    shown = body["messages"][0]["content"][1]
    assert list(shown) == ["text"] and "left out" in shown["text"] and written.dropped == (field,)


@pytest.mark.parametrize(
    ("kind", "name", "form"),
    [
        ("application/pdf", "a.pdf", "pdf"), ("text/csv", "", "csv"), ("application/octet-stream", "b.DOCX", "docx"), ("text/x-python", "c.py", "txt"),
        ("text/plain", "notes.md", "md"), ("application/json", "d.json", "txt"), ("text/html;charset=utf-8", "", "html"),
    ],
)  # fmt: skip
def test_documents_have_a_format(kind: str, name: str, form: str) -> None:
    (text, document) = blocks(File(url=f"data:{kind};base64,{DOT}", name=name))
    assert text == {"text": "See the file."}  # Bedrock wants a word beside a document
    assert document["document"]["format"] == form and document["document"]["source"] == {"bytes": DOT}


def test_data_that_is_not_base64_becomes_so() -> None:
    assert blocks(Text("See"), File(url="data:text/plain,ol%C3%A9%20!"))[1]["document"]["source"]["bytes"] == base64.b64encode("olé !".encode()).decode()


def test_names_of_documents_are_clean_and_differ() -> None:
    names = ["../my  report_2.pdf", "", "my report 2.pdf", "(a) [b]-c", "", "x" * 300]
    shown = blocks(Text("See"), *(File(url=f"data:application/pdf;base64,{DOT}", name=name) for name in names))[1:]
    assert [each["document"]["name"] for each in shown] == ["my report 2 pdf", "Document", "my report 2 pdf 2", "(a) [b]-c", "Document 2", "x" * 194]


def test_videos_and_sounds_are_bytes() -> None:
    assert blocks(Video(f"data:video/3gpp;base64,{DOT}"), Audio(DOT, "wav")) == [
        {"video": {"format": "three_gp", "source": {"bytes": DOT}}}, {"audio": {"format": "wav", "source": {"bytes": DOT}}},
    ]  # fmt: skip


def test_a_result_may_show_an_image_and_a_file() -> None:
    result = ToolResult("a", (Text("Here"), Image(f"data:image/png;base64,{DOT}"), File(url=f"data:application/pdf;base64,{DOT}", name="p")))
    body, _ = asked(HELLO, Message("assistant", (ToolCall("a", "look", "{}"),)), Message("tool", (result,)), tools=TOOLS)
    assert [next(iter(each)) for each in body["messages"][2]["content"][0]["toolResult"]["content"]] == ["text", "image", "document"]


# ---------------------------------------------------------------- reasoning, replayed


def test_claude_s_own_reasoning_goes_back_with_what_it_signed_and_encrypted() -> None:
    thoughts = (Thought("I think.", signature="c2ln", format="anthropic-claude-v1"), Thought(encrypted="EmwK", format="anthropic-claude-v1"))
    assert blocks(*thoughts, Text("So."), role="assistant") == [
        {"reasoningContent": {"reasoningText": {"text": "I think.", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"EmwK").decode()}}, {"text": "So."},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("thought", "target", "why"),
    [
        (Thought("x", signature="c2ln", format="google-gemini-v1"), CLAUDE, "reasoning of another provider left out"),
        (Thought("x", signature="c2ln"), CLAUDE, "reasoning of another provider left out"),
        (Thought("x", signature="c2ln", format="anthropic-claude-v1"), NOVA, "reasoning of another provider left out"),
        (Thought("x", format="anthropic-claude-v1"), CLAUDE, "reasoning without a signature left out"),
    ],
)
def test_other_reasoning_is_left_out_and_told(thought: Thought, target: Target, why: str) -> None:
    body, written = asked(HELLO, Message("assistant", (thought, Text("So."))), Message("user", (Text("And?"),)), target=target)
    assert body["messages"][1]["content"] == [{"text": "So."}] and written.changed == (why,)


def test_an_answer_never_ends_with_reasoning() -> None:
    thought = Thought("x", signature="c2ln", format="anthropic-claude-v1")
    body, _ = asked(HELLO, Message("assistant", (thought,)), Message("user", (Text("Go on"),)))
    assert body["messages"] == [{"role": "user", "content": [{"text": "Hello"}, {"text": "Go on"}]}]


# ---------------------------------------------------------------- tools


def test_tools_have_a_schema_of_an_object() -> None:
    tools = (*TOOLS, Tool("odd", " ", Raw(b'{"properties":{"a":{}}}')), Tool("list", "Lists.", Raw(b"[]"), is_strict=True))
    body, written = asked(tools=tools)
    specs = [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
    assert specs == [
        {"name": "look", "description": "Looks.", "inputSchema": {"json": json.loads(bytes(SCHEMA))}},
        {"name": "wait", "inputSchema": {"json": {"type": "object", "properties": {}}}},
        {"name": "odd", "inputSchema": {"json": {"type": "object", "properties": {"a": {}}}}},
        {"name": "list", "description": "Lists.", "inputSchema": {"json": {"type": "object", "properties": {}}}, "strict": True},
    ]
    assert "toolChoice" not in body["toolConfig"] and not written.dropped
    assert asked(tools=tools, target=NOVA)[1].dropped == ("is_strict",)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None), (ToolChoice("auto"), None), (ToolChoice("required"), {"any": {}}), (ToolChoice("tool", "wait"), {"tool": {"name": "wait"}}),
    ],
)  # fmt: skip
def test_every_choice_of_a_tool(choice: ToolChoice | None, expected: object) -> None:
    assert asked(tools=TOOLS, tool_choice=choice)[0]["toolConfig"].get("toolChoice") == expected


def test_none_is_no_tools_unless_tools_were_called_before() -> None:
    assert "toolConfig" not in asked(tools=TOOLS, tool_choice=ToolChoice("none"))[0]
    history = (HELLO, Message("assistant", (ToolCall("a", "look", "{}"),)), Message("tool", (ToolResult("a", (Text("x"),)),)))
    body, written = asked(*history, tools=TOOLS, tool_choice=ToolChoice("none"))
    assert len(body["toolConfig"]["tools"]) == 2 and "toolChoice" not in body["toolConfig"]
    assert written.changed == ("tool_choice: auto instead of none, which is not to be had where tools were called before",)


def test_tools_of_the_history_are_declared_again_where_the_caller_left_them_out() -> None:
    history = (HELLO, Message("assistant", (ToolCall("a", "look", "{}"), ToolCall("b", "gone", "{}"))), Message("tool", (ToolResult("a", (Text("x"),)),)))
    body, written = asked(*history, tools=TOOLS[:1])
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["look", "gone"]
    assert written.changed == ("tools: those of the history declared again",)
    body, written = asked(tool_choice=ToolChoice("required"))
    assert (body.get("toolConfig"), written.dropped) == (None, ("tool_choice",))


def test_one_call_at_a_time_cannot_be_asked_for() -> None:
    assert asked(tools=TOOLS, allows_parallel=False)[1].dropped == ("allows_parallel",)
    assert asked(tools=TOOLS, allows_parallel=True)[1].dropped == ()


# ---------------------------------------------------------------- structured answers


def test_a_schema_is_taken_by_a_tool_that_must_be_called() -> None:
    output = Output(SCHEMA, "a city!", "Where it is.")
    name = f"{OUTPUT_PREFIX}a_city_"
    body, written = asked(output=output)
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": name, "description": "Where it is.", "inputSchema": {"json": json.loads(bytes(SCHEMA))}}}], "toolChoice": {"tool": {"name": name}},
    }  # fmt: skip
    assert written.dropped == written.changed == ()
    assert asked(output=output, target=LLAMA)[0]["toolConfig"]["toolChoice"] == {"any": {}}
    body, _ = asked(output=output, tools=TOOLS)
    assert body["toolConfig"]["toolChoice"] == {"any": {}} and len(body["toolConfig"]["tools"]) == 3
    assert asked(output=output, tools=TOOLS, tool_choice=ToolChoice("none"))[0]["toolConfig"]["tools"] == [
        {"toolSpec": {"name": name, "description": "Where it is.", "inputSchema": {"json": json.loads(bytes(SCHEMA))}}}
    ]
    body, _ = asked(output=output, tools=TOOLS, tool_choice=ToolChoice("tool", "look"))
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "look"}} and len(body["toolConfig"]["tools"]) == 2


@pytest.mark.parametrize("schema", [None, Raw(b'{"type":"array","items":{}}'), Raw(b"true")])
def test_what_no_tool_can_take_is_asked_for_in_words(schema: Raw | None) -> None:
    body, written = asked(Message("system", (Text("Be brief."),)), HELLO, output=Output(schema))
    assert body["system"][0] == {"text": "Be brief."} and "JSON" in body["system"][1]["text"]
    assert schema is None or bytes(schema).decode() in body["system"][1]["text"]
    assert written.changed == ("output: asked for in words",) and "toolConfig" not in body


def test_where_a_tool_must_be_called_claude_does_not_think() -> None:
    body, written = asked(output=Output(SCHEMA), thinking=Thinking(effort="high"))
    assert "additionalModelRequestFields" not in body and written.changed == ("reasoning: off, for a tool must be called",)


# ---------------------------------------------------------------- caching

POINT = {"cachePoint": {"type": "default"}}


def test_marks_become_points_behind_what_they_mark() -> None:
    messages = (
        Message("system", (Text("Long.", Cache()), Text("Short."))), Message("user", (Text("A", Cache("1h")), Text("B"))),
        Message("assistant", (ToolCall("a", "look", "{}"),)), Message("tool", (ToolResult("a", (Text("x"),), cache=Cache("5m")),)),
    )  # fmt: skip
    body, written = asked(*messages, tools=(replace(TOOLS[0], cache=Cache()), TOOLS[1]))
    assert body["system"] == [{"text": "Long."}, POINT, {"text": "Short."}]
    assert body["messages"][0]["content"] == [{"text": "A"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "B"}]
    assert body["messages"][2]["content"][1] == POINT and body["toolConfig"]["tools"][1] == POINT
    assert written.dropped == ()


def test_nova_keeps_no_tools_and_no_hour_and_others_nothing() -> None:
    tools = (replace(TOOLS[0], cache=Cache()),)
    body, written = asked(Message("user", (Text("A", Cache("1h")),)), tools=tools, target=NOVA)
    assert body["messages"][0]["content"][1] == POINT and len(body["toolConfig"]["tools"]) == 1 and written.dropped == ("cache_control",)
    body, written = asked(Message("user", (Text("A", Cache()),)), target=LLAMA)
    assert body["messages"][0]["content"] == [{"text": "A"}] and written.dropped == ("cache_control",)


def test_the_whole_prompt_is_marked_at_its_end_once() -> None:
    assert asked(cache=Cache())[0]["messages"][0]["content"] == [{"text": "Hello"}, POINT]
    assert asked(Message("user", (Text("A", Cache()),)), cache=Cache())[0]["messages"][0]["content"] == [{"text": "A"}, POINT]


def test_no_more_than_four_marks_are_sent_and_a_file_is_not_marked_right_behind() -> None:
    body, written = asked(Message("user", tuple(Text(str(n), Cache()) for n in range(6))))
    assert [next(iter(each)) for each in body["messages"][0]["content"]] == ["text"] * 3 + ["cachePoint", "text"] * 3 + ["cachePoint"]
    assert written.changed == ("cache_control: the last 4 of more",)
    shown = blocks(Text("See"), File(url=f"data:application/pdf;base64,{DOT}", cache=Cache()))
    assert [next(iter(each)) for each in shown] == ["text", "document", "text", "cachePoint"]
    assert blocks(Text(" ", Cache())) == [{"text": "."}]


# ---------------------------------------------------------------- any conversation

texts = st.text(max_size=6).map(Text)
caches = st.sampled_from([None, Cache(), Cache("1h")])
users: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, st.text(max_size=6), caches), st.just(Image(f"data:image/png;base64,{DOT}")), st.just(Image("https://example.com/a.png")),
    st.builds(File, st.just(f"data:application/pdf;base64,{DOT}"), name=st.text(max_size=5), cache=caches),
)  # fmt: skip
thoughts = st.builds(Thought, st.text(max_size=4), signature=st.sampled_from(["", "c2ln"]), encrypted=st.sampled_from(["", "YQ"]), format=st.sampled_from(["anthropic-claude-v1", "unknown", ""]))
said = st.one_of(texts, thoughts)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    messages: list[Message] = []
    for turn in range(draw(st.integers(0, 5))):
        role = draw(st.sampled_from(["system", "user", "assistant", "calls"]))
        if role == "user":
            messages.append(Message("user", tuple(draw(st.lists(users, max_size=3)))))
        elif role == "system":
            messages.append(Message("system", tuple(draw(st.lists(texts, max_size=2)))))
        elif role == "assistant":
            messages.append(Message("assistant", tuple(draw(st.lists(said, max_size=3)))))
        else:
            calls = [ToolCall(f"{turn}.{n}", "look", '{"a":1}') for n in range(draw(st.integers(1, 3)))]
            messages += [
                Message("assistant", (*draw(st.lists(said, max_size=2)), *calls)),
                Message("tool", tuple(ToolResult(call.id, (Text("ok"),)) for call in calls)),
            ]
    return tuple(messages)


@given(conversations(), st.sampled_from([CLAUDE, NOVA, LLAMA]), st.sampled_from([None, *(ToolChoice(mode, "look") for mode in ("auto", "none", "required", "tool"))]), st.booleans(), st.sampled_from([None, Output(SCHEMA), Output()]))
def test_whatever_is_said_is_a_request_that_bedrock_takes(messages: tuple[Message, ...], target: Target, choice: ToolChoice | None, has_tools: bool, output: Output | None) -> None:
    body, _ = asked(*messages, target=target, tool_choice=choice, tools=TOOLS if has_tools else (), output=output, thinking=Thinking(effort="low"))
    turns = body["messages"]
    assert [turn["role"] for turn in turns] == [("user", "assistant")[n % 2] for n in range(len(turns))] and turns
    points = 0
    used: list[str] = []
    for turn in turns:
        content = turn["content"]
        assert content and all(block.get("text", "x").strip() for block in content)
        results = [block["toolResult"]["toolUseId"] for block in content if "toolResult" in block]
        assert sorted(results) == sorted(used)
        used = [block["toolUse"]["toolUseId"] for block in content if "toolUse" in block]
        points += sum("cachePoint" in block for block in content)
    assert points <= 4 and not used
    meant = [part.text for message in messages if message.role in ("user", "assistant") for part in message.parts if isinstance(part, Text) and part.text.strip()]
    told = [block["text"] for turn in turns for block in turn["content"] if "text" in block]
    assert [text for text in told if text in meant] == meant or [text.rstrip() for text in meant[-1:]] == told[-1:]


@given(conversations())
def test_the_same_request_gives_the_same_bytes(messages: tuple[Message, ...]) -> None:
    request = Request(model="m", messages=messages, tools=TOOLS)
    assert write_request(request, CLAUDE) == write_request(request, CLAUDE)

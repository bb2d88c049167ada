"""A caller's request, read into the hub."""

import base64
import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import (
    Cache,
    File,
    Format,
    Image,
    Message,
    Output,
    Request,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from kilo_gateway.dialects.messages.asking import read_request

HELLO = {"role": "user", "content": "hello"}
OWN: Format = "anthropic-claude-v1"


def _read(**members: Any) -> Request:
    body = {"model": "m", "max_tokens": 10, "messages": [HELLO]} | members
    return read_request(msgspec.json.decode(json.dumps(body), type=dict[str, Raw]))


def _blocks(role: str, *blocks: object) -> tuple[Message, ...]:
    return _read(messages=[{"role": role, "content": list(blocks)}]).messages


def test_plain_fields_are_read() -> None:
    request = _read(
        stream=True, temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"], metadata={"user_id": "u1"},
        service_tier="standard_only", cache_control={"type": "ephemeral", "ttl": "1h"},
    )  # fmt: skip
    assert (request.model, request.is_stream, request.max_tokens) == ("m", True, 10)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 40, ("END",))
    assert (request.user, request.service_tier, request.cache, request.lost) == ("u1", "default", Cache("1h"), ())


def test_null_means_that_nothing_was_said() -> None:
    names = ("temperature", "system", "tools", "tool_choice", "thinking", "metadata", "stop_sequences", "stream", "container")
    assert _read(**dict.fromkeys(names)) == _read()


def test_the_system_is_a_text_or_blocks_and_stands_first() -> None:
    assert _read(system="be brief").messages == (Message("system", (Text("be brief"),)), Message("user", (Text("hello"),)))
    kept = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    blocks = _read(system=[kept, {"type": "text", "text": "short"}]).messages[0]
    assert blocks == Message("system", (Text("long", Cache()), Text("short")))


def test_system_messages_amid_the_others_keep_their_place() -> None:
    request = _read(messages=[HELLO, {"role": "system", "content": [{"type": "text", "text": "now in French"}]}])
    assert [message.role for message in request.messages] == ["user", "system"]


def test_images_are_urls() -> None:
    [message] = _blocks(
        "user",
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://e.example/a.png"}, "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    )
    images = Image("data:image/png;base64,AAAA"), Image("https://e.example/a.png", cache=Cache())
    assert message.parts == (*images, File(id="file_1", is_image=True))


def test_documents_are_files_or_what_they_are_made_of() -> None:
    [message] = _blocks(
        "user",
        {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
        {"type": "document", "source": {"type": "url", "url": "https://e.example/a.pdf"}},
        {"type": "document", "title": "N", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_2"}},
        {"type": "document", "title": "C", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
    )
    plain = "data:text/plain;base64," + base64.b64encode(b"plain").decode()
    assert message.parts == (
        File("data:application/pdf;base64,AAAA", name="T"), File("https://e.example/a.pdf"), File(plain, name="N"),
        File(id="file_2"), Text("C"), Text("a"),
    )  # fmt: skip


def test_a_search_result_is_told_in_words() -> None:
    block = {"type": "search_result", "source": "https://e.example", "title": "A page", "content": [{"type": "text", "text": "found"}]}
    assert _blocks("user", block)[0].parts == (Text("A page\nhttps://e.example\n\nfound"),)


def test_results_of_tools_become_messages_of_their_own() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
    picture = {"type": "image", "source": {"type": "url", "url": "https://e.example/a.png"}}
    failed = {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": [picture, {"type": "text", "text": "no"}]}
    found = _blocks("user", result, failed, {"type": "text", "text": "go on"}, {"type": "tool_result", "tool_use_id": "t3"})
    assert found == (
        Message("tool", (
            ToolResult("t1", (Text("42"),)), ToolResult("t2", (Image("https://e.example/a.png"), Text("no")), is_error=True)
        )),
        Message("user", (Text("go on"),)), Message("tool", (ToolResult("t3", ()),)),
    )  # fmt: skip


def test_thoughts_and_calls_of_former_answers_keep_their_order_and_signatures() -> None:
    [message] = _blocks(
        "assistant",
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "text", "text": "I look"}, {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "x"}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}, "thought_signature": "Z2Vt"},
    )  # fmt: skip
    assert message.parts == (
        Thought("hm", signature="c2ln", format=OWN), Thought(encrypted="ZW5j", format=OWN), Text("I look"),
        ToolCall("t1", "look", '{"at": "x"}'), ToolCall("t2", "now", "{}", "Z2Vt"),
    )  # fmt: skip


def test_a_thought_without_a_signature_belongs_to_nobody() -> None:
    [message] = _blocks("assistant", {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "x"})
    assert message.parts[0] == Thought("hm")


def test_what_only_the_provider_executes_is_left_out_and_named() -> None:
    use = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "u", "title": "t"}]}
    failed = {"type": "web_fetch_tool_result", "tool_use_id": "s2", "content": {"type": "web_fetch_tool_result_error"}}
    request = _read(
        messages=[HELLO, {"role": "assistant", "content": [use, found, failed, {"type": "text", "text": "so"}]}, HELLO],
        tools=[{"type": "web_search_20250305", "name": "web_search"}, {"name": "look", "input_schema": {"type": "object"}}],
        container="c1", context_management={"edits": []},
    )  # fmt: skip
    assert request.messages[1].parts == (Text("so"),)
    assert [tool.name for tool in request.tools] == ["look"]
    assert request.lost == (
        "tools[type=web_search_20250305]", "container", "context_management", "messages[].content[type=server_tool_use]",
        "messages[].content[type=web_search_tool_result]", "messages[].content[type=web_fetch_tool_result]",
    )  # fmt: skip


def test_tools_are_read_with_their_schema_unread() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = _read(tools=[
        {"name": "a", "description": "does", "input_schema": schema, "strict": True, "cache_control": {"type": "ephemeral", "ttl": "5m"},
         "eager_input_streaming": True},
        {"type": "custom", "name": "b", "input_schema": {}, "defer_loading": True, "input_examples": [{"a": "x"}]},
    ])  # fmt: skip
    assert request.tools[0] == Tool("a", "does", Raw(json.dumps(schema).encode()), True, Cache("5m"))
    assert request.tools[1].name == "b"
    assert request.lost == ("tool.defer_loading", "tool.input_examples")


@pytest.mark.parametrize(("kind", "name"), [("bash_20250124", "bash"), ("text_editor_20250728", "str_replace_based_edit_tool"), ("memory_20250818", "memory")])
def test_tools_that_the_caller_executes_are_spelled_out(kind: str, name: str) -> None:
    request = _read(tools=[{"type": kind, "name": name}])
    assert request.tools[0].name == name and request.lost == ()
    assert request.tools[0].schema is not None and json.loads(bytes(request.tools[0].schema))["type"] == "object"


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None), ({"type": "none"}, ToolChoice("none"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "a", "disable_parallel_tool_use": False}, ToolChoice("tool", "a"), True),
    ],
)  # fmt: skip
def test_every_choice_of_tools(choice: dict[str, object], expected: ToolChoice, parallel: bool | None) -> None:
    request = _read(tools=[{"name": "a", "input_schema": {}}], tool_choice=choice)
    assert (request.tool_choice, request.allows_parallel) == (expected, parallel)


def test_the_choice_of_a_tool_that_is_lost_is_lost() -> None:
    request = _read(tools=[{"type": "web_search_20250305", "name": "web_search"}], tool_choice={"type": "tool", "name": "web_search"})
    assert request.tool_choice is None and "tool_choice" in request.lost


@pytest.mark.parametrize(
    ("members", "thinking", "verbosity"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Thinking(True, None, 2000), None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}}, Thinking(True, None, 2000, True), None),
        ({"thinking": {"type": "disabled"}}, Thinking(False), None),
        ({"thinking": {"type": "adaptive"}}, Thinking(True), None),
        ({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}}, Thinking(True, "xhigh", summary="auto"), None),
        ({"output_config": {"effort": "low"}}, Thinking(effort="low"), None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "low"}}, Thinking(True, None, 2000), "low"),
    ],
)  # fmt: skip
def test_every_way_to_ask_for_thinking(members: dict[str, object], thinking: Thinking, verbosity: str | None) -> None:
    request = _read(**members)
    assert (request.thinking, request.verbosity) == (thinking, verbosity)


@pytest.mark.parametrize("name", ["output_config", "output_format"])
def test_json_of_a_schema_is_asked_for_in_the_new_way_and_the_old(name: str) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    request = _read(**{name: {"format": wanted} if name == "output_config" else wanted})
    assert request.output == Output(Raw(b'{"type": "object"}'), is_strict=True)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"messages": [HELLO, {"role": "user", "content": 5}]}, "messages[1].content must be a text or a list of parts."),
        ({"messages": [HELLO, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": 5}]}]}, "messages[1].content[1].text must be a text."),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}, {"text": []}]}]}]},
         "messages[0].content[0].content[1].text must be a text."),
        ({"messages": [HELLO, {"content": "x"}]}, "messages[1].role is missing."),
        ({"messages": "hello"}, "messages must be a list."),
        ({"messages": []}, "The field 'messages' is missing or empty; it is a list of messages."),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role is user, assistant or system, not 'tool'."),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages[0].content[0] is of type 'hologram', which a message of the role user cannot have."),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "b"}]}]}, "messages[0].content[0] is of type 'tool_use', which a message of the role user cannot have."),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text is missing; it is a text."),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "tape"}}]}]}, "messages[0].content[0].source.type is base64, url, file, text or content, not 'tape'."),
        ({"max_tokens": "10"}, "max_tokens must be a whole number."),
        ({"temperature": []}, "temperature must be a number."),
        ({"stop_sequences": ["a", 5]}, "stop_sequences[1] must be a text."),
        ({"tools": [{"name": "a"}, {"name": 5}]}, "tools[1].name must be a text."),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name is missing; it is a text."),
        ({"tool_choice": {"type": "perhaps"}}, "tool_choice.type is auto, any, none, or tool with the tool's name."),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens is missing; it is a whole number from 1024 on."),
        ({"thinking": {"type": "deep"}}, "thinking.type is enabled, adaptive or disabled, not 'deep'."),
        ({"output_config": {"effort": "huge"}}, "output_config.effort is low, medium, high, xhigh or max, not 'huge'."),
        ({"stream": "yes"}, "stream must be true or false."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(members: dict[str, object], told: str) -> None:
    with pytest.raises(BadRequest) as caught:
        _read(**members)
    assert str(caught.value) == told


def test_half_a_character_does_not_stop_a_request() -> None:
    request = read_request({"model": Raw(b'"m"'), "messages": Raw(b'[{"role":"user","content":"a\\ud83d b"}]')})
    assert request.messages == (Message("user", (Text("a\ufffd b"),)),)

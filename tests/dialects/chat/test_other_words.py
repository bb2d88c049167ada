"""What chat requests say in words that others brought: thinking, functions before tools, files without a data: URL."""

import json

import msgspec
import pytest
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.chat import asking
from kilo_gateway.dialects.hub.asked import File, Message, Request, Text, Thinking, ToolCall, ToolChoice, ToolResult

HI = [{"role": "user", "content": "hi"}]


def read(messages: object = HI, **fields: object) -> Request:
    body = json.dumps({"model": "a/m", "messages": messages, **fields}).encode()
    return asking.read_request(msgspec.json.decode(body, type=dict[str, Raw]))


@pytest.mark.parametrize(
    ("asked", "thinking"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 3000}}, Thinking(True, None, 3000)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Thinking(True, None, None, True)),
        ({"thinking": {"type": "disabled"}}, Thinking(False)),
        ({"thinking": None}, None),
        ({"thinkingConfig": {"thinkingBudget": 3000, "includeThoughts": True}}, Thinking(True, None, 3000)),
        ({"thinking_config": {"thinking_level": "low", "include_thoughts": False}}, Thinking(True, "low", None, True)),
        ({"extra_body": {"google": {"thinking_config": {"thinkingBudget": 0}}}}, Thinking(False)),
        ({"thinkingConfig": {"thinkingBudget": -1}}, Thinking(True)),
        ({"thinkingConfig": {"thinkingLevel": "HIGH"}, "include_reasoning": False}, Thinking(True, "high", None, True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 3000}, "reasoning_effort": "low"}, Thinking(True, "low")),
    ],
)  # fmt: skip
def test_every_word_for_thinking_means_the_same(asked: dict[str, object], thinking: Thinking | None) -> None:
    assert read(**asked).thinking == thinking
    assert read(**asked).lost == ()


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadRequest, match="thinkingLevel"):
        read(thinkingConfig={"thinkingLevel": "much"})


def test_a_strict_upstream_is_told_an_effort() -> None:
    body = {"model": "a/m", "messages": HI, "thinking": {"type": "enabled", "budget_tokens": 3000}, "max_tokens": 4000}
    call = openai_chat.open_body(json.dumps(body).encode())
    endpoint = Endpoint(
        "one", "a/m", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"a/m"', None, is_strict=True
    )  # fmt: skip
    sent = json.loads(Bridge().shape(call, endpoint, None))
    assert "reasoning_effort" in sent and "thinking" not in sent


def test_functions_are_tools_and_their_results_find_their_calls() -> None:
    def call(arguments: str) -> dict[str, object]:
        return {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": arguments}}

    def result(text: str) -> dict[str, object]:
        return {"role": "function", "name": "f", "content": text}

    found = read(
        [*HI, call('{"q":1}'), result("one"), call('{"q":2}'), result("two")],
        functions=[{"name": "f", "parameters": {"type": "object"}}], function_call={"name": "f"},
    )  # fmt: skip
    assert found.messages[1:] == (
        Message("assistant", (ToolCall("function_1", "f", '{"q":1}'),)),
        Message("tool", (ToolResult("function_1", (Text("one"),), name="f"),)),
        Message("assistant", (ToolCall("function_3", "f", '{"q":2}'),)),
        Message("tool", (ToolResult("function_3", (Text("two"),), name="f"),)),
    )
    assert [tool.name for tool in found.tools] == ["f"]
    assert (found.tool_choice, found.lost) == (ToolChoice("tool", "f"), ())
    assert read(functions=[{"name": "f"}], function_call="none").tool_choice == ToolChoice("none")


@pytest.mark.parametrize(
    ("data", "url"),
    [("JVBERi0=", "data:application/pdf;base64,JVBERi0="), ("data:text/plain;base64,QQ==", "data:text/plain;base64,QQ=="), ("QUJD", "QUJD")],
)  # fmt: skip
def test_a_file_that_is_bare_base64_is_known_by_its_beginning(data: str, url: str) -> None:
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    assert read([{"role": "user", "content": [part]}]).messages[0].parts == (File(url, name="a.pdf"),)


def test_what_nobody_reads_is_named() -> None:
    lost: dict[str, object] = {
        "plugins": [{"id": "web"}], "models": ["a/b"], "provider": {"data_collection": "deny"}, "transforms": ["middle-out"],
        "route": "fallback", "store": True, "extra_body": {"google": {"cached_content": "c"}},
    }  # fmt: skip
    assert set(read(**lost).lost) == set(lost)
    assert read(plugins=[], models=None, provider={}, store=False, session_id="s", usage={"include": True}).lost == ()
    said = [{"role": "user", "name": "bob", "content": "x"}, {"role": "assistant", "content": "y", "audio": {"id": "a"}}]
    assert read(said).lost == ("messages[].name", "messages[].audio")
    assert read([{"role": "tool", "name": "f", "tool_call_id": "1", "content": "x"}]).lost == ()

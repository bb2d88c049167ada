"""What callers ask, as the hub has it."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    File,
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
from kilo_gateway.dialects.responses.asking import read_request, replays_foreign_thoughts
from kilo_gateway.dialects.responses.envelope import Sealed, seal
from kilo_gateway.dialects.responses.shaping import FREEFORM

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "d", "parameters": SCHEMA, "strict": True}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}}


def fields(**members: object) -> dict[str, Raw]:
    body = {"model": "lab/m", "input": "Hi"} | members
    return msgspec.json.decode(json.dumps(body), type=dict[str, Raw])


def read(**members: object) -> Request:
    return read_request(fields(**members))


def said(*items: dict[str, Any]) -> tuple[Message, ...]:
    return read(input=list(items)).messages


def refused(**members: object) -> str:
    with pytest.raises(BadRequest) as caught:
        read(**members)
    return str(caught.value)


def test_a_text_is_a_message_of_the_user_and_instructions_stand_first() -> None:
    assert read(instructions="Be brief.").messages == (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("Hi"),)),
    )


def test_every_field_that_both_have_is_read() -> None:
    request = read(
        stream=True, max_output_tokens=100, temperature=0.5, top_p=0.9, top_logprobs=3, parallel_tool_calls=False,
        metadata={"a": "b"}, user="u", prompt_cache_key="k", service_tier="flex", text={"verbosity": "low"}, store=False,
        top_k=4, frequency_penalty=0.1, presence_penalty=0.2, include=["reasoning.encrypted_content"],
    )  # fmt: skip
    assert (request.model, request.is_stream, request.max_tokens, request.temperature, request.top_p) == ("lab/m", True, 100, 0.5, 0.9)
    assert (request.logprobs, request.allows_parallel, request.user, request.cache_key) == (3, False, "u", "k")
    assert (request.service_tier, request.verbosity, request.top_k) == ("flex", "low", 4)
    assert (request.frequency_penalty, request.presence_penalty, request.metadata) == (0.1, 0.2, Raw(b'{"a": "b"}'))
    assert request.lost == ()


def test_logprobs_are_asked_for_by_include_too() -> None:
    assert read(include=["message.output_text.logprobs"]).logprobs == 0
    assert read().logprobs is None


def test_the_safety_identifier_is_the_user() -> None:
    assert read(safety_identifier="s").user == "s"


def test_what_has_no_place_is_named() -> None:
    request = read(
        truncation="auto", moderation={"model": "m"}, max_tool_calls=3, reasoning={"effort": "low", "context": "all_turns"},
        include=["web_search_call.action.sources"], prompt_cache_retention=None, made_up=1,
    )  # fmt: skip
    assert set(request.lost) == {
        "truncation", "moderation", "max_tool_calls", "reasoning.context", "include[web_search_call.action.sources]", "made_up",
    }  # fmt: skip
    assert read(truncation="disabled", background=False).lost == ()


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"store": True}, "store"), ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"), ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"), ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"), ({"input": [{"id": "msg_1"}]}, "input[0]"),
    ],
)  # fmt: skip
def test_what_would_have_to_be_stored_is_refused_with_the_reason(members: dict[str, Any], word: str) -> None:
    message = refused(**members)
    assert word in message and "stored" in message


@pytest.mark.parametrize("name", ["store", "previous_response_id", "conversation", "background", "prompt"])
def test_null_is_as_if_nothing_was_said(name: str) -> None:
    assert read(**{name: None}) == read()


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"input": 7}, "input must be a text or a list of items"),
        ({"input": None}, "'input' is missing"),
        ({"tools": "x"}, "tools must be a list of tools"),
        ({"max_output_tokens": -3}, "max_output_tokens must be a whole number, 1 or more"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content must be a text or a list of parts"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role must be user, assistant, system or developer"),
        ({"input": [{"type": "unheard_of", "x": 1}]}, "input[0] is of type 'unheard_of'"),
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0] is of type 'hologram'"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0] is of type 'input_text', without"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]}, "Send image_url"),
        ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name is missing"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments must be JSON as a text"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id is missing"),
        ({"tools": [{"type": "function"}]}, "tools[0].name is missing"),
        ({"tool_choice": "perhaps"}, "tool_choice must be"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name is missing"),
        ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode must be"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort must be one of"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type must be"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema is missing"),
        ({"stream": 1}, "stream must be true or false"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_named(members: dict[str, Any], told: str) -> None:
    assert told in refused(**members)


def test_content_of_every_kind_is_read() -> None:
    [message] = said({"role": "user", "content": [
        {"type": "input_text", "text": "See:", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "QUJD"},
        {"type": "input_file", "file_url": "https://x/a.pdf"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
    ]})  # fmt: skip
    assert message == Message("user", (
        Text("See:", Cache("1h")), Image("https://x/a.png", "low"),
        File("data:application/pdf;base64,QUJD", "", "a.pdf"), File("data:application/pdf;base64,QUJD", "", "a.pdf"),
        File("https://x/a.pdf"), File("", "file_1"), Audio("QUJD", "wav"),
    ))  # fmt: skip


def test_a_turn_of_the_assistant_keeps_its_order_and_results_stand_together() -> None:
    assert said(
        {"role": "developer", "content": "Rules."},
        {"role": "user", "content": "Go."},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}, {"type": "refusal", "refusal": "Not that."}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Rome"}', "status": "completed"},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "rain"}, {"type": "input_image", "image_url": "data:image/png;base64,QUJD"}]},
        {"role": "assistant", "content": "Done."},
    ) == (
        Message("system", (Text("Rules."),)),
        Message("user", (Text("Go."),)),
        Message("assistant", (
            Thought("", "a\n\nb", "", "gAAA", "openai-responses-v1", "rs_1"), Text("I look."), Text("Not that."),
            ToolCall("c1", "weather", '{"city":"Rome"}'), ToolCall("c2", "weather", "{}"),
        )),
        Message("tool", (
            ToolResult("c1", (Text("sunny"),)), ToolResult("c2", (Text("rain"), Image("data:image/png;base64,QUJD"))),
        )),
        Message("assistant", (Text("Done."),)),
    )  # fmt: skip


def test_what_the_provider_executed_is_left_out_and_named() -> None:
    request = read(input=[
        {"role": "user", "content": "Go."},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "code_interpreter_call", "id": "ci_1", "outputs": [], "code": "1"},
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
        {"type": "mcp_list_tools", "id": "m", "tools": [{"x": 1}]},
        {"type": "tool_search_call", "arguments": {"queries": []}},
        {"type": "openrouter:web_search", "id": "x"},
        {"type": "local_shell_call", "id": "l", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "message", "role": "assistant", "phase": "commentary", "content": "So."},
        {"type": "function_call", "call_id": "c1", "name": "f", "namespace": "n", "arguments": "{}"},
    ])  # fmt: skip
    assert [message.role for message in request.messages] == ["user", "assistant"]
    assert request.lost == (
        "input[type=web_search_call]", "input[type=code_interpreter_call]", "input[type=computer_call_output]",
        "input[type=mcp_list_tools]", "input[type=tool_search_call]", "input[type=openrouter:web_search]",
        "input[type=local_shell_call]", "input[].phase",
    )  # fmt: skip


def test_an_image_that_was_drawn_is_the_assistants() -> None:
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QUJD", "output_format": "webp"}
    assert said(item) == (Message("assistant", (Image("data:image/webp;base64,QUJD"),)),)


def test_tools_are_functions_and_a_freeform_one_has_one_argument() -> None:
    request = read(tools=[WEATHER, PATCH, {"type": "web_search"}, {"type": "local_shell"}])
    weather, patch = request.tools
    assert weather == Tool("weather", "d", Raw(json.dumps(SCHEMA).encode()), True)
    assert patch.is_freeform and patch.schema == FREEFORM and patch.name == "apply_patch"
    assert patch.description == "Edits files.\n\nThe input must follow this grammar (lark):\nstart: /.+/"
    assert request.lost == ("tools[type=web_search]", "tools[type=local_shell]")


def test_calls_of_a_freeform_tool_are_calls_with_one_argument() -> None:
    assert said(
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": '*** "Begin"\n'},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "Done"},
    ) == (
        Message("assistant", (ToolCall("c", "apply_patch", '{"input":"*** \\"Begin\\"\\n"}'),)),
        Message("tool", (ToolResult("c", (Text("Done"),)),)),
    )  # fmt: skip


def test_tools_that_come_later_are_tools() -> None:
    late = {"type": "additional_tools", "role": "developer", "tools": [WEATHER, PATCH]}
    request = read(tools=[WEATHER], input=[{"role": "user", "content": "Go."}, late])
    assert [tool.name for tool in request.tools] == ["weather", "apply_patch"]


@pytest.mark.parametrize(
    ("told", "choice", "left"),
    [
        ("auto", ToolChoice("auto"), 2), ("none", ToolChoice("none"), 2), ("required", ToolChoice("required"), 2),
        ({"type": "function", "name": "weather"}, ToolChoice("tool", "weather"), 2),
        ({"type": "custom", "name": "apply_patch"}, ToolChoice("tool", "apply_patch"), 2),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}, ToolChoice("required"), 1),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "apply_patch"}]}, ToolChoice("auto"), 1),
        (None, None, 2),
    ],
)  # fmt: skip
def test_every_choice_of_tools_is_read(told: object, choice: ToolChoice | None, left: int) -> None:
    request = read(tools=[WEATHER, PATCH], tool_choice=told)
    assert request.tool_choice == choice and len(request.tools) == left


def test_a_choice_of_a_providers_tool_is_lost() -> None:
    request = read(tools=[WEATHER], tool_choice={"type": "web_search"})
    assert request.tool_choice is None and request.lost == ("tool_choice[type=web_search]",)


@pytest.mark.parametrize(
    ("told", "thinking"),
    [
        ({"effort": "high", "summary": "auto"}, Thinking(True, "high", summary="auto")),
        ({"effort": "none"}, Thinking(False, "none")), ({"summary": "detailed"}, Thinking(summary="detailed")),
        ({"generate_summary": "concise"}, Thinking(summary="concise")), ({"max_tokens": 500}, Thinking(True, max_tokens=500)),
        ({"enabled": False}, Thinking(False)), ({"enabled": True, "exclude": True}, Thinking(True, is_excluded=True)),
        ({"effort": None, "summary": None}, None), (None, None),
    ],
)  # fmt: skip
def test_how_much_is_to_be_thought_is_read(told: object, thinking: Thinking | None) -> None:
    assert read(reasoning=told).thinking == thinking


@pytest.mark.parametrize(
    ("told", "output"),
    [
        ({"type": "text"}, None), ({"type": "json_object"}, Output()),
        ({"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True, "description": "d"}, Output(Raw(b'{"a": 1}'), "n", "d", True)),
    ],
)  # fmt: skip
def test_the_form_of_the_answer_is_read(told: object, output: Output | None) -> None:
    assert read(text={"format": told}).output == output


def test_an_envelope_is_opened() -> None:
    thought = seal(Sealed("anthropic-claude-v1", "sig", text="I think."))
    redacted = seal(Sealed("anthropic-claude-v1", encrypted="blob"))
    signed = seal(Sealed("google-gemini-v1", "c2ln", call="c2"))
    assert said(
        {"type": "reasoning", "id": "rs_a", "summary": [], "encrypted_content": thought},
        {"type": "reasoning", "id": "rs_b", "summary": [], "encrypted_content": redacted},
        {"type": "reasoning", "id": "rs_c", "summary": [], "encrypted_content": signed},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
    ) == (
        Message("assistant", (
            Thought("I think.", "", "sig", "", "anthropic-claude-v1"), Thought("", "", "", "blob", "anthropic-claude-v1"),
            ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}", "c2ln"),
        )),
    )  # fmt: skip


@pytest.mark.parametrize("broken", ["kilo:", "kilo:!!", "kilo:QUJD", "kilo:e30", "kilo:\u00e9"])
def test_an_envelope_that_was_changed_gives_the_text_alone(broken: str) -> None:
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}], "encrypted_content": broken}
    assert said(item) == (Message("assistant", (Thought("t"),)),)


def test_reasoning_of_nobody_we_know_is_text_alone() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}], "encrypted_content": None}
    assert said(item) == (Message("assistant", (Thought("t"),)),)
    assert said({"type": "reasoning", "id": "rs_1", "summary": []}) == ()


def test_openrouters_signature_is_read() -> None:
    item = {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}], "signature": "s", "format": "anthropic-claude-v1"}
    assert said(item) == (Message("assistant", (Thought("t", "", "s", "", "anthropic-claude-v1"),)),)


def test_an_envelope_in_a_request_is_seen_without_reading_it() -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": seal(Sealed("anthropic-claude-v1", "sig"))}
    assert replays_foreign_thoughts(fields(input=[item]))
    assert not replays_foreign_thoughts(fields(input=[item | {"encrypted_content": "gAAA"}]))


TICKETS = {"type": "namespace", "name": "mcp__tickets", "description": "Tickets.", "tools": [WEATHER, PATCH | {"name": "other.tool"}]}


def test_tools_of_a_namespace_are_functions_and_its_calls_are_of_them() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "namespace": "mcp__tickets", "arguments": "{}"}
    request = read(tools=[WEATHER, TICKETS], input=[call])
    plain, first, second = request.tools
    assert (plain.name, plain.namespace) == ("weather", "")
    assert (first.name, first.namespace, first.own_name) == ("mcp__tickets__weather", "mcp__tickets", "weather")
    assert (first.description, first.is_strict) == ("Tickets.\n\nd", True)
    assert second.name.startswith("mcp__tickets__other_tool_") and second.own_name == "other.tool" and second.is_freeform
    assert request.messages == (Message("assistant", (ToolCall("c1", "mcp__tickets__weather", "{}"),)),)
    assert request.lost == ()


def test_the_name_of_a_namespaces_tool_is_its_own_and_not_too_long() -> None:
    namespaces = [{"type": "namespace", "name": name, "tools": [WEATHER]} for name in ("a", "a__", "n" * 64, "n" * 65)]
    names = [tool.name for tool in read(tools=[WEATHER | {"name": "a__weather"}, *namespaces]).tools]
    assert len(set(names)) == 5
    assert all(len(name) <= 64 and name.replace("_", "").isalnum() for name in names)


def test_a_tool_of_a_namespace_can_be_chosen() -> None:
    chosen = {"type": "function", "name": "weather", "namespace": "mcp__tickets"}
    assert read(tools=[TICKETS], tool_choice=chosen).tool_choice == ToolChoice("tool", "mcp__tickets__weather")
    for allowed, count in ((chosen, 1), ({"type": "namespace", "name": "mcp__tickets"}, 2)):
        choice = {"type": "allowed_tools", "mode": "auto", "tools": [allowed]}
        assert len(read(tools=[WEATHER, TICKETS], tool_choice=choice).tools) == count

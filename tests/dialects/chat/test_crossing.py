"""Chat completions as one end of a crossing: what goes in comes out again."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from tests.dialects import hub

from kilo_gateway.core.errors import BadAnswer, BadRequest
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.chat import asking, reading, shaping, writing
from kilo_gateway.dialects.hub import answered as said
from kilo_gateway.dialects.hub import asked
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.sse import Splitter

HEAD = said.AnswerHead("answer-1", 1_700_000_000, "a/m", "one")
ENDPOINT = Endpoint("one", "a/m", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"a/m"', None)
USAGE = Usage(25, 7, cache_read_tokens=5, reasoning_tokens=2)
TARGET = asked.Target("upstreams-own")


def read(**fields: object) -> asked.Request:
    opened = msgspec.json.decode(json.dumps({"model": "a/m", "messages": [], **fields}).encode(), type=dict[str, Raw])
    return asking.read_request(opened)


def written(request: asked.Request, target: asked.Target = TARGET) -> dict[str, object]:
    body: dict[str, object] = json.loads(shaping.write_request(request, target).body)
    return body


@given(hub.conversations(), hub.TOOLS, st.booleans())
def test_a_request_keeps_its_messages_and_tools(messages: tuple[asked.Message, ...], tools: tuple[asked.Tool, ...], stream: bool) -> None:
    request = asked.Request(model="m", messages=messages, tools=tools, is_stream=stream)
    body = msgspec.json.decode(shaping.write_request(request, TARGET).body, type=dict[str, Raw])
    again = asking.read_request(body)
    assert again.messages == messages
    assert [(tool.name, tool.description, bytes(tool.schema or b"")) for tool in again.tools] == [
        (tool.name, tool.description, bytes(tool.schema or b"")) for tool in tools
    ]
    assert (again.model, again.is_stream, again.lost) == ("upstreams-own", stream, ())


SETTINGS: dict[str, object] = {
    "max_tokens": 99, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "stop": ["a", "b"], "seed": 7, "n": 2,
    "frequency_penalty": 0.1, "presence_penalty": 0.2, "repetition_penalty": 1.1, "logit_bias": {"5": 1}, "verbosity": "low",
    "user": "u", "metadata": {"k": "v"}, "service_tier": "flex", "prompt_cache_key": "key", "logprobs": True, "top_logprobs": 3,
}  # fmt: skip


@given(st.sets(st.sampled_from(sorted(SETTINGS))).map(lambda names: names | {"logprobs"} if "top_logprobs" in names else names))
def test_each_setting_that_is_given_arrives_and_no_other(names: set[str]) -> None:
    body = written(read(**{name: SETTINGS[name] for name in names}))
    assert {name: body[name] for name in body.keys() - {"model", "messages"}} == {name: SETTINGS[name] for name in names}


@pytest.mark.parametrize(
    ("given_", "choice"),
    [
        ("auto", asked.ToolChoice("auto")), ("none", asked.ToolChoice("none")), ("required", asked.ToolChoice("required")),
        ({"type": "function", "function": {"name": "look"}}, asked.ToolChoice("tool", "look")), (None, None),
    ],
)  # fmt: skip
def test_every_form_of_tool_choice(given_: object, choice: asked.ToolChoice | None) -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    request = read(tools=tools, tool_choice=given_)
    assert request.tool_choice == choice
    assert written(request).get("tool_choice") == given_


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"reasoning": {"effort": "high"}}, asked.Thinking(True, "high")), ({"reasoning_effort": "low"}, asked.Thinking(True, "low")),
        ({"reasoning": {"max_tokens": 2000}}, asked.Thinking(True, None, 2000)), ({"reasoning": {"enabled": True}}, asked.Thinking(True)),
        ({"reasoning": {"effort": "none"}}, asked.Thinking(False, "none")), ({"reasoning": {"exclude": True}}, asked.Thinking(None, None, None, True)),
        ({"include_reasoning": False}, asked.Thinking(None, None, None, True)), ({}, None),
    ],
)  # fmt: skip
def test_thinking_has_one_shape(fields: dict[str, object], thinking: asked.Thinking | None) -> None:
    assert read(**fields).thinking == thinking


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    request = read(reasoning={"effort": "high"})
    done = shaping.write_request(request, asked.Target("m", parameters=frozenset({"tools"})))
    assert b"reasoning" not in done.body and done.dropped == ("reasoning",)
    assert written(request, asked.Target("m", parameters=frozenset({"reasoning"})))["reasoning"] == {"effort": "high"}
    assert written(request)["reasoning_effort"] == "high"


def test_schemas_files_sounds_and_marks_are_kept() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True}}
    parts = [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/v.mp4"}},
    ]
    body = written(read(response_format=schema, messages=[{"role": "user", "content": parts}]))
    assert body["response_format"] == schema
    assert body["messages"] == [{"role": "user", "content": parts}]
    assert written(read(response_format={"type": "json_object"}))["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": "hi"}, {"messages": [{"content": "x"}]}, {"messages": [{"role": "bard", "content": "x"}]}, {"temperature": "hot"},
        {"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, {"tool_choice": {"type": "odd"}}, {"reasoning": {"effort": "much"}},
        {"response_format": {"type": "grammar"}}, {"max_tokens": "many"}, {"stop": 5},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(fields: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    [name] = fields
    assert name.partition("_")[0] in str(caught.value)


def test_fields_nobody_knows_are_lost_and_named() -> None:
    assert read(description="a model", odd=1).lost == ("description", "odd")


@given(hub.answers())
def test_a_stream_and_an_answer_say_the_same(events: list[said.Event]) -> None:
    writer = writing.Writer(HEAD)
    told = [event for event in events if not isinstance(event, said.Told)]
    stream = b"".join(writer.write([event]) for event in told) + writer.end(USAGE, 0.5)
    reader, found = reading.Reader(), []
    for name, data in Splitter().feed(stream):
        found += reader.read(name, data)
    assert reader.is_done
    whole = fold(reading.read_answer(writing.write_answer(fold(events), HEAD, USAGE, 0.5)))
    assert fold(found) == whole
    assert whole.usage == USAGE and whole.finished is not None
    texts = "".join(event.text for event in events if isinstance(event, said.TextDelta))
    assert "".join(block.text for block in whole.blocks if isinstance(block, asked.Text)) == texts


def test_what_is_no_completion_is_a_bad_answer() -> None:
    for body in (b"", b"[]", b"{}", b'{"choices":5}', b"\xff"):
        with pytest.raises(BadAnswer):
            reading.read_answer(body)
    with pytest.raises(BadAnswer):
        reading.Reader().read(b"", b"{")


@pytest.mark.parametrize(
    "last",
    [
        {"choices": [{"delta": {}}], "usage": None, "x_groq": {"id": "r", "usage": {"prompt_tokens": 25, "completion_tokens": 7}}},
        {"choices": [{"index": 0, "delta": {}, "usage": {"prompt_tokens": 25, "completion_tokens": 7}}]},
    ],
)
def test_usage_is_read_wherever_it_stands(last: dict[str, object]) -> None:
    assert said.Told(Usage(25, 7)) in reading.Reader().read(b"", json.dumps({"id": "a", "choices": []} | last).encode())


def test_thoughts_and_texts_come_in_parts_and_half_characters() -> None:
    content: list[object] = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a\ud83d"}]
    message: dict[str, object] = {"content": content, "reasoning_content": [{"type": "text", "text": "so"}]}
    told = reading.read_answer(json.dumps({"choices": [{"message": message, "finish_reason": "sensitive"}]}).encode())
    assert told[1:] == [
        said.ThoughtDelta(0, "so"), said.ThoughtDelta(0, "hm"), said.TextDelta("a\ufffd"), said.Finished("content_filter", "sensitive"),
    ]  # fmt: skip


def test_an_error_inside_is_told() -> None:
    [failed] = reading.Reader().read(b"", b'{"error":{"message":"no","code":"x"}}')
    assert failed == said.Failed("no", "x", None)
    assert reading.read_error(b'{"detail":"no"}', 400) == said.Failed("no", "upstream_error", 400)


def test_tools_of_a_providers_own_are_lost_and_named() -> None:
    request = read(tools=[{"type": "web_search"}, {"type": "function", "function": {"name": "look"}}])
    assert ([tool.name for tool in request.tools], request.lost) == (["look"], ("tools[type=web_search]",))


@pytest.mark.parametrize("signature", [5, None, {"a": 1}, "c2ln"])
def test_a_signature_that_is_no_text_is_none(signature: object) -> None:
    call = {"id": "c", "function": {"name": "look", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": signature}}}
    [message] = read(messages=[{"role": "assistant", "tool_calls": [call]}]).messages
    assert message.parts == (asked.ToolCall("c", "look", "{}", signature if isinstance(signature, str) else ""),)


def test_a_model_known_not_to_think_is_not_asked_to_where_the_request_is_relayed() -> None:
    call = openai_chat.open_body(json.dumps({"model": "m", "messages": [], "reasoning": {"effort": "high"}}).encode())
    plain, thinks = replace(ENDPOINT, parameters=("tools",)), replace(ENDPOINT, parameters=("reasoning",))
    assert json.loads(Bridge().shape(call, plain, None)) == {"model": "m", "messages": []} and call.dropped == ("reasoning",)
    for endpoint in (thinks, ENDPOINT):
        assert "reasoning" in json.loads(Bridge().shape(call, endpoint, None)) and call.dropped == ()


def test_of_tools_that_are_not_allowed_nothing_is_told() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("look", "leap")]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": tools[1:]}}
    request = read(tools=tools, tool_choice=allowed)
    assert ([tool.name for tool in request.tools], request.tool_choice) == (["leap"], asked.ToolChoice("required"))

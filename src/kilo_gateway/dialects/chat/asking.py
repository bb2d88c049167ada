"""Chat completion requests to the hub and back."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.chat import shapes
from kilo_gateway.dialects.chat.details import thoughts_of
from kilo_gateway.dialects.chat.fields import Fields
from kilo_gateway.dialects.chat.legacy import Functions, as_choice, as_tools
from kilo_gateway.dialects.chat.thinking import NAMES, thinking_of
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    File,
    Image,
    Message,
    Output,
    Part,
    Request,
    Role,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)
from kilo_gateway.dialects.media import data_url

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip
_messages: msgspec.json.Decoder[list[shapes.Message]] = msgspec.json.Decoder(list[shapes.Message])
_tools = msgspec.json.Decoder(list[shapes.Tool] | None)
_choice = msgspec.json.Decoder(shapes.Choice | str | None)
_format = msgspec.json.Decoder(shapes.ResponseFormat | None)
_functions = msgspec.json.Decoder(list[shapes.ToolFunction] | None)
_function_call = msgspec.json.Decoder(shapes.Named | str | None)
_stop = msgspec.json.Decoder(list[str] | str | None)
_integer = msgspec.json.Decoder(int | None)
_number = msgspec.json.Decoder(float | None)
_text = msgspec.json.Decoder(str | None)
_boolean = msgspec.json.Decoder(bool | None)
_cache = msgspec.json.Decoder(shapes.CacheControl | None)

# What is read here or elsewhere, or says what holds anyway, and so is not lost.
_KNOWN = NAMES | {
    "model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "max_tokens",
    "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "stop", "seed", "n", "frequency_penalty",
    "presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "user", "metadata",
    "service_tier", "prompt_cache_key", "cache_control", "verbosity", "response_format", "functions", "function_call",
    "usage", "session_id",
}  # fmt: skip
_NOTHING = (b"null", b"false", b"[]", b"{}", b'""')


def read_request(fields: Mapping[str, Raw]) -> Request:
    """Raises BadRequest, which names the field."""
    read = Fields(fields)
    thinking = thinking_of(fields)
    has_logprobs = read("logprobs", _boolean)
    tools = read("tools", _tools) or as_tools(read("functions", _functions))
    choice = read("tool_choice", _choice) or as_choice(read("function_call", _function_call))
    messages = read("messages", _messages) or []
    foreign = [f"tools[type={tool.type[:40]}]" for tool in tools if tool.function is None]
    return Request(
        model=read("model", _text) or "", is_stream=bool(read("stream", _boolean)),
        messages=_read_messages(messages),
        tools=tuple(_read_tool(each) for each in _allowed(tools, choice)), tool_choice=_read_choice(choice),
        allows_parallel=read("parallel_tool_calls", _boolean),
        thinking=thinking, output=_read_output(read("response_format", _format)), verbosity=read("verbosity", _text),
        max_tokens=_cap(read),
        temperature=read("temperature", _number), top_p=read("top_p", _number), top_k=read("top_k", _integer),
        min_p=read("min_p", _number), stop=_stops(read("stop", _stop)), seed=read("seed", _integer),
        choices=read("n", _integer) or 1, frequency_penalty=read("frequency_penalty", _number),
        presence_penalty=read("presence_penalty", _number), repetition_penalty=read("repetition_penalty", _number),
        logit_bias=read.raw("logit_bias"), logprobs=(read("top_logprobs", _integer) or 0) if has_logprobs else None,
        user=read("user", _text), metadata=read.raw("metadata"), service_tier=read("service_tier", _text),
        cache=_mark(read("cache_control", _cache)), cache_key=read("prompt_cache_key", _text),
        lost=(*_lost(fields), *foreign, *_lost_of_messages(messages)),
    )  # fmt: skip


def _cap(read: Fields) -> int | None:
    """Of two fields the newer one. 0 stands for none at some."""
    for name in ("max_completion_tokens", "max_tokens"):
        cap: int | None = read(name, _integer)
        if cap is not None and cap < 0:
            raise BadRequest(f"{name} must be a whole number, 1 or more.")
        if cap:
            return cap
    return None


def _lost(fields: Mapping[str, Raw]) -> list[str]:
    names = [name for name in sorted(fields.keys() - _KNOWN) if bytes(fields[name]) not in _NOTHING]
    if b'"thinking' not in bytes(fields.get("extra_body", b'"thinking')):
        names.append("extra_body")
    return names


def _lost_of_messages(messages: Iterable[shapes.Message]) -> Iterable[str]:
    """A tool's name is kept."""
    if any(each.name and each.role not in ("tool", "function") for each in messages):
        yield "messages[].name"
    if any(each.audio is not None for each in messages):
        yield "messages[].audio"


def _read_messages(found: Iterable[shapes.Message]) -> tuple[Message, ...]:
    functions = Functions()
    return tuple(_message(each, at, functions) for at, each in enumerate(found))


def _mark(control: shapes.CacheControl | None) -> Cache | None:
    return None if control is None else Cache(control.ttl or "")


def _stops(stop: list[str] | str | None) -> tuple[str, ...]:
    return () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)


def _read_tool(tool: shapes.Tool) -> Tool:
    function = tool.function
    assert function is not None  # others are the provider's own
    schema = None if bytes(function.parameters) == b"null" else function.parameters
    return Tool(function.name, function.description, schema, function.strict, _mark(tool.cache_control))


def _allowed(tools: list[shapes.Tool], choice: shapes.Choice | str | None) -> Iterable[shapes.Tool]:
    """Functions, and of those the ones that may be called: the other dialects have no word for the rest."""
    functions = [tool for tool in tools if tool.function is not None]
    if not isinstance(choice, shapes.Choice) or choice.allowed_tools is None:
        return functions
    names = {each.function.name for each in choice.allowed_tools.tools if each.function is not None}
    return [tool for tool in functions if tool.function is not None and tool.function.name in names]


def _read_choice(choice: shapes.Choice | str | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice in ("auto", "none", "required"):
            return ToolChoice(cast(Any, choice))
        return ToolChoice("required") if choice == "any" else _wrong_choice()
    if choice.function is not None:
        return ToolChoice("tool", choice.function.name)
    if choice.allowed_tools is not None:
        return _read_choice(choice.allowed_tools.mode)
    return _wrong_choice()


def _wrong_choice() -> ToolChoice:
    raise BadRequest('tool_choice is "auto", "none", "required", or {"type":"function","function":{"name":...}}.')


def _read_output(wanted: shapes.ResponseFormat | None) -> Output | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Output()
    schema = wanted.json_schema
    if wanted.type != "json_schema" or schema is None:
        raise BadRequest(f"response_format.type is text, json_object or json_schema, not {wanted.type[:40]!r}.")
    raw = None if bytes(schema.schema) == b"null" else schema.schema
    return Output(raw, schema.name, schema.description, schema.strict)


def _message(message: shapes.Message, at: int, functions: Functions) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        raise BadRequest(f"messages[{at}].role is system, developer, user, assistant or tool, not {message.role[:40]!r}.")
    if role == "tool":
        id = message.tool_call_id or ""
        if message.role == "function" and not id:
            id = functions.answered(message.name or "", at)
        result = ToolResult(id, tuple(_parts(message.content, at)), name=message.name or "")
        return Message("tool", (result,))
    parts = list(_parts(message.content, at))
    if role == "assistant":
        parts = [*_thoughts(message), *_signed(message.content, parts), *_parts(message.images, at), *_calls(message, at)]
        if (called := message.function_call) is not None and not message.tool_calls:
            parts.append(ToolCall(functions.called(called.name, at), called.name, called.arguments or "{}"))
        if message.refusal:
            parts.append(Text(message.refusal))
    return Message(role, tuple(parts))


def _thoughts(message: shapes.Message) -> Iterable[Thought]:
    if message.reasoning_details:
        yield from thoughts_of(message.reasoning_details)
    elif text := message.reasoning or message.reasoning_content:
        yield Thought(text)


def _signed(content: str | list[shapes.Part] | None, parts: list[Part]) -> Iterable[Part]:
    """Gemini's signature of a text or image stands behind it, as a thought of its own."""
    if not isinstance(content, list):
        yield from parts
        return
    for told, part in zip(content, parts, strict=True):
        yield part
        if signature := shapes.signature_on(told):
            yield Thought(signature=signature, format="google-gemini-v1")


def _calls(message: shapes.Message, at: int) -> Iterable[ToolCall]:
    for nth, call in enumerate(message.tool_calls or ()):
        if call.function is None:
            raise BadRequest(f"messages[{at}].tool_calls[{nth}]: across dialects only functions can be called.")
        google = call.extra_content.google if call.extra_content is not None else None
        signature = shapes.signature_of(google)
        yield ToolCall(call.id or "", call.function.name, call.function.arguments or "{}", signature)


def _parts(content: str | list[shapes.Part] | None, at: int) -> Iterable[Part]:
    if isinstance(content, str):
        if content:
            yield Text(content)
        return
    for nth, part in enumerate(content or ()):
        read = _part(part)
        if read is None:
            raise BadRequest(f"messages[{at}].content[{nth}] is of type {part.type[:40]!r}, or incomplete.")
        yield read


def _part(part: shapes.Part) -> Part | None:
    cache = _mark(part.cache_control)
    if part.type == "text" and part.text is not None:
        return Text(part.text, cache)
    if part.type == "refusal" and part.refusal is not None:
        return Text(part.refusal, cache)
    if part.image_url is not None:
        found = part.image_url
        return Image(found, None, cache) if isinstance(found, str) else Image(found.url, found.detail, cache)
    if part.input_audio is not None:
        return Audio(part.input_audio.data, part.input_audio.format)
    if part.video_url is not None:
        return Video(part.video_url if isinstance(part.video_url, str) else part.video_url.url)
    if part.file is not None:
        return File(data_url(part.file.file_data or ""), part.file.file_id or "", part.file.filename or "", cache)
    return None

"""Requests: a caller's to the hub, and the hub's to an upstream."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import Message, Request, Tool, ToolChoice
from kilo_gateway.dialects.messages import shapes
from kilo_gateway.dialects.messages.fields import Fields
from kilo_gateway.dialects.messages.output import read_output
from kilo_gateway.dialects.messages.ready_made import ready_made
from kilo_gateway.dialects.messages.sending import write_request
from kilo_gateway.dialects.messages.thinking import read_thinking
from kilo_gateway.dialects.messages.turns import Turns, mark
from kilo_gateway.dialects.top_level import Rules

__all__ = ["read_request", "write_request"]

_messages: msgspec.json.Decoder[list[shapes.Message]] = msgspec.json.Decoder(list[shapes.Message])
_system: msgspec.json.Decoder[str | list[shapes.Block] | None] = msgspec.json.Decoder(str | list[shapes.Block] | None)
_tools = msgspec.json.Decoder(list[shapes.Tool] | None)
_choice = msgspec.json.Decoder(shapes.Choice | None)
_thinking = msgspec.json.Decoder(shapes.Thinking | None)
_config = msgspec.json.Decoder(shapes.OutputConfig | None)
_format = msgspec.json.Decoder(shapes.Format | None)
_metadata = msgspec.json.Decoder(shapes.Metadata | None)
_members = msgspec.json.Decoder(dict[str, Raw])
_cache = msgspec.json.Decoder(shapes.CacheControl | None)
_stops = msgspec.json.Decoder(list[str] | None)
_integer = msgspec.json.Decoder(int | None)
_number = msgspec.json.Decoder(float | None)
_text = msgspec.json.Decoder(str | None)
_boolean = msgspec.json.Decoder(bool | None)

# What is read here, or elsewhere, and so is not lost.
_KNOWN = frozenset({
    "model", "messages", "system", "stream", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "metadata",
    "tools", "tool_choice", "thinking", "output_config", "output_format", "service_tier", "cache_control", "user",
    "session_id", "usage",
})  # fmt: skip
_NOTHING = (b"null", b"[]", b"{}", b'""')
# Members of gateways' own, which others refuse. There is no list of all that are known: betas bring new ones.
RULES = Rules(
    foreign=frozenset({
        "provider", "session_id", "models", "plugins", "route", "transforms", "usage", "user", "reasoning", "description",
    }),
    ranges={"temperature": (0.0, 1.0), "top_p": (0.0, 1.0)}, caps=("max_tokens",),
)  # fmt: skip
_MODES = {"auto": ToolChoice("auto"), "any": ToolChoice("required"), "none": ToolChoice("none")}
_TIERS = {"standard_only": "default"}


def read_request(fields: Mapping[str, Raw]) -> Request:
    """Raises BadRequest, which names the field."""
    read, turns = Fields(fields), Turns()
    lost = turns.lost
    choice = read("tool_choice", _choice)
    tools = tuple(_functions(read("tools", _tools) or [], lost))
    config = read("output_config", _config)
    if config is not None and shapes.is_said(config.task_budget):
        lost["output_config.task_budget"] = None
    thinking, verbosity = read_thinking(read("thinking", _thinking), config.effort if config is not None else None)
    tier = read("service_tier", _text)
    lost |= dict.fromkeys(sorted(name for name in fields.keys() - _KNOWN if bytes(fields[name]) not in _NOTHING))
    return Request(
        model=read("model", _text) or "", is_stream=bool(read("stream", _boolean)), messages=_conversation(read, turns),
        tools=tools, tool_choice=_read_choice(choice, tools, lost), allows_parallel=_parallel(choice),
        thinking=thinking, verbosity=verbosity, output=read_output(config, read("output_format", _format)),
        max_tokens=_cap(read("max_tokens", _integer)), temperature=read("temperature", _number),
        top_p=read("top_p", _number), top_k=read("top_k", _integer),
        stop=tuple(read("stop_sequences", _stops) or ()), user=_user(read, fields, lost),
        service_tier=None if tier is None else _TIERS.get(tier, tier), cache=mark(read("cache_control", _cache)),
        lost=tuple(lost),
    )  # fmt: skip


def _cap(cap: int | None) -> int | None:
    if cap is not None and cap < 1:
        raise BadRequest("max_tokens must be a whole number, 1 or more.")
    return cap


def _conversation(read: Fields, turns: Turns) -> tuple[Message, ...]:
    found = read("messages", _messages)
    if not found:
        raise BadRequest("The field 'messages' is missing or empty; it is a list of messages.")
    system = read("system", _system)
    before = [] if system is None else [turns.system(system)]
    return (*(message for message in before if message.parts), *turns.read(found))


def _user(read: Fields, fields: Mapping[str, Raw], lost: dict[str, None]) -> str | None:
    metadata = read("metadata", _metadata)
    if metadata is None:
        return read("user", _text)
    lost |= dict.fromkeys(f"metadata.{name[:60]}" for name in _members.decode(fields["metadata"]) if name != "user_id")
    return metadata.user_id or read("user", _text)


def _functions(tools: list[shapes.Tool], lost: dict[str, None]) -> Iterator[Tool]:
    """The caller's own. Names of what is lost begin with `tools` only where the provider would execute something."""
    for at, tool in enumerate(tools):
        if tool.type not in (None, "custom"):
            known = ready_made(tool.type, tool.name, mark(tool.cache_control))
            if known is None:
                lost[f"tools[type={tool.type[:60]}]"] = None
            else:
                yield known
            continue
        if not tool.name:
            raise BadRequest(f"tools[{at}].name is missing; it is a text.")
        if tool.defer_loading:
            lost["tool.defer_loading"] = None
        if shapes.is_said(tool.input_examples):
            lost["tool.input_examples"] = None
        schema = None if bytes(tool.input_schema) == b"null" else tool.input_schema
        yield Tool(tool.name, tool.description, schema, tool.strict, mark(tool.cache_control))


def _read_choice(choice: shapes.Choice | None, tools: tuple[Tool, ...], lost: dict[str, None]) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.type == "tool" and choice.name:
        is_lost = any(name.startswith("tools[type=") for name in lost) and all(tool.name != choice.name for tool in tools)
        if not is_lost:
            return ToolChoice("tool", choice.name)
        lost["tool_choice"] = None  # of a tool that the provider would execute
        return None
    if choice.type not in _MODES:
        raise BadRequest("tool_choice.type is auto, any, none, or tool with the tool's name.")
    return _MODES[choice.type]


def _parallel(choice: shapes.Choice | None) -> bool | None:
    return None if choice is None or choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use

"""Tools, what must be called, and answers that must be JSON: of those, a tool that must be called takes the schema."""

import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.dialects.converse.media import Json
from kilo_gateway.dialects.converse.models import Model
from kilo_gateway.dialects.converse.turns import mark
from kilo_gateway.dialects.hub.asked import Output, Request, Target, Tool
from kilo_gateway.dialects.hub.notes import Notes

OUTPUT_PREFIX = "kilo_answer_as_"
"""Begins the name of the tool whose arguments are the answer; the Reader gives them as text."""

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64
_OBJECT = b'"object"'
_EMPTY = Raw(b'{"type":"object","properties":{}}')
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class Tools(Struct, frozen=True):
    """`config`: None: without tools. `words`: for the system prompt, where no tool can take the schema."""

    config: Json | None
    is_forced: bool = False
    words: str = ""


def plan(request: Request, target: Target, model: Model, called: Iterable[str], notes: Notes) -> Tools:
    """`called`: names in the history, which Bedrock wants to have declared."""
    words, output = _output(request.output, notes)
    mode = request.tool_choice.mode if request.tool_choice is not None else "auto"
    wanted, history = request.tools, list(called)
    if mode == "none" and not history:
        wanted = ()
    tools = _declared(wanted, target, model, notes)
    missing = [name for name in history if name not in {tool.name for tool in wanted}]
    if missing:
        notes.change("tools: those of the history declared again")
        tools += [_spec(Tool(name), is_strict=False) for name in missing]
    choice: Json = {}
    if request.tool_choice is not None and mode == "tool":
        choice = {"tool": {"name": request.tool_choice.name}} if wanted else {}
        if output is not None:
            notes.drop("output")
    elif output is not None:
        tools.append(_spec(output, is_strict=False))
        is_alone = not wanted or mode == "none"
        choice = {"tool": {"name": output.name}} if is_alone and model.family != "other" else {"any": {}}
    elif mode == "required" and wanted:
        choice = {"any": {}}
    elif mode == "none" and tools:
        notes.change("tool_choice: auto instead of none, which is not to be had where tools were called before")
    if request.allows_parallel is False and wanted:
        notes.drop("allows_parallel")
    if mode in ("required", "tool") and not wanted:
        notes.drop("tool_choice")
    if not tools:
        return Tools(None, words=words)
    config: Json = {"tools": tools}
    return Tools(config | ({"toolChoice": choice} if choice else {}), bool(choice), words)


def answers_by_tool(request: Request, target: Target) -> bool:
    return _output(request.output, Notes())[1] is not None


def output_obstacle(request: Request, target: Target) -> str:
    """A schema that only words can tell stands beside any tool."""
    forces_another = request.tool_choice is not None and request.tool_choice.mode == "tool"
    if not (forces_another and answers_by_tool(request, target)):
        return ""
    return "it cannot be held to JSON (response_format) where tool_choice names a tool"


def _declared(tools: Iterable[Tool], target: Target, model: Model, notes: Notes) -> list[Json]:
    made: list[Json] = []
    for tool in tools:
        is_strict = bool(tool.is_strict) and model.family == "anthropic" and target.knows("structured_outputs")
        if tool.is_strict and not is_strict:
            notes.drop("is_strict")
        made.append(_spec(tool, is_strict))
        if tool.cache is not None:
            if model.family == "anthropic":
                made.append(mark(tool.cache, model))
            else:
                notes.drop("cache_control")  # Nova keeps no tools
    return made


def _spec(tool: Tool, is_strict: bool) -> Json:
    spec: Json = {"name": tool.name, "inputSchema": {"json": _schema(tool.schema)}}
    if tool.description and tool.description.strip():
        spec["description"] = tool.description
    if is_strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _schema(schema: Raw | None) -> object:
    """Its type has to be said."""
    members = _members(schema)
    if members is None or schema is None:
        return _EMPTY
    return schema if "type" in members else {"type": "object"} | members


def _output(output: Output | None, notes: Notes) -> tuple[str, Tool | None]:
    """Words for the system prompt, or the tool that takes the answer."""
    if output is None:
        return "", None
    members = _members(output.schema)
    if members is not None and bytes(members.get("type", _OBJECT)) == _OBJECT:
        name = OUTPUT_PREFIX + _UNFIT.sub("_", output.name or "json")
        description = output.description or "Gives the answer. It is the one way to answer."
        return "", Tool(name[:_MAX_NAME], description, output.schema)
    notes.change("output: asked for in words")
    if output.schema is None:
        return "Answer with one JSON object and nothing else.", None
    return f"Answer with JSON of this schema and nothing else: {_encode(output.schema).decode()}", None


def _members(schema: Raw | None) -> dict[str, Raw] | None:
    if schema is None:
        return None
    try:
        return _decode_object(schema)
    except msgspec.MsgspecError:
        return None

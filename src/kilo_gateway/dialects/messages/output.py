"""Answers that must be JSON. Where a model cannot be held to a schema, it is made to call a tool whose arguments are one.

The tool is known by its name: write_request gives it, the Reader takes such a call's arguments for the answer's text.
"""

import re

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.hub.asked import Output, Request, Target
from kilo_gateway.dialects.hub.notes import Notes
from kilo_gateway.dialects.messages import shapes
from kilo_gateway.dialects.messages.claude import knows_schemas

ANSWER_TOOL = "kilo_gateway_json_"
_MAX_NAME = 64
_ANY_OBJECT = Raw(b'{"type":"object"}')
_SAID = "Give the answer by calling this tool, once, with the whole answer as its arguments."
_no_name = re.compile(r"[^a-zA-Z0-9_-]")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_OF_SCHEMAS = ("properties", "$defs", "definitions")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")


def read_output(config: shapes.OutputConfig | None, legacy: shapes.Format | None) -> Output | None:
    """`legacy`: output_format, as it was called in the beta."""
    wanted = (config.format if config is not None else None) or legacy
    if wanted is None:
        return None
    if wanted.type != "json_schema" or not shapes.is_said(wanted.schema):
        raise BadRequest("output_config.format is {\"type\":\"json_schema\",\"schema\":{...}}.")
    return Output(wanted.schema, is_strict=True)


class Shape(msgspec.Struct, frozen=True):
    """How it is asked for: by `format`, or by `tool`."""

    format: dict[str, object] | None = None
    tool: dict[str, object] | None = None


def is_by_tool(request: Request, target: Target) -> bool:
    output = request.output
    return output is not None and not (knows_schemas(target) and output.schema is not None)


def obstacle(request: Request, target: Target) -> str:
    if not (is_by_tool(request, target) and _forces_another(request)):
        return ""
    return "it cannot be held to JSON (response_format) where tool_choice names a tool"


def _forces_another(request: Request) -> bool:
    return request.tool_choice is not None and request.tool_choice.mode == "tool"


def write_output(request: Request, target: Target, notes: Notes) -> Shape:
    output = request.output
    if output is None:
        return Shape()
    if knows_schemas(target) and output.schema is not None:
        return Shape(format={"type": "json_schema", "schema": _closed(output.schema, notes)})
    if _forces_another(request):
        notes.drop("output")
        return Shape()
    name = ANSWER_TOOL + (_no_name.sub("_", output.name)[: _MAX_NAME - len(ANSWER_TOOL)] or "answer")
    notes.change(f"output: asked for as arguments of a tool, {name}")
    said = f"{output.description} {_SAID}" if output.description else _SAID
    return Shape(tool={"name": name, "description": said, "input_schema": output.schema or _ANY_OBJECT})


def _closed(schema: Raw, notes: Notes) -> Raw:
    """Every object says that it has no more members than it names: the API demands it."""
    read = _decode(schema)
    if not _close(read):
        return schema
    notes.change("output: additionalProperties false added to its schema")
    return Raw(_encode(read))


def _close(schema: object) -> bool:
    """Whether something was added. https://platform.claude.com/docs/en/build-with-claude/structured-outputs"""
    if not isinstance(schema, dict):
        return False
    is_object = schema.get("type") == "object" or "properties" in schema
    has_changed = is_object and schema.get("additionalProperties") is not False
    if has_changed:
        schema["additionalProperties"] = False
    inner = [each for name in _OF_SCHEMAS if isinstance(schema.get(name), dict) for each in schema[name].values()]
    inner += [each for name in _LISTS_OF_SCHEMAS if isinstance(schema.get(name), list) for each in schema[name]]
    inner.append(schema.get("items"))
    return any([_close(each) for each in inner]) or has_changed

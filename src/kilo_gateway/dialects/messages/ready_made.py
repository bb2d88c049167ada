"""Tools that Claude knows by their type and the caller executes, spelled out: other models know only what they are told.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""

import msgspec
from msgspec import Raw

from kilo_gateway.dialects.hub.asked import Cache, Tool

_encode = msgspec.json.Encoder().encode
_TEXT, _LINES = {"type": "string"}, {"type": "array", "items": {"type": "integer"}}


def _schema(required: tuple[str, ...], **properties: object) -> Raw:
    return Raw(_encode({"type": "object", "properties": properties, "required": required}))


def _commands(*names: str) -> dict[str, object]:
    return {"type": "string", "enum": names}


_BASH = (
    "Run a command in a shell that lives on between calls. restart: begin with a new shell.",
    _schema((), command=_TEXT, restart={"type": "boolean"}),
)
_EDITOR = (
    "View and edit text files. view: path, view_range for a part. create: path, file_text. str_replace: path, old_str, "
    "which must be there once, new_str. insert: path, insert_line, 0 for the top, insert_text.",
    _schema(
        ("command", "path"), command=_commands("view", "create", "str_replace", "insert"), path=_TEXT, view_range=_LINES,
        file_text=_TEXT, old_str=_TEXT, new_str=_TEXT, insert_line={"type": "integer"}, insert_text=_TEXT,
    ),
)  # fmt: skip
_MEMORY = (
    "Keep notes in files below /memories. view: path. create: path, file_text. str_replace: path, old_str, new_str. insert: "
    "path, insert_line, insert_text. delete: path. rename: old_path, new_path.",
    _schema(
        ("command",), command=_commands("view", "create", "str_replace", "insert", "delete", "rename"), path=_TEXT,
        view_range=_LINES, file_text=_TEXT, old_str=_TEXT, new_str=_TEXT, insert_line={"type": "integer"},
        insert_text=_TEXT, old_path=_TEXT, new_path=_TEXT,
    ),
)  # fmt: skip
_KINDS = {"bash_": _BASH, "text_editor_": _EDITOR, "memory_": _MEMORY}


def ready_made(kind: str, name: str, cache: Cache | None) -> Tool | None:
    """None for what the provider executes, or what nobody else can be told of."""
    for start, (description, schema) in _KINDS.items():
        if kind.startswith(start) and kind[len(start) :].isdigit():
            return Tool(name, description, schema, cache=cache)
    return None

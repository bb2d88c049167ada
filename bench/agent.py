"""The worst honest request: what a coding agent sends after an hour of work, in Anthropic's Messages. Always the same bytes.

300 KB, 100 messages: a long system prompt and 20 tools, both marked for the cache; then thinking, text and calls of tools by
turns with their results: source code, listings, output of tests.
"""

import base64
import json
import random
from typing import Any

MESSAGES = 100
TOOLS = 20
BODY_BYTES = 300_000
Json = dict[str, Any]
_EPHEMERAL = {"type": "ephemeral"}
_MARK = b',"cache_control":{"type":"ephemeral"}'
_PROSE = (
    "the file reads a value and returns it to the caller when nothing else is left in the queue so that every test which "
    "looks for an error finds the line where it was raised import def class self return None True False async await with "
    "open path as handle for line in lines if not name config server client request response token stream buffer"
)
_WORDS = _PROSE.split()
_LINES = (
    '        raise ValueError(f"cannot read {path!r}: {error}") from error',
    '    "dependencies": {"left-pad": "^1.3.0", "typescript": "~5.4.2"},',
    "\tif err := json.Unmarshal(body, &out); err != nil {\n\t\treturn nil, err\n\t}",
    "  const next = items.filter((item) => item.id !== \"main\" && item.path.startsWith('/src'));",
    "PASSED tests/http/test_server.py::test_a_caller_who_leaves_closes_his_upstream",
)
_NATIVE = "  ✓ größer als erwartet → „Straße“ naïve café 漢字"  # as listings have them


def body(model: str, *, is_marked: bool = True) -> bytes:
    """Filled up with longer results until it has BODY_BYTES, within a percent. `is_marked`: for the cache."""
    grain = 2_000
    for _ in range(8):
        made = json.dumps(_request(model, grain), separators=(",", ":"), ensure_ascii=False).encode()
        missing = BODY_BYTES - len(made)
        if abs(missing) < BODY_BYTES // 100:
            return made if is_marked else made.replace(_MARK, b"")
        grain += missing // (MESSAGES // 2)
    raise ValueError(f"the request has {len(made)} bytes, not {BODY_BYTES}")


def _request(model: str, grain: int) -> Json:
    chance = random.Random(20261126)
    return {
        "model": model, "max_tokens": 32_000, "stream": True, "system": _system(chance),
        "thinking": {"type": "enabled", "budget_tokens": 10_000}, "metadata": {"user_id": "user_0123456789abcdef"},
        "tools": [_tool(chance, number) for number in range(TOOLS)], "messages": _messages(chance, grain),
    }  # fmt: skip


def _system(chance: random.Random) -> list[Json]:
    first = {"type": "text", "text": "You are an agent that works on code.", "cache_control": _EPHEMERAL}
    return [first, {"type": "text", "text": _prose(chance, 16_000), "cache_control": _EPHEMERAL}]


def _tool(chance: random.Random, number: int) -> Json:
    properties: Json = {
        f"field_{at}": {"type": "string", "description": _prose(chance, 120)} for at in range(1 + number % 4)
    }
    properties["edits"] = {
        "type": "array", "minItems": 1, "description": _prose(chance, 80),
        "items": {"type": "object", "properties": {"old": {"type": "string"}, "new": {"type": "string"}},
                  "required": ["old", "new"], "additionalProperties": False},
    }  # fmt: skip
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties,
        "required": ["field_0"], "additionalProperties": False,
    }  # fmt: skip
    tool: Json = {"name": f"Tool{number}", "description": _prose(chance, 1_200), "input_schema": schema}
    return tool | ({"cache_control": _EPHEMERAL} if number == TOOLS - 1 else {})


def _messages(chance: random.Random, grain: int) -> list[Json]:
    """A question, then calls and results by turns; the last is the user's, as the API wants it."""
    reminder = {"type": "text", "text": f"<system-reminder>\n{_prose(chance, 1_000)}\n</system-reminder>"}
    messages: list[Json] = [{"role": "user", "content": [reminder, {"type": "text", "text": _prose(chance, 600)}]}]
    waiting: list[str] = []
    for turn in range(1, MESSAGES - 1):
        if turn % 2:
            waiting = [f"toolu_{turn:04d}{at}{chance.randrange(10**12):012d}" for at in range(1 + (turn % 8 == 1))]
            messages.append({"role": "assistant", "content": _said(chance, waiting, turn)})
        else:
            results = [_result(chance, id, grain // len(waiting), turn) for id in waiting]
            messages.append({"role": "user", "content": results})
    last: Json = {"type": "text", "text": _prose(chance, 400), "cache_control": _EPHEMERAL}
    return [*messages, {"role": "user", "content": [last]}]


def _said(chance: random.Random, ids: list[str], turn: int) -> list[Json]:
    signature = "KILO_SEALED_THOUGHT:google-gemini-v1:signature:0:" + base64.b64encode(chance.randbytes(360)).decode()
    said: list[Json] = [{"type": "thinking", "thinking": _prose(chance, 500), "signature": signature}]
    if turn % 3:
        said.append({"type": "text", "text": _prose(chance, 200)})
    for id in ids:
        edits = [{"old": _code(chance, 250), "new": _code(chance, 300)}]
        edit = {"field_0": f"/home/user/project/src/file_{turn}.py", "edits": edits}
        said.append({"type": "tool_use", "id": id, "name": f"Tool{chance.randrange(TOOLS)}", "input": edit})
    return said


def _result(chance: random.Random, id: str, size: int, turn: int) -> Json:
    text = _code(chance, size, has_native=turn % 8 == 0)
    content: str | list[Json] = text if turn % 4 else [{"type": "text", "text": text}]
    result: Json = {"tool_use_id": id, "type": "tool_result", "content": content}
    return result | ({"is_error": True} if turn % 20 == 0 else {})


def _prose(chance: random.Random, size: int) -> str:
    words: list[str] = []
    while size > 0:
        words.append(chance.choice(_WORDS))
        size -= len(words[-1]) + 1
    return " ".join(words) + "."


def _code(chance: random.Random, size: int, *, has_native: bool = False) -> str:
    lines: list[str] = []
    while size > 0:
        line = chance.choice(_LINES) if chance.random() < 0.4 else "    " + _prose(chance, 40)
        if has_native and chance.random() < 0.1:
            line = _NATIVE
        lines.append(f"{len(lines) + 1:6}\t{line}")
        size -= len(lines[-1]) + 1
    return "\n".join(lines)

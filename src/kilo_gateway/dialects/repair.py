"""Conversations mended where clients leave them broken: providers refuse the whole request for one orphan.

Each mend is counted by its kind. docs/api.md names the kinds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.dialects.hub.asked import Message, Part, Request, Text, Thought, ToolCall, ToolResult
from kilo_gateway.dialects.tool_ids import Form

INTERRUPTED = "The call was interrupted before it had a result."
_is_object = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_Results = dict[str, list[ToolResult]]  # of each id, in the order of coming


def repaired(request: Request, form: Form | None = None) -> tuple[Request, Counter[str]]:
    """Calls have ids of their own, of this form, JSON objects as arguments and a result each; results have a call; no

    message is empty.
    """
    mends: Counter[str] = Counter()
    results = _results_of(request.messages)
    named = list(_with_own_ids(request.messages, results, mends))
    messages = tuple(_without_empty(_with_results(named, results, mends), mends))
    if form is not None:
        messages = _of_form(messages, form, mends)
    return (request if messages == request.messages else replace(request, messages=messages)), mends


def _results_of(messages: Iterable[Message]) -> _Results:
    results: _Results = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolResult):
                results.setdefault(part.id, []).append(part)
    return results


def _with_own_ids(messages: Iterable[Message], results: _Results, mends: Counter[str]) -> Iterator[Message]:
    seen: set[str] = set()
    for message in messages:
        if message.role != "assistant" or not any(isinstance(part, ToolCall) for part in message.parts):
            yield message
            continue
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                own = _with_own_id(part, seen, results, mends)
                if own is None:
                    continue
                seen.add(own.id)
                part = _with_arguments(own, mends)
            parts.append(part)
        yield Message(message.role, tuple(parts))


def _with_own_id(call: ToolCall, seen: set[str], results: _Results, mends: Counter[str]) -> ToolCall | None:
    """Some number the calls of each turn anew: a call whose id came before has a result of its own then. One without is

    the same call sent again: None.
    """
    if call.id and call.id not in seen:
        return call
    others = results.get(call.id, [])
    if call.id:
        mends["duplicate_tool_call"] += 1
        if len(others) < 2:
            return None
    else:
        mends["missing_tool_call_id"] += 1
    number = 2
    while (id := f"{call.id or 'call'}_{number}") in seen or id in results:
        number += 1
    if others:
        results[id] = [replace(others.pop(1 if call.id else 0), id=id)]
    return replace(call, id=id)


def _with_arguments(call: ToolCall, mends: Counter[str]) -> ToolCall:
    """Models write them, and streams break off: what is no JSON object stands in one."""
    if not call.arguments.strip():
        return replace(call, arguments="{}")
    try:
        _is_object(call.arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        mends["tool_arguments"] += 1
        return replace(call, arguments=_encode({"arguments": call.arguments}).decode())
    return call


def _with_results(messages: Iterable[Message], results: _Results, mends: Counter[str]) -> Iterator[Message]:
    """Results stand right behind their calls, in their order: in one message, whatever stood between."""
    for message in messages:
        if message.role == "tool":
            continue
        yield message
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            yield Message("tool", tuple(_result(call, results, mends) for call in calls))
    if left := sum(map(len, results.values())):
        mends["orphan_tool_result"] += left


def _result(call: ToolCall, results: _Results, mends: Counter[str]) -> ToolResult:
    found = results.pop(call.id, None)
    if found:
        if len(found) > 1:
            mends["duplicate_tool_result"] += len(found) - 1
        return found[0]
    mends["missing_tool_result"] += 1
    return ToolResult(call.id, (Text(INTERRUPTED),), is_error=True)


def _without_empty(messages: Iterable[Message], mends: Counter[str]) -> Iterator[Message]:
    for message in messages:
        parts = tuple(part for part in message.parts if not _is_empty(part))
        if not any(not isinstance(part, Thought) for part in parts) and message.role in ("assistant", "system"):
            mends["empty_message"] += 1
            continue
        yield message if len(parts) == len(message.parts) else Message(message.role, parts)


def _is_empty(part: Part) -> bool:
    return isinstance(part, Text) and not part.text


def _of_form(messages: tuple[Message, ...], form: Form, mends: Counter[str]) -> tuple[Message, ...]:
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolCall | ToolResult)]
    odd = {part.id: form.fit(part.id) for part in parts if not form.fits(part.id)}
    if not odd:
        return messages
    mends["tool_call_id"] += len(odd)
    return tuple([replace(message, parts=tuple(_renamed(message.parts, odd))) for message in messages])


def _renamed(parts: Iterable[Part], odd: dict[str, str]) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, ToolCall | ToolResult) and part.id in odd:
            part = replace(part, id=odd[part.id])
        yield part

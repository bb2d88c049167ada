"""Conversations mended where clients leave them broken: providers refuse the whole request for one orphan.

Each mend is told: "what: how often".
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from kilo_gateway.dialects.hub.asked import Message, Part, Request, Text, Thought, ToolCall, ToolResult

INTERRUPTED = "The call was interrupted before it had a result."


def repaired(request: Request) -> tuple[Request, tuple[str, ...]]:
    """Calls have ids of their own and a result each, results have a call, no message is empty."""
    mends: Counter[str] = Counter()
    messages = tuple(_without_empty(_with_results(_with_own_ids(request.messages, mends), mends), mends))
    told = tuple(f"{what}: {count}" for what, count in mends.items())
    return (request if messages == request.messages else replace(request, messages=messages)), told


def _with_own_ids(messages: Iterable[Message], mends: Counter[str]) -> Iterator[Message]:
    """A call whose id came before is the same call sent again, and is left out; one without an id gets one."""
    seen: set[str] = set()
    for at, message in enumerate(messages):
        if message.role != "assistant" or not any(isinstance(part, ToolCall) for part in message.parts):
            yield message
            continue
        parts: list[Part] = []
        for nth, part in enumerate(message.parts):
            if isinstance(part, ToolCall):
                if part.id in seen:
                    mends["duplicate tool call left out"] += 1
                    continue
                if not part.id:
                    part = replace(part, id=f"call_{at}_{nth}")
                    mends["tool call without id given one"] += 1
                seen.add(part.id)
            parts.append(part)
        yield replace(message, parts=tuple(parts))


def _with_results(messages: Iterable[Message], mends: Counter[str]) -> Iterator[Message]:
    """Results stand right behind their calls, in their order: in one message, whatever stood between."""
    found = list(messages)
    results: dict[str, ToolResult] = {}
    for message in found:
        for part in message.parts:
            if isinstance(part, ToolResult):
                if part.id in results:
                    mends["duplicate tool result left out"] += 1
                else:
                    results[part.id] = part
    for message in found:
        if message.role == "tool":
            continue
        yield message
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if calls:
            yield Message("tool", tuple(_result(call, results, mends) for call in calls))
    if results:
        mends["tool result without a call left out"] += len(results)


def _result(call: ToolCall, results: dict[str, ToolResult], mends: Counter[str]) -> ToolResult:
    result = results.pop(call.id, None)
    if result is not None:
        return result
    mends["missing tool result added"] += 1
    return ToolResult(call.id, (Text(INTERRUPTED),), is_error=True)


def _without_empty(messages: Iterable[Message], mends: Counter[str]) -> Iterator[Message]:
    for message in messages:
        parts = tuple(part for part in message.parts if not _is_empty(part))
        if not any(not isinstance(part, Thought) for part in parts) and message.role in ("assistant", "system"):
            mends["empty message left out"] += 1
            continue
        yield message if parts == message.parts else replace(message, parts=parts)


def _is_empty(part: Part) -> bool:
    return isinstance(part, Text) and not part.text

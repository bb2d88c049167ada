"""What the answers of providers say: text, calls, finish and usage.

Read here by itself, from the providers' own words, so that it can be held against what comes out of the gateway.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
CUT = "(cut off)"  # arguments that end before their end
FINISHES = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter", "end_turn": "stop",
    "function_call": "tool_calls", "model_length": "length", "error": "error", "sensitive": "content_filter",
    "network_error": "error", "insufficient_system_resource": "error",
    "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter",
    "pause_turn": "stop", "model_context_window_exceeded": "length", "compaction": "stop",
    "completed": "stop", "max_output_tokens": "length",
    "STOP": "stop", "FINISH_REASON_UNSPECIFIED": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter",
    "RECITATION": "content_filter", "LANGUAGE": "content_filter", "BLOCKLIST": "content_filter", "SPII": "content_filter",
    "PROHIBITED_CONTENT": "content_filter", "MODEL_ARMOR": "content_filter", "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter", "IMAGE_RECITATION": "content_filter",
    "UNEXPECTED_TOOL_CALL": "tool_calls",  # the call is there, and is the caller's to judge
    "guardrail_intervened": "content_filter", "content_filtered": "content_filter", "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "COMPLETE": "stop", "STOP_SEQUENCE": "stop", "TOOL_CALL": "tool_calls", "ERROR": "error", "TIMEOUT": "error",
    "ERROR_TOXIC": "content_filter", "ERROR_LIMIT": "length",
}  # fmt: skip
_FAILURES = ("error", "response.error", "response.failed", "response.cancelled")
_NOT_READY = ("failed", "cancelled", "queued", "in_progress")
_ENDS = {
    "anthropic-messages": ("message_stop",), "openai-responses": ("response.completed", "response.incomplete"),
    "bedrock-converse": ("messageStop",), "cohere": ("message-end",),
}  # fmt: skip


@dataclass
class Said:
    """`usage`: prompt with what came from caches, completion with reasoning; None where it is not told. `native`: the

    finish in the provider's own word. `has_refused`: in words of its own. `is_broken`: it tells an error, is not ready, or
    stops before its end.
    """

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = "stop"
    usage: tuple[int, int] | None = None
    native: str = ""
    has_refused: bool = False
    is_broken: bool = False

    @property
    def is_empty(self) -> bool:
        """It says nothing, and calls that an end."""
        return not (self.text or self.calls or self.has_refused) and self.finish == "stop"


def said(dialect: str, events: list[Json], *, is_stream: bool) -> Said:
    """Of a stream, or of a JSON answer, which is one event. Raises LookupError and the like for what is no answer."""
    if any(_is_failure(event) for event in events) or (is_stream and not _has_end(dialect, events)):
        return Said(is_broken=True)
    found = _STREAMS[dialect](events) if is_stream or dialect == "gemini" else _JSON[dialect](events[0])
    if found.calls and found.finish == "stop":
        found.finish = "tool_calls"
    return found


def _is_failure(event: Json) -> bool:
    delta = event.get("delta")
    return bool(
        event.get("error") or event.get("type") in _FAILURES or event.get("status") in _NOT_READY
        or (isinstance(delta, dict) and delta.get("error")) or str(event.get("type")).startswith(":exception:")
    )  # fmt: skip


def _has_end(dialect: str, events: list[Json]) -> bool:
    if dialect == "openai-chat":
        return any(choice.get("finish_reason") for event in events for choice in event.get("choices") or [])
    if dialect == "gemini":
        ended = (each.get("finishReason") for event in events for each in event.get("candidates") or [])
        return any(ended) or any(event.get("promptFeedback") for event in events)
    return any(event.get("type") in _ENDS[dialect] for event in events)


def _finish(native: str | None) -> str:
    return FINISHES.get(native or "stop", "stop")


def arguments_of(text: Any) -> Any:
    if not isinstance(text, str):
        return {} if text is None else text
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return CUT


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content or [])


def _messages(answer: Json) -> Said:
    usage, native = answer["usage"], answer["stop_reason"]
    prompt = sum(usage.get(name) or 0 for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    return Said(
        "".join(block["text"] for block in answer["content"] if block["type"] == "text"),
        [(block["name"], block["input"] or {}) for block in answer["content"] if block["type"] == "tool_use"],
        _finish(native), (prompt, usage["output_tokens"]), native or "",
    )  # fmt: skip


def _messages_stream(events: list[Json]) -> Said:
    message: Json = {}
    blocks: dict[int, Json] = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "json": ""}
        elif kind == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            block["text"] = block.get("text", "") + delta.get("text", "")
            block["json"] += delta.get("partial_json", "")
        elif kind == "message_delta":
            told = {name: count for name, count in event["usage"].items() if count is not None}
            message = {**message, **event["delta"], "usage": {**message["usage"], **told}}
    for block in blocks.values():
        if block["type"] == "tool_use" and block["json"]:
            block["input"] = arguments_of(block["json"])
    return _messages({**message, "content": list(blocks.values())})


def _chat(answer: Json) -> Said:
    choice = answer["choices"][0]
    message = choice["message"]
    found = Said(
        text_of(message.get("content")), [], _finish(choice.get("finish_reason")), _chat_usage(answer),
        choice.get("finish_reason") or "", bool(message.get("refusal")),
    )  # fmt: skip
    for call in message.get("tool_calls") or []:
        made = call.get("function") or call["custom"]
        found.calls.append((made["name"], {"input": made["input"]} if "input" in made else arguments_of(made["arguments"])))
    if legacy := message.get("function_call"):
        found.calls.append((legacy["name"], arguments_of(legacy["arguments"])))
    return found


def _chat_usage(chunk: Json) -> tuple[int, int] | None:
    """Groq's stands in a member of its own. What reasoned beside the completion, as xAI counts, is in the total."""
    usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
    if not usage:
        return None
    prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens")
    total, details = usage.get("total_tokens"), usage.get("completion_tokens_details") or {}
    if completion is None:
        return None if total is None else (prompt, total - prompt)
    beside = details.get("reasoning_tokens") or 0
    return (prompt, completion + beside) if beside and total == prompt + completion + beside else (prompt, completion)


def _chat_stream(events: list[Json]) -> Said:
    found, calls = Said(), dict[Any, list[str]]()
    for event in events:
        found.usage = _chat_usage(event) or found.usage
        for choice in event.get("choices") or []:
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            found.text += text_of(delta.get("content"))
            found.has_refused = found.has_refused or bool(delta.get("refusal"))
            for call in delta.get("tool_calls") or []:
                _piece(call, calls)
            if choice.get("finish_reason"):
                found.finish, found.native = _finish(choice["finish_reason"]), choice["finish_reason"]
    found.calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    return found


def _piece(call: Json, calls: dict[Any, list[str]]) -> None:
    function = call.get("function") or call.get("custom") or {}
    known = calls.setdefault(call.get("index", len(calls)), ["", ""])
    known[0] = known[0] or function.get("name") or ""
    known[1] += function.get("arguments") or ""


def _responses(answer: Json) -> Said:
    found = Said()
    for item in answer["output"]:
        if item["type"] == "message":
            found.text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
            found.has_refused = found.has_refused or any(part["type"] == "refusal" for part in item["content"])
        elif item["type"] == "function_call":
            found.calls.append((item["name"], arguments_of(item["arguments"])))
        elif item["type"] == "custom_tool_call":
            found.calls.append((item["name"], {"input": item["input"]}))
    reason = (answer.get("incomplete_details") or {}).get("reason") or answer.get("status") or "completed"
    usage = answer.get("usage")
    found.finish, found.native = _finish(reason), reason
    found.usage = (usage["input_tokens"], usage["output_tokens"]) if usage else None
    return found


def _responses_stream(events: list[Json]) -> Said:
    last = next(event for event in reversed(events) if event["type"] in _ENDS["openai-responses"])["response"]
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return _responses({**last, "output": items or last["output"]})


def _gemini(events: list[Json]) -> Said:
    found = Said()
    for event in events:
        for candidate in (event.get("candidates") or [])[:1]:
            for part in (candidate.get("content") or {}).get("parts") or []:
                if "functionCall" in part:
                    found.calls.append((part["functionCall"]["name"], part["functionCall"].get("args") or {}))
                elif not part.get("thought"):
                    found.text += part.get("text") or ""
            if reason := candidate.get("finishReason"):
                found.finish, found.native = FINISHES.get(reason, "error"), reason
        if event.get("promptFeedback", {}).get("blockReason"):
            found.finish = "content_filter"
        if "promptTokenCount" in (usage := event.get("usageMetadata") or {}):
            prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
            found.usage = prompt, usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    return found


def _converse(answer: Json) -> Said:
    blocks, native = answer["output"]["message"]["content"] or [], answer["stopReason"]
    texts = [part for block in blocks for part in (block, *(block.get("citationsContent") or {}).get("content", ()))]
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    return Said(
        "".join(part.get("text") or "" for part in texts),
        [
            (use["name"], {} if use["input"] is None else use["input"])
            for use in uses if use.get("type") != "server_tool_use"
        ],
        _finish(native), _converse_usage(answer), native,
    )  # fmt: skip


def _converse_usage(told: Json) -> tuple[int, int]:
    usage = told["usage"]
    prompt = sum(usage.get(name) or 0 for name in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"))
    return prompt, usage["outputTokens"]


def _converse_stream(events: list[Json]) -> Said:
    found, calls = Said(), dict[int, list[str]]()
    for event in events:
        delta, at = event.get("delta") or {}, event.get("contentBlockIndex", 0)
        found.text += delta.get("text") or ""
        use = (event.get("start") or {}).get("toolUse")
        if use and use.get("type") != "server_tool_use":
            calls[at] = [use["name"], ""]
        if "toolUse" in delta and at in calls:
            calls[at][1] += delta["toolUse"]["input"]
        if "stopReason" in event:
            found.finish, found.native = _finish(event["stopReason"]), event["stopReason"]
        if "usage" in event:
            found.usage = _converse_usage(event)
    found.calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    return found


def _cohere(answer: Json) -> Said:
    message, native = answer["message"], answer["finish_reason"]
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return Said(
        text_of(message.get("content")), [(call["name"], arguments_of(call["arguments"])) for call in calls],
        _finish(native), _cohere_usage(answer), native,
    )  # fmt: skip


def _cohere_usage(told: Json) -> tuple[int, int] | None:
    usage = told.get("usage") or {}
    tokens = usage.get("tokens") or usage.get("billed_units")
    return (int(tokens["input_tokens"]), int(tokens["output_tokens"])) if tokens else None


def _cohere_stream(events: list[Json]) -> Said:
    found, calls = Said(), dict[int, list[str]]()
    for event in events:
        kind, delta = event["type"], event.get("delta") or {}
        message = delta.get("message") or {}
        if kind in ("content-start", "content-delta"):
            found.text += message["content"].get("text") or ""
        elif kind in ("tool-call-start", "tool-call-delta"):
            function, known = message["tool_calls"]["function"], calls.setdefault(event["index"], ["", ""])
            known[0] += function.get("name") or ""
            known[1] += function.get("arguments") or ""
        elif kind == "message-end":
            found.finish, found.native = _finish(delta["finish_reason"]), delta["finish_reason"]
            found.usage = _cohere_usage(delta)
    found.calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    return found


_JSON: dict[str, Callable[[Json], Said]] = {
    "anthropic-messages": _messages, "openai-chat": _chat, "openai-responses": _responses, "bedrock-converse": _converse,
    "cohere": _cohere,
}  # fmt: skip
_STREAMS: dict[str, Callable[[list[Json]], Said]] = {
    "anthropic-messages": _messages_stream, "openai-chat": _chat_stream, "openai-responses": _responses_stream,
    "gemini": _gemini, "bedrock-converse": _converse_stream, "cohere": _cohere_stream,
}  # fmt: skip

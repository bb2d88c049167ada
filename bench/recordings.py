"""Recorded exchanges with providers, one JSON object a line, and what each says: text, calls, finish and usage.

Read here by itself, from the providers' own words, so that it can be held against what comes out of the gateway.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIALECTS = {
    "/messages": "anthropic-messages", "/chat/completions": "openai-chat", "/responses": "openai-responses",
    ":generateContent": "gemini", ":streamGenerateContent": "gemini", "/converse": "bedrock-converse",
    "/converse-stream": "bedrock-converse", "/v2/chat": "cohere",
}  # fmt: skip
FINISHES = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter", "end_turn": "stop",
    "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter",
    "pause_turn": "stop",
    "STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter", "COMPLETE": "stop", "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "tool_calls", "completed": "stop", "max_output_tokens": "length", "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter", "MODEL_ARMOR": "content_filter",
    "UNEXPECTED_TOOL_CALL": "tool_calls",  # the call is there, and is the caller's to judge
    "model_context_window_exceeded": "length", "compaction": "stop",
}  # fmt: skip


@dataclass
class Said:
    """`usage`: prompt with what came from caches, completion with reasoning; None where it is not told."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = "stop"
    usage: tuple[int, int] | None = None


@dataclass(frozen=True)
class Recording:
    """`skipped`: why it cannot be replayed; empty when it can."""

    number: int
    name: str
    dialect: str
    status: int
    content_type: str
    body: bytes
    skipped: str = ""

    @property
    def is_stream(self) -> bool:
        return "event-stream" in self.content_type and self.status == 200

    def said(self) -> Said:
        """Raises LookupError or ValueError for an answer that is none."""
        read = _JSON[self.dialect] if not self.is_stream else _STREAMS[self.dialect]
        found: Said = read(_events(self.body) if self.is_stream else json.loads(self.body))
        if found.calls and found.finish == "stop":
            found.finish = "tool_calls"
        return found


def recordings(path: Path) -> Iterator[Recording]:
    """Raises OSError and ValueError."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for number, line in enumerate(lines):
            if line.strip():
                yield _recording(number, json.loads(line))


def _recording(number: int, line: dict[str, Any]) -> Recording:
    url = str(line["url"]).partition("?")[0].partition("#")[0]
    dialect = next((name for end, name in DIALECTS.items() if url.endswith(end)), "")
    skipped = ""
    if line["method"].upper() != "POST" or not dialect:
        skipped = "no inference in a dialect that is replayed"
    response = line["response"]
    body = response.encode() if isinstance(response, str) else json.dumps(response, ensure_ascii=False).encode()
    kind = str(line["content_type"] or "application/json")
    return Recording(number, str(line["name"]), dialect, int(line["status"]), kind, body, skipped)


def _events(body: bytes) -> list[dict[str, Any]]:
    data = [line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:")]
    return [json.loads(each) for each in data if each.startswith("{")]


def arguments_of(text: str) -> Any:
    return json.loads(text) if text else {}


def _messages(answer: dict[str, Any]) -> Said:
    usage = answer["usage"]
    prompt = sum(usage.get(name) or 0 for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    return Said(
        "".join(block["text"] for block in answer["content"] if block["type"] == "text"),
        [(block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"],
        FINISHES[answer["stop_reason"]], (prompt, usage["output_tokens"]),
    )  # fmt: skip


def _messages_stream(events: list[dict[str, Any]]) -> Said:
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
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
            message = {**message, **event["delta"], "usage": {**message["usage"], **event["usage"]}}
    for block in blocks.values():
        if block["type"] == "tool_use":
            block["input"] = arguments_of(block["json"])
    return _messages({**message, "content": list(blocks.values())})


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text") or "" for part in content or [])


def _chat(answer: dict[str, Any]) -> Said:
    choice = answer["choices"][0]
    message, usage = choice["message"], answer.get("usage")
    calls = [call["function"] for call in message.get("tool_calls") or [] if "function" in call]
    return Said(
        text_of(message.get("content")), [(call["name"], arguments_of(call["arguments"])) for call in calls],
        FINISHES.get(choice["finish_reason"], "stop"),
        usage and (usage["prompt_tokens"], usage.get("completion_tokens") or 0),
    )  # fmt: skip


def _chat_stream(events: list[dict[str, Any]]) -> Said:
    said, calls = Said(), {}
    for event in events:
        if usage := event.get("usage"):
            said.usage = usage["prompt_tokens"], usage.get("completion_tokens") or 0
        for choice in event.get("choices") or []:
            said.text += text_of(choice["delta"].get("content"))
            for call in choice["delta"].get("tool_calls") or []:
                known = calls.setdefault(call.get("index", len(calls)), ["", ""])
                known[0] += call["function"].get("name") or ""
                known[1] += call["function"].get("arguments") or ""
            if choice.get("finish_reason"):
                said.finish = FINISHES.get(choice["finish_reason"], "stop")
    said.calls = [(name, arguments_of(arguments)) for name, arguments in calls.values()]
    return said


def _responses(answer: dict[str, Any]) -> Said:
    texts, calls = [], []
    for item in answer["output"]:
        if item["type"] == "message":
            texts += [part["text"] for part in item["content"] if part["type"] == "output_text"]
        elif item["type"] == "function_call":
            calls.append((item["name"], arguments_of(item["arguments"])))
    reason = (answer.get("incomplete_details") or {}).get("reason") or "completed"
    usage = answer.get("usage")
    return Said("".join(texts), calls, FINISHES[reason], usage and (usage["input_tokens"], usage["output_tokens"]))


def _responses_stream(events: list[dict[str, Any]]) -> Said:
    last = next(event for event in reversed(events) if event["type"] in ("response.completed", "response.incomplete"))
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    return _responses({**last["response"], "output": items})


def _gemini(answer: dict[str, Any]) -> Said:
    return _gemini_stream([answer])


def _gemini_stream(events: list[dict[str, Any]]) -> Said:
    said = Said()
    for event in events:
        for candidate in event.get("candidates", [])[:1]:
            for part in (candidate.get("content") or {}).get("parts") or []:
                if "functionCall" in part:
                    said.calls.append((part["functionCall"]["name"], part["functionCall"].get("args") or {}))
                elif not part.get("thought"):
                    said.text += part.get("text") or ""
            if reason := candidate.get("finishReason"):
                said.finish = FINISHES.get(reason, "error")
        if event.get("promptFeedback", {}).get("blockReason"):
            said.finish = "content_filter"
        if "promptTokenCount" in (usage := event.get("usageMetadata") or {}):
            prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
            said.usage = prompt, usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    return said


def _converse(answer: dict[str, Any]) -> Said:
    blocks, usage = answer["output"]["message"]["content"], answer["usage"]
    prompt = sum(usage.get(name) or 0 for name in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"))
    return Said(
        "".join(block.get("text", "") for block in blocks),
        [(block["toolUse"]["name"], block["toolUse"]["input"]) for block in blocks if "toolUse" in block],
        FINISHES[answer["stopReason"]], (prompt, usage["outputTokens"]),
    )  # fmt: skip


def _cohere(answer: dict[str, Any]) -> Said:
    message, tokens = answer["message"], (answer.get("usage") or {}).get("tokens")
    calls = [call["function"] for call in message.get("tool_calls") or []]
    return Said(
        "".join(part.get("text") or "" for part in message.get("content") or [] if part["type"] == "text"),
        [(call["name"], arguments_of(call["arguments"])) for call in calls], FINISHES[answer["finish_reason"]],
        tokens and (int(tokens["input_tokens"]), int(tokens["output_tokens"])),
    )  # fmt: skip


_JSON: dict[str, Any] = {
    "anthropic-messages": _messages, "openai-chat": _chat, "openai-responses": _responses, "gemini": _gemini,
    "bedrock-converse": _converse, "cohere": _cohere,
}  # fmt: skip
_STREAMS: dict[str, Any] = {
    "anthropic-messages": _messages_stream, "openai-chat": _chat_stream, "openai-responses": _responses_stream,
    "gemini": _gemini_stream,
}  # fmt: skip

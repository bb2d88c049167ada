"""A stream of each upstream dialect, for bench/pairs.py: how it begins, then thought, text and arguments, piece by piece."""

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_TEXT = " and so the next line"
_ARGUMENTS = '{"old": "retur'
_IDS = '"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1764000000,"model":"some-model"'


@dataclass(frozen=True)
class Stream:
    """Bytes as they come from the upstream. One of the pieces is sent again and again between those before and behind it."""

    begins: bytes
    thought: bytes
    text: bytes
    call: bytes
    arguments: bytes
    content_type: bytes = b"text/event-stream"


def _sse(data: Json | str, *, is_named: bool = False) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    name = f"event: {json.loads(text)['type']}\n" if is_named else ""
    return f"{name}data: {text}\n\n".encode()


def _chat(delta: str) -> bytes:
    return _sse(f'{{{_IDS},"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null}}')


def _messages(kind: str, **members: object) -> bytes:
    return _sse({"type": kind} | members, is_named=True)


def _block(index: int, block: Json) -> bytes:
    return _messages("content_block_start", index=index, content_block=block)


def _block_delta(index: int, **delta: object) -> bytes:
    return _messages("content_block_delta", index=index, delta=delta)


def _responses(kind: str, **members: object) -> bytes:
    return _sse({"type": f"response.{kind}", "sequence_number": 7} | members, is_named=True)


def _gemini(part: Json) -> bytes:
    counts = {"promptTokenCount": 1200, "candidatesTokenCount": 40, "totalTokenCount": 1240, "thoughtsTokenCount": 7}
    usage = counts | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1200}]}
    candidate = {"content": {"parts": [part], "role": "model"}, "index": 0}
    return _sse({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro", "responseId": "AbCd12"})


def _converse(kind: str, **members: object) -> bytes:
    """A frame of an AWS event stream."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in ((":event-type", kind), (":content-type", "application/json"), (":message-type", "event"))
    )
    payload = json.dumps(members | {"p": "abcdefghijklmnop"}).encode()
    lengths = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    body = lengths + struct.pack("!I", zlib.crc32(lengths)) + head + payload
    return body + struct.pack("!I", zlib.crc32(body))


def _converse_delta(index: int, **delta: object) -> bytes:
    return _converse("contentBlockDelta", contentBlockIndex=index, delta=delta)


def _cohere(kind: str, message: Json, index: int = 0) -> bytes:
    return _sse({"type": kind, "index": index, "delta": {"message": message}}, is_named=True)


def _thinking(text: str) -> str:
    return json.dumps({"reasoning": text, "reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]})


def openai_chat() -> Stream:
    function = '{"name":"edit","arguments":""}'
    return Stream(
        _chat('{"role":"assistant","content":""}'), _chat(_thinking(_TEXT)), _chat(f'{{"content":"{_TEXT}"}}'),
        _chat(f'{{"tool_calls":[{{"index":0,"id":"call_1","type":"function","function":{function}}}]}}'),
        _chat(json.dumps({"tool_calls": [{"index": 0, "function": {"arguments": _ARGUMENTS}}]})),
    )  # fmt: skip


def openai_responses() -> Stream:
    created = {"id": "resp_1", "model": "some-model", "created_at": 1764000000, "status": "in_progress"}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "edit"}

    def added(at: int, item: Json) -> bytes:
        return _responses("output_item.added", output_index=at, item=item)

    def delta(kind: str, id: str, at: int, text: str, **more: object) -> bytes:
        return _responses(f"{kind}.delta", item_id=id, output_index=at, delta=text, obfuscation="x8Hq3k", **more)

    return Stream(
        _responses("created", response=created) + added(0, {"type": "reasoning", "id": "rs_1", "summary": []})
        + added(1, {"type": "message", "id": "msg_1", "content": []}),
        delta("reasoning_summary_text", "rs_1", 0, _TEXT, summary_index=0),
        delta("output_text", "msg_1", 1, _TEXT, content_index=0, logprobs=[]), added(2, call),
        delta("function_call_arguments", "fc_1", 2, _ARGUMENTS),
    )  # fmt: skip


def anthropic_messages() -> Stream:
    usage = {"input_tokens": 1200, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-some", "content": [], "usage": usage}
    return Stream(
        _messages("message_start", message=message) + _block(0, {"type": "thinking", "thinking": "", "signature": ""})
        + _block(1, {"type": "text", "text": ""}),
        _block_delta(0, type="thinking_delta", thinking=_TEXT), _block_delta(1, type="text_delta", text=_TEXT),
        _block(2, {"type": "tool_use", "id": "toolu_1", "name": "edit", "input": {}}),
        _block_delta(2, type="input_json_delta", partial_json=_ARGUMENTS),
    )  # fmt: skip


def gemini() -> Stream:
    call = {"functionCall": {"name": "edit", "args": {"old": "return None"}}, "thoughtSignature": "QUJD" * 100}
    return Stream(b"", _gemini({"text": _TEXT, "thought": True}), _gemini({"text": _TEXT}), b"", _gemini(call))


def bedrock_converse() -> Stream:
    use = {"toolUse": {"toolUseId": "tooluse_1", "name": "edit"}}
    return Stream(
        _converse("messageStart", role="assistant"), _converse_delta(0, reasoningContent={"text": _TEXT}),
        _converse_delta(1, text=_TEXT), _converse("contentBlockStart", contentBlockIndex=2, start=use),
        _converse_delta(2, toolUse={"input": _ARGUMENTS}), b"application/vnd.amazon.eventstream",
    )  # fmt: skip


def cohere() -> Stream:
    start = {"id": "a-1", "type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}}
    function = {"name": "edit", "arguments": ""}
    return Stream(
        _sse(start, is_named=True), _cohere("content-delta", {"content": {"thinking": _TEXT}}),
        _cohere("content-delta", {"content": {"text": _TEXT}}, 1),
        _cohere("tool-call-start", {"tool_calls": {"id": "edit_1", "type": "function", "function": function}}),
        _cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": _ARGUMENTS}}}),
    )  # fmt: skip


STREAMS: dict[str, Callable[[], Stream]] = {
    "openai-chat": openai_chat, "openai-responses": openai_responses, "anthropic-messages": anthropic_messages,
    "gemini": gemini, "bedrock-converse": bedrock_converse, "cohere": cohere,
}  # fmt: skip

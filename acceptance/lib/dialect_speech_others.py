"""How Anthropic Messages, Gemini, Bedrock Converse and Cohere say a Reply: as one JSON body and as the payloads of a stream.

An event of Converse is (name, payload), framed by `frame`: lengths, headers, payload and two CRC-32, as AWS event streams are.
"""

import base64
import json
import struct
import zlib

from dialect_scripts import SIGNATURES, Call, Reply, Usage
from dialect_speech_openai import said

# ---------------------------------------------------------------- Anthropic Messages

STOP_REASON = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal", "stop_sequence": "stop_sequence"}


def messages_usage(usage: Usage) -> dict:
    return {"input_tokens": usage.fresh, "cache_creation_input_tokens": usage.written, "cache_read_input_tokens": usage.cached,
            "cache_creation": {"ephemeral_5m_input_tokens": usage.written, "ephemeral_1h_input_tokens": 0}, "output_tokens": usage.completion,
            "service_tier": "standard"}  # fmt: skip


def forced_tool(request: dict) -> str:
    """The tool that must be called, where a schema was asked for by forcing one."""
    choice = request.get("tool_choice") or {}
    if choice.get("type") == "tool":
        return choice["name"]
    if choice.get("type") == "any" and len(request.get("tools") or []) == 1:
        return request["tools"][0]["name"]
    return ""


def _blocks(reply: Reply, request: dict) -> list[dict]:
    signature = SIGNATURES["messages"] if reply.is_signed else ""
    blocks = [{"type": "thinking", "thinking": reply.thought, "signature": signature}] if reply.thought else []
    if reply.redacted:
        blocks.append({"type": "redacted_thinking", "data": reply.redacted})
    if reply.is_searched:
        found = {"type": "web_search_result", "url": "https://example.com/a", "title": "A", "encrypted_content": "AA==", "page_age": None}
        blocks.append({"type": "server_tool_use", "id": "srvtoolu_lab1", "name": "web_search", "input": {"query": "Paris"}})
        blocks.append({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_lab1", "content": [found]})
    calls = list(reply.calls)
    if reply.structured is not None and (name := forced_tool(request)):
        calls = [Call("toolu_forced1", name, reply.structured)]
    elif text := "".join(said(reply, request)):
        cited = [
            {"type": "web_search_result_location", "url": u, "title": t, "cited_text": "Paris", "encrypted_index": "AA=="} for u, t in reply.citations
        ]
        blocks.append({"type": "text", "text": text} | ({"citations": cited} if cited else {}))
    return blocks + [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in calls]


def messages_body(reply: Reply, request: dict) -> dict:
    blocks = _blocks(reply, request)
    reason = "tool_use" if blocks and blocks[-1]["type"] == "tool_use" else STOP_REASON[reply.finish]
    sequence = (request.get("stop_sequences") or [None])[0] if reason == "stop_sequence" else None
    body = {"id": "msg_lab1", "type": "message", "role": "assistant", "model": request.get("model"), "content": blocks,
            "stop_reason": reason, "stop_sequence": sequence}  # fmt: skip
    return body | {"usage": messages_usage(reply.usage or Usage(0, 0))} | ({"x_unheard_of": {"a": 1}} if reply.is_odd else {})


def messages_events(reply: Reply, request: dict) -> list[dict]:
    whole = messages_body(reply, request)
    begun = {**whole, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[dict] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}},
                 "server_tool_use": {"input": {}}}.get(block["type"], {})  # fmt: skip
        shell = {k: v for k, v in block.items() if k != "citations"}
        events.append({"type": "content_block_start", "index": index, "content_block": {**shell, **empty}})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(reply, request, block)]
        if reply.is_odd:
            events.append({"type": "content_block_delta", "index": index, "delta": {"type": "unheard_of_delta", "stuff": 1}})
        events.append({"type": "content_block_stop", "index": index})
        if reply.is_odd:
            events.append({"type": "unheard_of", "stuff": {"a": [1]}})
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    return [*events, {"type": "message_delta", "delta": ending, "usage": whole["usage"]}, {"type": "message_stop"}]


def _deltas(reply: Reply, request: dict, block: dict) -> list[dict]:
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in reply.thinking]
        return deltas + ([{"type": "signature_delta", "signature": block["signature"]}] if block["signature"] else [])
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in said(reply, request)]
        return deltas + [{"type": "citations_delta", "citation": cited} for cited in block.get("citations", [])]
    if block["type"] in ("tool_use", "server_tool_use"):
        pieces = Call("", "", block["input"]).pieces()
        return [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]
    return []


# ---------------------------------------------------------------- Gemini

GEMINI_FINISH = {"stop": "STOP", "stop_sequence": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def gemini_usage(usage: Usage) -> dict:
    told = {"promptTokenCount": usage.prompt, "candidatesTokenCount": usage.completion - usage.reasoning,
            "totalTokenCount": usage.prompt + usage.completion}  # fmt: skip
    return (
        told
        | ({"cachedContentTokenCount": usage.cached} if usage.cached else {})
        | ({"thoughtsTokenCount": usage.reasoning} if usage.reasoning else {})
    )


def gemini_parts(reply: Reply, request: dict) -> list[dict]:
    """As streamed: one part an event. A thought's signature stands on the first call, else on the last text."""
    config = (request.get("generationConfig") or {}).get("thinkingConfig") or {}
    parts = [{"text": piece, "thought": True} for piece in reply.thinking if config.get("includeThoughts")]
    texts = [{"text": piece} for piece in said(reply, request)]
    calls = [{"functionCall": {"name": c.name, "args": c.arguments}} for c in reply.calls]
    if reply.thinking and reply.is_signed and (calls or texts):
        (calls[0] if calls else texts[-1])["thoughtSignature"] = SIGNATURES["gemini"]
    texts += [{"inlineData": {"mimeType": "image/png", "data": reply.image}}] if reply.image else []
    return parts + texts + calls + ([{"unheardOf": {"a": 1}}] if reply.is_odd else [])


def _gemini(reply: Reply, request: dict, parts: list[dict], finish: str | None, usage: bool) -> dict:
    candidate: dict = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
        if reply.citations:
            chunks = [{"web": {"uri": u, "title": t}} for u, t in reply.citations]
            support = {"segment": {"startIndex": 0, "endIndex": 5, "text": "Paris"}, "groundingChunkIndices": [0]}
            candidate["groundingMetadata"] = {"groundingChunks": chunks, "groundingSupports": [support]}
    told = {"candidates": [candidate], "modelVersion": "gemini-lab", "responseId": "lab1"}
    return told | ({"usageMetadata": gemini_usage(reply.usage)} if usage and reply.usage else {})


def gemini_body(reply: Reply, request: dict) -> dict:
    merged: list[dict] = []
    for part in gemini_parts(reply, request):
        before = merged[-1] if merged else {}
        if "text" in part and "text" in before and bool(part.get("thought")) == bool(before.get("thought")):
            merged[-1] = {**before, **part, "text": before["text"] + part["text"]}
        else:
            merged.append(part)
    return _gemini(reply, request, merged, GEMINI_FINISH[reply.finish], True)


def gemini_events(reply: Reply, request: dict) -> list[dict]:
    events = [_gemini(reply, request, [part], None, False) for part in gemini_parts(reply, request)]
    return [*events, _gemini(reply, request, [{"text": ""}], GEMINI_FINISH[reply.finish], True)]


# ---------------------------------------------------------------- Bedrock Converse

CONVERSE_STOP = {**STOP_REASON, "content_filter": "content_filtered"}


def converse_usage(usage: Usage) -> dict:
    return {"inputTokens": usage.fresh, "outputTokens": usage.completion, "totalTokens": usage.prompt + usage.completion,
            "cacheReadInputTokens": usage.cached, "cacheWriteInputTokens": usage.written}  # fmt: skip


def _converse_blocks(reply: Reply, request: dict) -> list[dict]:
    reasoning = {"text": reply.thought} | ({"signature": SIGNATURES["converse"]} if reply.is_signed else {})
    blocks: list[dict] = [{"reasoningContent": {"reasoningText": reasoning}}] if reply.thought else []
    if reply.redacted:
        blocks.append({"reasoningContent": {"redactedContent": reply.redacted}})
    choice = (request.get("toolConfig") or {}).get("toolChoice") or {}
    tools = [tool["toolSpec"]["name"] for tool in (request.get("toolConfig") or {}).get("tools", []) if "toolSpec" in tool]
    name = choice.get("tool", {}).get("name") or (tools[0] if "any" in choice and len(tools) == 1 else "")
    calls = list(reply.calls)
    if reply.structured is not None and name:
        calls = [Call("tooluse_forced1", name, reply.structured)]
    elif text := "".join(said(reply, request)):
        blocks.append({"text": text})
    return blocks + [{"toolUse": {"toolUseId": c.id, "name": c.name, "input": c.arguments}} for c in calls]


def converse_body(reply: Reply, request: dict) -> dict:
    blocks = _converse_blocks(reply, request)
    reason = "tool_use" if blocks and "toolUse" in blocks[-1] else CONVERSE_STOP[reply.finish]
    body = {"metrics": {"latencyMs": 7}, "output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": reason}
    return body | {"usage": converse_usage(reply.usage or Usage(0, 0))} | ({"xUnheardOf": 1} if reply.is_odd else {})


def converse_events(reply: Reply, request: dict) -> list[tuple[str, dict]]:
    whole = converse_body(reply, request)
    events: list[tuple[str, dict]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(whole["output"]["message"]["content"]):
        if "toolUse" in block:
            use = block["toolUse"]
            events.append(
                ("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}})
            )
            deltas = [{"toolUse": {"input": piece}} for piece in Call("", "", use["input"]).pieces()]
        elif "text" in block:
            deltas = [{"text": piece} for piece in said(reply, request)]
        elif "redactedContent" in block["reasoningContent"]:
            deltas = [{"reasoningContent": block["reasoningContent"]}]
        else:
            deltas = [{"reasoningContent": {"text": piece}} for piece in reply.thinking]
            deltas += [{"reasoningContent": {"signature": SIGNATURES["converse"]}}] if reply.is_signed else []
        events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
        if reply.is_odd:
            events.append(("unheardOf", {"a": [1]}))
    return [*events, ("messageStop", {"stopReason": whole["stopReason"]}), ("metadata", {"usage": whole["usage"], "metrics": {"latencyMs": 7}})]


def _header(name: str, value: str) -> bytes:
    return struct.pack("!B", len(name)) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()


def frame(name: str, payload: dict, kind: str = "event") -> bytes:
    """One message of `application/vnd.amazon.eventstream`; `kind`: event or exception."""
    headers = _header(":exception-type" if kind == "exception" else ":event-type", name)
    headers += _header(":content-type", "application/json") + _header(":message-type", kind)
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    message = prelude + headers + body
    return message + struct.pack("!I", zlib.crc32(message))


def unframe(data: bytes) -> list[tuple[str, dict]]:
    """(event or exception type, payload) of each message; raises AssertionError where a sum is wrong."""
    found = []
    while data:
        total, length, crc = struct.unpack("!III", data[:12])
        assert zlib.crc32(data[:8]) == crc, "CRC of the prelude"
        assert zlib.crc32(data[: total - 4]) == struct.unpack("!I", data[total - 4 : total])[0], "CRC of the message"
        at, names = 12, {}
        while at < 12 + length:
            size = data[at]
            name = data[at + 1 : at + 1 + size].decode()
            (width,) = struct.unpack("!H", data[at + 2 + size : at + 4 + size])
            names[name] = data[at + 4 + size : at + 4 + size + width].decode()
            at += 4 + size + width
        found.append((names.get(":event-type") or names.get(":exception-type", ""), json.loads(data[12 + length : total - 4])))
        data = data[total:]
    return found


def is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False


# ---------------------------------------------------------------- Cohere v2

COHERE_FINISH = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
}


def cohere_usage(usage: Usage) -> dict:
    tokens = {"input_tokens": usage.prompt, "output_tokens": usage.completion}
    return {"billed_units": tokens, "tokens": tokens} | ({"cached_tokens": usage.cached} if usage.cached else {})


def _sources(reply: Reply) -> list[dict]:
    return [
        {
            "start": 0,
            "end": 5,
            "text": "Paris",
            "sources": [{"type": "document", "id": u, "document": {"id": u, "url": u, "title": t}}],
            "type": "TEXT_CONTENT",
        }
        for u, t in reply.citations
    ]


def _cohere_call(call: Call) -> dict:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}}


def cohere_body(reply: Reply, request: dict) -> dict:
    message: dict = {"role": "assistant"}
    content = [{"type": "thinking", "thinking": reply.thought}] if reply.thought else []
    text = "".join(said(reply, request))
    if reply.calls:
        message |= {"tool_plan": text, "tool_calls": [_cohere_call(call) for call in reply.calls]}
    elif text:
        content.append({"type": "text", "text": text})
    message |= ({"content": content} if content else {}) | ({"citations": _sources(reply)} if reply.citations else {})
    body = {"id": "lab-cohere-1", "finish_reason": COHERE_FINISH[reply.finish], "message": message}
    return body | ({"usage": cohere_usage(reply.usage)} if reply.usage else {}) | ({"x_unheard_of": 1} if reply.is_odd else {})


def cohere_events(reply: Reply, request: dict) -> list[dict]:
    events: list[dict] = [
        {"type": "message-start", "id": "lab-cohere-1", "delta": {"message": {"role": "assistant", "content": [], "tool_calls": []}}}
    ]

    def content(index: int, kind: str, pieces) -> None:
        events.append({"type": "content-start", "index": index, "delta": {"message": {"content": {"type": kind, kind: ""}}}})
        events.extend({"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: piece}}}} for piece in pieces)
        events.append({"type": "content-end", "index": index})

    if reply.thinking:
        content(0, "thinking", reply.thinking)
    pieces = said(reply, request)
    if reply.calls:
        events += [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}} for piece in pieces]
    elif pieces:
        content(1 if reply.thinking else 0, "text", pieces)
    for index, cited in enumerate(_sources(reply)):
        events += [{"type": "citation-start", "index": index, "delta": {"message": {"citations": cited}}}, {"type": "citation-end", "index": index}]
    for index, call in enumerate(reply.calls):
        shell = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        events.append({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": shell}}})
        events += [
            {"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}}}
            for piece in call.pieces()
        ]
        events.append({"type": "tool-call-end", "index": index})
    if reply.is_odd:
        events.append({"type": "unheard-of", "delta": {"a": 1}})
    ending = {"finish_reason": COHERE_FINISH[reply.finish]} | ({"usage": cohere_usage(reply.usage)} if reply.usage else {})
    return [*events, {"type": "message-end", "id": "lab-cohere-1", "delta": ending}]

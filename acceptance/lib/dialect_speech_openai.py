"""How OpenAI's chat completions and Responses say a Reply: as one JSON body and as the payloads of a stream."""

import json
from dataclasses import replace

from dialect_scripts import SIGNATURES, Reply, Usage

FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}
CREATED = 1_795_600_000


def said(reply: Reply, request: dict) -> list[str]:
    """The text in pieces; of a structured answer its JSON."""
    if reply.structured is not None:
        text = json.dumps(reply.structured)
        return [text[at : at + 9] for at in range(0, len(text), 9)]
    return list(reply.text)


# ---------------------------------------------------------------- chat


def chat_usage(usage: Usage) -> dict:
    return {
        "prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }  # fmt: skip


def _details(reply: Reply) -> list[dict]:
    signature = {"signature": SIGNATURES["chat"]} if reply.is_signed else {}
    rows = [{"type": "reasoning.text", "text": reply.thought, **signature, "format": "anthropic-claude-v1", "index": 0}] if reply.thought else []
    if reply.redacted:
        rows.append({"type": "reasoning.encrypted", "data": reply.redacted, "format": "openai-responses-v1", "id": "rs_c1", "index": len(rows)})
    return rows


def _annotations(reply: Reply) -> list[dict]:
    return [
        {"type": "url_citation", "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": 5}} for url, title in reply.citations
    ]


def _without_excluded(reply: Reply, request: dict) -> Reply:
    is_out = (request.get("reasoning") or {}).get("exclude") or request.get("include_reasoning") is False
    return replace(reply, thinking=(), redacted="") if is_out else reply


def chat_body(reply: Reply, request: dict) -> dict:
    reply = _without_excluded(reply, request)
    message: dict = {"role": "assistant", "content": "".join(said(reply, request)) or None, "refusal": None, "annotations": _annotations(reply)}
    if reply.thought or reply.redacted:
        message |= {"reasoning": reply.thought, "reasoning_details": _details(reply)} if reply.details else {"reasoning_content": reply.thought}
    if reply.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments, ensure_ascii=False)}}
            for c in reply.calls
        ]
    choices = [
        {"index": n, "message": message, "logprobs": _logprobs(request), "finish_reason": FINISH[reply.finish]} for n in range(request.get("n") or 1)
    ]
    body = {"id": "chatcmpl-lab1", "object": "chat.completion", "created": CREATED, "model": request.get("model"), "choices": choices,
            "system_fingerprint": "fp_lab", "service_tier": "default"}  # fmt: skip
    if reply.usage:
        body["usage"] = chat_usage(reply.usage)
    return body | ({"x_unheard_of": [1, {"a": None}]} if reply.is_odd else {})


def _logprobs(request: dict) -> dict | None:
    return (
        {"content": [{"token": "Paris", "logprob": -0.25, "bytes": None, "top_logprobs": []}], "refusal": None} if request.get("logprobs") else None
    )


def chat_events(reply: Reply, request: dict) -> list[dict | str]:
    reply = _without_excluded(reply, request)
    head = {
        "id": "chatcmpl-lab1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": request.get("model"),
        "system_fingerprint": "fp_lab",
    }

    def chunk(delta: dict, finish: str | None = None, n: int = 0) -> dict:
        return {**head, "choices": [{"index": n, "delta": delta, "logprobs": None, "finish_reason": finish}], "usage": None}

    events: list = []
    for n in range(request.get("n") or 1):
        events.append(chunk({"role": "assistant", "content": "" if reply.text else None}, n=n))
        if reply.is_odd:
            events.append(chunk({"x_unheard_of": {"a": 1}}, n=n) | {"x_also": 7})
        for at, piece in enumerate(reply.thinking):
            detail = {"type": "reasoning.text", "text": piece, "format": "anthropic-claude-v1", "index": 0}
            if reply.is_signed and at == len(reply.thinking) - 1:
                detail["signature"] = SIGNATURES["chat"]
            events.append(chunk({"reasoning": piece, "reasoning_details": [detail]} if reply.details else {"reasoning_content": piece}, n=n))
        if reply.redacted:
            events.append(chunk({"reasoning_details": [_details(reply)[-1]]}, n=n))
        events += [chunk({"content": piece}, n=n) for piece in said(reply, request)]
        if reply.citations:
            events.append(chunk({"annotations": _annotations(reply)}, n=n))
        for at, call in enumerate(reply.calls):
            events.append(chunk({"tool_calls": [{"index": at, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}]}))
            events += [chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}) for piece in call.pieces()]
        events.append(chunk({}, FINISH[reply.finish], n=n))
    if reply.usage and (request.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": chat_usage(reply.usage)})
    return [*events, "[DONE]"]


# ---------------------------------------------------------------- Responses


def responses_usage(usage: Usage) -> dict:
    return {
        "input_tokens": usage.prompt, "input_tokens_details": {"cached_tokens": usage.cached}, "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning}, "total_tokens": usage.prompt + usage.completion,
    }  # fmt: skip


def _items(reply: Reply, request: dict) -> list[dict]:
    items: list[dict] = []
    if reply.thought or reply.redacted:
        summary = [{"type": "summary_text", "text": reply.thought}] if reply.thought else []
        items.append({"id": f"rs_{reply.calls[0].id if reply.calls else 'lab'}", "type": "reasoning", "summary": summary})
        if "reasoning.encrypted_content" in (request.get("include") or []):
            items[0]["encrypted_content"] = SIGNATURES["responses"]
    if reply.is_searched:
        items.append({"id": "ws_lab1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "Paris"}})
    text = "".join(said(reply, request))
    if text:
        annotations = [{"type": "url_citation", "url": u, "title": t, "start_index": 0, "end_index": 5} for u, t in reply.citations]
        part = {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
        items.append({"id": "msg_lab1", "type": "message", "role": "assistant", "status": "completed", "content": [part]})
    for call in reply.calls:
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        items.append(
            {"id": f"fc_{call.id}", "type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments, "status": "completed"}
        )
    if reply.is_odd:
        items.append({"id": "xx_1", "type": "unheard_of_call", "status": "completed", "stuff": {"a": 1}})
    return items


def responses_body(reply: Reply, request: dict) -> dict:
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish)
    body = {
        "id": "resp_lab1", "object": "response", "created_at": CREATED, "status": "incomplete" if cut else "completed", "background": False,
        "completed_at": None if cut else CREATED + 2, "frequency_penalty": 0.0, "presence_penalty": 0.0,
        "error": None, "incomplete_details": {"reason": cut} if cut else None, "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"), "model": request.get("model"), "output": _items(reply, request),
        "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None}, "store": False,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools") or [], "top_p": 1.0, "truncation": "disabled", "metadata": {}, "user": None,
    }  # fmt: skip
    return body | {"usage": responses_usage(reply.usage) if reply.usage else None}


def responses_events(reply: Reply, request: dict) -> list[dict]:
    whole = responses_body(reply, request)
    opening = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[dict] = [{"type": "response.created", "response": opening}, {"type": "response.in_progress", "response": opening}]
    for at, item in enumerate(whole["output"]):
        events += _item_events(reply, request, item, at)
        if reply.is_odd:
            events.append({"type": "response.unheard_of.delta", "output_index": at, "delta": "?"})
    events.append({"type": "response.incomplete" if whole["incomplete_details"] else "response.completed", "response": whole})
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def _item_events(reply: Reply, request: dict, item: dict, at: int) -> list[dict]:
    id, where = item["id"], {"item_id": item["id"], "output_index": at}
    added: dict = {**item, "status": "in_progress"}
    events: list[dict] = []
    if item["type"] == "message":
        added["content"] = []
        inside, part = {**where, "content_index": 0}, item["content"][0]
        events.append({"type": "response.content_part.added", **inside, "part": {**part, "text": "", "annotations": []}})
        events += [{"type": "response.output_text.delta", **inside, "delta": piece, "logprobs": []} for piece in said(reply, request)]
        events += [
            {"type": "response.output_text.annotation.added", **inside, "annotation_index": n, "annotation": a}
            for n, a in enumerate(part["annotations"])
        ]
        events.append({"type": "response.output_text.done", **inside, "text": part["text"], "logprobs": []})
        events.append({"type": "response.content_part.done", **inside, "part": part})
    elif item["type"] == "function_call":
        added["arguments"] = ""
        call = next(c for c in reply.calls if c.id == item["call_id"])
        events += [{"type": "response.function_call_arguments.delta", **where, "delta": piece} for piece in call.pieces()]
        events.append({"type": "response.function_call_arguments.done", **where, "name": call.name, "arguments": item["arguments"]})
    elif item["type"] == "reasoning":
        added = {"id": id, "type": "reasoning", "summary": []}
        inside = {**where, "summary_index": 0}
        if reply.thinking:
            events.append({"type": "response.reasoning_summary_part.added", **inside, "part": {"type": "summary_text", "text": ""}})
            events += [{"type": "response.reasoning_summary_text.delta", **inside, "delta": piece} for piece in reply.thinking]
            events.append({"type": "response.reasoning_summary_text.done", **inside, "text": reply.thought})
            events.append({"type": "response.reasoning_summary_part.done", **inside, "part": {"type": "summary_text", "text": reply.thought}})
    first, last = (
        {"type": "response.output_item.added", "output_index": at, "item": added},
        {"type": "response.output_item.done", "output_index": at, "item": item},
    )
    return [first, *events, last]

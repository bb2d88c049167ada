"""An answer as its caller reads it, JSON or stream, with the rules of its dialect held: `read(caller, answer, stream)` gives a Told."""

import json
from dataclasses import dataclass, field

import wire


@dataclass
class Told:
    """`finish`: stop length tool_calls content_filter error. `usage`: (prompt, completion, cached, written or None, reasoning), whole
    as in the hub. `replay`: the assistant's turn as the caller would send it back. `error`: of an error event inside the stream."""

    text: str = ""
    thought: str = ""
    signatures: list[str] = field(default_factory=list)
    details: list[dict] = field(default_factory=list)  # reasoning_details of chat
    calls: list[tuple[str, str, object]] = field(default_factory=list)
    finish: str = ""
    usage: tuple | None = None
    cost: object = None
    model: str = ""
    replay: list[dict] = field(default_factory=list)
    citations: list[str] = field(default_factory=list)
    stop_sequence: str | None = None
    error: dict | None = None
    raw: object = None

    @property
    def named(self) -> list[tuple[str, object]]:
        return [(name, arguments) for _, name, arguments in self.calls]


def read(caller: str, answer: wire.Answer, stream: bool) -> Told:
    assert answer.status == 200, f"{answer}"
    assert answer.is_clean, f"the caller's own framing broke: {answer.ended} {answer.body[-100:]!r}"
    kind = answer.header("content-type") or ""
    if not stream:
        assert "json" in kind, f"content-type {kind!r}"
        return {"chat": _chat, "responses": _responses, "messages": _messages}[caller](answer.json())
    assert kind.startswith("text/event-stream"), f"content-type {kind!r}"
    events = payloads(answer.body, named=caller != "chat")
    assert events, "a stream without an event"
    return {"chat": _chat_stream, "responses": _responses_stream, "messages": _messages_stream}[caller](events)


def payloads(body: bytes, named: bool) -> list:
    """Of each event its JSON, or [DONE]; comments left out. `named`: the name of an event is its `type`."""
    found = []
    for event in wire.events(body):
        if not (data := wire.data_of(event)):
            assert event.startswith(b":") or not event.strip(), f"an event without data: {event!r}"
            continue
        if data == b"[DONE]":
            found.append("[DONE]")
            continue
        told = json.loads(data)
        if named:
            name = next((line[6:].strip().decode() for line in event.splitlines() if line.startswith(b"event:")), "")
            assert name == told.get("type"), f"event {name!r} with type {told.get('type')!r}"
        found.append(told)
    return found


# ---------------------------------------------------------------- chat


def _chat_usage(usage: dict | None) -> tuple | None:
    if usage is None:
        return None
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], f"{usage}"
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    return (usage["prompt_tokens"], usage["completion_tokens"], prompt.get("cached_tokens") or 0, prompt.get("cache_write_tokens"),
            completion.get("reasoning_tokens") or 0)  # fmt: skip


def _chat(body: dict) -> Told:
    missing = {"id", "object", "created", "model", "choices", "usage"} - set(body)
    assert not missing, f"a chat completion without {sorted(missing)}: {str(body)[:200]}"
    assert body["object"] == "chat.completion" and body["choices"], f"{str(body)[:200]}"
    choice = body["choices"][0]
    message = choice["message"]
    assert message["role"] == "assistant" and "content" in message, f"{message}"
    told = Told(text=message["content"] or "", finish=choice["finish_reason"], usage=_chat_usage(body["usage"]), cost=body["usage"].get("cost"),
                model=body["model"], raw=body)  # fmt: skip
    told.thought = message.get("reasoning") or ""
    _details(told, message.get("reasoning_details") or [])
    _chat_calls(told, message.get("tool_calls") or [])
    told.citations = [each["url_citation"]["url"] for each in message.get("annotations") or [] if each["type"] == "url_citation"]
    kept = ("role", "content", "tool_calls", "reasoning", "reasoning_details")
    told.replay = [{name: message[name] for name in kept if message.get(name) is not None or name == "content"}]
    return told


def _chat_calls(told: Told, calls: list[dict]) -> None:
    for call in calls:
        assert call["type"] == "function" and call["id"], f"{call}"
        told.calls.append((call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])))


def _details(told: Told, details: list[dict]) -> None:
    for detail in details:
        assert detail["type"] in ("reasoning.text", "reasoning.summary", "reasoning.encrypted"), f"{detail}"
        assert detail.get("format") and "index" in detail, f"reasoning detail without format or index: {str(detail)[:160]}"
    told.details = details
    told.signatures = [sign for detail in details if (sign := detail.get("signature") or detail.get("data"))]


def _chat_stream(events: list) -> Told:
    assert events and events[-1] == "[DONE]" and events.count("[DONE]") == 1, f"does not end with one [DONE]: {str(events[-2:])[:300]}"
    told, message, calls, details = Told(), {"role": "assistant", "content": None}, {}, []
    ids = {event["id"] for event in events[:-1]}
    assert len(ids) == 1, f"{len(ids)} ids in one stream"
    for event in events[:-1]:
        assert event["object"] == "chat.completion.chunk" and "created" in event, f"{event}"
        told.model = event["model"]
        if event.get("error"):
            told.error = event["error"]
        if event.get("usage"):
            assert told.usage is None, "usage twice"
            told.usage, told.cost = _chat_usage(event["usage"]), event["usage"].get("cost")
        for choice in event["choices"]:
            if choice["index"]:
                continue
            delta = choice.get("delta") or {}
            assert not told.finish or not delta.get("content"), f"content after the finish: {event}"
            told.text += delta.get("content") or ""
            told.thought += delta.get("reasoning") or ""
            _merge_details(details, delta.get("reasoning_details") or [])
            _merge_calls(calls, delta.get("tool_calls") or [])
            told.citations += [each["url_citation"]["url"] for each in delta.get("annotations") or [] if each["type"] == "url_citation"]
            told.finish = choice.get("finish_reason") or told.finish
    assert told.finish, "no finish_reason in the stream"
    _details(told, details)
    whole = [calls[at] for at in sorted(calls)]
    if told.finish != "error":
        _chat_calls(told, whole)
    message |= {"content": told.text or None} | ({"tool_calls": whole} if whole else {})
    message |= ({"reasoning": told.thought} if told.thought else {}) | ({"reasoning_details": details} if details else {})
    told.replay, told.raw = [message], events
    return told


def _merge_calls(calls: dict, deltas: list[dict]) -> None:
    for delta in deltas:
        at = delta["index"]
        if at not in calls:
            assert delta.get("id") and delta["function"].get("name"), f"a call begins without id or name: {delta}"
            calls[at] = {"id": delta["id"], "type": "function", "function": {"name": delta["function"]["name"], "arguments": ""}}
            calls[at] |= {key: value for key, value in delta.items() if key not in ("index", "id", "type", "function")}
        calls[at]["function"]["arguments"] += delta["function"].get("arguments") or ""


def _merge_details(details: list[dict], deltas: list[dict]) -> None:
    """Pieces of one `index` and `type` are one: texts are joined, the rest is overwritten."""
    for delta in deltas:
        same = next(
            (d for d in details if (d.get("index"), d["type"]) == (delta.get("index"), delta["type"]) and delta["type"] != "reasoning.encrypted"),
            None,
        )
        if same is None:
            details.append(dict(delta))
            continue
        for key, value in delta.items():
            same[key] = same.get(key, "") + value if key in ("text", "summary") else value if value is not None else same.get(key)


# ---------------------------------------------------------------- Responses


def _responses(body: dict) -> Told:
    missing = {"id", "object", "created_at", "status", "model", "output", "usage", "error", "incomplete_details"} - set(body)
    assert not missing, f"a response without {sorted(missing)}: {str(body)[:200]}"
    assert body["object"] == "response", f"{str(body)[:200]}"
    told = Told(model=body["model"], raw=body, replay=[{k: v for k, v in item.items() if k != "status"} for item in body["output"]])
    if usage := body["usage"]:
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], f"{usage}"
        inputs = usage["input_tokens_details"]
        told.usage = (usage["input_tokens"], usage["output_tokens"], inputs["cached_tokens"], inputs.get("cache_write_tokens"),
                      usage["output_tokens_details"]["reasoning_tokens"])  # fmt: skip
        told.cost = usage.get("cost")
    for item in body["output"]:
        if item["type"] == "message":
            assert item["role"] == "assistant" and item["id"] and item["status"], f"{item}"
            for part in item["content"]:
                told.text += part.get("text", "") if part["type"] == "output_text" else ""
                told.citations += [each["url"] for each in part.get("annotations") or [] if each["type"] == "url_citation"]
        elif item["type"] == "function_call":
            assert item["call_id"] and item["id"], f"{item}"
            told.calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
        elif item["type"] == "reasoning":
            told.thought += "".join(part["text"] for part in [*(item.get("content") or []), *item["summary"]])
            told.signatures += [item["encrypted_content"]] if item.get("encrypted_content") else []
    reason = (body["incomplete_details"] or {}).get("reason")
    told.finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason, "tool_calls" if told.calls else "stop")
    assert body["status"] == ("incomplete" if reason else "completed"), f"status {body['status']} with {reason}"
    return told


def _responses_stream(events: list) -> Told:
    assert "[DONE]" not in events[:-1], "[DONE] inside"
    events = [event for event in events if event != "[DONE]"]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(numbers))), f"sequence numbers {numbers[:12]}"
    assert events[0]["type"] == "response.created", f"begins with {events[0]['type']}"
    last = events[-1]
    pieces: dict[int, str] = {}
    opened: dict[int, dict] = {}
    for event in events:
        kind, at = event["type"], event.get("output_index")
        if kind == "response.output_item.added":
            assert at not in opened, f"item {at} added twice"
            opened[at] = event["item"]
        elif kind in ("response.output_text.delta", "response.function_call_arguments.delta"):
            assert opened[at]["id"] == event["item_id"], f"{event} of {opened[at]}"
            pieces[at] = pieces.get(at, "") + event["delta"]
        elif kind in ("response.output_text.done", "response.function_call_arguments.done"):
            assert pieces.get(at, "") == event.get("text", event.get("arguments")), f"{kind}: {event} after {pieces.get(at)!r}"
    if last["type"] in ("response.failed", "error"):
        error = last.get("response", {}).get("error") or last.get("error") or last
        text = "".join(text for at, text in pieces.items() if opened[at]["type"] == "message")
        return Told(text=text, finish="error", error=error, raw=events)
    assert last["type"] in ("response.completed", "response.incomplete"), f"ends with {last['type']}"
    done = {event["output_index"] for event in events if event["type"] == "response.output_item.done"}
    assert done == set(opened) == set(range(len(last["response"]["output"]))), f"items opened {set(opened)}, done {done}"
    told = _responses(last["response"])
    texts = [item["content"][0]["text"] for item in last["response"]["output"] if item["type"] == "message" and item["content"]]
    assert "".join(texts) == "".join(text for at, text in sorted(pieces.items()) if opened[at]["type"] == "message"), "deltas differ from the whole"
    told.raw = events
    return told


# ---------------------------------------------------------------- Messages

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}


def _messages(body: dict) -> Told:
    missing = {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"} - set(body)
    assert not missing, f"a message without {sorted(missing)}: {str(body)[:200]}"
    assert (body["type"], body["role"]) == ("message", "assistant"), f"{str(body)[:200]}"
    usage = body["usage"]
    cached, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    told = Told(model=body["model"], finish=FINISH[body["stop_reason"]], stop_sequence=body["stop_sequence"], cost=usage.get("cost"), raw=body)
    told.usage = (usage["input_tokens"] + cached + written, usage["output_tokens"], cached, written, None)
    for block in body["content"]:
        kind = block["type"]
        if kind == "text":
            told.text += block["text"]
            told.citations += [each["url"] for each in block.get("citations") or []]
        elif kind == "thinking":
            told.thought += block["thinking"]
            told.signatures += [block["signature"]] if block.get("signature") else []
        elif kind == "redacted_thinking":
            told.signatures.append(block["data"])
        elif kind == "tool_use":
            told.calls.append((block["id"], block["name"], block["input"]))
    told.replay = [{"role": "assistant", "content": body["content"]}]
    return told


def _messages_stream(events: list) -> Told:
    assert events[0]["type"] == "message_start", f"begins with {events[0]}"
    whole = {**events[0]["message"], "content": []}
    assert whole["content"] == [] and whole["usage"]["input_tokens"] >= 0, f"{events[0]}"
    partial, is_open, error = "", False, None
    for event in events[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert not is_open and event["index"] == len(whole["content"]), f"blocks out of order: {event}"
            whole["content"].append(dict(event["content_block"]))
            partial, is_open = "", True
        elif kind == "content_block_delta":
            assert is_open and event["index"] == len(whole["content"]) - 1, f"a delta outside its block: {event}"
            partial = _merge_block(whole["content"][-1], event["delta"], partial)
        elif kind == "content_block_stop":
            assert is_open, f"{event}"
            is_open = False
            if whole["content"][-1]["type"] in ("tool_use", "server_tool_use"):
                whole["content"][-1]["input"] = json.loads(partial or "{}")
        elif kind == "message_delta":
            whole |= event["delta"]
            whole["usage"] = {**whole["usage"], **event["usage"]}
        elif kind == "error":
            error = event["error"]
            assert error["type"] and error["message"], f"{event}"
    if error:
        assert events[-1]["type"] == "error", "something follows the error event"
        return Told(text="".join(b.get("text", "") for b in whole["content"]), finish="error", error=error, raw=events)
    assert events[-1]["type"] == "message_stop" and not is_open, f"ends with {events[-1]['type']}"
    told = _messages(whole)
    told.raw = events
    return told


def _merge_block(block: dict, delta: dict, partial: str) -> str:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = block.get("signature", "") + delta["signature"]
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    elif kind == "input_json_delta":
        return partial + delta["partial_json"]
    return partial

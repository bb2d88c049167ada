"""The hub's request as a body for Cohere's chat."""

import msgspec
from msgspec import Raw

from kilo_gateway.dialects.cohere.messages import Json, Messages
from kilo_gateway.dialects.hub.asked import Output, Request, Target, Thinking, Tool, Written
from kilo_gateway.dialects.hub.effort import tokens_of
from kilo_gateway.dialects.hub.notes import Notes

_encode = msgspec.json.Encoder().encode
_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_UNKNOWN_MAX = 32_000
_MAX_STOPS = 5
# Field of the hub, Cohere's name, least, most.
_SAMPLING: tuple[tuple[str, str, float, float], ...] = (
    ("temperature", "temperature", 0, 1), ("top_p", "p", 0.01, 0.99), ("top_k", "k", 0, 500),
    ("frequency_penalty", "frequency_penalty", 0, 1), ("presence_penalty", "presence_penalty", 0, 1),
)  # fmt: skip
_PLACELESS = (
    "verbosity", "min_p", "repetition_penalty", "logit_bias", "logprobs", "user", "metadata", "cache_key",
)  # fmt: skip


def write_request(request: Request, target: Target) -> Written:
    notes = Notes()
    tools = _tools(request, notes)
    may_have_documents = not tools and request.output is None  # Cohere has documents, tools or JSON, one of them
    messages = Messages(request.messages, has_documents=may_have_documents, notes=notes)
    body: Json = {"model": target.model, "stream": request.is_stream} | tools
    if request.output is not None:
        _add_output(body, request.output, messages, notes)
    body["messages"] = messages.made
    if messages.documents:
        body["documents"] = messages.documents
    _add_settings(body, request, target, notes)
    if request.thinking is not None:
        _add_thinking(body, request.thinking, request.max_tokens, target, notes)
    _note_the_rest(request, notes)
    return Written(_encode(body), notes.dropped, notes.changed, notes.clamped)


def _tools(request: Request, notes: Notes) -> Json:
    choice, tools = request.tool_choice, request.tools
    if not tools or (choice is not None and choice.mode == "none" and request.output is not None):
        if choice is not None and choice.mode in ("required", "tool"):
            notes.drop("tool_choice")
        return {}
    made: Json = {}
    if choice is not None and choice.mode == "tool":
        tools = tuple(tool for tool in tools if tool.name == choice.name) or tools
        if len(tools) < len(request.tools):
            notes.change("tools: only the one that must be called")
    if choice is not None and choice.mode != "auto":
        made["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
    made["tools"] = [_function(tool) for tool in tools]
    if all(tool.is_strict for tool in tools):
        made["strict_tools"] = True
    elif any(tool.is_strict for tool in tools):
        notes.drop("is_strict")  # it is said of all or none
    if any(tool.cache is not None for tool in tools):
        notes.drop("cache_control")
    if request.allows_parallel is False:
        notes.drop("allows_parallel")
    return made


def _function(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "parameters": tool.schema or _NO_PARAMETERS}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _add_output(body: Json, output: Output, messages: Messages, notes: Notes) -> None:
    """JSON and tools exclude each other: https://docs.cohere.com/docs/structured-outputs"""
    if "tools" not in body:
        body["response_format"] = {"type": "json_object"} | ({} if output.schema is None else {"json_schema": output.schema})
        return
    notes.change("output: asked for in words")
    if output.schema is None:
        messages.instruct("Give your answer as one JSON object and nothing else.")
    else:
        messages.instruct(f"Give your answer as JSON of this schema and nothing else: {_encode(output.schema).decode()}")


def _add_settings(body: Json, request: Request, target: Target, notes: Notes) -> None:
    if request.max_tokens is not None:
        body["max_tokens"] = notes.answer_cap(request.max_tokens, target.max_output)
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        body["stop_sequences"] = notes.stops(request.stop, _MAX_STOPS)
    for field, name, least, most in _SAMPLING:
        value: float | None = getattr(request, field)
        if value is None:
            continue
        if not target.knows(field):
            notes.drop(field)
            continue
        body[name] = notes.within(field, value, least, most)


def _add_thinking(body: Json, thinking: Thinking, max_tokens: int | None, target: Target, notes: Notes) -> None:
    """Models that can think do, unless told not to: https://docs.cohere.com/docs/reasoning"""
    is_off = thinking.is_enabled is False or thinking.effort == "none"
    is_on = not is_off and (thinking.is_enabled or thinking.effort is not None or thinking.max_tokens is not None)
    if not target.knows("reasoning"):
        if is_on:
            notes.drop("reasoning")
        return
    if thinking.summary is not None and not is_off:
        notes.drop("reasoning.summary")
    if is_off:
        body["thinking"] = {"type": "disabled"}
    elif is_on:
        budget = _budget(thinking, max_tokens or target.max_output or _UNKNOWN_MAX, notes)
        body["thinking"] = {"type": "enabled"} | ({} if budget is None else {"token_budget": budget})


def _budget(thinking: Thinking, most: int, notes: Notes) -> int | None:
    """An answer needs room beside its thoughts."""
    if thinking.max_tokens is None:
        return None if thinking.effort is None else max(tokens_of(thinking.effort, most), 1)
    fit = max(min(thinking.max_tokens, int(most * 0.95)), 1)
    if fit != thinking.max_tokens:
        notes.change(f"reasoning.max_tokens: {fit}")
    return fit


def _note_the_rest(request: Request, notes: Notes) -> None:
    for field in _PLACELESS:
        if getattr(request, field) is not None:
            notes.drop(field)
    if request.choices > 1:
        notes.drop("choices")
    if request.cache is not None:
        notes.drop("cache_control")
    if request.service_tier not in (None, "auto", "default"):
        notes.drop("service_tier")

"""The hub's request as a chat completion for an upstream that speaks it."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from kilo_gateway.dialects.chat.details import Details
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    Effort,
    File,
    Image,
    Message,
    Part,
    Request,
    Target,
    Text,
    Thinking,
    Thought,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
    Written,
)
from kilo_gateway.dialects.hub.notes import Notes

Json = dict[str, object]
# https://platform.openai.com/docs/api-reference/chat/create
KNOWN = frozenset({
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options",
    "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
})  # fmt: skip
MAX_STOPS = 4
RANGES = {
    "temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "frequency_penalty": (-2.0, 2.0), "presence_penalty": (-2.0, 2.0),
    "top_logprobs": (0, 20),
}  # fmt: skip
_encode = msgspec.json.Encoder().encode


def write_request(request: Request, target: Target) -> Written:
    notes, dropped = Notes(), list[str]()
    if target.is_strict:
        request = _bare(request, dropped)
    messages = [each for message in request.messages for each in _messages(message, target)]
    body: Json = {"model": target.model, "messages": messages}
    if request.is_stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    dropped += _plain(body, request, target, notes)
    dropped += _tools(body, request)
    if request.thinking is not None:
        dropped += _thinking(body, request.thinking, target)
    if request.output is not None:
        body["response_format"] = _output(request)
    if any(_is_foreign(part, target) for each in request.messages for part in each.parts):
        dropped.append("reasoning signatures")
    if target.is_strict:
        unknown = body.keys() - KNOWN
        dropped += sorted(unknown)
        body = {name: value for name, value in body.items() if name not in unknown}
    return Written(_encode(body), tuple(dropped), notes.changed, notes.clamped)


def _bare(request: Request, dropped: list[str]) -> Request:
    """Without what some upstreams alone know: replayed thoughts, and marks of what is to be cached."""
    parts = [part for message in request.messages for part in message.parts]
    if any(isinstance(part, Thought) for part in parts):
        dropped.append("reasoning of former answers")
    if any(getattr(part, "cache", None) is not None for part in parts):
        dropped.append("cache")
    messages = tuple([replace(each, parts=tuple(map(_unmarked, _spoken(each.parts)))) for each in request.messages])
    return replace(request, messages=messages)


def _spoken(parts: Iterable[Part]) -> Iterable[Part]:
    return [part for part in parts if not isinstance(part, Thought)]


def _unmarked(part: Part) -> Part:
    return part if getattr(part, "cache", None) is None else replace(part, cache=None)


def _plain(body: Json, request: Request, target: Target, notes: Notes) -> Iterable[str]:
    """Members that are alike on both sides. Gives those that the model is known not to take."""
    if request.max_tokens is not None:
        body[target.cap_field] = notes.answer_cap(request.max_tokens, target.max_output)
    said: Json = {
        "temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k, "min_p": request.min_p,
        "seed": request.seed, "frequency_penalty": request.frequency_penalty, "presence_penalty": request.presence_penalty,
        "repetition_penalty": request.repetition_penalty, "logit_bias": request.logit_bias, "verbosity": request.verbosity,
        "user": request.user, "metadata": request.metadata, "service_tier": request.service_tier,
        "prompt_cache_key": request.cache_key, "stop": notes.stops(request.stop, MAX_STOPS) or None,
        "n": request.choices if request.choices > 1 else None,
    }  # fmt: skip
    if request.logprobs is not None:
        said |= {"logprobs": True, "top_logprobs": request.logprobs or None}
    for name, value in said.items():
        if value is None:
            continue
        if name in _SAMPLING and not target.knows(name):
            yield name
        elif target.is_strict and name in RANGES and isinstance(value, int | float):
            body[name] = notes.within(name, value, *RANGES[name])
        else:
            body[name] = value


# Of these models say whether they take them, and some upstreams refuse what they do not know.
_SAMPLING = frozenset({"top_k", "min_p", "repetition_penalty", "verbosity", "logit_bias"})


def _tools(body: Json, request: Request) -> Iterable[str]:
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": _said(
                name=tool.name, description=tool.description, parameters=tool.schema, strict=tool.is_strict
            )}
            for tool in request.tools
        ]  # fmt: skip
        if request.tool_choice is not None:
            body["tool_choice"] = _choice(request.tool_choice)
        if request.allows_parallel is not None:
            body["parallel_tool_calls"] = request.allows_parallel
    elif request.tool_choice is not None and request.tool_choice.mode in ("required", "tool"):
        yield "tool_choice"


def _choice(choice: ToolChoice) -> object:
    return choice.mode if choice.mode != "tool" else {"type": "function", "function": {"name": choice.name}}


def _thinking(body: Json, thinking: Thinking, target: Target) -> Iterable[str]:
    """OpenRouter's object where the model is known to take it, else the one word that most take."""
    if not target.knows("reasoning"):
        return ["reasoning"]
    effort = thinking.effort or ("none" if thinking.is_enabled is False else None)
    if target.parameters is not None and not target.is_strict:
        body["reasoning"] = _said(
            effort=effort, max_tokens=thinking.max_tokens if effort is None else None, summary=thinking.summary,
            enabled=thinking.is_enabled if effort is None and thinking.max_tokens is None else None,
            exclude=thinking.is_excluded or None,
        )  # fmt: skip
        return []
    if (word := effort_word(thinking)) is not None:
        body["reasoning_effort"] = word
    return []


def effort_word(thinking: Thinking) -> Effort | None:
    """How much is to be thought in one word; None: as the model likes."""
    effort = thinking.effort or ("none" if thinking.is_enabled is False else None)
    if effort is None and thinking.max_tokens is not None:
        return _effort_of(thinking.max_tokens)
    return effort


def _effort_of(tokens: int) -> Effort:
    return "low" if tokens < 4096 else "medium" if tokens < 16384 else "high"


def _output(request: Request) -> Json:
    output = request.output
    assert output is not None
    if output.schema is None:
        return {"type": "json_object"}
    schema = _said(
        name=output.name or "answer", description=output.description, schema=output.schema, strict=output.is_strict
    )  # fmt: skip
    return {"type": "json_schema", "json_schema": schema}


def _messages(message: Message, target: Target) -> Iterable[Json]:
    if message.role == "tool":
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for each in results:
            yield {"role": "tool", "tool_call_id": each.id, "content": _result(each)}
        pictures = [part for each in results for part in each.parts if not isinstance(part, Text)]
        if pictures:  # a tool's message has text alone
            yield {"role": "user", "content": [_part(each) for each in pictures]}
    elif message.role == "assistant":
        yield _assistant(message, target)
    else:
        yield {"role": message.role, "content": _content(message.parts)}


def _assistant(message: Message, target: Target) -> Json:
    texts = [part for part in message.parts if isinstance(part, Text)]
    calls = [_call(part, target) for part in message.parts if isinstance(part, ToolCall)]
    thoughts = [part for part in message.parts if isinstance(part, Thought)]
    plain = "".join(each.text or each.summary for each in thoughts if not _is_own(each, target))
    numbers = Details()
    details = [detail for at, each in enumerate(thoughts) if _is_own(each, target) for detail in numbers.of(each, at)]
    content = _content(texts) if texts else None if calls else ""
    return _said(
        role="assistant", tool_calls=calls or None, reasoning_content=plain or None, reasoning_details=details or None
    ) | {"content": content}  # fmt: skip


def _is_own(part: Thought | ToolCall, target: Target) -> bool:
    return bool(part.origin) and part.origin == target.origin


def _is_foreign(part: Part, target: Target) -> bool:
    """Whether it bears what is not this upstream's to read."""
    if not isinstance(part, Thought | ToolCall) or _is_own(part, target):
        return False
    return bool(part.signature or (isinstance(part, Thought) and part.encrypted))


def _call(call: ToolCall, target: Target) -> Json:
    made: Json = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    if call.signature and _is_own(call, target):
        made["extra_content"] = {"google": {"thought_signature": call.signature}}
    return made


def _result(result: ToolResult) -> str:
    return "".join(part.text for part in result.parts if isinstance(part, Text))


def _content(parts: Iterable[Part]) -> object:
    """A text where there is nothing else: some upstreams know no parts."""
    found = list(parts)
    if len(found) == 1 and isinstance(found[0], Text) and found[0].cache is None:
        return found[0].text
    return [_part(part) for part in found]


def _part(part: Part) -> Json:
    match part:
        case Text(text, cache):
            return {"type": "text", "text": text} | _mark(cache)
        case Image(url, detail, cache):
            return {"type": "image_url", "image_url": _said(url=url, detail=detail)} | _mark(cache)
        case Audio(data, format):
            return {"type": "input_audio", "input_audio": {"data": data, "format": format}}
        case Video(url):
            return {"type": "video_url", "video_url": {"url": url}}
        case File(url, id, name, cache):
            file = _said(file_data=url or None, file_id=id or None, filename=name or None)
            return {"type": "file", "file": file} | _mark(cache)
        case _:
            raise AssertionError(f"{type(part).__name__} is no part of such a message")


def _mark(cache: Cache | None) -> Json:
    return {} if cache is None else {"cache_control": _said(type="ephemeral", ttl=cache.ttl or None)}


def _said(**members: object) -> Json:
    return {name: value for name, value in members.items() if value is not None}

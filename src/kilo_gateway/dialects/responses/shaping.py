"""The hub's request as one for an upstream that speaks Responses."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec
from msgspec import Raw

from kilo_gateway.dialects.hub.asked import (
    Audio,
    Effort,
    File,
    Image,
    Message,
    Output,
    Part,
    Request,
    Target,
    Text,
    Thinking,
    Thought,
    ToolCall,
    ToolChoice,
    ToolResult,
    Written,
)
from kilo_gateway.dialects.hub.effort import nearest
from kilo_gateway.dialects.hub.notes import Notes
from kilo_gateway.dialects.responses import envelope

Json = dict[str, object]
# A tool that takes plain text, as a function.
FREEFORM = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)  # fmt: skip
MIN_OUTPUT = 16  # https://platform.openai.com/docs/api-reference/responses/create#responses-create-max_output_tokens
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_VERBOSITIES = {"xhigh": "high", "max": "high"}
_MISSING = (
    "top_k", "min_p", "stop", "seed", "frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias",
)  # fmt: skip
_EFFORTS: tuple[Effort, ...] = ("high", "medium", "low")  # those that all models have
_encode = msgspec.json.Encoder().encode


def write_request(request: Request, target: Target) -> Written:
    notes = Notes()
    body: Json = {"model": target.model, "store": False}
    messages = request.messages
    if len(messages) > 1 and (instructions := _instructions(messages[0])) is not None:
        body["instructions"], messages = instructions, messages[1:]
    body["input"] = [item for message in messages for item in _items(message, notes)]
    if request.is_stream:
        body["stream"] = True
    _sample(body, request, target, notes)
    _tools(body, request, notes)
    _think(body, request, target, notes)
    _format(body, request, target, notes)
    _identify(body, request, notes)
    for name in _MISSING:
        if getattr(request, name) not in (None, ()):
            notes.drop(name)
    if request.choices > 1:
        notes.drop("choices")
    return Written(_encode(body), notes.dropped, notes.changed, notes.clamped)


def _instructions(message: Message) -> str | None:
    """Of several parts a list is made in `input`, so that each stays one."""
    if message.role != "system" or len(message.parts) != 1 or not isinstance(message.parts[0], Text):
        return None
    return message.parts[0].text


def _sample(body: Json, request: Request, target: Target, notes: Notes) -> None:
    if (cap := request.max_tokens) is not None:
        body["max_output_tokens"] = max(notes.answer_cap(cap, target.max_output), MIN_OUTPUT)
        if cap < MIN_OUTPUT:
            notes.clamp("max_tokens", f"{MIN_OUTPUT}, the least that is taken")
    for name, asked, greatest in (("temperature", request.temperature, 2.0), ("top_p", request.top_p, 1.0)):
        if asked is None:
            continue
        if not target.knows(name):
            notes.drop(name)
            continue
        body[name] = notes.within(name, asked, 0.0, greatest)
    if request.logprobs is not None:
        if not (target.knows("logprobs") or target.knows("top_logprobs")):
            notes.drop("logprobs")
            return
        body["include"] = ["message.output_text.logprobs"]
        if request.logprobs:
            body["top_logprobs"] = notes.within("logprobs", request.logprobs, 0, 20)


def _tools(body: Json, request: Request, notes: Notes) -> None:
    choice = request.tool_choice
    if not request.tools:
        if choice is not None and choice.mode in ("required", "tool"):
            notes.drop("tool_choice")
        return
    body["tools"] = [
        _said(
            type="function", name=tool.name, description=tool.description, strict=bool(tool.is_strict),
            parameters=tool.schema if tool.schema is not None else {"type": "object", "properties": {}},
        )
        for tool in request.tools
    ]  # fmt: skip
    if choice is not None:
        body["tool_choice"] = _choice(choice)
    if request.allows_parallel is not None:
        body["parallel_tool_calls"] = request.allows_parallel


def _choice(choice: ToolChoice) -> object:
    return choice.mode if choice.mode != "tool" else {"type": "function", "name": choice.name}


def _think(body: Json, request: Request, target: Target, notes: Notes) -> None:
    if not target.knows("reasoning"):
        if request.thinking is not None:
            notes.drop("reasoning")
        return
    included = body.get("include")
    body["include"] = [*(included if isinstance(included, list) else ()), "reasoning.encrypted_content"]
    if request.thinking is not None:
        effort = _effort(request, request.thinking, target, notes)
        shown = request.thinking.summary or "auto"
        is_shown = effort != "none" and not request.thinking.is_excluded
        if reasoning := _said(effort=effort, summary=shown if is_shown else None):
            body["reasoning"] = reasoning


def _effort(request: Request, thinking: Thinking, target: Target, notes: Notes) -> Effort | None:
    if thinking.is_enabled is False:
        return "none"
    if thinking.effort is not None or thinking.max_tokens is None:
        return thinking.effort or ("medium" if thinking.is_enabled else None)
    whole = request.max_tokens or target.max_output or 2 * thinking.max_tokens
    effort = nearest(thinking.max_tokens, whole, _EFFORTS)
    notes.change(f"reasoning.max_tokens: became effort {effort}")
    return effort


def _format(body: Json, request: Request, target: Target, notes: Notes) -> None:
    text: Json = {}
    if request.output is not None:
        text["format"] = _output(request.output)
    if request.verbosity is not None:
        if target.knows("verbosity"):
            text["verbosity"] = _VERBOSITIES.get(request.verbosity, request.verbosity)
            if request.verbosity in _VERBOSITIES:
                notes.change(f"verbosity: became {text['verbosity']}")
        else:
            notes.drop("verbosity")
    if text:
        body["text"] = text


def _output(output: Output) -> Json:
    if output.schema is None:
        return {"type": "json_object"}
    return _said(
        type="json_schema", name=output.name or "answer", description=output.description, schema=output.schema,
        strict=output.is_strict,
    )  # fmt: skip


def _identify(body: Json, request: Request, notes: Notes) -> None:
    body |= _said(user=request.user, metadata=request.metadata, prompt_cache_key=request.cache_key)
    if request.service_tier is not None:
        if request.service_tier in _TIERS:
            body["service_tier"] = request.service_tier
        else:
            notes.drop("service_tier")
    if not _is_marked(request):
        return
    if request.cache_key is None:  # the cache is found by the beginning of the prompt, and by this
        body["prompt_cache_key"] = _cache_key(request)
        notes.change("cache: marks became a prompt_cache_key")
    else:
        notes.drop("cache")


def _is_marked(request: Request) -> bool:
    parts = (part for message in request.messages for part in message.parts)
    tools = (tool.cache for tool in request.tools)
    return request.cache is not None or any(tools) or any(getattr(part, "cache", None) is not None for part in parts)


def _cache_key(request: Request) -> str:
    """The same for requests that begin alike."""
    seen = sha256((request.user or "").encode())
    for tool in request.tools:
        seen.update(b"\0" + tool.name.encode())
    for part in request.messages[0].parts if request.messages else ():
        if isinstance(part, Text):
            seen.update(b"\0" + part.text.encode())
    return f"kilo-{seen.hexdigest()[:32]}"


def _items(message: Message, notes: Notes) -> Iterable[Json]:
    if message.role == "tool":
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield _result(part, notes)
    elif message.role == "assistant":
        yield from _turn(message.parts, notes)
    else:
        content = [made for part in message.parts if (made := _part(part, notes)) is not None]
        if content:
            yield {"type": "message", "role": "developer" if message.role == "system" else "user", "content": content}


def _turn(parts: Iterable[Part], notes: Notes) -> Iterable[Json]:
    texts: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            texts.append({"type": "output_text", "text": part.text, "annotations": []})
            continue
        if texts:
            yield _spoken(texts)
            texts = []
        if isinstance(part, ToolCall):
            yield {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments}
        elif not isinstance(part, Thought):
            notes.drop("images of the assistant")
        elif (thought := _thought(part, notes)) is not None:
            yield thought
    if texts:
        yield _spoken(texts)


def _spoken(texts: list[Json]) -> Json:
    return {"type": "message", "role": "assistant", "status": "completed", "content": texts}


def _thought(thought: Thought, notes: Notes) -> Json | None:
    """Its text alone may not be sent: OpenAI refuses it. https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items

    What is encrypted is for the account that got it, so what came by way of another upstream is not sent either.
    """
    if thought.format != envelope.FAMILY or thought.origin:
        notes.change("reasoning of another provider left out")
        return None
    if not thought.encrypted:
        notes.change("reasoning without its encrypted part left out")
        return None
    summary = [{"type": "summary_text", "text": thought.summary}] if thought.summary else []
    return _said(type="reasoning", id=thought.id or None, summary=summary, encrypted_content=thought.encrypted)


def _result(result: ToolResult, notes: Notes) -> Json:
    if result.is_error:
        notes.drop("is_error")
    output: object
    if all(isinstance(part, Text) for part in result.parts) and len(result.parts) < 2:
        output = "".join(part.text for part in result.parts if isinstance(part, Text))
    else:
        output = [made for part in result.parts if (made := _part(part, notes)) is not None]
    return {"type": "function_call_output", "call_id": result.id, "output": output}


def _part(part: Part, notes: Notes) -> Json | None:
    match part:
        case Text(text):
            return {"type": "input_text", "text": text}
        case Image(url, detail):
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case File():
            return _file(part)
        case Audio(data, format):
            return {"type": "input_audio", "input_audio": {"data": data, "format": format}}
        case _:
            notes.drop(f"{type(part).__name__.lower()}s")
            return None


def _file(file: File) -> Json:
    if file.url.startswith("data:"):
        return {"type": "input_file", "filename": file.name or "file.pdf", "file_data": file.url}
    source: Json = {"file_url": file.url} if file.url else {"file_id": file.id}
    return {"type": "input_file"} | source


def _said(**members: object) -> Json:
    return {name: value for name, value in members.items() if value is not None}

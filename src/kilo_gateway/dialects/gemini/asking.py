"""A Request as the body of generateContent. https://ai.google.dev/api/generate-content"""

from typing import Literal

import msgspec

from kilo_gateway.dialects.gemini import models, thinking
from kilo_gateway.dialects.gemini.models import Model
from kilo_gateway.dialects.gemini.turns import Turns
from kilo_gateway.dialects.hub.asked import Image, Request, Target, Tool, ToolResult, Written
from kilo_gateway.dialects.hub.notes import Notes

_encode = msgspec.json.Encoder().encode
_MAX_STOPS = 5
_INT32 = 2**31
_MODES: dict[str, str] = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
_RESOLUTIONS = {"low": 1, "medium": 2, "high": 3, "original": 3}
_PLACELESS = ("min_p", "repetition_penalty", "logit_bias", "verbosity", "user", "metadata", "cache_key")


def write_request(request: Request, target: Target) -> Written:
    """The whole body. The model's name and whether it streams stand in the URL."""
    notes = Notes()
    is_vertex = target.platform == "vertex"
    model = models.known_by(target.model, knows_ids=not is_vertex)
    turns = Turns(request.messages, model, notes)
    body: dict[str, object] = {"contents": turns.contents}
    if turns.system:
        body["systemInstruction"] = {"parts": turns.system}
    _add_tools(body, request, notes)
    if config := _config(request, target, model, notes):
        body["generationConfig"] = config
    if request.service_tier in ("flex", "priority") and not is_vertex:  # there it is a header's
        body["serviceTier"] = request.service_tier
    elif request.service_tier not in (None, "auto", "default", "standard"):
        notes.drop("service_tier")
    for field in _PLACELESS:
        if getattr(request, field) is not None:
            notes.drop(field)
    if _has_marks(request):
        notes.drop("cache_control")  # Gemini keeps prompts of its own accord
    return Written(_encode(body), notes.dropped, notes.changed, notes.clamped)


def _add_tools(body: dict[str, object], request: Request, notes: Notes) -> None:
    choice = request.tool_choice
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declared(tool, notes) for tool in request.tools]}]
        if choice is not None:
            calling: dict[str, object] = {"mode": _MODES[choice.mode]}
            if choice.mode == "tool":
                calling["allowedFunctionNames"] = [choice.name]
            body["toolConfig"] = {"functionCallingConfig": calling}
    elif choice is not None and choice.mode in ("required", "tool"):
        notes.drop("tool_choice")
    if request.tools and request.allows_parallel is False:
        notes.drop("allows_parallel")


def _declared(tool: Tool, notes: Notes) -> dict[str, object]:
    made: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        made["description"] = tool.description
    if tool.schema is not None:
        made["parametersJsonSchema"] = tool.schema
    if tool.is_strict:
        notes.drop("is_strict")
    return made


def _config(request: Request, target: Target, model: Model, notes: Notes) -> dict[str, object]:
    """The generationConfig."""
    made: dict[str, object] = {}
    if (most := request.max_tokens) is not None:
        made["maxOutputTokens"] = notes.answer_cap(most, target.max_output)
    _add_sampling(made, request, target, model, notes)
    if request.stop:
        made["stopSequences"] = notes.stops(request.stop, _MAX_STOPS)
    if request.choices > 1:
        if model.is_third:
            notes.drop("choices")  # https://ai.google.dev/gemini-api/docs/gemini-3
        else:
            made["candidateCount"] = request.choices
    if request.logprobs is not None:
        made["responseLogprobs"] = True
        if request.logprobs:
            made["logprobs"] = request.logprobs
    _add_output(made, request, model, notes)
    if (thought := thinking.config(request, target, model, notes)) is not None:
        made["thinkingConfig"] = thought
    if (resolution := _resolution(request, notes)) is not None:
        made["mediaResolution"] = f"MEDIA_RESOLUTION_{resolution}"
    return made


def _add_sampling(made: dict[str, object], request: Request, target: Target, model: Model, notes: Notes) -> None:
    ranges: tuple[tuple[str, str, float | None, float, float], ...] = (
        ("temperature", "temperature", request.temperature, 0, 2),
        ("top_p", "topP", request.top_p, 0, 1),
        ("top_k", "topK", request.top_k, 1, _INT32 - 1),
        ("presence_penalty", "presencePenalty", request.presence_penalty, -2, 2),
        ("frequency_penalty", "frequencyPenalty", request.frequency_penalty, -2, 2),
    )
    for field, theirs, value, least, most in ranges:
        if value is None:
            continue
        is_fixed = model.is_strict and field in ("temperature", "top_p", "top_k")
        if is_fixed or not target.knows(field) or (field == "top_k" and value <= 0):  # 0: of all
            notes.drop(field)
            continue
        made[theirs] = notes.within(field, value, least, most)
    if request.seed is not None:
        if not target.knows("seed"):
            notes.drop("seed")
        elif -_INT32 <= request.seed < _INT32:
            made["seed"] = request.seed
        else:
            made["seed"] = request.seed % _INT32
            notes.clamp("seed", "cut to 31 bits")


def output_obstacle(request: Request, target: Target) -> str:
    """400 beside tools: https://ai.google.dev/gemini-api/docs/structured-output"""
    if not request.tools or models.known_by(target.model).is_third:
        return ""
    return "before Gemini 3 it cannot be held to JSON (response_format) beside tools"


def _add_output(made: dict[str, object], request: Request, model: Model, notes: Notes) -> None:
    if request.output is None:
        return
    if request.tools and not model.is_third:
        notes.drop("output")  # see output_obstacle
        return
    made["responseMimeType"] = "application/json"
    if request.output.schema is not None:
        made["responseJsonSchema"] = request.output.schema


def _resolution(request: Request, notes: Notes) -> Literal["LOW", "MEDIUM", "HIGH"] | None:
    """One for all: of each image by itself only some models know it. None: theirs."""
    images = [part for message in request.messages for part in message.parts if isinstance(part, Image)]
    details = {image.detail for image in images if image.detail}
    known = {_RESOLUTIONS[detail] for detail in details if detail in _RESOLUTIONS}
    if not known:
        return None
    if len(details) > 1:
        notes.change("image.detail: the highest of several, for all")
    names: tuple[Literal["LOW", "MEDIUM", "HIGH"], ...] = ("LOW", "MEDIUM", "HIGH")
    return names[max(known) - 1]


def _has_marks(request: Request) -> bool:
    if request.cache is not None or any(tool.cache is not None for tool in request.tools):
        return True
    for message in request.messages:
        for part in message.parts:
            if getattr(part, "cache", None) is not None:
                return True
            if isinstance(part, ToolResult) and any(getattr(inner, "cache", None) is not None for inner in part.parts):
                return True
    return False

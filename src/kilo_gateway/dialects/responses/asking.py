"""Requests to the hub, and (write_request, from shaping.py) back."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast, get_args

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects.hub.asked import (
    Effort,
    Output,
    Request,
    Thinking,
    Tool,
    ToolChoice,
)
from kilo_gateway.dialects.responses import envelope, shapes
from kilo_gateway.dialects.responses.history import History, read
from kilo_gateway.dialects.responses.namespaces import Names
from kilo_gateway.dialects.responses.shaping import FREEFORM, MIN_OUTPUT, write_request
from kilo_gateway.dialects.top_level import Rules

__all__ = ["read_request", "replays_foreign_thoughts", "write_request"]

_T = TypeVar("_T")
_EFFORTS: tuple[Effort, ...] = get_args(Effort)
_FUNCTIONS = ("function", "custom")
_input: msgspec.json.Decoder[str | list[shapes.Item]] = msgspec.json.Decoder(str | list[shapes.Item])
_tools = msgspec.json.Decoder(list[shapes.Tool])
_choice: msgspec.json.Decoder[shapes.Choice | str] = msgspec.json.Decoder(shapes.Choice | str)
_text_config = msgspec.json.Decoder(shapes.TextConfig)
_reasoning = msgspec.json.Decoder(shapes.Reasoning)
_texts = msgspec.json.Decoder(list[str])
_integer = msgspec.json.Decoder(int)
_number = msgspec.json.Decoder(float)
_text = msgspec.json.Decoder(str)
_boolean = msgspec.json.Decoder(bool)

# What is read, or says what holds anyway, or is the gateway's own.
_KNOWN = frozenset({
    "model", "input", "instructions", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls",
    "reasoning", "text", "max_output_tokens", "temperature", "top_p", "top_k", "top_logprobs", "frequency_penalty",
    "presence_penalty", "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier", "include", "store",
    "session_id",
})  # fmt: skip
_NOTHING = (b"null", b"[]", b"{}", b'""')
_SETTLED = {"background": b"false", "truncation": b'"disabled"'}  # what holds anyway
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"
_INCLUDED = (_ENCRYPTED, _LOGPROBS)
_SEALED = b'"' + envelope.MARK.encode()
_STORED = {
    "previous_response_id": "former answers are not stored. Send the whole conversation in `input`",
    "conversation": "conversations are not stored. Send the whole conversation in `input`",
    "prompt": "prompts are not stored. Send its text in `instructions` or `input`",
}


def read_request(fields: Mapping[str, Raw]) -> Request:
    """Raises BadRequest, which names the field."""
    said = _Fields(fields)
    _refuse_stored(said)
    given = said("tools", _tools, "a list of tools") or []
    names = Names(tool.name or "" for tool in given if tool.type in _FUNCTIONS)
    history, lost = History(names), _lost(fields)
    if instructions := said("instructions", _text, "a text"):
        history.system(instructions)
    _read_input(said("input", _input, "a text or a list of items"), history)
    messages = history.whole()
    tools = list(_read_tools(given, "tools", names, lost))
    tools += _late_tools(history, {tool.name for tool in tools}, names, lost)
    choice, tools = _read_choice(said("tool_choice", _choice, "a word or an object"), tools, names, lost)
    text = said("text", _text_config, "an object with format and verbosity") or shapes.TextConfig()
    include = said("include", _texts, "a list of texts") or []
    alternatives = said("top_logprobs", _integer, "a whole number")
    lost |= {f"include[{name[:60]}]": None for name in include if name not in _INCLUDED} | history.lost
    thinking = _thinking(said("reasoning", _reasoning, "an object with effort and summary"), lost)
    return Request(
        model=said("model", _text, "a text") or "", is_stream=said("stream", _boolean, "true or false") or False,
        messages=messages, tools=tuple(tools), tool_choice=choice,
        allows_parallel=said("parallel_tool_calls", _boolean, "true or false"),
        thinking=thinking, output=_output(text.format), verbosity=text.verbosity,
        max_tokens=_cap(said("max_output_tokens", _integer, "a whole number")),
        temperature=said("temperature", _number, "a number"), top_p=said("top_p", _number, "a number"),
        top_k=said("top_k", _integer, "a whole number"),
        frequency_penalty=said("frequency_penalty", _number, "a number"),
        presence_penalty=said("presence_penalty", _number, "a number"),
        logprobs=alternatives or (0 if _LOGPROBS in include else None),
        user=said("safety_identifier", _text, "a text") or said("user", _text, "a text"), metadata=said.raw("metadata"),
        service_tier=said("service_tier", _text, "a text"), cache_key=said("prompt_cache_key", _text, "a text"),
        lost=tuple(lost),
    )  # fmt: skip


def check_stateless(fields: Mapping[str, Raw]) -> None:
    """Raises BadRequest for what would need something stored. For requests that are not read otherwise."""
    _refuse_stored(_Fields(fields))


def _keep_nothing(fields: dict[str, Raw], endpoint: Endpoint) -> dict[str, int]:
    """OpenAI keeps the answer of a caller who does not say. Reasoning is then given whole, as it cannot be looked up."""
    if bytes(fields.get("store", shapes.ABSENT)) != b"null":
        return {}
    fields["store"] = Raw(b"false")
    if endpoint.parameters is not None and "reasoning" in endpoint.parameters:
        try:
            included = _texts.decode(fields.get("include", b"[]"))
        except msgspec.MsgspecError:
            return {}
        if _ENCRYPTED not in included:
            fields["include"] = Raw(msgspec.json.encode([*included, _ENCRYPTED]))
    return {}


# `foreign`: members of gateways' own, which others refuse.
RULES = Rules(
    foreign=frozenset({
        "provider", "session_id", "models", "plugins", "route", "transforms", "usage", "description", "top_k",
        "frequency_penalty", "presence_penalty",
    }),
    ranges={"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), "top_logprobs": (0, 20)},
    caps=("max_output_tokens",), least_cap=MIN_OUTPUT, more=_keep_nothing,
)  # fmt: skip


def replays_foreign_thoughts(fields: Mapping[str, Raw]) -> bool:
    """Whether an envelope of ours may be in it. Such a request is no upstream's own, though he speaks this dialect."""
    return _SEALED in bytes(fields.get("input", shapes.ABSENT))


class _Fields:
    def __init__(self, fields: Mapping[str, Raw]) -> None:
        self._fields = fields

    def __call__(self, name: str, decoder: msgspec.json.Decoder[_T], meant: str) -> _T | None:
        raw = self._fields.get(name, shapes.ABSENT)
        return None if bytes(raw) == b"null" else read(decoder, raw, name, meant)

    def raw(self, name: str) -> Raw | None:
        raw = self._fields.get(name)
        return None if raw is None or bytes(raw) in (b"null", b"{}") else raw


def _refuse_stored(said: _Fields) -> None:
    for name, why in _STORED.items():
        if said.raw(name) is not None:
            raise BadRequest(f"`{name}` cannot be used: {why}.")
    if said("store", _boolean, "true or false"):
        raise BadRequest("`store` must be false or left out: answers are not stored.")
    if said("background", _boolean, "true or false"):
        raise BadRequest("`background` must be false or left out: answers are not stored, so none could be fetched later.")


def _lost(fields: Mapping[str, Raw]) -> dict[str, None]:
    """Names in their order, each once."""
    names = sorted(fields.keys() - _KNOWN)
    return {name: None for name in names if bytes(fields[name]) not in (*_NOTHING, _SETTLED.get(name))}


def _read_input(given: str | list[shapes.Item] | None, history: History) -> None:
    if given is None:
        raise BadRequest("The field 'input' is missing: a text or a list of items.")
    if isinstance(given, str):
        history.user(given)
        return
    for at, item in enumerate(given):
        history.add(item, f"input[{at}]")


def _cap(cap: int | None) -> int | None:
    if cap is not None and cap < 1:
        raise BadRequest("max_output_tokens must be a whole number, 1 or more.")
    return cap


def _read_tools(
    tools: list[shapes.Tool], at: str, names: Names, lost: dict[str, None], namespace: str = ""
) -> Iterable[Tool]:
    for nth, tool in enumerate(tools):
        is_namespace = tool.type == "namespace" and not namespace
        if tool.type not in _FUNCTIONS and not is_namespace:
            lost[f"tools[type={tool.type[:60]}]"] = None
            continue
        if not tool.name:
            raise BadRequest(f"{at}[{nth}].name is missing.")
        if is_namespace:
            yield from _read_namespace(tool, f"{at}[{nth}].tools", names, lost)
            continue
        name, own = names.of(namespace, tool.name), tool.name if namespace else ""
        if tool.type == "custom":
            described = _freeform_description(tool)
            yield Tool(name, described, FREEFORM, is_freeform=True, namespace=namespace, own_name=own)
            continue
        schema = None if bytes(tool.parameters) == b"null" else tool.parameters
        yield Tool(name, tool.description, schema, tool.strict, namespace=namespace, own_name=own)


def _read_namespace(whole: shapes.Tool, at: str, names: Names, lost: dict[str, None]) -> Iterable[Tool]:
    """What is said of all of them, the first one says: there is no other place."""
    inner, said = read(_tools, whole.tools, at, "a list of tools"), whole.description
    for tool in _read_tools(inner, at, names, lost, whole.name or ""):
        yield replace(tool, description=f"{said}\n\n{tool.description or ''}".rstrip()) if said else tool
        said = None


def _freeform_description(tool: shapes.Tool) -> str | None:
    """A grammar can only be told: a function's argument cannot be held to one."""
    grammar = tool.format
    if grammar is None or not grammar.definition:
        return tool.description
    told = f"The input must follow this grammar ({grammar.syntax or 'lark'}):\n{grammar.definition}"
    return f"{tool.description}\n\n{told}" if tool.description else told


def _late_tools(history: History, known: set[str], names: Names, lost: dict[str, None]) -> Iterable[Tool]:
    for at, raw in history.tools:
        for tool in _read_tools(read(_tools, raw, at, "a list of tools"), at, names, lost):
            if tool.name not in known:
                known.add(tool.name)
                yield tool


def _read_choice(
    choice: shapes.Choice | str | None, tools: list[Tool], names: Names, lost: dict[str, None]
) -> tuple[ToolChoice | None, list[Tool]]:
    """With the tools that are left where only some are allowed."""
    if choice is None:
        return None, tools
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise _wrong_choice()
        return ToolChoice(cast(Any, choice)), tools
    if choice.type in _FUNCTIONS:
        if not choice.name:
            raise BadRequest("tool_choice.name is missing.")
        return ToolChoice("tool", names.of(choice.namespace or "", choice.name)), tools
    if choice.type != "allowed_tools":
        if not choice.type:
            raise _wrong_choice()
        lost[f"tool_choice[type={choice.type[:60]}]"] = None
        return None, tools
    if choice.mode not in ("auto", "required"):
        raise BadRequest("tool_choice.mode must be auto or required.")
    allowed = {names.of(each.namespace or "", each.name or "") for each in choice.tools or () if each.type != "namespace"}
    whole = {each.name for each in choice.tools or () if each.type == "namespace"}
    return ToolChoice(cast(Any, choice.mode)), [tool for tool in tools if tool.name in allowed or tool.namespace in whole]


def _wrong_choice() -> BadRequest:
    return BadRequest(
        'tool_choice must be "auto", "none", "required", or an object of type function, custom or allowed_tools.'
    )  # fmt: skip


def _output(wanted: shapes.TextFormat | None) -> Output | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Output()
    if wanted.type != "json_schema":
        raise BadRequest(f"text.format.type must be text, json_object or json_schema, not {wanted.type[:40]!r}.")
    if bytes(wanted.schema) == b"null":
        raise BadRequest("text.format.schema is missing.")
    return Output(wanted.schema, wanted.name or "", wanted.description, wanted.strict)


def _thinking(asked: shapes.Reasoning | None, lost: dict[str, None]) -> Thinking | None:
    if asked is None:
        return None
    lost |= {f"reasoning.{name}": None for name in ("context", "mode") if bytes(getattr(asked, name)) != b"null"}
    effort, summary = asked.effort, asked.summary or asked.generate_summary
    if effort is not None and effort not in _EFFORTS:
        raise BadRequest(f"reasoning.effort must be one of {', '.join(_EFFORTS)}, not {effort[:40]!r}.")
    is_enabled = asked.enabled
    if effort == "none":
        is_enabled = False
    elif is_enabled is None and (effort is not None or asked.max_tokens is not None):
        is_enabled = True
    if is_enabled is None and summary is None and not asked.exclude:
        return None
    return Thinking(is_enabled, effort, asked.max_tokens, bool(asked.exclude), summary)

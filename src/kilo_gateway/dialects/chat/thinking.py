"""How much is to be thought, in all the words that chat requests have for it.

OpenRouter's `reasoning` and OpenAI's `reasoning_effort` count before Anthropic's `thinking`, and that before Gemini's
thinkingConfig, which its own OpenAI-compatible endpoint takes as `extra_body.google.thinking_config`.
"""

from collections.abc import Mapping
from typing import get_args

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.dialects.chat import shapes
from kilo_gateway.dialects.chat.fields import Fields
from kilo_gateway.dialects.hub.asked import Effort, Thinking

NAMES = frozenset({
    "reasoning", "reasoning_effort", "include_reasoning", "thinking", "thinkingConfig", "thinking_config", "extra_body",
})  # fmt: skip
_EFFORTS: tuple[Effort, ...] = get_args(Effort)
_reasoning = msgspec.json.Decoder(shapes.Reasoning | None)
_anthropic = msgspec.json.Decoder(shapes.Thinking | None)
_gemini = msgspec.json.Decoder(shapes.ThinkingConfig | None)
_extra_body = msgspec.json.Decoder(shapes.ExtraBody | None)
_text = msgspec.json.Decoder(str | None)
_boolean = msgspec.json.Decoder(bool | None)


def thinking_of(fields: Mapping[str, Raw]) -> Thinking | None:
    """What all the fields that speak of it say together. Raises BadRequest."""
    if fields.keys().isdisjoint(NAMES):
        return None
    read = Fields(fields)
    asked, effort = read("reasoning", _reasoning), read("reasoning_effort", _text)
    shown = read("include_reasoning", _boolean)
    if asked is None and effort is None:
        other = _of_anthropic(read("thinking", _anthropic)) or _of_gemini(_config(read))
        if other is not None:
            return msgspec.structs.replace(other, is_excluded=other.is_excluded or shown is False)
        if shown is None:
            return None
    wanted = _effort((asked.effort if asked is not None else None) or effort, "reasoning.effort")
    if asked is None:
        asked = shapes.Reasoning()
    is_enabled = asked.enabled
    if wanted == "none":
        is_enabled = False
    elif is_enabled is None and (wanted is not None or asked.max_tokens is not None):
        is_enabled = True
    return Thinking(is_enabled, wanted, asked.max_tokens, bool(asked.exclude) or shown is False, asked.summary)


def _effort(wanted: str | None, name: str) -> Effort | None:
    if wanted is not None and wanted not in _EFFORTS:
        raise BadRequest(f"{name} is one of {', '.join(_EFFORTS)}, not {wanted[:40]!r}.")
    return wanted


def _of_anthropic(asked: shapes.Thinking | None) -> Thinking | None:
    """DeepSeek, Z.AI and Moonshot have it too, without a budget."""
    if asked is None:
        return None
    if asked.type == "disabled":
        return Thinking(is_enabled=False)
    return Thinking(True, None, asked.budget_tokens, asked.display == "omitted")


def _config(read: Fields) -> shapes.ThinkingConfig | None:
    extra = read("extra_body", _extra_body)
    google = extra.google if extra is not None else None
    inner = None if google is None else google.thinking_config or google.camel_config
    return read("thinkingConfig", _gemini) or read("thinking_config", _gemini) or inner


def _of_gemini(asked: shapes.ThinkingConfig | None) -> Thinking | None:
    """A budget of 0 is none, of -1 one that the model chooses. https://ai.google.dev/gemini-api/docs/thinking"""
    if asked is None:
        return None
    budget = asked.budget if asked.budget is not None else asked.camel_budget
    level, shown = asked.level or asked.camel_level, asked.shown if asked.shown is not None else asked.camel_shown
    if budget == 0:
        return Thinking(is_enabled=False)
    effort = None if budget is not None else _effort(None if level is None else level.lower(), "thinkingLevel")
    if budget is None and effort is None and not shown:
        return None
    return Thinking(True, effort, budget if budget is not None and budget > 0 else None, shown is False)

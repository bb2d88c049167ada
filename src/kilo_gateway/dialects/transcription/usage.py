"""What a transcription used, as OpenAI (by tokens or by duration), OpenRouter and Mistral tell it; and what is estimated."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from kilo_gateway.core.money import Nanos
from kilo_gateway.core.price import AUDIO_TOKENS_PER_S, Usage
from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects import openai_chat

NOTHING = Raw(b"null")
_Count = Annotated[float, Meta(ge=0, le=10**9)] | None
_Seconds = Annotated[float, Meta(ge=0, le=10**7)] | None


class _Shares(Struct):
    audio_tokens: _Count = None


class _Members(Struct):
    seconds: _Seconds = None
    prompt_audio_seconds: _Seconds = None
    input_tokens: _Count = None
    output_tokens: _Count = None
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    input_token_details: _Shares | None = None
    cost: Raw = NOTHING


_decode_members = msgspec.json.Decoder(_Members | None).decode
_seconds_in: msgspec.json.Decoder[float | None] = msgspec.json.Decoder(_Seconds)
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def estimated(length_s: float, text_bytes: int) -> Usage:
    return Usage(int(length_s * AUDIO_TOKENS_PER_S), -(-text_bytes // 4), is_estimated=True, audio_ms=_ms(length_s))


def usage_in(raw: Raw, duration: Raw, otherwise: Usage, endpoint: Endpoint) -> Usage:
    """`duration`: of verbose_json. What has a price and is not told is taken from `otherwise`: a length, or tokens."""
    told = _told(raw)
    seconds = _first(told.seconds, told.prompt_audio_seconds, _duration(duration))
    prompt = _first(told.input_tokens, told.prompt_tokens)
    cost = openai_chat.charged(told.cost) if endpoint.is_cost_reported else None
    if prompt is None and seconds is None:
        return replace(otherwise, reported_cost=cost)
    completion = _first(told.output_tokens, told.completion_tokens) or 0
    audio = told.input_token_details.audio_tokens or 0 if told.input_token_details is not None else 0
    usage = Usage(
        int(prompt or 0), int(completion), reported_cost=cost, input_audio_tokens=int(min(audio, prompt or 0)),
        audio_ms=_ms(seconds or 0),
    )  # fmt: skip
    if cost is not None or endpoint.price is None:
        return usage
    if endpoint.price.audio_hour:
        return usage if seconds is not None else replace(usage, audio_ms=otherwise.audio_ms, is_estimated=True)
    if prompt is not None:
        return usage
    told_length = estimated((seconds or 0), 0)
    return replace(told_length, completion_tokens=otherwise.completion_tokens)


def usage_object(raw: Raw, usage: Usage, cost: Nanos | None) -> Raw:
    """As it was told, with the cost; else how long the audio is thought to be."""
    try:
        members = _decode_fields(raw)
    except msgspec.MsgspecError:
        members = {}
    if not members:
        members = {"type": Raw(b'"duration"'), "seconds": Raw(_encode(usage.audio_ms / 1000))}
    if usage.is_estimated:
        members["estimated"] = Raw(b"true")
    members["cost"] = Raw(openai_chat.dollars(cost))
    return Raw(_encode(members))


def _told(raw: Raw) -> _Members:
    try:
        return _decode_members(raw) or _Members()
    except msgspec.MsgspecError:
        return _Members()


def _duration(raw: Raw) -> float | None:
    """Some write it as a text."""
    try:
        return _seconds_in.decode(bytes(raw).strip(b'"'))
    except msgspec.MsgspecError:
        return None


def _first(*counts: float | None) -> float | None:
    return next((count for count in counts if count is not None), None)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

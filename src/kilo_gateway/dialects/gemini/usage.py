"""usageMetadata as Usage. https://ai.google.dev/api/generate-content#UsageMetadata"""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from kilo_gateway.core.price import Usage

_Count = Annotated[int, Meta(ge=0, le=10**9)]


class _Share(Struct, rename="camel"):
    modality: str = ""
    token_count: _Count | None = None


_Shares = list[_Share] | None


class _Counts(Struct, rename="camel"):
    prompt_token_count: _Count | None = None
    candidates_token_count: _Count | None = None
    thoughts_token_count: _Count | None = None
    tool_use_prompt_token_count: _Count | None = None
    cached_content_token_count: _Count | None = None


class _Told(_Counts, rename="camel"):
    prompt_tokens_details: _Shares = None
    cache_tokens_details: _Shares = None
    candidates_tokens_details: _Shares = None
    tool_use_prompt_tokens_details: _Shares = None


_decode = msgspec.json.Decoder(_Told).decode
_decode_counts = msgspec.json.Decoder(_Counts).decode


def read_usage(raw: Raw) -> Usage | None:
    """None where nothing is told, or what cannot be true. It comes with every chunk, mostly of nothing but text."""
    words = bytes(raw)
    is_text = b"AUDIO" not in words and b"IMAGE" not in words
    try:
        told = _decode_counts(words) if is_text else _decode(words)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if told.prompt_token_count is None:
        return None
    thoughts = told.thoughts_token_count or 0
    prompt = told.prompt_token_count + (told.tool_use_prompt_token_count or 0)  # what its own tools have read stands beside
    completion = (told.candidates_token_count or 0) + thoughts
    read = min(told.cached_content_token_count or 0, prompt)
    if not isinstance(told, _Told):
        return Usage(prompt, completion, cache_read_tokens=read, reasoning_tokens=thoughts)
    heard, seen = _audio_and_images(told.prompt_tokens_details)
    heard_beside, seen_beside = _audio_and_images(told.tool_use_prompt_tokens_details)
    cached, _ = _audio_and_images(told.cache_tokens_details)
    spoken, drawn = _audio_and_images(told.candidates_tokens_details)
    audio = min(heard + heard_beside, prompt)
    return Usage(
        prompt, completion, cache_read_tokens=read, cache_audio_tokens=min(cached, read, audio),
        input_audio_tokens=audio, input_image_tokens=min(seen + seen_beside, prompt), reasoning_tokens=thoughts,
        output_audio_tokens=min(spoken, completion), output_image_tokens=min(drawn, completion),
    )  # fmt: skip


def _audio_and_images(shares: _Shares) -> tuple[int, int]:
    audio = images = 0
    for share in shares or ():
        if share.modality == "AUDIO":
            audio += share.token_count or 0
        elif share.modality == "IMAGE":
            images += share.token_count or 0
    return audio, images

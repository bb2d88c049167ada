"""The members of a chat completion request that a crossing reads, as they stand in JSON."""

from typing import Literal

import msgspec
from msgspec import Raw, Struct, field

ABSENT = Raw(b"null")


class CacheControl(Struct):
    type: str = ""
    ttl: str | None = None


class ImageUrl(Struct):
    url: str
    detail: str | None = None


class InputAudio(Struct):
    data: str
    format: str


class FileData(Struct):
    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class VideoUrl(Struct):
    url: str


class Part(Struct):
    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    file: FileData | None = None
    video_url: VideoUrl | str | None = None
    cache_control: CacheControl | None = None
    thought_signature: Raw = ABSENT  # Gemini's, of what the assistant has said, in both spellings
    camel_signature: Raw = field(default=ABSENT, name="thoughtSignature")


class Function(Struct):
    name: str = ""
    arguments: str | None = None


class Custom(Struct):
    name: str = ""
    input: str = ""


class Google(Struct):
    thought_signature: Raw = ABSENT  # whatever clients make of it


class Extra(Struct):
    """https://ai.google.dev/gemini-api/docs/openai"""

    google: Google | None = None


class Call(Struct):
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Extra | None = None


class Detail(Struct):
    """https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None
    index: int | None = None


class Spoken(Struct):
    id: str = ""


class Message(Struct):
    role: str
    content: str | list[Part] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    function_call: Function | None = None
    audio: Spoken | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Detail] | None = None
    images: list[Part] | None = None


class ToolFunction(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class Tool(Struct):
    type: str = "function"
    function: ToolFunction | None = None
    cache_control: CacheControl | None = None


class Named(Struct):
    name: str


class Allowed(Struct):
    function: Named | None = None


class AllowedTools(Struct):
    mode: str = "auto"
    tools: list[Allowed] = []


class Choice(Struct):
    type: str
    function: Named | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Struct):
    name: str = "answer"
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class ResponseFormat(Struct):
    type: str
    json_schema: JsonSchema | None = None


class Reasoning(Struct):
    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    summary: str | None = None


class Thinking(Struct):
    """https://docs.anthropic.com/en/api/openai-sdk"""

    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: int | None = None
    display: str | None = None


class ThinkingConfig(Struct):
    """Gemini's, in both spellings."""

    budget: int | None = field(default=None, name="thinking_budget")
    level: str | None = field(default=None, name="thinking_level")
    shown: bool | None = field(default=None, name="include_thoughts")
    camel_budget: int | None = field(default=None, name="thinkingBudget")
    camel_level: str | None = field(default=None, name="thinkingLevel")
    camel_shown: bool | None = field(default=None, name="includeThoughts")


class ExtraGoogle(Struct):
    thinking_config: ThinkingConfig | None = None
    camel_config: ThinkingConfig | None = field(default=None, name="thinkingConfig")


class ExtraBody(Struct):
    google: ExtraGoogle | None = None


_text = msgspec.json.Decoder(str).decode


def signature_of(google: Google | None) -> str:
    """Empty where there is none, or one that is no text."""
    return "" if google is None else _plain(google.thought_signature)


def signature_on(part: Part) -> str:
    return _plain(part.thought_signature) or _plain(part.camel_signature)


def _plain(raw: Raw) -> str:
    try:
        return _text(raw)
    except msgspec.MsgspecError:
        return ""

"""A request between two dialects."""

from typing import Literal

from msgspec import Raw, Struct

from kilo_gateway.core.types import Platform

# Who made a piece of reasoning, and so who can read it again: OpenRouter's names.
# https://openrouter.ai/docs/use-cases/reasoning-tokens
Format = Literal["", "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "xai-responses-v1", "unknown"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Cache(Struct, frozen=True):
    """A prompt up to here may be kept by the provider. `ttl`: "5m" or "1h"; empty: his default."""

    ttl: str = ""


class Text(Struct, frozen=True):
    text: str
    cache: Cache | None = None


class Image(Struct, frozen=True):
    """`url`: https, or data: with base64."""

    url: str
    detail: str | None = None
    cache: Cache | None = None


class File(Struct, frozen=True):
    """A document. `url`: https, or data: with base64; or `id`: of a file the provider keeps, which may be an image."""

    url: str = ""
    id: str = ""
    name: str = ""
    cache: Cache | None = None
    is_image: bool = False


class Audio(Struct, frozen=True):
    """`data`: base64. `format`: wav, mp3 ..."""

    data: str
    format: str


class Video(Struct, frozen=True):
    url: str


class Thought(Struct, frozen=True):
    """Reasoning of a former answer, replayed. A signature or what is encrypted goes back only to whom `format` names.

    `origin`: who gave it, where that is an upstream that passes on what others make (origins.py).
    """

    text: str = ""
    summary: str = ""
    signature: str = ""
    encrypted: str = ""
    format: Format = ""
    id: str = ""
    origin: str = ""


class ToolCall(Struct, frozen=True):
    """`arguments`: JSON text, of an object where the call was repaired. `signature`: of the thought that led to it (Gemini),

    base64. `origin`: as of a Thought.
    """

    id: str
    name: str
    arguments: str
    signature: str = ""
    cache: Cache | None = None
    origin: str = ""


class ToolResult(Struct, frozen=True):
    """`parts`: Text, Image or File. `name`: of the tool, where the caller says it."""

    id: str
    parts: tuple["Part", ...]
    is_error: bool = False
    name: str = ""
    cache: Cache | None = None


Part = Text | Image | File | Audio | Video | Thought | ToolCall | ToolResult
Role = Literal["system", "user", "assistant", "tool"]


class Message(Struct, frozen=True):
    """system (or developer), in the place where it stood: Text. user: Text, Image, File, Audio, Video. assistant: Text,

    Thought, ToolCall and Image, in their order. tool: ToolResult only.
    """

    role: Role
    parts: tuple[Part, ...]


class Tool(Struct, frozen=True):
    """A function of the caller's. `schema`: JSON Schema of its arguments; None: none. `is_freeform`: he takes plain text,

    which is its one argument, `input`. `namespace`: of the caller's, who knows it there by `own_name`.
    """

    name: str
    description: str | None = None
    schema: Raw | None = None
    is_strict: bool | None = None
    cache: Cache | None = None
    is_freeform: bool = False
    namespace: str = ""
    own_name: str = ""


class ToolChoice(Struct, frozen=True):
    """`name`: where `mode` is "tool"."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str = ""


class Output(Struct, frozen=True):
    """An answer that must be JSON; of this schema where there is one."""

    schema: Raw | None = None
    name: str = ""
    description: str | None = None
    is_strict: bool | None = None


class Thinking(Struct, frozen=True):
    """How much is to be thought. One of `effort` and `max_tokens`; `is_excluded`: thought, and not shown."""

    is_enabled: bool | None = None
    effort: Effort | None = None
    max_tokens: int | None = None
    is_excluded: bool = False
    summary: str | None = None  # auto, concise, detailed


class Request(Struct, kw_only=True):
    """`lost`: names of the caller's fields that have no place here."""

    model: str
    is_stream: bool = False
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    allows_parallel: bool | None = None  # calls
    thinking: Thinking | None = None
    output: Output | None = None
    verbosity: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    choices: int = 1
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Raw | None = None
    logprobs: int | None = None  # of so many alternatives; 0: of the chosen ones alone
    user: str | None = None
    metadata: Raw | None = None
    service_tier: str | None = None
    cache: Cache | None = None  # of the whole prompt
    cache_key: str | None = None
    lost: tuple[str, ...] = ()


class Target(Struct, frozen=True):
    """What of an endpoint shapes a request. `parameters`: OpenRouter's names of what its model knows; None: unknown.

    `efforts`: those by which its model is made to think, where it takes no tokens; empty: unknown. `origin`: what is of
    it goes back to it. `is_strict`: it refuses members that its dialect does not know.
    """

    model: str  # the upstream's own name
    max_output: int | None = None
    parameters: frozenset[str] | None = None
    cap_field: str = "max_tokens"
    efforts: tuple[str, ...] = ()
    origin: str = ""
    platform: Platform = ""
    is_strict: bool = False

    def knows(self, parameter: str) -> bool:
        """Whether it may be sent: where nobody said what a model knows, everything may."""
        return self.parameters is None or parameter in self.parameters


class Written(Struct, frozen=True):
    """A body for an upstream. `dropped`: fields of the Request that have no place there; `changed`: "field: how", and

    `clamped` of values that would have been refused.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    clamped: tuple[str, ...] = ()

"""A request as it stands in JSON: one struct for every kind of block, because unknown kinds must be seen to be named."""

from msgspec import Raw, Struct, field

ABSENT = Raw(b"null")


class CacheControl(Struct):
    type: str = ""
    ttl: str | None = None


class Anything(Struct):
    """An object nobody looks into: what a provider's own tool found."""


class Citations(Struct):
    enabled: bool | None = None


class Source(Struct):
    """Of an image or a document. `content`: of a document that is made of blocks."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: "str | list[Block] | None" = None


class Block(Struct):
    type: str = ""
    text: str | None = None
    cache_control: CacheControl | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    citations: list[Anything] | Citations | None = None  # of a text; whether a document is to be cited
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    thought_signature: str | None = None  # Gemini's, as other gateways name it
    camel_signature: str | None = field(default=None, name="thoughtSignature")
    tool_use_id: str | None = None
    content: "str | list[Block] | Anything | None" = None
    is_error: bool | None = None
    tool_name: str | None = None


class Message(Struct):
    role: str
    content: str | list[Block]


class Tool(Struct):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    cache_control: CacheControl | None = None
    defer_loading: bool | None = None
    input_examples: Raw = ABSENT


class Choice(Struct):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class Thinking(Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class Format(Struct):
    type: str
    schema: Raw = ABSENT


class OutputConfig(Struct):
    effort: str | None = None
    format: Format | None = None
    task_budget: Raw = ABSENT


class Metadata(Struct):
    user_id: str | None = None


def is_said(raw: Raw) -> bool:
    return bytes(raw) not in (b"null", b"{}", b"[]")

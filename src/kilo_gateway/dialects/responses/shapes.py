"""The members of a request that a crossing reads, as they stand in JSON.

Raw where items of different types mean different things by one name.
"""

from msgspec import Raw, Struct

ABSENT = Raw(b"null")


class Breakpoint(Struct):
    ttl: str | None = None


class InputAudio(Struct):
    data: str
    format: str


class Part(Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    input_audio: InputAudio | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class Item(Struct):
    type: str | None = None
    role: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    content: Raw = ABSENT
    output: Raw = ABSENT
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    summary: Raw = ABSENT
    tools: Raw = ABSENT
    result: Raw = ABSENT
    output_format: str | None = None
    encrypted_content: str | None = None
    signature: str | None = None  # with `format`, OpenRouter's: https://openrouter.ai/docs/api-reference/responses
    format: str | None = None
    namespace: Raw = ABSENT
    phase: Raw = ABSENT


class Grammar(Struct):
    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class Tool(Struct):
    type: str = ""
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    format: Grammar | None = None
    tools: Raw = ABSENT  # of a namespace


class Allowed(Struct):
    type: str = ""
    name: str | None = None
    namespace: str | None = None


class Choice(Struct):
    type: str = ""
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[Allowed] | None = None


class TextFormat(Struct):
    type: str = "text"
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class TextConfig(Struct):
    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(Struct):
    """The last three are OpenRouter's."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None  # the old name
    context: Raw = ABSENT
    mode: Raw = ABSENT
    enabled: bool | None = None
    max_tokens: int | None = None
    exclude: bool | None = None

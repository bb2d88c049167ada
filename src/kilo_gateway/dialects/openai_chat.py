"""OpenAI chat completions. https://platform.openai.com/docs/api-reference/chat

As the caller's dialect: `open_body`, `error_body`, `error_events`. As the upstream's: `splice`, `read_event`, `stamped`.
"""

import re
import sys
from decimal import Decimal
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from kilo_gateway.core import money, nesting, surrogates
from kilo_gateway.core.errors import BadRequest, GatewayError
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint, Extent
from kilo_gateway.dialects.codes import NO_CODE, code_of

NAME = "openai-chat"
PATH = "/chat/completions"
DONE = b"data: [DONE]\n\n"
MAX_SEARCHES = 10**6
MAX_ID = 200
MAX_TOKENS = 10**9  # a count above this is nobody's usage

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_id = msgspec.json.Decoder(str | int).decode
_decode_number = msgspec.json.Decoder(int | float).decode
_decode_amount = msgspec.json.Decoder(Decimal | None).decode
_decode_count = msgspec.json.Decoder(Annotated[int, Meta(ge=0)] | None).decode
_encode = msgspec.json.Encoder().encode
_WITH_USAGE = Raw(b'{"include_usage":true}')
_BOOLEANS = {b"true": True, b"false": False, b"null": False}

_arguments = re.compile(rb'"arguments"[ ]?:[ ]?("(?:[^"\\]|\\.)*")', re.DOTALL).findall
_ABSENT = Raw(b"null")
_CAPS = ("max_completion_tokens", "max_tokens")
_BOUNDED_PARTS = frozenset({"text", "refusal", "image_url", "input_audio"})  # audio travels in the body
_NOTHING = (b"null", b"[]", b"{}", b"false")


class PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None  # https://openrouter.ai/docs/use-cases/usage-accounting
    audio_tokens: int | None = None
    image_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class ServerTools(Struct):
    web_search_requests: int | None = None


class Counted(Struct):
    """A usage object, as far as it has to be read to book anything."""

    prompt_tokens: int | float | None = None  # some send 25.0
    completion_tokens: int | float | None = None
    total_tokens: int | float | None = None
    cost: Raw = _ABSENT  # whose money this is, and in what shape, its sender knows


class Reported(Counted):
    """A usage object with what its tokens were."""

    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # https://api-docs.deepseek.com/guides/kv_cache
    server_tool_use_details: ServerTools | None = None  # https://openrouter.ai/docs/api-reference/chat-completion
    server_tool_use: ServerTools | None = None


class Delta(Struct):
    content: Raw = _ABSENT
    tool_calls: Raw = _ABSENT
    reasoning: Raw = _ABSENT
    reasoning_content: Raw = _ABSENT


class Choice(Struct):
    index: Raw = _ABSENT
    finish_reason: str | None = None
    delta: Delta | None = None
    usage: Raw = _ABSENT  # where Moonshot tells it: https://platform.moonshot.ai/docs/api/chat

    def says_something(self) -> bool:
        delta = self.delta
        return delta is not None and (bytes(delta.content) not in (b"null", b'""') or bytes(delta.tool_calls) != b"null")

    def text_bytes(self) -> int:
        """Of what it says, as it stands in the chunk."""
        delta = self.delta
        if delta is None:
            return 0
        texts = [delta.content, delta.reasoning, delta.reasoning_content, *_arguments(bytes(delta.tool_calls))]
        return sum(len(bytes(text)) - 2 for text in texts if bytes(text)[:1] == b'"')


class Event(Struct):
    """One chunk, or a whole answer, of which `choices` are then read as far as they are alike."""

    id: Raw = _ABSENT
    created: Raw = _ABSENT
    choices: list[Choice] | None = None
    usage: Raw = _ABSENT
    error: Raw = _ABSENT
    x_groq: Raw = _ABSENT


class _ErrorObject(Struct):
    message: str = ""
    code: str | int | None = None
    type: str | None = None


_decode_event = msgspec.json.Decoder(Event).decode
_decode_reported = msgspec.json.Decoder(Reported).decode
_decode_counted = msgspec.json.Decoder(Counted).decode
_decode_error = msgspec.json.Decoder(_ErrorObject | str).decode


def open_body(body: bytes) -> Call:
    return open_call(NAME, body)


def open_call(dialect: str, body: bytes) -> Call:
    """Only the top level is parsed; values stay slices of `body`, unknown fields travel on."""
    fields = decode_object(body)
    model = fields.get("model")
    if model is None:
        raise BadRequest("The field 'model' is missing.")
    stream = fields.get("stream")
    try:
        is_stream = stream is not None and _BOOLEANS[bytes(stream)]
        name = _decode_str(model)
    except KeyError as error:
        raise BadRequest("The field 'stream' must be true or false.") from error
    except msgspec.MsgspecError as error:
        raise BadRequest("The field 'model' must be a string.") from error
    call = Call(dialect, name, is_stream, len(body), fields)
    if "max_cost_usd" in fields:
        told = fields.pop("max_cost_usd")
        call.ceiling = ceiling_in(told)
        call.size -= len(bytes(told))  # another number there must not change what it is compared with
    return call


def ceiling_in(told: Raw) -> money.Nanos | None:
    try:
        amount = _decode_amount(told)
        return None if amount is None else money.ceiling_of_usd(amount)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadRequest("The field 'max_cost_usd' must be a number of US dollars, 0 or more.") from error


def extent(call: Call) -> Extent:
    """Read as far as it bounds what the answer costs."""
    fields = call.fields
    try:
        parts = _decode_asked(fields["messages"])
        cap = next((found for name in _CAPS if (found := _decode_count(fields.get(name, _ABSENT))) is not None), None)
        tools = _decode_tools(fields.get("tools", _ABSENT)) or []
    except (KeyError, msgspec.MsgspecError, RecursionError) as error:
        raise BadRequest("With a limit on its cost, messages, tools and max_tokens must be well-formed.") from error
    kinds = [part.type for message in parts if isinstance(message.content, list) for part in message.content]
    unbounded = [f"a part of type {kind}" for kind in kinds if kind not in _BOUNDED_PARTS]
    unbounded += [f"a tool of type {tool.type}" for tool in tools if tool.type not in ("function", "custom")]
    unbounded += [name for name in ("plugins", "web_search_options") if bytes(fields.get(name, _ABSENT)) not in _NOTHING]
    return Extent(kinds.count("image_url"), wanted(call), cap, unbounded[0] if unbounded else "")


def decode_object(body: bytes) -> dict[str, Raw]:
    """The members of a JSON object, undecoded. Raises BadRequest for what is none, or is not UTF-8, or nests too deep."""
    try:
        if not body.isascii():
            body.decode()
        fields = _decode_fields(body)
        is_deep = nesting.may_be_deep(body) and nesting.is_too_deep(body)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    except msgspec.ValidationError as error:
        raise BadRequest("The body must be a JSON object.") from error
    except msgspec.MsgspecError as error:
        if (whole := surrogates.mended(body)) is not None:
            return decode_object(whole)
        raise BadRequest(f"The body is not JSON: {error}.") from error
    except RecursionError:
        is_deep = nesting.is_too_deep(body)
        fields = {} if is_deep else _decode_deep(body)
    if is_deep:
        raise BadRequest(f"The body nests deeper than {nesting.MAX_DEPTH} levels.")
    return fields


def splice(call: Call, endpoint: Endpoint, output_cap: int | None = None, mended: dict[str, Raw] | None = None) -> bytes:
    """The caller's own body with the upstream's model name, and usage asked for whether the caller did or not.

    `output_cap`: tokens the answer may have, where the caller has said nothing of it. `mended`: his fields, where they had
    to be. What is `call.dropped` is left out.
    """
    fields = call.fields if mended is None else mended
    if call.dropped:
        fields = {name: value for name, value in fields.items() if name not in call.dropped}
    if output_cap is not None:
        fields = {name: value for name, value in fields.items() if name not in _CAPS}
        fields[endpoint.cap_field or "max_tokens"] = Raw(b"%d" % output_cap)
    fields["model"] = Raw(endpoint.model_json)
    if call.is_stream:
        asked = fields.get("stream_options")
        fields["stream_options"] = _WITH_USAGE if asked is None else _with_usage(asked)
    return _encode(fields)


def wanted(call: Call) -> int:
    """How many choices are asked for; 2 where that cannot be read."""
    told = bytes(call.fields.get("n", b"1"))
    if told in (b"1", b"null"):
        return 1
    return max(int(told), 1) if told.isdigit() and len(told) < 5 else 2


def asks_for_tools(call: Call) -> bool:
    """An empty list is no question: OpenClaw sends one with every request."""
    for name in ("tools", "functions"):
        tools = call.fields.get(name)
        if tools is not None and bytes(tools) != b"null" and bytes(tools).strip(b"[] \t\r\n"):
            return True
    return False


def read_event(data: bytes) -> Event | None:
    """A chunk or an answer; None when it is not one that can be read."""
    try:
        return _decode_event(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return read_event(whole) if (whole := surrogates.mended(data)) is not None else None


def read_usage(raw: Raw, endpoint: Endpoint) -> Usage | None:
    return usage_in(raw, is_cost_reported=endpoint.is_cost_reported)


def usage_in(raw: Raw, *, is_cost_reported: bool) -> Usage | None:
    """None when there is no usage in it, or one that cannot be true. Estimated where it is silent on the completion."""
    reported = _reported(raw)
    if reported is None or reported.prompt_tokens is None:
        return None
    prompt, total = int(reported.prompt_tokens), int(reported.total_tokens or 0)
    is_half = reported.completion_tokens is None and reported.total_tokens is None
    if reported.completion_tokens is None:
        completion = 0 if reported.total_tokens is None else total - prompt
    else:
        completion = int(reported.completion_tokens)
    if not (0 <= prompt <= MAX_TOKENS and 0 <= completion <= MAX_TOKENS):
        return None
    cost = charged(reported.cost) if is_cost_reported else None
    if is_half and cost is None:
        return Usage(prompt, 0, is_estimated=True)
    if type(reported) is not Reported:
        return Usage(prompt, completion, reported_cost=cost)
    return _with_kinds(reported, prompt, completion + _beside(reported, total - prompt - completion), cost)


def _beside(reported: Reported, left: int) -> int:
    """Reasoning that is no part of the completion, as xAI counts; the total then says so. https://docs.x.ai/docs/guides/reasoning"""
    made = reported.completion_tokens_details
    reasoning = made.reasoning_tokens if made is not None else None
    return left if reasoning is not None and 0 < left == reasoning <= MAX_TOKENS else 0


def charged(told: Raw) -> money.Nanos | None:
    """None for what is no amount of dollars."""
    try:
        amount = _decode_amount(told)
        return money.nanos_of_usd(amount) if amount is not None and amount < MAX_TOKENS else None
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        return None


def _reported(raw: Raw) -> Counted | None:
    """Details that cannot be read are done without."""
    try:
        return _decode_reported(raw)
    except msgspec.MsgspecError:
        pass
    try:
        return _decode_counted(raw)
    except msgspec.MsgspecError:
        return None


def _with_kinds(reported: Reported, prompt: int, completion: int, cost: money.Nanos | None) -> Usage:
    """No kind has more tokens than there are."""
    given, made = reported.prompt_tokens_details, reported.completion_tokens_details
    tools = reported.server_tool_use_details or reported.server_tool_use
    read = _within(reported.prompt_cache_hit_tokens, prompt)
    write = audio = image = reasoning = spoken = drawn = 0
    if given is not None:
        read = _within(given.cached_tokens, prompt) or read
        write = _within(given.cache_write_tokens, prompt - read)
        audio, image = _within(given.audio_tokens, prompt), _within(given.image_tokens, prompt)
    if made is not None:
        reasoning, spoken = _within(made.reasoning_tokens, completion), _within(made.audio_tokens, completion)
        drawn = _within(made.image_tokens, completion)
    searches = _within(tools.web_search_requests, MAX_SEARCHES) if tools is not None else 0
    return Usage(prompt, completion, False, cost, read, write, 0, audio, 0, image, reasoning, spoken, drawn, 0, searches)


def _within(count: int | None, most: int) -> int:
    return min(max(count or 0, 0), most)


class Problem(NamedTuple):
    """An error as an upstream words it. `status`: where it gives one as a number."""

    message: str
    code: str
    status: int | None = None


def error_of(raw: Raw) -> Problem | None:
    """Out of an error member; None when it is absent, null or empty."""
    if bytes(raw) in (b"null", b"{}", b'""', b"false"):
        return None
    try:
        error = _decode_error(raw)
    except msgspec.MsgspecError:
        return Problem("the upstream reported an error that cannot be read", NO_CODE)
    if isinstance(error, str):
        return Problem(error, NO_CODE)
    message, number = error.message or "the upstream reported an error", str(error.code or "")
    if number.isdigit() and len(number) < 6:
        return Problem(message, code_of(error.type), int(number))
    return Problem(message, code_of(str(error.code or ""), error.type))


def open_answer(data: bytes) -> dict[str, Raw] | None:
    """An answer's or chunk's members, undecoded; None when it is no JSON object."""
    try:
        return _decode_fields(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return open_answer(whole) if (whole := surrogates.mended(data)) is not None else None


def id_of(id: Raw) -> str:
    """An answer's, cut to what is kept of it; some number theirs."""
    try:
        return str(_decode_id(id))[:MAX_ID]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def created_of(created: Raw) -> int:
    """Unix seconds; 0 where it is no number."""
    try:
        return int(_decode_number(created))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError):
        return 0


class _Part(Struct):
    type: str | None = None


class _Asked(Struct):
    content: list[_Part] | str | None = None


_decode_asked = msgspec.json.Decoder(list[_Asked]).decode
_decode_tools = msgspec.json.Decoder(list[_Part] | None).decode


def with_images(usage: Usage, call: Call, endpoint: Endpoint) -> Usage:
    """Where images have a price each, or may have one, those of the prompt are counted: no upstream tells how many."""
    if endpoint.price is not None and not endpoint.price.image:
        return usage
    try:
        asked = _decode_asked(call.fields["messages"])
    except (KeyError, msgspec.MsgspecError, RecursionError):
        return usage
    parts = [part for message in asked if isinstance(message.content, list) for part in message.content]
    return replace(usage, images=sum(part.type == "image_url" for part in parts))


class _Message(Struct):
    content: Raw = _ABSENT
    tool_calls: Raw = _ABSENT
    reasoning: Raw = _ABSENT


class _Whole(Struct):
    message: _Message | None = None


_decode_whole = msgspec.json.Decoder(list[_Whole]).decode


def estimated_tokens(fields: dict[str, Raw]) -> int:
    """Of an answer whose usage is not told: a token for each four bytes of what it says."""
    try:
        messages = [choice.message for choice in _decode_whole(fields["choices"]) if choice.message is not None]
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        return 0
    parts = [part for message in messages for part in (message.content, message.tool_calls, message.reasoning)]
    return sum(-(-(len(bytes(part)) - 2) // 4) for part in parts if bytes(part) not in (b"null", b'""', b"[]"))


def stamped(fields: dict[str, Raw], usage: Usage, cost: money.Nanos | None, endpoint: Endpoint) -> bytes:
    """An answer or chunk with the catalogue's model id, the provider and the usage with its cost."""
    fields["model"], fields["provider"] = Raw(endpoint.model_id_json), Raw(endpoint.label_json)
    given = bytes(fields["usage"]) if "usage" in fields and not usage.is_estimated else b"{}"
    if given.find(b'"cost"') >= 0 or given.find(b'"prompt_tokens"') < 0:
        fields["usage"] = Raw(usage_object(_decode_fields(given) if given[:1] == b"{" else {}, usage, cost))
    else:
        fields["usage"] = Raw(b'%b,"cost":%b}' % (given[: given.rindex(b"}")], dollars(cost)))
    return _encode(fields)


def usage_object(members: dict[str, Raw], usage: Usage, cost: money.Nanos | None) -> bytes:
    """`members` as the upstream gave them, with cost (USD, or null when unknown)."""
    if "prompt_tokens" not in members:
        total = usage.prompt_tokens + usage.completion_tokens
        members["prompt_tokens"] = Raw(b"%d" % usage.prompt_tokens)
        members["completion_tokens"] = Raw(b"%d" % usage.completion_tokens)
        members["total_tokens"] = Raw(b"%d" % total)
    if usage.is_estimated:
        members["estimated"] = Raw(b"true")
    members["cost"] = Raw(dollars(cost))
    return _encode(members)


def usage_event(answer_id: str, created: int, usage: Usage, cost: money.Nanos | None, endpoint: Endpoint) -> bytes:
    """The event that tells usage where the upstream sent none."""
    return (
        b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"provider":%b,"choices":[],"usage":%b}\n\n'
        % (_encode(answer_id), created, endpoint.model_id_json, endpoint.label_json, usage_object({}, usage, cost))
    )


def error_body(error: GatewayError) -> bytes:
    return _encode({"error": error_object(error)})


def error_events(error: GatewayError, answer_id: str, model: str, created: int) -> bytes:
    """How a stream that has begun is ended: one error chunk, then [DONE]."""
    chunk = {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "error": error_object(error),
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
    return b"data: %b\n\n%b" % (_encode(chunk), DONE)


def error_object(error: GatewayError) -> dict[str, object]:
    return {"message": str(error), "type": error.kind, "code": error.code, "metadata": error.metadata}


def dollars(cost: money.Nanos | None) -> bytes:
    return b"null" if cost is None else money.usd_text(cost).encode()


def _with_usage(asked: Raw) -> Raw:
    try:
        options = _decode_fields(asked)
    except msgspec.MsgspecError:
        return asked if bytes(asked) != b"null" else _WITH_USAGE  # not an object: the upstream will say so
    options["include_usage"] = Raw(b"true")
    return Raw(_encode(options))


def _decode_deep(body: bytes) -> dict[str, Raw]:
    """A body just below MAX_DEPTH: decoded with as much room as that takes."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(nesting.MAX_DEPTH * 4)
    try:
        return _decode_fields(body)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"The body is not a JSON object: {error}.") from error
    finally:
        sys.setrecursionlimit(limit)

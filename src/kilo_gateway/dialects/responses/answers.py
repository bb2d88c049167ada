"""The members of an answer that are read, and what its usage and errors say."""

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core import money
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.codes import NO_CODE, code_of
from kilo_gateway.dialects.hub.answered import Cited, Failed

ABSENT = Raw(b"null")
ERRORS = ("error", "response.error")  # kinds of events
_MAX_TOKENS = 10**9  # a count above this is nobody's usage
_MAX_SEARCHES = 10**6


class Annotation(Struct):
    type: str = ""
    url: str = ""
    title: str | None = None
    start_index: int = -1
    end_index: int = -1

    def cited(self, base: int) -> Cited | None:
        """`base`: where its part begins in the whole text. None for a file of the provider's."""
        if not self.url:
            return None
        is_known = 0 <= self.start_index < self.end_index
        begin, end = (self.start_index + base, self.end_index + base) if is_known else (-1, -1)
        return Cited(self.url, self.title or "", "", begin, end)


class Part(Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class Item(Struct):
    """Raw where items of different types mean different things by one name."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: Raw = ABSENT
    content: Raw = ABSENT
    summary: Raw = ABSENT
    arguments: Raw = ABSENT
    input: Raw = ABSENT
    result: Raw = ABSENT
    output_format: str | None = None
    encrypted_content: str | None = None
    signature: str | None = None  # with `format`, OpenRouter's: https://openrouter.ai/docs/api-reference/responses
    format: Raw = ABSENT


class Details(Struct):
    reason: str | None = None


class WebSearch(Struct):
    num_requests: int | None = None


class ToolUsage(Struct):
    web_search: WebSearch | None = None


class Response(Struct):
    id: str = ""
    model: str | None = None
    created_at: int | float | None = None
    status: str | None = None
    output: list[Item] | None = None
    incomplete_details: Details | None = None
    usage: Raw = ABSENT
    tool_usage: Raw = ABSENT
    error: Raw = ABSENT


class InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(Struct):
    reasoning_tokens: int | None = None


class Counted(Struct):
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    cost: Raw = ABSENT


class Reported(Counted):
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class _Error(Struct):
    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    status: int | None = None
    error: Raw = ABSENT
    detail: Raw = ABSENT


_decode_reported = msgspec.json.Decoder(Reported).decode
_decode_counted = msgspec.json.Decoder(Counted).decode
_decode_tool_usage = msgspec.json.Decoder(ToolUsage | None).decode
_decode_amount = msgspec.json.Decoder(Decimal | None).decode
_decode_error = msgspec.json.Decoder(_Error | str | None).decode


def usage_of(response: Response, searches: int, *, is_cost_reported: bool) -> Usage | None:
    """None when there is none, or one that cannot be true. `searches`: as many as were seen, where nobody counts them."""
    told = _counted(response.usage)
    if told is None or told.input_tokens is None:
        return None
    prompt, completion = int(told.input_tokens), int(told.output_tokens or 0)
    if not (0 <= prompt <= _MAX_TOKENS and 0 <= completion <= _MAX_TOKENS):
        return None
    read = write = reasoning = 0
    if isinstance(told, Reported):
        if (given := told.input_tokens_details) is not None:
            read = _within(given.cached_tokens, prompt)
            write = _within(given.cache_write_tokens, prompt - read)
        if (made := told.output_tokens_details) is not None:
            reasoning = _within(made.reasoning_tokens, completion)
    return Usage(
        prompt, completion, is_estimated=told.output_tokens is None,
        reported_cost=_charged(told.cost) if is_cost_reported else None,
        cache_read_tokens=read, cache_write_tokens=write, reasoning_tokens=reasoning,
        web_searches=_searches(response.tool_usage, searches),
    )  # fmt: skip


def _counted(raw: Raw) -> Counted | None:
    """Details that cannot be read are done without."""
    if bytes(raw) == b"null":
        return None
    try:
        return _decode_reported(raw)
    except msgspec.MsgspecError:
        pass
    try:
        return _decode_counted(raw)
    except msgspec.MsgspecError:
        return None


def _within(count: int | None, most: int) -> int:
    return min(max(count or 0, 0), most)


def _charged(told: Raw) -> money.Nanos | None:
    """None for what is no amount of dollars."""
    try:
        amount = _decode_amount(told)
        return money.nanos_of_usd(amount) if amount is not None and amount < _MAX_TOKENS else None
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        return None


def _searches(raw: Raw, seen: int) -> int:
    try:
        used = _decode_tool_usage(raw)
    except msgspec.MsgspecError:
        used = None
    if used is None or used.web_search is None or used.web_search.num_requests is None:
        return seen
    return _within(used.web_search.num_requests, _MAX_SEARCHES)


def error_of(raw: bytes | Raw, status: int | None = None) -> Failed | None:
    """Of an error object, however it is worded, or a body that holds one. None when it is null, or says nothing."""
    try:
        error = _decode_error(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if error is None or isinstance(error, str):
        return Failed(error, NO_CODE, status) if error else None
    inner = error_of(error.error, status)
    if inner is not None:
        return inner
    number = error.code if isinstance(error.code, int) else None
    if isinstance(error.code, str) and error.code.isdigit() and len(error.code) < 6:
        number = int(error.code)
    codes = (error.code if number is None else None, error.type)
    code = code_of(*(each for each in codes if each not in ERRORS))
    message = error.message or _detail(error.detail)
    if not message and code == NO_CODE and number is None:
        return None
    told = number if number is not None else error.status
    return Failed(message or "the upstream reported an error", code, told if told is not None else status)


def _detail(raw: Raw) -> str:
    if bytes(raw) == b"null":
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.MsgspecError:
        return bytes(raw)[:500].decode("utf-8", "replace")

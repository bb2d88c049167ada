"""Usage, both ways. Here the prompt is in three parts: read from the cache, written to it, and the rest."""

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core import money
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.messages.shapes import ABSENT

Json = dict[str, object]
MAX_TOKENS = 10**9  # a count above this is nobody's usage
_MAX_SEARCHES = 10**6


class _Creation(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Details(Struct):
    thinking_tokens: int | None = None


class _Servers(Struct):
    web_search_requests: int | None = None


class _Bare(Struct):
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    cache_creation_input_tokens: int | float | None = None
    cache_read_input_tokens: int | float | None = None


class _Told(_Bare):
    cache_creation: _Creation | None = None
    output_tokens_details: _Details | None = None
    server_tool_use: _Servers | None = None
    cost: Raw = ABSENT  # OpenRouter's


_full: msgspec.json.Decoder[_Told | None] = msgspec.json.Decoder(_Told | None)
_bare: msgspec.json.Decoder[_Bare | None] = msgspec.json.Decoder(_Bare | None)
_decode_amount = msgspec.json.Decoder(Decimal | None).decode


class Tally:
    """What is told at the start of a stream and at its end, put together. Counts only grow: of two the larger is it."""

    def __init__(self, *, is_cost_reported: bool = False) -> None:
        self._is_cost_reported = is_cost_reported
        self._counts: dict[str, int] = {}
        self._cost: money.Nanos | None = None

    def take(self, raw: Raw) -> Usage | None:
        """None when there is nothing in it, or what cannot be true."""
        told = _read(raw)
        if told is None:
            return None
        for name, count in _counts(told).items():
            if not 0 <= count <= MAX_TOKENS:
                return None
            self._counts[name] = max(count, self._counts.get(name, 0))
        if self._is_cost_reported and isinstance(told, _Told):
            self._cost = _charged(told.cost) or self._cost
        return self._usage()

    def _usage(self) -> Usage | None:
        counts = self._counts
        if "input" not in counts or "output" not in counts:
            return None
        hour = counts.get("1h", 0)
        write, read = max(counts.get("write", 0), hour + counts.get("5m", 0)), counts.get("read", 0)
        completion, thinking = counts["output"], counts.get("thinking", 0)
        return Usage(
            counts["input"] + write + read, completion, reported_cost=self._cost, cache_read_tokens=read,
            cache_write_tokens=write, cache_write_1h_tokens=hour, reasoning_tokens=min(thinking, completion),
            web_searches=min(counts.get("searches", 0), _MAX_SEARCHES),
        )  # fmt: skip


def _read(raw: Raw) -> _Bare | None:
    """Details that cannot be read are done without."""
    try:
        return _full.decode(raw)
    except msgspec.MsgspecError:
        pass
    try:
        return _bare.decode(raw)
    except msgspec.MsgspecError:
        return None


def _counts(told: _Bare) -> dict[str, int]:
    found: dict[str, int | float | None] = {
        "input": told.input_tokens, "output": told.output_tokens, "write": told.cache_creation_input_tokens,
        "read": told.cache_read_input_tokens,
    }  # fmt: skip
    if isinstance(told, _Told):
        if told.cache_creation is not None:
            found["5m"] = told.cache_creation.ephemeral_5m_input_tokens
            found["1h"] = told.cache_creation.ephemeral_1h_input_tokens
        if told.output_tokens_details is not None:
            found["thinking"] = told.output_tokens_details.thinking_tokens
        if told.server_tool_use is not None:
            found["searches"] = told.server_tool_use.web_search_requests
    return {name: int(min(count, MAX_TOKENS + 1)) for name, count in found.items() if count is not None}


def _charged(told: Raw) -> money.Nanos | None:
    """None for what is no amount of dollars."""
    try:
        amount = _decode_amount(told)
        return money.nanos_of_usd(amount) if amount is not None and amount < MAX_TOKENS else None
    except (msgspec.MsgspecError, ValueError, ArithmeticError):
        return None


def usage_members(usage: Usage, cost_usd: float | None) -> Json:
    """`cost`: USD, null when unknown."""
    write, hour = usage.cache_write_tokens, usage.cache_write_1h_tokens
    members: Json = {
        "input_tokens": max(usage.prompt_tokens - usage.cache_read_tokens - write, 0),
        "cache_creation_input_tokens": write, "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": max(write - hour, 0), "ephemeral_1h_input_tokens": hour},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
    }  # fmt: skip
    if usage.web_searches:
        members["server_tool_use"] = {"web_search_requests": usage.web_searches, "web_fetch_requests": 0}
    if usage.is_estimated:
        members["estimated"] = True
    return members | {"cost": cost_usd}

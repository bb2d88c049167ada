"""Prices as OpenRouter and Kilo list them, USD for a token or a unit as text, made whole numbers of pico-USD.

https://openrouter.ai/docs/api-reference/list-available-models
"""

import re
from decimal import Decimal

import msgspec

from kilo_gateway.core.money import Pico, pico_of_usd
from kilo_gateway.core.price import Override, Price
from kilo_gateway.upstreams.lists.fields import Fields

# Our names of rates that have a kind they belong to, and theirs. Zero there means that nothing is charged apart.
_KINDS = {
    "cache_read": "input_cache_read", "cache_write": "input_cache_write", "cache_write_1h": "input_cache_write_1h",
    "input_audio": "audio", "cache_audio": "input_audio_cache", "input_image": "image_token",
    "reasoning": "internal_reasoning", "output_audio": "audio_output", "output_image": "image_output",
}  # fmt: skip
_UNITS = ("image", "request", "web_search")
_CONDITIONS = ("min_prompt_tokens", "utc_start", "utc_end")
_OVERRIDDEN = frozenset({"prompt", "completion", *_KINDS.values(), *_UNITS, *_CONDITIONS})
_MAX_OVERRIDES = 64
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_CLOCK_NUMBER = re.compile(r"(\d{0,2}?)(\d{1,2})(?:\.0+)?", re.ASCII)
_CLOCK = re.compile(
    r"(?:\d{4}-\d\d-\d\d)?[T ]?(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?:Z|\+00:?00)?", re.ASCII | re.IGNORECASE
)
_DAY_MINUTES = 24 * 60
_MAX_PER_IMAGE_TOKEN = 10**9  # pico-USD: described as the price of an image, filled with that of a token


class _Depends(Exception):
    """A negative price: it is another for each request."""


def price_of(pricing: Fields) -> Price | None:
    """None when nobody says, or when it depends. Raises ValueError when it cannot be read: better none than a wrong one."""
    try:
        prompt, completion = _pico(pricing, "prompt"), _pico(pricing, "completion")
        if prompt is None or completion is None:
            return None
        units = {name: _pico(pricing, name) or 0 for name in _UNITS}
        price = msgspec.structs.replace(Price(prompt, completion), **_kinds(pricing), **units)
        rows = pricing.rows("overrides")
        if rows is None:
            if pricing.literal("overrides") is not None:  # raises, unless it is null or absent
                raise ValueError("overrides is not a list")
            return price
        if len(rows) > _MAX_OVERRIDES:
            raise ValueError(f"it has more than {_MAX_OVERRIDES} overrides")
        return msgspec.structs.replace(price, overrides=tuple(_override(Fields.of(raw), units) for raw in rows))
    except _Depends:
        return None


def _kinds(pricing: Fields) -> dict[str, Pico | None]:
    rates = {ours: _pico(pricing, theirs) or None for ours, theirs in _KINDS.items()}
    if (rates["output_image"] or 0) > _MAX_PER_IMAGE_TOKEN:
        raise ValueError("image_output is a price of images, not of tokens")
    return rates


def _override(fields: Fields | None, units: dict[str, Pico]) -> Override:
    """A member that is not known may be a condition, so it makes the override one that cannot be read."""
    if fields is None:
        raise ValueError("an override is not an object")
    strange = sorted(fields.names() - _OVERRIDDEN)
    if strange:
        raise ValueError(f"an override has a member that is not known: {strange[0][:40]!r}")
    for name, price in units.items():
        if _pico(fields, name) not in (None, price):
            raise ValueError(f"an override changes {name}")
    return Override(
        _least(fields), _window(fields), _pico(fields, "prompt"), _pico(fields, "completion"), **_kinds(fields)
    )  # fmt: skip


def _least(fields: Fields) -> int:
    """Theirs applies above the number of prompt tokens, ours from it on."""
    written = fields.literal("min_prompt_tokens")
    if written is None:
        return 0
    number = _decimal(written, "min_prompt_tokens")
    if not 0 <= number <= 1 << 40:
        raise ValueError("min_prompt_tokens is no number of tokens")
    return int(number) + 1


def _window(fields: Fields) -> tuple[int, int] | None:
    begin, end = fields.literal("utc_start"), fields.literal("utc_end")
    if begin is None and end is None:
        return None
    if begin is None or end is None:
        raise ValueError("a window of the day has one end only")
    return _minute(begin, is_end=False), _minute(end, is_end=True)


def _minute(written: str, *, is_end: bool) -> int:
    """Of the UTC day. 1030 and "1030" are half past ten, as are "10:30", "10:30:00" and an ISO time."""
    hours = minutes = seconds = -1
    if found := _CLOCK_NUMBER.fullmatch(written):
        hours, minutes, seconds = int(found[1] or 0), int(found[2]), 0
    elif found := _CLOCK.fullmatch(written):
        hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    minute = hours * 60 + minutes
    is_up = is_end and seconds > 0  # 23:59:59 is meant as the end of the day
    if not (0 <= minutes < 60 and 0 <= seconds < 60) or (seconds and not is_end) or not 0 <= minute + is_up <= _DAY_MINUTES:
        raise ValueError(f"this is no time of the day: {written[:40]!r}")
    return minute + is_up


def _pico(fields: Fields, key: str) -> Pico | None:
    """Raises _Depends and ValueError."""
    written = fields.literal(key)
    if written is None:
        return None
    usd = _decimal(written, key)
    if usd < 0:
        raise _Depends
    try:
        return pico_of_usd(usd)
    except ValueError:
        raise ValueError(f"{key} is no price: {written[:40]!r}") from None


def _decimal(written: str, key: str) -> Decimal:
    if len(written) > 60 or not _NUMBER.fullmatch(written):
        raise ValueError(f"{key} is not a number: {written[:40]!r}")
    return Decimal(written)

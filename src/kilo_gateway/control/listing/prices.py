"""Prices as OpenRouter words them: USD a token or unit, as exact decimal text. -1: not known, or it depends."""

from kilo_gateway.catalog.catalogue import Entry
from kilo_gateway.catalog.facts import Facts
from kilo_gateway.control.views import View
from kilo_gateway.core.money import usd_text_of_pico
from kilo_gateway.core.price import Override, Price

UNKNOWN = "-1"
_WORDS = {
    "input": "prompt", "output": "completion", "input_image": "image_token", "output_image": "image_output",
    "input_audio": "audio", "output_audio": "audio_output", "cache_audio": "input_audio_cache",
    "cache_read": "input_cache_read", "cache_write": "input_cache_write", "cache_write_1h": "input_cache_write_1h",
    "reasoning": "internal_reasoning",
}  # fmt: skip
_HOUR = "audio_hour"
_APIECE = ("image", "request", "web_search")
_DAY_MINUTES = 1440


def shown_facts(entry: Entry) -> Facts:
    """Those whose price stands in the row: of the place that is asked first, known or not.

    A row that chooses from other models has a price of its own, or none.
    """
    first = entry.first
    return entry.facts if first is None or entry.routes is not None else first.facts


def is_free(entry: Entry) -> bool:
    """Whether who asks for it pays nothing."""
    price = shown_facts(entry).price
    return price is not None and price.is_free


def pricing(facts: Facts) -> View:
    """`prompt` and `completion` always, unknown where audio is charged by the hour; the others where a rate is known.

    `audio_hour` is our own word: OpenRouter has none for it.
    """
    view: View = {"prompt": UNKNOWN, "completion": UNKNOWN}
    if facts.price is not None:
        view |= _rates(facts.price)
        view |= {name: usd_text_of_pico(rate) for name in _APIECE if (rate := getattr(facts.price, name))}
        if facts.price.audio_hour:
            view[_HOUR] = usd_text_of_pico(facts.price.audio_hour)
            view |= {"prompt": UNKNOWN, "completion": UNKNOWN} if not any(facts.price.dearest()) else {}
        if facts.price.overrides:
            view["overrides"] = [_override(each) for each in facts.price.overrides]
    if facts.discount is not None:
        view["discount"] = facts.discount
    return view


def _rates(priced: Price | Override) -> View:
    return {word: usd_text_of_pico(rate) for name, word in _WORDS.items() if (rate := getattr(priced, name)) is not None}


def _override(override: Override) -> View:
    """OpenRouter's holds beyond `min_prompt_tokens`, ours from them on; its times are HHMM numbers."""
    view: View = {}
    if override.min_prompt_tokens:
        view["min_prompt_tokens"] = override.min_prompt_tokens - 1
    if override.utc_minutes is not None and override.utc_minutes != (0, _DAY_MINUTES):
        begin, end = (minute % _DAY_MINUTES for minute in override.utc_minutes)
        view |= {"utc_start": begin // 60 * 100 + begin % 60, "utc_end": end // 60 * 100 + end % 60}
    return view | _rates(override)

"""Prices as OpenRouter words them."""

from msgspec.structs import replace
from tests.control.listing.catalogues import WHOLE, entry

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.control.listing.prices import is_free, pricing, shown_facts
from kilo_gateway.core.price import Override, Price


def test_every_rate_that_is_known_is_told_under_openrouters_name() -> None:
    assert pricing(WHOLE) == {
        "prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003", "input_cache_write": "0.00000375",
        "input_cache_write_1h": "0.000006", "audio": "0.000004", "input_audio_cache": "0.0000004", "image_token": "0.0000031",
        "internal_reasoning": "0.000015", "audio_output": "0.00002", "image_output": "0.00003", "image": "0.0048",
        "request": "0.000000001", "web_search": "0.01", "discount": 0.25,
        "overrides": [
            {"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225"},
            {"utc_start": 1630, "utc_end": 0, "prompt": "0.0000015"},
        ],
    }  # fmt: skip


def test_rates_that_are_not_known_are_left_out() -> None:
    assert pricing(Facts(price=Price(0, 0))) == {"prompt": "0", "completion": "0"}


def test_an_unknown_price_is_minus_one_and_not_nothing() -> None:
    assert pricing(Facts()) == {"prompt": "-1", "completion": "-1"}


def test_an_override_for_the_whole_day_names_no_time() -> None:
    told = pricing(Facts(price=Price(2, 2, overrides=(Override(utc_minutes=(0, 1440), input=1),))))
    assert told["overrides"] == [{"prompt": "0.000000000001"}]


def test_an_override_over_midnight_keeps_its_ends() -> None:
    told = pricing(Facts(price=Price(2, 2, overrides=(Override(utc_minutes=(1430, 61), cache_read=1),))))
    assert told["overrides"] == [{"utc_start": 2350, "utc_end": 101, "input_cache_read": "0.000000000001"}]


def test_the_price_shown_is_that_of_the_place_that_is_asked_first_known_or_not() -> None:
    made = entry("a/b", Facts(), Facts(price=Price(0, 0)), Facts(price=Price(1, 1)))
    assert shown_facts(made) is made.places[0].facts and not is_free(made)
    assert is_free(replace(made, places=made.places[1:]))


def test_an_hour_of_audio_leaves_the_price_of_tokens_unknown() -> None:
    told = pricing(Facts(price=Price(0, 0, audio_hour=360_000_000_000)))
    assert told == {"prompt": "-1", "completion": "-1", "audio_hour": "0.36"}

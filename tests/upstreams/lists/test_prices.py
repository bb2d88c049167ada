"""Prices in lists: exact, unknown where they depend or cannot be read, and never nothing by mistake."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.upstreams.lists.rows import openai_list

from kilo_gateway.core.price import Override, Price, Usage
from kilo_gateway.upstreams.lists.kinds import read
from kilo_gateway.upstreams.lists.listing import Listing

PLAIN: dict[str, object] = {"prompt": "0.000001", "completion": "0.000002"}


def listing_of(pricing: object) -> Listing:
    return read("openai", openai_list({"id": "a", "pricing": pricing}))


def price_of(pricing: object) -> Price | None:
    """Of a row that says nothing of it when it has none."""
    listing = listing_of(pricing)
    assert listing.unpriced == 0
    return listing.rows[0].facts.price


def assert_cannot_be_read(pricing: object) -> None:
    """The row is there, without the price, and it is said."""
    listing = listing_of(pricing)
    assert (len(listing.rows), listing.rows[0].facts.price, listing.dropped, listing.unpriced) == (1, None, 0, 1)
    assert listing.notes[0].startswith("a: its price cannot be read: ")


@pytest.mark.parametrize("written", ["0.0000025", "2.5e-6", "2.5E-06", 2.5e-06, 0.0000025, "+0.0000025", " 0.0000025 "])
def test_a_price_is_exact_however_it_is_written(written: object) -> None:
    assert price_of({"prompt": written, "completion": written}) == Price(2_500_000, 2_500_000)


def test_digits_of_a_number_are_taken_as_they_stand() -> None:
    body = b'[{"id":"a","pricing":{"prompt":0.000000123456,"completion":0.1e-3}}]'
    assert read("openai", body).rows[0].facts.price == Price(123_456, 100_000_000)


def test_what_costs_nothing_is_free() -> None:
    price = price_of({"prompt": "0", "completion": "0", "request": "0", "image": "0"})
    assert price is not None and price.is_free


@pytest.mark.parametrize("pricing", [None, {}, {"prompt": "1"}, {"completion": "1"}, {"prompt": None, "completion": "1"}])
def test_without_both_prices_none_is_known(pricing: object) -> None:
    assert price_of(pricing) is None


@pytest.mark.parametrize("key", ["prompt", "completion", "request", "input_cache_read", "internal_reasoning"])
@pytest.mark.parametrize("written", ["-1", -1, "-0.000001"])
def test_a_negative_price_depends_and_is_unknown(key: str, written: object) -> None:
    assert price_of(PLAIN | {key: written}) is None


@pytest.mark.parametrize("key", ["prompt", "completion", "image", "audio", "web_search", "input_cache_write_1h"])
@pytest.mark.parametrize("written", ["nonsense", "NaN", "Infinity", "1e30", "1e9999", "", "1_000", "٣", True, [], {}, "1" * 100, 10**30])
def test_a_price_that_cannot_be_read_makes_all_of_it_unknown(key: str, written: object) -> None:
    assert_cannot_be_read(PLAIN | {key: written})


def test_reasoning_at_zero_costs_what_an_answer_costs() -> None:
    price = price_of(PLAIN | {"internal_reasoning": "0"})
    assert price is not None
    assert price.of(Usage(0, 10, reasoning_tokens=10), 0) == price.of(Usage(0, 10), 0) > 0


@pytest.mark.parametrize("key", ["input_cache_read", "input_cache_write", "input_cache_write_1h", "audio", "image_token", "audio_output"])
@pytest.mark.parametrize("written", ["0", 0, "0.000", None])
def test_a_kind_of_token_at_zero_has_no_price_of_its_own(key: str, written: object) -> None:
    assert price_of(PLAIN | {key: written}) == Price(1_000_000, 2_000_000)


def test_a_price_of_images_is_not_taken_for_one_of_tokens() -> None:
    assert_cannot_be_read(PLAIN | {"image_output": "0.04"})


def test_a_discount_is_told_and_changes_no_price() -> None:
    facts = listing_of(PLAIN | {"discount": 0.5}).rows[0].facts
    assert (facts.discount, facts.price) == (0.5, Price(1_000_000, 2_000_000))


# Overrides


def overrides_of(*overrides: object) -> tuple[Override, ...]:
    price = price_of(PLAIN | {"overrides": overrides})
    assert price is not None
    return price.overrides


def test_a_tier_applies_above_its_number_of_prompt_tokens() -> None:
    [override] = overrides_of({"min_prompt_tokens": 200_000, "prompt": "0.000002"})
    assert [override.applies(tokens, 0) for tokens in (200_000, 200_001)] == [False, True]
    assert override == Override(200_001, input=2_000_000)


def test_an_override_at_zero_costs_nothing() -> None:
    [override] = overrides_of({"utc_start": 0, "utc_end": 600, "prompt": "0", "completion": "0"})
    assert (override.input, override.output) == (0, 0)


@pytest.mark.parametrize(
    ("start", "end"),
    [(130, 2200), ("130", "2200"), (130.0, 2200.0), ("01:30", "22:00"), ("1:30", "22:00:00"), ("01:30:00Z", "22:00:00+00:00"),
     ("2026-11-01T01:30:00Z", "2026-11-01T22:00:00.000Z"), ("01:30", "21:59:59")],
)  # fmt: skip
def test_a_window_of_the_day_is_read_however_it_is_written(start: object, end: object) -> None:
    assert overrides_of({"utc_start": start, "utc_end": end})[0].utc_minutes == (90, 1320)


@pytest.mark.parametrize(("start", "end", "minutes"), [(0, 2400, (0, 1440)), (5, 30, (5, 30)), (2230, 600, (1350, 360)), ("22:30", "23:59:59", (1350, 1440))])
def test_a_window_may_touch_midnight_and_go_over_it(start: object, end: object, minutes: tuple[int, int]) -> None:
    assert overrides_of({"utc_start": start, "utc_end": end})[0].utc_minutes == minutes


@pytest.mark.parametrize(
    "override",
    [5, None, [], {"utc_start": 100}, {"utc_end": "10:00"}, {"utc_start": 2500, "utc_end": 100}, {"utc_start": 160, "utc_end": 200},
     {"utc_start": "soon", "utc_end": "later"}, {"utc_start": -100, "utc_end": 100}, {"utc_start": "10:00+02:00", "utc_end": "11:00+02:00"},
     {"utc_start": True, "utc_end": 100}, {"min_prompt_tokens": -5}, {"min_prompt_tokens": "many"}, {"min_prompt_tokens": 1e30},
     {"prompt": "x"}, {"weekday": "sunday", "prompt": "0"}, {"image": "0.5"}],
)  # fmt: skip
def test_an_override_that_cannot_be_read_makes_the_price_unknown(override: object) -> None:
    assert_cannot_be_read(PLAIN | {"overrides": [{"min_prompt_tokens": 5}, override]})


@pytest.mark.parametrize("overrides", [5, "none", True, {}])
def test_overrides_that_are_no_list_make_the_price_unknown(overrides: object) -> None:
    assert_cannot_be_read(PLAIN | {"overrides": overrides})


def test_no_overrides_are_none() -> None:
    assert price_of(PLAIN | {"overrides": None}) == price_of(PLAIN | {"overrides": []}) == Price(1_000_000, 2_000_000)


def test_an_override_that_depends_makes_the_price_unknown() -> None:
    assert price_of(PLAIN | {"overrides": [{"prompt": "-1"}]}) is None


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_every_whole_number_of_pico_dollars_is_read_back(prompt: int, completion: int) -> None:
    written = {"prompt": f"{prompt // 10**12}.{prompt % 10**12:012d}", "completion": f"{completion}e-12"}
    body = json.dumps([{"id": "a", "pricing": written}]).encode()
    assert read("openai", body).rows[0].facts.price == Price(prompt, completion)

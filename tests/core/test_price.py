"""What an answer costs: kinds of tokens, tiers, windows of the day, things counted apiece."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kilo_gateway.core.price import AUDIO_TOKENS_PER_S, Override, Price, Usage

HOUR_MS = 3_600_000
PLAIN = Price(3_000, 15_000)
FULL = Price(
    3_000, 15_000, cache_read=300, cache_write=3_750, cache_write_1h=6_000, input_audio=9_000, cache_audio=900,
    input_image=4_000, reasoning=20_000, output_audio=60_000, output_image=30_000, image=5_000_000, request=1_000_000,
    web_search=10_000_000_000,
)  # fmt: skip


def pico(price: Price, usage: Usage, at_ms: int = 0) -> int:
    """Exact where it is whole nano-dollars."""
    return price.of(usage, at_ms) * 1_000


def test_tokens_that_were_read_from_a_cache_cost_what_reading_costs() -> None:
    assert pico(FULL, Usage(10_000, 0, cache_read_tokens=4_000)) == 1_000_000 + 6_000 * 3_000 + 4_000 * 300


def test_tokens_written_for_an_hour_are_among_those_written() -> None:
    usage = Usage(10_000, 0, cache_write_tokens=5_000, cache_write_1h_tokens=2_000)
    assert pico(FULL, usage) == 1_000_000 + 5_000 * 3_000 + 3_000 * 3_750 + 2_000 * 6_000


def test_cached_audio_is_counted_once() -> None:
    usage = Usage(10_000, 0, cache_read_tokens=3_000, input_audio_tokens=2_000, cache_audio_tokens=1_000)
    plain, read, audio, both = 6_000, 2_000, 1_000, 1_000
    assert pico(FULL, usage) == 1_000_000 + plain * 3_000 + read * 300 + audio * 9_000 + both * 900


def test_what_is_spoken_drawn_and_thought_has_prices_of_its_own() -> None:
    usage = Usage(0, 10_000, reasoning_tokens=1_000, output_audio_tokens=2_000, output_image_tokens=3_000)
    assert pico(FULL, usage) == 1_000_000 + 4_000 * 15_000 + 1_000 * 20_000 + 2_000 * 60_000 + 3_000 * 30_000


def test_what_is_counted_apiece_is_added() -> None:
    assert pico(FULL, Usage(images=2, web_searches=3)) == 1_000_000 + 2 * 5_000_000 + 3 * 10_000_000_000


def test_an_hour_of_audio_costs_its_length_rounded_up_once() -> None:
    hourly = Price(0, 0, audio_hour=111_000_000_000)
    assert hourly.of(Usage(audio_ms=3_600_000), 0) == 111_000_000
    assert hourly.of(Usage(audio_ms=1), 0) == 31, "30.8 nano-USD"
    assert hourly.of(Usage(500, 20), 0) == 0 and not hourly.is_free
    assert replace(hourly, least_audio_ms=10_000).of(Usage(audio_ms=1), 0) == hourly.of(Usage(audio_ms=10_000), 0) == 308_334


def test_what_is_told_of_a_request_that_goes_out_prices_audio_by_its_estimated_tokens() -> None:
    assert Price(3, 15).plain == (3, 15) and Price(0, 0).plain == (0, 0)
    tokens, _ = Price(0, 0, audio_hour=360_000_000_000).plain
    assert tokens * AUDIO_TOKENS_PER_S * 3600 == 360_000_000_000


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_kind_without_a_price_costs_what_it_belongs_to_costs(prompt: int, read: int, reasoning: int) -> None:
    usage = Usage(prompt + read, reasoning, cache_read_tokens=read, reasoning_tokens=reasoning)
    assert PLAIN.of(usage, 0) == PLAIN.of(Usage(prompt + read, reasoning), 0)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_cost_is_rounded_up_once(prompt: int, completion: int) -> None:
    exact = prompt * 2_999 + completion * 14_999
    assert 0 <= Price(2_999, 14_999).of(Usage(prompt, completion), 0) * 1_000 - exact < 1_000


def test_a_tier_holds_for_all_tokens_from_its_threshold_on() -> None:
    price = Price(1_000, 2_000, cache_read=100, overrides=(Override(200_001, input=2_000, output=4_000),))
    assert pico(price, Usage(200_000, 1_000)) == 200_000 * 1_000 + 1_000 * 2_000
    usage = Usage(200_001, 1_000, cache_read_tokens=1_000)
    assert price.of(usage, 0) == -(-(199_001 * 2_000 + 1_000 * 100 + 1_000 * 4_000) // 1_000)


def test_of_tiers_that_apply_the_later_wins() -> None:
    price = Price(1_000, 0, overrides=(Override(100, input=2_000), Override(200, input=3_000)))
    assert [pico(price, Usage(count, 0)) for count in (99, 100, 200)] == [99_000, 200_000, 600_000]


def test_a_window_may_go_over_midnight() -> None:
    price = Price(1_000, 0, overrides=(Override(utc_minutes=(23 * 60, 60), input=500),))
    costs = [pico(price, Usage(2, 0), hour * HOUR_MS) for hour in (22, 23, 24, 25)]
    assert costs == [2_000, 1_000, 1_000, 2_000]


def test_free_is_what_has_no_price_at_any_time() -> None:
    assert Price(0, 0).is_free
    assert not Price(0, 0, request=1).is_free
    assert not Price(0, 0, overrides=(Override(1000, input=1),)).is_free
    assert not PLAIN.is_free

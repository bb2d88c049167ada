"""Money is exact: never rounded down, never more than a nano-dollar up."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core import money
from kilo_gateway.core.price import Price, Usage

TOKENS = st.integers(0, 10**9)
PICO = st.integers(0, 10**12)


@given(TOKENS, TOKENS, PICO, PICO)
def test_a_cost_is_never_below_what_was_used_and_less_than_a_nano_above(
    prompt: int, completion: int, price_in: int, price_out: int
) -> None:
    exact = Fraction(prompt * price_in + completion * price_out, 1000)
    assert 0 <= Price(price_in, price_out).of(Usage(prompt, completion), 0) - exact < 1


@given(st.decimals(0, 10**6, places=6))
def test_a_price_is_kept_exactly(usd_per_mtok: Decimal) -> None:
    assert Fraction(money.pico_per_token(usd_per_mtok), money.PICO_PER_USD) * 10**6 == Fraction(usd_per_mtok)


@pytest.mark.parametrize("wrong", ["-0.000001", "0.0000001", "NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_price_is_refused(wrong: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        money.pico_per_token(Decimal(wrong))


@given(st.decimals(0, 10**8, allow_nan=False, allow_infinity=False))
def test_a_reported_cost_is_rounded_up_to_a_nano(usd: Decimal) -> None:
    exact = Fraction(usd) * money.NANO_PER_USD
    assert 0 <= money.nanos_of_usd(usd) - exact < 1


@given(st.integers(0, 8 * 10**15))
def test_an_amount_below_8_million_dollars_prints_exactly(nanos: int) -> None:
    assert Fraction(repr(money.usd(nanos))) == Fraction(nanos, money.NANO_PER_USD)


@given(TOKENS, TOKENS, PICO, PICO)
def test_more_tokens_never_cost_less(prompt: int, completion: int, price_in: int, price_out: int) -> None:
    price = Price(price_in, price_out)
    assert price.of(Usage(prompt, completion), 0) <= price.of(Usage(prompt + 1, completion + 1), 0)


@pytest.mark.parametrize(
    ("pico", "text"),
    [(0, "0"), (1, "0.000000000001"), (1_250_000, "0.00000125"), (10**12, "1"), (1_500_000_000_000, "1.5"), (10 * 10**12, "10")],
)
def test_pico_dollars_are_printed_exactly(pico: int, text: str) -> None:
    assert money.usd_text_of_pico(pico) == text


@given(st.integers(0, 10**30))
def test_no_digit_is_lost(pico: int) -> None:
    assert int(Decimal(money.usd_text_of_pico(pico)).scaleb(12).to_integral_exact()) == pico if pico < 10**27 else "e" not in money.usd_text_of_pico(pico)

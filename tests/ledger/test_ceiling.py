"""A request with a ceiling is never booked with more, at whatever endpoint, as long as its upstream keeps to the cap."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadRequest, OutOfFunds
from kilo_gateway.core.money import NANO_PER_USD
from kilo_gateway.core.price import Override, Price, Usage
from kilo_gateway.core.types import Call, Decision, Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.ledger.ceiling import ADDED_TOKENS, IMAGE_TOKENS, fitted, output_cap

M = 1_000_000  # pico-USD a token for 1 USD a million


def endpoint(price: Price | None, name: str = "one", max_output: int | None = None) -> Endpoint:
    return Endpoint(
        name, "mock/model", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"mock/model"', price,
        max_output=max_output,
    )  # fmt: skip


def call(ceiling_usd: float | str, **fields: object) -> Call:
    body = {"model": "mock/model", "messages": [{"role": "user", "content": "hi"}], "max_cost_usd": ceiling_usd, **fields}
    opened = openai_chat.open_body(json.dumps(body).encode())
    opened.extent = openai_chat.extent(opened)
    return opened


def decision(*order: Endpoint) -> Decision:
    return Decision("mock/model", "mock/model", order)


RATES = st.integers(0, 200 * M)
PRICES = st.builds(
    Price, RATES, RATES, cache_read=st.none() | RATES, cache_write=st.none() | RATES, cache_write_1h=st.none() | RATES,
    reasoning=st.none() | RATES, image=st.integers(0, 10**10), request=st.integers(0, 10**10),
    overrides=st.lists(st.builds(Override, min_prompt_tokens=st.integers(0, 5_000), input=RATES, output=RATES), max_size=2).map(tuple),
)  # fmt: skip


@given(PRICES, st.integers(0, 10**9), st.none() | st.integers(0, 5_000), st.integers(1, 3), st.integers(0, 2), st.data())
def test_what_fits_is_never_dearer_than_its_ceiling(
    price: Price, ceiling: int, cap: int | None, choices: int, images: int, data: st.DataObject
) -> None:
    parts = [{"type": "text", "text": "hi"}, *[{"type": "image_url", "image_url": {"url": "https://x"}}] * images]
    asked = call("0", messages=[{"role": "user", "content": parts}], n=choices, **({} if cap is None else {"max_tokens": cap}))
    asked.ceiling = ceiling
    try:
        told = output_cap(asked, endpoint(price))
    except OutOfFunds:
        return
    most = cap if cap is not None else told
    prompt = data.draw(st.integers(0, asked.size + ADDED_TOKENS + images * IMAGE_TOKENS))
    completion = data.draw(st.integers(0, choices * most if most is not None else 10**6))
    read = data.draw(st.integers(0, prompt))
    write = data.draw(st.integers(0, prompt - read))
    usage = Usage(
        prompt, completion, cache_read_tokens=read, cache_write_tokens=write, images=images,
        cache_write_1h_tokens=data.draw(st.integers(0, write)), reasoning_tokens=data.draw(st.integers(0, completion)),
    )  # fmt: skip
    assert price.of(usage, data.draw(st.integers(0, 10**13))) <= ceiling


def test_what_costs_nothing_always_fits_and_is_not_capped() -> None:
    assert output_cap(call(0), endpoint(Price(0, 0))) is None


def test_what_the_rest_pays_for_is_asked_for_at_most_what_the_model_can() -> None:
    rich = call(1)
    before = (rich.size + ADDED_TOKENS) * M
    assert output_cap(rich, endpoint(Price(M, 10 * M))) == (10**12 - before) // (10 * M)
    assert output_cap(rich, endpoint(Price(M, 10 * M), max_output=4096)) == 4096
    assert output_cap(call(1, max_tokens=99), endpoint(Price(M, 10 * M))) is None
    assert output_cap(call(1, max_tokens=None, max_completion_tokens=99), endpoint(Price(M, 10 * M))) is None


@pytest.mark.parametrize("cap", [{}, {"max_tokens": 1000}, {"max_completion_tokens": 1000}, {"max_tokens": 500, "n": 2}])
def test_what_does_not_fit_is_refused_with_what_it_needs(cap: dict[str, object]) -> None:
    with pytest.raises(OutOfFunds) as caught:
        output_cap(call(0.0001, **cap), endpoint(Price(M, 10 * M)))
    told = caught.value.metadata
    assert (told["reason"], told["limit_usd"]) == ("max_cost", "0.0001")
    assert float(str(told["needed_usd"])) > 0.0001
    output_cap(call(str(told["needed_usd"]), **cap) if cap else call(1), endpoint(Price(M, 10 * M)))


def test_endpoints_that_do_not_fit_are_left_out_with_the_reason() -> None:
    cheap, dear, unknown = endpoint(Price(M, M), "cheap"), endpoint(Price(M, 10**6 * M), "dear"), endpoint(None, "unknown")
    found = fitted(call(0.01), decision(dear, unknown, cheap))
    assert [each.provider for each in found.order] == ["cheap"]
    assert [name for name, _ in found.excluded] == ["dear", "unknown"]


def test_with_none_left_the_cheapest_is_told() -> None:
    with pytest.raises(OutOfFunds, match="at cheap"):
        fitted(call(0), decision(endpoint(None, "unknown"), endpoint(Price(M, 2 * M), "dear"), endpoint(Price(M, M), "cheap")))
    with pytest.raises(OutOfFunds, match="input_usd_per_mtok") as caught:
        fitted(call(5), decision(endpoint(None)))
    assert caught.value.metadata == {"reason": "price_unknown"}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "web_search"}]},
        {"plugins": [{"id": "web"}]},
        {"web_search_options": {"search_context_size": "low"}},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
    ],
)
def test_what_has_no_bound_cannot_have_a_ceiling(fields: dict[str, object]) -> None:
    with pytest.raises(OutOfFunds) as caught:
        output_cap(call(100, **fields), endpoint(Price(M, M)))
    assert caught.value.metadata == {"reason": "unbounded"}
    assert output_cap(call(0, **fields), endpoint(Price(0, 0))) is None


@pytest.mark.parametrize("fields", [{"messages": 5}, {"max_tokens": "many"}, {"max_tokens": -1}, {"tools": 7}])
def test_what_cannot_be_read_cannot_be_bounded(fields: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="well-formed"):
        call(1, **fields)


@pytest.mark.parametrize("wrong", ['"x"', "-1", "true", "[]", "1e10", '"nan"'])
def test_a_ceiling_is_an_amount(wrong: str) -> None:
    with pytest.raises(BadRequest, match="max_cost_usd"):
        openai_chat.open_body(b'{"model":"m","max_cost_usd":%b}' % wrong.encode())


def test_a_ceiling_is_rounded_down_and_never_sent() -> None:
    opened = openai_chat.open_body(b'{"model":"m","max_cost_usd":0.0000000019}')
    assert opened.ceiling == 1 and "max_cost_usd" not in opened.fields
    assert openai_chat.open_body(b'{"model":"m","max_cost_usd":null}').ceiling is None
    assert call(NANO_PER_USD).ceiling == NANO_PER_USD**2

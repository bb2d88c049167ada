"""genai-prices is the oracle: for each of its models that has a price here, random usages cost the same to the nano-USD."""

import random
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import genai_prices
import pytest
from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider, TieredPrices, TimeOfDateConstraint

from kilo_gateway.catalog.prices import PriceBook, price_table
from kilo_gateway.core.money import nanos_of_usd
from kilo_gateway.core.price import Price, Usage

MODELS = [(provider, model) for provider in providers for model in provider.models]
DAYS = (date(2025, 3, 1), date(2026, 1, 15), date(2026, 9, 11), date(2026, 11, 26), date(2027, 6, 1))
USAGES_EACH = 8
PRICED_MODELS = 2_200  # at least: the file leaves out few


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(price_table())


def test_every_model_costs_what_the_oracle_says(book: PriceBook) -> None:
    seeded = random.Random(20261126)
    priced = 0
    wrong = []
    for provider, model in MODELS:
        name, is_priced = _name(provider, model), False
        for at in _times(model, seeded):
            facts = book.facts(provider.id, name, at.date())
            if facts is None or facts.price is None:
                continue
            is_priced = True
            usage = _usage(seeded, _thresholds(facts.price))
            if facts.price.audio_hour:
                usage = Usage(audio_ms=seeded.choice([seeded.randrange(1, 20_000), seeded.randrange(10**7)]))
            ours, theirs, slack = facts.price.of(usage, _ms(at)), *_oracle(provider.id, name, usage, at)
            if abs(ours - theirs) > slack:
                wrong.append((provider.id, name, at, usage, ours, theirs))
        priced += is_priced
    assert wrong == []
    assert priced >= PRICED_MODELS


def test_a_window_begins_and_ends_at_its_minute(book: PriceBook) -> None:
    seeded = random.Random(7)
    windowed = [(provider.id, model) for provider, model in MODELS if _windows(model)]
    assert len(windowed) >= 5
    for provider, model in windowed:
        for minute in {edge + step for window in _windows(model) for edge in window for step in (-1, 0, 1)}:
            at = datetime.combine(DAYS[3], datetime.min.time(), UTC) + timedelta(minutes=minute, seconds=30)
            facts, usage = book.facts(provider, model.id, at.date()), _usage(seeded, [])
            assert facts is not None and facts.price is not None
            assert facts.price.of(usage, _ms(at)) == _oracle(provider, model.id, usage, at)[0]


def test_a_name_means_the_same_model_as_it_does_to_the_oracle(book: PriceBook) -> None:
    today, names = DAYS[3], 0
    for provider in providers:
        for name in _names(provider.models):
            found, facts = provider.find_model(name, all_providers=providers), book.facts(provider.id, name, today)
            ours = facts and (facts.name, facts.context)
            assert ours == (found and (found.name, found.context_window)), (provider.id, name)
            names += 1
    assert names > 10_000


def _times(model: ModelInfo, seeded: random.Random) -> Iterator[datetime]:
    """On days around each change of the model's price, and some others, at any time."""
    conditional = model.prices if isinstance(model.prices, list) else []
    starts = [start for each in conditional if (start := getattr(each.constraint, "start_date", None)) is not None]
    days = [start + timedelta(days=step) for start in starts for step in (-1, 0)]
    days += [seeded.choice(DAYS) for _ in range(max(1, USAGES_EACH - len(days)))]
    for day in days:
        yield datetime.combine(day, datetime.min.time(), UTC) + timedelta(seconds=seeded.randrange(86_400))


def _usage(seeded: random.Random, thresholds: list[int]) -> Usage:
    """Of every kind of token some, so that no token is of two kinds but cached audio."""
    prompt = seeded.choice([seeded.randrange(20, 400), seeded.randrange(20, 2_000_000), *thresholds])
    completion = seeded.randrange(0, 100_000)
    read, write, audio, image = _split(seeded, prompt, 4)
    cache_audio = seeded.choice([0, seeded.randint(0, audio)])
    reasoning, spoken, drawn = _split(seeded, completion, 3)
    return Usage(
        prompt, completion, cache_read_tokens=read + cache_audio, cache_write_tokens=write,
        cache_write_1h_tokens=seeded.randint(0, write), input_audio_tokens=audio, cache_audio_tokens=cache_audio,
        input_image_tokens=image, reasoning_tokens=reasoning, output_audio_tokens=spoken, output_image_tokens=drawn,
        web_searches=seeded.choice([0, 0, 3]),
    )  # fmt: skip


def _split(seeded: random.Random, total: int, parts: int) -> list[int]:
    """Some of `total`; often none, so that each kind is also seen alone."""
    cuts = sorted(seeded.randint(0, total) for _ in range(parts))
    sizes = [high - low for low, high in zip([0, *cuts], cuts, strict=False)]
    return [size if seeded.random() < 0.6 else 0 for size in sizes]


def _thresholds(price: Price) -> list[int]:
    starts = [each.min_prompt_tokens for each in price.overrides if each.min_prompt_tokens > 20]
    return [start + step for start in starts for step in (-1, 0, 1)]


def _oracle(provider: str, model: str, usage: Usage, at: datetime) -> tuple[int, int]:
    """Nano-USD, rounded up; and by how much a price may differ: nothing, but where rates are finer than a pico-USD.

    Those are kept to the nearest pico, so each token may be off by half of one, and the sum may round up to one nano more.
    """
    seconds = Decimal(usage.audio_ms) / 1000
    heard = {"audio_seconds": seconds, "input_audio_seconds": seconds} if usage.audio_ms else {}
    theirs = genai_prices.Usage(
        input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens, cache_write_1h_tokens=usage.cache_write_1h_tokens,
        input_audio_tokens=usage.input_audio_tokens, cache_audio_read_tokens=usage.cache_audio_tokens,
        input_image_tokens=usage.input_image_tokens, output_reasoning_tokens=usage.reasoning_tokens,
        output_audio_tokens=usage.output_audio_tokens, output_image_tokens=usage.output_image_tokens,
        web_searches=usage.web_searches, **heard,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = genai_prices.calc_price(theirs, model, provider_id=provider, genai_request_timestamp=at)
    tokens = usage.prompt_tokens + usage.completion_tokens
    return nanos_of_usd(found.total_price), 0 if _is_whole(found.model_price) else tokens // 2_000 + 1


def _is_whole(prices: ModelPrice) -> bool:
    """Whether each rate is a whole number of pico-USD a token."""
    rates: list[Decimal] = []
    for value in vars(prices).values():
        if isinstance(value, TieredPrices):
            rates += [value.base, *(tier.price for tier in value.tiers)]
        elif value is not None:
            rates.append(value)
    return all(rate * 10**6 == int(rate * 10**6) for rate in rates)


def _windows(model: ModelInfo) -> list[tuple[int, int]]:
    conditional: list[ConditionalPrice] = model.prices if isinstance(model.prices, list) else []
    found = [each.constraint for each in conditional if isinstance(each.constraint, TimeOfDateConstraint)]
    return [
        (each.start_time.hour * 60 + each.start_time.minute, each.end_time.hour * 60 + each.end_time.minute) for each in found
    ]


def _name(provider: Provider, model: ModelInfo) -> str:
    """One by which it is found: not always its id."""
    return next((text for text in (model.id, *_texts(model.match)) if provider.find_model(text) is model), model.id)


def _names(models: list[ModelInfo]) -> Iterator[str]:
    """Every text a rule of some model has, and what people make of it."""
    for model in models:
        for text in {model.id, *_texts(model.match)}:
            yield from (text, text.upper(), f"{text}-20260131", f"x-{text}", f"{text}-tts")


def _texts(clause: object) -> Iterator[str]:
    for value in vars(clause).values():
        for each in value if isinstance(value, list) else []:
            yield from _texts(each)
        if isinstance(value, str):
            yield value


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)

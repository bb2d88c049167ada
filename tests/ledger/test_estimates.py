"""Estimates of prompts, and what is learnt from those that upstreams have counted."""

import json

import pytest
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.catalog.tokenizer import Tokenizer
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.ledger.estimates import LEARN_MS, Estimates

ENDPOINT = Endpoint("one", "a/m", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"a/m"', None)
WORDS = "The quick brown fox jumps over the lazy dog and runs away. "  # 13 tokens


class Unloaded(Tokenizer):
    """Whose vocabulary never arrives."""

    def count(self, text: str) -> int | None:
        return None


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    made = Tokenizer()
    made.load().join()
    return made


def call(text: str, at_ms: int = 0) -> Call:
    return Call("openai-chat", "a/m", True, len(text), {"messages": Raw(json.dumps(text).encode())}, at_ms=at_ms)


@pytest.mark.parametrize("times", [1, 40, 4_000])
def test_words_are_counted_and_of_many_a_sample(tokenizer: Tokenizer, times: int) -> None:
    found = Estimates(tokenizer).prompt_tokens(call(WORDS * times), ENDPOINT)
    assert abs(found - 13 * times) <= 3 + 0.02 * 13 * times


@pytest.mark.parametrize("is_loaded", [True, False])
def test_no_prompt_is_nothing(tokenizer: Tokenizer, is_loaded: bool) -> None:
    assert Estimates(tokenizer if is_loaded else Unloaded()).prompt_tokens(call("x"), ENDPOINT) >= 1


def test_a_text_that_bytes_say_little_of(tokenizer: Tokenizer) -> None:
    text = "数据中心的网关把请求转发给模型。" * 40
    found = Call("openai-chat", "a/m", True, 0, {"messages": Raw(json.dumps(text, ensure_ascii=False).encode())})
    assert abs(Estimates(tokenizer).prompt_tokens(found, ENDPOINT) - len(tokenizer._encoding.encode_ordinary(text))) < 5  # type: ignore[union-attr]


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_model_is_learnt_from_the_first_lesson_on(tokenizer: Tokenizer, is_loaded: bool) -> None:
    estimates = Estimates(tokenizer if is_loaded else Unloaded())
    text = WORDS * 40
    estimates.learn(call(text), ENDPOINT, Usage(860, 30))
    assert abs(estimates.prompt_tokens(call(text * 2), ENDPOINT) - 1_720) < 20
    other = replace(ENDPOINT, model="a/other")
    assert estimates.prompt_tokens(call(text), other) < 650


def test_lessons_are_far_between_and_weigh_little(tokenizer: Tokenizer) -> None:
    estimates = Estimates(tokenizer)
    text = WORDS * 40
    estimates.learn(call(text, 0), ENDPOINT, Usage(520, 30))
    estimates.learn(call(text, LEARN_MS - 1), ENDPOINT, Usage(5_000, 30))
    assert abs(estimates.prompt_tokens(call(text), ENDPOINT) - 520) < 5
    estimates.learn(call(text, LEARN_MS), ENDPOINT, Usage(1_040, 30))
    assert abs(estimates.prompt_tokens(call(text), ENDPOINT) - 624) < 10


@pytest.mark.parametrize("usage", [Usage(0, 5), Usage(9_000, 5, is_estimated=True)])
def test_what_is_no_count_teaches_nothing(tokenizer: Tokenizer, usage: Usage) -> None:
    estimates = Estimates(tokenizer)
    before = estimates.prompt_tokens(call(WORDS * 40), ENDPOINT)
    estimates.learn(call(WORDS * 40), ENDPOINT, usage)
    assert estimates.prompt_tokens(call(WORDS * 40), ENDPOINT) == before


def test_learning_goes_on_when_the_vocabulary_comes_later(tokenizer: Tokenizer) -> None:
    late = Tokenizer()
    estimates = Estimates(late)
    estimates.learn(call(WORDS * 40), ENDPOINT, Usage(860, 30))
    late.load().join()
    assert abs(estimates.prompt_tokens(call(WORDS * 40), ENDPOINT) - 860) < 5
    estimates.learn(call(WORDS * 40, LEARN_MS), ENDPOINT, Usage(860, 30))
    assert abs(estimates.prompt_tokens(call(WORDS * 40), ENDPOINT) - 860) < 5


def test_an_image_is_not_estimated_as_text_and_a_prompt_not_beyond_what_a_model_holds(tokenizer: Tokenizer) -> None:
    picture = b'[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}]}]' % (b"iVBORw0K" * 500_000)
    estimates = Estimates(tokenizer)
    assert estimates.prompt_tokens(Call("openai-chat", "m", True, len(picture), {"messages": Raw(picture)}), ENDPOINT) < 1_100
    long = call("some words " * 360_000)
    assert estimates.prompt_tokens(long, ENDPOINT) > 700_000
    assert estimates.prompt_tokens(long, replace(ENDPOINT, context=128_000)) == 128_000

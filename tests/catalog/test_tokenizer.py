"""The vocabulary is OpenAI's own to the last byte, and texts are cut as tiktoken cuts them."""

import hashlib
import inspect
import re
from base64 import b64encode

import pytest
from tiktoken_ext import openai_public

from kilo_gateway.catalog import tokenizer
from kilo_gateway.catalog.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def loaded() -> Tokenizer:
    made = Tokenizer()
    made.load().join()
    return made


def test_the_vocabulary_has_the_hash_that_tiktoken_expects() -> None:
    expected = re.search(r'expected_hash="([0-9a-f]{64})"', inspect.getsource(openai_public.o200k_base))
    lines = b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in tokenizer.ranks().items())
    assert expected is not None and hashlib.sha256(lines).hexdigest() == expected[1]


def test_the_pattern_is_tiktokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    assert openai_public.o200k_base()["pat_str"] == tokenizer.PATTERN


def test_texts_are_counted(loaded: Tokenizer) -> None:
    assert loaded.count("") == 0
    assert loaded.count("hello world") == 2
    assert loaded.count("antidisestablishmentarianism") == 6
    assert loaded.count("<|endoftext|>") == 7  # as text: callers' words are no commands
    assert loaded.count("\ud83d".encode("utf-8", "surrogatepass").decode(errors="replace"))


def test_until_it_is_loaded_it_says_nothing_and_nobody_waits() -> None:
    made = Tokenizer()
    assert made.count("hello world") is None
    made.load().join()
    assert made.is_loaded and made.count("hello world") == 2

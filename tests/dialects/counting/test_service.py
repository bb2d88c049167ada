"""count_tokens: who counts, and what is refused."""

import json

import pytest

from kilo_gateway.core.errors import BadAnswer, BadRequest
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.table import SERVICES, UPSTREAMS

COUNTING = SERVICES["count_tokens"]
USER = {"role": "user", "content": "hi"}


def endpoint(dialect: str) -> Endpoint:
    return Endpoint("one", "a/m", Origin("h", 1), dialect, b'"theirs"', b"", b"", b'"one"', b'"a/m"', None)


def opened(**members: object) -> Call:
    return COUNTING.open_body(json.dumps({"model": "a/m", "messages": [USER], **members}).encode())


def test_the_provider_counts_what_he_was_asked() -> None:
    there = endpoint("anthropic-messages")
    call = opened(system="Be brief.", tools=[])
    assert COUNTING.at_once(call, there) == b""
    assert json.loads(COUNTING.shape(call, there)) == {"model": "theirs", "messages": [USER], "system": "Be brief.", "tools": []}
    answer = COUNTING.translator(call, there, b"application/json")
    answer.feed(b'{"input_tokens":321}')
    assert (answer.finish(), answer.cost) == (b'{"input_tokens":321}', 0)


@pytest.mark.parametrize("dialect", [each for each in UPSTREAMS if each != "anthropic-messages"])
def test_elsewhere_it_is_an_estimate_and_says_so(dialect: str) -> None:
    told = json.loads(COUNTING.at_once(opened(), endpoint(dialect)))
    assert told["input_tokens"] > 0 and told["estimated"] is True


@pytest.mark.parametrize("body", [b"{}", b'{"input_tokens":null}', b"[]", b"", b'{"input_tokens":"3"}'])
def test_an_answer_without_a_count_is_none(body: bytes) -> None:
    answer = COUNTING.translator(opened(), endpoint("anthropic-messages"), b"application/json")
    answer.feed(body)
    with pytest.raises(BadAnswer):
        answer.finish()


@pytest.mark.parametrize("messages", [None, [], "hi", {}])
def test_messages_are_needed(messages: object) -> None:
    with pytest.raises(BadRequest):
        opened(messages=messages)

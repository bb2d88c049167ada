"""Which endpoint can take which request, where dialects differ."""

import json

import pytest

from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.table import RESPONSES_CALLER, UPSTREAMS
from kilo_gateway.dialects.translated import TranslatedBody

AUDIO = {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
DATA = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}


def obstacle(dialect: str, *parts: object, name: str = "m", **more: object) -> str:
    endpoint = Endpoint("one", "a/m", Origin("h", 1), dialect, json.dumps(name).encode(), b"", b"", b'"one"', b'"a/m"', None)
    body = {"model": "a/m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}], **more}
    return Bridge().obstacle(openai_chat.open_body(json.dumps(body).encode()), endpoint)


@pytest.mark.parametrize("dialect", UPSTREAMS)
def test_a_plain_request_can_be_sent_everywhere(dialect: str) -> None:
    assert obstacle(dialect, DATA) == ""


@pytest.mark.parametrize(
    ("dialect", "part", "told"),
    [
        ("anthropic-messages", AUDIO, "audio"), ("cohere", AUDIO, "audio"), ("bedrock-converse", AUDIO, "audio"), ("gemini", AUDIO, ""),
        ("bedrock-converse", PICTURE, "data: URL"), ("anthropic-messages", PICTURE, ""), ("openai-responses", PICTURE, ""),
    ],
)  # fmt: skip
def test_what_an_upstream_cannot_be_shown_is_said(dialect: str, part: object, told: str) -> None:
    found = obstacle(dialect, part)
    assert (told in found) if told else found == ""


@pytest.mark.parametrize("dialect", [each for each in UPSTREAMS if each != "openai-chat"])
def test_several_answers_and_logprobs_are_not_dropped_in_silence(dialect: str) -> None:
    assert "n = 2" in obstacle(dialect, n=2)
    assert "logprobs" in obstacle(dialect, logprobs=True)


LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("wanted", [SCHEMA, {"type": "json_object"}])
def test_json_that_an_upstream_cannot_be_held_to_is_an_obstacle(wanted: object) -> None:
    forced = {"type": "function", "function": {"name": "look"}}
    found = obstacle("gemini", name="gemini-2.5-pro", response_format=wanted, tools=[LOOK])
    assert "response_format" in found
    assert obstacle("gemini", name="gemini-2.5-pro", response_format=wanted) == ""
    assert obstacle("gemini", name="gemini-3-pro-preview", response_format=wanted, tools=[LOOK]) == ""
    for dialect, name in (("bedrock-converse", "amazon.nova-pro-v1:0"), ("anthropic-messages", "claude-3-5-haiku-20241022")):
        if dialect != "bedrock-converse" or wanted is SCHEMA:
            assert "tool_choice" in obstacle(dialect, name=name, response_format=wanted, tools=[LOOK], tool_choice=forced)
        assert obstacle(dialect, name=name, response_format=wanted, tools=[LOOK]) == ""
    sonnet = "claude-sonnet-4-5"
    assert obstacle("anthropic-messages", name=sonnet, response_format=SCHEMA, tools=[LOOK], tool_choice=forced) == ""


def test_no_crossing_carries_logprobs_back() -> None:
    endpoint = Endpoint("one", "a/m", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"a/m"', None)
    for asked in ({"top_logprobs": 1}, {"include": ["message.output_text.logprobs"]}):
        body = {"model": "a/m", "input": "hi", **asked}
        assert "logprobs" in Bridge().obstacle(RESPONSES_CALLER.open_body(json.dumps(body).encode()), endpoint)


PLACES = [PICTURE, {"type": "image_url", "image_url": "HTTPS://example.com/a.png"}, {"type": "file", "file": {"file_data": "https://example.com/a.pdf"}}]


def asked_of_ollama(*parts: object, fetches: bool = True, **more: object) -> tuple[Bridge, Call, Endpoint, str]:
    endpoint = Endpoint("ollama", "a/m", Origin("h", 1), "openai-chat", b'"m"', b"", b"", b'"one"', b'"a/m"', None, takes_urls=False)
    body = {"model": "a/m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}], **more}
    bridge, call = Bridge(fetches=fetches), openai_chat.open_body(json.dumps(body).encode())
    return bridge, call, endpoint, bridge.obstacle(call, endpoint)


@pytest.mark.parametrize("part", PLACES)
def test_a_chat_upstream_that_takes_bytes_alone_is_shown_no_url(part: object) -> None:
    assert "data: URL" in asked_of_ollama(part, fetches=False)[3]
    bridge, call, endpoint, found = asked_of_ollama(part)
    [url] = bridge.needed_bytes(call, endpoint)
    bridge.supply(call, {url: "data:image/png;base64,QUJD"})
    sent = bridge.shape(call, endpoint, None)
    assert found == "" and b"example.com" not in sent and b"data:image/png;base64,QUJD" in sent
    assert type(bridge.translator(call, endpoint, b"application/json")) is TranslatedBody


def test_what_it_is_shown_as_bytes_is_relayed_as_it_came() -> None:
    bridge, call, endpoint, found = asked_of_ollama(DATA, n=2, anything=1)
    assert found == "" and not bridge.needed_bytes(call, endpoint)
    assert json.loads(bridge.shape(call, endpoint, None))["anything"] == 1


@pytest.mark.parametrize("more", [{"n": 2}, {"logprobs": True}])
def test_what_is_fetched_for_it_is_answered_once_and_without_logprobs(more: dict[str, object]) -> None:
    assert "n = 2" in (found := asked_of_ollama(PICTURE, **more)[3]) or "logprobs" in found

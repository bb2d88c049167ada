"""Which endpoint can take which request, where dialects differ."""

import json

import pytest

from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.table import UPSTREAMS

AUDIO = {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
DATA = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}


def obstacle(dialect: str, *parts: object, **more: object) -> str:
    endpoint = Endpoint("one", "a/m", Origin("h", 1), dialect, b'"m"', b"", b"", b'"one"', b'"a/m"', None)
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

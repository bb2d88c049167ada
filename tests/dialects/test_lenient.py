"""A member that only adorns an answer may have any shape; what it says may not."""

import json

import msgspec
import pytest
from msgspec import Struct

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.dialects import lenient
from kilo_gateway.dialects.chat.reading import read_answer
from kilo_gateway.dialects.hub.answered import Cited, TextDelta
from kilo_gateway.dialects.responses.reading import read_answer as read_response


class Leaf(Struct):
    text: str = ""
    note: int = 0


class Tree(Struct):
    leaves: list[Leaf] = []
    title: str = ""


DECODER = msgspec.json.Decoder(Tree)


def test_what_does_not_fit_is_taken_for_absent() -> None:
    found = lenient.decoded(DECODER, b'{"title":7,"leaves":[{"text":"a","note":null},{"text":"b","note":[]},{"text":"c","note":3}]}')
    assert found == Tree([Leaf("a"), Leaf("b"), Leaf("c", 3)])


@pytest.mark.parametrize("body", [b'{"leaves":[{"text":7}]}', b"[]", b'{"title":7', b'{"title":7}x', b"\xff"])
def test_what_is_essential_or_no_json_is_refused(body: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        lenient.decoded(DECODER, body)


def test_adornments_of_a_completion_may_be_anything() -> None:
    notes = [{"type": "url_citation", "url_citation": {"url": "https://a", "title": None, "start_index": None}}, "odd", None]
    message = {"content": "a", "annotations": notes, "reasoning_details": {"x": 1}, "images": 7}
    body = {"choices": [{"index": None, "message": message, "finish_reason": "stop"}]}
    told = read_answer(json.dumps(body).encode())
    assert TextDelta("a") in told and Cited("https://a") in told
    with pytest.raises(BadAnswer):
        read_answer(b'{"choices":[{"message":{"content":7}}]}')


def test_adornments_of_a_response_may_be_anything() -> None:
    part = {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "https://a", "start_index": None}]}
    items = [{"type": "unheard_of", "id": 7, "output_format": 3}, {"type": "message", "content": [part]}]
    told = read_response(json.dumps({"status": "completed", "created_at": "now", "output": items}).encode())
    assert TextDelta("a") in told and Cited("https://a") in told

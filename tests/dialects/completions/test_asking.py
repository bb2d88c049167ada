"""Legacy completions: what is read of a request, and what is refused."""

import json

import pytest

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call
from kilo_gateway.dialects.completions.asking import read_request
from kilo_gateway.dialects.completions.writing import Writer, write_answer
from kilo_gateway.dialects.hub.answered import AnswerHead, Finished, TextDelta
from kilo_gateway.dialects.hub.asked import Message, Text
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.table import COMPLETIONS_CALLER

HEAD = AnswerHead("gen-1", 7, "a/m", "one")
EVENTS = [TextDelta("Hel"), TextDelta("lo"), Finished("length", "max_tokens")]


def opened(**members: object) -> Call:
    return COMPLETIONS_CALLER.open_body(json.dumps({"model": "a/m", **members}).encode())


@pytest.mark.parametrize("prompt", ["Say it.", ["Say it."]])
def test_a_prompt_is_a_message_of_the_user(prompt: object) -> None:
    asked = read_request(opened(prompt=prompt, max_tokens=5, temperature=0.5, stop="END", suffix="!", echo=True).fields)
    assert asked.messages == (Message("user", (Text("Say it."),)),)
    assert (asked.max_tokens, asked.temperature, asked.stop, asked.lost) == (5, 0.5, ("END",), ("suffix", "echo"))


@pytest.mark.parametrize(
    "members",
    [{}, {"prompt": 7}, {"prompt": [1, 2]}, {"prompt": []}, {"prompt": ["a", "b"]}, {"prompt": "a", "n": 2},
     {"prompt": "a", "best_of": 3}, {"prompt": "a", "logprobs": 5}],
)  # fmt: skip
def test_what_one_chat_cannot_be_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        opened(**members)


def test_a_stream_says_what_the_whole_answer_says() -> None:
    usage = Usage(3, 2)
    writer = Writer(HEAD)
    stream = writer.write(EVENTS) + writer.end(usage, 0.5)
    chunks = [json.loads(line[6:]) for line in stream.split(b"\n\n") if line.startswith(b"data: {")]
    whole = json.loads(write_answer(fold(EVENTS), HEAD, usage, 0.5))
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == whole["choices"][0]["text"] == "Hello"
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"] == whole["usage"] and whole["usage"]["cost"] == 0.5
    assert stream.endswith(b"data: [DONE]\n\n") and {chunk["object"] for chunk in chunks} == {"text_completion"}

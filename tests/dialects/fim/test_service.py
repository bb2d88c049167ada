"""Fill in the middle, and edits: what is taken, what is sent, and who is asked."""

import json

import pytest
from tests.streams import DONE, FINISH, content, usage

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.table import SERVICES

FIM, EDIT = SERVICES["fim"], SERVICES["edit"]
USER = {"role": "user", "content": "x"}


def endpoint(services: dict[str, str] | None, dialect: str = "openai-chat") -> Endpoint:
    return Endpoint(
        "one", "a/m", Origin("h", 1), dialect, b'"theirs"', b"", b"", b'"one"', b'"a/m"', None, services=services
    )  # fmt: skip


def fim(**members: object) -> Call:
    return FIM.open_body(json.dumps({"model": "a/m", "prompt": "def f(", **members}).encode())


def test_what_is_sent_is_what_such_upstreams_know() -> None:
    call = fim(suffix="return", stop=["\n"], seed=4, provider={"only": ["x"]}, stream=True)
    sent = json.loads(FIM.shape(call, endpoint({"fim": ""})))
    assert sent == {
        "model": "theirs", "prompt": "def f(", "suffix": "return", "stop": ["\n"], "stream": True, "max_tokens": 1000,
        "random_seed": 4,
    }  # fmt: skip
    assert call.dropped == ("provider",)


@pytest.mark.parametrize(
    "wrong",
    [{"prompt": None}, {"prompt": 7}, {"suffix": 7}, {"max_tokens": 0}, {"max_tokens": 1001}, {"max_tokens": "9"}, {"max_tokens": True}],
)
def test_wrong_fields_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        fim(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"messages": []}, {"messages": [USER, USER]}, {"messages": [{"role": "system", "content": "x"}]}, {"stream": True}, {"messages": 3}]
)
def test_an_edit_is_one_message(wrong: dict[str, object]) -> None:
    EDIT.open_body(json.dumps({"model": "a/m", "messages": [USER]}).encode())
    with pytest.raises(BadRequest):
        EDIT.open_body(json.dumps({"model": "a/m", "messages": [USER], **wrong}).encode())


def test_only_who_is_known_to_fill_in_is_asked() -> None:
    assert FIM.obstacle(fim(), endpoint({"fim": ""})) == ""
    for other in (endpoint(None), endpoint({"edit": ""}), endpoint({"fim": ""}, "gemini")):
        assert "fim/completions" in FIM.obstacle(fim(), other)


@pytest.mark.parametrize("stream", [True, False])
def test_there_may_be_nothing_to_fill_in(stream: bool) -> None:
    call, there = fim(stream=stream), endpoint({"fim": ""})
    answer = FIM.translator(call, there, b"text/event-stream" if stream else b"application/json")
    if stream:
        out = answer.feed(content("") + FINISH + usage(25, 0) + DONE) + answer.finish()
        assert out.endswith(DONE)
    else:
        answer.feed(b'{"choices":[{"index":0,"message":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":0}}')
        assert json.loads(answer.finish())["choices"][0]["message"]["content"] == ""

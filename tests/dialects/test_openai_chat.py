"""Bodies opened one level, and put together again for an upstream."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from kilo_gateway.core.errors import BadRequest, UnknownModel, UpstreamRefused
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge

ENDPOINT = Endpoint("one", "mock/model", Origin("h", 1), "openai-chat", b'"upstreams"', b"", b"", b'"one"', b'"mock/model"', None)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
OWN = ("model", "stream", "stream_options")


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in OWN), VALUES, max_size=6), st.booleans())
def test_everything_but_model_and_usage_goes_upstream_as_it_came(members: dict[str, object], is_stream: bool) -> None:
    body = json.dumps(members | {"model": "mock/model", "stream": is_stream}, ensure_ascii=False).encode()
    sent = json.loads(openai_chat.splice(openai_chat.open_body(body), ENDPOINT))
    expected = members | {"model": "upstreams", "stream": is_stream}
    assert sent == expected | ({"stream_options": {"include_usage": True}} if is_stream else {})


def _refuse(name: str) -> float:
    raise ValueError(name)


@settings(max_examples=500)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from(['{', '}', '"model"', ':', '"m"', ',', '[', ']', '1', '-', '0', '.', 'e5', 'NaN', 'true', 'null', '"',
                                  '\\', ' ', '\x00', '\u00e9', '"stream"']), max_size=25).map(lambda parts: "".join(parts).encode()),
    )
)  # fmt: skip
def test_what_python_takes_for_no_json_object_is_refused_and_nothing_else_happens(body: bytes) -> None:
    try:
        is_object = isinstance(json.loads(body.decode(), parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        is_object = False
    try:
        openai_chat.open_body(body)
    except BadRequest:
        return
    assert is_object


@pytest.mark.parametrize(
    ("member", "prompt", "completion"),
    [
        (b'{"prompt_tokens":3,"completion_tokens":4}', 3, 4), (b'{"prompt_tokens":3}', 3, 0),
        (b'{"prompt_tokens":3,"completion_tokens":null}', 3, 0), (b'{"prompt_tokens":0,"completion_tokens":0}', 0, 0),
    ],
)  # fmt: skip
def test_usage_is_read(member: bytes, prompt: int, completion: int) -> None:
    found = openai_chat.read_usage(Raw(member), ENDPOINT)
    assert found is not None
    assert (found.prompt_tokens, found.completion_tokens) == (prompt, completion)


@pytest.mark.parametrize("member", [b"null", b"{}", b"[]", b"5", b'"x"', b'{"prompt_tokens":-1}', b'{"prompt_tokens":1e30}',
                                    b'{"prompt_tokens":"3"}', b'{"prompt_tokens":3,"completion_tokens":-4}',
                                    b'{"prompt_tokens":99999999999}'])  # fmt: skip
def test_usage_that_cannot_be_true_is_none(member: bytes) -> None:
    assert openai_chat.read_usage(Raw(member), ENDPOINT) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"m","code":"c"}}', "m"), (b'{"error":"m"}', "m"), (b'{"message":"m"}', "m"), (b'{"detail":"m"}', "m"),
        (b"plain m", "plain m"), (b"", "status 500"), (b'{"error":{"code":5}}', "the upstream reported an error"), (b"\xff", "\ufffd"),
    ],
)  # fmt: skip
def test_an_upstreams_error_is_read_however_it_is_worded(body: bytes, message: str) -> None:
    error = Bridge().refused(ENDPOINT, 500, body, "")
    assert isinstance(error, UpstreamRefused)
    assert str(error) == message


@pytest.mark.parametrize("told", ["say my words", "a\n", "x" * 65, "caf\u00e9", "", {"a": 1}, ["a"]])
@pytest.mark.parametrize("name", ["code", "type"])
def test_what_does_not_look_like_a_code_is_none(told: object, name: str) -> None:
    error = Bridge().refused(ENDPOINT, 500, json.dumps({"error": {"message": "m", name: told}}).encode(), "")
    assert error.code == "upstream_error"


@pytest.mark.parametrize(("members", "code"), [({"code": "a b", "type": "t.1"}, "t.1"), ({"code": 429, "type": "a b"}, "upstream_error"),
                                               ({"code": "model:not-found_2"}, "model:not-found_2")])  # fmt: skip
def test_what_looks_like_a_code_is_one(members: dict[str, object], code: str) -> None:
    assert Bridge().refused(ENDPOINT, 500, json.dumps({"error": members}).encode(), "").code == code


def test_an_upstreams_error_is_not_passed_on_without_end() -> None:
    assert len(str(Bridge().refused(ENDPOINT, 500, b"x" * 60_000, ""))) <= 2000


def test_an_error_body_has_the_shape_clients_know() -> None:
    found = json.loads(openai_chat.error_body(UnknownModel("no", {"closest": ["a"]})))
    assert found == {
        "error": {"message": "no", "type": "invalid_request_error", "code": "model_not_found", "metadata": {"closest": ["a"]}}
    }


def test_a_call_of_another_dialect_is_an_obstacle() -> None:
    assert "cannot be sent" in Bridge().obstacle(Call("klingon", "m", False, 1, {}), ENDPOINT)
    assert Bridge().obstacle(Call("openai-chat", "m", False, 1, {}), ENDPOINT) == ""

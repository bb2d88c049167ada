"""Secrets, derived keys, crash points, nesting, errors and the words between processes."""

import copy
import json
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core import crash, errors, link, nesting
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.meters import Meters
from kilo_gateway.core.price import Usage
from kilo_gateway.core.secret import Secret


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("sk-123")
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), "%s" % secret):  # noqa: UP031
        assert "sk-123" not in shown
    assert secret.reveal() == "sk-123"


def test_a_secret_is_not_written_anywhere() -> None:
    for write in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            write(Secret("sk-123"))


def test_an_empty_secret_is_none() -> None:
    assert not Secret("")
    assert Secret("a") == Secret("a")
    assert Secret("a") != "a"


def test_what_is_derived_from_the_secret_is_stable_and_different_for_each_use() -> None:
    one, other = Keyring(b"a" * 32), Keyring(b"b" * 32)
    found = [one.pepper.hex(), one.hop, one.local_model_key, other.pepper.hex(), other.hop]
    assert len(set(found)) == len(found)
    assert Keyring(b"a" * 32).pepper == one.pepper


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keyring(b"a" * size)


@pytest.mark.parametrize("setting", ["nowhere", "journal.end:", "journal.end:x", ":1", "journal.end:-1"])
def test_a_crash_point_that_is_none_is_refused(setting: str) -> None:
    if setting == "journal.end:":
        assert crash.crash_point(setting) is not None
    else:
        with pytest.raises(ValueError, match="no crash point"):
            crash.crash_point(setting)


def test_without_a_crash_point_nothing_is_called() -> None:
    assert crash.crash_point("") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\ab', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\', max_size=4), inner, max_size=3),
    max_leaves=30,
)


@given(JSON, st.integers(500, 520))
def test_depth_is_measured_exactly(value: object, depth: int) -> None:
    own = _depth(value)
    body = (b"[" * (depth - own)) + json.dumps(value).encode() + (b"]" * (depth - own))
    assert nesting.is_too_deep(body) == (depth > nesting.MAX_DEPTH)


@pytest.mark.parametrize(
    "filler",
    [b'"%b"' % (b"a" * (5 << 20)), b"[%b1]" % (b"[1],{}," * 4_000_000), b'["[{",%b1]' % (b'"]]\\\\","\\"{",' * 400_000)],
)
@pytest.mark.parametrize(("depth", "is_deep"), [(502, False), (512, False), (513, True)])
def test_a_large_text_is_measured_as_a_small_one_is(filler: bytes, depth: int, is_deep: bool) -> None:
    assert nesting.is_too_deep(b"[" * depth + b"]" * depth) == is_deep
    body = b'{"x":%b,"y":%b}' % (filler, b"[" * (depth - 1) + b"]" * (depth - 1))
    json.loads(filler)
    assert nesting.is_too_deep(body) == is_deep


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500 + b'"' + b'\\"' * 2_000_000, b"[" * 500 + b'"",' * 20_000_000, b"[[]" * 20_000_000, b'["["],' * 10_000_000,
        b"[" * 100_000, b"[]" * 2_000_000 + b"[" * 600, (b"[" * 400 + b"]" * 400) * 5_000,
    ],
)  # fmt: skip
def test_a_text_that_is_none_or_is_made_to_take_long_is_measured_in_a_moment(body: bytes) -> None:
    began = time.process_time()
    nesting.is_too_deep(body)
    assert time.process_time() - began < 2.0


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


@given(st.sampled_from([link.Hello(1, 2, 3), link.Ack(4), link.Stats({"a:b=c": 5}), link.Push(b"\x00\xff")]))
def test_processes_understand_each_other(message: link.Message) -> None:
    data = link.framed(message)
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert link.read(data[4:]) == message


def test_meters_add_up() -> None:
    meters = Meters()
    meters.ended("ok", Usage(2, 3), 5)
    meters.ended("ok", Usage(2, 3), None)
    meters.refused(404)
    values = meters.values()
    assert (values["requests:outcome=ok"], values["refusals:status=404"]) == (2, 1)
    assert (values["prompt_tokens"], values["completion_tokens"], values["cost_nanodollars"]) == (4, 6, 5)


def _every_error(error: type[errors.GatewayError]) -> list[type[errors.GatewayError]]:
    return [error, *(deeper for each in error.__subclasses__() for deeper in _every_error(each))]


@pytest.mark.parametrize("error", _every_error(errors.Refusal))
def test_a_refusal_is_never_a_fault_of_the_server_unless_it_is_full(error: type[errors.GatewayError]) -> None:
    assert 400 <= error.status < 500 or error.status in (503, 508)


@pytest.mark.parametrize(("status", "told", "is_retryable"), [
    (400, 400, False), (401, 502, True), (402, 502, True), (403, 502, True), (404, 502, True), (408, 504, True),
    (413, 413, False), (422, 422, False), (429, 429, True), (500, 502, True), (503, 503, True), (529, 503, True), (302, 502, True),
])  # fmt: skip
def test_what_an_upstream_said_becomes_what_the_caller_is_told(status: int, told: int, is_retryable: bool) -> None:
    error = errors.UpstreamRefused("p", status, "no")
    assert (error.status, error.is_retryable) == (told, is_retryable)


def test_measuring_depth_takes_time_in_proportion_to_the_text() -> None:
    """A text that never ends, full of quotes, is read once."""
    body = b'{"a":' + b"[" * 490 + b'"' + b'\\"' * 1_000_000
    began = time.process_time()
    assert not nesting.is_too_deep(body)
    assert time.process_time() - began < 4  # some 20 ms; hours when it is read from each quote

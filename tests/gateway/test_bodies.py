"""Request bodies: what is no JSON object is refused with a 400, packed ones are unpacked, and nothing is lost of the rest."""

import gzip
import json
import zlib

import pytest
import zstandard
from tests.bench import Bench, Run
from tests.caller import asking, request

from kilo_gateway.http.unpack import PATIENCE_S

BODY = asking("mock/one", text="caf\u00e9 \u2615")
WRONG = {
    "empty": b"",
    "blank": b"  \r\n ",
    "cut": BODY[:-1],
    "more after it": BODY + b"{}",
    "an array": b"[]",
    "a text": b'"model"',
    "a number": b"5",
    "null": b"null",
    "NaN": b'{"model":"mock/one","temperature":NaN}',
    "Infinity": b'{"model":"mock/one","temperature":-Infinity}',
    "single quotes": b"{'model':'mock/one'}",
    "a trailing comma": b'{"model":"mock/one",}',
    "a comment": b'{"model":"mock/one"/* no */}',
    "a leading zero": b'{"model":"mock/one","n":01}',
    "a lone minus": b'{"model":"mock/one","n":-}',
    "a bad escape": b'{"model":"mock/one","x":"\\q"}',
    "a control character": b'{"model":"mock/one","x":"a\nb"}',
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "UTF-16": BODY.decode().encode("utf-16"),
    "form fields": b"model=mock/one&stream=true",
    "no model": b'{"messages":[]}',
    "model null": b'{"model":null}',
    "model a number": b'{"model":5}',
    "model a list": b'{"model":["mock/one"]}',
    "stream a text": b'{"model":"mock/one","stream":"true"}',
    "stream a number": b'{"model":"mock/one","stream":1}',
    "stream_options broken": b'{"model":"mock/one","stream":true,"stream_options":{"a":}}',
}


@pytest.mark.parametrize("name", WRONG)
def test_a_body_that_is_no_request_is_refused_and_the_connection_stays(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(WRONG[name]))
        answer = await caller.answer()
        assert (answer.status, answer.error()["type"]) == (400, "invalid_request_error")
        caller.send(request())
        assert (await caller.answer()).status == 200
        assert len(bench.first.received) == 1

    run(test)


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf"])
@pytest.mark.parametrize("place", [b'"hi"', b'"content"', b'"mock/one"', b'"deep"'])
def test_invalid_utf_8_is_refused_wherever_it_stands(run: Run, wrong: bytes, place: bytes) -> None:
    async def test(bench: Bench) -> None:
        body = asking("mock/one", x={"deep": [{"deep": 1}]})
        assert place in body
        answer = await bench.call(body.replace(place, b'"a%bz"' % wrong))
        assert answer.status == 400
        assert bench.first.received == []

    run(test)


@pytest.mark.parametrize(("depth", "status"), [(511, 200), (512, 200), (513, 400), (100_000, 400)])
@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_body_may_nest_512_levels_and_no_more(run: Run, depth: int, status: int, shape: tuple[bytes, bytes]) -> None:
    async def test(bench: Bench) -> None:
        nested = shape[0] * (depth - 1) + b"1" + shape[1] * (depth - 1)
        answer = await bench.call(b'{"model":"mock/one","x":%b}' % nested)
        assert answer.status == status
        assert len(bench.first.received) == (status == 200)

    run(test)


def test_brackets_inside_texts_do_not_nest(run: Run) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call(asking("mock/one", x="[{" * 10_000))).status == 200

    run(test)


def test_of_a_duplicate_key_the_last_counts_and_only_that_goes_upstream(run: Run) -> None:
    async def test(bench: Bench) -> None:
        body = b'{"model":"no/such","temperature":1,"model":"mock/one","temperature":0,"stream":true,"stream":false}'
        assert (await bench.call(body)).status == 200
        pairs = json.loads(bench.first.received[0].body, object_pairs_hook=list)
        assert sorted(pairs) == [("model", "upstreams-own-name"), ("stream", False), ("temperature", 0)]

    run(test)


def test_members_nobody_knows_go_upstream_as_they_came(run: Run) -> None:
    odd = b'{"model":"mock/one","x":{"a": 1.10, "b":[1E2,-0.0]  },"big":12345678901234567890123,"s":"\\u00e9\\ud83d\\ude00"}'

    async def test(bench: Bench) -> None:
        assert (await bench.call(odd)).status == 200
        sent = bench.first.received[0].body
        for part in (b'{"a": 1.10, "b":[1E2,-0.0]  }', b"12345678901234567890123", b'"\\u00e9\\ud83d\\ude00"'):
            assert part in sent

    run(test)


PACKED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "GZIP": gzip.compress(BODY),
    "zstd": zstandard.ZstdCompressor().compress(BODY),
    "identity": BODY,
}
HUGE = gzip.compress(bytes(60_000_000), 1)  # takes a moment to unpack


@pytest.mark.parametrize("encoding", PACKED)
def test_packed_bodies_are_unpacked(run: Run, encoding: str) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(PACKED[encoding], b"Content-Encoding: %b\r\n" % encoding.encode())
        assert answer.status == 200
        sent = json.loads(bench.first.received[0].body)
        assert sent["text"] == "caf\u00e9 \u2615"

    run(test)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", BODY, 400), ("zstd", BODY, 400), ("gzip", b"", 400), ("zstd", b"", 400),
        ("gzip", PACKED["gzip"][:-9], 400), ("zstd", PACKED["zstd"][:-2], 400),
        ("br", BODY, 415), ("deflate", zlib.compress(BODY), 415), ("gzip, gzip", BODY, 415), ("\xff", BODY, 415),
    ],
)  # fmt: skip
def test_bodies_that_cannot_be_unpacked_are_refused(run: Run, encoding: str, body: bytes, status: int) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.call(body, b"Content-Encoding: %b\r\n" % encoding.encode("latin-1"))
        assert (answer.status, answer.error()["type"]) == (status, "invalid_request_error")

    run(test)


@pytest.mark.parametrize(("method", "path", "status"), [(b"POST", b"/health", 405), (b"POST", b"/api/admin/keys", 415), (b"PUT", b"/v1/x", 415)])
def test_only_inference_takes_a_packed_body(run: Run, method: bytes, path: bytes, status: int) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(PACKED["gzip"], b"Content-Encoding: gzip\r\n", method=method, path=path))
        assert (await caller.answer()).status == status
        assert bench.control.received == []

    run(test)


@pytest.mark.parametrize("path", [b"/health", b"/ready", b"/v1/models"])
def test_what_takes_no_body_looks_at_none(run: Run, path: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(b"not packed at all", b"Content-Encoding: gzip\r\n", method=b"GET", path=path))
        assert (await caller.answer()).status == 200

    run(test)


def test_a_body_that_cannot_be_unpacked_in_time_is_refused(run: Run) -> None:
    async def test(bench: Bench) -> None:
        callers = [await bench.send(request(HUGE, b"Content-Encoding: gzip\r\n")) for _ in range(4)]
        await bench.until(lambda: [each.patience_s for each in bench.gateway.deadlines.watched()] == [PATIENCE_S] * 4)
        bench.pass_time(PATIENCE_S + 1)
        answer = await callers[-1].answer()
        assert (answer.status, answer.error()["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")

    run(test)


def test_unpacking_is_cut_when_the_process_ends(run: Run) -> None:
    async def test(bench: Bench) -> None:
        callers = [await bench.send(request(HUGE, b"Content-Encoding: gzip\r\n")) for _ in range(4)]
        await bench.until(lambda: [each.patience_s for each in bench.gateway.deadlines.watched()] == [PATIENCE_S] * 4)
        bench.gateway.is_draining = True
        bench.gateway.cut_all()
        answer = await callers[-1].answer()
        assert (answer.status, answer.error()["code"]) == (503, "overloaded")
        assert await callers[-1].is_closed()

    run(test)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(run: Run, encoding: str) -> None:
    huge = bytes(65 * 1024 * 1024)
    packed = gzip.compress(huge, 1) if encoding == "gzip" else zstandard.ZstdCompressor().compress(huge)

    async def test(bench: Bench) -> None:
        answer = await bench.call(packed, b"Content-Encoding: %b\r\n" % encoding.encode())
        assert answer.status == 413

    run(test)


def test_a_caller_who_leaves_while_his_body_is_unpacked_leaves_nothing_behind(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(gzip.compress(asking(padding="x" * 10_000_000)), b"Content-Encoding: gzip\r\n"))
        await bench.until(lambda: bench.gateway.deadlines.count() == 1)
        caller.hang_up()
        await bench.until(lambda: bench.gateway.deadlines.count() == 0)
        assert (await bench.call()).status == 200
        assert bench.limits.in_flight() == 0

    run(test)

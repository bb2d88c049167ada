"""What is not HTTP as it should be is refused with a 4xx and the connection closed; what is odd but right is served."""

import asyncio

import pytest
from tests.bench import Bench, Run
from tests.caller import KEY, PATH, asking, request
from tests.chaos import STREAM, says

from kilo_gateway.http.incoming import ChunkedBody, Request

BODY = asking("mock/one")
N = len(BODY)
SMUGGLED = b"GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n"


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def raw(lines: bytes, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n%b\r\n%b" % (PATH, KEY, lines, body)


LENGTH = b"Content-Length: %d\r\n" % N
CHUNKED = b"Transfer-Encoding: chunked\r\n"
DOUBTFUL = {
    "length and chunked": raw(LENGTH + CHUNKED, chunked(BODY) + SMUGGLED),
    "chunked and length": raw(CHUNKED + b"Content-Length: 4\r\n", chunked(BODY) + SMUGGLED),
    "two lengths": raw(LENGTH + b"Content-Length: %d\r\n" % (N + 10), BODY + SMUGGLED),
    "the same length twice": raw(LENGTH + LENGTH, BODY + SMUGGLED),
    "a list of lengths": raw(b"Content-Length: %d, %d\r\n" % (N, N), BODY + SMUGGLED),
    "a negative length": raw(b"Content-Length: -1\r\n", BODY),
    "a signed length": raw(b"Content-Length: +%d\r\n" % N, BODY),
    "a hexadecimal length": raw(b"Content-Length: 0x%x\r\n" % N, BODY),
    "a length beyond counting": raw(b"Content-Length: 99999999999999999999999999\r\n", BODY),
    "an empty length": raw(b"Content-Length: \r\n", BODY),
    "an unknown coding": raw(b"Transfer-Encoding: xchunked\r\n", chunked(BODY) + SMUGGLED),
    "a coding after chunked": raw(b"Transfer-Encoding: chunked, identity\r\n", chunked(BODY) + SMUGGLED),
    "a coding before chunked": raw(b"Transfer-Encoding: gzip, chunked\r\n", chunked(BODY) + SMUGGLED),
    "a coding in a line before chunked": raw(b"Transfer-Encoding: gzip\r\n" + CHUNKED, chunked(BODY) + SMUGGLED),
    "another coding alone": raw(b"Transfer-Encoding: gzip\r\n", BODY),
    "chunked twice": raw(b"Transfer-Encoding: chunked, chunked\r\n", chunked(BODY) + SMUGGLED),
    "chunked behind nothing": raw(b"Transfer-Encoding: , chunked\r\n", chunked(BODY) + SMUGGLED),
    "chunked in quotes": raw(b'Transfer-Encoding: "chunked"\r\n', chunked(BODY) + SMUGGLED),
    "chunked in HTTP/1.0": raw(CHUNKED, chunked(BODY) + SMUGGLED).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "chunked in HTTP/1.0 that keeps alive": raw(CHUNKED + b"Connection: keep-alive\r\n", chunked(BODY)).replace(b"/1.1", b"/1.0"),
    "a space before the colon": raw(b"Transfer-Encoding : chunked\r\n", chunked(BODY) + SMUGGLED),
    "a vertical tab before the coding": raw(b"Transfer-Encoding: \x0bchunked\r\n", chunked(BODY) + SMUGGLED),
    "a chunk size that is none": raw(CHUNKED, b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a negative chunk size": raw(CHUNKED, b"-5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a huge chunk size": raw(CHUNKED, b"fffffffffffffffff\r\n" + BODY),
    "a chunk size with 0x": raw(CHUNKED, b"0x%x\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "a chunk longer than it said": raw(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (N - 3, BODY)),
    "chunks with bare line feeds": raw(CHUNKED, b"%x\n%b\n0\n\n" % (N, BODY)),
    "a folded header": raw(b"X-A: b\r\n folded\r\nTransfer-Encoding:\r\n chunked\r\n" + LENGTH, BODY),
    "NUL in a header": raw(b"X-A: b\0c\r\n" + LENGTH, BODY),
    "a header without colon": raw(b"NoColon\r\n" + LENGTH, BODY),
    "a space in a header's name": raw(b"X A: b\r\n" + LENGTH, BODY),
    "a bare carriage return": raw(b"X-A: b\rContent-Length: 3\r\n" + LENGTH, BODY),
    "two hosts": raw(b"Host: y\r\n" + LENGTH, BODY + SMUGGLED),
    "the same host twice": raw(b"Host: x\r\n" + LENGTH, BODY + SMUGGLED),
    "two hosts in two spellings": raw(b"hOST: x\r\n" + LENGTH, BODY + SMUGGLED),
    "two credentials": raw(b"Authorization: Bearer kilo_" + b"q" * 32 + b"\r\n" + LENGTH, BODY + SMUGGLED),
    "the same credential twice": raw(b"Authorization: Bearer %b\r\n" % KEY + LENGTH, BODY + SMUGGLED),
    "two credentials in two spellings": raw(b"authorization: \r\n" + LENGTH, BODY + SMUGGLED),
    "two keys": raw(b"x-api-key: a\r\nx-api-key: b\r\n" + LENGTH, BODY + SMUGGLED),
    "two hosts and a body that is chunked": raw(b"Host: y\r\n" + CHUNKED, chunked(BODY) + SMUGGLED),
    "no request at all": b"\x16\x03\x01\x02\x00\x01\x00 hello\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a version that is none": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a method that is none": b"B\x00D / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_doubtful_framing_is_refused_and_nothing_goes_upstream(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(DOUBTFUL[name])
        answer = await caller.answer()
        assert 400 <= answer.status < 500
        assert answer.error()["message"]
        assert answer.headers["connection"] == "close"
        assert await caller.is_closed()
        assert bench.first.received == []

    run(test)


@pytest.mark.parametrize("name", DOUBTFUL)
def test_doubtful_framing_is_refused_however_it_is_cut(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.caller()
        for byte in DOUBTFUL[name]:
            caller.send(bytes([byte]))
            await caller.writer.drain()
        assert 400 <= (await caller.answer()).status < 500
        assert bench.first.received == []

    run(test)


ODD = {
    "lower case": request(BODY).replace(b"Authorization", b"authorization").replace(b"Content-Length", b"content-length"),
    "no space after the colon": request(BODY).replace(b"Host: ", b"Host:"),
    "empty lines before": b"\r\n\r\n" + request(BODY),
    "chunked": raw(CHUNKED, chunked(BODY)),
    "chunked in capitals": raw(b"TRANSFER-ENCODING: \tCHUNKED\r\n", chunked(BODY)),
    "many chunks": raw(CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "a chunk extension": raw(CHUNKED, b'%x;name="value"\r\n%b\r\n0\r\n\r\n' % (N, BODY)),
    "trailers": raw(CHUNKED, b"%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (N, BODY)),
    "an absolute target": request(BODY, path=b"http://gateway:3000" + PATH),
    "a query": request(BODY, path=PATH + b"?beta=true"),
    "doubled slashes": request(BODY, path=b"//v1///chat/completions/"),
    "odd clients' headers": request(BODY, b"HTTP-Referer: \xff\r\nX-Title: \r\nUser-Agent:\r\nX-KiloCode-Version: 0\r\n"),
    "a content type that is none": request(BODY, b"Content-Type: text/plain\r\n"),
    **{
        f"under {prefix}": request(BODY, path=prefix.encode() + b"/chat/completions")
        for prefix in ("/api/gateway", "/api/gateway/v1", "/api/openrouter", "/api/openrouter/v1", "/api/v1", "/v1")
    },
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_right_requests_are_served(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(ODD[name])
        assert (await caller.answer()).status == 200

    run(test)


@pytest.mark.parametrize("name", ["lower case", "chunked", "many chunks", "trailers", "empty lines before"])
def test_requests_may_come_byte_by_byte(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.caller()
        for byte in ODD[name]:
            caller.send(bytes([byte]))
            await caller.writer.drain()
        assert (await caller.answer()).status == 200

    run(test)


@pytest.mark.parametrize("cut", [-1, -5, -20, -N])
def test_a_chunked_body_may_come_in_several_reads_with_the_next_request_behind_it(run: Run, cut: int) -> None:
    data = raw(CHUNKED, chunked(BODY))

    async def test(bench: Bench) -> None:
        caller = await bench.caller()
        for part in (data[:cut], data[cut:] + request(BODY) + data[:cut], data[cut:]):
            caller.send(part)
            await caller.writer.drain()
            await asyncio.sleep(0.01)  # so that the parts are reads of their own
        assert [(await caller.answer()).status for _ in range(3)] == [200] * 3

    run(test)


def test_a_coding_that_is_not_known_is_named(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(DOUBTFUL["a coding before chunked"])
        assert "gzip, chunked" in (await caller.answer()).error()["message"]

    run(test)


def test_a_request_behind_trailers_is_not_lost(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(ODD["trailers"])
        answer = await caller.answer()
        if answer.headers.get("connection") == "close":
            assert await caller.is_closed()
        else:
            caller.send(request(BODY))
            assert (await caller.answer()).status == 200

    run(test)


def test_an_upgrade_that_is_offered_is_passed_over(run: Run) -> None:
    async def test(bench: Bench) -> None:
        offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
        caller = await bench.send(request(BODY, offer))
        answer = await caller.answer()
        assert answer.status == 200
        if answer.headers.get("connection") == "close":
            assert await caller.is_closed()
        else:
            caller.send(request(BODY))
            assert (await caller.answer()).status == 200

    run(test)


# Headers that may be sent once only

LARGE = asking("mock/one", padding="x" * 1_000_000)
TWO_HOSTS = request(BODY, b"Host: gateway\r\n")
PLACES = {
    "alone": (TWO_HOSTS,),
    "after a plain one": (request(BODY), TWO_HOSTS),
    "sent ahead": (request(BODY) + TWO_HOSTS,),
    "sent ahead, behind a chunked body": (raw(CHUNKED, chunked(BODY)) + TWO_HOSTS,),
    "behind the end of a large body": (request(LARGE)[:-5], request(LARGE)[-5:] + TWO_HOSTS),
    "begun behind a plain one": (request(BODY) + TWO_HOSTS[:9], TWO_HOSTS[9:]),
    "behind empty lines": (b"\r\n\r\n" + TWO_HOSTS,),
    "before a large body": (request(LARGE, b"Host: gateway\r\n"),),
    "before a body that goes on": (TWO_HOSTS[:-5], TWO_HOSTS[-5:]),
    "with as many line feeds in its body as it lacks": (request(BODY, b"Host: gateway\r\nX: y\r\n") + b"\r\n" * 4,),
    "who expects": (request(BODY, b"Host: gateway\r\nExpect: 100-continue\r\n"),),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_host_that_is_repeated_is_refused_wherever_its_request_stands(run: Run, name: str) -> None:
    before = b"".join(PLACES[name]).count(b"POST ") - 1

    async def test(bench: Bench) -> None:
        caller = await bench.caller()
        for part in PLACES[name]:
            caller.send(part)
            await caller.writer.drain()
            await asyncio.sleep(0.01)  # so that the parts are reads of their own
        assert [(await caller.answer()).status for _ in range(before)] == [200] * before
        answer = await caller.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert "Host" in answer.error()["message"]
        assert await caller.is_closed()
        assert len(bench.first.received) == before

    run(test)


def test_who_repeats_a_header_is_not_told_to_continue(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(BODY, b"Host: gateway\r\nExpect: 100-continue\r\n")[:-N])
        assert (await caller.until(b"\r\n")).startswith(b"HTTP/1.1 400 ")

    run(test)


def test_other_headers_may_be_repeated(run: Run) -> None:
    repeated = request(BODY, b"Accept: a\r\nAccept: b\r\nCookie: c\r\ncookie: d\r\n")

    async def test(bench: Bench) -> None:
        caller = await bench.send(repeated + repeated)
        assert [(await caller.answer()).status for _ in range(2)] == [200, 200]
        caller.send(request(BODY))
        assert (await caller.answer()).status == 200

    run(test)


def test_the_authorization_counts_beside_another_key(run: Run) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call(BODY, b"x-api-key: other\r\n")).status == 200

    run(test)


# HTTP/1.0


@pytest.mark.parametrize("lines", [b"", b"Connection: keep-alive\r\n"])
def test_an_http_1_0_caller_gets_no_chunks(run: Run, lines: bytes) -> None:
    async def test(bench: Bench) -> None:
        bench.first.scripts = [says(STREAM)]
        caller = await bench.send(request(asking(stream=True), lines, version=b"1.0"))
        answer = await caller.answer()
        assert not answer.is_chunked
        assert answer.body.endswith(b"data: [DONE]\n\n")

    run(test)


def test_an_http_1_0_caller_needs_no_host(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(version=b"1.0").replace(b"Host: gateway\r\n", b""))
        assert (await caller.answer()).status == 200
        assert await caller.is_closed()

    run(test)


def test_an_http_1_1_caller_needs_a_host(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request().replace(b"Host: gateway\r\n", b""))
        assert (await caller.answer()).status == 400

    run(test)


def test_who_says_connection_close_is_answered_and_closed(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(lines=b"Connection: close\r\n"))
        answer = await caller.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await caller.is_closed()

    run(test)


# Expect


def test_who_expects_is_told_to_continue_and_then_answered(run: Run) -> None:
    async def test(bench: Bench) -> None:
        data = request(BODY, b"Expect: 100-continue\r\n")
        caller = await bench.send(data[:-N])
        assert await caller.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.send(data[-N:])
        assert (await caller.answer()).status == 200

    run(test)


def test_who_expects_and_sends_at_once_is_answered(run: Run) -> None:
    async def test(bench: Bench) -> None:
        assert (await bench.call(BODY, b"Expect: 100-continue\r\n")).status == 200

    run(test)


@pytest.mark.parametrize(
    ("change", "status"),
    [((KEY, b"kilo_" + b"q" * 32), 401), ((LENGTH, b"Content-Length: 99999999\r\n"), 413), ((b"POST", b"PUT"), 405)],
)
def test_who_expects_what_is_refused_is_told_so_without_its_body(run: Run, change: tuple[bytes, bytes], status: int) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(BODY, b"Expect: 100-continue\r\n")[:-N].replace(*change))
        assert (await caller.answer()).status == status
        assert await caller.is_closed()

    run(test)


# Limits


@pytest.mark.parametrize("name", [b"X-%d", b"a", b"Cookie"])
@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431), (3000, 431)])
def test_a_request_may_have_a_hundred_headers_alike_or_not(run: Run, name: bytes, count: int, status: int) -> None:
    lines = b"".join(b"%b: b\r\n" % (name % n if b"%" in name else name) for n in range(count - 3))

    async def test(bench: Bench) -> None:
        caller = await bench.send(request(BODY, lines))
        answer = await caller.answer()
        assert answer.status == status
        if status != 200:
            assert answer.error()["code"] == "headers_too_large"
            assert await caller.is_closed()

    run(test)


@pytest.mark.parametrize("size", [70_000, 200_000, 2_000_000])
@pytest.mark.parametrize("shape", [b"X-Long: %b\r\n", b"%b: x\r\n"])
def test_more_than_64_kb_of_headers_are_too_much(run: Run, size: int, shape: bytes) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(BODY, shape % (b"y" * size)))
        assert (await caller.answer()).status == 431
        assert await caller.is_closed()

    run(test)


EXTENDED = b"".join(b"1;%b\r\n%c\r\n" % (b"x" * 300, byte) for byte in BODY)
TINY = b"".join(b"1\r\n%c\r\n" % byte for byte in asking("mock/one", padding="x" * 100_000))
FRAMED = {
    "a long extension": b"%x;%b\r\n%b\r\n0\r\n\r\n" % (N, b"x" * 200_000, BODY),
    "a long extension without end": b"%x;%b" % (N, b"x" * 200_000),
    "a long extension of the last chunk": b"%x\r\n%b\r\n0;%b\r\n\r\n" % (N, BODY, b"x" * 200_000),
    "many extensions": EXTENDED * 6 + b"0\r\n\r\n",
    "a long trailer": b"%x\r\n%b\r\n0\r\nX: %b\r\n\r\n" % (N, BODY, b"x" * 200_000),
    "a trailer with a long name": b"%x\r\n%b\r\n0\r\n%b" % (N, BODY, b"x" * 200_000),
    "many trailers": b"%x\r\n%b\r\n0\r\n%b\r\n" % (N, BODY, b"X: y\r\n" * 30_000),
    "many zeros": b"%b%x\r\n%b\r\n0\r\n\r\n" % (b"0" * 200_000, N, BODY),
    "an extension behind many small chunks": TINY + b"0;%b\r\n\r\n" % (b"x" * 200_000),
}


@pytest.mark.parametrize("name", FRAMED)
@pytest.mark.parametrize("is_second", [False, True])
def test_chunks_with_more_framing_than_body_are_refused(run: Run, name: str, is_second: bool) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.caller()
        if is_second:
            caller.send(raw(CHUNKED, chunked(BODY)))
            assert (await caller.answer()).status == 200
        caller.send(raw(CHUNKED, FRAMED[name]))
        answer = await caller.answer()
        assert (answer.status, answer.headers["connection"]) in {(431, "close"), (400, "close")}
        assert await caller.is_closed()
        assert len(bench.first.received) == is_second

    run(test)


FAIRLY_FRAMED = {
    "one byte a chunk": TINY + b"0\r\n\r\n",
    "short extensions": b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in LARGE[:1000]) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE) - 1000, LARGE[1000:]),
    "a signature a chunk": b"".join(b"%x;s=%b\r\n%b\r\n" % (len(LARGE[n : n + 65536]), b"f" * 64, LARGE[n : n + 65536]) for n in range(0, len(LARGE), 65536)) + b"0\r\n\r\n",
    "some trailers": chunked(BODY)[:-2] + b"X: %b\r\n" % (b"x" * 1000) * 30 + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FAIRLY_FRAMED)
def test_chunks_with_fair_framing_are_served(run: Run, name: str) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(raw(CHUNKED, FAIRLY_FRAMED[name]))
        assert (await caller.answer()).status == 200

    run(test)


def test_a_body_in_tiny_chunks_takes_no_more_memory_than_it_has_bytes() -> None:
    coming = Request()
    body = ChunkedBody(coming)
    for _ in range(1000):
        assert body.take(b"2\r\nab\r\n" * 100) == b""
        assert coming.parts == []
    assert body.take(b"0\r\n\r\nnext") == b"next"
    assert coming.parts == [b"ab" * 100_000]


def test_a_long_path_is_too_long(run: Run) -> None:
    async def test(bench: Bench) -> None:
        caller = await bench.send(request(BODY, path=b"/" + b"x" * 9000))
        assert (await caller.answer()).status == 414

    run(test)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_above_64_mib_is_too_large(run: Run, is_chunked: bool) -> None:
    async def test(bench: Bench) -> None:
        size = 64 * 1024 * 1024 + 1
        caller = await bench.send(raw(CHUNKED if is_chunked else b"Content-Length: %d\r\n" % size, b""))
        piece = b" " * (1 << 20)
        for _ in range(65):
            caller.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        answer = await caller.answer()
        assert (answer.status, answer.error()["code"]) == (413, "request_too_large")
        assert bench.first.received == []

    run(test)


def test_a_body_of_just_64_mib_is_taken(run: Run) -> None:
    async def test(bench: Bench) -> None:
        frame = asking(padding="")
        body = asking(padding="x" * (64 * 1024 * 1024 - len(frame)))
        assert len(body) == 64 * 1024 * 1024
        assert (await bench.call(body)).status == 200
        assert len(bench.first.received[0].body) > 64 * 1024 * 1024 - 100

    run(test)

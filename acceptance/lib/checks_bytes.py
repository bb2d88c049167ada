"""Requests that should be refused, and unusual ones that should not: bodies, encodings, framing, pipelining."""

import base64
import gzip
import hashlib
import json
import time
import zlib

import wire
from checks_access import ok, url
from harness import (
    PROMPT_CANARY, Gateway, Skip, check, config, error_of, gateway, gw, info, model, refused, same_events, say_to, send, stream_reply,
    STREAM, up, upstream,
)  # fmt: skip
from wire import Conn, chunked, request

MIB64 = 64 * 1024 * 1024


@gateway("bytes")
def bytes_gateway() -> Gateway:
    return Gateway("bytes", config(upstream("alpha", url(0), model("t/a"))))


def zstd(data: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise Skip("no zstandard module in the checks' Python") from None
    return zstandard.ZstdCompressor().compress(data)


def unharmed(g: Gateway, since: int, may_ask: bool = False) -> None:
    """Nothing went upstream, and the next caller is served."""
    asked = up().tell("count") - since
    assert may_ask or asked == 0, f"{asked} requests went upstream"
    ok(g.post(say_to("t/a")))


def says_no(body: bytes, *statuses: int, headers: dict[str, str] | None = None, timeout: float = 15) -> wire.Answer:
    g = gw("bytes")
    since = up().tell("count")
    answer = g.post(body, headers=headers, timeout=timeout)
    refused(answer, *statuses)
    unharmed(g, since)
    return answer


MSG = b'"messages":[{"role":"user","content":"hi %b"}]' % PROMPT_CANARY.encode()
BODIES = {
    "empty": b"", "space": b"   ", "brace": b"{", "cut": b'{"model":"t/a",' + MSG, "trailing-comma": b'{"model":"t/a",%b,}' % MSG,
    "single-quotes": b"{'model':'t/a'}", "two-values": b'{"model":"t/a",%b} {}' % MSG, "trailing-garbage": b'{"model":"t/a",%b}x' % MSG,
    "array": b'[{"model":"t/a"}]', "string": b'"t/a"', "number": b"17", "null": b"null", "true": b"true",
    "nan": b'{"model":"t/a",%b,"temperature":NaN}' % MSG, "infinity": b'{"model":"t/a",%b,"temperature":Infinity}' % MSG,
    "minus-infinity": b'{"model":"t/a",%b,"x":[-Infinity]}' % MSG, "nan-deep": b'{"model":"t/a",%b,"x":{"y":[1,NaN]}}' % MSG,
    "no-model": b"{%b}" % MSG, "model-null": b'{"model":null,%b}' % MSG, "model-number": b'{"model":7,%b}' % MSG,
    "model-object": b'{"model":{},%b}' % MSG, "model-empty": b'{"model":"",%b}' % MSG, "stream-string": b'{"model":"t/a",%b,"stream":"yes"}' % MSG,
    "bad-escape": b'{"model":"t/a","messages":"\\x"}', "control-character": b'{"model":"t/a","x":"a\nb",%b}' % MSG,
    "leading-zero": b'{"model":"t/a","x":01,%b}' % MSG, "comment": b'{"model":"t/a",/* x */%b}' % MSG, "utf16": '{"model":"t/a"}'.encode("utf-16"),
}  # fmt: skip
for name, body in BODIES.items():

    @check(f"body.{name}", f"body {name}: a clear 4xx, nothing goes upstream")
    def _(body=body):
        says_no(body, *((404, 400, 422) if b'"model":""' in body else (400, 422)))


BAD_UTF8 = {"lone-byte": b"\xff", "cut-sequence": b"\xe2\x98", "overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "too-high": b"\xf5\x80\x80\x80"}
PLACES = {
    "content": b'{"model":"t/a","messages":[{"role":"user","content":"ab%bcd"}]}', "model": b'{"model":"t/a%b",' + MSG + b"}",
    "key": b'{"model":"t/a",' + MSG + b',"k%b":1}', "unknown-field": b'{"model":"t/a",' + MSG + b',"x":{"deep":["%b"]}}',
    "last-byte": b'{"model":"t/a",' + MSG + b',"x":"' + b"y" * 70_000 + b'%b"}',
}  # fmt: skip
for place, template in PLACES.items():

    @check(f"utf8.{place}", f"invalid UTF-8 in {place} ({', '.join(BAD_UTF8)}): 400")
    def _(template=template):
        before, _, after = template.partition(b"%b")
        for name, bad in BAD_UTF8.items():
            try:
                says_no(before + bad + after, 400, 404 if b"t/a%b" in template else 400, 422)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None


def deep(levels: int, opening: bytes = b"[", closing: bytes = b"]", core: bytes = b"1", mark: str = "ok") -> bytes:
    """A body that nests `levels` deep, its own object counted."""
    inside = opening * (levels - 1) + core + closing * (levels - 1)
    return b'{"model":"t/a","messages":[{"role":"user","content":"script:%b"}],"x":%b}' % (mark.encode(), inside)


@check("nesting.512", "nesting of 512 (the body's own object counted) goes upstream unchanged")
def _():
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        script = up().script(["echo"])
        body = deep(512, opening, closing, mark=script)
        ok(gw("bytes").post(body))
        sent = base64.b64decode(up().one(script)["body"])
        assert sent.count(opening) >= 511, f"{sent.count(opening)} levels went upstream"


@check("nesting.513", "nesting of 513: 400")
def _():
    says_no(deep(513), 400, 413, 422)
    says_no(deep(513, b'{"a":', b"}"), 400, 413, 422)


@check("nesting.more", "nesting of 600, 10,000, 1,000,000, closed or not: 400, at once")
def _():
    for levels in (600, 10_000, 1_000_000):
        started = time.monotonic()
        says_no(deep(levels), 400, 413, 422)
        says_no(b'{"model":"t/a","x":' + b"[" * levels, 400, 413, 422)
        assert time.monotonic() - started < 3, f"{levels} levels took {time.monotonic() - started:.1f} s"


@check("nesting.brackets-in-strings", "20,000 brackets inside strings are no nesting")
def _():
    ok(gw("bytes").post(say_to("t/a", x="[" * 10_000 + "{" * 10_000 + '\\"[[')))


@check("surrogate-escapes", "\\ud83d\\ude00 and a lone \\ud800 in a string never give a 5xx; the pair goes upstream as written")
def _():
    script = up().script(["echo"])
    ok(gw("bytes").post(b'{"model":"t/a","messages":[{"role":"user","content":"script:%b \\ud83d\\ude00"}]}' % script.encode()))
    assert b"\\ud83d\\ude00" in base64.b64decode(up().one(script)["body"])
    lone = gw("bytes").post(b'{"model":"t/a","messages":[{"role":"user","content":"\\ud800"}]}')
    assert lone.status < 500, f"{lone}"


# -- size


def _sized(size: int, mark: str = "ok") -> bytes:
    head = b'{"model":"t/a","messages":[{"role":"user","content":"script:%b ' % mark.encode()
    return head + b"x" * (size - len(head) - 4) + b'"}]}'


@check("size.64mib", "a body of exactly 64 MiB goes upstream whole", timeout=60)
def _():
    script = up().script(["echo"])
    ok(gw("bytes").post(_sized(MIB64, script), timeout=50))
    row = up().one(script)
    assert abs(row["length"] - MIB64) < 200, f"{row['length']} bytes went upstream"


@check("size.declared", "Content-Length over 64 MiB: 413 at once, before the body is sent, and the connection is closed")
def _():
    g = gw("bytes")
    since = up().tell("count")
    with Conn(g.port) as conn:
        conn.send(request("POST", "/v1/chat/completions", {"Authorization": f"Bearer {g.key}", "Content-Length": str(MIB64 + 1)}))
        refused(conn.read(), 413)
        conn.try_send(b"x" * 100_000)
        assert conn.is_closed(), "the connection stays open"
    unharmed(g, since)


@check("size.sent", "a body over 64 MiB that is sent all the same: 413 arrives, no reset eats it", timeout=60)
def _():
    g = gw("bytes")
    since = up().tell("count")
    with Conn(g.port, 30) as conn:
        conn.try_send(g.head(_sized(MIB64 + 1)))
        refused(conn.read(), 413)
    unharmed(g, since)


@check("size.chunked", "a chunked body over 64 MiB: 413", timeout=60)
def _():
    g = gw("bytes")
    since = up().tell("count")
    with Conn(g.port, 30) as conn:
        conn.send(request("POST", "/v1/chat/completions", {"Authorization": f"Bearer {g.key}", "Transfer-Encoding": "chunked"}))
        piece = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
        for _ in range(70):
            if not conn.try_send(piece):
                break
        refused(conn.read(), 413)
    unharmed(g, since)


BOMB = b'{"model":"t/a",' + MSG + b',"x":"' + b"a" * (MIB64 + 1000) + b'"}'


@check("size.gzip-bomb", "gzip that unpacks to over 64 MiB: 413", timeout=60)
def _():
    says_no(gzip.compress(BOMB, 6), 413, headers={"Content-Encoding": "gzip"}, timeout=40)


@check("size.gzip-bomb-members", "the same spread over two gzip members: 413", timeout=60)
def _():
    half = len(BOMB) // 2
    answer = gw("bytes").post(gzip.compress(BOMB[:half], 6) + gzip.compress(BOMB[half:], 6), headers={"Content-Encoding": "gzip"}, timeout=40)
    refused(answer, 413, 400)


@check("size.zstd-bomb", "zstd that unpacks to over 64 MiB: 413", timeout=60)
def _():
    says_no(zstd(BOMB), 413, headers={"Content-Encoding": "zstd"}, timeout=40)


@check("size.bomb-1gb", "10 MB of gzip that would unpack to 10 GB: 413 quickly, workers do not grow by more than 200 MB", timeout=60)
def _():
    from harness import rss_kib

    g = gw("bytes")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    unit = squeeze.compress(b" " * 50_000_000) + squeeze.flush(zlib.Z_FULL_FLUSH)
    more = squeeze.compress(b" " * 50_000_000) + squeeze.flush(zlib.Z_FULL_FLUSH)
    before, started = sum(map(rss_kib, g.workers_pids())), time.monotonic()
    refused(g.post(unit + more * 200, headers={"Content-Encoding": "gzip"}, timeout=40), 413)
    took = time.monotonic() - started
    grown = (sum(map(rss_kib, g.workers_pids())) - before) / 1024
    assert took < 5 and grown < 200, f"{took:.1f} s, grown by {grown:.0f} MB"


# -- encodings

GOOD = {
    "gzip": (lambda d: gzip.compress(d), "gzip"), "x-gzip-upper": (lambda d: gzip.compress(d), "GZIP"), "zstd": (lambda d: zstd(d), "zstd"),
    "identity": (lambda d: d, "identity"), "gzip-two-members": (lambda d: gzip.compress(d[:30]) + gzip.compress(d[30:]), "gzip"),
}  # fmt: skip
for name, (pack, encoding) in GOOD.items():

    @check(f"encoding.{name}", f"a request body with Content-Encoding {encoding} is unpacked, whole and chunked; upstream gets it plain")
    def _(pack=pack, encoding=encoding):
        g = gw("bytes")
        for is_chunked in (False, True):
            script = up().script(["echo"])
            data = pack(say_to("t/a", script, filler="z" * 5000))
            headers = {"Authorization": f"Bearer {g.key}", "Content-Encoding": encoding}
            if is_chunked:
                headers["Transfer-Encoding"] = "chunked"
            ok(wire.ask(g.port, request("POST", "/v1/chat/completions", headers, chunked(data, 100) if is_chunked else data)))
            row = up().one(script)
            assert json.loads(base64.b64decode(row["body"]))["filler"] == "z" * 5000
            assert "content-encoding" not in row["head"].lower(), f"{row['head'][:200]!r}"


BAD_PACKED = {
    "gzip-corrupt": (lambda d: gzip.compress(d)[:15] + b"\xff\xfe\xfd" + gzip.compress(d)[18:], "gzip", (400,)),
    "gzip-cut": (lambda d: gzip.compress(d)[:-9], "gzip", (400,)), "gzip-not": (lambda d: d, "gzip", (400,)),
    "gzip-trailing": (lambda d: gzip.compress(d) + b"garbage", "gzip", (400,)), "zstd-not": (lambda d: d, "zstd", (400,)),
    "zstd-cut": (lambda d: zstd(d)[:-5], "zstd", (400,)), "unknown": (lambda d: d, "rot13", (415, 400)),
    "gzip-bad-utf8": (lambda d: gzip.compress(d.replace(b"user", b"\xff\xfe")), "gzip", (400,)),
}  # fmt: skip
for name, (pack, encoding, statuses) in BAD_PACKED.items():

    @check(f"encoding.bad-{name}", f"Content-Encoding {name}: {'/'.join(map(str, statuses))}")
    def _(pack=pack, encoding=encoding, statuses=statuses):
        says_no(pack(say_to("t/a", filler="zyx" * 300)), *statuses, headers={"Content-Encoding": encoding})


# -- framing that is in doubt


def raw(lines: str, body: bytes = b"", key: bool = True) -> bytes:
    g = gw("bytes")
    auth = f"Authorization: Bearer {g.key}\r\n" if key else ""
    return f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{auth}{lines}\r\n".encode("latin-1") + body


BODY = say_to("t/a")
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: smuggled\r\n\r\n"
N = len(BODY)
SMUGGLING = {
    "cl-te": (f"Content-Length: {N}\r\nTransfer-Encoding: chunked\r\n", chunked(BODY) + SMUGGLED),
    "te-cl": (f"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunked(BODY) + SMUGGLED),
    "cl-cl": (f"Content-Length: {N}\r\nContent-Length: {N + 10}\r\n", BODY + SMUGGLED),
    "cl-list": (f"Content-Length: {N}, {N + 10}\r\n", BODY + SMUGGLED),
    "cl-negative": ("Content-Length: -1\r\n", BODY), "cl-plus": (f"Content-Length: +{N}\r\n", BODY), "cl-hex": (f"Content-Length: {N:#x}\r\n", BODY),
    "cl-huge": ("Content-Length: 99999999999999999999999999\r\n", BODY), "cl-empty": ("Content-Length: \r\n", BODY),
    "te-unknown": ("Transfer-Encoding: xchunked\r\n", chunked(BODY) + SMUGGLED), "te-twice": ("Transfer-Encoding: chunked, chunked\r\n", chunked(BODY)),
    "te-not-last": ("Transfer-Encoding: chunked, identity\r\n", chunked(BODY) + SMUGGLED),
    "te-space": ("Transfer-Encoding : chunked\r\n", chunked(BODY) + SMUGGLED), "te-vtab": ("Transfer-Encoding: \x0bchunked\r\n", chunked(BODY) + SMUGGLED),
    "chunk-size-bad": ("Transfer-Encoding: chunked\r\n", b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk-size-negative": ("Transfer-Encoding: chunked\r\n", b"-5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk-size-huge": ("Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\n" + BODY),
    "chunk-size-0x": ("Transfer-Encoding: chunked\r\n", b"0x%x\r\n%b\r\n0\r\n\r\n" % (N, BODY)),
    "chunk-short": ("Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (N - 3, BODY)),
    "chunk-bare-lf": ("Transfer-Encoding: chunked\r\n", b"%x\n%b\n0\n\n" % (N, BODY)),
    "obs-fold": (f"X-A: b\r\n Content-Length: 3\r\nContent-Length: {N}\r\nX-B: c\r\n\td\r\nTransfer-Encoding:\r\n chunked\r\n", BODY),
    "nul-in-header": (f"X-A: b\0c\r\nContent-Length: {N}\r\n", BODY), "no-colon": (f"NoColon\r\nContent-Length: {N}\r\n", BODY),
    "space-in-name": (f"X A: b\r\nContent-Length: {N}\r\n", BODY), "bare-cr": (f"X-A: b\rContent-Length: 3\r\nContent-Length: {N}\r\n", BODY),
}  # fmt: skip
for name, (lines, body) in SMUGGLING.items():

    @check(f"framing.{name}", f"framing {name}: one 4xx, then the connection is closed; nothing goes upstream")
    def _(lines=lines, body=body):
        g = gw("bytes")
        since = up().tell("count")
        with Conn(g.port, 8) as conn:
            conn.try_send(raw(lines, body))
            answer = conn.read()
            assert 400 <= answer.status < 500, f"{answer}"
            assert conn.is_closed(), f"stays open, or says more: {conn.buffer[:120]!r}"
        unharmed(g, since)


NOT_HTTP = {
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(20),
    "garbage": b"\xff\xfe\xfd\xfc\r\n\r\n", "no-version": b"GET /v1/models\r\n\r\n", "version-9": b"GET /v1/models HTTP/9.9\r\n\r\n",
    "method-odd": b"G\x01T /v1/models HTTP/1.1\r\nHost: x\r\n\r\n", "path-space": b"GET /v1/mo dels HTTP/1.1\r\nHost: x\r\n\r\n",
}  # fmt: skip
for name, data in NOT_HTTP.items():

    @check(f"framing.not-http-{name}", f"{name}: a 4xx or a close, no hang, no 5xx (505 aside)")
    def _(data=data, name=name):
        g = gw("bytes")
        with Conn(g.port, 8) as conn:
            conn.try_send(data)
            try:
                answer = conn.read("GET")
                assert 400 <= answer.status < 500 or answer.status == 505 or name == "no-version", f"{answer}"
            except wire.Ended:
                assert conn.end != "silence", "neither an answer nor a close in 8 s"
        ok(g.post(say_to("t/a")))


HEADS = {
    "too-many": ("".join(f"X-H{n}: v\r\n" for n in range(2000)), (431, 400)), "one-huge": ("X-H: " + "v" * 1_000_000 + "\r\n", (431, 400)),
    "long-name": ("X" * 200_000 + ": v\r\n", (431, 400)), "total": ("".join(f"X-H{n}: {'v' * 4000}\r\n" for n in range(90)), (431, 400)),
}  # fmt: skip
for name, (lines, statuses) in HEADS.items():

    @check(f"headers.over-{name}", f"headers {name}: 431, connection closed")
    def _(lines=lines, statuses=statuses):
        g = gw("bytes")
        since = up().tell("count")
        with Conn(g.port) as conn:
            conn.try_send(raw(lines + f"Content-Length: {N}\r\n", BODY))
            answer = conn.read()
            assert answer.status in statuses, f"{answer}"
            assert conn.is_closed(), "stays open"
        unharmed(g, since)


@check("headers.forty", "60 headers and 12 KB of them are nothing unusual")
def _():
    ok(gw("bytes").post(say_to("t/a"), headers={f"X-H{n}": "v" * 200 for n in range(60)}))


@check("headers.long-uri", "a path of 200 KB: 414 (or 431, 400), no hang")
def _():
    with Conn(gw("bytes").port) as conn:
        conn.try_send(request("GET", "/v1/models?" + "q" * 200_000))
        answer = conn.read("GET")
    assert answer.status in (414, 431, 400), f"{answer}"


@check("headers.slow", "headers that come a byte a second: a 4xx and a close within 75 s, others served meanwhile", timeout=100, waits=True)
def _():
    g = gw("bytes")
    started = time.monotonic()
    with Conn(g.port, 1.0) as conn:
        conn.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        while time.monotonic() - started < 75:
            conn.more()
            if conn.buffer or conn.end not in ("silence", ""):
                break
            conn.try_send(b"s")
        took = time.monotonic() - started
        assert took < 75, "still open after 75 s"
        assert conn.buffer.startswith(b"HTTP/1.1 4"), f"{conn.end}: {conn.buffer[:120]!r}"
        while conn.more():
            pass
        assert conn.end != "silence", "answered but not closed"
    info("headers.slow-after", f"{took:.1f} s")
    ok(g.post(say_to("t/a")))


@check("headers.slow-nothing", "100 connections that send half a head do not keep others out", waits=True)
def _():
    g = gw("bytes")
    conns = [Conn(g.port) for _ in range(100)]
    for conn in conns:
        conn.send(b"POST /v1/chat/compl")
    started = time.monotonic()
    ok(g.post(say_to("t/a")))
    assert time.monotonic() - started < 2
    [conn.close() for conn in conns]


# -- framing that is fine


@check("http.expect", "Expect: 100-continue: 100 comes before the body is sent, then the answer")
def _():
    g = gw("bytes")
    with Conn(g.port) as conn:
        conn.send(raw(f"Expect: 100-continue\r\nContent-Length: {N}\r\n"))
        interim = conn._until(b"\r\n\r\n")
        assert interim.startswith(b"HTTP/1.1 100"), f"{interim!r}"
        conn.send(BODY)
        ok(conn.read())


@check("http.expect-at-once", "Expect with the body sent without waiting")
def _():
    ok(wire.ask(gw("bytes").port, raw(f"Expect: 100-continue\r\nContent-Length: {N}\r\n", BODY)))


@check("http.expect-refused", "Expect with a wrong key or too large a length: the refusal, not 100")
def _():
    g = gw("bytes")
    with Conn(g.port) as conn:
        conn.send(raw(f"Expect: 100-continue\r\nContent-Length: {MIB64 + 1}\r\n"))
        answer = conn.read()
        assert answer.status == 413 and not answer.interim, f"{answer.interim} {answer}"
    with Conn(g.port) as conn:
        conn.send(raw(f"Authorization: Bearer kilo_{'q' * 32}\r\nExpect: 100-continue\r\nContent-Length: {N}\r\n", key=False))
        answer = conn.read()
        assert answer.status == 401 and not answer.interim, f"{answer.interim} {answer}"


@check("http.expect-unknown", "Expect: something else: 417 or ignored, never a hang")
def _():
    answer = wire.ask(gw("bytes").port, raw(f"Expect: 200-maybe\r\nContent-Length: {N}\r\n", BODY))
    assert answer.status in (200, 417), f"{answer}"


for name, coding in {"plain": chunked(BODY), "one-byte": chunked(BODY, 1), "extension": b"%x;a=b;c=\"d\"\r\n%b\r\n0;e=f\r\n\r\n" % (N, BODY),
                     "trailers": b"%x\r\n%b\r\n0\r\nX-Trailer: t\r\nX-More: u\r\n\r\n" % (N, BODY), "upper-case": b"%X\r\n%b\r\n0\r\n\r\n" % (N, BODY)}.items():  # fmt: skip

    @check(f"http.chunked-{name}", f"a chunked request body ({name}); the connection goes on")
    def _(coding=coding):
        with Conn(gw("bytes").port) as conn:
            for _ in range(2):
                conn.send(raw("Transfer-Encoding: chunked\r\n", coding))
                ok(conn.read())


@check("http.byte-by-byte", "a request that comes byte by byte")
def _():
    g = gw("bytes")
    with Conn(g.port) as conn:
        for byte in g.head(say_to("t/a")):
            conn.sock.sendall(bytes((byte,)))
            time.sleep(0.0005)
        ok(conn.read())


@check("http.keep-alive", "200 requests on one connection, JSON and streams in turn")
def _():
    g = gw("bytes")
    with Conn(g.port) as conn:
        for n in range(200):
            conn.send(g.head(say_to("t/a", stream=bool(n % 2))))
            ok(conn.read())


@check("http.keep-alive-after-refusal", "a refusal whose framing is not in doubt leaves the connection usable (or says close)")
def _():
    g = gw("bytes")
    with Conn(g.port) as conn:
        conn.send(g.head(b"{"))
        answer = conn.read()
        refused(answer, 400)
        if (answer.header("connection") or "").lower() != "close":
            conn.send(g.head(say_to("t/a")))
            ok(conn.read())


@check("http.connection-close", "Connection: close is obeyed, and said, for JSON and streams")
def _():
    g = gw("bytes")
    for stream in (False, True):
        with Conn(g.port) as conn:
            conn.send(g.head(say_to("t/a", stream=stream), headers={"Connection": "close"}))
            answer = ok(conn.read())
            assert (answer.header("connection") or "").lower() == "close", f"{answer.headers}"
            assert conn.is_closed(), "stays open"


def _marked(n: int, delay: float = 0.0) -> str:
    body = b'{"id":"p%d","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}' % n
    from harness import json_reply

    return up().script(["sleep", delay], json_reply(body))


@check("http.pipelined", "20 pipelined requests in one write, the first one slow: 20 answers in order")
def _():
    g = gw("bytes")
    scripts = [_marked(n, 0.5 if n == 0 else 0) for n in range(20)]
    with Conn(g.port) as conn:
        conn.send(b"".join(g.head(say_to("t/a", script)) for script in scripts))
        ids = [ok(conn.read()).json()["id"] for _ in scripts]
    assert ids == [f"p{n}" for n in range(20)], f"{ids}"


@check("http.pipelined-mixed", "pipelined: stream, GET, refusal, JSON; answered in order")
def _():
    g = gw("bytes")
    stream = up().script(["sleep", 0.3], stream_reply(STREAM))
    with Conn(g.port) as conn:
        conn.send(g.head(say_to("t/a", stream, stream=True)) + request("GET", "/v1/models") + g.head(say_to("none/such")) + g.head(BODY))
        same_events(conn.read())
        assert conn.read("GET").json()["data"]
        refused(conn.read(), 404)
        ok(conn.read())


@check("http.pipelined-models", "100 pipelined GET …/models and 100 pipelined chats: all answered in order")
def _():
    g = gw("bytes")
    for data, method in ((request("GET", "/v1/models"), "GET"), (g.head(BODY), "POST")):
        with Conn(g.port) as conn:
            conn.try_send(data * 100)
            for n in range(100):
                try:
                    answer = conn.read(method)
                except wire.Ended as error:
                    raise AssertionError(f"{method}: after {n} answers: {error}") from None
                assert answer.status == 200, f"{answer}"


@check("http.pipelined-flood", "5,000 pipelined requests: memory bounded, all answered in order", timeout=60)
def _():
    g = gw("bytes")
    data = request("GET", "/v1/models") * 5000
    import threading

    with Conn(g.port, 30) as conn:
        threading.Thread(target=conn.try_send, args=(data,), daemon=True).start()
        for _ in range(5000):
            answer = conn.read("GET")
            assert answer.status == 200, f"{answer}"


@check("http.1.0", "an HTTP/1.0 caller: no chunked coding, closed at the end, whole (JSON and stream)")
def _():
    g = gw("bytes")
    script = up().script(stream_reply(STREAM))
    for body in (say_to("t/a"), say_to("t/a", script, stream=True)):
        with Conn(g.port) as conn:
            conn.send(request("POST", "/v1/chat/completions", {"Authorization": f"Bearer {g.key}"}, body, version="1.0", host=None))
            answer = ok(conn.read())
            assert not answer.is_chunked, "chunked to HTTP/1.0"
            assert answer.header("content-length") or conn.end == "eof" or conn.is_closed(), "not closed at the end"
            if b"stream" in body:
                same_events(answer)
            else:
                assert answer.json()["choices"]


@check("http.1.0-keep-alive", "HTTP/1.0 with Connection: keep-alive is answered; kept or closed, never hung")
def _():
    g = gw("bytes")
    data = request("POST", "/v1/chat/completions", {"Authorization": f"Bearer {g.key}", "Connection": "keep-alive"}, BODY, version="1.0")
    with Conn(g.port) as conn:
        conn.send(data)
        answer = ok(conn.read())
        if (answer.header("connection") or "").lower() == "keep-alive":
            conn.send(data)
            ok(conn.read())
        else:
            assert conn.is_closed(), "neither said keep-alive nor closed"


@check("http.no-host", "a missing Host in HTTP/1.1 never gives a 5xx")
def _():
    answer = wire.ask(gw("bytes").port, request("POST", "/v1/chat/completions", {"Authorization": f"Bearer {gw('bytes').key}"}, BODY, host=None))
    assert answer.status in (200, 400), f"{answer}"


@check("http.large-body", "bodies of 100 KB and 500 KB go upstream whole, with the same bytes in them")
def _():
    for size in (100_000, 500_000):
        script = up().script(["echo"])
        body = _sized(size, script)
        ok(gw("bytes").post(body))
        row = up().one(script)
        sent = base64.b64decode(row["body"])
        assert json.loads(sent)["messages"] == json.loads(body)["messages"], "messages differ"
        assert hashlib.sha256(sent).hexdigest() == row["sha256"]


@check("http.body-to-get", "GET with a body, and a POST without one, never hang or give a 5xx")
def _():
    g = gw("bytes")
    with Conn(g.port) as conn:
        conn.send(request("GET", "/v1/models", body=b"{}"))
        assert conn.read("GET").status < 500
        conn.send(request("POST", "/v1/chat/completions", {"Authorization": f"Bearer {g.key}"}))
        refused(conn.read())
    error_of(g.post(b""))

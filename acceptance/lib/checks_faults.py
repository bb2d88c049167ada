"""What comes back when an upstream fails: the next endpoint, an error, one error event; never a clean end, never a hang."""

import re
import socket
import threading
import time

import wire
from checks_access import ok, url
from harness import (
    BEFORE_USAGE, DONE, EVENTS, JSON_BODY, LAST_CHUNK, STREAM, STREAM_HEAD, Gateway, broken_end, check, chunk, closed_within, config,
    error_of, eventually, flood, free_port, gateway, gw, info, json_head, json_reply, model, refused, rss_kib, same_events, say_to, send,
    set_to, setting, stamped, stream_reply, up, upstream,
)  # fmt: skip

ERROR_JSON = b'{"error":{"message":"it broke","type":"server_error","code":500}}'
ERROR_EVENT = b'data: {"error":{"message":"it broke inside","type":"server_error","code":502}}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

# Before the first payload byte of either kind of answer. (steps, statuses a lone endpoint's failure may be told with)
BOTH = {
    "close": [["close"]],
    "reset": [["reset"]],
    "garbage": [send(b"\x16\x03\x01\x02\x00 no http at all \xff\xfe\r\n\r\n"), ["close"]],
    "half-head": [send(b"HTTP/1.1 200 OK\r\nContent-Ty"), ["close"]],
    "bad-status-line": [send(b"HTTP/1.1 2OO OK\r\nContent-Length: 2\r\n\r\n{}")],
    "500": [json_reply(ERROR_JSON, status=b"500 Internal Server Error")],
    "502-html": [send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>")],
    "503": [json_reply(b'{"error":{"message":"overloaded"}}', status=b"503 Service Unavailable")],
    "503-empty": [send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")],
    "429": [json_reply(b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}', b"Retry-After: 1\r\n", b"429 Too Many Requests")],
    "302": [send(b"HTTP/1.1 302 Found\r\nLocation: /v1/elsewhere\r\nContent-Length: 0\r\n\r\n")],
    "200-html": [send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>")],
    "200-empty": [send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n")],
    "error-in-200": [json_reply(ERROR_JSON)],
    "huge-head": [send(HEAD + b"X-A: " + b"a" * 2_000_000 + b"\r\nContent-Length: 2\r\n\r\n{}"), ["close"]],
    "two-lengths": [send(HEAD + b"Content-Length: 5\r\nContent-Length: 900\r\n\r\n{}"), ["close"]],
}
JSON_ONLY = {
    "json-short": [send(json_head(len(JSON_BODY) + 50) + JSON_BODY), ["close"]],
    "json-short-reset": [send(json_head(len(JSON_BODY)) + JSON_BODY[:100]), ["reset"]],
    "json-no-last-chunk": [send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(JSON_BODY)), ["close"]],
    "json-bad-chunk": [send(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + JSON_BODY), ["close"]],
    "json-not-object": [json_reply(b'["no"]')],
    "json-cut": [json_reply(JSON_BODY[:-20])],
    "json-eof-cut": [send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + JSON_BODY[:90]), ["close"]],
}
STREAM_ONLY = {
    "sse-nothing": [send(STREAM_HEAD + LAST_CHUNK)],
    "sse-head-close": [send(STREAM_HEAD), ["close"]],
    "sse-comments-only": [send(STREAM_HEAD + chunk(b": hello\n\n: again\n\n") + LAST_CHUNK)],
    "sse-comment-reset": [send(STREAM_HEAD + chunk(b": hello\n\n")), ["reset"]],
    "sse-error-first": [stream_reply(ERROR_EVENT + DONE)],
    "sse-error-second": [stream_reply(b": x\n\n" + ERROR_EVENT)],
    "sse-half-event": [send(STREAM_HEAD + chunk(EVENTS[0][:60])), ["close"]],
    "sse-garbage": [stream_reply(b"data: {not json}\n\ndata: nor this\n\n")],
    "sse-bad-chunk": [send(STREAM_HEAD + b"xyz\r\n" + EVENTS[0]), ["close"]],
    "sse-done-only": [stream_reply(DONE)],
}  # fmt: skip
BEFORE = [(name, steps, False) for name, steps in (BOTH | JSON_ONLY).items()]
BEFORE += [(name, steps, True) for name, steps in (BOTH | STREAM_ONLY).items()]

START = STREAM_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[2])
AFTER = {
    "reset": [send(START), ["sleep", 0.1], ["reset"]],
    "close": [send(START), ["sleep", 0.1], ["close"]],
    "no-last-chunk": [send(START + chunk(EVENTS[3])), ["close"]],
    "half-event": [send(START + chunk(EVENTS[3][:50])), ["sleep", 0.05], ["close"]],
    "ended-early": [send(START + LAST_CHUNK)],
    "half-event-ended": [send(START + chunk(EVENTS[3][:50]) + LAST_CHUNK)],
    "bad-chunk": [send(START), ["sleep", 0.1], send(b"GARBAGE\r\n\xff\xfe\r\n"), ["close"]],
    "chunk-overrun": [send(START), ["sleep", 0.1], send(b"5\r\n" + EVENTS[3] + b"\r\n"), ["close"]],
    "error-event": [send(START), ["sleep", 0.05], send(chunk(ERROR_EVENT + DONE) + LAST_CHUNK)],
    "error-event-no-done": [send(START + chunk(ERROR_EVENT) + LAST_CHUNK)],
    "error-in-choice": [send(START + chunk(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}],"error":{"message":"x","code":502}}\n\n') + LAST_CHUNK)],
    "short-length": [send(SSE + b"Content-Length: %d\r\n\r\n" % (len(STREAM) + 100) + b"".join(EVENTS[:3])), ["close"]],
    "eof-cut": [send(SSE + b"\r\n" + b"".join(EVENTS[:3])), ["close"]],
}  # fmt: skip


def quick() -> str:
    """Small timeouts of an upstream, under whatever names the product gave them."""
    first = setting("upstreams", ("first", "byte"), ["first_byte_s", "first_byte_timeout_s", "timeout_first_byte_s"])
    event = setting("upstreams", ("first", "event"), ["first_event_s", "first_event_timeout_s", "timeout_first_event_s"])
    idle = setting("upstreams", ("idle",), ["idle_s", "idle_timeout_s", "timeout_idle_s"])
    connect = setting("upstreams", ("connect",), ["connect_s", "connect_timeout_s", "timeout_connect_s"])
    write = setting("upstreams", ("write",), ["write_s", "write_timeout_s", "request_write_s", "timeout_write_s"])
    return _merge([first, event, idle, connect, write], 1.0)


def _merge(templates: list[str], value: float) -> str:
    lines = [set_to(t, value).strip() for t in templates]
    tables = [line for line in lines if "{" in line]
    if not tables:
        return "\n".join(lines) + "\n"
    name = tables[0].partition(" ")[0]
    inside = ", ".join(re.search(r"\{(.*)\}", line)[1].strip() for line in tables)
    return "\n".join([line for line in lines if "{" not in line] + [f"{name} = {{ {inside} }}"]) + "\n"


def _pair(name: str, extra: str = "", first_url: str = "") -> list[str]:
    return [
        upstream(f"{name}-one", first_url or url(1), model(name, "one"), extra=extra),
        upstream(f"{name}-two", url(2), model(name, "two"), extra=extra),
    ]


@gateway("faults")
def faults_gateway() -> Gateway:
    rows: list[str] = []
    for name, _, is_stream in BEFORE:
        kind = "stream" if is_stream else "json"
        rows += _pair(f"f/{kind}-{name}")
        rows.append(upstream(f"s-{kind}-{name}", url(1), model(f"s/{kind}-{name}")))
    rows += [upstream(f"a-{name}", url(1), model(f"a/{name}")) for name in AFTER]
    rows += _pair("f/refused", first_url=f"http://127.0.0.1:{free_port()}/v1")
    rows.append(upstream("s-refused", f"http://127.0.0.1:{free_port()}/v1", model("s/refused")))
    rows += _pair("f/quiet") + _pair("f/quiet-head") + _pair("f/bad") + _pair("f/redirect")
    rows += [upstream(f"plain{n}", url(1), model(f"plain/{n}")) for n in range(8)]
    return Gateway("faults", config(*rows))


@gateway("truncated")
def truncated_gateway() -> Gateway:
    return Gateway("truncated", config(upstream("alpha", url(0), model("t/a"))))


@gateway("timeouts")
def timeouts_gateway() -> Gateway:
    extra = quick()
    rows = [row for name in ("w/head", "w/sse", "w/sse-head", "w/comments") for row in _pair(name, extra)]
    rows += [upstream(f"w-{name}", url(1), model(f"w1/{name}"), extra=extra) for name in ("head", "sse", "idle", "idle-comments", "json-body")]
    rows += _pair("w/write", extra, url(3)) + [upstream("w-write1", url(3), model("w1/write"), extra=extra)]
    rows += _pair("w/connect", extra, f"http://127.0.0.1:{_full_backlog()}/v1")
    return Gateway("timeouts", config(*rows))


_held: list[socket.socket] = []


def _full_backlog() -> int:
    """A port on which connecting neither succeeds nor fails: its queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    _held.append(listener)
    for _ in range(4):
        caller = socket.socket()
        caller.setblocking(False)
        caller.connect_ex(listener.getsockname())
        _held.append(caller)
    return listener.getsockname()[1]


def good(answer: wire.Answer, is_stream: bool) -> None:
    if is_stream:
        same_events(answer)
    else:
        ok(answer)
        stamped(answer.json())


# -- before the first byte

for name, steps, is_stream in BEFORE:
    kind = "stream" if is_stream else "json"

    @check(f"before.next.{kind}.{name}", f"{name} before the first byte of a {kind} answer: the next endpoint answers")
    def _(name=name, steps=steps, is_stream=is_stream, kind=kind):
        fine = [stream_reply(STREAM) if is_stream else json_reply(JSON_BODY)]
        script = up().script(first=steps, other=fine)
        answer = gw("faults").post(say_to(f"f/{kind}-{name}", script, stream=is_stream))
        good(answer, is_stream)
        ports = [row["port"] for row in up().log(script)]
        assert len(set(ports)) == 2, f"upstream ports asked: {ports}"

    @check(f"before.error.{kind}.{name}", f"{name} of the only endpoint, {kind}: an OpenAI-shaped error, no 200")
    def _(name=name, steps=steps, is_stream=is_stream, kind=kind):
        script = up().script(*steps)
        answer = gw("faults").post(say_to(f"s/{kind}-{name}", script, stream=is_stream))
        assert answer.status >= 500 or (name == "429" and answer.status == 429), f"{answer}"
        error_of(answer)
        assert answer.is_clean, f"not ended whole: {answer.ended}"
        tries = len(up().log(script))
        assert tries <= 2, f"the endpoint was asked {tries} times"


@check("before.next.refused", "connection refused: the next endpoint answers")
def _():
    good(gw("faults").post(say_to("f/refused", up().script(json_reply(JSON_BODY)))), False)


@check("before.error.refused", "connection refused by the only endpoint: 502 or 503, OpenAI-shaped, at once")
def _():
    started = time.monotonic()
    refused(gw("faults").post(say_to("s/refused")), 502, 503)
    assert time.monotonic() - started < 2, f"took {time.monotonic() - started:.1f} s"


@check("before.usage", "a request that failed everywhere stands in usage once, not as ok, at no cost")
def _():
    script = up().script(*BOTH["500"])
    answer = gw("faults").post(say_to("plain/0", script))
    assert answer.status >= 500, f"{answer}"
    id = answer.header("x-generation-id") or (error_of(answer).get("metadata") or {}).get("generation_id")
    rows = eventually(lambda: [r for r in gw("faults").usage() if (r["id"] == id if id else r["model"] == "plain/0")], 5)
    assert len(rows) == 1, f"{len(rows)} rows"
    assert rows[0]["status"] != "ok" and float(rows[0]["cost_usd"] or 0) == 0, f"{rows[0]}"


@check("before.400-passes", "an upstream's own 400 reaches the caller as 400 with its message; no other endpoint is asked")
def _():
    told = b'{"error":{"message":"temperature out of range","type":"invalid_request_error","code":"bad_temperature"}}'
    script = up().script(json_reply(told, status=b"400 Bad Request"))
    answer = gw("faults").post(say_to("f/bad", script))
    error = refused(answer, 400)
    assert "temperature out of range" in error["message"], f"{error}"
    assert len(up().log(script)) == 1, f"{len(up().log(script))} endpoints asked"


@check("redirect.never-followed", "301/302/303/307/308 of an upstream: never followed, the caller never sees them")
def _():
    for status in (301, 302, 303, 307, 308):
        since = up().tell("count")
        where = f"http://127.0.0.1:{up().ports[4]}/v1/stolen".encode()
        script = up().script(send(b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, where)))
        answer = gw("faults").post(say_to("plain/1", script))
        assert answer.status >= 500, f"{status}: {answer}"
        assert answer.header("location") is None, f"{status}: Location went to the caller"
        followed = [row["path"] for row in up().log(since=since) if row["port"] == 4 or row["method"] == "GET"]
        assert not followed, f"{status}: followed to {followed}"


# -- after the first byte

for name, steps in AFTER.items():

    @check(f"after.{name}", f"{name} after the first byte: exactly one error chunk, then [DONE]; whole events before it byte for byte")
    def _(name=name, steps=steps):
        answer = gw("faults").post(say_to(f"a/{name}", up().script(*steps), stream=True))
        came = [event for event in broken_end(answer) if b'"cost"' not in event]
        sent = [event for event in EVENTS if not event.startswith(b":")]
        assert came[:2] == sent[:2], f"before the error: {came!r}"
        assert came == sent[: len(came)] or name == "error-in-choice", f"before the error: {came[2:]!r}"


@check("after.usage", "a stream that broke stands in usage once, not as ok, with estimated tokens")
def _():
    answer = gw("faults").post(say_to("plain/2", up().script(*AFTER["reset"]), stream=True))
    broken_end(answer)
    row = gw("faults").row(answer.header("x-generation-id"))
    assert row["status"] not in ("ok", "success", "completed"), f"{row}"
    assert row["prompt_tokens"] > 0 and row["completion_tokens"] > 0, f"{row}"


# -- silence

QUIET = [["sleep", 12.0]]


def _processing(answer: wire.Answer) -> float:
    """When the comment came."""
    whole = b""
    for at, piece in answer.seen:
        whole += piece
        if b": KILO PROCESSING" in whole:
            assert 9.0 <= at <= 11.8, f"the comment came after {at:.1f} s"
            assert whole.startswith(b": KILO PROCESSING\n"), f"before the comment: {whole[:60]!r}"
            return at
    raise AssertionError(f"no comment: {answer}")


def _without_comment(answer: wire.Answer) -> wire.Answer:
    answer.body = re.sub(rb"^(: KILO PROCESSING\r?\n(\r?\n)?)+", b"", answer.body)
    return answer


@check("quiet.comment", "10 s of silence: 200 and `: KILO PROCESSING`, then the stream byte for byte", timeout=40, waits=True)
def _():
    answer = gw("faults").post(say_to("plain/3", up().script(*QUIET, stream_reply(STREAM)), stream=True), timeout=25)
    at = _processing(answer)
    same_events(_without_comment(answer))
    return f"after {at:.1f} s"


@check("quiet.comment-after-head", "the same when the upstream's head came at once", timeout=40, waits=True)
def _():
    script = up().script(send(STREAM_HEAD), *QUIET, send(chunk(STREAM) + LAST_CHUNK))
    answer = gw("faults").post(say_to("plain/4", script, stream=True), timeout=25)
    _processing(answer)
    same_events(_without_comment(answer))


@check("quiet.failover", "after the comment another endpoint may still answer: byte for byte, no error", timeout=45, waits=True)
def _():
    script = up().script(first=[*QUIET, ["reset"]], other=[stream_reply(STREAM)])
    answer = gw("faults").post(say_to("f/quiet", script, stream=True), timeout=30)
    _processing(answer)
    same_events(_without_comment(answer))
    assert len({row["port"] for row in up().log(script)}) == 2, "only one endpoint was asked"


@check("quiet.failover-500", "after the comment, a 500 of the first endpoint: the next answers", timeout=45, waits=True)
def _():
    script = up().script(first=[*QUIET, *BOTH["500"]], other=[stream_reply(STREAM)])
    answer = gw("faults").post(say_to("f/quiet-head", script, stream=True), timeout=30)
    _processing(answer)
    same_events(_without_comment(answer))


@check("quiet.failure", "after the comment every endpoint fails: one error chunk, then [DONE]", timeout=45, waits=True)
def _():
    answer = gw("faults").post(say_to("plain/5", up().script(*QUIET, ["reset"]), stream=True), timeout=30)
    _processing(answer)
    came = broken_end(answer)
    assert not came, f"before the error: {came!r}"


@check("quiet.json", "a JSON request is just waited for", timeout=40, waits=True)
def _():
    answer = gw("faults").post(say_to("plain/6", up().script(*QUIET, json_reply(JSON_BODY))), timeout=25)
    good(answer, False)
    assert b"PROCESSING" not in answer.body


# -- timeouts: 1 s each, four times that is the slack


def _in_time(started: float, low: float = 0.7, high: float = 4.0) -> str:
    took = time.monotonic() - started
    assert low <= took <= high, f"after {took:.1f} s"
    return f"{took:.1f} s"


@check("timeout.settings", "the five timeouts can be set per upstream", waits=True)
def _():
    return " ".join(quick().split())


TIMED = {
    "first-byte-json": ("w/head", False, [["hold", 20]]),
    "first-event": ("w/sse", True, [["hold", 20]]),
    "first-event-after-head": ("w/sse-head", True, [send(STREAM_HEAD), ["hold", 20]]),
    "first-event-comments": ("w/comments", True, [send(STREAM_HEAD), *[x for _ in range(80) for x in (send(chunk(b": ping\n\n")), ["sleep", 0.2])]]),
}  # fmt: skip
for name, (model_id, is_stream, steps) in TIMED.items():

    @check(f"timeout.{name}", f"{name} timeout of 1 s: the next endpoint answers", waits=True)
    def _(model_id=model_id, is_stream=is_stream, steps=steps):
        fine = [stream_reply(STREAM) if is_stream else json_reply(JSON_BODY)]
        g, script = gw("timeouts"), up().script(first=steps, other=fine)
        started = time.monotonic()
        good(g.post(say_to(model_id, script, stream=is_stream)), is_stream)
        return _in_time(started)


for name, is_stream in (("head", False), ("sse", True)):

    @check(f"timeout.only-{name}", f"the only endpoint silent ({'stream' if is_stream else 'json'}): 504, and its connection is closed", waits=True)
    def _(name=name, is_stream=is_stream):
        g, script = gw("timeouts"), up().script(["hold", 20])
        started = time.monotonic()
        refused(g.post(say_to(f"w1/{name}", script, stream=is_stream)), 504)
        closed_within(script)
        return _in_time(started)


@check("timeout.idle", "idle timeout of 1 s inside a stream: one error chunk, [DONE]", waits=True)
def _():
    g, script = gw("timeouts"), up().script(send(START), ["hold", 20])
    started = time.monotonic()
    broken_end(g.post(say_to("w1/idle", script, stream=True)))
    closed_within(script)
    return _in_time(started)


@check("timeout.idle-comments", "comments do not count as payload for the idle timeout", waits=True)
def _():
    pings = [x for _ in range(60) for x in (send(chunk(b": ping\n\n")), ["sleep", 0.2])]
    g, script = gw("timeouts"), up().script(send(START), *pings, ["hold", 10])
    started = time.monotonic()
    broken_end(g.post(say_to("w1/idle-comments", script, stream=True)))
    return _in_time(started)


@check("timeout.json-stalls", "a JSON answer that stalls in its body ends, with an error", waits=True)
def _():
    g, script = gw("timeouts"), up().script(send(json_head(len(JSON_BODY)) + JSON_BODY[:40]), ["hold", 25])
    started = time.monotonic()
    refused(g.post(say_to("w1/json-body", script), timeout=20), 502, 504)
    return _in_time(started)


@check("timeout.connect", "connect timeout of 1 s (a full backlog): the next endpoint answers", waits=True)
def _():
    g = gw("timeouts")
    started = time.monotonic()
    good(g.post(say_to("w/connect", up().script(json_reply(JSON_BODY)))), False)
    return _in_time(started)


@check("timeout.write", "request write timeout of 1 s (an upstream that does not read 24 MB): the next endpoint, else 504", waits=True, timeout=40)
def _():
    up().tell("mode", port=3, mode="deaf")
    g, script = gw("timeouts"), up().script(json_reply(JSON_BODY))
    started = time.monotonic()
    good(g.post(say_to("w/write", script, filler="f" * 24_000_000), timeout=20), False)
    took = _in_time(started, high=8.0)
    refused(g.post(say_to("w1/write", script, filler="f" * 24_000_000), timeout=20), 504, 502)
    return took


# -- the caller goes


@gateway("gone")
def gone_gateway() -> Gateway:
    return Gateway("gone", config(upstream("alpha", url(0), model("t/a"))))


def _leave(script: str, is_stream: bool, read_first: bool, by_reset: bool) -> str:
    g = gw("gone")
    conn = wire.Conn(g.port)
    conn.send(g.head(say_to("t/a", script, stream=is_stream)))
    assert eventually(lambda: up().log(script), 5, 0.02), "the upstream was not asked"
    if read_first:
        conn.head()
        conn.more()
    time.sleep(0.2)
    conn.reset() if by_reset else conn.close()
    took = closed_within(script)
    return f"{took * 1000:.0f} ms"


GONE = {
    "before-head-json": ([["hold", 20]], False, False), "before-head-stream": ([["hold", 20]], True, False),
    "before-event": ([send(STREAM_HEAD), ["hold", 20]], True, False), "in-stream": ([send(START), ["hold", 20]], True, True),
    "in-json-body": ([send(json_head(5000) + JSON_BODY), ["hold", 20]], False, False),
    "in-running-stream": ([send(START), *[x for _ in range(200) for x in (send(chunk(EVENTS[2])), ["sleep", 0.05])]], True, True),
}  # fmt: skip
for name, (steps, is_stream, read_first) in GONE.items():
    for by_reset in (False, True):

        @check(f"gone.{name}{'.rst' if by_reset else ''}", "caller gone: upstream connection closed within 1 s")
        def _(steps=steps, is_stream=is_stream, read_first=read_first, by_reset=by_reset):
            return _leave(up().script(*steps), is_stream, read_first, by_reset)


@check("gone.usage", "a caller who hung up stands in usage once, with what was sent")
def _():
    g, script = gw("gone"), up().script(*GONE["in-running-stream"][0])
    conn = wire.Conn(g.port)
    conn.send(g.head(say_to("t/a", script, stream=True)))
    id = conn.head().header("x-generation-id")
    time.sleep(0.5)
    conn.close()
    row = g.row(id)
    assert row["status"] != "ok" and row["completion_tokens"] > 0, f"{row}"


@check("gone.while-uploading", "a caller who goes in the middle of his body leaves nothing behind: no upstream request, no usage row")
def _():
    g = gw("gone")
    since, rows = up().tell("count"), len(g.usage())
    for _ in range(20):
        conn = wire.Conn(g.port)
        conn.send(g.head(say_to("t/a", filler="f" * 50_000))[:20_000])
        conn.close()
    time.sleep(1.0)
    assert up().tell("count") == since, "the upstream was asked"
    assert len(g.usage()) == rows, "usage rows appeared"


# -- back-pressure


@check("pressure.slow-reader", "a caller who does not read: the upstream is held back (< 16 MB taken of 200), memory too; others are served", timeout=60)
def _():
    g = gw("gone")
    piece = b"".join(chunk(EVENTS[2].replace(b"caf", b"w" * 8000)) for _ in range(8))
    script = up().script(send(STREAM_HEAD), flood(piece, 200_000_000 // len(piece)))
    pids = g.workers_pids()
    before = sum(map(rss_kib, pids))
    with wire.Conn(g.port, rcvbuf=65536) as conn:
        conn.send(g.head(say_to("t/a", script, stream=True)))
        time.sleep(1.5)
        first = up().one(script)["sent"]
        time.sleep(1.5)
        second = up().one(script)["sent"]
        grown = (sum(map(rss_kib, pids)) - before) / 1024
        ok(g.post(say_to("t/a")))
    assert second < 16_000_000, f"{second / 1e6:.1f} MB taken of a caller who reads nothing"
    assert second - first < 1_000_000, f"still {(second - first) / 1e6:.1f} MB in 1.5 s"
    assert grown < 32, f"workers grew by {grown:.0f} MB"
    closed_within(script)
    info("pressure.held", f"{second / 1e6:.1f} MB taken from the upstream, workers grew by {grown:.1f} MB")


@check("pressure.resumes", "a caller who reads late gets all of it, unchanged", timeout=60)
def _():
    g = gw("gone")
    piece = b"".join(chunk(EVENTS[2]) for _ in range(400))
    times = 30_000_000 // len(piece)
    script = up().script(send(STREAM_HEAD + chunk(EVENTS[0])), flood(piece, times), send(chunk(EVENTS[4] + STREAM[len(BEFORE_USAGE):]) + LAST_CHUNK))
    with wire.Conn(g.port, 20, rcvbuf=65536) as conn:
        conn.send(g.head(say_to("t/a", script, stream=True)))
        time.sleep(2)
        pieces: list[bytes] = []
        answer = conn.head()
        try:
            while piece := _piece(conn):
                pieces.append(piece)
            answer.is_clean = True
        except wire.Ended as error:
            answer.ended = str(error)
    answer.body = b"".join(pieces)
    same_events(answer, EVENTS[0] + EVENTS[2] * (400 * times) + EVENTS[4])


def _piece(conn: wire.Conn) -> bytes:
    """One chunk; b"" for the last."""
    size = int(conn._until(b"\r\n"), 16)
    parts, left = [], size + 2
    while left:
        if not conn.buffer and not conn.more():
            raise wire.Ended(conn.end)
        part, conn.buffer = conn.buffer[:left], conn.buffer[left:]
        parts.append(part)
        left -= len(part)
    return b"".join(parts)[:-2]


@check("pressure.slow-json", "a caller who does not read a 30 MB JSON answer holds up nobody else", timeout=40)
def _():
    g = gw("gone")
    script = up().script(json_reply(JSON_BODY.replace(b"\\/ 1.10", b"y" * 30_000_000)))
    with wire.Conn(g.port, rcvbuf=65536) as conn:
        conn.send(g.head(say_to("t/a", script)))
        time.sleep(1)
        waits: list[float] = []
        for _ in range(10):
            started = time.monotonic()
            ok(g.post(say_to("t/a")))
            waits.append(time.monotonic() - started)
    assert max(waits) < 1, f"another caller waited {max(waits):.1f} s"


@check("many.open-streams", "300 open streams at once, each gets its own bytes", timeout=60)
def _():
    g = gw("gone")
    script = up().script(send(STREAM_HEAD + chunk(EVENTS[0])), ["sleep", 4.0], send(chunk(STREAM[len(EVENTS[0]):]) + LAST_CHUNK))
    conns, wrong = [], []
    before = sum(map(rss_kib, g.workers_pids()))
    for _ in range(300):
        conn = wire.Conn(g.port, 30)
        conn.send(g.head(say_to("t/a", script, stream=True)))
        conns.append(conn)
    eventually(lambda: len(up().log(script)) == 300, 6)
    grown = sum(map(rss_kib, g.workers_pids())) - before

    def one(conn: wire.Conn) -> None:
        try:
            same_events(conn.read())
        except Exception as error:
            wrong.append(str(error))
        conn.close()

    threads = [threading.Thread(target=one, args=(conn,)) for conn in conns]
    [thread.start() for thread in threads]
    [thread.join(30) for thread in threads]
    assert not wrong, f"{len(wrong)} wrong: {wrong[0]}"
    info("many.memory", f"300 open streams added {grown / 300:.1f} KB each to the workers (both connections)")

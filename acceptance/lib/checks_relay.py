"""What comes back when nothing goes wrong: bytes, cost, provider, model, ids, usage rows."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import wire
from checks_access import ok
from harness import (
    BEFORE_USAGE, COST, DONE, EVENTS, JSON_BODY, LAST_CHUNK, STREAM, STREAM_HEAD, USAGE_EVENT, broken_end, check, chunk, drip, gw, info,
    json_reply, same_events, say_to, send, stamped, stream_reply, up, usd,
)  # fmt: skip


@check("json.bytes", "a JSON answer keeps every field as the upstream wrote it; usage gets cost, provider and model are told")
def _():
    script = up().script(json_reply(JSON_BODY))
    answer = ok(gw().post(say_to("t/a", script)))
    for part in (b'caf\\u00e9 \xe2\x98\x95 \\/ 1.10', b'"n":1.10', b"1E+2", b"12345678901234567890123", b"[ 1 , 2 ]", b'"reasoning_tokens":3'):
        assert part in answer.body, f"{part!r} is gone: {answer.body[:250]!r}"
    told, given = answer.json(), json.loads(JSON_BODY)
    stamped(told, "t/a", "alpha")
    told["usage"] = {k: v for k, v in told["usage"].items() if k not in ("cost", "provider", "model")}
    given["model"] = told["model"]
    told.pop("provider", None)
    assert told == given, f"changed: {json.dumps(told)[:250]}"


@check("json.no-usage", "a JSON answer without usage: estimated, marked so, priced")
def _():
    for missing in (b"{}", b'{"usage":null}'):
        body = json.loads(JSON_BODY) | json.loads(missing)
        if missing == b"{}":
            del body["usage"]
        answer = ok(gw().post(say_to("t/a", up().script(json_reply(json.dumps(body).encode())))))
        stamped(answer.json(), "t/a", "alpha", estimated=True)
        assert usd(answer.json()["usage"]["cost"]) > 0, f"{answer.json()['usage']}"
        assert answer.json()["usage"]["prompt_tokens"] > 0, f"{answer.json()['usage']}"


@check("json.no-price", "without a known price cost is null, in the answer and in the usage row")
def _():
    answer = ok(gw().post(say_to("t/free", up().script(json_reply(JSON_BODY)))))
    stamped(answer.json(), "t/free", cost=None)
    assert gw().row(answer.header("x-generation-id"))["cost_usd"] is None, "a cost in the usage row"


@check("json.empty-choices", "empty choices, no choices, no content: survived")
def _():
    for choices in (b"[]", b"null", b'[{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"length"}]'):
        body = b'{"id":"x","object":"chat.completion","choices":%b,"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}}' % choices
        answer = ok(gw().post(say_to("t/a", up().script(json_reply(body)))))
        stamped(answer.json(), "t/a")


@check("json.chunked", "a JSON answer that comes chunked, in pieces")
def _():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [item for at in range(0, len(JSON_BODY), 50) for item in (send(chunk(JSON_BODY[at : at + 50])), ["sleep", 0.005])]
    answer = ok(gw().post(say_to("t/a", up().script(send(head), *pieces, send(LAST_CHUNK)))))
    stamped(answer.json(), "t/a")


@check("json.large", "a JSON answer of 5 MB comes through whole")
def _():
    body = JSON_BODY.replace(b"\\/ 1.10", b"y" * 5_000_000)
    answer = ok(gw().post(say_to("t/a", up().script(json_reply(body)))))
    assert len(answer.json()["choices"][0]["message"]["content"]) > 5_000_000


@check("sse.bytes", "a stream: byte for byte up to the last usage event, which gets cost, provider, model; [DONE] once")
def _():
    answer = gw().post(say_to("t/a", up().script(stream_reply(STREAM)), stream=True))
    same_events(answer, model_id="t/a", provider="alpha")
    assert "text/event-stream" in (answer.header("content-type") or ""), f"{answer.header('content-type')}"


def _split(stream: bytes, positions: range, before: bytes) -> None:
    """Two writes of the upstream, cut at each position of its answer, chunk framing included."""
    whole = STREAM_HEAD + b"".join(chunk(event) for event in wire.events(stream)) + LAST_CHUNK

    def one(at: int) -> None:
        script = up().script(send(whole[:at]), ["sleep", 0.004], send(whole[at:]))
        try:
            same_events(gw().post(say_to("t/a", script, stream=True)), before)
        except AssertionError as error:
            raise AssertionError(f"cut at {at}: {error}") from None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, [at for at in positions if at < len(whole)]))


@check("sse.cut-everywhere", "a stream handed over in two pieces, cut at every byte position: exactly the same bytes", timeout=120)
def _():
    _split(STREAM, range(1, len(STREAM) + 500), BEFORE_USAGE)


@check("sse.cut-everywhere-crlf", "the same with CRLF line ends", timeout=120)
def _():
    _split(STREAM.replace(b"\n", b"\r\n"), range(1, len(STREAM) + 500, 2), BEFORE_USAGE.replace(b"\n", b"\r\n"))


@check("sse.rechunked", "a stream whose chunks do not fall on events, cut at every byte position into two chunks", timeout=120)
def _():
    def one(at: int) -> None:
        script = up().script(send(STREAM_HEAD + chunk(STREAM[:at])), ["sleep", 0.004], send(chunk(STREAM[at:]) + LAST_CHUNK))
        try:
            same_events(gw().post(say_to("t/a", script, stream=True)))
        except AssertionError as error:
            raise AssertionError(f"cut at {at}: {error}") from None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(1, len(STREAM))))


@check("sse.drip", "a stream that comes byte by byte", timeout=60)
def _():
    whole = STREAM_HEAD + b"".join(chunk(event) for event in wire.events(STREAM)) + LAST_CHUNK
    same_events(gw().post(say_to("t/a", up().script(drip(whole, 0.002)), stream=True), timeout=40))


@check("sse.eof-framed", "a whole stream without length or chunks, ended by the upstream's close")
def _():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    same_events(gw().post(say_to("t/a", up().script(send(head + STREAM), ["close"]), stream=True)))


@check("sse.usage-null", "usage:null on every chunk is no usage")
def _():
    before = b"".join(event for event in EVENTS if b'"usage":null' in event)
    same_events(gw().post(say_to("t/a", up().script(stream_reply(before + USAGE_EVENT + DONE)), stream=True)), before)


@check("sse.usage-on-finish", "usage on the finishing chunk, no event of its own")
def _():
    last = EVENTS[-1].replace(b'"usage":null', b'"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19}')
    before = b"".join(EVENTS[:-1])
    told = same_events(gw().post(say_to("t/a", up().script(stream_reply(before + last + DONE)), stream=True)), before)
    assert told["choices"][0]["finish_reason"] == "stop", f"{told}"


@check("sse.usage-twice", "running usage on several chunks: only the last one is touched")
def _():
    running = EVENTS[2].replace(b'"usage":null', b'"usage":{"prompt_tokens":12,"completion_tokens":1,"total_tokens":13}')
    before = EVENTS[0] + running + running + EVENTS[4]
    same_events(gw().post(say_to("t/a", up().script(stream_reply(before + USAGE_EVENT + DONE)), stream=True)), before)


@check("sse.no-usage", "a stream without usage: an event with estimated usage is added before [DONE]")
def _():
    answer = gw().post(say_to("t/a", up().script(stream_reply(BEFORE_USAGE + DONE)), stream=True))
    told = same_events(answer, estimated=True, model_id="t/a")
    assert usd(told["usage"]["cost"]) > 0, f"{told['usage']}"
    row = gw().row(answer.header("x-generation-id"))
    assert usd(row["cost_usd"]) == usd(told["usage"]["cost"]), f"row {row}"


@check("sse.no-price", "a stream of a model without a price: cost null")
def _():
    same_events(gw().post(say_to("t/free", up().script(stream_reply(STREAM)), stream=True)), cost=None, model_id="t/free")


@check("sse.empty-choices", "chunks with empty choices, without choices, with choices null: survived, byte for byte")
def _():
    odd = b'data: {"id":"c","choices":[]}\n\ndata: {"id":"c"}\n\ndata: {"id":"c","choices":null}\n\ndata: {"id":"c","choices":[{}]}\n\n'
    before = EVENTS[0] + odd + EVENTS[2] + EVENTS[4]  # without a word it would be an empty answer
    same_events(gw().post(say_to("t/a", up().script(stream_reply(before + USAGE_EVENT + DONE)), stream=True)), before)


@check("sse.first-event-only-usage", "a stream that is nothing but usage and [DONE]")
def _():
    same_events(gw().post(say_to("t/a", up().script(stream_reply(USAGE_EVENT + DONE)), stream=True)), b"")


@check("sse.large-event", "one event of 2 MB")
def _():
    big = EVENTS[2].replace(b"caf", b"z" * 2_000_000)
    before = EVENTS[0] + big + EVENTS[4]
    same_events(gw().post(say_to("t/a", up().script(stream_reply(before + USAGE_EVENT + DONE)), stream=True), timeout=25), before)


@check("sse.prompt", "each event leaves when it has come, not when the next one does")
def _():
    steps = [send(STREAM_HEAD)]
    for event in EVENTS:
        steps += [send(chunk(event)), ["sleep", 0.3]]
    answer = gw().post(say_to("t/a", up().script(*steps, send(chunk(USAGE_EVENT + DONE) + LAST_CHUNK)), stream=True))
    same_events(answer)
    whole = b""
    times = []
    for at, piece in answer.seen:
        whole += piece
        while len(times) < len(EVENTS) and b"".join(EVENTS[: len(times) + 1]) in whole:
            times.append(at)
    late = [round(at - n * 0.3, 2) for n, at in enumerate(times)]
    payload = [at for event, at in zip(EVENTS, late, strict=True) if not event.startswith(b":")]
    assert max(payload) < 0.28, f"events came this much after the upstream's first byte + n x 0.3 s: {late}"


@check("sse.many-chunks", "20,000 chunks come through unchanged", timeout=60)
def _():
    body = EVENTS[0] + EVENTS[2] * 20_000 + EVENTS[4]
    pieces = [send(STREAM_HEAD)] + [send(b"".join(chunk(EVENTS[2]) for _ in range(500))) for _ in range(40)]
    script = up().script(pieces[0], send(chunk(EVENTS[0])), *pieces[1:], send(chunk(EVENTS[4] + USAGE_EVENT + DONE) + LAST_CHUNK))
    same_events(gw().post(say_to("t/a", script, stream=True), timeout=50), body)


@check("id.header", "x-generation-id on JSON, stream and both are different; gen- and 26 characters")
def _():
    one, two = gw().post(say_to("t/a")), gw().post(say_to("t/a", stream=True))
    ids = [one.header("x-generation-id"), two.header("x-generation-id")]
    assert all(ids) and ids[0] != ids[1], f"{ids}"
    assert all(i.startswith("gen-") and len(i) == 30 for i in ids), f"{ids}"


@check("usage.row-json", "the usage row of a JSON answer: id, model, provider, tokens, exact cost, status")
def _():
    answer = ok(gw().post(say_to("t/a", up().script(json_reply(JSON_BODY)))))
    _right(gw().row(answer.header("x-generation-id")))


@check("usage.row-stream", "the usage row of a stream: the same")
def _():
    answer = gw().post(say_to("t/a", up().script(stream_reply(STREAM)), stream=True))
    _right(gw().row(answer.header("x-generation-id")))


def _right(row: dict) -> None:
    assert (row["model"], row["prompt_tokens"], row["completion_tokens"]) == ("t/a", 12, 7), f"{row}"
    assert str(row["provider"]).lower() == "alpha", f"{row}"
    assert usd(row["cost_usd"]) == COST, f"{row}"
    assert row["status"] == "ok", f"status {row['status']!r} (expected 'ok')"


@check("usage.exact", "cost is exact: prices 0.15 and 0.60 per million, many counts; answer and row agree", timeout=60)
def _():
    wanted = {}
    for prompt, completion in ((1, 0), (0, 1), (1, 1), (3, 7), (999_999, 1), (123_456, 65_537)):
        usage = b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (prompt, completion, prompt + completion)
        body = b'{"id":"c","object":"chat.completion","choices":[],"usage":%b}' % usage
        answer = ok(gw().post(say_to("t/fine", up().script(json_reply(body)))))
        cost = (prompt * Decimal("0.15") + completion * Decimal("0.6")) / 1_000_000
        assert usd(answer.json()["usage"]["cost"]) == cost, f"{prompt}/{completion}: {answer.json()['usage']['cost']}, not {cost}"
        wanted[answer.header("x-generation-id")] = cost
    time.sleep(1)
    for id, cost in wanted.items():
        assert usd(gw().row(id)["cost_usd"]) == cost, f"row {gw().row(id)}, not {cost}"


@check("usage.hundred", "100 requests, JSON and streams on fresh connections: 100 rows with these ids, each once", timeout=60)
def _():
    def one(n: int) -> str:
        return ok(gw().post(say_to("t/a", stream=bool(n % 2)))).header("x-generation-id")

    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(one, range(100)))
    took = time.monotonic() - started
    gw().row(ids[-1])
    time.sleep(1.5)
    seen = [row["id"] for row in gw().usage()]
    bad = {id: seen.count(id) for id in ids if seen.count(id) != 1}
    assert len(set(ids)) == 100 and not bad, f"{len(bad)} of 100 not exactly once: {list(bad.items())[:3]}"
    info("usage.hundred-time", f"100 requests by 8 callers on fresh connections took {took:.2f} s")


@check("usage.delay", "a finished request is in the usage table within 3 s")
def _():
    answer = ok(gw().post(say_to("t/a")))
    started = time.monotonic()
    gw().row(answer.header("x-generation-id"))
    took = time.monotonic() - started
    assert took < 3, f"{took:.1f} s"
    return f"{took:.2f} s with the CLI's own start"


TRUNCATED_AT_FINISH = len(BEFORE_USAGE)


def _truncate(positions) -> list[str]:
    """The upstream's stream stops (close, no last chunk) after each of these many bytes. Gives what is wrong."""

    def one(at: int) -> str:
        script = up().script(send(STREAM_HEAD + (chunk(STREAM[:at]) if at else b"")), ["close"])
        answer = gw("truncated").post(say_to("t/a", script, stream=True))
        try:
            if answer.status != 200:
                assert answer.status >= 500 and at < len(EVENTS[0]), f"{answer}"
                return ""
            came = b"".join(event for event in broken_end(answer) if b'"cost"' not in event)
            kept = b"".join(event for event in wire.events(STREAM[:at]) if not event.startswith(b":"))
            kept = kept[: kept.rfind(b"\n\n") + 2]
            assert kept.startswith(came), f"came {came[-120:]!r}"
        except AssertionError as error:
            return f"cut at {at}: {error}"
        return ""

    with ThreadPoolExecutor(8) as pool:
        return [bad for bad in pool.map(one, positions) if bad]


@check("truncated.everywhere", "the upstream's stream cut off at every byte before the finishing chunk is whole: one error chunk, [DONE]; before the first event an error", timeout=150)
def _():
    end = TRUNCATED_AT_FINISH - 3  # the finishing event's JSON is not whole before this
    bad = _truncate(range(0, end))
    assert not bad, f"{len(bad)} of {end} positions: {bad[0]}"


@check("truncated.after-finish", "cut off after the finishing chunk but before the usage and [DONE]: never a clean end either", timeout=60)
def _():
    positions = range(TRUNCATED_AT_FINISH, TRUNCATED_AT_FINISH + len(USAGE_EVENT), 7)
    bad = _truncate(positions)
    assert not bad, f"{len(bad)} of {len(positions)} positions: {bad[0]}"

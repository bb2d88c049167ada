"""/health, /ready, /metrics, client addresses, log lines, and what must never be in them."""

import json
import re
import time

import wire
from checks_access import ok, url
from checks_faults import AFTER, BOTH
from harness import (
    JSON_BODY, PROMPT_CANARY, SECRET_CANARY, Gateway, check, cli_json, config, eventually, gateway, gw, info, json_reply, model, refused,
    rss_kib, say_to, up, upstream,
)  # fmt: skip


@gateway("ops")
def ops_gateway() -> Gateway:
    return Gateway("ops", config(upstream("alpha", url(0), model("t/a"), model("t/b"))))


@gateway("trusting")
def trusting_gateway() -> Gateway:
    return Gateway("trusting", config(upstream("alpha", url(0), model("t/a")), server='trusted_proxies = ["127.0.0.1"]\n'))


@check("ops.health", "/health: 200, without a key")
def _():
    ok(gw("ops").get("/health"))


@check("ops.ready", "/ready: 200 and a status of ok (or degraded, with reasons)")
def _():
    told = ok(gw("ops").get("/ready")).json()
    assert told.get("status") in ("ok", "degraded"), f"{told}"


@check("ops.metrics", "/metrics: Prometheus text that counts requests")
def _():
    g = gw("ops")

    def total() -> float:
        answer = ok(g.get("/metrics"))
        assert (answer.header("content-type") or "").startswith("text/plain"), f"{answer.header('content-type')}"
        lines = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
        bad = [line for line in lines if not re.fullmatch(r"[a-zA-Z_:][\w:]*(\{.*\})? [-+\w.]+( \d+)?", line)]
        assert not bad, f"not Prometheus: {bad[0]!r}"
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(r"\w*request\w*_total", line))

    before = total()
    for _ in range(10):
        ok(g.post(say_to("t/a")))
    assert eventually(lambda: total() >= before + 10, 4, 0.2), f"no *request*_total grew by 10 (from {before})"


@check("ops.metrics-loopback", "/metrics for loopback callers only: a caller behind a trusted proxy is refused")
def _():
    ok(gw("trusting").get("/metrics"))
    answer = gw("trusting").get("/metrics", {"X-Forwarded-For": "203.0.113.9"})
    assert answer.status in (401, 403, 404), f"{answer}"
    assert b"# TYPE" not in answer.body, "metrics were told"
    ok(gw("ops").get("/metrics", {"X-Forwarded-For": "203.0.113.9"}))


def lines(g: Gateway) -> list[dict]:
    out = []
    for line in g.log().splitlines():
        if line.startswith("{"):
            try:
                out.append(json.loads(line))
            except ValueError:
                raise AssertionError(f"not JSON: {line[:200]}") from None
    return out


@check("log.one-per-refusal", "one JSON log line per refusal or failure, with path and status; none for what goes well", timeout=40)
def _():
    g = gw("ops")
    time.sleep(0.6)
    before = len(lines(g))
    for _ in range(3):
        ok(g.post(say_to("t/a")))
    time.sleep(0.4)
    quiet = lines(g)[before:]
    assert not quiet, f"a line for a request that went well: {str(quiet[0])[:200]}"
    cases = {
        "malformed": (g.head(b"{", headers={"x-request-id": "rid-1"}), 400), "unknown model": (g.head(say_to("no/such")), 404),
        "wrong key": (g.head(say_to("t/a"), key="kilo_" + "z" * 32), 401), "unknown path": (g.head(b"{}", path="/v1/nothing"), 404),
        "failed upstream": (g.head(say_to("t/a", up().script(*BOTH["500"]))), 502),
        "broken stream": (g.head(say_to("t/b", up().script(*AFTER["reset"]), stream=True)), None),
    }  # fmt: skip
    for name, (data, status) in cases.items():
        at = len(lines(g))
        answer = wire.ask(g.port, data)
        assert status in (None, answer.status), f"{answer}"
        eventually(lambda at=at: lines(g)[at:], 2)
        time.sleep(0.15)
        new = lines(g)[at:]
        assert len(new) == 1, f"{name}: {len(new)} lines: {json.dumps(new)[:220]}"
        assert status is None or str(status) in json.dumps(new[0]), f"{name}: status {status} is not in {json.dumps(new[0])[:220]}"
    info("log.example", json.dumps(lines(g)[-1])[:300])
    info("log.request-id", f"a caller's x-request-id is {'' if 'rid-1' in g.log() else 'not '}in the line about his refusal")


@check("log.client-ip", "the client's address in the log is X-Forwarded-For's for trusted proxies only")
def _():
    for name, expected in (("trusting", "203.0.113.77"), ("ops", "127.0.0.1")):
        g = gw(name)
        at = len(lines(g))
        refused(g.post(b"{", headers={"X-Forwarded-For": "203.0.113.77"}), 400)
        found = eventually(lambda g=g, at=at: lines(g)[at:], 3)
        assert found, f"{name}: no line"
        assert expected in json.dumps(found[0]), f"{name}: {expected} is not in {json.dumps(found[0])[:200]}"
        assert name == "trusting" or "203.0.113.77" not in json.dumps(found[0]), "an untrusted X-Forwarded-For was believed"


@check("log.injection", "line breaks and control characters of a caller do not make log lines of their own")
def _():
    g = gw("ops")
    evil = 'no/such\\n{\\"forged\\":true}\\r\\n\\u001b[31m\\u2028'
    g.post(b'{"model":"%b"}' % evil.encode())
    g.get("/v1/%0a%7b%22forged%22:true%7d")
    time.sleep(0.4)
    assert not any(line.get("forged") for line in lines(g)), "a forged line"
    assert "\x1b[31m" not in g.log(), "an escape sequence in the log"


@check("log.no-prompt", "no prompt text in any log or file, whatever went wrong with it", timeout=60)
def _():
    g = gw("ops")
    prompt = PROMPT_CANARY
    big = say_to("t/a", filler=PROMPT_CANARY * 10)
    for body in (
        say_to("t/a"), say_to("no/such"), say_to("t/a")[:-1], say_to("t/a") + b"x", b'{"model":"t/a","messages":"%b\xff"}' % prompt.encode(),
        b'{"%b":1,"model":3}' % prompt.encode(), say_to("t/a", up().script(*BOTH["garbage"])), say_to("t/a", stream=True), big,
        say_to("t/a", up().script(json_reply(b'{"error":{"message":"bad prompt: %b"}}' % prompt.encode(), status=b"400 Bad Request"))),
        say_to("t/a", up().script(json_reply(b'{"error":{"message":"bad prompt: %b"}}' % prompt.encode(), status=b"500 X"))),
        say_to("t/b", up().script(*AFTER["reset"]), stream=True), b'{"model":"t/a","stream":"%b"}' % prompt.encode(),
    ):  # fmt: skip
        g.post(body)
    g.post(b"%b" % prompt.encode(), headers={"Content-Encoding": "gzip"})
    time.sleep(1.0)
    for name in ("main", "ops", "bytes", "faults"):
        try:
            other = gw(name)
        except AssertionError:
            continue
        assert prompt not in other.log(), f"in the log of {name}: {[x for x in other.log().splitlines() if prompt in x][0][:250]}"
        for path in other.data.rglob("*"):
            if path.is_file():
                assert prompt.encode() not in path.read_bytes(), f"in {path.name} of {name}"


@check("log.no-secret", "no upstream key and no caller's key in any log, /metrics, /models, /ready or error", timeout=40)
def _():
    g = gw("ops")
    made = cli_json("keys", "create", "--name", "secret", data_dir=g.data)["key"]
    told = [g.get(path).body for path in ("/metrics", "/v1/models", "/ready", "/health")]
    script = up().script(json_reply(b'{"error":{"message":"no"}}', status=b"401 Unauthorized"))
    for key in (made, "kilo_" + "s" * 32):
        told += [g.post(say_to("t/a", script), key=key).body, g.post(b"{", key=key).body, g.post(say_to("nope"), key=key).body]
    time.sleep(0.5)
    for text in (*told, g.log().encode()):
        for secret in (made, SECRET_CANARY, g.key, "kilo_" + "s" * 32):
            assert secret.encode() not in text, f"{secret[:8]}… in {text[:200]!r}"


@check("log.upstream-echoes-key", "an upstream that repeats our key in its error does not get it to the caller or the log")
def _():
    g = gw("ops")
    told = b'{"error":{"message":"Incorrect API key provided: %b"}}' % SECRET_CANARY.encode()
    answer = g.post(say_to("t/a", up().script(json_reply(told, status=b"401 Unauthorized"))))
    assert answer.status >= 500, f"{answer}"
    assert SECRET_CANARY.encode() not in answer.body, f"{answer}"
    time.sleep(0.4)
    assert SECRET_CANARY not in g.log()


@check("ops.memory", "worker memory under the 60 MB floor")
def _():
    g = gw("ops")
    pids = g.workers_pids()
    sizes = [rss_kib(pid) / 1024 for pid in pids]
    assert sizes, "no worker found"
    info("ops.worker-rss", ", ".join(f"{size:.0f} MB" for size in sizes))
    assert max(sizes) <= 60, f"{max(sizes):.0f} MB"


@check("ops.control-dies", "kill -9 of everything but supervisor and workers: inference goes on, control comes back", timeout=40)
def _():
    import os
    import signal

    from harness import children

    g = Gateway("control", config(upstream("alpha", url(0), model("t/a")))).start()
    workers = set(g.workers_pids())
    others = [pid for pid in children(g.process.pid) if pid not in workers]
    if not others:
        info("ops.control-process", "no separate control process found")
    for pid in others:
        os.kill(pid, signal.SIGKILL)
    seen = [g.post(say_to("t/a")).status for _ in range(10)]
    assert set(seen) == {200}, f"{seen}"

    def is_back() -> bool:
        try:
            return bool(cli_json("keys", "list", data_dir=g.data))
        except AssertionError:
            return False

    assert eventually(is_back, 10, 0.3), "the CLI is not answered after 10 s"
    made = cli_json("keys", "create", "--name", "after", data_dir=g.data)["key"]
    ok(g.post(say_to("t/a"), key=made))
    ok(g.post(say_to("t/a", up().script(json_reply(JSON_BODY)))))
    g.stop()

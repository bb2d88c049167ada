"""The upstream's side of HTTP: 1xx, close, stale pooled connections, TLS, proxies, hops, discovery, forbidden addresses."""

import json
import re
import time

import wire
from checks_access import ok, url
from checks_faults import START
from harness import (
    JSON_BODY, LAST_CHUNK, SECRET_CANARY, STREAM, STREAM_HEAD, Gateway, Skip, check, chunk, cli, cli_json, config, error_of, free_port,
    gateway, gw, info, json_head, json_reply, model, refused, same_events, say_to, send, stamped, stream_reply, up, upstream,
)  # fmt: skip


@gateway("pool")
def pool_gateway() -> Gateway:
    return Gateway("pool", config(upstream("alpha", url(5), model("t/a"))))


def conns() -> int:
    return len(up().tell("conns", port=5))


INTERIM = {
    "100": b"HTTP/1.1 100 Continue\r\n\r\n", "102-twice": b"HTTP/1.1 102 Processing\r\n\r\n" * 2,
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
}  # fmt: skip
for name, interim in INTERIM.items():

    @check(f"upstream.1xx-{name}", f"{name} before the answer is passed over, JSON and stream; the connection is used again")
    def _(interim=interim):
        g = gw("pool")
        ok(g.post(say_to("t/a")))
        before = conns()
        answer = g.post(say_to("t/a", up().script(send(interim), ["sleep", 0.05], json_reply(JSON_BODY))))
        stamped(ok(answer).json())
        same_events(g.post(say_to("t/a", up().script(send(interim + STREAM_HEAD), send(chunk(STREAM) + LAST_CHUNK)), stream=True)))
        ok(g.post(say_to("t/a")))
        assert conns() == before, f"{conns() - before} new connections"


@check("upstream.connection-close", "Connection: close of an upstream, JSON and stream: the answer is whole, the connection is not used again")
def _():
    g = gw("pool")
    close = b"Connection: close\r\n"
    for _ in range(5):
        stamped(ok(g.post(say_to("t/a", up().script(json_reply(JSON_BODY, close))))).json())
        head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\n" + close + b"\r\n")
        same_events(g.post(say_to("t/a", up().script(send(head + chunk(STREAM) + LAST_CHUNK), ["close"]), stream=True)))
        stamped(ok(g.post(say_to("t/a", up().script(json_reply(JSON_BODY, close), ["close"])))).json())


@check("upstream.http-1.0", "an HTTP/1.0 upstream whose answer ends with the connection")
def _():
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
    stamped(ok(gw("pool").post(say_to("t/a", up().script(send(head + JSON_BODY), ["close"])))).json())


@check("upstream.keep-alive", "20 requests in a row use one upstream connection")
def _():
    g = gw("pool")
    ok(g.post(say_to("t/a")))
    before = conns()
    for n in range(20):
        ok(g.post(say_to("t/a", stream=bool(n % 2))))
    assert conns() == before, f"{conns() - before} new connections"


@check("upstream.stale-retried", "a pooled connection the upstream closes without a byte: retried once, on a fresh one; the caller sees nothing")
def _():
    g = gw("pool")
    for ending in ("close", "reset"):
        for is_stream in (False, True):
            ok(g.post(say_to("t/a")))
            fine = stream_reply(STREAM) if is_stream else json_reply(JSON_BODY)
            script = up().script(seq=[[[ending]], [fine]])
            answer = g.post(say_to("t/a", script, stream=is_stream))
            same_events(answer) if is_stream else stamped(ok(answer).json())
            tried = up().log(script)
            assert len(tried) == 2 and tried[0]["conn"] != tried[1]["conn"], f"{ending}: {len(tried)} tries"


@check("upstream.stale-idle-close", "a pooled connection closed while idle is noticed or retried")
def _():
    g = gw("pool")
    for _ in range(5):
        stamped(ok(g.post(say_to("t/a", up().script(json_reply(JSON_BODY), ["sleep", 0.05], ["close"])))).json())
        time.sleep(0.12)
        stamped(ok(g.post(say_to("t/a", up().script(json_reply(JSON_BODY))))).json())


@check("upstream.stale-only-once", "a fresh connection that is closed too ends it: an error, at most two tries")
def _():
    g = gw("pool")
    ok(g.post(say_to("t/a")))
    script = up().script(["close"])
    answer = g.post(say_to("t/a", script))
    assert answer.status >= 500, f"{answer}"
    error_of(answer)
    assert len(up().log(script)) <= 2, f"{len(up().log(script))} tries"


@check("upstream.stale-not-after-byte", "a pooled connection that breaks after some of its answer is not a stale one: no second try")
def _():
    g = gw("pool")
    ok(g.post(say_to("t/a")))
    script = up().script(send(json_head(500) + JSON_BODY[:50]), ["close"])
    assert g.post(say_to("t/a", script)).status >= 500
    assert len(up().log(script)) == 1, f"{len(up().log(script))} tries"


@check("upstream.unasked-bytes", "bytes an upstream sends after its answer do not become the next caller's answer")
def _():
    g = gw("pool")
    evil = json_head(2) + b"{}"
    for _ in range(5):
        first = g.post(say_to("t/a", up().script(send(json_head(len(JSON_BODY)) + JSON_BODY + evil))))
        assert first.status in (200, 502), f"{first}"  # to distrust such an answer altogether is right too
        time.sleep(0.05)
        answer = g.post(say_to("t/a", up().script(json_reply(JSON_BODY.replace(b"fix1", b"fix9")))))
        assert ok(answer).json()["id"] == "chatcmpl-fix9", f"{answer}"


@check("upstream.not-reused-mid-answer", "a stream given up by its caller leaves no connection in the pool")
def _():
    g = gw("pool")
    script = up().script(send(START), ["sleep", 0.3], send(chunk(STREAM) + LAST_CHUNK))
    with wire.Conn(g.port) as conn:
        conn.send(g.head(say_to("t/a", script, stream=True)))
        conn.head()
    for _ in range(5):
        stamped(ok(g.post(say_to("t/a", up().script(json_reply(JSON_BODY))))).json())


@check("upstream.odd-head", "an answer's head with many, empty, repeated, lower-case header lines, and a content type with odd case")
def _():
    extra = b"".join(b"x-h%d: v\r\n" % n for n in range(60)) + b"set-cookie: a=b\r\nset-cookie: c=d\r\nx-empty:\r\n"
    head = b"HTTP/1.1 200\r\ncontent-type: Text/Event-Stream;Charset=UTF-8\r\ntransfer-encoding: Chunked\r\n" + extra + b"\r\n"
    answer = gw("pool").post(say_to("t/a", up().script(send(head + chunk(STREAM) + LAST_CHUNK)), stream=True))
    same_events(answer)
    assert answer.header("set-cookie") is None, "an upstream's cookie went to the caller"


# -- TLS and proxies


@gateway("tls")
def tls_gateway() -> Gateway:
    if not up().cert:
        raise Skip("no openssl to make a certificate")
    row = upstream("tls", f"https://localhost:{up().tls}/v1", model("t/tls"))
    return Gateway("tls", config(row), env={"SSL_CERT_FILE": str(up().cert)})


@check("tls.answer", "a TLS upstream whose certificate is in SSL_CERT_FILE: JSON and stream")
def _():
    g = gw("tls")
    stamped(ok(g.post(say_to("t/tls", up().script(json_reply(JSON_BODY))))).json())
    same_events(g.post(say_to("t/tls", up().script(stream_reply(STREAM)), stream=True)))


@check("tls.session-reuse", "new connections to a TLS upstream resume its session")
def _():
    g = gw("tls")
    ok(g.post(say_to("t/tls")))
    close = b"Connection: close\r\n"
    for _ in range(4):
        ok(g.post(say_to("t/tls", up().script(json_reply(JSON_BODY, close), ["close"]))))
    reused = [row["tls_reused"] for row in up().tell("conns", port=-1)]
    assert any(reused[1:]), f"session_reused of {len(reused)} connections: {reused}"


@check("tls.untrusted", "a TLS upstream with an unknown certificate is an error that says so, not a request", timeout=60)
def _():
    if not up().cert:
        raise Skip("no openssl to make a certificate")
    g = Gateway("untrusted", config(upstream("tls", f"https://localhost:{up().tls}/v1", model("t/tls")))).start()
    since = up().tell("count")
    answer = g.post(say_to("t/tls"))
    refused(answer, 502, 503)
    assert up().tell("count") == since, "the request was sent"
    g.stop()


@check("proxy.https", "HTTPS_PROXY is used for a TLS upstream (CONNECT), NO_PROXY exempts it", timeout=60)
def _():
    if not up().cert:
        raise Skip("no openssl to make a certificate")
    row = config(upstream("tls", f"https://localhost:{up().tls}/v1", model("t/tls")))
    env = {"SSL_CERT_FILE": str(up().cert), "HTTPS_PROXY": f"http://127.0.0.1:{up().ports[4]}"}
    asked = {}
    for name, more in (("proxied", {}), ("exempt", {"NO_PROXY": "localhost,127.0.0.1"})):
        g = Gateway(name, row, env=env | more).start()
        since = up().tell("count")
        ok(g.post(say_to("t/tls")))
        asked[name] = [r["path"] for r in up().log(since=since) if r["method"] == "CONNECT"]
        g.stop()
    assert asked["proxied"] == [f"localhost:{up().tls}"], f"CONNECT {asked['proxied']}"
    assert not asked["exempt"], f"CONNECT {asked['exempt']} in spite of NO_PROXY"


# -- loops


def _hop() -> dict[str, str]:
    """The hop header as the gateway sends it upstream."""
    script = up().script(["echo"])
    ok(gw("pool").post(say_to("t/a", script)))
    lines = dict(line.split(": ", 1) for line in up().one(script)["head"].split("\r\n")[1:] if ": " in line)
    hops = {name: value for name, value in lines.items() if name.lower().startswith("x-kilo") and "hop" in name.lower()}
    assert hops, f"no hop header upstream, only {list(lines)}"
    return hops


@check("hop.508", "a request that carries our hop header back gets 508")
def _():
    answer = gw("pool").post(say_to("t/a"), headers=_hop())
    assert answer.status == 508, f"{answer}"
    error_of(answer)


@check("hop.disguised-loop", "an upstream that leads back through another port ends after one turn, in an error", timeout=40)
def _():
    g = Gateway("loop", config(upstream("loop", url(2), model("t/loop", "t/loop"))))
    g.start()
    # The forwarder adds no key, so give the loop ours: the gateway must stop it by the hop header, not by luck of a 401.
    g.stop()
    g.config.write_text(config(upstream("loop", f"http://127.0.0.1:{up().ports[2]}/v1", model("t/loop", "t/loop"), key=g.key)))
    up().tell("mode", port=2, mode="forward", to=g.port)
    try:
        g.start()
        before = len(up().tell("conns", port=2))
        answer = g.post(say_to("t/loop"))
        turns = len(up().tell("conns", port=2)) - before
        assert answer.status in (508, 502), f"{answer}"
        assert turns <= 2, f"{turns} turns"
        assert "loop" in answer.body.decode().lower() or answer.status == 508, f"{answer}"
    finally:
        up().tell("mode", port=2, mode="normal")
        g.stop()


@check("self.skipped", "an upstream that is the gateway's own listener is skipped, with a line saying so; others work", timeout=60)
def _():
    port = free_port()
    for host in ("127.0.0.1", "localhost"):
        g = Gateway("self", config(upstream("me", f"http://{host}:{port}/v1", model("t/me")), upstream("alpha", url(0), model("t/a"))))
        g.port = port
        g.start()
        ok(g.post(say_to("t/a")))
        answer = g.post(say_to("t/me"))
        assert answer.status in (404, 400, 502, 503), f"{host}: {answer}"
        lines = [line for line in g.log().splitlines() if re.search(r"\bme\b", line) and re.search(r"skip|own|itself|self", line, re.I)]
        assert lines, f"{host}: no line about it in: {g.log()[-200:]!r}"
        g.stop()


@check("self.skipped-env", "an upstream out of the environment that points at the gateway itself is skipped too", timeout=40)
def _():
    g = Gateway("selfenv", config(upstream("alpha", url(0), model("t/a"))))
    g.env = {"KILOCODE_API_KEY": "sk-x", "KILOCODE_BASE_URL": f"http://127.0.0.1:{g.port}/api/gateway"}
    g.start()
    ok(g.post(say_to("t/a")))
    assert re.search(r"(?i)skip|own listener|itself", g.log()), f"no line about it: {g.log()[-200:]!r}"
    g.stop()


# -- upstreams out of the environment, discovery

NAMES = ("OPENAI", "OPENROUTER", "KILOCODE", "GROQ", "MISTRAL", "DEEPSEEK", "XAI")


@gateway("environment")
def environment_gateway() -> Gateway:
    env = {}
    for name in NAMES:
        env[f"{name}_API_KEY"] = f"sk-of-{name.lower()}"
        env[f"{name}_BASE_URL"] = f"http://127.0.0.1:{up().ports[0]}/from-{name.lower()}/v1"
    return Gateway("environment", config(), env=env)


def _model_like(g: Gateway, text: str) -> str:
    end = time.monotonic() + 8
    while True:
        ids = [row["id"] for row in g.get("/v1/models").json()["data"]]
        found = [id for id in ids if text in id]
        if found or time.monotonic() > end:
            break
        time.sleep(0.2)
    assert found, f"no model with {text!r} among {ids[:12]}"
    return found[0]


for name in NAMES:

    @check(f"env.{name}", f"{name}_API_KEY and {name}_BASE_URL make an upstream without a file, discovered from its /models")
    def _(name=name):
        g, low = gw("environment"), name.lower()
        id = _model_like(g, f"from-{low}-model")
        script = up().script(["echo"])
        ok(g.post(say_to(id, script)))
        row = up().one(script)
        assert row["path"].startswith(f"/from-{low}/v1/chat/completions"), f"{row['path']}"
        assert f"bearer sk-of-{low}" in row["head"].lower(), f"{row['head'][:200]!r}"
        assert json.loads(__import__("base64").b64decode(row["body"]))["model"] == f"from-{low}-model"


@check("env.KILO", "KILO_API_KEY does as well as KILOCODE_API_KEY", timeout=40)
def _():
    base = f"http://127.0.0.1:{up().ports[0]}/from-kilo/v1"
    g = Gateway("kilokey", config(), env={"KILO_API_KEY": "sk-of-kilo", "KILO_BASE_URL": base, "KILOCODE_BASE_URL": base}).start()
    ok(g.post(say_to(_model_like(g, "from-kilo-model"))))
    g.stop()


@check("discovery.config", "an upstream without models is discovered from its /models; the key is sent there")
def _():
    base = f"http://127.0.0.1:{up().ports[0]}/found/v1"
    since = up().tell("count")
    g = Gateway("discovery", config(upstream("found", base))).start()
    ok(g.post(say_to(_model_like(g, "found-model"))))
    asked = [row for row in up().log(since=since) if row["path"] == "/found/v1/models"]
    assert asked and SECRET_CANARY.lower() in asked[0]["head"].lower(), f"{[r['path'] for r in up().log(since=since)]}"
    g.stop()


@check("discovery.broken", "a /models that is an error, garbage, empty, huge or silent keeps nobody from starting", timeout=90)
def _():
    models = {
        "error": [json_reply(b"{}", status=b"500 X")], "garbage": [send(b"\xff\xfe garbage"), ["close"]], "html": [json_reply(b"<html>")],
        "list": [json_reply(b"[]")], "rows": [json_reply(b'{"data":[7,null,{"id":null},{"id":""},{"id":"fine"}]}')],
        "silent": [["hold", 60]], "stall": [send(json_head(5000) + b'{"data":['), ["hold", 60]],
    }  # fmt: skip
    rows = [upstream("alpha", url(0), model("t/a"))]
    for name, steps in models.items():
        up().script(*steps, name=f"models.broken-{name}")
        rows.append(upstream(f"broken-{name}", f"http://127.0.0.1:{up().ports[0]}/broken-{name}/v1"))
    started = time.monotonic()
    g = Gateway("broken", config(*rows)).start()
    took = time.monotonic() - started
    ok(g.post(say_to("t/a")))
    info("discovery.broken-start", f"ready after {took:.1f} s beside seven broken /models")
    assert took < 15, f"ready after {took:.1f} s"
    g.stop()


# -- addresses

FORBIDDEN = {
    "plain": "http://169.254.169.254/v1", "mapped": "http://[::ffff:169.254.169.254]/v1", "decimal": "http://2852039166/v1",
    "hex": "http://0xa9fea9fe/v1", "octal": "http://0251.0376.0251.0376/v1", "nat64": "http://[64:ff9b::a9fe:a9fe]/v1",
    "6to4": "http://[2002:a9fe:a9fe::]/v1", "ec2-v6": "http://[fd00:ec2::254]/v1", "user-info": "http://x@169.254.169.254/v1",
}  # fmt: skip
for name, base in FORBIDDEN.items():

    @check(f"guard.metadata-{name}", f"base_url {base} is refused", timeout=40)
    def _(name=name, base=base):
        g = Gateway(f"guard-{name}", config(upstream("alpha", url(0), model("t/a")), upstream("meta", base, model("t/meta"))))
        try:
            g.start()
        except AssertionError as error:
            assert g.process and g.process.poll() == 78, f"{error}"
            return "at start, exit 78"
        started = time.monotonic()
        answer = g.post(say_to("t/meta"))
        took = time.monotonic() - started
        g.stop()
        assert answer.status >= 400 and took < 2, f"{took:.1f} s: {answer}"
        text = answer.body.decode(errors="replace") + g.log()
        assert re.search(r"(?i)metadata|not allowed|forbidden|denied|refus\w+ to|guard|link-local|address that", text), f"no reason given: {answer}"
        return "at the request"


@check("cli.models-list", "models list --json lists the configured models, running and stopped", timeout=40)
def _():
    g = Gateway("modelslist", config(upstream("alpha", url(0), model("t/a"), model("t/b")))).start()
    for state in ("running", "stopped"):
        rows = cli_json("models", "list", data_dir=g.data, config=g.config)
        ids = {row.get("id") for row in rows}
        assert {"t/a", "t/b"} <= ids, f"{state}: {ids}"
        if state == "running":
            g.stop()
    assert SECRET_CANARY not in cli("models", "list", "--json", data_dir=g.data, config=g.config).stdout

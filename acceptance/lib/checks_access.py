"""Keys, paths, methods, CORS, unknown models: everything about a request but its body."""

import json
import re
import stat

import wire
from harness import (
    COST, PROMPT_CANARY, REPO, Gateway, check, cli_json, config, error_of, gateway, gw, info, model, refused, say_to, up, upstream,
)  # fmt: skip

PREFIXES = ("/api/gateway", "/api/gateway/v1", "/api/openrouter", "/api/openrouter/v1", "/api/v1", "/v1")
MODELS = ("t/a", "t/free", "t/open", "t/fine", "zeta/quartz-large", "zeta/quartz-small", "zeta/quartz-mini", "omega/unlike")


def url(port: int) -> str:
    return f"http://127.0.0.1:{up().ports[port]}/v1"


@gateway("main")
def main_gateway() -> Gateway:
    others = [model(name) for name in MODELS[4:]]
    alpha = upstream(
        "alpha", url(0), model("t/a", "mock-a"), model("t/free", "mock-f", None), model("t/open", "mock-o", anonymous=True),
        model("t/fine", "mock-n", ("0.15", "0.6")), *others,
    )  # fmt: skip
    return Gateway("main", config(alpha, auto="t/a"), workers=2)


def ok(answer: wire.Answer) -> wire.Answer:
    assert answer.status == 200, f"{answer}"
    return answer


# -- keys

FORMS = {
    "bearer": lambda key, port: {"Authorization": f"Bearer {key}"},
    "bearer-lowercase": lambda key, port: {"authorization": f"bearer {key}"},
    "bare": lambda key, port: {"Authorization": key},
    "x-api-key": lambda key, port: {"x-api-key": key},
    "url-bearer": lambda key, port: {"Authorization": f"Bearer http://127.0.0.1:{port}:{key}"},
    "url-bare": lambda key, port: {"Authorization": f"http://127.0.0.1:{port}:{key}"},
    "url-x-api-key": lambda key, port: {"X-Api-Key": f"http://localhost:{port}:{key}"},
    "url-https-path": lambda key, port: {"Authorization": f"Bearer https://gw.example:{port}/base:{key}"},
}
for name, form in FORMS.items():

    @check(f"key.{name}", f"a key is accepted as {name}")
    def _(form=form):
        g = gw()
        ok(g.post(say_to("t/a"), key=None, headers=form(g.key, g.port)))


@check("key.form", "keys are kilo_ + 32 base62 characters, different each time")
def _():
    g = gw()
    keys = [g.key] + [cli_json("keys", "create", "--name", f"form{n}", data_dir=g.data)["key"] for n in range(2)]
    assert all(re.fullmatch(r"kilo_[0-9A-Za-z]{32}", key) for key in keys), f"lengths {[len(k) for k in keys]}, {keys[0][:8]}…"
    assert len(set(keys)) == 3, "the same key twice"


@check("key.only-hash-stored", "no key stands in any file of the data directory but owner.key")
def _():
    g = gw()
    made = cli_json("keys", "create", "--name", "hashed", data_dir=g.data)["key"]
    ok(g.post(say_to("t/a"), key=made))
    for path in g.data.rglob("*"):
        if path.is_file() and path.name != "owner.key":
            data = path.read_bytes()
            assert made.encode() not in data and g.key.encode() not in data, f"a key lies in {path.name}"


@check("key.modes", "data directory 0700; owner.key, secret.key, snapshot 0600")
def _():
    g = gw()
    modes = {"": 0o700} | dict.fromkeys(("owner.key", "secret.key", "snapshot"), 0o600)
    for name, mode in modes.items():
        path = g.data / name
        assert path.exists(), f"{name} is not there"
        seen = stat.S_IMODE(path.stat().st_mode)
        assert seen == mode, f"{name or 'data dir'} is {seen:o}"


for name, headers in {
    "none": {}, "anonymous": {"Authorization": "Bearer anonymous"}, "wrong": {"Authorization": "Bearer kilo_" + "x" * 32},
    "empty": {"Authorization": ""}, "garbage": {"Authorization": "Basic \xe9\xff=="}, "short": {"x-api-key": "kilo_"},
}.items():  # fmt: skip

    @check(f"key.401-{name}", f"a model that is not open: 401 with {name} key")
    def _(headers=headers):
        refused(gw().post(say_to("t/a"), key=None, headers=headers), 401)


for name, headers in {"none": {}, "anonymous": {"Authorization": "Bearer anonymous"}}.items():

    @check(f"key.open-{name}", f"an open model is answered with {name} key")
    def _(headers=headers):
        ok(gw().post(say_to("t/open"), key=None, headers=headers))


ODD = {
    "absent": {}, "empty": {"HTTP-Referer": "", "X-Title": "", "X-KiloCode-Version": "", "User-Agent": ""},
    "latin1": {"HTTP-Referer": "\xfc\xff", "X-Title": "caf\xe9 \x80", "User-Agent": "\xe9"},
    "long": {"HTTP-Referer": "http://x/" + "r" * 2000, "X-Title": "t" * 2000, "X-KiloCode-Version": "9" * 500, "User-Agent": "u" * 2000},
    "strange": {"HTTP-Referer": "not a url", "X-KiloCode-Version": "v-\u00bd", "User-Agent": "\"'<>{}%00", "X-Title": "a\tb"},
}  # fmt: skip
for name, headers in ODD.items():

    @check(f"headers.{name}", f"HTTP-Referer, X-Title, X-KiloCode-Version, User-Agent {name}: answered")
    def _(headers=headers):
        ok(gw().post(say_to("t/a"), headers=headers))


# -- paths

for prefix in PREFIXES:

    @check(f"path.chat{prefix.replace('/', '.')}", f"POST {prefix}/chat/completions, JSON and stream")
    def _(prefix=prefix):
        ok(gw().post(say_to("t/a"), path=prefix + "/chat/completions"))
        answer = ok(gw().post(say_to("t/a", stream=True), path=prefix + "/chat/completions?beta=true"))
        assert answer.body.endswith(b"data: [DONE]\n\n"), f"{answer.body[-80:]!r}"

    @check(f"path.models{prefix.replace('/', '.')}", f"GET {prefix}/models without a key lists the models")
    def _(prefix=prefix):
        rows = ok(gw().get(prefix + "/models")).json()["data"]
        ids = {row["id"] for row in rows}
        assert set(MODELS) <= ids, f"only {sorted(ids)[:12]}"


SLASHED = ("//v1//chat//completions", "/v1/chat/completions/", "/api//gateway/v1///chat/completions//", "//api/openrouter/chat/completions/")


@check("path.slashes", "doubled and trailing slashes are tolerated")
def _():
    for path in SLASHED:
        answer = gw().post(say_to("t/a"), path=path)
        assert answer.status == 200, f"{path}: {answer}"
    for path in ("//v1//models//", "/api/gateway/models/", "/api/gateway//v1/models"):
        answer = gw().get(path)
        assert answer.status == 200, f"{path}: {answer}"


NEAREST = {
    "/v1/chat/completion": "/v1/chat/completions", "/api/gateway/v1/chat": "/api/gateway/v1/chat/completions",
    "/api/v1/model": "/api/v1/models", "/api/openrouter/chat/compeltions": "/api/openrouter/chat/completions",
}  # fmt: skip


@check("path.404-nearest", "any other path under a prefix: 404 JSON naming the nearest valid path")
def _():
    for path, nearest in NEAREST.items():
        method = "GET" if "model" in path else "POST"
        data = wire.request(method, path, {"Authorization": f"Bearer {gw().key}", "Connection": "close"}, b"{}" if method == "POST" else None)
        answer = wire.ask(gw().port, data)
        refused(answer, 404)
        assert re.search(re.escape(nearest) + r"(?![\w/])", answer.body.decode()), f"{path}: {answer}"


@check("path.405-allow", "wrong method: 405 with Allow")
def _():
    for method, path, allowed in (("GET", "/v1/chat/completions", "POST"), ("DELETE", "/v1/models", "GET"),
                                  ("PUT", "/api/gateway/chat/completions", "POST"), ("POST", "/api/v1/models", "GET")):  # fmt: skip
        answer = wire.ask(gw().port, wire.request(method, path, {"Authorization": f"Bearer {gw().key}"}, b"{}"), method=method)
        assert answer.status == 405, f"{method} {path}: {answer}"
        assert allowed in re.split(r"[,\s]+", answer.header("allow") or ""), f"{method} {path}: Allow: {answer.header('allow')}"
        error_of(answer)


@check("path.options", "OPTIONS is answered 204")
def _():
    for path in ("/v1/chat/completions", "/api/openrouter/v1/models", "/v1/models"):
        answer = gw().get(path, method="OPTIONS")
        assert answer.status == 204, f"{path}: {answer}"


@check("path.head", "HEAD is as GET, without a body, and the connection goes on")
def _():
    with wire.Conn(gw().port) as conn:
        for path in ("/v1/models", "/health", "/api/gateway/models"):
            conn.send(wire.request("HEAD", path))
            answer = conn.read("HEAD")
            assert answer.status == 200, f"{path}: {answer}"
        conn.send(wire.request("GET", "/v1/models"))
        answer = conn.read("GET")
        assert answer.status == 200 and answer.json()["data"], f"GET after HEAD: {answer}"


@check("path.404-elsewhere", "a path outside the prefixes is a 404, not a 5xx and not a hang")
def _():
    for path in ("/nothing", "/v1x/chat/completions", "/%00", "/v1/../../etc/passwd", "/api"):
        answer = gw().get(path)
        assert 300 <= answer.status < 500, f"{path}: {answer}"


# -- CORS


@gateway("cors")
def cors_gateway() -> Gateway:
    return Gateway("cors", config(upstream("alpha", url(0), model("t/a")), server='cors_origins = ["https://app.example"]\n'))


@check("cors.off", "no CORS header unless configured")
def _():
    for answer in (
        gw().get("/v1/models", {"Origin": "https://app.example"}),
        gw().get("/v1/chat/completions", {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}, method="OPTIONS"),
        gw().post(say_to("t/a"), headers={"Origin": "https://app.example"}),
    ):
        seen = [name for name, _ in answer.headers if name.startswith("access-control-")]
        assert not seen, f"{seen}"


@check("cors.on", "[server] cors_origins: that origin is allowed, in preflight, answer, stream and error; others are not")
def _():
    g, origin = gw("cors"), "https://app.example"
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    pre = g.get("/v1/chat/completions", asking, method="OPTIONS")
    assert pre.status == 204, f"{pre}"
    assert "POST" in (pre.header("access-control-allow-methods") or ""), f"methods {pre.header('access-control-allow-methods')}"
    allowed = (pre.header("access-control-allow-headers") or "").lower()
    assert "authorization" in allowed or allowed == "*", f"headers {allowed!r}"
    for name, answer in {
        "preflight": pre, "answer": g.post(say_to("t/a"), headers={"Origin": origin}), "models": g.get("/v1/models", {"Origin": origin}),
        "stream": g.post(say_to("t/a", stream=True), headers={"Origin": origin}),
        "error": g.post(b"{", headers={"Origin": origin}),
    }.items():  # fmt: skip
        assert answer.header("access-control-allow-origin") in (origin, "*"), f"{name}: {answer.headers}"
    other = g.post(say_to("t/a"), headers={"Origin": "https://evil.example"})
    assert other.header("access-control-allow-origin") is None, f"{other.headers}"


# -- models


@check("model.unknown-404", "an unknown model: 404 naming the three closest ids")
def _():
    answer = gw().post(say_to("zeta/quartz-larg"))
    refused(answer, 404)
    words = {word.strip(".") for word in re.findall(r"[\w./-]+", answer.body.decode())}
    near = words & (set(MODELS) | {"kilo/auto"})
    assert len(near) == 3, f"names {sorted(near)}: {answer.body[:200]!r}"
    assert near == {"zeta/quartz-large", "zeta/quartz-small", "zeta/quartz-mini"}, f"not the closest: {sorted(near)}"


@check("model.unknown-stream-404", "an unknown model in a streaming request: a JSON 404, no stream")
def _():
    answer = gw().post(say_to("nope", stream=True))
    refused(answer, 404)
    assert "json" in (answer.header("content-type") or ""), f"{answer.header('content-type')}"


@check("model.auto-default", "kilo/auto is served by [auto] default; its usage row names the real model")
def _():
    answer = ok(gw().post(say_to("kilo/auto")))
    assert gw().row(answer.header("x-generation-id"))["model"] == "t/a", "usage row of another model"


@check("model.auto-first", "kilo/auto without [auto] default: the first configured model")
def _():
    answer = ok(gw("cors").post(say_to("kilo/auto")))
    assert gw("cors").row(answer.header("x-generation-id"))["model"] == "t/a"


# -- what goes upstream


@check("sent.credential", "upstream gets the upstream's key and the upstream's model id, nothing of the caller's key")
def _():
    script = up().script(["echo"])
    ok(gw().post(say_to("t/a", script), headers={"x-api-key": gw().key, "Cookie": "a=b"}))
    row = up().one(script)
    head = row["head"].lower()
    assert "authorization: bearer sk-canary" in head, f"{row['head'][:250]!r}"
    assert gw().key.lower() not in head and "cookie:" not in head, "the caller's key or cookie went upstream"
    assert json.loads(_body(row))["model"] == "mock-a", f"{_body(row)[:150]!r}"


@check("sent.identity", "upstream is asked with Accept-Encoding: identity")
def _():
    script = up().script(["echo"])
    ok(gw().post(say_to("t/a", script), headers={"Accept-Encoding": "gzip, br, zstd"}))
    head = up().one(script)["head"]
    assert re.search(r"(?im)^accept-encoding:\s*identity\s*$", head), f"{head[:250]!r}"


@check("sent.path", "POST to base_url + /chat/completions with Host and Content-Length")
def _():
    script = up().script(["echo"])
    ok(gw().post(say_to("t/a", script), path="/api/gateway//chat/completions/?x=1"))
    row = up().one(script)
    assert (row["method"], row["path"]) == ("POST", "/v1/chat/completions"), f"{row['method']} {row['path']}"
    assert f"127.0.0.1:{up().ports[0]}" in row["head"], f"{row['head'][:200]!r}"


@check("sent.include-usage", "stream_options.include_usage is forced upstream, other members are kept; JSON requests are left alone")
def _():
    for asked in (None, {}, {"include_usage": False}, {"include_usage": False, "include_obfuscation": False}):
        script = up().script(name="", **_default_stream())
        more = {} if asked is None else {"stream_options": asked}
        ok(gw().post(say_to("t/a", script, stream=True, **more)))
        sent = json.loads(_body(up().one(script)))["stream_options"]
        assert sent.get("include_usage") is True, f"{asked} became {sent}"
        assert not asked or "include_obfuscation" not in asked or sent.get("include_obfuscation") is False, f"{asked} became {sent}"
    script = up().script(["echo"])
    ok(gw().post(say_to("t/a", script)))
    assert "stream_options" not in json.loads(_body(up().one(script))), "stream_options in a JSON request"


@check("sent.fields", "every other field goes upstream as it was written, known or not")
def _():
    script = up().script(["echo"])
    parts = (b'"temperature":1.10', b'"seed": 12345678901234567890123', b'"x_unknown":{"e":1E+2,"s":"caf\\u00e9 \\/","l":[ 1 , 2 ]}')
    body = b'{"model":"t/a","messages":[{"role":"user","content":"script:%b %b"}],%b}' % (
        script.encode(), PROMPT_CANARY.encode(), b",".join(parts))  # fmt: skip
    ok(gw().post(body))
    sent = _body(up().one(script))
    for part in (b"1.10", b"12345678901234567890123", b"1E+2", b"caf\\u00e9 \\/", b"[ 1 , 2 ]"):
        assert part in sent, f"{part!r} not in {sent[:250]!r}"


@check("sent.duplicates", "duplicate top-level keys: the last wins, and only that one goes upstream")
def _():
    script = up().script(["echo"])
    body = (
        b'{"model":"nope","temperature":0.1,"stream":true,"messages":[],"model":"t/a","temperature":0.9,"stream":false,'
        b'"messages":[{"role":"user","content":"script:%b"}]}' % script.encode()
    )
    answer = ok(gw().post(body))
    assert "json" in (answer.header("content-type") or ""), "answered as a stream"
    sent = _body(up().one(script))
    for name in (b'"model"', b'"temperature"', b'"stream"', b'"messages"'):
        assert sent.count(name) == 1, f"{name.decode()} x {sent.count(name)}: {sent[:200]!r}"
    assert json.loads(sent)["temperature"] == 0.9, f"{sent[:200]!r}"


def _body(row: dict) -> bytes:
    import base64

    return base64.b64decode(row["body"])


def _default_stream() -> dict:
    from harness import STREAM, stream_reply

    return {"steps": [stream_reply(STREAM)]}


@check("docs.two-commands", "the repository's own words are there: README, ARCHITECTURE, CONTRIBUTING, LICENSE, SECURITY, THREAT_MODEL, CHANGELOG")
def _():
    wanted = {"README.md": "./run test", "ARCHITECTURE.md": "", "CONTRIBUTING.md": "", "LICENSE": "Apache License", "SECURITY.md": "",
              "THREAT_MODEL.md": "", "CHANGELOG.md": ""}  # fmt: skip
    for name, text in wanted.items():
        path = REPO / name
        assert path.exists() and path.stat().st_size > 100, f"{name} is missing or empty"
        assert text in path.read_text(), f"{name} does not say {text!r}"
    info("docs.cost", f"fixture cost used throughout: {COST} USD")

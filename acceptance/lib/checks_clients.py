"""Real counterparts: the openai SDK, the local model, and `./run` as a newcomer uses it."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import wire
from checks_access import ok, url
from harness import (
    JSON_BODY, REPO, ROOT, STREAM, Gateway, Skip, check, cli_json, config, environment, error_of, eventually, free_port, gateway, gw,
    info, json_reply, model, refused, same_events, say_to, spawn, stream_reply, up, upstream,
)  # fmt: skip

LOCAL = "local/smollm2-135m-instruct"
ASKED = [{"role": "user", "content": "What is the capital of France?"}]


# -- the openai SDK


def openai_module():
    try:
        import openai
    except ImportError:
        raise AssertionError("no openai SDK in the checks' Python: ./run setup dev") from None
    return openai


def messages(script: str) -> list[dict]:
    return [{"role": "user", "content": f"script:{script}"}]


def client(kind: str = "OpenAI", base: str = "/v1", **more):
    g = gw()
    return getattr(openai_module(), kind)(base_url=f"http://127.0.0.1:{g.port}{base}", api_key=more.pop("key", g.key), max_retries=0, **more)


@check("sdk.sync", "openai SDK, sync: an answer with usage and cost, under three prefixes")
def _():
    script = up().script(json_reply(JSON_BODY))
    for base in ("/v1", "/api/gateway", "/api/openrouter/v1/"):
        with client(base=base) as sdk:
            told = sdk.chat.completions.create(model="t/a", messages=messages(script))
        assert told.choices[0].message.content.startswith("café"), f"{told}"
        assert told.usage.prompt_tokens == 12 and abs(told.usage.cost - 0.000026) < 1e-12, f"{told.usage}"
        assert told.model == "t/a" and told.provider == "alpha", f"{told.model} {getattr(told, 'provider', None)}"


@check("sdk.stream", "openai SDK, stream, sync: content, finish reason, usage unasked")
def _():
    script = up().script(stream_reply(STREAM))
    with client() as sdk:
        chunks = list(sdk.chat.completions.create(model="t/a", messages=messages(script), stream=True))
    assert "café" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), f"{chunks[:2]}"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == 7 and abs(chunks[-1].usage.cost - 0.000026) < 1e-12, f"{chunks[-1]}"


@check("sdk.async", "openai SDK, async: 20 answers and 20 streams at once")
def _():
    script = up().script(["sleep", 0.2], stream_reply(STREAM))

    async def all_of_it() -> None:
        async with client("AsyncOpenAI") as sdk:

            async def answer() -> str:
                return (await sdk.chat.completions.create(model="t/a", messages=messages("ok"))).choices[0].message.content

            async def stream() -> int:
                got = await sdk.chat.completions.create(model="t/a", messages=messages(script), stream=True)
                return len([c async for c in got])

            seen = await asyncio.gather(*[answer() for _ in range(20)], *[stream() for _ in range(20)])
        assert seen[:20] == ["ok"] * 20 and set(seen[20:]) == {5}, f"{seen}"

    asyncio.run(all_of_it())


@check("sdk.models", "openai SDK: models.list")
def _():
    with client() as sdk:
        assert "t/a" in {m.id for m in sdk.models.list()}


@check("sdk.errors", "openai SDK: its own exception for a wrong key, an unknown model, a bad request, a failing upstream")
def _():
    openai = openai_module()
    down = up().script(json_reply(b'{"error":{"message":"x"}}', status=b"500 X"))
    cases = (
        (openai.AuthenticationError, {"key": "kilo_" + "w" * 32}, {"model": "t/a", "messages": messages("ok")}),
        (openai.NotFoundError, {}, {"model": "none", "messages": messages("ok")}),
        (openai.BadRequestError, {}, {"model": "t/a", "messages": messages("ok"), "extra_body": {"stream": "perhaps"}}),
        (openai.InternalServerError, {}, {"model": "t/fine", "messages": messages(down)}),
    )
    for wanted, with_key, request in cases:
        with client(**with_key) as sdk:
            try:
                sdk.chat.completions.create(**request)
                raise AssertionError(f"no {wanted.__name__}")
            except wanted as error:
                assert error.message and error.body, f"{wanted.__name__} without message or body: {error}"
                assert with_key or wanted is openai.InternalServerError or error.code, f"no code: {error.body}"


@check("sdk.stream-error", "openai SDK: an upstream that breaks inside a stream is an APIError, not a quiet end")
def _():
    from checks_faults import AFTER

    openai = openai_module()
    with client() as sdk:
        try:
            list(sdk.chat.completions.create(model="zeta/quartz-mini", messages=messages(up().script(*AFTER["reset"])), stream=True))
        except openai.APIError as error:
            return type(error).__name__
    raise AssertionError("the SDK saw a clean end")


@check("sdk.raw-id", "openai SDK: with_raw_response gives x-generation-id, which usage knows")
def _():
    with client() as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="t/a", messages=messages("ok"))
        assert gw().row(raw.headers["x-generation-id"])["model"] == "t/a"


# -- the local model


@gateway("local")
def local_gateway() -> Gateway:
    for name in ("XDG_CACHE_HOME",):  # an existing cache is used: the model is 100 MB
        os.environ.setdefault(name, str(Path.home() / ".cache"))
    g = Gateway("local", config(local=True))
    g.wait = 90.0
    return g


def local() -> Gateway:
    g = gw("local")
    ids = eventually(lambda: [r["id"] for r in g.get("/v1/models").json()["data"] if "smollm2" in r["id"]], 60, 0.5)
    assert ids, f"no local model in /models; {g.log()[-220:]}"
    assert LOCAL in ids, f"{ids}"
    return g


def paris(**more) -> bytes:
    return json.dumps({"model": LOCAL, "messages": ASKED, "temperature": 0, "max_tokens": 40, **more}).encode()


@check("local.paris", "no provider key: the capital of France at temperature 0 is Paris, with usage, under its catalogue id", timeout=150)
def _():
    told = ok(local().post(paris(), timeout=60)).json()
    assert "Paris" in told["choices"][0]["message"]["content"], f"{told['choices']}"
    assert told["model"] == LOCAL and "cost" in told["usage"] and told["usage"]["completion_tokens"] > 0, f"{told['model']} {told['usage']}"


@check("local.stream", "the same, streamed: chunks carry the catalogue id and no path of a file", timeout=60)
def _():
    answer = ok(local().post(paris(stream=True), timeout=50))
    chunks = wire.chunks(answer.body)
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert "Paris" in text and answer.body.endswith(b"data: [DONE]\n\n"), f"{text!r} {answer.body[-60:]!r}"
    assert {c["model"] for c in chunks} == {LOCAL}, f"{ {c['model'] for c in chunks} }"
    assert b".gguf" not in answer.body and chunks[-1]["usage"]["completion_tokens"] > 0
    assert local().row(answer.header("x-generation-id"))["model"] == LOCAL
    return f"first piece after {answer.seen[0][0]:.2f} s"


@check("local.auto", "kilo/auto is the local model while nothing else is configured", timeout=60)
def _():
    answer = ok(local().post(json.dumps({"model": "kilo/auto", "messages": ASKED, "temperature": 0, "max_tokens": 20}).encode(), timeout=50))
    assert local().row(answer.header("x-generation-id"))["model"] == LOCAL


@check("local.tools", "a request with tools: 400 naming the cure; an empty tools list is none", timeout=60)
def _():
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    error = refused(local().post(paris(tools=[tool]), timeout=30), 400)
    assert "tool" in error["message"].lower() and re.search(r"(?i)add|configure|upstream|key|model", error["message"]), f"{error}"
    ok(local().post(paris(tools=[]), timeout=50))


@check("local.too-long", "a request longer than its context: 400 naming the cure", timeout=60)
def _():
    long = json.dumps({"model": LOCAL, "messages": [{"role": "user", "content": "word and another " * 20_000}]}).encode()
    error = refused(local().post(long, timeout=40), 400)
    assert re.search(r"(?i)context|long|8192", error["message"]), f"{error}"
    assert re.search(r"(?i)shorten|add|configure|upstream|key|larger|model", error["message"]), f"{error}"


@check("local.while-loading", "a request that arrives while the model loads waits, and is answered", timeout=120)
def _():
    local()
    g = Gateway("loading", config(local=True))
    g.wait = 0.0
    with contextlib.suppress(AssertionError):
        g.start()
    assert eventually(lambda: _alive(g) and (g.data / "owner.key").exists(), 20, 0.01), f"not up: {g.log()[-200:]}"
    started = time.monotonic()
    answer = g.post(paris(), timeout=60)
    took = time.monotonic() - started
    ok(answer)
    assert "Paris" in answer.json()["choices"][0]["message"]["content"]
    g.stop()
    return f"{took:.1f} s"


def _alive(g: Gateway) -> bool:
    with contextlib.suppress(OSError, wire.Ended):
        return g.get("/health", timeout=1).status == 200
    return False


@check("local.killed", "kill -9 of the llama server: it is restarted and answers again", timeout=120)
def _():
    from harness import _cmdline, children

    g = local()
    pids = [pid for pid in children(g.process.pid) if re.search(r"llama|local|gguf", _cmdline(pid)) and pid not in g.workers_pids()]
    assert pids, "no llama process found by its command line"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    last = {}

    def answers() -> bool:
        last["a"] = g.post(paris(max_tokens=8), timeout=30)
        return last["a"].status == 200

    assert eventually(answers, 60, 1.0), f"{last['a']}"


@check("local.hidden", "the llama server listens on loopback only and wants a key", timeout=60)
def _():
    from harness import _open_files, children

    g = local()
    table = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            table += [line.split() for line in Path(name).read_text().splitlines()[1:] if line.split()[3] == "0A"]
    family = [g.process.pid, *children(g.process.pid)]
    mine = [f for f in table if any(f"socket:[{f[9]}]" in _open_files(pid) for pid in family)]
    ports = {int(f[1].rpartition(":")[2], 16) for f in mine} - {g.port}
    outside = [f[1] for f in mine if not f[1].startswith(("0100007F", "00000000000000000000000001000000"))]
    assert not outside, f"listening on {outside}"
    for port in ports:
        answer = wire.ask(port, wire.request("POST", "/v1/chat/completions", {"Content-Type": "application/json"}, paris(max_tokens=2)), timeout=20)
        assert answer.status in (401, 403), f"port {port}: {answer}"


@check("local.unavailable", "a model that cannot be fetched: the gateway starts without it and says how to add an upstream", timeout=90)
def _():
    home = ROOT / "offline"
    home.mkdir(exist_ok=True)
    dead = "http://127.0.0.1:9"
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data"), "HTTPS_PROXY": dead, "HTTP_PROXY": dead,
           "https_proxy": dead, "http_proxy": dead, "PIP_INDEX_URL": dead, "UV_INDEX_URL": dead, "UV_DEFAULT_INDEX": dead, "PIP_NO_INDEX": "1"}  # fmt: skip
    g = Gateway("offline", config(local=True), env=env)
    g.wait = 30.0
    started = time.monotonic()
    g.start()
    took = time.monotonic() - started
    assert eventually(lambda: re.search(r"(?i)upstream|_API_KEY", g.log()), 30, 0.3), f"no hint in: {g.log()[-250:]!r}"
    answer = g.post(paris(), timeout=60)
    if answer.status == 200:
        raise Skip("the model was there all the same (a cache outside HOME and XDG)")
    error_of(answer)
    assert answer.status < 500 or answer.status == 503, f"{answer}"
    g.stop()
    info("local.unavailable-start", f"ready after {took:.1f} s")


# -- as a newcomer


def _clone() -> Path:
    """The tree as a newcomer gets it, with no .venv: this one's is never touched."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPO, capture_output=True, check=True).stdout
    clone = ROOT / "clone"
    for name in filter(None, listed.decode().split("\0")):
        if (REPO / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, clone / name)
    assert (clone / "run").exists(), "there is no ./run"
    return clone


@check("run.printed-command", "./run in a fresh copy prints URL, place of the key and a command that, pasted, streams Paris, within 90 s; the second start within 3 s, and its command works too", timeout=330)
def _():
    clone, data = _clone(), ROOT / "run-data"
    seen = []
    for turn in (1, 2):
        port = free_port()
        env = environment(XDG_DATA_HOME=str(data), KILO_GATEWAY_SERVER__PORT=str(port), HOME=str(Path.home()))
        log = ROOT / f"run-{turn}.log"
        started = time.monotonic()
        with log.open("wb") as out:
            process = spawn(["./run"], cwd=clone, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            command = eventually(lambda log=log: _printed(log.read_text(errors="replace")), 150, 0.1)
            took = time.monotonic() - started
            assert command, f"turn {turn}: no command printed: {log.read_text(errors='replace')[-250:]}"
            text = log.read_text(errors="replace")
            assert f":{port}" in text and "owner.key" in text, f"URL or owner.key not printed: {text[-250:]}"
            pasted = spawn(["sh", "-c", command], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            threading.Timer(100, pasted.kill).start()
            first, said = 0.0, ""
            for line in pasted.stdout:
                said += line
                first = first or (time.monotonic() - started if re.search(r'"content":\s*"[^"]', line) else 0.0)
            streamed = "".join(re.findall(r'"content":\s*"((?:[^"\\]|\\.)*)"', said)) or said
            assert "Paris" in streamed, f"turn {turn}: exit {pasted.wait(5)}: {said[-250:]}"
            seen += [took, first or time.monotonic() - started]
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
    noise = re.findall(r'"name":"local-model","code":\d+', "".join((ROOT / f"run-{n}.log").read_text(errors="replace") for n in (1, 2)))
    info("run.local-model-deaths", f"{len(noise)} in two starts")
    info("run.times", f"first start: command printed {seen[0]:.1f} s, first token {seen[1]:.1f} s; second: {seen[2]:.1f} s, {seen[3]:.1f} s")
    rows = cli_json("usage", data_dir=data / "kilo-gateway")
    assert len(rows) >= 2 and all(row["prompt_tokens"] > 0 for row in rows), f"usage: {str(rows)[:200]}"
    assert 0 < seen[1] <= 90, f"clone to first token took {seen[1]:.1f} s"
    assert 0 < seen[3] <= 3.0, f"second start to first token took {seen[3]:.1f} s (command printed after {seen[2]:.1f} s; {len(noise)} local-model deaths)"


def _printed(text: str) -> str:
    """The command among what `./run` said, with continued lines joined."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        line = line.strip().removeprefix("$ ").strip()
        if line.startswith(("curl ", "python3 -c", "python -c")) and "owner.key" in line:
            return line
    return ""


@check("run.help-words", "./run is POSIX sh (no bashism a dash would refuse)")
def _():
    path = REPO / "run"
    assert path.exists() and os.access(path, os.X_OK), "no executable ./run"
    assert path.read_text().startswith("#!/bin/sh"), path.read_text().splitlines()[0]
    done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    makefile = REPO / "Makefile"
    assert makefile.exists(), "no Makefile"


@check("sdk.local", "openai SDK on the local model: Paris, streamed", timeout=90)
def _():
    g = local()
    with openai_module().OpenAI(base_url=f"http://127.0.0.1:{g.port}/v1", api_key=g.key, max_retries=0, timeout=60) as sdk:
        chunks = list(sdk.chat.completions.create(model=LOCAL, messages=ASKED, temperature=0, max_tokens=30, stream=True))
    assert "Paris" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@check("fixture.two-endpoints", "the same model id at two upstreams is one model in /models", timeout=40)
def _():
    g = Gateway("two", config(upstream("one", url(0), model("t/two")), upstream("two", url(1), model("t/two")))).start()
    ids = [row["id"] for row in g.get("/v1/models").json()["data"]]
    assert ids.count("t/two") == 1, f"{ids}"
    same_events(g.post(say_to("t/two", up().script(stream_reply(STREAM)), stream=True)))
    g.stop()

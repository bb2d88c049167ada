"""The command line and the configuration: exit codes, messages, working with and without the server, secrets."""

import json
import os
import re
import statistics
import subprocess
import time

from checks_access import ok, url
from harness import (
    BINARY, SECRET_CANARY, Gateway, check, cli, cli_json, config, environment, eventually, free_port, gateway, gw, info, model, refused,
    say_to, spawn, up, upstream,
)  # fmt: skip

COMMANDS = (
    ["serve"], ["keys"], ["keys", "create"], ["keys", "list"], ["keys", "revoke"], ["usage"], ["models"], ["models", "list"], ["config"],
    ["config", "check"], ["config", "show"], ["version"],
)  # fmt: skip


@check("cli.help-time", "--help within 150 ms (best of 7)")
def _():
    times = []
    for _ in range(7):
        started = time.monotonic()
        done = cli("--help")
        times.append((time.monotonic() - started) * 1000)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-200:]}"
    info("cli.help-ms", f"--help best {min(times):.0f} ms, median {statistics.median(times):.0f} ms")
    assert min(times) <= 150, f"best {min(times):.0f} ms"


@check("cli.help-everywhere", "every command explains itself with --help, exit 0", timeout=60)
def _():
    for command in COMMANDS:
        done = cli(*command, "--help")
        assert done.returncode == 0 and len(done.stdout) > 40, f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-150:]}"
    text = cli("--help").stdout
    missing = [name for name in ("serve", "keys", "usage", "models", "config", "version") if name not in text]
    assert not missing, f"--help does not name {missing}"


@check("cli.version", "version prints a version and the disclaimer; --json is an object")
def _():
    done = cli("version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout), f"{done.stdout[:200]!r} {done.stderr[-100:]}"
    assert "not affiliated" in done.stdout, f"{done.stdout[:200]!r}"
    assert re.search(r"\d+\.\d+", str(cli_json("version")))


USAGE = (["--no-such"], ["nonsense"], ["keys", "create", "--nonsense"], ["serve", "--port", "many"], ["keys", "revoke"])


@check("cli.exit-2", "wrong usage: exit 2, a message on stderr, no traceback")
def _():
    for command in USAGE:
        done = cli(*command)
        assert done.returncode == 2, f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-150:]}"
        assert done.stderr and "Traceback" not in done.stderr, f"{' '.join(command)}: {done.stderr[-150:]!r}"


@check("cli.exit-1", "a failure (revoking a key that is not there): exit 1, said on stderr, no traceback")
def _():
    done = cli("keys", "revoke", "no-such-key", data_dir=gw().data)
    assert done.returncode == 1, f"exit {done.returncode}: {done.stdout[-100:]}{done.stderr[-150:]}"
    assert "Traceback" not in done.stderr and (done.stderr + done.stdout).strip(), f"{done.stderr[-150:]!r}"


def _two_rows(key_extra: str = "", **more) -> str:
    return config(upstream("alpha", "http://127.0.0.1:9/v1", model("t/a"), extra=key_extra), **more)


def _checked(text: str, tmp: str, *env_args, **env: str) -> subprocess.CompletedProcess:
    from harness import ROOT

    path = ROOT / f"{tmp}.toml"
    path.write_text(text)
    return cli("config", "check", config=path, **env)


# (text, line that is wrong, words that must be said)
WRONG = {
    "unknown-server-key": ("[server]\nport = 3000\nprot = 1\n", 3, ("prot", "port")),
    "unknown-section": ("[server]\nport = 3000\n\n[sever]\nport = 1\n", 4, ("sever", "server")),
    "unknown-upstream-key": (_two_rows("base_ulr = 'x'\n"), None, ("base_ulr", "base_url")),
    "unknown-model-key": (config(upstream("a", "http://127.0.0.1:9/v1", '{ id = "x", upstream_idd = "y" }')), None, ("upstream_idd", "upstream_id")),
    "unknown-local-key": ("[local]\nenabld = true\n", 2, ("enabld", "enabled")),
    "port-string": ('[server]\nport = "many"\n', 2, ("port",)), "port-range": ("[server]\nport = 70000\n", 2, ("port",)),
    "local-not-bool": ('[local]\nenabled = "yes"\n', 2, ("enabled",)), "bad-url": (config(upstream("a", "not a url", model("x"))), None, ("URL",)),
    "bad-dialect": (_two_rows().replace('dialect = "openai-chat"', 'dialect = "openai-chatt"'), None, ("openai-chatt", "openai-chat")),
    "bad-price": (config(upstream("a", "http://127.0.0.1:9/v1", model("x", price=("-1.0", "2.0")))), None, ("input_usd_per_mtok",)),
    "price-string": (config(upstream("a", "http://127.0.0.1:9/v1", model("x", price=('"dear"', "2.0")))), None, ("input_usd_per_mtok",)),
    "no-base-url": ('[[upstreams]]\nname = "a"\ndialect = "openai-chat"\napi_key = "k"\n', None, ("base_url",)),
    "toml": ("[server]\nport = = 3\n", 2, ()), "same-name": (config(*[upstream("alpha", "http://127.0.0.1:9/v1", model(m)) for m in ("x", "y")]), None, ("alpha",)),
    "key-env-missing": (_two_rows().replace(f'"{SECRET_CANARY}"', '{ env = "NO_SUCH_NAME" }'), None, ("NO_SUCH_NAME",)),
    "key-file-missing": (_two_rows().replace(f'"{SECRET_CANARY}"', '{ file = "/no/such/file" }'), None, ("/no/such/file",)),
}  # fmt: skip
for name, (text, line, words) in WRONG.items():

    @check(f"config.{name}", "a configuration error stops: file, line, what was meant, exit 78")
    def _(name=name, text=text, line=line, words=words):
        done = _checked(text, f"wrong-{name}")
        said = done.stdout + done.stderr
        assert done.returncode == 78, f"exit {done.returncode}: {said[-220:]}"
        assert f"wrong-{name}.toml" in said, f"the file is not named: {said[-220:]}"
        assert re.search(r"(?:line |:)\d+" if line is None else rf"(?:line |:){line}\b", said), f"line {line or 'number'} is not named: {said[-220:]}"
        missing = [word for word in words if word not in said]
        assert not missing, f"does not say {missing}: {said[-220:]}"
        assert "Traceback" not in said and SECRET_CANARY not in said, f"{said[-220:]}"


@check("config.auto-unknown", "[auto] default of a model that is not there: exit 78, or a line at the start that names it", timeout=40)
def _():
    g = Gateway("autounknown", config(upstream("alpha", url(0), model("t/a")), auto="no/such"))
    try:
        g.start()
    except AssertionError:
        assert g.process.poll() == 78, f"exit {g.process.poll()}: {g.log()[-200:]}"
    assert eventually(lambda: "no/such" in g.log(), 2), f"not said: {g.log()[-250:]}"
    g.stop()


@check("config.serve-stops", "serve stops at once with 78 on such an error, saying the same")
def _():
    from harness import ROOT

    path = ROOT / "serve-wrong.toml"
    path.write_text("[server]\nprot = 3000\n")
    started = time.monotonic()
    done = cli("serve", data_dir=ROOT / "serve-wrong", config=path)
    said = done.stdout + done.stderr
    assert done.returncode == 78, f"exit {done.returncode}: {said[-200:]}"
    assert "serve-wrong.toml" in said and "port" in said and re.search(r"(?:line |:)2\b", said), f"{said[-220:]}"
    assert time.monotonic() - started < 3, "took over 3 s"


@check("config.file-missing", "--config of a file that is not there: 78 and its name")
def _():
    from harness import ROOT

    done = cli("config", "check", config=ROOT / "not-there.toml")
    assert done.returncode == 78 and "not-there.toml" in done.stdout + done.stderr, f"exit {done.returncode}: {done.stderr[-200:]}"


@check("config.check-good", "config check of a right file: exit 0; --json is JSON")
def _():
    assert cli("config", "check", config=gw().config).returncode == 0
    cli_json("config", "check", config=gw().config)


@check("config.show", "config show says what is in force, never a secret (text and --json)")
def _():
    text = cli("config", "show", config=gw().config, data_dir=gw().data)
    assert text.returncode == 0, f"exit {text.returncode}: {text.stderr[-200:]}"
    shown = json.dumps(cli_json("config", "show", config=gw().config, data_dir=gw().data))
    for said in (text.stdout, shown):
        assert "alpha" in said and "t/fine" in said, f"the upstream is not in it: {said[:200]}"
        assert SECRET_CANARY not in said + text.stderr, "the upstream's key is in it"


@check("config.show-environment", "config show with secrets out of environment, file and base_url user info shows none of them")
def _():
    from harness import ROOT

    (ROOT / "secret-file").write_text("sk-fromFileXX91\n")
    text = config(
        upstream("a", "http://127.0.0.1:9/v1", model("x")).replace(f'"{SECRET_CANARY}"', '{ env = "A_KEY" }'),
        upstream("b", "http://127.0.0.1:9/v1", model("y")).replace(f'"{SECRET_CANARY}"', f'{{ file = "{ROOT}/secret-file" }}'),
    )
    (ROOT / "secrets.toml").write_text(text)
    env = {"A_KEY": "sk-fromEnvXX92", "OPENAI_API_KEY": "sk-openaiXX93", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    for more in ([], ["--json"]):
        done = cli("config", "show", *more, config=ROOT / "secrets.toml", **env)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-200:]}"
        assert not re.search(r"XX9[123]", done.stdout + done.stderr), "a secret is shown"


@check("config.api-key-forms", "api_key as { env = … } and { file = … } goes upstream", timeout=40)
def _():
    from harness import ROOT

    (ROOT / "key-file").write_text("sk-fromFile\n")
    text = config(
        upstream("a", url(0), model("t/env")).replace(f'"{SECRET_CANARY}"', '{ env = "A_KEY" }'),
        upstream("b", url(0), model("t/file")).replace(f'"{SECRET_CANARY}"', f'{{ file = "{ROOT}/key-file" }}'),
    )
    g = Gateway("keyforms", text, env={"A_KEY": "sk-fromEnv"}).start()
    for id, key in (("t/env", "sk-fromEnv"), ("t/file", "sk-fromFile")):
        script = up().script(["echo"])
        ok(g.post(say_to(id, script)))
        assert f"Bearer {key}\r" in up().one(script)["head"], f"{id}: {up().one(script)['head'][:200]!r}"
    g.stop()


@check("config.environment", "KILO_GATEWAY_SERVER__PORT sets the port; XDG places are used; `kilo-gateway` alone is serve", timeout=40)
def _():
    from harness import ROOT

    port, home = free_port(), ROOT / "bare"
    home.mkdir()
    env = environment(HOME=str(home), XDG_DATA_HOME=str(home / "d"), XDG_CONFIG_HOME=str(home / "c"),
                      KILO_GATEWAY_SERVER__PORT=str(port), KILO_GATEWAY_LOCAL__ENABLED="false")  # fmt: skip
    with (ROOT / "bare.log").open("wb") as out:
        process = spawn([BINARY], env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    g = Gateway("bare", "")
    g.port = port

    def is_up() -> bool:
        try:
            return g.get("/health", timeout=1).status == 200
        except OSError:
            return False

    assert eventually(is_up, 10), f"not up: {(ROOT / 'bare.log').read_text()[-250:]}"
    assert (home / "d/kilo-gateway/owner.key").exists(), "no owner.key under XDG_DATA_HOME"
    text = eventually(lambda: (ROOT / "bare.log").read_text() if "owner.key" in (ROOT / "bare.log").read_text() else "", 5) or ""
    assert str(port) in text and "owner.key" in text, f"URL and place of the key are not printed: {text[-250:]}"
    assert re.search(r"(?i)upstream", text), f"with nothing configured it does not say how to add an upstream: {text[-250:]}"
    process.terminate()
    process.wait(10)


# -- keys


@check("cli.keys", "keys create, list, revoke with the server running", timeout=40)
def _():
    _keys(gw())


@check("cli.keys-stopped", "… and while it does not run; what was made is valid at the next start", timeout=60)
def _():
    g = Gateway("stopped", config(upstream("alpha", url(0), model("t/a"))))
    first = cli_json("keys", "create", "--name", "early", data_dir=g.data, config=g.config)["key"]
    g.start()
    ok(g.post(say_to("t/a"), key=first))
    ok(g.post(say_to("t/a")))
    time.sleep(0.5)
    g.stop()
    rows = g.usage()
    assert len(rows) == 2, f"usage of the stopped server: {len(rows)} rows"
    _keys(g, is_running=False)
    kept = cli_json("keys", "create", "--name", "kept", data_dir=g.data)["key"]
    gone = cli_json("keys", "create", "--name", "gone", data_dir=g.data)
    assert _revoke(g, gone, "gone").returncode == 0
    g.start()
    ok(g.post(say_to("t/a"), key=kept))
    refused(g.post(say_to("t/a"), key=gone["key"]), 401)
    ok(g.post(say_to("t/a")))
    g.stop()


def _revoke(g: Gateway, made: dict, name: str) -> subprocess.CompletedProcess:
    for reference in (made.get("id"), name):
        if reference:
            done = cli("keys", "revoke", str(reference), data_dir=g.data)
            if done.returncode == 0:
                return done
    return done


def _keys(g: Gateway, is_running: bool = True) -> None:
    name = f"n{time.time_ns()}"
    made = cli_json("keys", "create", "--name", name, data_dir=g.data)
    assert re.fullmatch(r"kilo_[0-9A-Za-z]{32}", made["key"]), f"{str(made)[:100]}"
    rows = cli_json("keys", "list", data_dir=g.data)
    mine = [row for row in rows if row.get("name") == name]
    assert len(mine) == 1, f"{len(mine)} keys of that name in the list"
    assert made["key"] not in json.dumps(rows), "the list shows keys"
    done = _revoke(g, made, name)
    assert done.returncode == 0, f"revoke: exit {done.returncode}: {done.stderr[-200:]}"
    if is_running:
        refused(g.post(say_to("t/a"), key=made["key"]), 401)


@check("cli.keys-on-every-worker", "create and revoke have reached every worker when they return: 2 workers, 50 fresh connections each, 3 rounds", timeout=90)
def _():
    g = gw()
    pids = g.workers_pids()
    for n in range(3):
        made = cli_json("keys", "create", "--name", f"every{n}", data_dir=g.data)
        seen = [g.post(say_to("t/a"), key=made["key"]).status for _ in range(50)]
        assert set(seen) == {200}, f"after create: {seen.count(401)} of 50 refused"
        done = _revoke(g, made, f"every{n}")
        assert done.returncode == 0, f"revoke: {done.stderr[-150:]}"
        seen = [g.post(say_to("t/a"), key=made["key"]).status for _ in range(50)]
        assert set(seen) == {401}, f"after revoke: {seen.count(200)} of 50 answered"
    return f"workers {len(pids)}"


@check("cli.keys-revoked-on-open-connection", "a revoked key is refused on a connection that is open already")
def _():
    import wire

    g = gw()
    made = cli_json("keys", "create", "--name", "open", data_dir=g.data)
    with wire.Conn(g.port) as conn:
        conn.send(g.head(say_to("t/a"), key=made["key"]))
        ok(conn.read())
        assert _revoke(g, made, "open").returncode == 0
        conn.send(g.head(say_to("t/a"), key=made["key"]))
        refused(conn.read(), 401)


@check("cli.usage-fields", "usage --json: a list of objects with id, model, provider, prompt_tokens, completion_tokens, cost_usd, status")
def _():
    ok(gw().post(say_to("t/a")))
    rows = eventually(lambda: gw().usage(), 5)
    wanted = {"id", "model", "provider", "prompt_tokens", "completion_tokens", "cost_usd", "status"}
    assert rows and wanted <= set(rows[0]), f"missing {wanted - set(rows[0]) if rows else 'rows'}"
    text = cli("usage", data_dir=gw().data)
    assert text.returncode == 0 and "t/a" in text.stdout, f"plain usage: exit {text.returncode}: {text.stdout[:120]!r}"


@check("cli.secrets-not-in-cmdline", "no secret stands in a command line of the gateway's processes")
def _():
    from harness import children

    g = gw()
    for pid in [g.process.pid, *children(g.process.pid)]:
        try:
            line = open(f"/proc/{pid}/cmdline", "rb").read().decode(errors="replace")
        except OSError:
            continue
        assert SECRET_CANARY not in line and "kilo_" not in line.replace("kilo_gateway", ""), f"{line[:200]!r}"


# -- the port


@check("port.busy", "port busy: names the process, suggests --port, exit 78", timeout=40)
def _():
    g = gw()
    from harness import ROOT

    done = cli("serve", "--port", str(g.port), data_dir=ROOT / "busy", config=g.config)
    said = done.stdout + done.stderr
    assert done.returncode == 78, f"exit {done.returncode}: {said[-220:]}"
    assert "--port" in said and str(g.port) in said, f"{said[-220:]}"
    assert re.search(rf"\b({'|'.join(map(str, [g.process.pid, *_family(g)]))})\b", said) or "kilo-gateway" in said, f"names no process: {said[-220:]}"


def _family(g: Gateway) -> list[int]:
    from harness import children

    return children(g.process.pid)


@check("port.busy-other", "… also when another program holds it (here the checks' own upstream): its name or pid", timeout=40)
def _():
    from harness import ROOT

    port = up().ports[5]
    done = cli("serve", "--port", str(port), data_dir=ROOT / "busy2", config=gw().config)
    said = done.stdout + done.stderr
    assert done.returncode == 78 and "--port" in said, f"exit {done.returncode}: {said[-220:]}"
    assert str(up().process.pid) in said or "python" in said, f"names no process: {said[-220:]}"


@check("port.not-stolen", "the busy port's first gateway keeps answering all of 30 fresh connections")
def _():
    seen = [gw().post(say_to("t/a")).status for _ in range(30)]
    assert set(seen) == {200}, f"{seen}"


@check("cold.start", "cold start to the first 200, warm venv, no local model: under the 0.6 s floor (best of 3)", timeout=60)
def _():
    import wire

    took = []
    for n in range(3):
        g = Gateway(f"cold{n}", config(upstream("alpha", url(0), model("t/a"))))
        if n == 0:  # migrations and files of a first start are not what is measured
            g.start(), g.stop()
        else:
            g.directory, g.data = previous.directory, previous.data  # noqa: F821
        previous = g
        command = [BINARY, "serve", "--config", str(g.config), "--data-dir", str(g.data), "--port", str(g.port), "--workers", "1"]
        started = time.monotonic()
        g.process = spawn(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while time.monotonic() - started < 15:
            try:
                if g.post(say_to("t/a"), key=g.key, timeout=5).status == 200:
                    break
            except (OSError, wire.Ended):
                time.sleep(0.005)
        took.append(time.monotonic() - started)
        g.stop()
    info("cold.start-s", ", ".join(f"{t:.2f}" for t in took))
    assert min(took) <= 0.6, f"best {min(took):.2f} s"
    assert os.path.exists(BINARY)

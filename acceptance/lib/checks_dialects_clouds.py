"""Azure OpenAI and Vertex AI: their paths, versions, bodies and credentials; tokens got, renewed, missing; what their filters say."""

import contextlib
import copy
import json
import time
from dataclasses import replace
from pathlib import Path

import dialect_answers
import wire
from dialect_callers import CALLERS, TOOLS
from dialect_clouds import (
    AZURE_KEY,
    CLIENT,
    DEPLOYMENT,
    PROJECT,
    REGION,
    SECRET,
    TENANT,
    VERSION,
    Cloud,
    Issuer,
    azure,
    express,
    vertex,
)  # fmt: skip
from dialect_scripts import EMPTY, PLAIN, SCRIPTS, TWO_CALLS, Reply
from dialect_upstreams import COUNTED
from harness import ROOT, Gateway, check, cli, eventually, gateway, gw

from dialects import asking, costs, dropped, post, problem, row, settings

FILTERED = Reply(status=400, message="The response was filtered due to the prompt triggering Azure OpenAI's content management policy.")
CLAUDE, GEMINI = "claude-lab-4@20260101", "gemini-lab-2.5-pro"
_clouds: dict[str, Cloud] = {}
_issuers: dict[str, Issuer] = {}


def issuer(name: str, life_s: int = 3600) -> Issuer:
    if name not in _issuers:
        _issuers[name] = Issuer(life_s).start()
    return _issuers[name]


def cloud(name: str, *made, **how) -> Cloud:
    if name not in _clouds:
        _clouds[name] = Cloud(*made, **how).start()
    return _clouds[name]


def account(name: str, of: Issuer) -> Path:
    path = ROOT / f"{name}.json"
    path.write_text(json.dumps(of.account(), indent=2))
    return path


def table(name: str, fake: Cloud, row: str, **lines) -> str:
    lines = {"name": name, "base_url": fake.base, **lines}
    told = "".join(f"{key} = {value if isinstance(value, bool) else json.dumps(value)}\n" for key, value in lines.items() if key != "file")
    if "file" in lines:
        told += f'api_key = {{ file = "{lines["file"]}" }}\n'
    return f"[[upstreams]]\n{told}models = [ {row} ]\n"


def azure_table(name: str, dialect: str, fake: Cloud, id: str, **lines) -> str:
    spoken = {"chat": "openai-chat", "responses": "openai-responses"}[dialect]
    lines = {"platform": "azure", "dialect": spoken, "api_key": AZURE_KEY, **lines}
    return table(name, fake, row(id, DEPLOYMENT, dialect), **lines)


def vertex_table(name: str, dialect: str, fake: Cloud, id: str, upstream_id: str, **lines) -> str:
    spoken = {"chat": "openai-chat", "messages": "anthropic-messages", "gemini": "gemini"}[dialect]
    return table(name, fake, row(id, upstream_id, dialect), **{"platform": "vertex", "dialect": spoken, "region": REGION, **lines})


@gateway("azure")
def _():
    dated = {dialect: cloud(f"azure-{dialect}", dialect, azure(dialect, dated=True), key=AZURE_KEY, is_azure=True) for dialect in ("chat", "responses")}
    plain = {dialect: cloud(f"azure1-{dialect}", dialect, azure(dialect, dated=False), key=AZURE_KEY, is_azure=True) for dialect in ("chat", "responses")}
    tables = [azure_table(f"azure-{d}", d, dated[d], f"lab/azure-{d}", api_version=VERSION) for d in dated]
    tables += [azure_table(f"azure1-{d}", d, plain[d], f"lab/azure1-{d}", base_url=f"{plain[d].base}/openai/v1") for d in plain]
    entra = cloud("azure-entra", "chat", azure("chat", dated=False, credential="authorization"), issuer=issuer("entra"), is_azure=True)
    tables.append(azure_table("azure-entra", "chat", entra, "lab/azure-entra", api_key=SECRET, tenant=TENANT, client_id=CLIENT,
                              token_url=issuer("entra").url.replace("/token", f"/{TENANT}/oauth2/v2.0/token")))  # fmt: skip
    return Gateway("azure", settings(*tables))


@gateway("vertex")
def _():
    keys = account("vertex", issuer("vertex"))
    names = {"chat": "meta/llama-lab", "messages": CLAUDE, "gemini": GEMINI}
    fakes = {d: cloud(f"vertex-{d}", d, vertex(d), issuer=issuer("vertex")) for d in names}
    tables = [vertex_table(f"vertex-{d}", d, fakes[d], f"lab/vertex-{d}", names[d], file=str(keys)) for d in names]
    token = cloud("vertex-token", "gemini", vertex("gemini"), key="ya29.given-by-hand")
    tables.append(vertex_table("vertex-token", "gemini", token, "lab/vertex-token", GEMINI, project=PROJECT, api_key="ya29.given-by-hand"))
    quick = cloud("vertex-express", "gemini", express(), key="AIzaLabExpress")
    tables.append(vertex_table("vertex-express", "gemini", quick, "lab/vertex-express", GEMINI, api_key="AIzaLabExpress"))
    return Gateway("vertex", settings(*tables))


def served(g: Gateway, model: str) -> bool:
    one = asking("chat", model, PLAIN)
    return post(one, g=g).status == 200


def tell(g: Gateway, caller: str, model: str, reply: Reply = PLAIN, stream: bool = False, **fields):
    one = asking(caller, model, reply, **fields)
    answer = post(one, stream, g=g)
    faults = [each.fault for fake in _clouds.values() for each in fake.arrived if each.fault]
    assert answer.status == 200, f"{answer} {faults[-3:]}"
    if stream and caller == "chat":
        answer = _without_filters(answer)
    return dialect_answers.read(caller, answer, stream), answer


def _without_filters(answer: wire.Answer) -> wire.Answer:
    """Azure's first event has no id, and passes as it came."""
    told = copy.copy(answer)
    told.body = b"".join(event for event in wire.events(answer.body) if b"prompt_filter_results" not in event)
    return told


# ---------------------------------------------------------------- Azure


@check("cloud.azure.pairs", "Azure, by deployment and by the v1 API, chat and Responses: every caller, JSON and stream, text, usage and cost", timeout=40)
def _():
    for model in ("lab/azure-chat", "lab/azure-responses", "lab/azure1-chat", "lab/azure1-responses"):
        for caller in CALLERS:
            for stream in (False, True):
                told, _ = tell(gw("azure"), caller, model, stream=stream)
                assert told.text == PLAIN.whole and told.finish == "stop", f"{model} {caller} {stream}: {told}"
                costs(told.cost, PLAIN.usage)


@check("cloud.azure.tools", "Azure: calls and their results, there and back")
def _():
    for model in ("lab/azure-chat", "lab/azure1-responses"):
        for caller in CALLERS:
            first = asking(caller, model, SCRIPTS.add(TWO_CALLS, PLAIN), tools=TOOLS)
            told = dialect_answers.read(caller, post(first, g=gw("azure")), False)
            assert [name for name, _ in told.named] == [call.name for call in TWO_CALLS.calls], f"{told.named}"
            again = first.add(told, *[(id, "sunny") for id, _, _ in told.calls])
            assert dialect_answers.read(caller, post(again, g=gw("azure")), False).text == PLAIN.whole


@check("cloud.azure.credential", "Azure: `api-key` and no other credential; with Entra ID a bearer token got for the client's secret")
def _():
    tell(gw("azure"), "chat", "lab/azure-chat")
    came = _clouds["azure-chat"].arrived[-1]
    assert came.headers["api-key"] == AZURE_KEY and "authorization" not in came.headers, f"{came.headers}"
    assert eventually(lambda: served(gw("azure"), "lab/azure-entra"), 5), f"{issuer('entra').faults} {gw('azure').log()[-400:]}"
    came = _clouds["azure-entra"].arrived[-1]
    assert issuer("entra").knows(came.headers["authorization"].removeprefix("Bearer ")) and "api-key" not in came.headers
    assert not any(SECRET in str(each.headers) for each in _clouds["azure-entra"].arrived)


@check("cloud.azure.filter-first", "Azure: the first event, of filters, with no choices, id or model, is neither an answer nor an end")
def _():
    one = asking("chat", "lab/azure-chat", PLAIN)
    answer = post(one, True, g=gw("azure"))
    chunks = wire.chunks(answer.body)
    assert chunks[0]["choices"] == [] and chunks[0]["prompt_filter_results"], f"it passes as it came: {chunks[0]}"
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == PLAIN.whole
    assert gw("azure").row(answer.header("x-generation-id"))["upstream_id"] == "chatcmpl-lab1"
    for caller in ("responses", "messages"):
        told, _ = tell(gw("azure"), caller, "lab/azure-chat", stream=True)
        assert told.text == PLAIN.whole
        problem(caller, post(asking(caller, "lab/azure-chat", EMPTY), g=gw("azure")), 502)


@check("cloud.azure.filtered", "Azure: a prompt that its filter refuses stays a 400 with its code and words; a filtered answer is one that ends so")
def _():
    for caller in CALLERS:
        for model in ("lab/azure-chat", "lab/azure1-responses"):
            error = problem(caller, post(asking(caller, model, FILTERED), g=gw("azure")), 400)
            assert "content management policy" in error["message"], f"{error}"
            if caller == "chat":
                assert error["code"] == "content_filter", f"{error}"
        cut = replace(PLAIN, text=(), finish="content_filter")
        for stream in (False, True):
            told, _ = tell(gw("azure"), caller, "lab/azure-chat", cut, stream)
            assert told.finish == "content_filter" and not told.text, f"{caller}: {told}"


@check("cloud.azure.environment", "Azure: address, key and version of the environment serve a declared upstream that names none; alone they are no upstream")
def _():
    fake = cloud("azure-env", "chat", azure("chat", dated=True), key=AZURE_KEY, is_azure=True)
    env = {"AZURE_OPENAI_ENDPOINT": fake.base + "/", "AZURE_OPENAI_API_KEY": AZURE_KEY, "OPENAI_API_VERSION": VERSION}
    declared = f'[[upstreams]]\nname = "azure"\nplatform = "azure"\nmodels = [ {row("lab/env", DEPLOYMENT)} ]\n'
    g = Gateway("azure-env", settings(declared), env=env).start()
    with contextlib.closing(_Stopping(g)):
        tell(g, "chat", "lab/env")
    path = ROOT / "none.toml"
    path.write_text(settings())
    shown = cli("config", "show", config=path, **env)
    assert shown.returncode == 0 and AZURE_KEY not in shown.stdout and "azure" not in shown.stdout.lower(), f"{shown.stdout}"


# ---------------------------------------------------------------- Vertex


@check("cloud.vertex.pairs", "Vertex: Gemini, Claude and the OpenAI-compatible endpoint for every caller, JSON and stream, text, usage and cost", timeout=40)
def _():
    assert eventually(lambda: served(gw("vertex"), "lab/vertex-gemini"), 5), f"{issuer('vertex').faults} {gw('vertex').log()[-400:]}"
    for model in ("lab/vertex-gemini", "lab/vertex-messages", "lab/vertex-chat"):
        for caller in CALLERS:
            for stream in (False, True):
                told, _ = tell(gw("vertex"), caller, model, stream=stream)
                assert told.text == PLAIN.whole and told.finish == "stop", f"{model} {caller} {stream}: {told}"
                costs(told.cost, PLAIN.usage)


@check("cloud.vertex.claude", "Claude on Vertex: version in the body, model in the path alone, for relayed and translated requests")
def _():
    assert eventually(lambda: served(gw("vertex"), "lab/vertex-messages"), 5)
    for caller in CALLERS:
        for stream in (False, True):
            tell(gw("vertex"), caller, "lab/vertex-messages", stream=stream)
            came = _clouds["vertex-messages"].arrived[-1]
            assert "model" not in came.body and came.body["anthropic_version"] == "vertex-2023-10-16", f"{sorted(came.body)}"
            assert f"/{CLAUDE}:{'streamRawPredict' if stream else 'rawPredict'}" in came.path, f"{came.path}"


@check("cloud.vertex.count", "Claude on Vertex counts tokens at its own place, with version and model in the body")
def _():
    assert eventually(lambda: served(gw("vertex"), "lab/vertex-messages"), 5)
    body = {"model": "lab/vertex-messages", "messages": [{"role": "user", "content": "How many?"}]}
    answer = gw("vertex").post(json.dumps(body).encode(), path="/v1/messages/count_tokens")
    assert answer.status == 200 and answer.json() == {"input_tokens": COUNTED}, f"{answer}"
    assert _clouds["vertex-messages"].arrived[-1].path.startswith(f"/v1/projects/{PROJECT}/locations/{REGION}/publishers/anthropic/")


@check("cloud.vertex.calls", "Gemini on Vertex: calls and results without ids, which it refuses; pairs stay together", timeout=20)
def _():
    assert eventually(lambda: served(gw("vertex"), "lab/vertex-gemini"), 5)
    for caller in CALLERS:
        first = asking(caller, "lab/vertex-gemini", SCRIPTS.add(TWO_CALLS, PLAIN), tools=TOOLS)
        told = dialect_answers.read(caller, post(first, g=gw("vertex")), False)
        again = first.add(told, *[(id, "sunny") for id, _, _ in told.calls])
        answer = post(again, g=gw("vertex"))
        assert dialect_answers.read(caller, answer, False).text == PLAIN.whole and not dropped(answer) & {"id"}, f"{answer}"


@check("cloud.vertex.credentials", "Vertex: a token given by hand with a project; an API key in express mode without one")
def _():
    for model, name in (("lab/vertex-token", "authorization"), ("lab/vertex-express", "x-goog-api-key")):
        for stream in (False, True):
            tell(gw("vertex"), "chat", model, stream=stream)
        assert name in _clouds[model.partition("/")[2]].arrived[-1].headers


@check("cloud.vertex.renewal", "Vertex: a token is renewed well before it expires, under load, and no request meets an old one", timeout=30)
def _():
    short = Issuer(6).start()
    fake = cloud("vertex-short", "gemini", vertex("gemini"), issuer=short)
    g = Gateway("vertex-short", settings(vertex_table("v", "gemini", fake, "lab/short", GEMINI, file=str(account("short", short)))), workers=2).start()
    with contextlib.closing(_Stopping(g)):
        assert eventually(lambda: served(g, "lab/short"), 5), f"{short.faults} {g.log()[-400:]}"
        began = time.time()
        while time.time() - began < 10:
            tell(g, "chat", "lab/short")
            time.sleep(0.1)
        assert len(short.given) >= 3, f"{len(short.given)} tokens in 10 s of 6 s each"
        lives = [(second - 6) - (first - 6) for (_, first), (_, second) in zip(short.given, short.given[1:], strict=False)]
        assert max(lives) < 5, f"{lives}"


@check("cloud.vertex.no-token", "Vertex: while no token can be got the start is quick, a request is a clear 503 or goes elsewhere, and the log says why", timeout=40)
def _():
    down = Issuer().start()
    down.mode = "denied"
    fake = cloud("vertex-down", "gemini", vertex("gemini"), issuer=down)
    other = cloud("vertex-other", "gemini", express(), key="AIzaOther")
    keys = str(account("down", down))
    g = Gateway("vertex-down", settings(
        vertex_table("v", "gemini", fake, "lab/alone", GEMINI, file=keys),
        vertex_table("v2", "gemini", fake, "lab/both", GEMINI, file=keys),
        vertex_table("w", "gemini", other, "lab/both", GEMINI, api_key="AIzaOther"),
    )).start()  # fmt: skip
    with contextlib.closing(_Stopping(g)):
        error = problem("chat", post(asking("chat", "lab/alone", PLAIN), g=g), 503)
        assert "access token" in error["message"] and not fake.arrived, f"{error}"
        tell(g, "chat", "lab/both")
        assert eventually(lambda: '"token.failed"' in g.log() and "access is denied" in g.log(), 5), g.log()[-300:]
        down.mode = "good"
        assert eventually(lambda: served(g, "lab/alone"), 15), f"{down.faults} {g.log()[-300:]}"


@check("cloud.vertex.restart", "Vertex: a token outlives a restart, and an endpoint for tokens that is down does not stop what holds", timeout=40)
def _():
    once = Issuer().start()
    fake = cloud("vertex-once", "gemini", vertex("gemini"), issuer=once)
    g = Gateway("vertex-once", settings(vertex_table("v", "gemini", fake, "lab/once", GEMINI, file=str(account("once", once))))).start()
    with contextlib.closing(_Stopping(g)):
        assert eventually(lambda: served(g, "lab/once"), 5)
        once.mode = "500"
        g.stop()
        g.start()
        tell(g, "chat", "lab/once")
        assert len(once.given) == 1
        kept = g.data / "tokens"
        assert kept.stat().st_mode & 0o077 == 0, "others may read the tokens"


@check("cloud.secrets", "keys, private keys and tokens are in no log, list, error or output of the configuration")
def _():
    secrets = [AZURE_KEY, SECRET, "BEGIN PRIVATE KEY", "AIzaLabExpress", "ya29."]
    for name in ("azure", "vertex"):
        g = gw(name)
        shown = cli("config", "show", config=g.config).stdout + cli("config", "show", "--json", config=g.config).stdout
        listed = [g.get(path, headers={"Authorization": f"Bearer {g.key}"}).body.decode() for path in ("/v1/models", "/api/gateway/models")]
        for secret in secrets:
            assert secret not in shown + g.log() + "".join(listed), f"{name}: {secret}"


class _Stopping:
    def __init__(self, g: Gateway) -> None:
        self._g = g

    def close(self) -> None:
        self._g.stop()

"""Headers: how each upstream is let in, what of the caller's travels, what never does, what is kept on record."""

import json

import dialect_answers
import dialect_aws
from catalogue import appears
from dialect_callers import CALLERS, PATHS
from dialect_scripts import PLAIN
from dialect_upstreams import DIALECTS, KEY
from harness import Gateway, check, cli_json, eventually, gateway, gw

from dialects import MODEL, UPSTREAM_IDS, asking, every_upstream, post, row, settings, speaker, table, taken, talk_of, tell

ATTRIBUTION = {"HTTP-Referer": "https://caller.example/app", "X-Title": "Caller's App", "X-OpenRouter-Title": "Caller's App"}
KILO = {
    "X-KiloCode-TaskId": "ses_canary", "X-KiloCode-Feature": "cli", "x-kilocode-mode": "code-canary",
    "X-KiloCode-MachineId": "machine-canary", "X-KiloCode-EditorName": "Kilo CLI canary", "x-session-id": "session-canary", "x-kilo-session": "kilo-canary",
}  # fmt: skip
NEVER = {
    "Cookie": "session=cookie-canary", "Proxy-Authorization": "Basic proxy-canary", "TE": "trailers", "X-Forwarded-For": "203.0.113.77",
    "Forwarded": "for=203.0.113.78", "X-Real-IP": "203.0.113.79", "Via": "1.1 via-canary", "X-Secret-Thing": "strange-canary",
}  # fmt: skip


def names(headers: dict[str, str]) -> set[str]:
    return {name.lower() for name in headers}


# ---------------------------------------------------------------- credentials


@every_upstream("head", "credential", "the upstream is let in by its own credential in its own header, not in the URL, and no other")
def _(dialect):
    talk = tell(asking("chat", dialect, PLAIN)).talk
    wanted = {"messages": "x-api-key", "gemini": "x-goog-api-key"}.get(dialect, "authorization")
    present = names(talk.headers) & {"authorization", "x-api-key", "x-goog-api-key", "api-key"}
    assert present == {wanted}, f"{sorted(present)}"
    assert KEY not in talk.path and "key" not in talk.asked.query, f"{talk.path} {talk.asked.query}"
    if dialect == "converse":
        assert talk.headers["authorization"].startswith("AWS4-HMAC-SHA256 ") and "x-amz-date" in talk.headers, f"{talk.headers}"
    assert talk.headers.get("content-type", "").startswith("application/json"), f"{talk.headers.get('content-type')}"


@gateway("bedrock-bearer")
def _():
    fake = speaker("bearer", "converse", key="bedrock-api-key-of-the-lab")
    return Gateway("bedrock-bearer", settings(*taken(table("bedrock", fake, row("lab/bearer", UPSTREAM_IDS["converse"], "converse")))))


@check("head.bedrock-bearer", "a Bedrock key without a colon is sent as a bearer", timeout=20)
def _():
    for stream in (False, True):
        one = asking("chat", "lab/bearer", PLAIN)
        told = dialect_answers.read("chat", post(one, stream, g=gw("bedrock-bearer")), stream)
        assert told.text == PLAIN.whole and talk_of(one).headers["authorization"] == "Bearer bedrock-api-key-of-the-lab"


@check("head.sigv4-changes", "the signature is made anew for each request: another body or time is another signature, all of them valid")
def _():
    seen = {
        tell(asking("chat", "converse", PLAIN, prompt=text), stream).talk.headers["authorization"]
        for text in ("a", "b ☕")
        for stream in (False, True)
    }
    assert len(seen) == 4 and all(dialect_aws.AUTHORIZATION.fullmatch(each) for each in seen), f"{len(seen)}"


@every_upstream("head", "wrong-key", "an upstream that refuses the gateway's own key is a 502 that shows neither key nor the upstream's words")
def _(dialect):
    g = gw("wrong-key")
    answer = post(asking("chat", f"lab/wrong-{dialect}", PLAIN), g=g)
    assert answer.status == 502, f"{answer}"
    assert b"wrong-key-canary" not in answer.body and "wrong-key-canary" not in g.log(), "the key is shown"


@gateway("wrong-key")
def _():
    tables = []
    for dialect in DIALECTS:
        right = speaker(dialect)
        text = table(f"wrong-{dialect}", right, row(f"lab/wrong-{dialect}", UPSTREAM_IDS[dialect], dialect))
        tables.append(text.replace(right.key, "wrong-key-canary" + (":x" if dialect == "converse" else "")))
    return Gateway("wrong-key", settings(*taken(*tables)))


# ---------------------------------------------------------------- what never leaves


@every_upstream("head", "never", "the caller's key, cookies, hop-by-hop and unknown headers, and his address, reach no upstream", timeout=20)
def _(dialect):
    key = gw("dialects").key
    for caller in CALLERS:
        one = asking(caller, dialect, PLAIN)
        talk = tell(one, headers={**NEVER, **KILO, **ATTRIBUTION}).talk
        said = json.dumps(talk.headers).lower()
        found = [value for value in [key, "canary", "203.0.113", "caller.example", "caller's app"] if value.lower() in said]
        assert not found, f"{caller}: {found} in {talk.headers}"
        assert key not in json.dumps(talk.body), f"{caller}: the key is in the body"


@check("head.never-x-api-key", "a key that came in x-api-key does not leave either, to an upstream that takes x-api-key")
def _():
    g = gw("dialects")
    one = asking("messages", "messages", PLAIN)
    headers = {"Content-Type": "application/json", "x-api-key": g.key, "anthropic-version": "2023-06-01"}
    answer = g.post(json.dumps(one.body()).encode(), path=PATHS["messages"], key=None, headers=headers)
    assert answer.status == 200, f"{answer}"
    assert talk_of(one).headers["x-api-key"] == speaker("messages").key


# ---------------------------------------------------------------- attribution


def house(name: str, **env: str) -> Gateway:
    fake = speaker("house-openrouter", "chat", is_strict=False, rows=["acme/heard"])
    plain = table("open-house", speaker("open", "chat", is_strict=False), row("lab/open", "open-large"))
    return Gateway(name, settings(plain), env={"OPENROUTER_API_KEY": fake.key, "OPENROUTER_BASE_URL": fake.base, **env})


@gateway("attributed")
def _():
    return house("attributed")


@gateway("titled")
def _():
    return house("titled", KILO_GATEWAY_REFERER="https://own.example", KILO_GATEWAY_TITLE="Own Title")


@gateway("titled-openrouter")
def _():
    return house("titled-openrouter", OPENROUTER_REFERER="https://or.example", OPENROUTER_TITLE="OR Title")


def _attributed(name: str, caller: str = "chat", model: str = "acme/heard", headers: dict | None = None) -> dict[str, str]:
    appears(gw(name), "acme/heard")
    one = asking(caller, model, PLAIN)
    answer = post(one, g=gw(name), headers=ATTRIBUTION if headers is None else headers)
    assert answer.status == 200, f"{answer}"
    found = talk_of(one).headers
    return {"referer": found.get("http-referer", found.get("referer", "")), "title": found.get("x-title", found.get("x-openrouter-title", ""))}


@check("head.attribution", "HTTP-Referer and X-Title of the caller go to an OpenRouter upstream, from every caller, and to no other", timeout=30)
def _():
    for caller in CALLERS:
        assert _attributed("attributed", caller) == {"referer": "https://caller.example/app", "title": "Caller's App"}, f"{caller}"
    assert _attributed("attributed", model="lab/open") == {"referer": "", "title": ""}


@check("head.attribution-own", "KILO_GATEWAY_REFERER and _TITLE, OPENROUTER_REFERER and _TITLE override them", timeout=40)
def _():
    assert _attributed("titled") == {"referer": "https://own.example", "title": "Own Title"}
    assert _attributed("titled-openrouter") == {"referer": "https://or.example", "title": "OR Title"}
    assert _attributed("titled", model="lab/open") == {"referer": "", "title": ""}


@check("head.recorded", "title, referer, mode, task and session of a request are on its record", timeout=20)
def _():
    g = gw("dialects")
    answer = tell(asking("chat", "chat", PLAIN), headers={**KILO, **ATTRIBUTION}).answer
    id = answer.header("x-generation-id")
    wanted = ("https://caller.example/app", "Caller's App", "code-canary", "session-canary")

    def missing() -> list[str]:
        rows = [json.dumps(each, ensure_ascii=False) for each in cli_json("usage", "--limit", "200", data_dir=g.data) if each["id"] == id]
        told = g.get(f"/v1/generation?id={id}", headers={"Authorization": f"Bearer {g.key}"}).body.decode()
        return [each for each in wanted if each not in told and each not in "".join(rows)]

    eventually(lambda: not missing(), 4, 0.3)
    assert not missing(), f"neither in /generation nor in usage: {missing()}"


@check("head.long", "header values of 10 kB and with strange letters are cut or left out, never a refusal")
def _():
    headers = {"X-Title": "t" * 10_000, "HTTP-Referer": "caf\xe9", "x-session-id": "s" * 3_000, "x-kilocode-mode": "\xff\xfe"}
    assert tell(asking("chat", "chat", PLAIN), headers=headers).told.text == PLAIN.whole


# ---------------------------------------------------------------- betas and versions

BETAS = ("interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14")


@check("head.anthropic-beta", "anthropic-beta travels from a Messages caller to a Messages upstream, by allow-list; elsewhere not")
def _():
    headers = {"anthropic-beta": ", ".join([*BETAS, "made-up-by-the-checks-2099-01-01"])}
    sent = tell(asking("messages", "messages", PLAIN), headers=headers).talk.headers.get("anthropic-beta", "")
    assert all(beta in sent for beta in BETAS), f"anthropic-beta {sent!r}"
    assert "made-up" not in sent, f"not on the list, and sent: {sent!r}"
    for dialect in ("chat", "gemini", "responses", "cohere"):
        assert "anthropic-beta" not in tell(asking("messages", dialect, PLAIN), headers=headers).talk.headers, dialect
    assert "interleaved" not in tell(asking("chat", "messages", PLAIN), headers=headers).talk.headers.get("anthropic-beta", ""), (
        "from another dialect"
    )


@check("head.openai-beta", "openai-beta leaves only in its own dialect")
def _():
    headers = {"OpenAI-Beta": "responses=experimental"}
    for dialect in ("messages", "gemini", "converse", "cohere"):
        assert "openai-beta" not in tell(asking("responses", dialect, PLAIN), headers=headers).talk.headers, dialect
    made_up = tell(asking("responses", "responses", PLAIN), headers={"OpenAI-Beta": "made-up-by-the-checks=v9"}).talk.headers
    assert "made-up" not in made_up.get("openai-beta", ""), "not on the list, and sent"


@check("head.anthropic-version", "any anthropic-version, and none, is accepted; the upstream gets one that it knows", timeout=20)
def _():
    g = gw("dialects")
    for version in ("2023-01-01", "2023-06-01", "2026-10-21", "2099-12-31", "whatever", ""):
        one = asking("messages", "messages", PLAIN)
        headers = {"anthropic-version": version} if version else {}
        answer = g.post(json.dumps(one.body()).encode(), path=PATHS["messages"], headers=headers)
        assert answer.status == 200, f"{version!r}: {answer}"
        assert talk_of(one).headers.get("anthropic-version"), f"{version!r}: none was sent"


@check(
    "head.request-ids", "answers of every caller have x-generation-id, x-request-id, x-kilo-model and x-kilo-provider, JSON and stream", timeout=20
)
def _():
    for caller in CALLERS:
        for stream in (False, True):
            answer = tell(asking(caller, "gemini", PLAIN), stream, headers={"x-request-id": "mine-1"}).answer
            assert (answer.header("x-generation-id") or "").startswith("gen-") and answer.header("x-request-id") == "mine-1", f"{answer.headers}"
            assert (answer.header("x-kilo-model"), answer.header("x-kilo-provider")) == (MODEL["gemini"], "gemini-lab"), f"{answer.headers}"

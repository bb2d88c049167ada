"""The other doors: legacy completions, count_tokens, embeddings, transcription, FIM, edits, statelessness, prefixes, keys in the environment."""

import base64
import json
from dataclasses import replace

import dialect_answers
import wire
from catalogue import PREFIXES, appears, cost_of
from dialect_callers import CALLERS, TOOLS
from dialect_scripts import EMPTY, PLAIN, SCRIPTS, Reply, Usage
from dialect_side import EMBEDDED, VECTOR, vector_of
from dialect_upstreams import COUNTED, DIALECTS
from harness import Gateway, check, gateway, gw

from dialects import MODEL, PRICES, asking, costs, every_upstream, post, problem, row, settings, speaker, table, taken, talk_of

WAV = b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"


@gateway("doors")
def doors_gateway() -> Gateway:
    """Models that embed, hear, and fill in the middle; Mistral's by its key, so that it is known for FIM."""
    mistral = speaker("doors-mistral", "chat", is_strict=False, rows=["codestral-2508", "mistral-lab-large"])
    rows = [row("lab/embed", "embed-1", output_modalities=["embeddings"]), row("lab/hear", "hear-1", input_modalities=["audio"], output_modalities=["transcription"]),
            row("lab/talk", "talk-1"), row("mistralai/codestral-2508", "codestral-2508"), row("inception/mercury-edit", "mercury-edit")]  # fmt: skip
    bedrock = row("lab/titan", "amazon.titan-embed-text-v2:0", "converse", output_modalities=["embeddings"])
    others = [table(name, speaker(name), row(f"lab/embed-{name}", "embed-1", name, output_modalities=["embeddings"])) for name in ("gemini", "cohere")]
    tables = taken(table("side", speaker("side", "chat", is_strict=False), *rows), table("bedrock", speaker("converse"), bedrock), *others)
    env = {"MISTRAL_API_KEY": mistral.key, "MISTRAL_BASE_URL": mistral.base}
    return Gateway("doors", settings(*tables), env=env)


def ask(path: str, body: dict, **how) -> wire.Answer:
    return gw("doors").post(json.dumps(body).encode(), path=path, timeout=8, **how)


def body_of(script: str, name: str = "side") -> dict:
    return speaker(name).one(script).body


# ---------------------------------------------------------------- legacy completions


@every_upstream("path", "completions", "legacy completions: prompt as text and as a list, suffix aside, JSON and stream", timeout=20)
def _(dialect):
    g = gw("dialects")
    for prompt in (f"Say it. script:{SCRIPTS.add(PLAIN)}", [f"Say it. script:{SCRIPTS.add(PLAIN)}"]):
        asked = {"model": MODEL[dialect], "prompt": prompt, "max_tokens": 50, "temperature": 0.5, "stop": ["END"] if dialect != "responses" else None}
        asked = {name: value for name, value in asked.items() if value is not None}
        answer = g.post(json.dumps(asked).encode(), path="/v1/completions")
        assert answer.status == 200, f"{answer}"
        told = answer.json()
        assert told["object"] == "text_completion" and told["choices"][0]["text"] == PLAIN.whole and told["model"] == MODEL[dialect], f"{told}"
        assert told["choices"][0]["finish_reason"] == "stop" and told["usage"]["prompt_tokens"] == 1_000, f"{told}"
        stream = g.post(json.dumps({**asked, "stream": True}).encode(), path="/v1/completions")
        chunks = wire.chunks(stream.body)
        assert "".join(c["choices"][0]["text"] for c in chunks if c["choices"]) == PLAIN.whole and stream.body.endswith(b"data: [DONE]\n\n"), (
            f"{stream}"
        )
        assert {c["object"] for c in chunks} == {"text_completion"} and chunks[-1]["usage"]["completion_tokens"] == 500, f"{chunks[-1]}"


@check("path.completions-broken", "legacy completions: a broken stream is an error, an empty one too, in OpenAI's shape")
def _():
    g = gw("dialects")
    asked = {"model": MODEL["gemini"], "prompt": f"script:{SCRIPTS.add(replace(PLAIN, cut=2))}", "stream": True}
    answer = g.post(json.dumps(asked).encode(), path="/v1/completions")
    chunks = wire.chunks(answer.body)
    assert chunks[-1].get("error") and chunks[-1]["choices"][0]["finish_reason"] == "error", f"{answer}"
    answer = g.post(json.dumps({**asked, "prompt": f"script:{SCRIPTS.add(EMPTY)}", "stream": False}).encode(), path="/v1/completions")
    problem("chat", answer, 502)


# ---------------------------------------------------------------- Responses is stateless


@check(
    "path.responses-stateless",
    "responses: store:true, previous_response_id, conversation, background are a 400 with the reason; nothing is sent",
    timeout=20,
)
def _():
    for dialect in ("responses", "gemini"):
        for more in ({"store": True}, {"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}):
            one = asking("responses", dialect, PLAIN)
            error = problem("responses", post(one, **more), 400)
            assert next(iter(more)) in error["message"], f"{more}: {error['message']}"
            assert not speaker(dialect).of(one.script), f"{more}: was sent"
    one = asking("responses", "responses", PLAIN)
    body = {name: value for name, value in one.body().items() if name != "store"}
    answer = gw("dialects").post(json.dumps(body).encode(), path="/v1/responses")
    assert answer.status == 200 and talk_of(one).body.get("store") is False, f"without `store`: {answer} {talk_of(one).body.get('store')}"


@check("path.responses-input", "responses: input as text, as messages, with items by type and without", timeout=20)
def _():
    for dialect in DIALECTS:
        one = asking("responses", dialect, PLAIN)
        for given in (one.prompt, [{"type": "message", "role": "user", "content": one.prompt}],
                      [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "input_text", "text": one.prompt}]}]):  # fmt: skip
            answer = post(one, input=given)
            assert dialect_answers.read("responses", answer, False).text == PLAIN.whole
            assert talk_of(one).heard.prompt == one.prompt, f"{dialect}: {talk_of(one).heard}"
        assert talk_of(one).heard.system == "Be brief.", f"{dialect}: {talk_of(one).heard.system!r}"


# ---------------------------------------------------------------- prefixes, versions, queries


@check(
    "path.prefixes",
    "chat, responses, messages, v1/messages below each prefix; completions and embeddings too; with doubled slashes and ?beta=true",
    timeout=30,
)
def _():
    for prefix in PREFIXES:
        for caller in CALLERS:
            paths = [f"{prefix}/{'chat/completions' if caller == 'chat' else caller}"]
            paths += (
                [f"{prefix}/v1/messages", f"{prefix}/messages?beta=true", f"{prefix}/v1/messages?beta=true", f"{prefix}//messages"]
                if caller == "messages"
                else []
            )
            for path in paths:
                one = asking(caller, "gemini", PLAIN)
                answer = gw("dialects").post(json.dumps(one.body()).encode(), path=path)
                assert answer.status == 200, f"{path}: {answer}"
                assert dialect_answers.read(caller, answer, False).text == PLAIN.whole
        for path in (
            f"{prefix}/completions",
            f"{prefix}/embeddings",
            f"{prefix}/audio/transcriptions",
            f"{prefix}/fim/completions",
            f"{prefix}/v1/messages/count_tokens",
        ):
            answer = gw("dialects").post(b"{}", path=path)
            assert answer.status in (400, 404, 415, 422) and b"path_not_found" not in answer.body, f"{path}: {answer}"


@check("path.errors", "each door refuses in its own shape: no key, unknown model, no JSON, wrong method", timeout=20)
def _():
    g = gw("dialects")
    for caller, path in (
        ("chat", "/v1/chat/completions"),
        ("responses", "/v1/responses"),
        ("messages", "/v1/messages"),
        ("chat", "/v1/embeddings"),
        ("chat", "/v1/completions"),
    ):
        body = {"model": "lab/nobody", "messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x", "max_tokens": 9}
        if caller == "responses":
            del body["prompt"]  # there it is the id of a stored one
        unknown = problem(caller, g.post(json.dumps(body).encode(), path=path), 404)
        assert "lab/" in unknown["message"], f"{path}: {unknown['message']!r}"
        assert problem(caller, g.post(json.dumps(body).encode(), path=path, key="kilo_" + "w" * 32), 401)["type"] == "authentication_error"
        problem(caller, g.post(b'{"model": ', path=path), 400)
        problem(caller, g.get(path), 405)


# ---------------------------------------------------------------- count_tokens


def count(dialect: str, **more) -> wire.Answer:
    body = {"model": MODEL[dialect], "messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 20}], **more}
    return gw("dialects").post(json.dumps(body).encode(), path="/v1/messages/count_tokens", headers={"anthropic-version": "2023-06-01"})


@every_upstream("path", "count-tokens", "messages/count_tokens: the provider's own count where it has one, else an estimate that says so")
def _(dialect):
    answer = count(dialect)
    assert answer.status == 200, f"{answer}"
    tokens = answer.json()["input_tokens"]
    if dialect == "messages":
        assert tokens == COUNTED, f"{tokens}"
    elif tokens != COUNTED:
        assert 150 <= tokens <= 320, f"{tokens} tokens for some 200"
        is_marked = answer.json().get("estimated") or any("estimate" in f"{name} {value}".lower() for name, value in answer.headers)
        assert is_marked, f"an estimate that does not say so: {answer.json()}"


@check("path.count-tokens-more", "count_tokens: tools and system count; without a model, messages or key it is refused in Anthropic's shape")
def _():
    plain, more = count("chat").json()["input_tokens"], count("chat", system="Be brief. " * 50).json()["input_tokens"]
    tools = [{"name": n, "description": "d" * 200, "input_schema": s} for n, s in TOOLS.items()]
    assert more > plain + 50 and count("chat", tools=tools).json()["input_tokens"] > plain + 40, f"{plain} {more}"
    problem("messages", gw("dialects").post(b'{"model":"lab/chat"}', path="/v1/messages/count_tokens"), 400)
    problem("messages", gw("dialects").post(b"{}", path="/v1/messages/count_tokens", key="kilo_" + "w" * 32), 401)


# ---------------------------------------------------------------- embeddings


@check("path.embeddings", "embeddings: text, list, tokens; floats and base64; dimensions; usage, model and cost booked", timeout=20)
def _():
    for given, n in (("a", 1), (["a", "b ☕", "c"], 3), ([1, 2, 3], 1), ([[1, 2], [3]], 2)):
        for form in (None, "float", "base64"):
            asked = {"model": "lab/embed", "input": given} | ({"encoding_format": form} if form else {})
            answer = ask("/v1/embeddings", asked)
            assert answer.status == 200, f"{asked}: {answer}"
            told = answer.json()
            assert told["object"] == "list" and told["model"] == "lab/embed" and [each["index"] for each in told["data"]] == list(range(n)), f"{told}"
            assert isinstance(told["data"][0]["embedding"], str) == (form == "base64"), f"{form}: {told['data'][0]['embedding']!r}"
            assert vector_of(told["data"][-1]["embedding"]) == [n * each for each in VECTOR], f"{told}"
            assert told["usage"]["prompt_tokens"] == EMBEDDED, f"{told['usage']}"
    assert len(ask("/v1/embeddings", {"model": "lab/embed", "input": "a", "dimensions": 8}).json()["data"][0]["embedding"]) == 8
    row = gw("doors").row(answer.header("x-generation-id"))
    assert (row["prompt_tokens"], row["completion_tokens"]) == (EMBEDDED, 0) and float(row["cost_usd"]) == float(
        cost_of(EMBEDDED * PRICES["input"])
    ), f"{row}"


@check("path.embeddings-bedrock", "embeddings of a Bedrock model go by invoke, signed; many inputs keep their order", timeout=20)
def _():
    told = ask("/v1/embeddings", {"model": "lab/titan", "input": ["a", "b"]})
    assert told.status == 200, f"{told}"
    assert [vector_of(each["embedding"]) for each in told.json()["data"]] == [list(VECTOR)] * 2, f"{told}"
    assert speaker("converse").talks[-1].path == "/model/amazon.titan-embed-text-v2%3A0/invoke", f"{speaker('converse').talks[-1].path}"


@check("path.embeddings-others", "embeddings of Gemini and Cohere: in their form, as floats and as base64; more texts than one request takes keep their order", timeout=20)
def _():
    for name, most in (("gemini", 100), ("cohere", 96)):
        for n, form in ((1, "float"), (most, "base64"), (most + 2, "float")):
            asked = {"model": f"lab/embed-{name}", "input": [f"text {at}" for at in range(n)], "encoding_format": form, "dimensions": 4, "input_type": "search_query"}
            answer = ask("/v1/embeddings", asked)
            assert answer.status == 200, f"{name} {n}: {answer}"
            told = answer.json()
            factors = [(at % most) + 1 for at in range(n)]
            assert [vector_of(each["embedding"]) for each in told["data"]] == [[factor * each for each in VECTOR] for factor in factors], f"{name} {n}"
            assert told["usage"]["prompt_tokens"] == EMBEDDED * (1 + (n > most)), f"{told['usage']}"
        row = gw("doors").row(answer.header("x-generation-id"))
        assert row["prompt_tokens"] == 2 * EMBEDDED and row["attempts"] == 1, f"{row}"
        problem("chat", ask("/v1/embeddings", {"model": f"lab/embed-{name}", "input": [1, 2, 3]}), 400)


@check("path.embeddings-wrong", "embeddings: a chat model, no input, a wrong dimension are a 400")
def _():
    for body in (
        {"model": "lab/embed"},
        {"model": "lab/embed", "input": []},
        {"model": "lab/embed", "input": "a", "dimensions": -1},
        {"model": "lab/embed", "input": {"a": 1}},
    ):
        problem("chat", ask("/v1/embeddings", body), 400)


# ---------------------------------------------------------------- transcription


def multipart(fields: dict[str, str], audio: bytes = WAV) -> tuple[bytes, dict[str, str]]:
    mark = "----kilo-acceptance"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'.encode() + audio + b"\r\n"
    )
    return b"".join(parts) + f"--{mark}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={mark}"}


@check("path.transcription", "audio/transcriptions, multipart: file and fields arrive whole, with the upstream's own model", timeout=20)
def _():
    for form in (None, "json", "verbose_json", "text"):
        script = SCRIPTS.add(PLAIN)
        fields = {"model": "lab/hear", "prompt": f"script:{script}", "language": "en", "temperature": "0.2"} | (
            {"response_format": form} if form else {}
        )
        body, headers = multipart(fields, WAV + bytes(range(256)))
        answer = gw("doors").post(body, path="/v1/audio/transcriptions", headers=headers)
        assert answer.status == 200, f"{form}: {answer}"
        assert (answer.body.decode() if form == "text" else answer.json()["text"]) == PLAIN.whole, f"{answer}"
        sent = body_of(script)
        assert sent["file"]["data"] == WAV + bytes(range(256)) and sent["file"]["filename"] == "a.wav", f"{sent}"
        assert (sent["model"], sent["language"], sent["temperature"]) == ("hear-1", "en", "0.2"), f"{sent}"


@check("path.transcription-stream", "audio/transcriptions streamed: deltas, then the whole with usage and cost; a cut is one error", timeout=20)
def _():
    script = SCRIPTS.add(PLAIN)
    body, headers = multipart({"model": "lab/hear", "prompt": f"script:{script}", "stream": "true"})
    answer = gw("doors").post(body, path="/v1/audio/transcriptions", headers=headers)
    assert answer.status == 200 and answer.header("content-type").startswith("text/event-stream"), f"{answer}"
    events = [json.loads(event[6:]) for event in answer.body.decode().split("\n\n") if event]
    assert "".join(each.get("delta", "") for each in events) == PLAIN.whole == events[-1]["text"], f"{events}"
    row = gw("doors").row(answer.header("x-generation-id"))
    assert (row["prompt_tokens"], row["completion_tokens"]) == (30, 5) and events[-1]["usage"]["cost"] == float(row["cost_usd"]), f"{row} {events[-1]}"
    body, headers = multipart({"model": "lab/hear", "prompt": f"script:{SCRIPTS.add(replace(PLAIN, cut=2))}", "stream": "true"})
    answer = gw("doors").post(body, path="/v1/audio/transcriptions", headers=headers)
    events = [json.loads(event[6:]) for event in answer.body.decode().split("\n\n") if event]
    assert [("error" in each) for each in events] == [False, False, True], f"{events}"


@check(
    "path.transcription-json",
    "audio/transcriptions, JSON: input_audio{data, format} becomes the upstream's multipart; usage with seconds",
    timeout=20,
)
def _():
    for prefix in ("/v1", "/api/openrouter", "/api/gateway/v1"):
        asked = {"model": "lab/hear", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}, "language": "en"}
        answer = ask(f"{prefix}/audio/transcriptions", asked)
        assert answer.status == 200 and answer.json()["text"] == PLAIN.whole, f"{answer}"
        assert answer.json()["usage"]["seconds"] == 3, f"{answer.json()}"
        sent = speaker("side").talks[-1].body
        assert sent["file"]["data"] == WAV and sent["file"]["filename"].endswith(".wav") and sent["language"] == "en", f"{sent}"
    row = gw("doors").row(answer.header("x-generation-id"))
    assert row["model"] == "lab/hear" and row["status"] == "ok", f"{row}"


@check(
    "path.transcription-wrong", "audio/transcriptions: no file, no model, no audio model, broken base64 are a 400 or 404 that says which", timeout=20
)
def _():
    mark = "----kilo-acceptance"
    for body, headers in (
        (f"--{mark}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={mark}"}),
        multipart({}),
        multipart({"model": "lab/nobody"}),
    ):
        problem("chat", gw("doors").post(body, path="/v1/audio/transcriptions", headers=headers), 400, 404)
    for asked in ({"model": "lab/hear"}, {"model": "lab/hear", "input_audio": {"data": "%%%", "format": "wav"}}):
        problem("chat", ask("/v1/audio/transcriptions", asked), 400)


# ---------------------------------------------------------------- FIM and edits

FIM_PATHS = ("/api/fim/completions", *(f"{prefix}/fim/completions" for prefix in PREFIXES))


@check(
    "path.fim", "fim/completions at /api and below each prefix: prompt, suffix and stop arrive; the answer is Mistral's, JSON and stream", timeout=30
)
def _():
    for path in FIM_PATHS:
        for stream in (False, True):
            script = SCRIPTS.add(PLAIN)
            asked = {"model": "mistralai/codestral-2508", "prompt": f"def f( # script:{script}", "suffix": "return x", "max_tokens": 256, "temperature": 0.2,
                     "stop": ["\n\n"], **({"stream": True} if stream else {})}  # fmt: skip
            answer = ask(path, asked, headers={"X-KILOCODE-FEATURE": "autocomplete"})
            assert answer.status == 200, f"{path}: {answer}"
            if stream:
                chunks = wire.chunks(answer.body)
                text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
                assert answer.body.rstrip().endswith(b"data: [DONE]"), f"{answer}"
            else:
                text = answer.json()["choices"][0]["message"]["content"]
            assert text == PLAIN.whole, f"{path}: {text!r}"
            sent = body_of(script)
            assert (sent["prompt"], sent["suffix"], sent["max_tokens"], sent["stop"], sent["model"]) == (
                asked["prompt"],
                "return x",
                256,
                ["\n\n"],
                "codestral-2508",
            )
            assert speaker("side").one(script).path == "/v1/fim/completions"
    costs(gw("doors").row(answer.header("x-generation-id"))["cost_usd"], Usage())


@check(
    "path.fim-limits",
    "fim: max_tokens beyond 1000 or of the wrong kind, no prompt, an unknown or unable model are a 400 or 404; nothing is sent",
    timeout=20,
)
def _():
    before = len(speaker("side").talks)
    good = {"model": "mistralai/codestral-2508", "prompt": "x", "max_tokens": 1_000}
    served = ask("/api/fim/completions", good)
    assert served.status == 200, f"{served}"
    for wrong in (
        {"max_tokens": 1_001},
        {"max_tokens": 0},
        {"max_tokens": "9"},
        {"prompt": None},
        {"prompt": 7},
        {"model": "lab/nobody"},
        {"model": "lab/embed"},
    ):
        problem("chat", ask("/api/fim/completions", {**good, **wrong}), 400, 404)
    assert len(speaker("side").talks) == before + 1, "one of them was sent"


@check("path.fim-broken", "fim: an upstream's error and a cut stream are told as such")
def _():
    asked = {"model": "mistralai/codestral-2508", "max_tokens": 9}
    assert problem("chat", ask("/api/fim/completions", {**asked, "prompt": f"script:{SCRIPTS.add(Reply(status=429))}"}), 429)
    answer = ask("/api/fim/completions", {**asked, "stream": True, "prompt": f"script:{SCRIPTS.add(Reply(cut=2))}"})
    assert wire.chunks(answer.body)[-1]["choices"][0]["finish_reason"] == "error", f"{answer}"


@check("path.edit", "/api/edit/completions: one user message, max_tokens up to 1000, no stream; others are a 400", timeout=20)
def _():
    script = SCRIPTS.add(PLAIN)
    good = {"model": "inception/mercury-edit", "messages": [{"role": "user", "content": f"edit script:{script}"}], "max_tokens": 500}
    answer = ask("/api/edit/completions", good)
    assert answer.status == 200 and answer.json()["choices"][0]["message"]["content"] == PLAIN.whole, f"{answer}"
    assert speaker("side").one(script).path == "/v1/edit/completions" and body_of(script)["model"] == "mercury-edit"
    two = [*good["messages"], {"role": "user", "content": "more"}]
    for wrong in ({"max_tokens": 1_001}, {"stream": True}, {"messages": two}, {"messages": []}, {"messages": [{"role": "system", "content": "x"}]}):
        problem("chat", ask("/api/edit/completions", {**good, **wrong}), 400)


# ---------------------------------------------------------------- keys in the environment

BY_KEY = {"ANTHROPIC": ("messages", "claude-labbird-4"), "GEMINI": ("gemini", "gemini-labbird-pro"), "GOOGLE": ("gemini", "gemini-labbird-flash")}


def _by_key(name: str) -> None:
    dialect, id = BY_KEY[name]
    fake = speaker(f"env-{name}", dialect, rows=[id])
    bases = {f"{each}_BASE_URL": fake.base for each in BY_KEY if BY_KEY[each][0] == dialect}  # Google's two names lead to one upstream
    g = Gateway(f"env-{name.lower()}", settings(), env={f"{name}_API_KEY": fake.key, **bases}).start()
    try:
        full = {"messages": f"anthropic/{id}", "gemini": f"google/{id}"}[dialect]
        appears(g, full, 4)
        for caller in CALLERS:
            for stream in (False, True):
                one = asking(caller, full, PLAIN)
                told = dialect_answers.read(caller, post(one, stream, g=g), stream)
                assert told.text == PLAIN.whole and talk_of(one).dialect == dialect, f"{caller}: {told}"
    finally:
        g.stop()


for _name in BY_KEY:
    check(
        f"path.env-{_name.lower()}",
        f"{_name}_API_KEY (with {_name}_BASE_URL) in the environment is an upstream: listed, and asked by every caller",
        30,
    )(lambda name=_name: _by_key(name))

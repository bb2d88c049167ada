"""Members one by one: what crosses, what is named as dropped, and what is a 400 because no endpoint can honour it."""

import socket
import threading

import dialect_answers
from dialect_callers import TOOLS
from dialect_scripts import CITED, PLAIN
from harness import check, gw

from dialects import UPSTREAM_IDS, asking, dropped, every_caller, every_upstream, names_dropped, post, problem, talk_of, tell


def crossing(dialect: str, **more):
    return tell(asking("chat", dialect, PLAIN, more=more))


@every_upstream("field", "seed", "seed arrives, or is named as dropped")
def _(dialect):
    one = crossing(dialect, seed=42)
    if one.talk.heard.seed != 42:
        assert dialect not in ("chat", "gemini", "cohere"), f"seed {one.talk.heard.seed}"
        names_dropped(one.answer, "seed")


@every_upstream("field", "penalties", "frequency and presence penalty arrive, or are named as dropped")
def _(dialect):
    one = crossing(dialect, frequency_penalty=0.3, presence_penalty=0.4)
    if one.talk.heard.penalties != (0.3, 0.4):
        assert dialect not in ("chat", "gemini", "cohere"), f"penalties {one.talk.heard.penalties}"
        names_dropped(one.answer, "frequency_penalty", "presence_penalty")


@every_upstream("field", "top-k", "top_k arrives where it is known, or is named as dropped")
def _(dialect):
    one = tell(asking("messages", dialect, PLAIN, more={"top_k": 40}))
    if dialect == "chat":
        assert one.talk.body.get("top_k") == 40 or "top_k" in dropped(one.answer), f"{sorted(one.talk.body)}"
    elif one.talk.heard.top_k != 40:
        assert dialect == "responses", f"top_k {one.talk.heard.top_k}"
        names_dropped(one.answer, "top_k")


@every_upstream("field", "verbosity", "verbosity arrives where it is known (text.verbosity, output_config.effort), or is named as dropped")
def _(dialect):
    one = crossing(dialect, verbosity="low")
    body = one.talk.body
    places = (body.get("verbosity"), (body.get("text") or {}).get("verbosity"), (body.get("output_config") or {}).get("effort"))
    if "low" not in places:
        assert dialect not in ("chat", "responses"), f"{places}"
        names_dropped(one.answer, "verbosity")


@every_upstream("field", "tier", "service_tier arrives in the upstream's own word, or is named as dropped")
def _(dialect):
    one = crossing(dialect, service_tier="flex")
    if not (one.talk.body.get("service_tier") or one.talk.body.get("serviceTier")):
        names_dropped(one.answer, "service_tier")
    assert one.talk.body.get("service_tier") != "flex" or dialect in ("chat", "responses"), "a word the upstream does not have"


@every_upstream("field", "user", "metadata, user and logit_bias arrive or are named as dropped; nothing goes in silence", timeout=20)
def _(dialect):
    one = crossing(dialect, user="u-1", metadata={"k": "v"}, logit_bias={"50256": -100})
    if dialect != "chat":
        names_dropped(one.answer, "logit_bias")
        for name, value in (("user", "u-1"), ("metadata", "'k'")):
            assert value in str(one.talk.body) or name in dropped(one.answer), f"{name} is neither sent nor named: {dropped(one.answer)}"


@every_caller("field", "nothing-dropped", "where nothing is lost there is no x-kilo-dropped-fields")
def _(caller):
    for dialect in ("chat", "responses", "messages", "gemini", "converse"):
        one = tell(asking(caller, dialect, PLAIN, system="s", tools=TOOLS, max_tokens=99, temperature=0.5))
        lost = dropped(one.answer) - {"store", "strict"}
        assert not lost and not any(each.endswith(".strict") for each in lost), f"{dialect}: {lost}"


@check("field.dropped-stream", "the header is on streams too, and names each once", timeout=20)
def _():
    for caller, dialect, more in (
        ("chat", "messages", {"seed": 1, "x_a": 2}),
        ("messages", "gemini", {"x_a": 2}),
        ("responses", "cohere", {"truncation": "auto"}),
    ):
        value = tell(asking(caller, dialect, PLAIN, more=more), True).answer.header("x-kilo-dropped-fields") or ""
        names = [name.strip() for name in value.split(",")]
        assert set(more) <= set(names) and len(names) == len(set(names)), f"{caller}-{dialect}: {names}"


# ---------------------------------------------------------------- what cannot be honoured


@every_upstream("field", "n", "n=2: two choices, or a 400 that names n", but=("chat",))
def _(dialect):
    one = asking("chat", dialect, PLAIN, more={"n": 2})
    answer = post(one)
    if answer.status == 200:
        assert len(answer.json()["choices"]) == 2, "one choice where two were asked for"
    else:
        assert "n" in str(problem("chat", answer, 400)["message"]).replace("'", " ").replace("`", " ").split(), f"{answer}"
    assert dialect == "gemini" or answer.status == 400, f"{answer}"


@every_upstream("field", "logprobs", "logprobs: told, or a 400 that names them", but=("chat",))
def _(dialect):
    answer = post(asking("chat", dialect, PLAIN, more={"logprobs": True, "top_logprobs": 2}))
    if answer.status == 200:
        assert answer.json()["choices"][0].get("logprobs"), "no logprobs where they were asked for"
    else:
        assert "logprobs" in problem("chat", answer, 400)["message"], f"{answer}"


@check("field.grammar", "a response_format that no dialect has is a 400 at each upstream that needs translation")
def _():
    for dialect in ("responses", "messages", "gemini", "converse", "cohere"):
        answer = post(asking("chat", dialect, PLAIN, more={"response_format": {"type": "grammar", "grammar": "root ::= x"}}))
        assert "response_format" in problem("chat", answer, 400)["message"], f"{answer}"


@check(
    "field.another-endpoint", "n=2 of a model with several endpoints goes to the one that can honour it; others are skipped, not asked", timeout=20
)
def _():
    one = asking("chat", "lab/several", PLAIN, more={"n": 2, "logit_bias": {"1": 1}})
    answer = post(one, g=gw("several"))
    assert answer.status == 200 and len(answer.json()["choices"]) == 2, f"{answer}"
    assert answer.header("x-kilo-provider") in ("second", "third"), f"{answer.header('x-kilo-provider')}"


@check("field.excluded", "the 400 says for each endpoint why, in metadata.excluded")
def _():
    error = problem("chat", post(asking("chat", "converse", PLAIN, more={"n": 3})), 400)
    assert error["code"] == "no_endpoint" and "converse-lab" in error["metadata"]["excluded"], f"{error}"


# ---------------------------------------------------------------- tools in all forms


@every_upstream("field", "allowed-tools", "tool_choice allowed_tools: only those may be called", but=("chat",))
def _(dialect):
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    one = tell(asking("chat", dialect, PLAIN, tools=TOOLS, more={"tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}))
    heard, body = one.talk.heard, str(one.talk.body.get("tool_choice"))
    is_one = heard.choice == ("tool", "get_time") or (set(heard.tools) == {"get_time"} and heard.choice == "required")
    assert is_one or ("allowed_tools" in body and "get_time" in body), f"choice {heard.choice!r}, tools {sorted(heard.tools)}, {body}"


@every_upstream(
    "field", "schemas", "a tool's schema with $schema, $ref, $defs, anyOf and additionalProperties does not make the upstream refuse", timeout=20
)
def _(dialect):
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": False,
              "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
              "$defs": {"A": {"type": "object", "properties": {"x": {"type": "integer", "exclusiveMinimum": 0}}}}}  # fmt: skip
    heard = tell(asking("chat", dialect, PLAIN, tools={"deep": schema})).talk.heard
    assert set(heard.tools["deep"]["properties"]) == {"a", "b"}, f"{heard.tools}"


@check(
    "field.server-tools", "a provider's own tools (web search) stay in their own dialect; elsewhere they are named as dropped or refused", timeout=20
)
def _():
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    for dialect in ("messages", "gemini", "chat"):
        one = asking("messages", dialect, PLAIN, more={"tools": [search]})
        answer = post(one)
        if dialect == "messages":
            assert answer.status == 200, f"{answer}"
            assert talk_of(one).body["tools"] == [search], f"{talk_of(one).body['tools']}"
        elif answer.status == 200:
            names_dropped(answer, "tools")
        else:
            problem("messages", answer, 400)


@every_upstream(
    "field",
    "citations",
    "citations of the upstream are annotations of a chat answer, JSON and stream; elsewhere where the caller's dialect has them",
    but=("converse",),
)
def _(dialect):
    for stream in (False, True):
        told = tell(asking("chat", dialect, CITED), stream).told
        assert told.citations == [CITED.citations[0][0]] and told.text == CITED.whole, f"{told.citations}"
        told = tell(asking("responses", dialect, CITED), stream).told
        assert told.citations == [CITED.citations[0][0]], f"responses: {told.citations}"


# ---------------------------------------------------------------- prompt caching


@every_upstream("field", "cache-marks", "cache_control becomes the upstream's own breakpoints, or is lost without a 400; the text is untouched")
def _(dialect):
    mark = {"cache_control": {"type": "ephemeral"}}
    for caller in ("chat", "messages"):
        one = asking(caller, dialect, PLAIN)
        body = one.body()
        content = [{"type": "text", "text": "Long. ", **mark}, {"type": "text", "text": one.prompt}]
        body["messages"] = [{"role": "user", "content": content}]
        body |= {"system": [{"type": "text", "text": "Sys", **mark}]} if caller == "messages" else {}
        answer = post(one, **body)
        assert dialect_answers.read(caller, answer, False).text == PLAIN.whole
        heard = talk_of(one).heard
        assert heard.turns[0].text == "Long. " + one.prompt, f"{heard.turns}"
        if dialect in ("messages", "converse"):
            assert heard.cache_marks == (2 if caller == "messages" else 1), f"{caller}: {heard.cache_marks} breakpoints"


@check("field.cache-key", "prompt_cache_key crosses between chat and Responses, and is not sent where it is unknown")
def _():
    for caller, dialect in (("chat", "responses"), ("responses", "chat")):
        assert tell(asking(caller, dialect, PLAIN, more={"prompt_cache_key": "k-1"})).talk.body.get("prompt_cache_key") == "k-1", f"{caller}"
    for dialect in ("gemini", "messages", "converse", "cohere"):
        assert "k-1" not in str(tell(asking("chat", dialect, PLAIN, more={"prompt_cache_key": "k-1"})).talk.body)


@check(
    "field.cache-key-made", "Messages' metadata.user_id or breakpoints give a Responses or chat upstream a prompt_cache_key, the same one each time"
)
def _():
    mark = {"cache_control": {"type": "ephemeral"}}
    keys = []
    for _ in range(2):
        one = asking(
            "messages", "responses", PLAIN, more={"metadata": {"user_id": "user_1_session_2"}, "system": [{"type": "text", "text": "S", **mark}]}
        )
        keys.append(tell(one).talk.body.get("prompt_cache_key"))
    assert keys[0] and keys[0] == keys[1], f"{keys}"


# ---------------------------------------------------------------- URLs of images


class Canary:
    """Counts who connects; answers nothing."""

    def __enter__(self) -> "Canary":
        self.seen = 0
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}/a.png"
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def _run(self) -> None:
        while True:
            try:
                other, _ = self.sock.accept()
            except OSError:
                return
            self.seen += 1
            other.close()

    def __exit__(self, *_) -> None:
        self.sock.close()


@every_caller("field", "image-url", "an image's URL for an upstream that needs bytes: by default a 400 with the cure, and nothing is fetched")
def _(caller):
    with Canary() as canary:
        one = asking(caller, "converse", PLAIN, image=canary.url)
        error = problem(caller, post(one), 400)
        assert "image" in error["message"].lower() and "fetch" in error["message"].lower(), f"{error}"
        assert canary.seen == 0, "the gateway fetched it"


@check("field.image-url-through", "where the upstream takes URLs it gets the URL unread", timeout=20)
def _():
    with Canary() as canary:
        for caller in ("chat", "messages", "responses"):
            for dialect in ("chat", "responses", "messages"):
                heard = tell(asking(caller, dialect, PLAIN, image=canary.url)).talk.heard
                assert heard.turns[0].images == [canary.url], f"{caller}-{dialect}: {heard.turns[0].images}"
        assert canary.seen == 0 and UPSTREAM_IDS, "the gateway fetched it"

"""What a gateway mends on the way: tool-call ids, orphans and gaps, empty turns, members a strict upstream refuses, values out of range."""

import dialect_answers
import dialect_rules
from catalogue import appears
from dialect_callers import CALLERS, TOOLS, Asking
from dialect_scripts import PLAIN, SCRIPTS
from dialect_upstreams import DIALECTS
from harness import Gateway, check, eventually, gateway, gw

from dialects import PAIRS, asking, every_pair, every_upstream, names_dropped, post, problem, settings, speaker, tell

CROSSING = [(caller, dialect) for caller, dialect in PAIRS if caller != dialect]


def mended(caller: str, dialect: str, *history: dict, tools: dict | None = None):
    """Asked with such a history: the strict upstream must take it. Gives what it heard."""
    one = asking(caller, dialect, PLAIN, tools=TOOLS if tools is None else tools)
    one.history = [*history, *one.user("And now?")]
    done = tell(one)
    assert done.told.text == PLAIN.whole and done.talk.heard.turns[-1].text.endswith("And now?"), f"{done.talk.heard.turns[-1]}"
    return done


def crossing(feature: str, what: str):
    def register(function):
        for caller, dialect in CROSSING:
            check(f"repair.{feature}.{caller}-{dialect}", f"{caller} caller, {dialect} upstream: {what}", 15)(
                lambda c=caller, d=dialect: function(c, d)
            )
        return function

    return register


def matched(heard) -> list:
    """Calls and results belong together; gives the calls."""
    calls, results = heard.everywhere("calls"), heard.everywhere("results")
    assert sorted(call[0] for call in calls) == sorted(result[0] for result in results), f"calls {calls}, results {results}"
    return calls


# ---------------------------------------------------------------- calls and results


@crossing("duplicate", "two calls with one id, and their results: taken, every call answered once")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    heard = mended(caller, dialect, *ask.calls(("c1", "get_weather", '{"city": "A"}'), ("c1", "get_weather", '{"city": "B"}')),
                   *ask.results(("c1", "sun"), ("c1", "rain"))).talk.heard  # fmt: skip
    assert matched(heard), f"no call left: {heard.turns}"


@crossing("orphan", "a result without a call is taken out, the rest stays")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    heard = mended(caller, dialect, *ask.calls(("c1", "get_weather", '{"city": "A"}')), *ask.results(("c1", "sun"), ("nobody", "rain"))).talk.heard
    calls = matched(heard)
    assert len(calls) == 1 and "rain" not in str(heard.everywhere("results")), f"{heard.turns}"


@crossing("missing", "a call without a result gets one that says so; those that are there stay")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    calls = ask.calls(("c1", "get_weather", '{"city": "A"}'), ("c2", "get_time", "{}"))
    heard = mended(caller, dialect, *calls, *ask.results(("c1", "sun"))).talk.heard
    assert len(matched(heard)) == 2, f"{heard.turns}"
    texts = [text for _, text in heard.everywhere("results")]
    assert any("sun" in text for text in texts) and all(text.strip('"{} ') for text in texts), f"{texts}"


@crossing("late", "results that come after another word of the user still answer their call")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    history = [*ask.calls(("c1", "get_weather", '{"city": "A"}')), *ask.user("wait"), *ask.results(("c1", "sun"))]
    heard = mended(caller, dialect, *history).talk.heard
    assert len(matched(heard)) == 1 and "sun" in str(heard.everywhere("results")), f"{heard.turns}"


@crossing("ids", "ids with dots, colons, bars and 200 characters become what the provider takes, alike at call and result")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    ids = ("functions.get_weather:0", "call_1|fc_2", "x" * 200)
    calls = ask.calls(*((id, "get_weather", '{"city": "A"}') for id in ids))
    heard = mended(caller, dialect, *calls, *ask.results(*((id, f"of {n}") for n, id in enumerate(ids)))).talk.heard
    found = matched(heard)
    assert len({call[0] for call in found}) == 3 or dialect == "gemini", f"ids {found}"


@crossing("no-tools", "a history with calls, and no tools in the request: taken")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    history = [*ask.calls(("c1", "get_weather", '{"city": "A"}')), *ask.results(("c1", "sun"))]
    assert "sun" in str(mended(caller, dialect, *history, tools={}).talk.body), "the result is gone"


@crossing("empty-turns", "empty and blank assistant turns, two users in a row, a conversation that begins with the assistant: taken")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    blank = {"chat": [{"role": "assistant", "content": ""}, {"role": "assistant", "content": None}],
             "responses": [{"role": "assistant", "content": ""}, {"type": "message", "role": "assistant", "content": []}],
             "messages": [{"role": "assistant", "content": ""}, {"role": "assistant", "content": [{"type": "text", "text": " "}]}]}[caller]  # fmt: skip
    heard = mended(caller, dialect, *blank, *ask.user("first"), *ask.user("second")).talk.heard
    assert all(word in "".join(heard.everywhere("texts")) for word in ("first", "second")), f"{heard.turns}"
    one = asking(caller, dialect, PLAIN)
    body = one.body()
    name = "input" if caller == "responses" else "messages"
    body[name] = [*one.calls(text="I begin."), *body[name]]
    assert post(one, **{name: body[name]}).status == 200


@crossing("bad-arguments", "a replayed call whose arguments are no JSON object does not make the upstream refuse")
def _(caller, dialect):
    ask = Asking(caller, "m", "x")
    [call] = ask.calls(("c1", "get_weather", "{}"))
    if caller == "messages":
        call["content"][0]["input"] = "not an object"
    elif caller == "responses":
        call["arguments"] = '{"city": "cut o'
    else:
        call["tool_calls"][0]["function"]["arguments"] = '{"city": "cut o'
    assert len(matched(mended(caller, dialect, call, *ask.results(("c1", "sun"))).talk.heard)) == 1


# ---------------------------------------------------------------- members


@every_pair("no-tools", "tools: [] is no tools, with and without a tool_choice")
def _(caller, dialect):
    for more in ({"tools": []}, {"tools": [], "tool_choice": {"type": "auto"} if caller == "messages" else "auto"}):
        talk = tell(asking(caller, dialect, PLAIN, more=more)).talk
        assert not talk.heard.tools and "tool_choice" not in talk.body, f"{talk.body}"


@crossing("description", "a member that nobody knows (Kilo CLI's `description`) does not reach a strict upstream, and is named as dropped")
def _(caller, dialect):
    one = tell(asking(caller, dialect, PLAIN, more={"description": "Auto Balanced", "x_strange": {"a": 1}}))
    assert "Auto Balanced" not in str(one.talk.body) and "x_strange" not in str(one.talk.body), f"{one.talk.body}"
    names_dropped(one.answer, "description", "x_strange")


@check("repair.kilo-cli", "a request as Kilo CLI sends it (parts, cache_control, usage.include, description) is taken by every upstream", timeout=20)
def _():
    mark = {"cache_control": {"type": "ephemeral"}}
    for dialect in DIALECTS:
        for stream in (True, False):
            one = asking("chat", dialect, PLAIN, tools=TOOLS, choice="auto", max_tokens=32_000)
            body = one.body(stream)
            body["messages"] = [{"role": "system", "content": [{"type": "text", "text": "You are.", **mark}]},
                                {"role": "user", "content": [{"type": "text", "text": one.prompt, **mark}, {"type": "text", "text": "\n<env>"}]}]  # fmt: skip
            body |= {"usage": {"include": True}} | ({"description": "Some model"} if dialect != "chat" else {})
            answer = post(one, stream, **{name: value for name, value in body.items() if name != "stream"})
            assert dialect_answers.read("chat", answer, stream).text == PLAIN.whole, f"{dialect}"


@check("repair.open-house", "unknown members travel on in the same dialect to an upstream that is not known to be strict")
def _():
    one = tell(asking("chat", "lab/open", PLAIN, more={"x_own": {"deep": [1]}, "min_p": 0.1}))
    assert (one.talk.body["x_own"], one.talk.body["min_p"]) == ({"deep": [1]}, 0.1), f"{one.talk.body}"


@every_upstream("repair", "stop-string", "stop as a string is one sequence; five are told or clamped with a warning, never a 400", but=("responses",))
def _(dialect):
    heard = tell(asking("chat", dialect, PLAIN, more={"stop": "END"})).talk.heard
    assert heard.stop == ["END"], f"stop {heard.stop}"
    assert tell(asking("messages", dialect, PLAIN, stop=["a1", "b1", "c1", "d1", "e1"])).talk.heard.stop[:4] == ["a1", "b1", "c1", "d1"]


@every_upstream("repair", "caps", "max_tokens, max_completion_tokens, and both at once: the one that counts arrives", timeout=20)
def _(dialect):
    for more in ({"max_tokens": 555}, {"max_completion_tokens": 555}, {"max_completion_tokens": 555, "max_tokens": 777}):
        talk = tell(asking("chat", dialect, PLAIN, max_tokens=None, more=more)).talk
        assert talk.heard.max_tokens == 555, f"{more}: {talk.body}"
        assert not ({"max_tokens", "max_completion_tokens"} <= set(talk.body)), f"{more}: both were sent"
    assert tell(asking("chat", dialect, PLAIN, max_tokens=None)).told.text == PLAIN.whole, "without any"


# ---------------------------------------------------------------- values out of range


def warned(answer, *names: str) -> None:
    """A header that warns names them: x-kilo-warning(s), or Warning."""
    said = " ".join(value for name, value in answer.headers if "warning" in name or "clamp" in name)
    for name in names:
        assert name in said, f"no warning header about {name}: {[name for name, _ in answer.headers]} {said!r}"


@every_upstream(
    "repair",
    "clamp",
    "temperature beyond what the provider takes is clamped with a warning header, not silently and not a 400",
    but=("chat", "responses"),
)
def _(dialect):
    most = 2 if dialect == "gemini" else 1
    one = tell(asking("chat", dialect, PLAIN, temperature=most + 0.7))
    assert one.talk.heard.temperature == most, f"temperature {one.talk.heard.temperature}"
    warned(one.answer, "temperature")
    fine = tell(asking("chat", dialect, PLAIN, temperature=0.7))
    assert not any("warning" in name for name, _ in fine.answer.headers), "a warning where nothing was clamped"


@crossing("too-long", "max tokens beyond the model's longest answer (32,000) are clamped with a warning header")
def _(caller, dialect):
    one = tell(asking(caller, dialect, PLAIN, max_tokens=90_000))
    assert one.talk.heard.max_tokens == 32_000, f"max_tokens {one.talk.heard.max_tokens}"
    warned(one.answer, {"responses": "max_output_tokens"}.get(caller, "max_tokens"))


@check("repair.nonsense", "a value of the wrong kind is a 400 that names it, in the caller's own shape; nothing is sent", timeout=20)
def _():
    cases = {"chat": {"temperature": "hot", "max_tokens": -3, "messages": "hi", "tools": 7}, "responses": {"temperature": "hot", "input": 7, "tools": "x"},
             "messages": {"temperature": "hot", "max_tokens": -3, "messages": "hi", "tools": 7}}  # fmt: skip
    for caller, wrong in cases.items():
        for name, value in wrong.items():
            one = asking(caller, "gemini", PLAIN)
            error = problem(caller, post(one, **{name: value}), 400)
            assert name in error["message"], f"{caller} {name}: {error['message']!r}"
            assert not speaker("gemini").of(one.script), f"{caller} {name}: was sent"


# ---------------------------------------------------------------- strict and particular houses


def house_env(name: str, fake) -> dict[str, str]:
    return {f"{name}_API_KEY": fake.key, f"{name}_BASE_URL": fake.base}


@gateway("houses")
def houses_gateway() -> Gateway:
    """OpenAI and Mistral by their keys in the environment: the gateway knows what they refuse."""
    openai = speaker("house-openai", "chat", house="openai", rows=["gpt-lab-large"])
    mistral = speaker("house-mistral", "chat", house="mistral", rows=["mistral-lab-large"])
    return Gateway("houses", settings(), env={**house_env("OPENAI", openai), **house_env("MISTRAL", mistral)})


def at_house(name: str, one: Asking, **more):
    """Asked at the model of that house; gives the body that it got."""
    one.model = {"openai": "openai/gpt-lab-large", "mistral": "mistralai/mistral-lab-large"}[name]
    appears(gw("houses"), one.model)
    answer = post(one, g=gw("houses"), **more)
    fake = speaker(f"house-{name}")
    assert answer.status == 200, f"{answer} {[talk.fault for talk in fake.of(one.script)]}"
    return fake.one(one.script).body


@check("repair.openai-strict", "OpenAI itself gets none of the members it does not know, from any caller; what it knows arrives", timeout=30)
def _():
    for caller in CALLERS:
        one = asking(caller, "openai", PLAIN, more={"description": "x", "provider": {"sort": "price"}, "top_k": 40})
        body = at_house("openai", one)
        assert dialect_rules.fault("chat", body, "openai") == "" and not {"description", "provider", "top_k"} & set(body), f"{sorted(body)}"


@check("repair.openai-cap", "OpenAI itself gets max_completion_tokens, Mistral max_tokens, whichever the caller wrote", timeout=30)
def _():
    for more in ({"max_tokens": 55}, {"max_completion_tokens": 55}):
        body = at_house("openai", asking("chat", "openai", PLAIN, max_tokens=None, more=more))
        assert body.get("max_completion_tokens") == 55 and "max_tokens" not in body, f"{more}: {sorted(body)}"
        body = at_house("mistral", asking("chat", "mistral", PLAIN, max_tokens=None, more=more))
        assert body.get("max_tokens") == 55 and "max_completion_tokens" not in body, f"{more}: {sorted(body)}"


@check("repair.mistral-ids", "Mistral gets ids of nine letters and digits, the same at call and result, different for different calls", timeout=30)
def _():
    for caller in CALLERS:
        one = asking(caller, "mistral", PLAIN, tools=TOOLS)
        ids = ("toolu_01ABCdefgh", "call_abcdefghijklmnop", "call_abcdefghijklmnoq")
        one.history = [*one.calls(*((id, "get_weather", "{}") for id in ids)), *one.results(*((id, f"r{n}") for n, id in enumerate(ids)))]
        body = at_house("mistral", one)
        calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or []]
        results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
        assert calls == results and len(set(calls)) == 3, f"{calls} {results}"


@check("repair.reported", "a repair is told: in a header of the answer or in its generation, and counted in the metrics", timeout=20)
def _():
    ask = Asking("chat", "m", "x")
    before = _counted()
    done = mended("chat", "messages", *ask.calls(("a.b", "get_weather", '{"city": "A"}')))
    id = done.answer.header("x-generation-id")
    told = [f"{name}: {value}" for name, value in done.answer.headers if "repair" in name or ("x-kilo" in name and "repair" in value)]
    g = gw("dialects")
    generation = g.get(f"/v1/generation?id={id}", headers={"Authorization": f"Bearer {g.key}"}).body.decode()
    assert told or "repair" in generation, f"neither a header nor {generation[:200]}"
    assert eventually(lambda: _counted() > before, 3, 0.2), f"no metric of repairs went up: {before}"


def _counted() -> float:
    lines = gw("dialects").get("/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if "repair" in line and not line.startswith("#") and "_created" not in line)


@check("repair.untouched", "where there is nothing to mend nothing is: a whole conversation arrives as it was said, and no repair is told")
def _():
    one = asking("chat", "messages", SCRIPTS.add(PLAIN), tools=TOOLS)
    one.history = [*one.calls(("toolu_1", "get_weather", '{"city": "A"}'), text="Looking."), *one.results(("toolu_1", "sun"))]
    done = tell(one)
    assert done.talk.heard.turns[1].calls == [("toolu_1", "get_weather", {"city": "A"})], f"{done.talk.heard.turns}"
    assert not [name for name, _ in done.answer.headers if "repair" in name or "warning" in name], f"{done.answer.headers}"

"""What the checks of the dialects share: a gateway in front of one upstream of each dialect, and ways to ask it."""

import json
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import dialect_answers
import wire
from catalogue import cost_of
from dialect_answers import Told
from dialect_callers import CALLERS, PATHS, Asking
from dialect_scripts import SCRIPTS, Reply, Usage
from dialect_upstreams import DIALECTS, EVENTS, Speaker, Talk
from harness import PROMPT_CANARY, ROOT, Gateway, check, cli, gateway, gw, usd

SETTING = {
    "chat": "openai-chat", "responses": "openai-responses", "messages": "anthropic-messages", "gemini": "gemini", "converse": "bedrock-converse",
    "cohere": "cohere",
}  # fmt: skip
UPSTREAM_IDS = {
    "chat": "house-large", "responses": "gpt-lab-5", "messages": "claude-lab-4", "gemini": "gemini-lab-2.5-pro",
    "converse": "us.anthropic.claude-lab-4-v1:0", "cohere": "command-lab-08-2026",
}  # fmt: skip
MODEL = {dialect: f"lab/{dialect}" for dialect in DIALECTS}
PLAIN_MODEL = {dialect: f"lab/{dialect}-plain" for dialect in DIALECTS}  # without reasoning
PRICES = {"input": 2_000_000, "output": 10_000_000, "cache_read": 200_000, "cache_write": 2_500_000}  # pico-USD a token
COMMON = ["tools", "tool_choice", "response_format", "structured_outputs", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop"]
MORE = {
    "chat": ["seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "parallel_tool_calls", "verbosity", "logit_bias", "n"],
    "responses": ["parallel_tool_calls", "verbosity", "top_logprobs"], "messages": ["top_k", "parallel_tool_calls", "verbosity"],
    "gemini": ["seed", "frequency_penalty", "presence_penalty", "top_k", "logprobs", "n"], "converse": ["top_k"],
    "cohere": ["seed", "frequency_penalty", "presence_penalty", "top_k"],
}  # fmt: skip
PAIRS = [(caller, dialect) for caller in CALLERS for dialect in DIALECTS]
SIGNED = ("chat", "responses", "messages", "gemini", "converse")  # dialects whose reasoning carries a signature
ALONE = threading.Lock()
_speakers: dict[str, Speaker] = {}


def speaker(name: str, dialect: str = "", **how) -> Speaker:
    """A shared one by its name; made at the first question. Those of the six dialects are called after them."""
    with ALONE:
        if name not in _speakers:
            _speakers[name] = Speaker(dialect or name, **how).start()
        return _speakers[name]


# ---------------------------------------------------------------- configuration


def row(id: str, upstream_id: str, dialect: str = "chat", reasoning: bool = True, **more) -> str:
    fields: dict = {"id": id, "upstream_id": upstream_id, "context": 200_000, "max_output": 32_000}
    fields |= {f"{name}_usd_per_mtok": price / 1_000_000 for name, price in PRICES.items()}
    fields["parameters"] = COMMON + MORE[dialect] + (["reasoning", "include_reasoning"] if reasoning else [])
    fields["input_modalities"] = ["text", "image", "file"]
    return "{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in {**fields, **more}.items()) + " }"


def table(name: str, fake: Speaker, *rows: str, extra: str = "") -> str:
    region = 'region = "us-east-1"\n' if fake.dialect == "converse" else ""
    models = f"models = [ {', '.join(rows)} ]\n" if rows else ""
    head = f'[[upstreams]]\nname = "{name}"\ndialect = "{SETTING[fake.dialect]}"\nbase_url = "{fake.base}"\napi_key = "{fake.key}"\n'
    return f"{head}{region}{extra}{models}\n"


def settings(*tables: str, extra: str = "") -> str:
    return f"[server]\ndrain_listen_s = 0\n[local]\nenabled = false\nservers = false\n{extra}\n" + "\n".join(tables)


def taken(*tables: str) -> list[str]:
    """Those that `config check` takes: while one dialect is missing the others can be looked at."""

    def is_taken(*some: str) -> bool:
        with tempfile.NamedTemporaryFile("w", dir=ROOT, suffix=".toml") as file:
            file.write(settings(*some))
            file.flush()
            return cli("config", "check", config=Path(file.name)).returncode == 0

    return list(tables) if is_taken(*tables) else [each for each in tables if is_taken(each)]


@gateway("dialects")
def dialects_gateway() -> Gateway:
    tables = []
    for dialect in DIALECTS:
        rows = [row(MODEL[dialect], UPSTREAM_IDS[dialect], dialect), row(PLAIN_MODEL[dialect], f"{UPSTREAM_IDS[dialect]}-plain", dialect, False)]
        tables.append(table(f"{dialect}-lab", speaker(dialect), *rows))
    tables.append(table("open-house", speaker("open", "chat", is_strict=False), row("lab/open", "open-large")))
    return Gateway("dialects", settings(*taken(*tables)))


@gateway("several")
def several_gateway() -> Gateway:
    """One model at three upstreams of three dialects, in this order: what one cannot honour another may."""
    ways = {"first": "messages", "second": "gemini", "third": "chat"}
    return Gateway("several", settings(*taken(*(table(name, speaker(d), row("lab/several", UPSTREAM_IDS[d], d)) for name, d in ways.items()))))


# ---------------------------------------------------------------- asking


@dataclass
class Heard:
    """What came of one request: to the caller, and what the upstream was asked."""

    told: Told
    talk: Talk
    answer: wire.Answer
    asking: Asking


def asking(caller: str, dialect: str, reply: Reply | str, prompt: str = "Where is it?", **fields) -> Asking:
    """A request with the script's name in its prompt. `dialect` is one, or a model's id."""
    script = reply if isinstance(reply, str) else SCRIPTS.add(reply)
    made = Asking(caller, MODEL.get(dialect, dialect), f"{prompt} script:{script} {PROMPT_CANARY}", **fields)
    made.script = script
    return made


def post(one: Asking, stream: bool = False, g: Gateway | None = None, headers: dict | None = None, timeout: float = 8.0, **more) -> wire.Answer:
    fields = {"anthropic-version": "2023-06-01"} if one.caller == "messages" else {}
    body = one.body(stream) | more
    return (g or gw("dialects")).post(json.dumps(body).encode(), path=PATHS[one.caller], headers=fields | (headers or {}), timeout=timeout)


def talk_of(one: Asking) -> Talk:
    """The last request with this script that any upstream saw."""
    found = sorted((talk for each in _speakers.values() for talk in each.of(one.script)), key=lambda talk: talk.asked.at)
    assert found, "no upstream was asked"
    return found[-1]


def tell(one: Asking, stream: bool = False, **how) -> Heard:
    """Asked, answered, read."""
    answer = post(one, stream, **how)
    refused = [talk.fault for each in _speakers.values() for talk in each.of(one.script) if talk.fault]
    assert answer.status == 200 or not refused, f"the upstream refused: {refused[-1]}; {answer}"
    return Heard(dialect_answers.read(one.caller, answer, stream), talk_of(one), answer, one)


def both(caller: str, dialect: str, reply: Reply, **fields) -> list[Heard]:
    """JSON and stream of the same request; they say the same."""
    found = [tell(asking(caller, dialect, reply, **fields), stream) for stream in (False, True)]
    first, second = (each.told for each in found)
    for name in ("text", "thought", "finish", "usage", "named", "stop_sequence"):
        assert getattr(first, name) == getattr(second, name), f"{name}: JSON {getattr(first, name)!r}, stream {getattr(second, name)!r}"
    return found


def every_pair(feature: str, what: str, timeout: float = 15.0, but: tuple[str, ...] = ()):
    """Registers a check for each caller with each upstream; `but`: upstream dialects it is not for."""

    def register(function):
        for caller, dialect in PAIRS:
            if dialect not in but:
                about = f"{caller} caller, {dialect} upstream: {what}"
                check(f"pair.{caller}-{dialect}.{feature}", about, timeout)(lambda c=caller, d=dialect: function(c, d))
        return function

    return register


def every_upstream(group: str, feature: str, what: str, timeout: float = 15.0, but: tuple[str, ...] = ()):
    def register(function):
        for dialect in DIALECTS:
            if dialect not in but:
                check(f"{group}.{feature}.{dialect}", f"{dialect} upstream: {what}", timeout)(lambda d=dialect: function(d))
        return function

    return register


def every_caller(group: str, feature: str, what: str, timeout: float = 15.0):
    def register(function):
        for caller in CALLERS:
            check(f"{group}.{feature}.{caller}", f"{caller} caller: {what}", timeout)(lambda c=caller: function(c))
        return function

    return register


# ---------------------------------------------------------------- judgements


def dropped(answer: wire.Answer) -> set[str]:
    """What `x-kilo-dropped-fields` names."""
    return {name.strip() for name in (answer.header("x-kilo-dropped-fields") or "").split(",") if name.strip()}


def names_dropped(answer: wire.Answer, *names: str) -> None:
    """Each is named, alone or as the beginning or end of a path (`tools.0.strict`, `tools[type=x]`)."""
    said = dropped(answer)
    for name in names:
        assert any(name in (each, each.partition("[")[0]) or name in each.split(".") for each in said), f"{name} was lost and x-kilo-dropped-fields says {sorted(said)}"


def pico(usage: Usage) -> int:
    return (usage.fresh * PRICES["input"] + usage.cached * PRICES["cache_read"] + usage.written * PRICES["cache_write"]
            + usage.completion * PRICES["output"])  # fmt: skip


def problem(caller: str, answer: wire.Answer, *statuses: int) -> dict:
    """An error before the first byte, in the caller's own dialect; gives it."""
    assert answer.status in statuses if statuses else answer.status >= 400, f"{answer}"
    told = answer.json()
    if caller == "messages":
        assert told.get("type") == "error", f"not Anthropic's envelope: {answer}"
    error = told.get("error")
    assert isinstance(error, dict) and error.get("message") and error.get("type"), f"no error object: {answer}"
    return error


def finish_at(dialect: str, reply: Reply) -> int:
    """The index of the event that tells how the answer ended."""
    request = {"stream_options": {"include_usage": True}, "model": "m", "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    events = EVENTS[dialect](reply, request)
    marks = {"chat": '"finish_reason": "', "responses": '"response.completed"', "messages": '"message_delta"', "gemini": '"finishReason"',
             "converse": '"messageStop"', "cohere": '"message-end"'}  # fmt: skip
    return next(at for at, event in enumerate(events) if marks[dialect] in json.dumps(event))


def costs(told_cost, usage: Usage) -> None:
    assert usd(told_cost) == cost_of(pico(usage)), f"cost {told_cost!r}, not {cost_of(pico(usage))}"

"""Reasoning in one shape: what is asked for converts, what is told replays, and a signature goes to its own family alone."""

import json

import dialect_answers
from checks_dialects_pairs import REASON
from dialect_callers import CALLERS, TOOLS
from dialect_scripts import PLAIN, SCRIPTS, SIGNATURES, THINKING, THINKING_CALL, THINKING_CLOCK, Reply, b64
from dialect_upstreams import DIALECTS
from harness import Gateway, check, gateway, gw

from dialects import MODEL, PLAIN_MODEL, UPSTREAM_IDS, asking, every_caller, every_upstream, post, row, settings, speaker, table, taken, tell

SHARES = {"max": 0.95, "xhigh": 0.95, "high": 0.8, "medium": 0.5, "low": 0.2, "minimal": 0.1}  # of max_tokens
CAP = 20_000
BUDGETED = ("messages", "gemini", "converse", "cohere")
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
FORMATS = {"responses": "openai-responses-v1", "messages": "anthropic-claude-v1", "gemini": "google-gemini-v1", "converse": "anthropic-claude-v1"}
FAMILY = {"chat": "anthropic", "messages": "anthropic", "converse": "anthropic", "responses": "openai", "gemini": "google", "cohere": "cohere"}


def near(heard, effort: str) -> bool:
    """The effort itself, or its share of the cap as a budget."""
    if heard.budget is not None:
        return abs(heard.budget - SHARES[effort] * CAP) <= 1
    return heard.effort == effort or {effort, heard.effort} in ({"max", "xhigh"}, {"minimal", "low"}, {"xhigh", "high"}, {"max", "high"})


@every_upstream("reason", "effort", "each effort arrives as its share of max_tokens, or as the effort", timeout=20)
def _(dialect):
    for effort in EFFORTS:
        for more in ({"reasoning": {"effort": effort}}, {"reasoning_effort": effort}):
            heard = tell(asking("chat", dialect, PLAIN, max_tokens=CAP, more=more)).talk.heard
            assert near(heard, effort), f"{more}: effort {heard.effort!r}, budget {heard.budget}"
            assert heard.max_tokens == CAP, f"max_tokens {heard.max_tokens}"


@every_upstream("reason", "effort-responses", "the effort of a Responses caller likewise")
def _(dialect):
    for effort in ("low", "medium", "high"):
        heard = tell(asking("responses", dialect, PLAIN, max_tokens=CAP, more={"reasoning": {"effort": effort}})).talk.heard
        assert near(heard, effort), f"{effort}: effort {heard.effort!r}, budget {heard.budget}"


@every_upstream("reason", "budget", "a budget (chat's reasoning.max_tokens, Messages' thinking) arrives as it is, or as the nearest effort")
def _(dialect):
    for budget, effort in ((16_000, "high"), (10_000, "medium"), (4_000, "low")):
        for caller, more in (
            ("chat", {"reasoning": {"max_tokens": budget}}),
            ("messages", {"thinking": {"type": "enabled", "budget_tokens": budget}}),
        ):
            heard = tell(asking(caller, dialect, PLAIN, max_tokens=CAP, more=more)).talk.heard
            assert heard.budget == budget or (heard.budget is None and heard.effort == effort), f"{caller} {budget}: {heard.effort!r} {heard.budget}"


@every_upstream("reason", "on-off", "enabled is medium; enabled:false, effort none and thinking disabled ask for none")
def _(dialect):
    talk = tell(asking("chat", dialect, PLAIN, max_tokens=CAP, more={"reasoning": {"enabled": True}})).talk
    heard, is_relayed = talk.heard, dialect == "chat" and talk.body.get("reasoning") == {"enabled": True}
    assert near(heard, "medium") or heard.budget or is_relayed, f"enabled: effort {heard.effort!r}, budget {heard.budget}"
    offs = [("chat", {"reasoning": {"enabled": False}}), ("chat", {"reasoning": {"effort": "none"}}), ("chat", {"reasoning_effort": "none"}),
            ("messages", {"thinking": {"type": "disabled"}})]  # fmt: skip
    for caller, more in offs:
        heard = tell(asking(caller, dialect, PLAIN, max_tokens=CAP, more=more)).talk.heard
        is_off = heard.is_thinking_off or (heard.budget is None and heard.effort in (None, "none", "minimal"))
        assert is_off, f"{caller} {more}: effort {heard.effort!r}, budget {heard.budget}"


@every_upstream("reason", "small", "a share that a provider would refuse is raised or left out: never a 400", timeout=20)
def _(dialect):
    for cap in (600, 1_200, 1_500):
        for effort in ("minimal", "high", "max"):
            one = tell(
                asking(
                    "chat", dialect, PLAIN, max_tokens=cap, temperature=0.3, tools=TOOLS, choice="required", more={"reasoning": {"effort": effort}}
                )
            )
            assert one.told.text == PLAIN.whole


@every_upstream("reason", "exclude", "reasoning.exclude and include_reasoning:false: none in the answer, JSON and stream; true: there is")
def _(dialect):
    cases = (({"reasoning": {"effort": "high", "exclude": True}}, False), ({"reasoning": {"effort": "high"}, "include_reasoning": False}, False),
             ({"reasoning": {"effort": "high"}, "include_reasoning": True}, True))  # fmt: skip
    for more, is_told in cases:
        for stream in (False, True):
            told = tell(asking("chat", dialect, THINKING, more=more), stream).told
            assert bool(told.thought) == is_told and told.text == THINKING.whole, f"{more}: {told.thought!r}"


@every_caller("reason", "adaptive", "Messages' adaptive thinking and output_config.effort, Responses' summary, reach every upstream without a 400")
def _(caller):
    more = {"messages": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, "responses": {"reasoning": {"summary": "detailed"}},
            "chat": {"reasoning": {"effort": "low", "summary": "auto"}}}[caller]  # fmt: skip
    for dialect in DIALECTS:
        assert tell(asking(caller, dialect, THINKING, max_tokens=CAP, more=more)).told.text == THINKING.whole


@every_upstream(
    "reason",
    "details",
    "chat answers carry reasoning and reasoning_details with type, format and index, alike in JSON and stream",
    but=("chat", "cohere"),
)
def _(dialect):
    for stream in (False, True):
        told = tell(asking("chat", dialect, THINKING_CALL, tools=TOOLS, more=REASON["chat"]), stream).told
        assert told.thought == THINKING_CALL.thought, f"{told.thought!r}"
        assert {each["format"] for each in told.details} == {FORMATS[dialect]}, f"{told.details}"
        assert [each["index"] for each in told.details] == sorted({each["index"] for each in told.details}), f"{told.details}"
        assert told.signatures == [SIGNATURES[dialect]], f"{told.details}"


@check("reason.plain-content", "reasoning_content of a chat upstream (DeepSeek's) is reasoning for Responses and Messages callers, JSON and stream")
def _():
    for caller in ("responses", "messages"):
        for stream in (False, True):
            told = tell(asking(caller, "chat", Reply(thinking=THINKING.thinking, details=False), more=REASON[caller]), stream).told
            assert told.thought == THINKING.thought and told.text == THINKING.whole, f"{told}"


@check("reason.redacted", "redacted thinking survives a round trip through every caller", timeout=20)
def _():
    data = b64("something the Messages house keeps to itself")
    for caller in CALLERS:
        for dialect in ("messages", "converse"):
            reply = Reply(text=(), thinking=THINKING.thinking, redacted=data, calls=THINKING_CALL.calls, finish="tool_calls")
            first = tell(asking(caller, dialect, SCRIPTS.add(reply, PLAIN), tools=TOOLS, more=REASON[caller]))
            second = tell(first.asking.add(first.told, (first.told.calls[0][0], "sunny")))
            assert sorted(second.talk.heard.turns[1].signatures) == sorted([SIGNATURES[dialect], data]), f"{caller}-{dialect}"


# ---------------------------------------------------------------- foreign signatures


@every_caller("reason", "foreign", "a conversation that goes on at another provider: its signatures are stripped, calls and texts stay", timeout=60)
def _(caller):
    for maker in ("responses", "messages", "gemini"):
        for taker in DIALECTS:
            if FAMILY[maker] == FAMILY[taker] or (caller == taker == "chat"):  # chat to chat is relayed unread
                continue
            for stream in (False, True):
                first = tell(asking(caller, maker, SCRIPTS.add(THINKING_CALL, PLAIN), tools=TOOLS, more=REASON[caller]), stream)
                onward = first.asking.add(first.told, (first.told.calls[0][0], "sunny"))
                onward.model = MODEL[taker]
                second = tell(onward, stream)
                assert second.talk.dialect == taker and second.told.text == PLAIN.whole, f"{maker} to {taker}: {second.told}"
                assert SIGNATURES[maker] not in str(second.talk.body), f"{maker} to {taker}: the signature was sent"
                assert not second.talk.heard.turns[1].signatures or taker == "gemini", f"{maker} to {taker}: {second.talk.heard.turns[1]}"
                assert second.talk.heard.turns[1].calls[0][1:] == ("get_weather", THINKING_CALL.calls[0].arguments), f"{maker} to {taker}"


@check("reason.foreign-back", "and back at its own provider it has its signature again, and not the other's", timeout=20)
def _():
    first = tell(asking("chat", "messages", SCRIPTS.add(THINKING_CALL, THINKING_CLOCK, PLAIN), tools=TOOLS, more=REASON["chat"]))
    onward = first.asking.add(first.told, (first.told.calls[0][0], "sunny"))
    onward.model = MODEL["gemini"]
    second = tell(onward)
    back = onward.add(second.told, (second.told.calls[0][0], "rain"))
    back.model = MODEL["messages"]
    third = tell(back)
    assert third.talk.heard.everywhere("signatures") == [SIGNATURES["messages"]], f"{third.talk.heard.turns}"
    assert SIGNATURES["gemini"] not in str(third.talk.body)


# ---------------------------------------------------------------- Gemini's thought signatures

GOOD = (b64("any valid thing"), "abc_-123")  # base64 and base64url
BAD = ("msg_bad!!", "not base64", "", 7, None, "a")


def _gemini_history(signature, where: str):
    one = asking("chat", "gemini", PLAIN, tools=TOOLS)
    [turn] = one.calls(("c1", "get_weather", '{"city": "Rome"}'), text="Looking.")
    if where == "extra_content":
        turn["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": signature}, "kept": 1}
    else:
        turn["content"] = [{"type": "text", "text": "Looking.", where: signature}]
    one.history = [turn, *one.results(("c1", "sunny"))]
    return one


@check("reason.gemini-valid", "thought signatures on replayed calls and parts: valid base64 and base64url go to Gemini as they are")
def _():
    for signature in GOOD:
        for where in ("extra_content", "thought_signature", "thoughtSignature"):
            turn = tell(_gemini_history(signature, where)).talk.heard.turns[1]
            assert signature in turn.signatures, f"{where} {signature!r}: {turn}"


@check("reason.gemini-invalid", "all others are removed, and nothing else is touched", timeout=20)
def _():
    for signature in BAD:
        for where in ("extra_content", "thought_signature", "thoughtSignature"):
            one = tell(_gemini_history(signature, where))
            turn = one.talk.heard.turns[1]
            kept = [each for each in turn.signatures if each == signature]
            assert not kept and turn.text == "Looking." and turn.calls[0][1:] == ("get_weather", {"city": "Rome"}), f"{where} {signature!r}: {turn}"


@check(
    "reason.gemini-anywhere",
    "a chat caller finds Gemini's signature with its call, in JSON and stream, and it survives a JSON round trip",
    timeout=20,
)
def _():
    for stream in (False, True):
        first = tell(asking("chat", "gemini", SCRIPTS.add(THINKING_CALL, PLAIN), tools=TOOLS, more=REASON["chat"]), stream)
        first.told.replay = json.loads(json.dumps(first.told.replay))
        second = tell(first.asking.add(first.told, (first.told.calls[0][0], "sunny")))
        parts = [part for content in second.talk.body["contents"] for part in content["parts"]]
        signed = [part for part in parts if "thoughtSignature" in part]
        assert len(signed) == 1 and "functionCall" in signed[0], f"{parts}"


# ---------------------------------------------------------------- models without reasoning, and kilo/auto


@every_upstream("reason", "plain-model", "a model without reasoning is asked for none, and the answer says that it was left out")
def _(dialect):
    for caller in CALLERS:
        one = tell(asking(caller, PLAIN_MODEL[dialect], PLAIN, more=REASON[caller]))
        heard = one.talk.heard
        assert heard.effort is None and heard.budget is None, f"{caller}: effort {heard.effort!r}, budget {heard.budget}"
        said = [
            f"{name}: {value}" for name, value in one.answer.headers if name.startswith("x-kilo") and ("reasoning" in value or "thinking" in value)
        ]
        assert said, f"{caller}: no x-kilo header says so: {[name for name, _ in one.answer.headers]}"


def _auto_gateway(name: str, id: str) -> Gateway:
    rows = [row(MODEL["messages"], UPSTREAM_IDS["messages"], "messages"), row(PLAIN_MODEL["messages"], "claude-lab-4-plain", "messages", False)]
    return Gateway(name, settings(*taken(table("messages-lab", speaker("messages"), *rows)), extra=f'[auto]\ndefault = "{id}"'))


@gateway("auto-reasoning")
def _():
    return _auto_gateway("auto-reasoning", MODEL["messages"])


@gateway("auto-plain")
def _():
    return _auto_gateway("auto-plain", PLAIN_MODEL["messages"])


@check("reason.auto", "kilo/auto: the caller's reasoning goes to whatever model was chosen; one without reasoning gets none", timeout=40)
def _():
    for name, is_asked in (("auto-reasoning", True), ("auto-plain", False)):
        for caller in CALLERS:
            one = asking(caller, "kilo/auto", PLAIN, max_tokens=CAP, more=REASON[caller])
            dialect_answers.read(caller, post(one, g=gw(name)), False)
            heard = speaker("messages").one(one.script).heard
            assert bool(heard.budget or heard.effort) == is_asked, f"{name} {caller}: effort {heard.effort!r}, budget {heard.budget}"

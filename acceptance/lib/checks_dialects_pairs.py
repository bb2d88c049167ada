"""Every caller with every upstream, in JSON and as a stream: text, usage, finish, tools and their results, images, schemas, reasoning."""

import json
from dataclasses import replace

from dialect_callers import PDF_URL, PNG, PNG_URL, SCHEMA, TOOLS
from dialect_heard import image_bytes
from dialect_scripts import (
    CLOCK,
    ODD,
    ONE_CALL,
    PLAIN,
    SCRIPTS,
    SIGNATURES,
    STRUCTURED,
    THINKING,
    THINKING_CALL,
    THOUGHTS,
    TWO_CALLS,
    WEATHER,
    Reply,
    Usage,
)  # fmt: skip

from dialects import MODEL, SIGNED, UPSTREAM_IDS, asking, both, costs, dropped, every_pair, names_dropped, tell

REASON = {  # how each caller asks for some reasoning
    "chat": {"reasoning": {"effort": "high"}},
    "responses": {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 3_200}},
}  # fmt: skip


@every_pair("text", "the text to the last byte, usage and model; the upstream is asked for its own model")
def _(caller, dialect):
    for one in both(caller, dialect, PLAIN):
        assert one.told.text == PLAIN.whole, f"{one.told.text!r}"
        assert one.told.usage[:2] == (1_000, 500) and not one.told.usage[2], f"{one.told.usage}"
        assert one.told.finish == "stop" and one.told.model == MODEL[dialect], f"{one.told.finish} {one.told.model}"
        asked = one.talk.path if dialect in ("gemini", "converse") else one.talk.body["model"]
        assert UPSTREAM_IDS[dialect].replace(":", "%3A") in asked or UPSTREAM_IDS[dialect] in asked, f"asked for {asked!r}"
        heard = one.talk.heard
        assert [turn.role for turn in heard.turns] == ["user"] and heard.prompt == one.asking.prompt, f"{heard}"
        if caller == "chat":
            costs(one.told.cost, Usage())


@every_pair("finish", "stop, length, a stop sequence and a content filter arrive as what they are")
def _(caller, dialect):
    for finish in ("length", "content_filter", "stop_sequence"):
        for one in both(caller, dialect, replace(PLAIN, finish=finish), stop=["END"]):
            wanted = "stop" if finish == "stop_sequence" else finish
            assert one.told.finish == wanted or (finish, dialect) == ("stop_sequence", "responses"), f"{one.told.finish!r}, not {wanted!r}"
            assert one.told.text == PLAIN.whole


@every_pair("odd", "events, members and parts that nobody knows are skipped; nothing else is touched")
def _(caller, dialect):
    for one in both(caller, dialect, ODD):
        assert (one.told.text, one.told.finish, one.told.usage[:2]) == (ODD.whole, "stop", (1_000, 500)), f"{one.told}"


@every_pair("split", "a stream cut anew at every byte, every 2, 3, 7 and 31 bytes, gives the same answer", timeout=40)
def _(caller, dialect):
    reply = Reply(thinking=THOUGHTS, text=("Let me ☕.",), calls=(WEATHER,), finish="tool_calls")
    whole = tell(asking(caller, dialect, reply, tools=TOOLS, more=REASON[caller]), True).told
    for size in (1, 2, 3, 7, 31):
        told = tell(asking(caller, dialect, replace(reply, split=size), tools=TOOLS, more=REASON[caller]), True).told
        for name in ("text", "thought", "named", "finish", "usage"):
            assert getattr(told, name) == getattr(whole, name), f"{size}: {name} {getattr(told, name)!r}, not {getattr(whole, name)!r}"


# ---------------------------------------------------------------- tools


def _trip(caller: str, dialect: str, reply: Reply, stream: bool) -> None:
    """A call, its result replayed, the last answer."""
    first = tell(asking(caller, dialect, SCRIPTS.add(reply, PLAIN), tools=TOOLS), stream)
    wanted = [(call.name, call.arguments) for call in reply.calls]
    assert first.told.named == wanted and first.told.finish == "tool_calls", f"{first.told.named} {first.told.finish}"
    assert dialect == "cohere" or first.told.text == reply.whole, f"text {first.told.text!r}"
    ids = [id for id, _, _ in first.told.calls]
    assert all(ids) and len(set(ids)) == len(ids), f"ids {ids}"
    assert set(first.talk.heard.tools) == set(TOOLS), f"tools {first.talk.heard.tools}"
    weather = first.talk.heard.tools["get_weather"]
    assert set(weather["properties"]) == {"city", "unit"} and weather["required"] == ["city"], f"schema {weather}"
    results = [(id, f"result {n} of {name} ☕") for n, (id, name, _) in enumerate(first.told.calls)]
    second = tell(first.asking.add(first.told, *results), stream)
    assert second.told.text == PLAIN.whole and second.told.finish == "stop", f"{second.told.text!r} {second.told.finish}"
    heard = second.talk.heard
    assert [turn.role for turn in heard.turns] == ["user", "assistant", "user"], f"{[turn.role for turn in heard.turns]}"
    calls, answers = heard.turns[1].calls, heard.turns[2].results
    assert [(name, arguments) for _, name, arguments in calls] == wanted, f"replayed calls {calls}"
    assert [call[0] for call in calls] == [answer[0] for answer in answers], f"ids {calls} and {answers}"
    for (_, text), (_, heard_text) in zip(results, answers, strict=True):
        assert text in heard_text or text.encode("unicode_escape").decode() in heard_text, f"result {heard_text!r}"


@every_pair("tools", "a call with its arguments, and its result replayed in the caller's own form, JSON and stream")
def _(caller, dialect):
    for stream in (False, True):
        _trip(caller, dialect, ONE_CALL, stream)


@every_pair("parallel", "two calls at once and their two results, JSON and stream")
def _(caller, dialect):
    for stream in (False, True):
        _trip(caller, dialect, TWO_CALLS, stream)


@every_pair("no-arguments", "a call without arguments is one with an empty object, there and back")
def _(caller, dialect):
    reply = Reply(text=(), calls=(replace(CLOCK, arguments={}),), finish="tool_calls")
    for stream in (False, True):
        first = tell(asking(caller, dialect, SCRIPTS.add(reply, PLAIN), tools=TOOLS), stream)
        assert first.told.named == [("get_time", {})], f"{first.told.named}"
        second = tell(first.asking.add(first.told, (first.told.calls[0][0], "noon")), stream)
        assert second.talk.heard.turns[1].calls[0][1:] == ("get_time", {}), f"{second.talk.heard.turns[1].calls}"


@every_pair("choice", "tool_choice auto, none, required and a named tool; one call at a time where that exists")
def _(caller, dialect):
    for choice in ("auto", "none", "required", ("tool", "get_time")):
        one = tell(asking(caller, dialect, PLAIN, tools=TOOLS, choice=choice))
        heard = one.talk.heard
        if choice == "none":
            is_none = heard.choice == "none" or not heard.tools or "tool_choice" in dropped(one.answer)
            assert is_none, f"none became {heard.choice!r} with {sorted(heard.tools)}"
        elif choice == "auto":
            assert heard.choice in (None, "auto") and set(heard.tools) == set(TOOLS), f"auto became {heard.choice!r}"
        else:
            assert heard.choice == choice, f"{choice!r} became {heard.choice!r} with tools {sorted(heard.tools)}"
    one = tell(asking(caller, dialect, PLAIN, tools=TOOLS, choice="auto", is_parallel=False))
    if one.talk.heard.is_parallel is not False:
        names_dropped(one.answer, "parallel_tool_calls" if caller != "messages" else "disable_parallel_tool_use")


# ---------------------------------------------------------------- what goes in


@every_pair("system", "a system prompt, and turns of a longer conversation, arrive as such and in order")
def _(caller, dialect):
    one = asking(caller, dialect, PLAIN, system="Be brief. ☕")
    one.history = [*one.calls(text="It is there."), *one.user("And now?")]
    heard = tell(one).talk.heard
    assert heard.system == "Be brief. ☕", f"system {heard.system!r}"
    assert [(turn.role, turn.text) for turn in heard.turns] == [("user", one.prompt), ("assistant", "It is there."), ("user", "And now?")], (
        f"{heard.turns}"
    )


@every_pair("image", "an image by data URL arrives with its bytes and kind, beside the text")
def _(caller, dialect):
    heard = tell(asking(caller, dialect, PLAIN, image=PNG_URL)).talk.heard
    assert len(heard.turns) == 1 and len(heard.turns[0].images) == 1, f"{heard.turns}"
    url = heard.turns[0].images[0]
    assert url.startswith("data:image/png;") and image_bytes(url) == image_bytes(f"x;base64,{PNG}"), f"{url[:60]}"
    assert "script:" in heard.turns[0].text, f"the text is {heard.turns[0].text!r}"


@every_pair("file", "a PDF by data URL arrives with its bytes", but=("cohere",))
def _(caller, dialect):
    heard = tell(asking(caller, dialect, PLAIN, pdf=PDF_URL)).talk.heard
    assert [image_bytes(f"x;base64,{each.rpartition(',')[2]}") for each in heard.turns[0].files] == [image_bytes(PDF_URL)], f"{heard.turns[0].files}"


@every_pair("settings", "max tokens, temperature, top_p and stop arrive, or are named in x-kilo-dropped-fields")
def _(caller, dialect):
    one = tell(asking(caller, dialect, PLAIN, max_tokens=777, temperature=0.5, stop=["END", "FIN"], more={"top_p": 0.9}))
    heard = one.talk.heard
    assert heard.max_tokens == 777, f"max_tokens {heard.max_tokens}"
    assert (heard.temperature, heard.top_p) == (0.5, 0.9), f"temperature {heard.temperature}, top_p {heard.top_p}"
    if caller != "responses" and heard.stop != ["END", "FIN"]:
        assert dialect == "responses" and not heard.stop, f"stop {heard.stop}"
        names_dropped(one.answer, "stop_sequences" if caller == "messages" else "stop")


@every_pair("structured", "json_schema: the schema arrives (a forced tool where there is nothing else); the answer is text, not a call")
def _(caller, dialect):
    for one in both(caller, dialect, STRUCTURED, schema=SCHEMA):
        schema = one.talk.heard.schema
        assert schema and set(schema["properties"]) == {"city", "people"}, f"schema {schema}"
        assert not one.told.calls and one.told.finish == "stop", f"{one.told.calls} {one.told.finish}"
        assert json.loads(one.told.text) == STRUCTURED.structured, f"{one.told.text!r}"


# ---------------------------------------------------------------- reasoning


@every_pair("thinking", "reasoning is asked for and told as the caller's dialect tells it; its tokens are counted once")
def _(caller, dialect):
    for one in both(caller, dialect, THINKING, more=REASON[caller]):
        heard = one.talk.heard
        is_asked = heard.effort not in (None, "none") or heard.budget or (one.talk.body.get("thinking") or {}).get("type") == "adaptive"
        assert is_asked and not heard.is_thinking_off, f"not asked to reason: {str(one.talk.body)[:200]}"
        assert one.told.text == THINKING.whole and one.told.thought == THINKING.thought, f"{one.told.thought!r} {one.told.text!r}"
        assert one.told.usage[:2] == (1_000, 500), f"{one.told.usage}"
        if caller != "messages" and dialect in ("chat", "responses", "gemini"):
            assert one.told.usage[4] == 120, f"reasoning tokens {one.told.usage[4]}"


@every_pair("replay", "reasoning replayed with its call goes back to its provider with the signature it made, unmodified", but=("cohere",))
def _(caller, dialect):
    assert dialect in SIGNED
    for stream in (False, True):
        first = tell(asking(caller, dialect, SCRIPTS.add(THINKING_CALL, PLAIN), tools=TOOLS, more=REASON[caller]), stream)
        assert first.told.named == [(WEATHER.name, WEATHER.arguments)], f"{first.told.named}"
        second = tell(first.asking.add(first.told, (first.told.calls[0][0], "sunny")), stream)
        turn = second.talk.heard.turns[1]
        assert turn.signatures == [SIGNATURES[dialect]], f"signatures {turn.signatures}, not {SIGNATURES[dialect]}"
        if dialect not in ("gemini",):
            assert "".join(turn.thoughts) == THINKING_CALL.thought, f"thoughts {turn.thoughts}"

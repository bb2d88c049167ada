"""Requests as the real agents send them, to every upstream; what one dialect relays unread; sounds, pictures and a provider's own tools."""

import base64
import json
from dataclasses import replace

import dialect_answers
import wire
from checks_dialects_paths import WAV
from dialect_callers import CALLERS, PATHS, PNG, TOOLS, Asking
from dialect_scripts import ONE_CALL, PLAIN, SCRIPTS, SEARCHED, THINKING_CALL, THINKING_CLOCK, Reply
from dialect_upstreams import EVENTS
from harness import PROMPT_CANARY, check, gw

from dialects import SIGNED, UPSTREAM_IDS, asking, dropped, every_caller, every_upstream, post, problem, speaker, talk_of, tell

MARK = {"cache_control": {"type": "ephemeral"}}


# ---------------------------------------------------------------- agents


def claude_code(model: str, script: str) -> dict:
    tools = [{"name": name, "description": "d", "input_schema": {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "additionalProperties": False}}
             for name, schema in TOOLS.items()]  # fmt: skip
    return {
        "model": model, "max_tokens": 32_000, "temperature": 1, "stream": True, "tools": tools, "metadata": {"user_id": "user_a_account__session_b"},
        "system": [{"type": "text", "text": "You are an agent.", **MARK}, {"type": "text", "text": "More rules.", **MARK}],
        "thinking": {"type": "enabled", "budget_tokens": 31_999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "<system-reminder>\nx\n</system-reminder>"},
                                                  {"type": "text", "text": f"Go. script:{script} {PROMPT_CANARY}", **MARK}]}],
    }  # fmt: skip


@every_upstream(
    "agent", "claude-code", "a session as Claude Code has it: thinking, a call, its result in parts, an error result, the last answer", timeout=20
)
def _(dialect):
    g = gw("dialects")
    script = SCRIPTS.add(THINKING_CALL, THINKING_CLOCK, PLAIN)
    body = claude_code(f"lab/{dialect}", script)
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "interleaved-thinking-2025-05-14,context-management-2025-06-27",
               "User-Agent": "claude-cli/2.0 (external, cli)", "x-app": "cli", "anthropic-dangerous-direct-browser-access": "true"}  # fmt: skip
    for n in range(3):
        answer = g.post(json.dumps(body).encode(), path="/v1/messages?beta=true", headers=headers, timeout=8)
        told = dialect_answers.read("messages", answer, True)
        if n == 2:
            break
        assert told.finish == "tool_calls", f"turn {n}: {told.finish}"
        content = [{"type": "text", "text": "sunny"}, {"type": "text", "text": "and warm"}] if n == 0 else "No such city"
        result = {"type": "tool_result", "tool_use_id": told.calls[0][0], "content": content, "is_error": n == 1, **MARK}
        body["messages"] += [*told.replay, {"role": "user", "content": [result, {"type": "text", "text": "Go on."}]}]
    assert told.text == PLAIN.whole and told.finish == "stop", f"{told}"
    heard = speaker(dialect).one(script).heard
    results = " ".join(text for _, text in heard.everywhere("results"))
    assert all(word in results for word in ("sunny", "and warm", "No such city")), f"{results}"
    assert heard.turns[-1].text.endswith("Go on.") and "You are an agent." in heard.system and "More rules." in heard.system, f"{heard}"


@every_upstream(
    "agent", "codex", "a session as Codex has it: instructions, developer message, reasoning items, a call and its output, verbosity", timeout=20
)
def _(dialect):
    g = gw("dialects")
    script = SCRIPTS.add(THINKING_CALL if dialect in SIGNED else ONE_CALL, PLAIN)
    items = [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox rules."}]},
             {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"Go. script:{script} {PROMPT_CANARY}"}]}]  # fmt: skip
    tools = [{"type": "function", "name": name, "description": "d", "strict": False, "parameters": schema} for name, schema in TOOLS.items()]
    body = {"model": f"lab/{dialect}", "instructions": "You are a coder.", "input": items, "tools": tools, "tool_choice": "auto", "store": False,
            "parallel_tool_calls": False, "reasoning": {"effort": "medium", "summary": "auto"}, "stream": True, "prompt_cache_key": "0199-aa",
            "include": ["reasoning.encrypted_content"], "text": {"verbosity": "low"}}  # fmt: skip
    first = dialect_answers.read("responses", g.post(json.dumps(body).encode(), path="/v1/responses", timeout=8), True)
    body["input"] = [*items, *first.replay, {"type": "function_call_output", "call_id": first.calls[0][0], "output": "sunny"}]
    second = dialect_answers.read("responses", g.post(json.dumps(body).encode(), path="/v1/responses", timeout=8), True)
    assert second.text == PLAIN.whole, f"{second}"
    heard = speaker(dialect).one(script).heard
    assert "You are a coder." in heard.system and "Sandbox rules." in heard.system, f"system {heard.system!r}"
    assert "sunny" in str(heard.everywhere("results")), f"{heard.turns}"


@every_upstream(
    "agent", "openclaw", "a request as OpenClaw sends it: tools: [], max_completion_tokens, no stream_options, stop as text: usage comes unasked"
)
def _(dialect):
    one = asking(
        "chat", dialect, PLAIN, max_tokens=None, more={"tools": [], "max_completion_tokens": 32_000, "reasoning": {"effort": "xhigh"}, "stop": "END"}
    )
    told = tell(one, True, headers={"X-KILOCODE-FEATURE": "openclaw", "User-Agent": "OpenAI/JS 6.26.0"}).told
    assert told.text == PLAIN.whole and told.usage and told.usage[:2] == (1_000, 500), f"{told.usage}"


# ---------------------------------------------------------------- relayed unread

STRANGE = '{ "type" : "text","text":"caf\\u00e9 \\/ 1.10 %s" , "x_kept":{"n":1.10,"e":1E+2,"big":12345678901234567890123} }'


@every_caller(
    "relay", "request", "a request in the upstream's own dialect arrives with its inner bytes untouched: numbers, spaces and escapes as they were"
)
def _(caller):
    script = SCRIPTS.add(PLAIN)
    part = (STRANGE % f"script:{script}").replace('"text","text"', '"input_text","text"' if caller == "responses" else '"text","text"')
    name = "input" if caller == "responses" else "messages"
    inner = f'[ {{"role":"user" ,"content":[{part}]}} ]'
    cap = '"max_tokens":99,' if caller == "messages" else '"store":false,' if caller == "responses" else ""
    body = f'{{"model":"lab/{caller}",{cap}"{name}":{inner}}}'.encode()
    g = gw("dialects")
    answer = g.post(body, path=PATHS[caller], headers={"anthropic-version": "2023-06-01"})
    assert answer.status == 200, f"{answer}"
    assert inner.encode() in speaker(caller).one(script).asked.body, f"{speaker(caller).one(script).asked.body[:300]!r}"


@every_caller("relay", "stream", "a stream in the caller's own dialect is passed on event by event as bytes; unknown events and members too")
def _(caller):
    reply = replace(PLAIN, is_odd=True)
    answer = post(asking(caller, caller, reply), True)
    assert answer.status == 200, f"{answer}"
    request = {"model": UPSTREAM_IDS[caller], "stream_options": {"include_usage": True}}
    inner = [e for e in EVENTS[caller](reply, request) if isinstance(e, dict) and not {"message", "response", "model"} & set(e) and "usage" not in e]
    sent = [speaker(caller)._frame(event) for event in inner]
    missing = [event for event in sent if event not in answer.body]
    assert caller == "chat" or (inner and not missing), f"{len(missing)} of {len(sent)} differ, first {missing[:1]}"
    assert b"unheard_of" in answer.body, "what is unknown was left out"


# ---------------------------------------------------------------- sounds, pictures, a provider's own tools


@every_upstream("field", "audio-in", "input_audio of a chat caller arrives with its bytes, or is a 400 that says so", but=("chat",))
def _(dialect):
    one = asking("chat", dialect, PLAIN)
    sound = {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(), "format": "wav"}}
    answer = post(one, messages=[{"role": "user", "content": [{"type": "text", "text": one.prompt}, sound]}])
    if answer.status == 200:
        assert sound["input_audio"]["data"] in str(talk_of(one).body), "the sound was lost in silence"
    else:
        assert "audio" in problem("chat", answer, 400)["message"].lower() and dialect != "gemini", f"{answer}"


@check("field.image-out", "a picture that Gemini drew is in message.images of a chat answer as a data URL, JSON and stream")
def _():
    for stream in (False, True):
        one = asking("chat", "gemini", Reply(image=PNG))
        answer = post(one, stream)
        told = dialect_answers.read("chat", answer, stream)
        choices = (
            [answer.json()["choices"][0]["message"]] if not stream else [c["choices"][0]["delta"] for c in wire.chunks(answer.body) if c["choices"]]
        )
        images = [image["image_url"]["url"] for each in choices for image in each.get("images") or []]
        assert images == [f"data:image/png;base64,{PNG}"] and told.text == PLAIN.whole, f"{images}"


@check(
    "field.provider-items",
    "a search that the provider ran itself: unchanged in its own dialect; elsewhere no call of the caller's, and the text stays",
    timeout=20,
)
def _():
    for dialect in ("messages", "responses"):
        for caller in CALLERS:
            for stream in (False, True):
                one = tell(asking(caller, dialect, SEARCHED), stream)
                assert one.told.text == PLAIN.whole and not one.told.calls and one.told.finish == "stop", f"{caller}-{dialect}: {one.told}"
                kinds = {"messages": ("server_tool_use", "web_search_tool_result"), "responses": ("web_search_call",)}[dialect]
                if caller == dialect:
                    assert all(kind.encode() in one.answer.body for kind in kinds), f"{caller}: {one.answer.body[:300]!r}"
        replayed = tell(asking(dialect, dialect, SCRIPTS.add(SEARCHED, PLAIN)))
        onward = replayed.asking.add(replayed.told)
        onward.history += Asking(dialect, "m", "x").user("And?")
        body = str(tell(onward).talk.body)
        assert all(kind in body for kind in kinds), f"{dialect}: not replayed"


@every_upstream("field", "refusal", "a refusal and a filtered answer are told as such to every caller, with a 200")
def _(dialect):
    for caller in CALLERS:
        one = tell(asking(caller, dialect, replace(PLAIN, finish="content_filter")))
        assert one.told.finish == "content_filter" and not dropped(one.answer) - {"store"}, f"{caller}: {one.told.finish} {dropped(one.answer)}"

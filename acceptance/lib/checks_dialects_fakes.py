"""The fakes themselves, without a gateway: the official SDKs read what they say, and they refuse what the providers refuse."""

import json
from dataclasses import replace

import dialect_answers
import dialect_aws
import dialect_rules
import wire
from dialect_callers import PDF_URL, PNG_URL, SCHEMA, TOOLS, Asking
from dialect_heard import heard
from dialect_scripts import (
    CITED,
    ODD,
    ONE_CALL,
    PLAIN,
    SCRIPTS,
    SIGNATURES,
    THINKING,
    THINKING_CALL,
    TWO_CALLS,
    Reply,
)  # fmt: skip
from dialect_side import EMBEDDED, VECTOR
from dialect_speech_others import unframe
from dialect_upstreams import BODIES, COUNTED, EVENTS
from harness import Skip, check

from dialects import speaker

ASKED = {"model": "m", "stream_options": {"include_usage": True}, "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
         "include": ["reasoning.encrypted_content"]}  # fmt: skip
REPLIES = {"plain": PLAIN, "one call": ONE_CALL, "two calls": TWO_CALLS, "thinking": THINKING, "cited": CITED, "odd": ODD}


def said(reply: Reply) -> list[dict]:
    return [{"role": "user", "content": f"script:{SCRIPTS.add(reply)}"}]


def openai_sdk(dialect: str):
    import openai

    fake = speaker(dialect)
    return openai.OpenAI(base_url=fake.base, api_key=fake.key, max_retries=0)


def anthropic_sdk():
    import anthropic

    fake = speaker("messages")
    return anthropic.Anthropic(base_url=fake.base.removesuffix("/v1"), api_key=fake.key, max_retries=0)


@check("fake.chat", "openai SDK reads the chat fake: text, two calls, usage, JSON and stream")
def _():
    with openai_sdk("chat") as sdk:
        told = sdk.chat.completions.create(model="m", messages=said(TWO_CALLS))
        assert [call.function.name for call in told.choices[0].message.tool_calls] == ["get_weather", "get_time"], f"{told}"
        assert told.usage.prompt_tokens == 1_000 and told.choices[0].finish_reason == "tool_calls"
        with sdk.chat.completions.stream(model="m", messages=said(ONE_CALL), stream_options={"include_usage": True}) as stream:
            final = stream.get_final_completion()
        call = final.choices[0].message.tool_calls[0]
        assert json.loads(call.function.arguments) == ONE_CALL.calls[0].arguments and final.usage.completion_tokens == 500, f"{final}"


@check("fake.responses", "openai SDK reads the Responses fake: text, reasoning, calls, JSON and stream")
def _():
    with openai_sdk("responses") as sdk:
        told = sdk.responses.create(model="m", input=said(THINKING), store=False, include=["reasoning.encrypted_content"])
        assert told.output_text == THINKING.whole and told.output[0].encrypted_content == SIGNATURES["responses"], f"{told}"
        with sdk.responses.stream(model="m", input=said(replace(THINKING_CALL, text=("a ", "b"))), store=False) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert final.output_text == "a b" and final.output[-1].name == "get_weather" and kinds[-1] == "response.completed", f"{kinds}"
        assert final.usage.output_tokens_details.reasoning_tokens == 120


@check("fake.messages", "anthropic SDK reads the Messages fake: thinking with its signature, calls, usage, JSON and stream; count_tokens")
def _():
    with anthropic_sdk() as sdk:
        asked = {"model": "m", "max_tokens": 3_000, "thinking": {"type": "enabled", "budget_tokens": 2_000}}
        told = sdk.messages.create(messages=said(THINKING_CALL), **asked)
        assert (told.content[0].signature, told.content[1].input) == (SIGNATURES["messages"], THINKING_CALL.calls[0].arguments), f"{told}"
        with sdk.messages.stream(messages=said(THINKING), **asked) as stream:
            final = stream.get_final_message()
        assert final.content[0].thinking == THINKING.thought and final.content[1].text == THINKING.whole, f"{final}"
        assert final.usage.input_tokens == 1_000 and final.stop_reason == "end_turn"
        assert sdk.messages.count_tokens(model="m", messages=said(PLAIN)).input_tokens == COUNTED


@check("fake.errors", "SDKs: an error before the first byte, inside a stream and a cut are their own exceptions")
def _():
    import anthropic
    import openai

    def fails(with_what, function) -> None:
        try:
            function()
        except with_what as error:
            assert "holiday" in str(error), f"{error}"
            return
        raise AssertionError(f"no {with_what.__name__}")

    with openai_sdk("chat") as sdk, anthropic_sdk() as other:
        fails(openai.RateLimitError, lambda: sdk.chat.completions.create(model="m", messages=said(replace(PLAIN, status=429))))
        fails(openai.APIError, lambda: list(sdk.chat.completions.create(model="m", messages=said(replace(PLAIN, error=2)), stream=True)))
        more = {"model": "m", "max_tokens": 99}
        fails(anthropic.APIStatusError, lambda: other.messages.create(messages=said(replace(PLAIN, status=529)), **more))
        fails(anthropic.APIStatusError, lambda: list(other.messages.create(messages=said(replace(PLAIN, error=3)), stream=True, **more)))


@check("fake.side", "openai SDK reads embeddings (floats and base64), legacy completions and transcriptions")
def _():
    with openai_sdk("chat") as sdk:
        plain = sdk.embeddings.create(model="m", input=["a", "b"], encoding_format="float", dimensions=6)
        packed = sdk.embeddings.create(model="m", input="a")
        assert len(plain.data) == 2 and len(plain.data[1].embedding) == 6 and packed.data[0].embedding == list(VECTOR), f"{plain}"
        assert plain.usage.prompt_tokens == EMBEDDED
        assert sdk.completions.create(model="m", prompt=f"script:{SCRIPTS.add(PLAIN)}").choices[0].text == PLAIN.whole
        heard_text = sdk.audio.transcriptions.create(model="m", file=("a.wav", b"RIFF0000WAVE"), prompt=f"script:{SCRIPTS.add(PLAIN)}")
        assert heard_text.text == PLAIN.whole, f"{heard_text}"


def _raw(dialect: str, body: dict, path: str = "", headers: dict | None = None) -> wire.Answer:
    fake = speaker(dialect)
    keys = {"gemini": {"x-goog-api-key": fake.key}, "messages": {"x-api-key": fake.key, "anthropic-version": "2023-06-01"}}
    head = {"Content-Type": "application/json", **(headers or keys.get(dialect, {"Authorization": f"Bearer {fake.key}"}))}
    return wire.ask(fake.port, wire.request("POST", path, head, json.dumps(body).encode()), timeout=5)


@check("fake.gemini", "the Gemini fake: JSON and SSE say the same; key in its header, never in the URL")
def _():
    asked = {"contents": [{"role": "user", "parts": [{"text": f"script:{SCRIPTS.add(ONE_CALL)}"}]}]}
    whole = _raw("gemini", asked, "/v1beta/models/g:generateContent").json()["candidates"][0]["content"]["parts"]
    stream = wire.chunks(_raw("gemini", asked, "/v1beta/models/g:streamGenerateContent?alt=sse").body)
    assert whole[-1]["functionCall"]["args"] == ONE_CALL.calls[0].arguments, f"{whole}"
    assert whole[:-1] + [whole[-1], {"text": ""}] == [part for each in stream for part in each["candidates"][0]["content"]["parts"]], f"{stream}"
    answer = _raw("gemini", asked, f"/v1beta/models/g:generateContent?key={speaker('gemini').key}", {"x": "y"})
    assert answer.status == 401, f"{answer}"


@check("fake.cohere", "the Cohere fake: JSON and SSE say the same")
def _():
    asked = {"model": "c", "messages": [{"role": "user", "content": f"script:{SCRIPTS.add(THINKING)}"}]}
    content = _raw("cohere", asked, "/v2/chat").json()["message"]["content"]
    events = wire.chunks(_raw("cohere", {**asked, "stream": True}, "/v2/chat").body)
    deltas = [event["delta"]["message"]["content"] for event in events if event["type"] == "content-delta"]
    assert content[0]["thinking"] == "".join(delta.get("thinking", "") for delta in deltas), f"{events}"
    assert content[1]["text"] == "".join(delta.get("text", "") for delta in deltas) and events[-1]["type"] == "message-end"


@check("fake.converse", "the Converse fake: event-stream frames with right sums; the signature it demands is AWS's published one")
def _():
    frames = b"".join(speaker("converse")._frame(event) for event in EVENTS["converse"](TWO_CALLS, {}))
    told = unframe(frames)
    assert [name for name, _ in told][:: len(told) - 1] == ["messageStart", "metadata"], f"{told}"
    pieces = "".join(payload["delta"]["toolUse"]["input"] for name, payload in told if payload.get("contentBlockIndex") == 1 and "delta" in payload)
    assert json.loads(pieces) == TWO_CALLS.calls[1].arguments, f"{pieces}"
    headers, secret = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    made = dialect_aws.signature(secret, "GET", "/", "", headers, ["host", "x-amz-date"], b"", "20150830/us-east-1/service")
    assert made == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", made
    answer = _raw("converse", {"messages": []}, "/model/m/converse")
    assert answer.status == 403, f"unsigned: {answer}"


@check("fake.botocore", "botocore reads the Converse fake, and its signature passes")
def _():
    try:
        import botocore.config
        import botocore.session
    except ImportError:
        raise Skip("no botocore in the checks' Python") from None
    fake = speaker("converse")
    access, _, secret = fake.key.partition(":")
    session = botocore.session.Session()
    session.set_credentials(access, secret)
    config = botocore.config.Config(retries={"max_attempts": 0}, proxies={})
    sdk = session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=fake.base, config=config)
    asked = {
        "modelId": "us.anthropic.claude-lab-4-v1:0",
        "messages": [{"role": "user", "content": [{"text": f"script:{SCRIPTS.add(THINKING_CALL)}"}]}],
    }
    told = sdk.converse(**asked)
    assert told["output"]["message"]["content"][1]["toolUse"]["input"] == THINKING_CALL.calls[0].arguments, f"{told}"
    events = list(sdk.converse_stream(**asked)["stream"])
    assert any("signature" in str(event) for event in events) and events[-1]["metadata"]["usage"]["inputTokens"] == 1_000, f"{events}"


@check("fake.readers", "the checks' own readers: of each reply JSON and stream are the same, and a conversation is heard as it was said")
def _():
    for caller in ("chat", "responses", "messages"):
        for name, reply in REPLIES.items():
            data = b"".join(speaker(caller)._frame(event) for event in EVENTS[caller](reply, ASKED))
            folded = dialect_answers.read(caller, _answer(data, "text/event-stream"), True)
            whole = dialect_answers.read(caller, _answer(json.dumps(BODIES[caller](reply, ASKED)).encode(), "application/json"), False)
            for part in ("text", "thought", "signatures", "named", "finish", "usage", "citations"):
                assert getattr(folded, part) == getattr(whole, part), (
                    f"{caller} {name} {part}: {getattr(folded, part)!r} and {getattr(whole, part)!r}"
                )
            assert (whole.text, whole.thought, len(whole.calls)) == (reply.whole, reply.thought, len(reply.calls)), f"{caller} {name}: {whole}"
        one = Asking(caller, "m", "hello", system="sys", tools=TOOLS, choice=("tool", "get_time"), image=PNG_URL, pdf=PDF_URL, schema=SCHEMA)
        one.history = [*one.calls(("a1", "get_time", "{}")), *one.results(("a1", "noon"))]
        told = heard(caller, one.body())
        assert (told.system, told.prompt, told.turns[0].text) == ("sys", "", "hello") and told.turns[2].results == [("a1", "noon")], f"{told}"
        assert told.choice == ("tool", "get_time") and told.turns[0].images == [PNG_URL] and told.turns[0].files == [PDF_URL], f"{told}"
        assert told.schema == SCHEMA and not dialect_rules.fault(caller, one.body()), f"{told.schema} {dialect_rules.fault(caller, one.body())}"


def _answer(body: bytes, kind: str) -> wire.Answer:
    answer = wire.Answer()
    answer.status, answer.body, answer.is_clean, answer.headers = 200, body, True, [("content-type", kind)]
    return answer


USER = {"role": "user", "content": "hi"}
REFUSED = {
    "orphan": ("chat", {"messages": [USER, {"role": "tool", "tool_call_id": "x", "content": "y"}]}),
    "no tools": ("chat", {"messages": [USER], "tools": []}),
    "no cap": ("messages", {"messages": [USER], "model": "m"}),
    "unknown": ("messages", {"messages": [USER], "model": "m", "max_tokens": 9, "description": "x"}),
    "blank": ("messages", {"messages": [USER, {"role": "assistant", "content": ""}, USER], "max_tokens": 9}),
    "hot": ("messages", {"messages": [USER], "max_tokens": 9, "temperature": 1.5}),
    "dotted": ("messages", {"max_tokens": 9, "messages": [USER, {"role": "assistant", "content": [{"type": "tool_use", "id": "a.b", "name": "f",
               "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a.b", "content": "z"}]}]}),
    "no output": ("responses", {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}),
    "name": ("gemini", {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "max_tokens": 4}),
    "unanswered": ("gemini", {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}]}),
    "twice": ("converse", {"messages": [{"role": "user", "content": [{"text": "a"}]}, {"role": "user", "content": [{"text": "b"}]}]}),
    "choice": ("cohere", {"model": "c", "messages": [USER], "tool_choice": "REQUIRED"}),
}  # fmt: skip


@check("fake.rules", "the fakes refuse what the providers refuse")
def _():
    passed = [name for name, (dialect, body) in REFUSED.items() if not dialect_rules.fault(dialect, body)]
    assert not passed, f"not refused: {passed}"
    assert dialect_rules.fault("chat", {"messages": [USER], "description": "x"}, "openai") and not dialect_rules.fault(
        "chat", {"messages": [USER]}, "openai"
    )
    return f"{len(REFUSED)} requests"

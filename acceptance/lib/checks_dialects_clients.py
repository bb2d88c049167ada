"""Real SDKs as callers of every upstream: openai (chat, Responses, embeddings, audio), anthropic, openrouter."""

import asyncio
import base64
import json

from checks_dialects_paths import WAV
from dialect_callers import SCHEMA, TOOLS
from dialect_scripts import CACHED, ONE_CALL, PLAIN, SCRIPTS, STRUCTURED, THINKING, THINKING_CALL, TWO_CALLS, Reply, Usage
from dialect_side import VECTOR
from harness import check, gw

from dialects import MODEL, costs, every_upstream

CHAT_TOOLS = [{"type": "function", "function": {"name": name, "description": "d", "parameters": schema}} for name, schema in TOOLS.items()]
RESPONSES_TOOLS = [{"type": "function", "name": name, "description": "d", "parameters": schema, "strict": False} for name, schema in TOOLS.items()]
MESSAGES_TOOLS = [{"name": name, "description": "d", "input_schema": schema} for name, schema in TOOLS.items()]
THINK = {"type": "enabled", "budget_tokens": 2_000}


def said(*replies: Reply) -> list[dict]:
    return [{"role": "user", "content": f"script:{SCRIPTS.add(*replies)}"}]


def openai_sdk(kind: str = "OpenAI", base: str = "/v1", name: str = "dialects"):
    import openai

    g = gw(name)
    return getattr(openai, kind)(base_url=f"http://127.0.0.1:{g.port}{base}", api_key=g.key, max_retries=0, timeout=8)


def anthropic_sdk(kind: str = "Anthropic", base: str = "", **how):
    import anthropic

    g = gw("dialects")
    how = how or {"api_key": g.key}
    return getattr(anthropic, kind)(base_url=f"http://127.0.0.1:{g.port}{base}", max_retries=0, timeout=8, **how)


def openrouter_sdk(name: str = "dialects"):
    from openrouter import OpenRouter
    from openrouter.utils import BackoffStrategy, RetryConfig

    g = gw(name)
    never = RetryConfig("none", BackoffStrategy(1, 1, 1, 1), False)
    return OpenRouter(api_key=g.key, server_url=f"http://127.0.0.1:{g.port}/api/openrouter/v1", timeout_ms=8_000, retry_config=never)


# ---------------------------------------------------------------- openai


@every_upstream("client", "openai-chat", "openai SDK, chat: answer, stream helper, two calls and their results, parsed schema", timeout=20)
def _(dialect):
    model = MODEL[dialect]
    with openai_sdk() as sdk:
        told = sdk.chat.completions.create(model=model, messages=said(PLAIN), max_tokens=99)
        assert told.choices[0].message.content == PLAIN.whole and told.usage.prompt_tokens == 1_000 and told.model == model, f"{told}"
        costs(told.usage.cost, Usage())
        with sdk.chat.completions.stream(model=model, messages=said(ONE_CALL), tools=CHAT_TOOLS) as stream:
            final = stream.get_final_completion()
        assert json.loads(final.choices[0].message.tool_calls[0].function.arguments) == ONE_CALL.calls[0].arguments, f"{final}"
        messages = said(TWO_CALLS, PLAIN)
        message = sdk.chat.completions.create(model=model, messages=messages, tools=CHAT_TOOLS).choices[0].message
        results = [{"role": "tool", "tool_call_id": call.id, "content": call.function.name} for call in message.tool_calls]
        told = sdk.chat.completions.create(model=model, messages=[*messages, message.model_dump(exclude_none=True), *results], tools=CHAT_TOOLS)
        assert told.choices[0].message.content == PLAIN.whole and len(results) == 2, f"{told}"
        answer = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
        told = sdk.chat.completions.create(model=model, messages=said(STRUCTURED), response_format=answer)
        assert json.loads(told.choices[0].message.content) == STRUCTURED.structured, f"{told}"


@every_upstream("client", "openai-responses", "openai SDK, Responses: answer, stream helper, two calls and their outputs, reasoning", timeout=20)
def _(dialect):
    model = MODEL[dialect]
    with openai_sdk() as sdk:
        told = sdk.responses.create(model=model, input=said(PLAIN), instructions="Be brief.")
        assert told.output_text == PLAIN.whole and told.usage.input_tokens == 1_000 and told.status == "completed", f"{told}"
        with sdk.responses.stream(model=model, input=said(THINKING), reasoning={"effort": "high", "summary": "auto"}) as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert final.output_text == THINKING.whole and kinds[0] == "response.created" and kinds[-1] == "response.completed", f"{kinds}"
        assert any(item.type == "reasoning" for item in final.output), f"{[item.type for item in final.output]}"
        inputs = said(TWO_CALLS, PLAIN)
        first = sdk.responses.create(model=model, input=inputs, tools=RESPONSES_TOOLS)
        calls = [item for item in first.output if item.type == "function_call"]
        outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": call.name} for call in calls]
        replay = [item.model_dump(exclude_none=True) for item in first.output]
        second = sdk.responses.create(model=model, input=[*inputs, *replay, *outputs], tools=RESPONSES_TOOLS)
        assert second.output_text == PLAIN.whole and len(calls) == 2, f"{second}"


@check("client.openai-async", "openai SDK, async: 12 streams of chat and Responses at once, at all upstreams", timeout=30)
def _():
    async def all_of_it() -> list[str]:
        async with openai_sdk("AsyncOpenAI") as sdk:

            async def chat(model: str) -> str:
                stream = await sdk.chat.completions.create(model=model, messages=said(PLAIN), stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

            async def responses(model: str) -> str:
                stream = await sdk.responses.create(model=model, input=said(PLAIN), stream=True)
                return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])

            return await asyncio.gather(*[way(model) for model in MODEL.values() for way in (chat, responses)])

    assert set(asyncio.run(all_of_it())) == {PLAIN.whole}


@check("client.openai-side", "openai SDK: embeddings (as it asks for them: base64), transcription, legacy completions", timeout=20)
def _():
    with openai_sdk(name="doors") as sdk:
        told = sdk.embeddings.create(model="lab/embed", input=["a", "b"])
        assert [each.embedding for each in told.data] == [list(VECTOR), [2 * each for each in VECTOR]], f"{told}"
        heard = sdk.audio.transcriptions.create(model="lab/hear", file=("a.wav", WAV), prompt=f"script:{SCRIPTS.add(PLAIN)}")
        assert heard.text == PLAIN.whole, f"{heard}"
        stream = sdk.audio.transcriptions.create(model="lab/hear", file=("a.wav", WAV), prompt=f"script:{SCRIPTS.add(PLAIN)}", stream=True)
        *deltas, done = stream
        assert "".join(each.delta for each in deltas) == done.text == PLAIN.whole and done.usage.input_tokens == 30, f"{done}"
        assert sdk.completions.create(model="lab/talk", prompt=f"script:{SCRIPTS.add(PLAIN)}").choices[0].text == PLAIN.whole


@check("client.openai-errors", "openai SDK: its own exceptions before the first byte and inside a stream, chat and Responses", timeout=20)
def _():
    import openai

    with openai_sdk() as sdk:
        for dialect in ("messages", "gemini", "converse"):
            model = MODEL[dialect]
            calls = [
                (openai.RateLimitError, lambda m=model: sdk.chat.completions.create(model=m, messages=said(Reply(status=429)))),
                (openai.BadRequestError, lambda m=model: sdk.responses.create(model=m, input=said(Reply(status=400)))),
                (openai.APIError, lambda m=model: list(sdk.chat.completions.create(model=m, messages=said(Reply(error=3)), stream=True))),
                (openai.BadRequestError, lambda m=model: sdk.responses.create(model=m, input=said(PLAIN), store=True)),
            ]
            for wanted, call in calls:
                try:
                    call()
                except wanted:
                    continue
                raise AssertionError(f"{dialect}: no {wanted.__name__}")


# ---------------------------------------------------------------- anthropic


@every_upstream("client", "anthropic", "anthropic SDK: messages, stream, thinking, two tools and their results, count_tokens", timeout=20)
def _(dialect):
    asked = {"model": MODEL[dialect], "max_tokens": 3_000}
    with anthropic_sdk() as sdk:
        told = sdk.messages.create(messages=said(PLAIN), system="Be brief.", **asked)
        assert told.content[-1].text == PLAIN.whole and told.usage.input_tokens == 1_000 and told.stop_reason == "end_turn", f"{told}"
        with sdk.messages.stream(messages=said(THINKING), thinking=THINK, **asked) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        assert text == THINKING.whole and final.content[0].thinking == THINKING.thought and final.usage.output_tokens == 500, f"{final}"
        for stream_it in (False, True):
            messages = said(TWO_CALLS if dialect == "cohere" else THINKING_CALL, PLAIN)
            first = _message(sdk, stream_it, messages=messages, tools=MESSAGES_TOOLS, thinking=THINK, **asked)
            uses = [block for block in first.content if block.type == "tool_use"]
            assert first.stop_reason == "tool_use" and uses[0].input == {"city": "Paris", "unit": "°C"}, f"{first}"
            results = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"} for use in uses]}
            replay = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
            second = _message(sdk, stream_it, messages=[*messages, replay, results], tools=MESSAGES_TOOLS, thinking=THINK, **asked)
            assert second.content[-1].text == PLAIN.whole, f"{second}"
        assert sdk.messages.count_tokens(model=MODEL[dialect], messages=said(PLAIN), tools=MESSAGES_TOOLS).input_tokens > 10


def _message(sdk, stream_it: bool, **asked):
    if not stream_it:
        return sdk.messages.create(**asked)
    with sdk.messages.stream(**asked) as stream:
        return stream.get_final_message()


@check("client.anthropic-ways", "anthropic SDK: auth_token and a base URL below each prefix; the beta client with betas", timeout=20)
def _():
    key = gw("dialects").key
    for base in ("", "/api/gateway", "/api/openrouter", "/api"):
        with anthropic_sdk(base=base, auth_token=key, api_key=None) as sdk:
            told = sdk.messages.create(model=MODEL["gemini"], max_tokens=99, messages=said(PLAIN))
            assert told.content[0].text == PLAIN.whole, f"{base}: {told}"
    with anthropic_sdk() as sdk:
        told = sdk.beta.messages.create(model=MODEL["messages"], max_tokens=99, messages=said(PLAIN), betas=["interleaved-thinking-2025-05-14"])
        assert told.content[0].text == PLAIN.whole, f"{told}"


@check("client.anthropic-cached", "anthropic SDK: cached tokens of an OpenAI, Gemini or Bedrock upstream stand where Anthropic has them")
def _():
    with anthropic_sdk() as sdk:
        for dialect in ("chat", "responses", "gemini", "converse", "cohere", "messages"):
            usage = sdk.messages.create(model=MODEL[dialect], max_tokens=99, messages=said(CACHED)).usage
            assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (3_000, 7_000, 500), f"{dialect}: {usage}"


@check("client.anthropic-errors", "anthropic SDK: its own exceptions before the first byte and inside a stream", timeout=20)
def _():
    import anthropic

    with anthropic_sdk() as sdk:
        for dialect in ("chat", "gemini", "converse", "messages"):
            asked = {"model": MODEL[dialect], "max_tokens": 99}
            calls = [
                (anthropic.RateLimitError, lambda a=asked: sdk.messages.create(messages=said(Reply(status=429)), **a)),
                (anthropic.BadRequestError, lambda a=asked: sdk.messages.create(messages=said(Reply(status=400)), **a)),
                (anthropic.APIStatusError, lambda a=asked: list(sdk.messages.create(messages=said(Reply(error=3)), stream=True, **a))),
                (anthropic.NotFoundError, lambda: sdk.messages.create(model="lab/nobody", max_tokens=9, messages=said(PLAIN))),
            ]
            for wanted, call in calls:
                try:
                    call()
                except wanted:
                    continue
                raise AssertionError(f"{dialect}: no {wanted.__name__}")


@check("client.anthropic-async", "anthropic SDK, async: a stream at each upstream, at once", timeout=30)
def _():
    async def all_of_it() -> list[str]:
        async with anthropic_sdk("AsyncAnthropic") as sdk:

            async def one(model: str) -> str:
                async with sdk.messages.stream(model=model, max_tokens=99, messages=said(PLAIN)) as stream:
                    return "".join([text async for text in stream.text_stream])

            return await asyncio.gather(*[one(model) for model in MODEL.values()])

    assert set(asyncio.run(all_of_it())) == {PLAIN.whole}


# ---------------------------------------------------------------- openrouter


@every_upstream("client", "openrouter", "openrouter SDK validates: chat, stream, calls, reasoning details; Responses", timeout=20)
def _(dialect):
    model = MODEL[dialect]
    with openrouter_sdk() as sdk:
        told = sdk.chat.send(model=model, messages=said(THINKING), reasoning={"effort": "high"})
        assert told.choices[0].message.content == THINKING.whole and told.usage.prompt_tokens == 1_000, f"{told}"
        assert told.choices[0].message.reasoning == THINKING.thought, f"{told.choices[0].message}"
        with sdk.chat.send(model=model, messages=said(ONE_CALL), tools=CHAT_TOOLS, stream=True) as stream:
            chunks = list(stream)
        pieces = [call.function.arguments or "" for c in chunks for choice in c.choices for call in choice.delta.tool_calls or [] if call.function]
        assert json.loads("".join(pieces)) == ONE_CALL.calls[0].arguments, f"{chunks}"
        told = sdk.responses.send(model=model, input=said(PLAIN))
        assert [part.text for item in told.output if item.type == "message" for part in item.content] == [PLAIN.whole], f"{told}"


@check("client.openrouter-side", "openrouter SDK: embeddings and speech to text, JSON", timeout=20)
def _():
    with openrouter_sdk("doors") as sdk:
        told = sdk.embeddings.generate(model="lab/embed", input=["a", "b"])
        assert list(told.data[1].embedding) == [2 * each for each in VECTOR], f"{told}"
        heard = sdk.stt.create_transcription(model="lab/hear", input_audio={"data": base64.b64encode(WAV).decode(), "format": "wav"})
        assert heard.text == PLAIN.whole, f"{heard}"

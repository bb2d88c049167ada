"""Callers of each dialect: what they ask, and what their official SDK reads out of an answer."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai
from providers import arguments_of, text_of

QUESTION = "What was recorded?"
_PICTURES = re.compile(r"!\[image\]\(data:[^)]*\)").sub  # there are none in Messages: they are written into the text


@dataclass
class Told:
    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: tuple[int, int] | None = None


@dataclass(frozen=True)
class CallerKind:
    """`finishes`: of the hub's words, this dialect's. `refused`: that of an answer in which the model says no, if any."""

    name: str
    path: str
    request: Callable[[str, bool], dict[str, object]]
    read: Callable[[bytes, bool], Told]
    finishes: dict[str, str]
    refused: str = ""

    def parse(self, body: bytes, *, is_stream: bool) -> Told:
        return self.read(body, is_stream)


def _canned(body: bytes, is_stream: bool) -> httpx2.Client:
    kind = "text/event-stream; charset=utf-8" if is_stream else "application/json"
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, headers={"content-type": kind}, content=body))
    return httpx2.Client(transport=answer)


def _openai(body: bytes, is_stream: bool) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=_canned(body, is_stream), max_retries=0)


def _chat(body: bytes, is_stream: bool) -> Told:
    client, said = _openai(body, is_stream), Told()
    messages: Any = [{"role": "user", "content": QUESTION}]
    if not is_stream:
        answer = client.chat.completions.create(model="m", messages=messages)
        choice = answer.choices[0]
        said.calls = [_call(call) for call in choice.message.tool_calls or []]
        said.text, said.finish = text_of(choice.message.content), choice.finish_reason
        said.usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens) if answer.usage else None
        return said
    pieces: dict[int, list[str]] = {}
    for chunk in client.chat.completions.create(model="m", messages=messages, stream=True):
        if chunk.usage is not None:
            said.usage = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for each in chunk.choices or ():
            if each.index or each.delta is None:  # the first answer alone
                said.finish = said.finish if each.index else each.finish_reason or said.finish
                continue
            said.text += text_of(each.delta.content)
            said.finish = each.finish_reason or said.finish
            for call in each.delta.tool_calls or []:
                known = pieces.setdefault(call.index, ["", ""])
                known[0] = known[0] or (call.function and call.function.name) or ""
                known[1] += (call.function and call.function.arguments) or ""
    said.calls = [(name, arguments_of(arguments)) for name, arguments in pieces.values()]
    assert body.rstrip().endswith((b"data: [DONE]", b"data:[DONE]")), "the stream has no [DONE]"
    return said


def _call(call: Any) -> tuple[str, Any]:
    if getattr(call, "custom", None) is not None:
        return call.custom.name, {"input": call.custom.input}
    return call.function.name, arguments_of(call.function.arguments)


def _responses(body: bytes, is_stream: bool) -> Told:
    client = _openai(body, is_stream)
    if is_stream:
        answer: Any = None
        items: list[Any] = []
        for event in client.responses.create(model="m", input=QUESTION, stream=True):
            if event.type == "response.output_item.done":
                items.append(event.item)
            if event.type in ("response.completed", "response.incomplete", "response.failed"):
                answer = event.response
        assert answer is not None, "the stream has no end"
        answer.output = answer.output or items
    else:
        answer = client.responses.create(model="m", input=QUESTION)
    calls = [
        (item.name, {"input": item.input} if item.type == "custom_tool_call" else arguments_of(item.arguments))
        for item in answer.output if item.type in ("function_call", "custom_tool_call")
    ]  # fmt: skip
    reason = answer.incomplete_details.reason if answer.incomplete_details else answer.status
    reason = {"complete": "completed"}.get(reason, reason)  # as some recordings have it, relayed as it came
    return Told(answer.output_text, calls, reason, (answer.usage.input_tokens, answer.usage.output_tokens))


def _messages(body: bytes, is_stream: bool) -> Told:
    client = anthropic.Anthropic(
        api_key="k", base_url="http://gateway", http_client=_canned(body, is_stream), max_retries=0
    )  # fmt: skip
    asked: Any = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": QUESTION}]}
    if is_stream:
        with client.messages.stream(**asked) as stream:
            answer: Any = stream.get_final_message()
    else:
        answer = client.messages.create(**asked)
    usage = answer.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Told(
        _PICTURES("", "".join(block.text for block in answer.content if block.type == "text")),
        [(block.name, block.input) for block in answer.content if block.type == "tool_use"],
        answer.stop_reason, (prompt, usage.output_tokens),
    )  # fmt: skip


CALLERS = (
    CallerKind(
        "chat", "/chat/completions",
        lambda model, is_stream: {"model": model, "stream": is_stream, "messages": [{"role": "user", "content": QUESTION}]},
        _chat, {each: each for each in ("stop", "length", "tool_calls", "content_filter", "error")},
    ),
    CallerKind(
        "responses", "/responses", lambda model, is_stream: {"model": model, "stream": is_stream, "input": QUESTION},
        _responses,
        {
            "stop": "completed", "tool_calls": "completed", "length": "max_output_tokens",
            "content_filter": "content_filter", "error": "failed",
        },
    ),
    CallerKind(
        "messages", "/messages",
        lambda model, is_stream: {
            "model": model, "stream": is_stream, "max_tokens": 4096, "messages": [{"role": "user", "content": QUESTION}],
        },
        _messages, {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"},
        "refusal",
    ),
)  # fmt: skip

"""What goes out in the Messages dialect comes back the same."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    Answer,
    AnswerHead,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Event,
    Finished,
    RefusalDelta,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import (
    Cache,
    File,
    Format,
    Image,
    Message,
    Output,
    Part,
    Request,
    Target,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.messages.asking import read_request, write_request
from kilo_gateway.dialects.messages.reading import Reader, read_answer
from kilo_gateway.dialects.messages.writing import Writer, write_answer
from kilo_gateway.dialects.sse import Splitter

OWN: Format = "anthropic-claude-v1"
FORMATS: list[Format] = ["anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1", "xai-responses-v1", "unknown"]
OLD, NEW = Target("claude-3-7-sonnet-20250219"), Target("claude-opus-4-8")
HEAD = AnswerHead("gen-1", 0, "anthropic/claude-x", "one")

words = st.text(min_size=1, max_size=12).filter(lambda text: not text.isspace())
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
base64s = st.from_regex(r"(?:[A-Za-z0-9+/]{4}){1,4}", fullmatch=True)
objects = st.dictionaries(st.text(max_size=5), st.none() | st.integers(-9, 9) | st.text(max_size=5), max_size=3).map(json.dumps)
urls = st.sampled_from(["https://e.example/a", "https://e.example/b?c=d"])
media = st.one_of(
    st.builds(Image, st.one_of(urls, base64s.map("data:image/png;base64,{}".format))),
    st.builds(File, st.one_of(urls, base64s.map("data:application/pdf;base64,{}".format)), name=st.one_of(st.just(""), words)),
    st.builds(File, st.just("data:text/plain;base64,aGVsbG8="), name=words),
    st.builds(File, id=ids, is_image=st.booleans()),
)  # fmt: skip
thoughts = st.one_of(
    st.builds(Thought, st.text(max_size=8), signature=base64s, format=st.just(OWN)), st.builds(Thought, encrypted=base64s, format=st.just(OWN))
)  # fmt: skip
texts = st.builds(Text, words)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """As hub messages are: a user's, an assistant's with the results of its calls, and so on, a user's at the end."""
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message("system", tuple(draw(st.lists(texts, min_size=1, max_size=2)))))
    user = st.lists(texts | media, min_size=1, max_size=3).map(lambda parts: Message("user", tuple(parts)))
    messages.append(draw(user))
    for at in range(draw(st.integers(0, 2))):
        calls = [ToolCall(f"t{at}_{nth}", "look", draw(objects)) for nth in range(draw(st.integers(0, 2)))]
        parts: list[Part] = [*draw(st.lists(thoughts, max_size=1)), *draw(st.lists(texts, max_size=1 if calls else 0)), *calls]
        messages.append(Message("assistant", tuple(parts) if calls else (*parts, draw(texts))))
        if calls:
            results = [ToolResult(call.id, tuple(draw(st.lists(texts | media, max_size=2))), draw(st.booleans())) for call in calls]
            messages.append(Message("tool", tuple(results)))
            messages.append(Message("assistant", (draw(texts),)))
        messages.append(draw(user))
    return tuple(messages)


@st.composite
def requests(draw: st.DrawFn, target: Target) -> Request:
    maybe: Callable[[st.SearchStrategy[Any]], Any] = lambda values: draw(st.none() | values)  # noqa: E731
    schemas = st.sampled_from([Raw(b'{"type":"object","properties":{},"additionalProperties":false}'), Raw(b'{"type":"string"}')])
    tools = tuple(draw(st.lists(st.builds(
        Tool, ids, st.none() | words, schemas.filter(lambda raw: b"object" in bytes(raw)), st.none() | (st.just(True) if target is NEW else st.none()), st.none() | st.just(Cache("1h"))
    ), max_size=2, unique_by=lambda tool: tool.name)))  # fmt: skip
    if target is OLD:
        thinking = maybe(st.one_of(st.just(Thinking(False)), st.builds(Thinking, st.just(True), st.none(), st.integers(1024, 4000), st.booleans())))
    else:
        efforts = st.none() | st.sampled_from(["low", "medium", "high", "xhigh", "max"])
        shown = st.sampled_from([(False, "auto"), (True, None)])
        thinking = maybe(st.builds(lambda effort, show: Thinking(True, effort, None, *show), efforts, shown))
    is_thinking = thinking is not None and thinking.is_enabled
    modes: list[ToolChoice] = [ToolChoice("auto"), ToolChoice("none")]
    if tools and not is_thinking:
        modes += [ToolChoice("required"), ToolChoice("tool", tools[0].name)]
    choice = maybe(st.sampled_from(modes)) if tools else None
    does_sample = target is OLD and not is_thinking
    return Request(
        model=target.model, is_stream=draw(st.booleans()), messages=draw(conversations()), tools=tools, tool_choice=choice,
        allows_parallel=maybe(st.booleans()) if choice is not None and choice.mode != "none" else None, thinking=thinking,
        output=maybe(st.builds(Output, schemas, is_strict=st.just(True))) if target is NEW else None, max_tokens=draw(st.integers(5000, 9000)),
        temperature=maybe(st.floats(0, 1)) if does_sample else None, top_p=maybe(st.floats(0, 1)) if does_sample else None,
        top_k=maybe(st.integers(1, 99)) if does_sample else None, stop=tuple(draw(st.lists(words, max_size=2))), user=maybe(words),
        service_tier=maybe(st.sampled_from(["auto", "default"])), cache=maybe(st.sampled_from([Cache(), Cache("1h"), Cache("5m")])),
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([OLD, NEW]).flatmap(lambda target: st.tuples(st.just(target), requests(target))))
def test_a_request_written_and_read_keeps_its_meaning(case: tuple[Target, Request]) -> None:
    target, request = case
    written = write_request(request, target)
    assert (written.dropped, written.changed) == ((), ())
    assert read_request(msgspec.json.decode(written.body, type=dict[str, Raw])) == request


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Events as upstreams give them: one block after the other, sources behind what they are of."""
    events: list[Event] = [Begun("gen-1", "anthropic/claude-x")]
    said = thought = called = 0
    for kind in draw(st.lists(st.sampled_from(["text", "cited", "thought", "hidden", "call"]), max_size=6)):
        if kind in ("text", "cited"):
            begin = said
            for piece in draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3)):
                events.append(TextDelta(piece))
                said += len(piece)
            if kind == "cited":
                events.append(Cited(draw(st.sampled_from(["", "https://e.example"])), draw(st.text(max_size=4)), draw(st.text(max_size=4)), begin, said))
        elif kind in ("thought", "hidden"):
            format = draw(st.sampled_from(FORMATS))
            if kind == "thought":
                events += [ThoughtDelta(thought, piece, format=format) for piece in draw(st.lists(words, min_size=1, max_size=2))]
                events.append(ThoughtDelta(thought, signature=draw(base64s), format=format, id=draw(st.sampled_from(["", "rs_1"])) if format != OWN else ""))
            else:
                events.append(ThoughtDelta(thought, encrypted=draw(base64s), format=format))
            thought += 1
        else:
            arguments = draw(objects)
            cut = draw(st.integers(0, len(arguments)))
            events.append(CallBegun(called, f"t{called}", draw(ids), draw(st.sampled_from(["", "Z2Vt"]))))
            events += [CallDelta(called, piece) for piece in (arguments[:cut], arguments[cut:]) if piece]
            called += 1
    if draw(st.booleans()):
        events.append(RefusalDelta("no"))
        return [*events, Told(Usage(9, 9)), Finished("content_filter", "refusal")]
    return [*events, Told(draw(usages)), Finished("tool_calls", "tool_use") if called else draw(ends)]


usages = st.builds(
    lambda plain, read, write, hour, out, thinking, searches: Usage(
        plain + read + write, out, cache_read_tokens=read, cache_write_tokens=write, cache_write_1h_tokens=min(hour, write),
        reasoning_tokens=min(thinking, out), web_searches=searches,
    ), *([st.integers(0, 1000)] * 7),
)  # fmt: skip
ends = st.sampled_from([
    Finished("stop", "end_turn"), Finished("stop", "stop_sequence", "END"), Finished("length", "max_tokens"), Finished("stop", "pause_turn"),
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(answers())
def test_a_stream_and_a_json_answer_say_the_same_that_was_said(events: list[Event]) -> None:
    answer = fold(events)
    assert answer.usage is not None
    writer = Writer(HEAD)
    out = b"".join(writer.write([event]) for event in events) + writer.end(answer.usage, 0.5)
    reader = Reader()
    streamed = fold(found for name, data in Splitter().feed(out) for found in reader.read(name, data))
    whole = fold(read_answer(write_answer(answer, HEAD, answer.usage, 0.5)))
    assert reader.is_done
    assert _alike(streamed) == _alike(whole)
    assert _without_begin(streamed) == _without_begin(answer)


def _without_begin(answer: Answer) -> Answer:
    """A stream cannot cut a text where something cited begins: that is known behind it."""
    cited = tuple(msgspec.structs.replace(each, begin=-1) for each in answer.cited)
    return msgspec.structs.replace(_alike(answer), cited=cited)


def _alike(answer: Answer) -> Answer:
    """Arguments as JSON says them; spaces are no matter."""
    blocks = tuple(
        msgspec.structs.replace(block, arguments=json.dumps(json.loads(block.arguments))) if isinstance(block, ToolCall) else block
        for block in answer.blocks
    )  # fmt: skip
    return msgspec.structs.replace(answer, blocks=blocks)


def test_thoughts_of_every_provider_survive_a_client_that_sends_back_what_it_got() -> None:
    thought: list[Thought] = [
        Thought("a", signature="c2ln", format=OWN), Thought("b", signature="Z2Vt", format="google-gemini-v1"),
        Thought(summary="c", encrypted="ZW5j", format="openai-responses-v1", id="rs_1:2"), Thought(encrypted="eGFp", format="xai-responses-v1", id="rs_3"),
        Thought(encrypted="cmVk", format=OWN), Thought("said aloud"),
    ]  # fmt: skip
    body = json.loads(write_answer(Answer(blocks=(*thought, Text("so"))), HEAD, Usage(1, 1), None))
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": body["content"]}]
    request = read_request({"model": Raw(b'"m"'), "messages": Raw(json.dumps(messages).encode())})
    assert request.messages[1].parts == (*thought, Text("so"))

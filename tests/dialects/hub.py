"""Requests and answers of the hub, made at random."""

import json

from hypothesis import strategies as st
from msgspec import Raw

from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub import answered as said
from kilo_gateway.dialects.hub import asked

WORDS = st.text(alphabet='ab"\\{}:,\n\u00e9\u2615\U0001f600 datusger', min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
JSON = st.dictionaries(st.text(max_size=4), st.none() | st.integers(-9, 9) | st.text(max_size=4) | st.lists(st.booleans(), max_size=2), max_size=3)
ARGUMENTS = JSON.map(json.dumps)
URLS = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="])
TEXTS = WORDS.map(asked.Text)
SCHEMA = Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}')

USER = st.lists(TEXTS | URLS.map(asked.Image), min_size=1, max_size=3).map(lambda parts: asked.Message("user", tuple(parts)))
SYSTEM = TEXTS.map(lambda text: asked.Message("system", (text,)))


@st.composite
def turns(draw: st.DrawFn) -> list[asked.Message]:
    """An assistant's turn, with what its calls gave."""
    count = draw(st.integers(0, 2))
    calls = [asked.ToolCall(f"call_{draw(st.integers(0, 10**9))}_{n}", draw(NAMES), draw(ARGUMENTS)) for n in range(count)]
    texts = draw(st.lists(TEXTS, min_size=0 if calls else 1, max_size=1))
    made = [asked.Message("assistant", (*texts, *calls))]
    return made + [asked.Message("tool", (asked.ToolResult(call.id, (draw(TEXTS),)),)) for call in calls]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[asked.Message, ...]:
    messages = [*draw(st.lists(SYSTEM, max_size=1)), draw(USER)]
    for _ in range(draw(st.integers(0, 2))):
        messages += [*draw(turns()), draw(USER)]
    return tuple(messages)


TOOLS = st.lists(NAMES, max_size=2, unique=True).map(
    lambda names: tuple(asked.Tool(name, f"does {name}", SCHEMA) for name in names)
)


@st.composite
def answers(draw: st.DrawFn) -> list[said.Event]:
    """Events as a reader gives them: text in pieces, calls one after the other."""
    events: list[said.Event] = [said.Begun("answer-1", "m", 1_700_000_000)]
    if draw(st.booleans()):
        events += [said.ThoughtDelta(0, text) for text in draw(st.lists(WORDS, min_size=1, max_size=3))]
        events.append(said.ThoughtDelta(0, signature="c2ln", format="anthropic-claude-v1"))
    events += [said.TextDelta(text) for text in draw(st.lists(WORDS, max_size=4))]
    calls = draw(st.integers(0, 2))
    for index in range(calls):
        arguments = draw(ARGUMENTS)
        cut = draw(st.integers(0, len(arguments)))
        events.append(said.CallBegun(index, f"call_{index}", draw(NAMES)))
        events += [said.CallDelta(index, piece) for piece in (arguments[:cut], arguments[cut:]) if piece]
    if len(events) == 1:
        events.append(said.TextDelta("x"))
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return [*events, said.Told(Usage(25, 7, cache_read_tokens=5, reasoning_tokens=2)), said.Finished(reason, "native")]  # type: ignore[list-item,arg-type]

"""Whatever comes, only the errors that are meant for it are raised."""

import contextlib
import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from kilo_gateway.core.errors import BadAnswer, BadRequest
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import AnswerHead, Failed
from kilo_gateway.dialects.hub.asked import Target
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.messages.asking import read_request, write_request
from kilo_gateway.dialects.messages.reading import Reader, read_answer, read_error
from kilo_gateway.dialects.messages.writing import Writer, write_answer

NAMES = st.sampled_from([
    "type", "role", "content", "text", "source", "url", "data", "media_type", "file_id", "title", "citations", "thinking", "signature",
    "id", "name", "input", "tool_use_id", "is_error", "cache_control", "ttl", "index", "delta", "content_block", "message", "usage",
    "error", "partial_json", "citation", "stop_reason", "stop_details", "explanation", "input_tokens", "output_tokens", "model",
])  # fmt: skip
KINDS = st.sampled_from([
    "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result", "server_tool_use", "base64",
    "url", "file", "content", "user", "assistant", "system", "ephemeral", "content_block_start", "content_block_delta", "content_block_stop",
    "message_start", "message_delta", "message_stop", "error", "text_delta", "input_json_delta", "end_turn", "tool_use", "data:,x", "message",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | KINDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12,
)  # fmt: skip
BLOCKS = st.lists(st.dictionaries(NAMES, VALUES, max_size=6).flatmap(lambda block: KINDS.map(lambda kind: block | {"type": kind})), max_size=3)
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": BLOCKS | VALUES}), max_size=4)
FIELDS = st.sampled_from(["system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "max_tokens", "stop_sequences"])
EVENTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=6).flatmap(lambda event: KINDS.map(lambda kind: event | {"type": kind})), max_size=6)


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.dictionaries(FIELDS, VALUES | BLOCKS, max_size=2), st.sampled_from(["claude-3-haiku", "claude-opus-4-8", "other"]))
def test_requests(messages: list[object], fields: dict[str, object], model: str) -> None:
    body = json.dumps({"model": "m", "messages": messages} | fields)
    try:
        request = read_request(msgspec.json.decode(body, type=dict[str, Raw]))
    except BadRequest as error:
        assert len(str(error)) < 400
        return
    json.loads(write_request(request, Target(model)).body)


@settings(max_examples=300, deadline=None)
@given(EVENTS, VALUES | st.dictionaries(NAMES, VALUES | BLOCKS, max_size=5))
def test_answers(events: list[object], whole: object) -> None:
    head, reader = AnswerHead("g", 0, "m", "one"), Reader()
    writer = Writer(head)
    with contextlib.suppress(BadAnswer):
        for event in events:
            writer.write(found for found in reader.read(b"", json.dumps(event).encode()) if not isinstance(found, Failed))
    body = json.dumps(whole).encode()
    assert read_error(body, 500).status == 500
    with contextlib.suppress(BadAnswer):
        answer = fold(read_answer(body))
        json.loads(write_answer(answer, head, answer.usage or Usage(), None))

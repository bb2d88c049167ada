"""Anthropic's own library takes what we write."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import anthropic
import pytest

from kilo_gateway.core.errors import GatewayError, Overloaded, TooManyRequests
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.answered import (
    AnswerHead,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Event,
    Finished,
    TextDelta,
    ThoughtDelta,
)
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.messages import writing

HEAD = AnswerHead("gen-1", 0, "m", "one")
EVENTS: list[Event] = [
    Begun("gen-1", "m"), ThoughtDelta(0, "hm"), ThoughtDelta(0, signature="c2ln", format="anthropic-claude-v1"),
    ThoughtDelta(1, encrypted="ZW5j", format="anthropic-claude-v1"), TextDelta("hel"), TextDelta("lo"),
    Cited("https://e.example", "T", "c", 0, 5), CallBegun(0, "t1", "look"), CallDelta(0, '{"a":'), CallDelta(0, "1}"),
    CallBegun(1, "t2", "now"), Finished("tool_calls", "tool_use"),
]  # fmt: skip
USAGE = Usage(20, 9, cache_read_tokens=7, cache_write_tokens=5, reasoning_tokens=3)


@contextmanager
def _answering(body: bytes, kind: str, status: int = 200) -> Iterator[anthropic.Anthropic]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


def _ask(client: anthropic.Anthropic) -> anthropic.types.Message:
    return client.messages.create(model="m", max_tokens=10, messages=[{"role": "user", "content": "q"}])


def _stream(client: anthropic.Anthropic) -> anthropic.types.Message:
    with client.messages.stream(model="m", max_tokens=10, messages=[{"role": "user", "content": "q"}]) as stream:
        costs = [event.usage.model_extra for event in stream if event.type == "message_delta"]
        assert costs == [{"cost": 0.5, "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0}}]
        return stream.get_final_message()


def _check(message: anthropic.types.Message) -> None:
    thinking, redacted, text, look, now = message.content
    assert thinking.type == "thinking" and (thinking.thinking, thinking.signature) == ("hm", "c2ln")
    assert redacted.type == "redacted_thinking" and redacted.data == "ZW5j"
    assert text.type == "text" and text.text == "hello" and text.citations is not None
    assert text.citations[0].type == "web_search_result_location" and text.citations[0].url == "https://e.example"
    assert look.type == "tool_use" and (look.id, look.name, look.input) == ("t1", "look", {"a": 1})
    assert now.type == "tool_use" and (now.name, now.input) == ("now", {})
    assert (message.id, message.model, message.stop_reason) == ("gen-1", "m", "tool_use")
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (8, 9, 7, 5)


def test_a_json_answer() -> None:
    with _answering(writing.write_answer(fold(EVENTS), HEAD, USAGE, 0.5), "application/json") as client:
        message = _ask(client)
    _check(message)
    assert message.usage.model_extra is not None and message.usage.model_extra["cost"] == 0.5


def test_a_stream_with_pings() -> None:
    writer = writing.Writer(HEAD)
    body = b"".join(writing.PING + writer.write([event]) for event in EVENTS) + writer.end(USAGE, 0.5)
    with _answering(body, "text/event-stream") as client:
        _check(_stream(client))


@pytest.mark.parametrize(("error", "kind"), [(TooManyRequests("slow down"), anthropic.RateLimitError), (Overloaded("full"), anthropic.InternalServerError)])
def test_an_error(error: GatewayError, kind: type[anthropic.APIStatusError]) -> None:
    with _answering(writing.error_body(error), "application/json", error.status) as client, pytest.raises(kind) as caught:
        _ask(client)
    assert isinstance(caught.value.body, dict) and caught.value.body["error"]["message"] == str(error)


def test_an_error_amid_a_stream() -> None:
    writer = writing.Writer(HEAD)
    body = writer.write(EVENTS[:5]) + writing.error_events(Overloaded("full"), HEAD)
    with _answering(body, "text/event-stream") as client, pytest.raises(anthropic.APIStatusError, match="full"):
        _stream(client)


def test_a_count_of_tokens() -> None:
    with _answering(writing.write_count(12), "application/json") as client:
        assert client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "q"}]).input_tokens == 12

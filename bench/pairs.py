"""What a chunk of a stream costs between every two dialects, and the worst honest request step by step. Python alone.

    python bench/pairs.py

CPU µs from the bytes of one event, as the upstream sends it, to the bytes for the caller; the best of several runs.
"""

import time
from collections.abc import Callable

import agent
from upstream_events import STREAMS, Stream

from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.callers import Caller
from kilo_gateway.dialects.hub.asked import Target
from kilo_gateway.dialects.repair import repaired
from kilo_gateway.dialects.table import CALLERS, MESSAGES_CALLER, RESPONSES_CALLER, UPSTREAMS

PIECES = ("text", "thought", "arguments")
REPEATS, BEST_OF = 200, 60
ASKED = {
    "openai-chat": b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}',
    "openai-responses": b'{"model":"m","stream":true,"input":"hi"}',
    "anthropic-messages": b'{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}',
}
OPENS: dict[str, Callable[[bytes], Call]] = {
    "openai-chat": openai_chat.open_body, "openai-responses": RESPONSES_CALLER.open_body,
    "anthropic-messages": MESSAGES_CALLER.open_body,
}  # fmt: skip


class NoAnswer(Exception):
    pass


def main() -> None:
    print("| µs a chunk: text, thought, arguments | " + " | ".join(ASKED) + " |")
    print("| --- " * (len(ASKED) + 1) + "|")
    for upstream, made in STREAMS.items():
        stream = made()
        cells = [" ".join(f"{chunk_us(caller, upstream, stream, piece):5.2f}" for piece in PIECES) for caller in ASKED]
        print(f"| {upstream:<18} | " + " | ".join(cells) + " |", flush=True)
    print()
    for step, ms in steps_ms(agent.body("m")):
        print(f"| {step:<60} | {ms:6.3f} |")


def chunk_us(caller: str, upstream: str, stream: Stream, piece: str) -> float:
    """Of one event that comes alone. A call that Gemini sends is whole; elsewhere it is a piece of the arguments."""
    bridge, endpoint, best = Bridge(), endpoint_of(upstream), float("inf")
    event = getattr(stream, piece)
    for _ in range(BEST_OF):
        call = OPENS[caller](ASKED[caller])
        bridge.shape(call, endpoint, None)
        translator = bridge.translator(call, endpoint, stream.content_type)
        out = translator.feed(stream.begins + stream.text + (stream.call if piece == "arguments" else b""))
        out += translator.feed(event)
        feed = translator.feed
        begun = time.thread_time()
        for _ in range(REPEATS):
            last = feed(event)
        best = min(best, time.thread_time() - begun)
        if not last or not out:
            raise NoAnswer(f"{caller} <- {upstream}: {piece}")
    return best / REPEATS * 1e6


def steps_ms(body: bytes) -> list[tuple[str, float]]:
    """The parts of the worst honest request. Decoding is inside `read`; what is above the line is done for every request."""
    endpoint = endpoint_of("gemini")
    caller: Caller = MESSAGES_CALLER
    call = caller.open_body(body)
    request = CALLERS["anthropic-messages"].read_request(call.fields)
    mended, _ = repaired(request)
    target = Target("gemini-3-pro-preview")
    bridge = Bridge()

    def whole() -> None:
        opened = caller.open_body(body)
        bridge.obstacle(opened, endpoint)
        bridge.shape(opened, endpoint, None)

    return [
        ("open the body, one level, ms", best_ms(lambda: caller.open_body(body))),
        ("read Messages", best_ms(lambda: CALLERS["anthropic-messages"].read_request(call.fields))),
        ("repair", best_ms(lambda: repaired(request))),
        ("write Gemini", best_ms(lambda: UPSTREAMS["gemini"].write_request(mended, target))),
        ("all of it, as the worker does it", best_ms(whole)),
    ]


def best_ms(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(BEST_OF * 3):
        begun = time.thread_time()
        work()
        best = min(best, time.thread_time() - begun)
    return best * 1e3


def endpoint_of(dialect: str) -> Endpoint:
    model = b'"gemini-3-pro-preview"' if dialect == "gemini" else b'"some-model"'
    return Endpoint("bench", "m", Origin("127.0.0.1", 1), dialect, model, b"", b"", b'"bench"', b'"m"', None)


if __name__ == "__main__":
    main()

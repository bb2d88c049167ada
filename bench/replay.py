"""What Python alone costs: the two protocol classes with transports that do nothing. The journal is real.

python bench/replay.py     microseconds of CPU for a request, for a chunk alone in a read, for one among 200 in a read
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateways import CONFIGURATION, MODEL, fill

from kilo_gateway import config
from kilo_gateway.app.worker import build_worker
from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.catalog.overlay import load_overlay
from kilo_gateway.catalog.prices import PriceBook, price_table
from kilo_gateway.catalog.snapshot import Snapshot, digest
from kilo_gateway.core.keyring import SECRET_BYTES, Keyring
from kilo_gateway.core.types import Key
from kilo_gateway.http.server import ClientConnection
from kilo_gateway.http.upstream import UpstreamConnection
from kilo_gateway.upstreams.assemble import Served, Sources, assemble
from kilo_gateway.upstreams.compile import compile_snapshot
from kilo_gateway.upstreams.registry import providers

REPEATS = 20_000
BURST = 200
BEST_OF = 5
KEY = b"kilo_" + b"0" * 32
PROMPT = (
    b'{"model":"%b","messages":[{"role":"system","content":"You are a helpful assistant."},'
    b'{"role":"user","content":"Say hello. "}],"temperature":0.7,"max_tokens":128%b}'
)
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8100\r\nAuthorization: Bearer %b\r\n"
    b"Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: OpenAI/Python 1.99.0\r\n"
    b"X-Stainless-Lang: python\r\nX-Stainless-Runtime: CPython\r\nAccept-Encoding: identity\r\nContent-Length: %d\r\n\r\n"
)
BODY = (
    b'{"id":"chatcmpl-mock01","object":"chat.completion","created":1700000000,"model":"mock-upstream","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"' + b"aaaaa " * 107 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":25,"completion_tokens":128,"total_tokens":153}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"chatcmpl-mock01","object":"chat.completion.chunk","created":1700000000,"model":"mock-upstream",'
    b'"choices":[{"index":0,"delta":{"content":"t=0000000000000000000 ab"},"finish_reason":null}]}\n\n'
)
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


class Silent(asyncio.Transport):
    """Takes everything and does nothing, but keeps the last piece written and the count of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.last: bytes | bytearray | memoryview = b""
        self.taken = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.last = data
        self.taken += len(data)

    def writelines(self, list_of_data: object) -> None: ...
    def is_closing(self) -> bool:
        return False

    def abort(self) -> None: ...
    def close(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class WrongAnswer(Exception):
    pass


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_replay(Path(directory)))


async def _replay(directory: Path) -> None:
    caller, client, upstream = _connect(directory)

    def request() -> None:
        client.data_received(ask)
        upstream.data_received(ANSWER)

    ask = _ask(b"")
    request()
    if not bytes(caller.last).startswith(b"HTTP/1.1 200 "):
        raise WrongAnswer(bytes(caller.last[:300]))
    request_us = _best_us(request, REPEATS)
    client.data_received(_ask(b',"stream":true'))
    upstream.data_received(STREAM_HEAD)
    before = caller.taken
    upstream.data_received(CHUNK)
    if caller.taken - before < len(EVENT):
        raise WrongAnswer("a chunk was not passed on at once")
    chunk_us = _best_us(partial(upstream.data_received, CHUNK), REPEATS)
    burst_us = _best_us(partial(upstream.data_received, CHUNK * BURST), REPEATS // BURST) / BURST
    print(f"CPU µs: a request {request_us:.2f}; a chunk {chunk_us:.3f}, {BURST} in a read {burst_us:.3f} each")


def _connect(directory: Path) -> tuple[Silent, ClientConnection, UpstreamConnection]:
    """A worker's parts as the gateway itself puts them together, one caller, and one idle upstream connection."""
    words = {"PORT": 8100, "UPSTREAM_URL": "http://127.0.0.1:9100/v1"}
    settings = config.load(fill(CONFIGURATION, directory / "kilo.toml", words), directory / "data")
    files, keyring = DataDirectory(settings.data_dir), Keyring(bytes(SECRET_BYTES))
    files.create()
    keys = [(digest(keyring.pepper, KEY), Key("replay", "replay", "owner"))]
    sources = Sources(load_overlay(), PriceBook(price_table()), providers())
    served = [Served(each) for each in settings.upstreams]
    catalogue = assemble(settings, served, sources, has_local=False, version=1, now_s=0)
    upstreams = {each.name: each for each in settings.upstreams}
    data = compile_snapshot(catalogue, settings, upstreams, keys, version=1, hop=keyring.hop, local_key="")
    snapshot = Snapshot(data, keyring.pepper)
    parts = build_worker(settings, files, keyring, snapshot, _say_nothing, list, str, name="replay", crash_at="")
    upstream = UpstreamConnection(parts.gateway.pool, snapshot.resolve(MODEL).endpoints[0].origin)
    upstream.connection_made(Silent())
    parts.gateway.pool.give_back(upstream)
    caller, client = Silent(), ClientConnection(parts.gateway)
    client.connection_made(caller)
    return caller, client, upstream


def _ask(more: bytes) -> bytes:
    body = PROMPT % (MODEL.encode(), more)
    return HEAD % (KEY, len(body)) + body


def _best_us(work: Callable[[], None], repeats: int) -> float:
    best = float("inf")
    for _ in range(BEST_OF):
        begun = time.thread_time()
        for _ in range(repeats):
            work()
        best = min(best, time.thread_time() - begun)
    return best / repeats * 1e6


def _say_nothing(event: str, **facts: object) -> None:
    """A report nobody reads."""


if __name__ == "__main__":
    main()

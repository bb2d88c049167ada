"""An upstream that does what its scripts say. One script for each connection, in order; the last one repeats."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple

Then = Literal["keep", "close", "reset", "hold"]

USAGE = b'"usage":{"prompt_tokens":25,"completion_tokens":2,"total_tokens":27}'
BODY = b'{"id":"up-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}],%b}'
BODY = BODY % USAGE
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
UNFRAMED_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
EVENTS = (
    b'data: {"id":"up-2","created":7,"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n',
    b'data: {"id":"up-2","created":7,"choices":[{"index":0,"delta":{"content":"two"},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"up-2","created":7,"choices":[],' + USAGE + b"}\n\n",
    b"data: [DONE]\n\n",
)
LAST_CHUNK = b"0\r\n\r\n"
ERROR_EVENT = b'data: {"error":{"message":"the model fell over","code":"model_down"}}\n\n'


def json_answer(body: bytes = BODY, status: bytes = b"200 OK", lines: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream_answer(*events: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, events)) + LAST_CHUNK


JSON = json_answer()
STREAM = stream_answer(*EVENTS)


class Received(NamedTuple):
    head: bytes
    body: bytes


class Peer:
    """One connection, as its script sees it."""

    def __init__(self, chaos: "Chaos", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._chaos = chaos
        self.reader = reader
        self.writer = writer

    async def request(self) -> Received:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        received = Received(head, await self.reader.readexactly(int(length or 0)))
        self._chaos.received.append(received)
        return received

    async def say(self, *parts: bytes, pause_s: float = 0.0) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(pause_s)

    def reset(self) -> None:
        """RST instead of FIN."""
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def hold(self) -> None:
        """Nothing more is said; ends when the other side hangs up."""
        while await self.reader.read(65536):
            pass
        raise ConnectionError("hung up")


Script = Callable[[Peer], Awaitable[None]]


def says(*parts: bytes, then: Then = "keep", pause_s: float = 0.0) -> Script:
    """Answers a request with `parts`, and then the next, or does `then`."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*parts, pause_s=pause_s)
            if then == "close":
                return
            if then == "reset":
                peer.reset()
                return
            if then == "hold":
                await peer.hold()

    return script


async def silent(peer: Peer) -> None:
    """Takes the request and says nothing."""
    await peer.request()
    await peer.hold()


async def deaf(peer: Peer) -> None:
    """Does not even read."""
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # uvloop's transports have it
    await asyncio.Event().wait()


class Chaos:
    """`received`: every request that arrived whole. `hung_up`: set when a caller hung up in the middle of a script."""

    def __init__(self) -> None:
        self.scripts: list[Script] = [says(JSON)]
        self.received: list[Received] = []
        self.connections = 0
        self.hung_up = asyncio.Event()
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, path: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        if path is not None:
            self._server = await asyncio.start_unix_server(self._serve, path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=5)
        for _ in range(3):  # for transports to close: a loop that ends with open ones may never end
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(Peer(self, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()


@asynccontextmanager
async def running(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Chaos]:
    """One that is stopped in any case: a loop that ends while something is open may never end."""
    chaos = Chaos()
    chaos.scripts = list(scripts) or chaos.scripts
    await chaos.start(tls=tls)
    try:
        yield chaos
    finally:
        await chaos.stop()

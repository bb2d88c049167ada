"""Small requests over the same guarded connections that inference uses: lists of models, access tokens."""

import asyncio

from kilo_gateway.core.errors import BadAnswer, UpstreamError, UpstreamRefused
from kilo_gateway.core.types import Origin
from kilo_gateway.http.upstream import Pool, UpstreamConnection
from kilo_gateway.http.wire import Head


class _Answer:
    """Gathers one answer. upstream.Receiver."""

    def __init__(self, head: bytes, body: bytes, limit: int) -> None:
        self.done: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._message = head + b"\r\n", body
        self._limit = limit
        self._status = 0
        self._parts: list[bytes] = []
        self.connection: UpstreamConnection | None = None

    def on_connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        connection.send(self, *self._message)

    def on_head(self, head: Head, lines: bytes) -> None:
        head.refuse_encoding()
        self._status = head.status

    def on_payload(self, payload: bytes) -> None:
        self._parts.append(payload)
        self._limit -= len(payload)
        if self._limit < 0:
            raise BadAnswer("the answer is too long")

    def on_end(self) -> None:
        self.connection = None
        if not self.done.done():
            self.done.set_result((self._status, b"".join(self._parts)))

    def on_lost(self, error: UpstreamError) -> None:
        self.connection = None
        if not self.done.done():
            self.done.set_exception(error)


async def get(pool: Pool, origin: Origin, head: bytes, *, timeout_s: float, limit: int = 64 << 20) -> bytes:
    """The body. Raises UpstreamError, also for any status but 200 (redirects are not followed), and TimeoutError."""
    status, body = await post(pool, origin, head, b"", timeout_s=timeout_s, limit=limit)
    if status == 200:
        return body
    redirected = "; redirects are not followed" if 300 <= status < 400 else ""
    raise UpstreamRefused("", status, f"it answered with status {status}{redirected}")


async def post(
    pool: Pool, origin: Origin, head: bytes, body: bytes, *, timeout_s: float, limit: int
) -> tuple[int, bytes]:
    """Status and body, whatever the status. `head` as `request_head` makes it. Raises UpstreamError and TimeoutError."""
    answer = _Answer(head, body, limit)
    dial = pool.dial(origin, answer)
    try:
        async with asyncio.timeout(timeout_s):
            return await answer.done
    finally:
        dial.cancel()
        if answer.connection is not None:
            answer.connection.abort()

"""Requests that are not inference, passed to the control process as they are, and its answers back."""

import asyncio
from typing import Protocol

from kilo_gateway.core.errors import Overloaded, Unreachable, UpstreamError
from kilo_gateway.core.types import Origin
from kilo_gateway.http import answers
from kilo_gateway.http.upstream import Pool, UpstreamConnection
from kilo_gateway.http.wire import Head

PATIENCE_S = 60.0
RETRY_S = 0.1
RETRIES = 100  # control may be starting, or be restarted
CLIENT_IP_HEADER = b"x-kilo-client-ip"
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"te", b"upgrade", b"expect", b"proxy-connection",
    CLIENT_IP_HEADER,
}  # fmt: skip


class Client(Protocol):
    is_fresh: bool
    patience_s: float
    head_lines: bytes
    is_chunking: bool

    def write(self, data: bytes) -> None: ...
    def answered(self) -> None: ...
    def abort(self) -> None: ...


class Passage:
    def __init__(self, control: Origin, pool: Pool, client: Client) -> None:
        self._control = control
        self._pool = pool
        self._client = client
        self._connection: UpstreamConnection | None = None
        self._message = b"", b""
        self._is_head = self._is_safe = False
        self._has_begun = self._is_gone = self._is_pooled = self._is_framed = False
        self._retries = RETRIES
        self._timer: asyncio.TimerHandle | None = None

    def start(self, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes, client_ip: str) -> None:
        """HEAD goes out as GET, so that its head is the same."""
        self._is_head = method == b"HEAD"
        self._is_safe = method in (b"GET", b"HEAD")  # may be sent again, whatever became of the first
        lines = [b"%b %b HTTP/1.1" % (b"GET" if self._is_head else method, target)]
        lines += [b"Content-Length: %d" % len(body), b"%b: %b" % (CLIENT_IP_HEADER, client_ip.encode())]
        lines += [b"%b: %b" % header for header in headers.items() if header[0].lower() not in _HOP_BY_HOP]
        self._message = b"\r\n".join(lines) + b"\r\n\r\n", body
        self._client.is_fresh = True
        self._client.patience_s = PATIENCE_S
        connection = self._pool.take(self._control)
        if connection is None:
            self._pool.dial(self._control, self)
        else:
            self._is_pooled = True
            self.on_connected(connection)

    def abandon(self) -> None:
        self._is_gone = True
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.abort()

    def silent(self, seconds: float) -> None:
        self._client.abort()

    def cut(self) -> None:
        self._client.abort()

    def progress(self) -> None: ...

    def pause(self) -> None:
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    # upstream.Receiver

    def on_connected(self, connection: UpstreamConnection) -> None:
        if self._is_gone:
            self._pool.give_back(connection)
        else:
            self._connection = connection
            connection.send(self, *self._message)

    def on_head(self, head: Head, lines: bytes) -> None:
        self._has_begun = True
        status, *headers = lines[:-2].split(b"\r\n")
        kept = [line for line in headers if line.partition(b":")[0].lower() not in _HOP_BY_HOP]
        self._is_framed = False
        if head.content_length is not None:
            framing = b"Content-Length: %d\r\n\r\n" % head.content_length
        elif head.status in (204, 304) or not self._client.is_chunking:
            framing = b"\r\n"
        else:
            self._is_framed = not self._is_head
            framing = b"Transfer-Encoding: chunked\r\n\r\n"
        self._client.write(b"\r\n".join([status, *kept, self._client.head_lines + framing]))

    def on_payload(self, payload: bytes) -> None:
        self._client.is_fresh = True
        if not self._is_head:
            self._client.write(b"%x\r\n%b\r\n" % (len(payload), payload) if self._is_framed else payload)

    def on_end(self) -> None:
        self._connection = None
        if self._is_framed:
            self._client.write(b"0\r\n\r\n")
        self._client.answered()

    def on_lost(self, error: UpstreamError) -> None:
        self._connection = None
        if self._is_gone:
            return
        if self._has_begun:
            self._client.abort()
        elif self._retries and (self._is_pooled or self._is_safe or isinstance(error, Unreachable)):
            self._is_pooled = False
            self._retries -= 1
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._pool.dial, self._control, self)
        else:
            refusal = Overloaded("The gateway's control process does not answer; it is being restarted.")
            self._client.write(answers.refusal(refusal, self._client.head_lines))
            self._client.answered()

"""TLS to upstreams: a link between a socket and an upstream connection, with sessions kept.

Neither asyncio nor uvloop has a way to hand a session in, both hold a quarter of a megabyte for each connection, and their
layers cost twice what the encryption does.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import cast

from msgspec import Struct

RECORD_BYTES = 16 * 1024  # no record holds more: https://www.rfc-editor.org/rfc/rfc8446#section-5.1
MAX_SESSIONS = 1_000


class Sessions(Struct):
    """What makes a connection, and what it can resume: that saves the certificates of a host that is known."""

    context: ssl.SSLContext
    known: dict[str, ssl.SSLSession] = {}

    def remember(self, transport: asyncio.Transport, host: str) -> None:
        """Of a connection that has carried an answer: TLS 1.3 sends tickets after the handshake."""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.session is not None and (host in self.known or len(self.known) < MAX_SESSIONS):
            self.known[host] = tls.session


class TlsLink(asyncio.Transport, asyncio.Protocol):
    """The socket's protocol, and the transport of `inner`, which is told of its connection when the handshake is over.

    `opened` is then done; or fails with OSError, of which ssl.SSLError is one.
    """

    __slots__ = ("_incoming", "_inner", "_is_broken", "_is_ended", "_is_open", "_outgoing", "_socket", "_tls", "opened")

    def __init__(self, sessions: Sessions, host: str, inner: asyncio.Protocol) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = sessions.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=host, session=sessions.known.get(host)
        )
        self._inner = inner
        self._is_open = self._is_broken = False
        self._is_ended = False  # the other side said that no more comes
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # The socket's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._is_open:
            self._shake_hands()
            if not self._is_open:
                return
        payload = self._read()
        if self._outgoing.pending:  # the layer's own word, such as new keys
            self._socket.write(self._outgoing.read())
        if payload:
            self._inner.data_received(payload)
        if self._is_broken:
            self._socket.abort()
        elif self._is_ended:
            self._socket.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_open:
            # An end that was not announced may be somebody's cut.
            self._inner.connection_lost(exc or (None if self._is_ended else ssl.SSLEOFError("closed without a word")))
        elif not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("closed during the TLS handshake"))

    # The connection's transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        left = memoryview(data)
        while left:
            left = left[self._tls.write(left) :]
        self._socket.write(self._outgoing.read())

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # their farewell is not waited for
            self._tls.unwrap()
        if self._outgoing.pending and not self._socket.is_closing():
            self._socket.write(self._outgoing.read())
        self._socket.close()

    def abort(self) -> None:
        self._socket.abort()

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._tls if name == "ssl_object" else self._socket.get_extra_info(name, default)

    # Inside

    def _shake_hands(self) -> None:
        failure: OSError | None = None
        try:
            self._tls.do_handshake()
            self._is_open = True
        except ssl.SSLWantReadError:
            pass
        except OSError as error:  # ssl.SSLError is one, and so is what a certificate lacks
            failure = error
        if self._outgoing.pending:
            self._socket.write(self._outgoing.read())
        if failure is not None:
            self._socket.close()  # not abort: they may read why
            if not self.opened.done():
                self.opened.set_exception(failure)
        elif self._is_open:
            self._inner.connection_made(self)
            if not self.opened.done():
                self.opened.set_result(None)

    def _read(self) -> bytes:
        """What is decrypted of all that is there. Asks only where there is something: to be told of nothing is dear."""
        pieces: list[bytes] = []
        tls, incoming = self._tls, self._incoming
        try:
            while incoming.pending or tls.pending():
                piece = tls.read(RECORD_BYTES)
                if not piece:
                    self._is_ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass  # a part of a record
        except ssl.SSLError:
            self._is_broken = True
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def upstream_context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies names and chains against `ca_file`, else the system's certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    else:
        context.load_default_certs()
    return context

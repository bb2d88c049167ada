"""One request as it comes in: where its body ends, and how much of it may come. Knows no connection and no parser."""

import re
from typing import Protocol

from msgspec import Struct

from kilo_gateway.core.client import ClientHeaders
from kilo_gateway.core.errors import HeadersTooLarge, Refusal, TooLarge, UriTooLong
from kilo_gateway.core.exchange import Caller
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.http.heads import Doubtful

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_TARGET_BYTES = 8 * 1024
CHUNK_BYTES = 16  # what a chunk may take besides its content
MAX_FRAMING_BYTES = MAX_HEAD_BYTES  # above that: extensions and trailers
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n").fullmatch
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n").fullmatch


class Request(Struct):
    id: bytes = b""  # the caller's own
    target: bytes = b""
    method: bytes = b""
    dialect: CallerDialect | None = None
    client: ClientHeaders | None = None  # None: its head says nothing of it
    caller: Caller | None = None
    refusal: Refusal | None = None
    parts: list[bytes] = []
    size: int = 0
    seen: int = 0  # bytes of body at the last sign of life
    headers: dict[bytes, bytes] | None = None  # only of what is passed on to control
    head_lines: bytes = b""  # for the answer
    encoding: bytes = b""
    forwarded: bytes = b""  # whom it came from, as proxies say
    ceiling: Nanos | None = None  # what it may cost at most
    expects: bool = False
    keeps_alive: bool = True
    is_chunking: bool = True
    is_plain: bool = False  # nothing in its head but the usual


class IncomingBody(Protocol):
    """Where a request's body ends. `take` keeps what is the body's in `request` and gives what is behind it."""

    is_done: bool

    def take(self, data: bytes) -> bytes: ...


class SizedBody:
    def __init__(self, request: Request, length: int) -> None:
        self._request = request
        self._left = length
        self.is_done = False

    def take(self, data: bytes) -> bytes:
        own = data[: self._left]
        self._left -= len(own)
        self.is_done = self._left == 0
        self._request.size += len(own)
        if self._request.refusal is None:
            self._request.parts.append(own)
        return data[len(own) :]


class ChunkedBody:
    """RFC 9112 section 7.1, to the letter: what could be read in two ways is Doubtful. Extensions and trailers pass by."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._joined = bytearray()  # small chunks would cost more than what is in them
        self._line = b""  # that has no end yet
        self._left = 0  # of a chunk
        self._is_behind_chunk = self._is_in_trailer = self.is_done = False
        self._framing = 0  # bytes that were neither body nor within CHUNK_BYTES

    def take(self, data: bytes) -> bytes:
        at = 0
        while at < len(data):
            if self._left:
                own = data[at : at + self._left]
                at += len(own)
                self._keep(own)
                continue
            end = data.find(b"\n", at) + 1
            line = self._line + data[at : end or len(data)]
            if not end or len(line) > MAX_FRAMING_BYTES:
                self._count(len(line) if len(line) > MAX_FRAMING_BYTES else 0)
                self._line = line
                break
            at, self._line = end, b""
            self._read_line(line)
            if self.is_done:
                self._request.parts = [bytes(self._joined)]
                return data[at:]
        return b""

    def _keep(self, own: bytes) -> None:
        request = self._request
        self._left -= len(own)
        request.size += len(own)
        if request.size > MAX_BODY_BYTES:
            raise body_too_large()
        if request.refusal is None:
            self._joined += own

    def _read_line(self, line: bytes) -> None:
        if line[-2:] != b"\r\n":
            raise Doubtful("A line of a chunked body ends with CR and LF.")
        if self._is_behind_chunk:
            self._is_behind_chunk = False
            if line != b"\r\n":
                raise Doubtful("A chunk is longer than it said.")
        elif self._is_in_trailer:
            self._count(len(line))
            self.is_done = line == b"\r\n"
            if not self.is_done and not _TRAILER(line):
                raise Doubtful("A trailer cannot be read.")
        else:
            found = _SIZE(line)
            if found is None:
                raise Doubtful(f"{line[:20]!r} is no chunk size.")
            self._left = int(found[1], 16)
            if self._left > MAX_BODY_BYTES:
                raise body_too_large()
            self._count(max(len(line) + 2 - CHUNK_BYTES, 0))
            self._is_in_trailer = self._left == 0
            self._is_behind_chunk = not self._is_in_trailer

    def _count(self, framing: int) -> None:
        self._framing += framing
        if self._framing > MAX_FRAMING_BYTES:
            raise framing_too_large()


def body_too_large() -> TooLarge:
    return TooLarge(f"A request body may have at most {MAX_BODY_BYTES} bytes.")


def head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"A request may have {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes of them.")


def target_too_long() -> UriTooLong:
    return UriTooLong(f"A path may have at most {MAX_TARGET_BYTES} bytes.")


def framing_too_large() -> HeadersTooLarge:
    most = f"{CHUNK_BYTES} bytes of framing a chunk, and {MAX_FRAMING_BYTES} more for extensions and trailers"
    return HeadersTooLarge(f"A chunked body may have {most}.")

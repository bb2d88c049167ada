"""HTTP/1.1 framing of answers, as pure functions and small machines over bytes. No sockets, no clock.

A body machine has `feed(data) -> payload` and `is_done`; it does not care where the bytes were cut.
"""

import re
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from kilo_gateway.core.errors import BadAnswer

# One pass in C, however many headers there are: hosted upstreams send two dozen, we read five.
_FIELDS = re.compile(
    rb"\r\n(content-(?:type|length|encoding)|transfer-encoding|connection):[ \t]*([^\r\n]*[^\r\n \t])"
).findall
LINE_END = b"\r\n"

MAX_HEAD_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 1024
MAX_SIZES = 4 * 1024


class Head(Struct, frozen=True):
    status: int
    content_type: bytes  # in lower case
    content_length: int | None
    is_chunked: bool
    keeps_alive: bool
    is_encoded: bool = False

    def refuse_encoding(self) -> None:
        """Where identity was asked for."""
        if self.is_encoded:
            raise BadAnswer("the answer is compressed although identity was asked for")


def read_head(data: bytes) -> tuple[Head, bytes, bytes] | None:
    """The head, its lines as they came, and the bytes after it; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MAX_HEAD_BYTES:
            raise BadAnswer("the answer's head does not end")
        return None
    lines = data[: end + 2]
    return _head(lines[:12], tuple(_FIELDS(lines.lower()))), lines, data[end + 4 :]


@lru_cache(maxsize=512)
def _head(status: bytes, found: tuple[tuple[bytes, bytes], ...]) -> Head:
    """Remembered: in what concerns its framing an upstream's answers are alike, above all those that come in chunks."""
    options = {option.strip() for name, value in found if name == b"connection" for option in value.split(b",")}
    said = {field for field in found if field[0] != b"connection"}
    fields = dict(said)
    length = fields.get(b"content-length")
    if len(said) != len(fields):
        raise BadAnswer("the answer's head says two things about its framing")
    try:
        return Head(
            int(status[9:12]),
            fields.get(b"content-type", b"application/octet-stream"),
            None if length is None else _whole(length),
            fields.get(b"transfer-encoding") == b"chunked",
            b"close" not in options and status[:8] == b"HTTP/1.1",
            fields.get(b"content-encoding", b"identity") != b"identity",
        )
    except ValueError as error:
        raise BadAnswer(f"the answer's head cannot be read: {status!r} {found!r:.80}") from error


class Body(Protocol):
    is_done: bool
    is_dirty: bool  # bytes came after its end: the connection cannot be used again

    def feed(self, data: bytes) -> bytes: ...


def _whole(number: bytes) -> int:
    if not number.isdigit():
        raise ValueError(f"not a length: {number!r}")
    return int(number)


def header(lines: bytes, name: bytes) -> str:
    """A header's value, for those few that are read once in a while. `name` in lower case."""
    found = re.search(rb"\r\n" + re.escape(name) + rb":[ \t]*([^\r\n]*)", lines, re.IGNORECASE)
    return found[1].decode("latin-1").strip() if found else ""


def body_of(head: Head) -> Body:
    """RFC 9112 section 6.3: chunked wins over a length; neither means until the connection closes."""
    if head.is_chunked:
        return ChunkedBody()
    if head.status in (204, 304):
        return LengthBody(0)
    if head.content_length is not None:
        return LengthBody(head.content_length)
    return BodyUntilClose()


class LengthBody:
    __slots__ = ("_left", "is_dirty", "is_done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_dirty = False
        self.is_done = length == 0

    def feed(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left <= 0:
            self.is_done = True
            if self._left < 0:
                self.is_dirty = True
                return data[: self._left]
        return data


class BodyUntilClose:
    """Done only when the connection is; whether that was too early, the translator can tell by its content."""

    is_done = is_dirty = False

    def feed(self, data: bytes) -> bytes:
        return data


class ChunkedBody:
    """Takes chunk framing off. `_line` is what came since a chunk's last byte: the next chunk's size, between two line ends.

    The body begins as if it stood behind a chunk, so that each size is read and the line end before it checked in one step.
    """

    __slots__ = ("_in_trailer", "_left", "_line", "is_dirty", "is_done")

    def __init__(self) -> None:
        self.is_done = self.is_dirty = self._in_trailer = False
        self._left = 0  # of a chunk
        self._line = LINE_END

    def feed(self, data: bytes) -> bytes:
        if self._line is LINE_END:
            # Mostly a read is one chunk, whole: a chat completion's events come one by one.
            end = data.find(LINE_END)
            if end > 0 and 0 < _sizes[data[:end]] == len(data) - end - 4 and data[-2:] == LINE_END:
                return data[end + 2 : -2]
        return self._feed_any(data)

    def _feed_any(self, data: bytes) -> bytes:
        payload: list[bytes] = []
        at = 0
        if self._left:
            payload.append(data[: self._left])
            at = self._left
        elif self._line:
            data = self._line + data
        size = len(data)
        while not self._in_trailer and (end := data.find(LINE_END, at + 2)) >= 0:
            length = _later_sizes[data[at:end]]
            if length < 0:
                raise _broken(data[at:end], payload)
            at = end + 2 + length
            if length:
                payload.append(data[end + 2 : at])
            self._in_trailer = not length
        self._left = max(at - size, 0)
        if self._in_trailer:
            self._end(data[at:])
        else:
            self._keep(data[at:], payload)
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _keep(self, line: bytes, before: list[bytes]) -> None:
        self._line = LINE_END if line == LINE_END else line
        if not LINE_END.startswith(line[:2]):
            raise _broken(line, before)
        if len(line) > MAX_LINE_BYTES:
            raise BadAnswer("a chunk's size line does not end")

    def _end(self, data: bytes) -> None:
        """Trailers are passed over, up to the empty line."""
        at = 0
        while (end := data.find(LINE_END, at)) > at:
            at = end + 2
        self._line = data[at:]
        if end == at:
            self.is_done = True
            self.is_dirty = end + 2 != len(data)
        elif len(self._line) > MAX_LINE_BYTES:
            raise BadAnswer("a trailer's line does not end")


class _Sizes(dict[bytes, int]):
    """What a chunk's size line says; -1: nothing. Remembered: looking up takes half as long as `int`, which takes more."""

    def __init__(self, before: bytes) -> None:
        self._read = re.compile(re.escape(before) + rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?").fullmatch

    def __missing__(self, line: bytes) -> int:
        found = self._read(line)
        size = int(found[1], 16) if found else -1
        if len(self) < MAX_SIZES and len(line) < 12:
            self[line] = size
        return size


_sizes, _later_sizes = _Sizes(b""), _Sizes(LINE_END)


def _broken(line: bytes, before: list[bytes]) -> BadAnswer:
    """`before`: the chunks so far. If it is the last one's line end that is wrong, so may be its length."""
    if line[:2] == LINE_END:
        error = BadAnswer(f"the upstream sent a bad chunk size: {line[2:22]!r}")
    else:
        error = BadAnswer(f"the upstream sent {line[:2]!r} where a chunk should end")
        del before[-1:]
    error.before = b"".join(before)
    return error

"""One request as it comes in, and how much of it may come. Knows no connection and no parser."""

from msgspec import Struct

from kilo_gateway.core.errors import HeadersTooLarge, Refusal, TooLarge, UriTooLong
from kilo_gateway.core.exchange import Caller
from kilo_gateway.core.ports import CallerDialect

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_TARGET_BYTES = 8 * 1024
CHUNK_BYTES = 16  # what a chunk may take besides its content
MAX_FRAMING_BYTES = MAX_HEAD_BYTES  # above that: extensions and trailers


class Request(Struct):
    id: bytes = b""  # the caller's own
    target: bytes = b""
    method: bytes = b""
    dialect: CallerDialect | None = None
    caller: Caller | None = None
    refusal: Refusal | None = None
    parts: list[bytes] = []
    size: int = 0
    unseen: int = 0  # body bytes since the last sign of life
    headers: dict[bytes, bytes] | None = None  # only of what is passed on to control
    head_lines: bytes = b""  # for the answer
    encoding: bytes = b""
    hops: bytes = b""
    expects: bool = False
    offers_upgrade: bool = False
    keeps_alive: bool = True
    is_chunking: bool = True
    chunks: "Chunks | None" = None  # when its body comes in some


class Chunks:
    """What a chunked body takes besides itself."""

    def __init__(self) -> None:
        self._framing = 0  # bytes that were neither body nor within CHUNK_BYTES
        self._joined = -1  # parts that are a whole piece each; -1: before the first piece
        self._counted = 0  # bytes of body

    def take(self, request: Request, wire: int) -> bool:
        """After each piece, of `wire` bytes. False: there is more framing than may be.

        A piece's chunks are made one part, for a part costs more than the byte that may be in it. The first piece is not
        counted: the head is in it.
        """
        is_first, parts, joined = self._joined < 0, request.parts, max(self._joined, 0)
        new = parts[joined:]
        if new:
            parts[joined:] = [b"".join(new)]
        self._joined = len(parts)
        body, self._counted = request.size - self._counted, request.size
        if not is_first:
            self._framing = max(0, self._framing + wire - body - CHUNK_BYTES * len(new))
        return self._framing <= MAX_FRAMING_BYTES


def body_too_large() -> TooLarge:
    return TooLarge(f"A request body may have at most {MAX_BODY_BYTES} bytes.")


def head_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"A request may have {MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes of them.")


def target_too_long() -> UriTooLong:
    return UriTooLong(f"A path may have at most {MAX_TARGET_BYTES} bytes.")


def framing_too_large() -> HeadersTooLarge:
    most = f"{CHUNK_BYTES} bytes of framing a chunk, and {MAX_FRAMING_BYTES} more for extensions and trailers"
    return HeadersTooLarge(f"A chunked body may have {most}.")

"""Request bodies that came compressed. Bounded before and after; off the loop, for a small one can unpack to a large one."""

import asyncio
import zlib
from collections.abc import Callable

import zstandard

from kilo_gateway.core.errors import BadRequest, Refusal, TooLarge

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1024 * 1024
_FED = 4096


class UnsupportedEncoding(Refusal):
    status = 415
    code = "unsupported_encoding"


def known(encoding: bytes) -> bytes:
    """The encoding's own name; empty for identity. Raises UnsupportedEncoding."""
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return b""
    if name in (b"gzip", b"x-gzip"):
        return b"gzip"
    if name == b"zstd":
        return name
    raise UnsupportedEncoding(f"Content-Encoding {encoding[:40].decode('latin-1')!r} is not known here; use gzip or zstd.")


def unpack(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Raises TooLarge above `limit` bytes, BadRequest for what is not in that encoding."""
    try:
        return _gunzip(body, limit) if encoding == b"gzip" else _unzstd(body, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise BadRequest(f"The body is not {encoding.decode()}: {error}.") from error


class Unpacking:
    """What is active on a caller's connection while its body is unpacked in a thread."""

    def __init__(self, body: bytes, encoding: bytes, limit: int, then: Callable[[bytes | Refusal], None]) -> None:
        self._then: Callable[[bytes | Refusal], None] | None = then
        work = asyncio.get_running_loop().run_in_executor(None, unpack, body, encoding, limit)
        work.add_done_callback(self._done)

    def abandon(self) -> None:
        self._then = None

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def silent(self, seconds: float) -> None: ...
    def cut(self) -> None: ...
    def progress(self) -> None: ...

    def _done(self, work: asyncio.Future[bytes]) -> None:
        then, self._then = self._then, None
        if then is None or work.cancelled():
            return
        error = work.exception()
        if error is None:
            then(work.result())
        else:
            then(error if isinstance(error, Refusal) else BadRequest(f"The body cannot be unpacked: {error}."))


def _gunzip(body: bytes, limit: int) -> bytes:
    """One member after another, https://www.rfc-editor.org/rfc/rfc1952#page-5"""
    found: list[bytes] = []
    left = limit
    while body:
        machine = zlib.decompressobj(_GZIP)
        found.append(machine.decompress(body, left + 1))
        left -= len(found[-1])
        if left < 0 or machine.unconsumed_tail:
            raise _too_large(limit)
        if not machine.eof:
            raise EOFError("it ends too early")
        body = machine.unused_data
    return b"".join(found)


def _unzstd(body: bytes, limit: int) -> bytes:
    """One frame after another, https://www.rfc-editor.org/rfc/rfc8878#section-3.1"""
    found: list[bytes] = []
    left = limit
    while body:
        machine = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(write_size=_PIECE)
        # A piece unpacks to at most some 128 MB: blocks are 128 KB at most and take 3 bytes at least.
        for at in range(0, len(body), _FED):
            found.append(machine.decompress(body[at : at + _FED]))
            left -= len(found[-1])
            if left < 0:
                raise _too_large(limit)
            if machine.eof:
                break
        if not machine.eof:
            raise EOFError("it ends too early")
        body = machine.unused_data + body[at + _FED :]
    return b"".join(found)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The unpacked body is larger than {limit} bytes.")

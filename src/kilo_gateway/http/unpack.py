"""Request bodies that came compressed. Bounded before and after; off the loop, for a small one can unpack to a large one."""

import asyncio
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import zstandard

from kilo_gateway.core.errors import BadRequest, Overloaded, Refusal, TooLarge

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 1024 * 1024
MAX_MEMBERS = 64  # an honest body has one, or a few
THREADS = 2
PATIENCE_S = 30.0  # with the wait for the bodies before it


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


def unpack(body: bytes, encoding: bytes, limit: int, go_on: Callable[[], None] = lambda: None) -> bytes:
    """Raises TooLarge above `limit` bytes, BadRequest for what is not in that encoding.

    `go_on` is called for each piece; what it raises ends the work.
    """
    machine_of, fed = _MACHINES[encoding]
    try:
        return _unpack(body, machine_of, fed, limit, go_on)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise BadRequest(f"The body is not {encoding.decode()}: {error}.") from error


class Machine(Protocol):
    """Unpacks one member, or frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: memoryview, /) -> bytes: ...


class Unpacking:
    """What is active on a caller's connection while its body is unpacked in a thread. It ends when the caller leaves."""

    def __init__(
        self, pool: ThreadPoolExecutor, body: bytes, encoding: bytes, limit: int, then: Callable[[bytes | Refusal], None]
    ) -> None:
        self._then: Callable[[bytes | Refusal], None] | None = then
        work = asyncio.get_running_loop().run_in_executor(pool, unpack, body, encoding, limit, self._go_on)
        work.add_done_callback(self._done)

    def abandon(self) -> None:
        self._then = None

    def cut(self) -> None:
        self._give_up("The gateway is ending; ask again.")

    def silent(self, seconds: float) -> None:
        self._give_up("The body was not unpacked in time; ask again, or send it without Content-Encoding.")

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def progress(self) -> None: ...

    def _give_up(self, why: str) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(Overloaded(why))

    def _go_on(self) -> None:
        """In the thread."""
        if self._then is None:
            raise EOFError("nobody waits for it")

    def _done(self, work: asyncio.Future[bytes]) -> None:
        error = None if work.cancelled() else work.exception()  # asked for, or asyncio complains that nobody did
        then, self._then = self._then, None
        if then is None or work.cancelled():
            return
        if error is None:
            then(work.result())
        else:
            then(error if isinstance(error, Refusal) else BadRequest(f"The body cannot be unpacked: {error}."))


def _unpack(body: bytes, machine_of: Callable[[], Machine], fed: int, limit: int, go_on: Callable[[], None]) -> bytes:
    """One member after another: https://www.rfc-editor.org/rfc/rfc1952#page-5 https://www.rfc-editor.org/rfc/rfc8878#section-3.1

    Nothing is read twice, so the time is that of the bytes, whatever they say.
    """
    found: list[bytes] = []
    left, at = limit, 0
    whole = memoryview(body)
    for _ in range(MAX_MEMBERS):
        machine = machine_of()
        while not machine.eof:
            go_on()
            piece = whole[at : at + fed]
            if not piece:
                raise EOFError("it ends too early")
            found.append(machine.decompress(piece))
            at += len(piece)
            left -= len(found[-1])
            if left < 0:
                raise _too_large(limit)
        at -= len(machine.unused_data)
        if at == len(whole):
            return b"".join(found)
    raise BadRequest(f"The body is packed in more than {MAX_MEMBERS} pieces.")


def _gunzip() -> Machine:
    return zlib.decompressobj(_GZIP)


def _unzstd() -> Machine:
    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(write_size=_PIECE)


# A piece of zstd unpacks to at most some 128 MB: blocks are 128 KB at most and take 3 bytes at least. One of gzip to 67 MB.
_MACHINES: dict[bytes, tuple[Callable[[], Machine], int]] = {b"gzip": (_gunzip, 65_536), b"zstd": (_unzstd, 4_096)}


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The unpacked body is larger than {limit} bytes.")

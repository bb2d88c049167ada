"""Fetches images and files that a request names by URL, for upstreams that want bytes. Knows no request and no dialect.

All that is asked for here is hostile: who named it is a caller, and who answers is whom he named. Connections go where the
guard lets them (http/guard.py), one for each answer; no cookie, no credential and nothing of the caller's is sent.
"""

import asyncio
import binascii
import re
from collections import deque
from collections.abc import Mapping

from msgspec import Struct

from kilo_gateway.core.brand import PACKAGE
from kilo_gateway.core.errors import Overloaded, Refusal, UpstreamError
from kilo_gateway.http.media_urls import NotFetched, Place, Trusted, place_of, redirected
from kilo_gateway.http.upstream import Dialer, Pool, UpstreamConnection
from kilo_gateway.http.wire import Head, header

_REDIRECTS = (301, 302, 303, 307, 308)
_SIGN_BYTES = 12  # of a file tell its type
_SIGNS = re.compile(
    rb"(?P<png>\x89PNG\r\n\x1a\n)|(?P<jpeg>\xff\xd8\xff)|(?P<gif>GIF8[79]a)|(?P<webp>RIFF.{4}WEBP)|(?P<pdf>%PDF-)", re.DOTALL
).match


class Bounds(Struct, frozen=True):
    """`seconds` and `bytes` are of one request; `held_bytes` and `requests` of all that a worker has at a time."""

    seconds: float = 10.0
    bytes: int = 20 * 1024 * 1024
    urls: int = 32
    at_once: int = 4
    redirects: int = 3
    requests: int = 64
    held_bytes: int = 256 * 1024 * 1024


class Fetched(Struct, frozen=True):
    """`data`: data: URLs by address. `size` bytes are held until they are given back with `Fetcher.release`."""

    data: dict[str, str]
    size: int


class Fetcher:
    """`dialer` must be one without a proxy: that would look names up itself, where no guard sees what it finds."""

    def __init__(self, dialer: Dialer, trusted: Trusted, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.held_bytes = self.requests = 0
        self._dialer = dialer
        self._trusted = trusted

    async def fetch(self, wanted: Mapping[str, frozenset[str]]) -> Fetched:
        """`wanted`: addresses, with the media types that will do. Raises NotFetched, Overloaded; then nothing is held."""
        bounds = self.bounds
        if len(wanted) > bounds.urls:
            raise NotFetched("", "too_many", f"the request has {len(wanted)} URLs, more than {bounds.urls}")
        errands = deque(_Errand(place_of(url, self._trusted), kinds) for url, kinds in wanted.items())
        if self.requests >= bounds.requests:
            raise Overloaded("Too many images and files are being fetched; ask again.")
        self.requests += 1
        ration = _Ration(self)
        try:
            return Fetched(await self._fetch_all(errands, ration), ration.taken)
        except BaseException:
            self.release(ration.taken)
            raise
        finally:
            self.requests -= 1

    def release(self, size: int) -> None:
        self.held_bytes -= size

    async def _fetch_all(self, errands: "deque[_Errand]", ration: "_Ration") -> dict[str, str]:
        """The first that fails ends all others."""
        found: dict[str, str] = {}
        ends_at = asyncio.get_running_loop().time() + self.bounds.seconds

        async def work() -> None:
            while errands:
                errand = errands.popleft()
                found[errand.place.url] = await self._run(errand, ration, ends_at)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.bounds.at_once, len(errands))):
                    group.create_task(work())
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return found

    async def _run(self, errand: "_Errand", ration: "_Ration", ends_at: float) -> str:
        """The data: URL. What is told names the host that the caller wrote, wherever he was sent from there."""
        place, host = errand.place, errand.place.origin.host
        for _ in range(self.bounds.redirects + 1):
            getting = _Getting(place, host, errand.kinds, ration)
            await self._get(getting, ends_at)
            if not getting.location:
                return _data_url(getting.kind, getting.data)
            try:
                place = redirected(place, getting.location, self._trusted)
            except NotFetched as error:
                raise NotFetched(host, "redirect", "it redirects to where nothing is fetched from", str(error)) from error
        raise NotFetched(host, "redirect", f"it redirects more than {self.bounds.redirects} times")

    async def _get(self, getting: "_Getting", ends_at: float) -> None:
        """The pool is of this one alone: origins that callers name are not to be remembered."""
        pool = Pool(self._dialer)
        dial = pool.dial(getting.place.origin, getting)
        try:
            async with asyncio.timeout_at(ends_at):
                await getting.done
        except TimeoutError:
            raise getting.too_slow(self.bounds.seconds) from None
        finally:
            dial.cancel()
            if getting.connection is not None:
                getting.connection.abort()
            pool.close()


class _Errand(Struct, frozen=True):
    place: Place
    kinds: frozenset[str]


class _Ration:
    """What all answers for one request may have together. It is counted as it comes, whatever was announced."""

    def __init__(self, fetcher: Fetcher) -> None:
        self.taken = 0
        self._fetcher = fetcher

    def refusal(self, host: str, size: int) -> Refusal | None:
        """Why so many bytes more are too many."""
        limit = self._fetcher.bounds.bytes
        if self.taken + size > limit:
            return NotFetched(host, "too_large", f"with it this request has more than {limit >> 20} MiB of them")
        if self._fetcher.held_bytes + size > self._fetcher.bounds.held_bytes:
            return Overloaded("Too many images and files are held at the moment; ask again.")
        return None

    def take(self, size: int) -> None:
        self.taken += size
        self._fetcher.held_bytes += size


class _Getting:
    """One answer: `data` of this `kind`, or the `location` to look at instead. upstream.Receiver."""

    def __init__(self, place: Place, host: str, kinds: frozenset[str], ration: _Ration) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.place = place
        self.connection: UpstreamConnection | None = None
        self.data = bytearray()
        self.kind = self.location = ""
        self._host, self._kinds, self._ration = host, kinds, ration
        self._has_head = False

    def too_slow(self, seconds: float) -> NotFetched:
        if self.connection is None:
            return self._out_of_reach("no connection in time")
        return NotFetched(self._host, "timeout", f"it did not come within {seconds:g} s")

    # upstream.Receiver

    def on_connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        connection.send(self, _request(self.place, self._kinds), b"")

    def on_head(self, head: Head, lines: bytes) -> None:
        self._has_head = True
        if head.status in _REDIRECTS:
            self.location = header(lines, b"location")
            if self.location:
                self._end()
                return
        if head.status != 200:
            self._fail(NotFetched(self._host, "status", f"the answer's status is {head.status}"))
        elif head.is_encoded:
            self._fail(NotFetched(self._host, "encoding", "it came compressed although identity was asked for"))
        elif not head.is_chunked and (refusal := self._ration.refusal(self._host, head.content_length or 0)) is not None:
            self._fail(refusal)

    def on_payload(self, payload: bytes) -> None:
        if self.done.done():
            return
        refusal = self._ration.refusal(self._host, len(payload))
        if refusal is not None:
            self._fail(refusal)
            return
        self._ration.take(len(payload))
        self.data += payload
        if not self.kind and len(self.data) >= _SIGN_BYTES:
            self._look_at_kind()

    def on_end(self) -> None:
        if not self.kind and not self.done.done():
            self._look_at_kind()
        self._end()

    def on_lost(self, error: UpstreamError) -> None:
        if self._has_head:
            self._fail(NotFetched(self._host, "broken", "the answer broke off", str(error)))
        else:
            self._fail(self._out_of_reach(str(error)))

    # Inside

    def _look_at_kind(self) -> None:
        """By its first bytes, whatever its Content-Type says: that is what the upstream will go by."""
        self.kind = kind_of(self.data)
        if self.kind not in self._kinds:
            wanted = ", ".join(sorted(self._kinds))
            self._fail(NotFetched(self._host, "type", f"it is none of {wanted}", f"it begins {bytes(self.data[:16])!r}"))

    def _out_of_reach(self, why: str) -> NotFetched:
        """Refused by the guard, by the host, or by nobody: all the same to the caller."""
        return NotFetched(self._host, "unreachable", "it cannot be reached", f"{self.place.authority}: {why}")

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _fail(self, error: Refusal) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def kind_of(data: bytes | bytearray) -> str:
    """The media type by its first bytes; nothing for any but those that are fetched."""
    found = _SIGNS(data)
    if found is None:
        return ""
    return "application/pdf" if found.lastgroup == "pdf" else f"image/{found.lastgroup}"


def _request(place: Place, kinds: frozenset[str]) -> bytes:
    lines = (
        f"GET {place.target} HTTP/1.1", f"Host: {place.authority}", f"User-Agent: {PACKAGE}",
        f"Accept: {', '.join(sorted(kinds))}", "Accept-Encoding: identity", "Connection: close",
    )  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _data_url(kind: str, data: bytearray) -> str:
    return f"data:{kind};base64,{binascii.b2a_base64(data, newline=False).decode('ascii')}"

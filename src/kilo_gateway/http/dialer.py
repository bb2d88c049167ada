"""Making connections to upstreams: guarded addresses, a tunnel through HTTPS_PROXY where one is set, TLS."""

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import cast

from msgspec import Struct

from kilo_gateway.core.errors import Unreachable, UpstreamError
from kilo_gateway.core.types import Origin
from kilo_gateway.http import guard
from kilo_gateway.http.tls import Sessions, TlsLink
from kilo_gateway.http.upstream import Pool, Receiver, UpstreamConnection
from kilo_gateway.http.wire import read_head


class Proxy(Struct, frozen=True):
    """HTTPS_PROXY, and what NO_PROXY spares from it, in lower case. `credential` is `user:password` or nothing."""

    origin: Origin
    credential: str = ""
    spared: tuple[str, ...] = ()

    def spares(self, origin: Origin) -> bool:
        host = origin.host.lower()
        return any(_is_meant(entry, host, origin.port) for entry in self.spared)


class GuardedDialer:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, tls: Callable[[], ssl.SSLContext], proxy: Proxy | None,
        resolve: guard.Resolve | None = None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._make_tls = tls
        self._tls: Sessions | None = None  # reading the system's certificates takes 20 ms: when first needed
        self._proxy = proxy
        self._resolve = resolve
        self._dials: set[asyncio.Task[None]] = set()

    def dial(self, pool: Pool, origin: Origin, receiver: Receiver) -> asyncio.Task[None]:
        task = self._loop.create_task(self._dial(pool, origin, receiver))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)
        return task

    def on_first_rest(self, connection: UpstreamConnection) -> None:
        if self._tls is not None:
            self._tls.remember(connection.transport, connection.origin.host)

    async def _dial(self, pool: Pool, origin: Origin, receiver: Receiver) -> None:
        connection = UpstreamConnection(pool, origin)
        try:
            if origin.unix_path:
                await self._loop.create_unix_connection(lambda: connection, origin.unix_path)
            elif self._proxy is not None and origin.is_tls and not self._proxy.spares(origin):
                await self._through(self._proxy, connection)
            else:
                await self._directly(connection)
        except UpstreamError as error:
            receiver.on_lost(error)
        except (OSError, ValueError) as error:  # the latter: a name that TLS cannot ask for
            receiver.on_lost(Unreachable(f"{_name(origin)} cannot be connected to: {error}."))
        else:
            receiver.on_connected(connection)

    async def _directly(self, connection: UpstreamConnection) -> None:
        origin = connection.origin
        failure: OSError | None = None
        for address in await guard.addresses_of(self._loop, origin, self._resolve):
            try:
                if origin.is_tls:
                    transport, _ = await self._loop.create_connection(asyncio.Protocol, address, origin.port)
                    await self._secure(transport, connection)
                else:
                    await self._loop.create_connection(lambda: connection, address, origin.port)
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
            else:
                return
        raise failure or Unreachable(f"{_name(origin)} has no address.")

    async def _through(self, proxy: Proxy, connection: UpstreamConnection) -> None:
        """CONNECT, https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6; the proxy resolves the name."""
        origin = connection.origin
        if guard.is_private_literal(origin.host) and not origin.is_trusted:
            raise Unreachable(f"{_name(origin)} is not connected to: it is not a public address.")
        tunnel = _Tunnel(self._loop, origin, proxy.credential)
        failure: OSError | None = None
        for address in await guard.addresses_of(self._loop, proxy.origin):
            try:
                await self._loop.create_connection(lambda: tunnel, address, proxy.origin.port)
                break
            except OSError as error:
                failure = error
        else:
            raise failure or Unreachable(f"the proxy {_name(proxy.origin)} has no address.")
        with _aborted_on_failure(tunnel.transport):
            await tunnel.opened
            await self._secure(tunnel.transport, connection)

    async def _secure(self, transport: asyncio.Transport, connection: UpstreamConnection) -> None:
        with _aborted_on_failure(transport):
            if transport.is_closing():  # its loss has been told already, to nobody
                raise ConnectionResetError("closed before the TLS handshake")
            if self._tls is None:
                self._tls = Sessions(self._make_tls())
            link = TlsLink(self._tls, connection.origin.host, connection)
            transport.set_protocol(link)
            link.connection_made(transport)
            await link.opened


@contextmanager
def _aborted_on_failure(transport: asyncio.Transport) -> Iterator[None]:
    """Whoever stops waiting, for whatever reason, leaves no socket behind. One that closes is given the time to say why."""
    try:
        yield
    except BaseException:
        if not transport.is_closing():
            transport.abort()
        raise


class _Tunnel(asyncio.Protocol):
    """Speaks with the proxy until the tunnel stands."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin, credential: str) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._origin = origin
        self._credential = credential
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        lines = [f"CONNECT {_name(self._origin)} HTTP/1.1", f"Host: {_name(self._origin)}"]
        if self._credential:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(self._credential.encode()).decode()}")
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        self._answer += data
        try:
            found = read_head(self._answer)
        except UpstreamError as error:
            self._end(error)
            return
        if found is not None and not 200 <= found[0].status < 300:
            self._end(Unreachable(f"the proxy refused a tunnel to {_name(self._origin)}: status {found[0].status}."))
        elif found is not None:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Unreachable("the proxy closed the connection."))

    def _end(self, error: UpstreamError | None) -> None:
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(error)
            self.transport.abort()


def _is_meant(entry: str, host: str, port: int) -> bool:
    """`entry`: `*`, a name with all below it, an address or a network; but for the latter a port may follow."""
    name, _, own_port = entry.rpartition(":")
    if own_port.isdigit() and name and (":" not in name or name.endswith("]")):  # else it is a part of an IPv6 address
        if int(own_port) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    if entry == "*" or host == entry or host.endswith("." + entry):
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _name(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return origin.unix_path or f"{host}:{origin.port}"

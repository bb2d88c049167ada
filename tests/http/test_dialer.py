"""Connections that are dialled: over TLS with sessions kept, through a proxy, and never to a guarded address."""

import asyncio

import pytest
from tests.bench import Bench, InLoop, Run, Wishes
from tests.chaos import Peer, Script, running
from tests.http.certificates import server_tls

from kilo_gateway.core.errors import UpstreamError
from kilo_gateway.core.types import Origin
from kilo_gateway.http.dialer import GuardedDialer, Proxy
from kilo_gateway.http.tls import upstream_context
from kilo_gateway.http.upstream import Pool, UpstreamConnection
from kilo_gateway.http.wire import Head


class Receiver:
    """What becomes of a dial."""

    def __init__(self) -> None:
        self.done: asyncio.Future[UpstreamConnection] = asyncio.get_running_loop().create_future()

    def on_connected(self, connection: UpstreamConnection) -> None:
        self.done.set_result(connection)

    def on_lost(self, error: UpstreamError) -> None:
        self.done.set_exception(error)

    def on_head(self, head: Head, lines: bytes) -> None: ...
    def on_payload(self, payload: bytes) -> None: ...
    def on_end(self) -> None: ...


async def dial(origin: Origin, proxy: Proxy | None = None, ca_file: str | None = None) -> str:
    """Nothing when connected, else why not."""
    pool = Pool(GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(ca_file), proxy))
    receiver = Receiver()
    pool.dial(origin, receiver)
    try:
        connection = await asyncio.wait_for(receiver.done, 10)
    except UpstreamError as error:
        return str(error)
    connection.abort()
    for _ in range(5):
        await asyncio.sleep(0)
    return ""


def test_a_tls_upstream_answers_and_its_session_is_used_again(run: Run, certificate: str) -> None:
    async def test(bench: Bench) -> None:
        reused = []

        async def once(peer: Peer) -> None:
            tls = peer.writer.get_extra_info("ssl_object")
            reused.append(tls.session_reused)
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        bench.first.scripts = [once]
        for n in range(3):
            assert (await bench.call()).status == 200
            await bench.until(lambda n=n: bench.first.hung_up.is_set() or bench.gateway.pool.take(_origin(bench)) is None)  # type: ignore[misc]
        assert reused[0] is False
        assert any(reused[1:])

    run(test, Wishes(is_tls=True, ca_file=certificate))


def _origin(bench: Bench) -> Origin:
    return Origin("localhost", bench.first.port, True, is_trusted=True)


@pytest.mark.parametrize(("host", "is_known", "is_fine"), [("localhost", True, True), ("localhost", False, False), ("127.0.0.1", True, False)])
def test_a_certificate_has_to_be_known_and_for_that_name(
    in_loop: InLoop, certificate: str, host: str, is_known: bool, is_fine: bool
) -> None:
    async def test() -> None:
        async with running(tls=server_tls(certificate)) as chaos:
            origin = Origin(host, chaos.port, True, is_trusted=True)
            assert (await dial(origin, ca_file=certificate if is_known else None) == "") == is_fine

    in_loop(test)


async def says_nothing(peer: Peer) -> None:
    await peer.hold()


async def says_yes_and_no_more(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")
    await peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await peer.hold()


async def begins_an_answer(peer: Peer) -> None:
    await peer.say(b"HTTP/1.1 200 Connection")
    await peer.hold()


@pytest.mark.parametrize("script", [says_nothing, says_yes_and_no_more, begins_an_answer])
@pytest.mark.parametrize("is_proxy", [True, False])
def test_a_dial_that_is_given_up_leaves_no_socket(in_loop: InLoop, script: Script, is_proxy: bool) -> None:
    async def test() -> None:
        async with running(script) as front:
            here = Origin("127.0.0.1", front.port, not is_proxy, is_trusted=True)
            pool = Pool(GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(None), Proxy(here) if is_proxy else None))
            dialled = pool.dial(Origin("api.example.org", 443, True) if is_proxy else here, Receiver())
            async with asyncio.timeout(10):
                while not front.connections:  # there is no event for what the kernel does
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.01)  # so that it waits for more
                dialled.cancel()
                await front.hung_up.wait()

    in_loop(test)


@pytest.mark.parametrize("is_proxy", [True, False])
def test_a_connection_that_cannot_be_secured_leaves_no_socket(in_loop: InLoop, is_proxy: bool) -> None:
    async def test() -> None:
        async with running(says_yes_and_no_more if is_proxy else says_nothing) as front:
            here = Origin("127.0.0.1", front.port, not is_proxy, is_trusted=True)
            origin = Origin("api.example.org", 443, True) if is_proxy else here
            assert "cannot be connected to" in await dial(origin, Proxy(here) if is_proxy else None, ca_file="/no/such/file")
            await asyncio.wait_for(front.hung_up.wait(), 10)

    in_loop(test)


def test_a_name_that_tls_cannot_ask_for_is_an_unreachable_upstream(in_loop: InLoop) -> None:
    async def test() -> None:
        async with running(says_yes_and_no_more) as front:
            proxy = Proxy(Origin("127.0.0.1", front.port, is_trusted=True))
            assert "cannot be connected to" in await dial(Origin(".example.org", 443, True), proxy)
            await asyncio.wait_for(front.hung_up.wait(), 10)

    in_loop(test)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_a_guarded_address_is_not_even_tried(in_loop: InLoop, host: str) -> None:
    async def test() -> None:
        async with running() as chaos:
            assert "is not connected to" in await dial(Origin(host, chaos.port))
            assert chaos.connections == 0

    in_loop(test)


class Tunnel:
    """A proxy: answers CONNECT and carries bytes to a fixed port, whatever was asked for."""

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.port = port
        self.answer = answer
        self.asked = b""

    async def __call__(self, peer: Peer) -> None:
        self.asked = await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(self.answer)
        if b" 200 " not in self.answer:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        back = asyncio.create_task(_carry(reader, peer.writer))
        try:
            await _carry(peer.reader, writer)
        finally:
            back.cancel()
            writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


def test_a_proxy_is_used_for_tls_and_told_who_we_are(in_loop: InLoop, certificate: str) -> None:
    async def test() -> None:
        async with running(tls=server_tls(certificate)) as chaos:
            tunnel = Tunnel(chaos.port)
            async with running(tunnel) as front:
                proxy = Proxy(Origin("127.0.0.1", front.port, is_trusted=True), "user:word")
                assert await dial(Origin("localhost", 443, True, is_trusted=True), proxy, certificate) == ""
                assert tunnel.asked.startswith(b"CONNECT localhost:443 HTTP/1.1\r\n")
                assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n" in tunnel.asked

    in_loop(test)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 No\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1 200"])
def test_a_proxy_that_refuses_is_an_unreachable_upstream(in_loop: InLoop, answer: bytes) -> None:
    async def test() -> None:
        async with running(Tunnel(0, answer.replace(b"HTTP/1.1 200", b"HTTP/1.1"))) as front:
            assert await dial(Origin("api.example.org", 443, True), Proxy(Origin("127.0.0.1", front.port, is_trusted=True)))

    in_loop(test)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1"])
def test_a_private_address_is_not_asked_of_a_proxy(in_loop: InLoop, host: str) -> None:
    async def test() -> None:
        async with running() as front:
            told = await dial(Origin(host, 443, True), Proxy(Origin("127.0.0.1", front.port, is_trusted=True)))
            assert "is not connected to" in told
            assert front.connections == 0

    in_loop(test)


@pytest.mark.parametrize(
    ("host", "is_spared"),
    [("example.org", True), ("api.example.org", True), ("EXAMPLE.ORG", True), ("badexample.org", False), ("other.org", False)],
)
def test_names_without_a_proxy_are_spared_with_all_below_them(host: str, is_spared: bool) -> None:
    assert Proxy(Origin("p", 1), spared=("example.org",)).spares(Origin(host, 443)) == is_spared
    assert Proxy(Origin("p", 1), spared=("*",)).spares(Origin(host, 443))


@pytest.mark.parametrize(
    ("entry", "host", "is_spared"),
    [
        ("example.org:443", "example.org", True), ("example.org:443", "api.example.org", True), ("example.org:8443", "example.org", False),
        ("10.0.0.0/8", "10.1.2.3", True), ("10.0.0.0/8", "11.1.2.3", False), ("10.1.2.3/8", "10.9.9.9", True), ("10.0.0.0/8", "example.org", False),
        ("10.1.2.3", "10.1.2.3", True), ("10.1.2.3:443", "10.1.2.3", True), ("10.1.2.3:80", "10.1.2.3", False), ("fd00::/8", "fd00::1", True),
        ("fd00::/8", "10.1.2.3", False), ("[fd00::1]:443", "fd00::1", True), ("[fd00::1]:80", "fd00::1", False), ("fd00::1", "fd00::1", True),
        ("[fd00::1]", "fd00:0::1", True), ("10.0.0.0/99", "10.0.0.1", False), (":443", "example.org", False), ("*:443", "example.org", True),
    ],
)  # fmt: skip
def test_networks_and_ports_are_spared_too(entry: str, host: str, is_spared: bool) -> None:
    assert Proxy(Origin("p", 1), spared=(entry,)).spares(Origin(host, 443)) == is_spared

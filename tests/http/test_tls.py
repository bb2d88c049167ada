"""The layer between a socket and an upstream connection: whole both ways, and an end is told from a cut."""

import asyncio
import contextlib
import random
import ssl

import pytest
from tests.bench import InLoop
from tests.chaos import STREAM, UNFRAMED_STREAM_HEAD, Peer, Script, running, says
from tests.http.certificates import server_tls

from kilo_gateway.core.errors import Truncated, Unreachable, UpstreamError
from kilo_gateway.core.types import Origin
from kilo_gateway.http.dialer import GuardedDialer
from kilo_gateway.http.tls import upstream_context
from kilo_gateway.http.upstream import Pool, UpstreamConnection
from kilo_gateway.http.wire import Head

ENDS_S = 20
ASK = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "


class Receiver:
    """Asks once, and keeps what is answered."""

    def __init__(self, body: bytes = b"") -> None:
        self._body = body
        self.payload: list[bytes] = []
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def on_connected(self, connection: UpstreamConnection) -> None:
        connection.send(self, ASK + b"%d\r\n\r\n" % len(self._body), self._body)

    def on_head(self, head: Head, lines: bytes) -> None: ...

    def on_payload(self, payload: bytes) -> None:
        self.payload.append(payload)

    def on_end(self) -> None:
        self.done.set_result(b"".join(self.payload))

    def on_lost(self, error: UpstreamError) -> None:
        self.done.set_exception(error)


def tls_pool(certificate: str) -> Pool:
    return Pool(GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(certificate), None))


async def ask(certificate: str, port: int, body: bytes = b"") -> bytes:
    pool, receiver = tls_pool(certificate), Receiver(body)
    pool.dial(Origin("localhost", port, True, is_trusted=True), receiver)
    try:
        return await asyncio.wait_for(receiver.done, ENDS_S)
    finally:
        pool.close()


def only(version: ssl.TLSVersion, context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_large_bodies_come_whole_both_ways(in_loop: InLoop, certificate: str, version: ssl.TLSVersion) -> None:
    async def test() -> None:
        body, answer = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(3_000_000)
        async with running(tls=only(version, server_tls(certificate))) as chaos:
            chaos.scripts = [says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))]
            assert await ask(certificate, chaos.port, body) == answer
            assert chaos.received[0].body == body

    in_loop(test)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_records_may_come_in_pieces(in_loop: InLoop, certificate: str, size: int) -> None:
    async def test() -> None:
        async with running(says(STREAM), tls=server_tls(certificate)) as chaos, running(_cutting(chaos.port, size)) as relay:
            payload = await ask(certificate, relay.port)
            assert payload.endswith(b"data: [DONE]\n\n")

    in_loop(test)


def _cutting(port: int, size: int) -> Script:
    """A relay that hands answers on in pieces of `size` bytes."""

    async def out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)

    async def relay(peer: Peer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(out(peer.reader, back))
        try:
            while data := await there.read(65536):
                for at in range(0, len(data), size):
                    await peer.say(data[at : at + size])
        finally:
            sending.cancel()
            back.transport.abort()

    return relay


async def _cut(peer: Peer) -> None:
    await peer.request()
    await peer.say(UNFRAMED_STREAM_HEAD, b"data: {}\n\n")
    await asyncio.sleep(0.05)
    peer.writer.transport.abort()


@pytest.mark.parametrize(
    ("script", "is_whole"), [(says(UNFRAMED_STREAM_HEAD, b"data: {}\n\n", then="close"), True), (_cut, False)]
)
def test_an_end_that_is_not_announced_is_a_cut(in_loop: InLoop, certificate: str, script: Script, is_whole: bool) -> None:
    async def test() -> None:
        async with running(tls=server_tls(certificate)) as chaos:
            chaos.scripts = [script]
            if is_whole:
                assert await ask(certificate, chaos.port) == b"data: {}\n\n"
            else:
                with pytest.raises(Truncated):
                    await ask(certificate, chaos.port)

    in_loop(test)


def test_an_upstream_that_does_not_speak_tls_is_unreachable(in_loop: InLoop, certificate: str) -> None:
    async def test() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        async with server:
            with pytest.raises(Unreachable):
                await ask(certificate, server.sockets[0].getsockname()[1])

    in_loop(test)


def test_a_handshake_nobody_waits_for_any_more_is_hung_up(in_loop: InLoop, certificate: str) -> None:
    async def test() -> None:
        ends = asyncio.Event()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.read(1)
            dial.cancel()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            ends.set()

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        async with server:
            origin = Origin("localhost", server.sockets[0].getsockname()[1], True, is_trusted=True)
            dial = tls_pool(certificate).dial(origin, Receiver())
            await asyncio.wait_for(ends.wait(), ENDS_S)

    in_loop(test)

"""Images and files fetched from servers that are slow, large, lying, or somewhere else."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.bench import InLoop
from tests.chaos import Chaos, Peer, Script, chunk, running, says, silent
from tests.http.certificates import server_tls

from kilo_gateway.core.errors import Overloaded
from kilo_gateway.dialects.media import DOCUMENTS, IMAGES
from kilo_gateway.http.dialer import GuardedDialer
from kilo_gateway.http.guard import Resolve
from kilo_gateway.http.media import Bounds, Fetcher, kind_of
from kilo_gateway.http.media_urls import NotFetched
from kilo_gateway.http.tls import upstream_context

PNG = b"\x89PNG\r\n\x1a\n" + b"picture " * 20
PDF = b"%PDF-1.7\n" + b"page " * 20
SMALL = Bounds(seconds=5, bytes=1000, urls=6, requests=2, held_bytes=1500)


def answer(body: bytes = PNG, status: bytes = b"200 OK", lines: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: text/html\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def to(location: str) -> bytes:
    return answer(b"", b"302 Found", b"Location: %b\r\n" % location.encode())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Fetching:
    def __init__(self, fetcher: Fetcher, server: Chaos) -> None:
        self.fetcher, self.server = fetcher, server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/a"

    async def one(self, url: str = "", kinds: frozenset[str] = IMAGES) -> str:
        return (await self.fetcher.fetch({url or self.url: kinds})).data[url or self.url]

    async def refused(self, url: str = "", kinds: frozenset[str] = IMAGES) -> NotFetched:
        with pytest.raises(NotFetched) as caught:
            await self.one(url, kinds)
        assert (self.fetcher.held_bytes, self.fetcher.requests) == (0, 0)
        return caught.value


@asynccontextmanager
async def fetching(
    *scripts: Script, bounds: Bounds = SMALL, hosts: tuple[str, ...] = ("127.0.0.1",), resolve: Resolve | None = None, ca_file: str = "",
) -> AsyncIterator[Fetching]:  # fmt: skip
    async with running(*scripts, tls=server_tls(ca_file) if ca_file else None) as server:
        dialer = GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(ca_file or None), None, resolve)
        yield Fetching(Fetcher(dialer, frozenset((host, server.port) for host in hosts), bounds), server)


Test = Callable[[Fetching], Awaitable[None]]


def fetch_in(in_loop: InLoop, test: Test, *scripts: Script, bounds: Bounds = SMALL) -> None:
    async def main() -> None:
        async with fetching(*scripts, bounds=bounds) as one:
            await test(one)

    in_loop(main)


def refusal_of(in_loop: InLoop, *scripts: Script, kinds: frozenset[str] = IMAGES, bounds: Bounds = SMALL) -> NotFetched:
    found: list[NotFetched] = []

    async def test(one: Fetching) -> None:
        found.append(await one.refused(kinds=kinds))

    fetch_in(in_loop, test, *scripts, bounds=bounds)
    assert found[0].host == "127.0.0.1"
    return found[0]


@pytest.mark.parametrize(
    "script",
    [
        says(answer()), says(CHUNKED + b"".join(chunk(PNG[at : at + 7]) for at in range(0, len(PNG), 7)) + b"0\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\n\r\n", PNG, then="close"), says(b"HTTP/1.1 103 Early\r\n\r\n" * 3 + answer()),
    ],
)  # fmt: skip
def test_an_image_comes_as_a_data_url(in_loop: InLoop, script: Script) -> None:
    async def test(one: Fetching) -> None:
        assert await one.one() == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        assert one.fetcher.held_bytes == len(PNG)
        head = one.server.received[0].head.lower()
        assert head.startswith(b"get /a http/1.1\r\nhost: 127.0.0.1:")
        assert b"\r\naccept-encoding: identity\r\n" in head
        assert not any(word in head for word in (b"cookie", b"authorization", b"referer"))

    fetch_in(in_loop, test, script)


def test_several_urls_come_at_once_and_the_same_one_once(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        urls = [f"{one.url}?{n}" for n in range(6)]
        fetched = await one.fetcher.fetch(dict.fromkeys([*urls, *urls], IMAGES))
        assert (set(fetched.data), fetched.size, len(one.server.received)) == (set(urls), 6 * len(PNG), 6)

    fetch_in(in_loop, test, says(answer()), bounds=Bounds(bytes=6 * len(PNG)))


def test_no_more_than_a_few_connections_are_open(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        work = asyncio.ensure_future(one.fetcher.fetch({f"{one.url}?{n}": IMAGES for n in range(6)}))
        async with asyncio.timeout(5):
            while len(one.server.received) < 4:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
        work.cancel()
        await asyncio.wait([work])
        assert (one.server.connections, one.fetcher.requests) == (4, 0)

    fetch_in(in_loop, test, silent)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (says(answer(status=b"404 Not Found")), "status"), (says(answer(status=b"206 Partial Content")), "status"),
        (says(answer(b"", b"302 Found")), "status"), (says(answer(b"<html>" * 9)), "type"), (says(answer(PDF)), "type"), (says(answer(b"GIF8")), "type"),
        (says(answer(b"")), "type"), (says(answer(lines=b"Content-Encoding: gzip\r\n")), "encoding"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", then="hold"), "too_large"),
        (says(CHUNKED + chunk(PNG), *[chunk(b"x" * 999)] * 9, then="hold"), "too_large"),
        (says(b"HTTP/1.1 200 OK\r\n\r\n" + PNG, b"x" * 9999, then="hold"), "too_large"),
        (says(answer()[:-5], then="close"), "broken"), (says(CHUNKED + chunk(PNG) + b"zz\r\n"), "broken"), (says(b"", then="close"), "unreachable"),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "unreachable"), (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 999), "unreachable"),
    ],
)  # fmt: skip
def test_what_is_no_such_image_is_refused(in_loop: InLoop, script: Script, reason: str) -> None:
    assert refusal_of(in_loop, script).reason == reason


def test_a_document_will_do_where_one_is_wanted(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        assert (await one.one(kinds=IMAGES | DOCUMENTS)).startswith("data:application/pdf;base64,")

    fetch_in(in_loop, test, says(answer(PDF)))


async def drips(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", *[PNG[at : at + 1] for at in range(100)], pause_s=0.05)


async def drips_its_head(peer: Peer) -> None:
    await peer.request()
    await peer.say(*[b"HTTP/1.1 200 OK\r\nX-Slow: ", *[b"x"] * 100], pause_s=0.05)


@pytest.mark.parametrize("script", [silent, drips, drips_its_head])
def test_all_of_it_has_one_deadline(in_loop: InLoop, script: Script) -> None:
    began = time.monotonic()
    told = refusal_of(in_loop, script, bounds=Bounds(seconds=0.3))
    assert (told.reason, "0.3 s" in str(told)) == ("timeout", True)
    assert time.monotonic() - began < 3


def test_what_was_announced_too_large_is_not_read(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        await one.refused()
        await asyncio.wait_for(one.server.hung_up.wait(), 5)

    fetch_in(in_loop, test, says(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", then="hold"))


def test_the_limit_is_of_all_urls_of_a_request_together(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        with pytest.raises(NotFetched, match="MiB"):
            await one.fetcher.fetch({f"{one.url}?{n}": IMAGES for n in range(6)})
        assert one.fetcher.held_bytes == 0

    fetch_in(in_loop, test, says(answer(PNG + b"x" * 200)))


def test_more_urls_than_a_few_are_refused_unread(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        with pytest.raises(NotFetched, match="7 URLs"):
            await one.fetcher.fetch({f"{one.url}?{n}": IMAGES for n in range(7)})
        assert one.server.connections == 0

    fetch_in(in_loop, test)


def test_what_a_worker_holds_is_bounded(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        first = await one.fetcher.fetch({one.url: IMAGES})
        with pytest.raises(Overloaded):
            await one.fetcher.fetch({one.url: IMAGES})
        one.fetcher.release(first.size)
        assert (await one.one()).startswith("data:image/png")

    fetch_in(in_loop, test, says(answer(PNG + b"x" * 800)))


def test_how_many_requests_fetch_at_a_time_is_bounded(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        works = [asyncio.ensure_future(one.fetcher.fetch({one.url: IMAGES})) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await one.fetcher.fetch({one.url: IMAGES})
        for work in works:
            work.cancel()
        await asyncio.wait(works)
        assert one.fetcher.requests == 0

    fetch_in(in_loop, test, silent)


def test_who_stops_waiting_leaves_no_connection(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        work = asyncio.ensure_future(one.one())
        async with asyncio.timeout(5):
            while not one.server.received:
                await asyncio.sleep(0.001)
            work.cancel()
            await one.server.hung_up.wait()

    fetch_in(in_loop, test, silent)


# Elsewhere


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "10.0.0.1", "169.254.169.254",
        "[fd00:ec2::254]", "0.0.0.0", "100.100.100.200", "host.invalid", "\uff11\uff12\uff17.0.0.1",
    ],
)  # fmt: skip
def test_all_that_is_out_of_reach_is_told_alike(in_loop: InLoop, host: str) -> None:
    async def test(one: Fetching) -> None:
        told = await one.refused(f"http://{host}/a")
        assert (told.reason, str(told)) == ("unreachable", f"The image or file at {told.host} was not fetched: it cannot be reached.")
        assert one.server.connections == 0

    fetch_in(in_loop, test)


def test_a_closed_port_is_told_as_a_private_address_is(in_loop: InLoop) -> None:
    async def test(one: Fetching) -> None:
        await one.server.stop()
        told = await one.refused()
        assert str(told) == "The image or file at 127.0.0.1 was not fetched: it cannot be reached."
        assert "127.0.0.1" in told.why

    fetch_in(in_loop, test)


@pytest.mark.parametrize("location", ["/a", "http://localhost:{port}/b"])
def test_a_redirect_is_followed_three_times(in_loop: InLoop, location: str) -> None:
    async def test() -> None:
        async with fetching(hosts=("127.0.0.1", "localhost")) as one:
            there = location.format(port=one.server.port)
            one.server.scripts = [says(to(there)), says(to(there)), says(to(there)), says(answer())]
            assert (await one.one()).startswith("data:image/png")
        async with fetching(says(to("/a"))) as one:
            told = await one.refused()
            assert (told.reason, one.server.connections) == ("redirect", 4)

    in_loop(test)


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest", "http://localhost/", "http://[::1]/", "//127.1/"])
def test_a_redirect_to_a_guarded_address_is_told_as_out_of_reach(in_loop: InLoop, location: str) -> None:
    told = refusal_of(in_loop, says(to(location)))
    assert (told.reason, "127.0.0.1 was not fetched: it cannot be reached" in str(told)) == ("unreachable", True)


@pytest.mark.parametrize("location", ["ftp://example.com/", "http://u:p@example.com/", "http://example.com:22/", "http://127.0.0.1:1/", "http://[/"])
def test_a_redirect_to_no_place_for_images_is_refused_and_not_repeated(in_loop: InLoop, location: str) -> None:
    told = refusal_of(in_loop, says(to(location)))
    assert told.reason == "redirect"
    assert "example" not in str(told)


def test_a_name_is_looked_up_once_and_connected_to_where_it_was_looked_at(in_loop: InLoop) -> None:
    """A second look would find another address: https://en.wikipedia.org/wiki/DNS_rebinding"""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async def test() -> None:
        async with fetching(says(answer()), hosts=("rebinding.example",), resolve=resolve) as one:
            url = f"http://rebinding.example:{one.server.port}/"
            assert (await one.one(url)).startswith("data:image/png")
            assert asked == ["rebinding.example"]

    in_loop(test)


@pytest.mark.parametrize("found", [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["1.1.1.1", "::ffff:169.254.169.254"], []])
def test_a_name_with_one_private_address_is_not_connected_to(in_loop: InLoop, found: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    async def test() -> None:
        async with fetching(resolve=resolve) as one:
            assert (await one.refused("http://rebinding.example/")).reason == "unreachable"
            assert one.server.connections == 0

    in_loop(test)


def test_a_slow_look_up_ends_with_the_deadline(in_loop: InLoop) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def test() -> None:
        async with fetching(resolve=resolve, bounds=Bounds(seconds=0.1)) as one:
            assert (await one.refused("http://slow.example/")).reason == "unreachable"

    in_loop(test)


@pytest.mark.parametrize(("host", "is_fine"), [("localhost", True), ("127.0.0.1", False)])
def test_a_certificate_is_verified(in_loop: InLoop, certificate: str, host: str, is_fine: bool) -> None:
    async def test() -> None:
        async with fetching(says(answer()), hosts=("localhost", "127.0.0.1"), ca_file=certificate) as one:
            url = f"https://{host}:{one.server.port}/"
            if is_fine:
                assert (await one.one(url)).startswith("data:image/png")
            else:
                assert (await one.refused(url)).reason == "unreachable"

    in_loop(test)


def test_a_redirect_never_leaves_tls(in_loop: InLoop, certificate: str) -> None:
    async def test() -> None:
        async with fetching(hosts=("localhost",), ca_file=certificate) as one:
            one.server.scripts = [says(to(f"http://localhost:{one.server.port}/"))]
            assert (await one.refused(f"https://localhost:{one.server.port}/")).reason == "redirect"
            assert one.server.connections == 1

    in_loop(test)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"GIF87a", "image/gif"), (b"RIFF\n\n\n\nWEBPVP8 ", "image/webp"),
        (PDF, "application/pdf"), (b"RIFF\0\0\0\0WAVE", ""), (b"<svg/>", ""), (b" %PDF-", ""), (b"BM", ""), (b"", ""),
    ],
)  # fmt: skip
def test_a_type_is_known_by_its_first_bytes(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind

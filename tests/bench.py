"""A worker's data plane on uvloop, between raw callers and scripted upstreams. Its clock is turned by hand."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

import msgspec
from tests.caller import KEY, Answer, Caller, asking, request
from tests.chaos import Chaos, Script

from kilo_gateway.app.worker import routes
from kilo_gateway.catalog.catalogue import Place
from kilo_gateway.catalog.facts import Facts, Said, merge
from kilo_gateway.catalog.facts import Origin as FactOrigin
from kilo_gateway.catalog.snapshot import Snapshot, Snapshots, digest
from kilo_gateway.catalog.tokenizer import Tokenizer
from kilo_gateway.core import nesting
from kilo_gateway.core.ids import GenerationIds
from kilo_gateway.core.meters import Meters
from kilo_gateway.core.pipeline import Pipeline
from kilo_gateway.core.price import Price
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.core.types import Ended, Endpoint, JournalLine, Key, Model, Origin, Patience, SnapshotData, Started
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.http.clients import Clients
from kilo_gateway.http.deadlines import Deadlines
from kilo_gateway.http.dialer import GuardedDialer
from kilo_gateway.http.gateway import Gateway
from kilo_gateway.http.server import ClientConnection
from kilo_gateway.http.tls import upstream_context
from kilo_gateway.http.upstream import Pool
from kilo_gateway.ledger import journal
from kilo_gateway.ledger.estimates import Estimates
from kilo_gateway.ledger.journal import Journal
from kilo_gateway.ledger.leases import MeteredLeases
from kilo_gateway.ledger.limits import Limits
from kilo_gateway.routing.preference import Preference
from kilo_gateway.upstreams.compile import endpoint_of
from kilo_gateway.upstreams.doors import readdressed
from kilo_gateway.upstreams.signing import sign

PEPPER = b"p" * 32
BETAS = {"anthropic-beta": ("thinking-*", "exact-1"), "openai-beta": ("responses=*",)}
HOP = "0123456789abcdef"
PRICE = Price(1_000_000, 2_000_000)  # 1 and 2 USD per million tokens
PATIENCE = Patience(connect_s=5, write_s=30, first_byte_s=600, first_event_s=300, idle_s=60)
ENDS_S = 60.0
_NAMES = {"mock/titan": "amazon.titan-embed-text-v2:0"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Wishes:
    """What a test wants to be otherwise."""

    patience: Patience = PATIENCE
    ca_file: str | None = None
    is_tls: bool = False
    cors_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()
    has_models: bool = True
    file_bytes: int = 1 << 20  # of the journal
    max_waiting_bytes: int = 1 << 20
    fetches: bool = False  # URLs are no obstacle; a test brings its fetcher


class Bench:
    """What a test talks to. `first` and `second` serve mock/model in that order; mock/one is served by `first` alone."""

    def __init__(self, wishes: Wishes, directory: Path) -> None:
        self.wishes = wishes
        self.directory = directory
        self.clock = Clock()
        self.first, self.second, self.control = Chaos(), Chaos(), Chaos()
        self.journal = Journal(directory, "bench", None, wishes.file_bytes, wishes.max_waiting_bytes)
        self.meters, self.limits, self.leases = Meters(), Limits(self.journal), MeteredLeases()
        self.reported: list[tuple[str, dict[str, object]]] = []
        self.defects: list[object] = []
        self.demo_socket = directory / "demo.sock"
        self._callers: list[Caller] = []
        self._more: list[Chaos] = []
        self.local_trouble = ""
        self.gateway: Gateway
        self.port = 0

    # Time and what happens in it

    def pass_time(self, seconds: float) -> None:
        self.gateway.deadlines.sweep()
        self.clock.now += seconds
        self.gateway.deadlines.sweep()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Lets the loop run until something has come about."""
        async with asyncio.timeout(10):
            while not is_so():  # there is no event for what the kernel does
                await asyncio.sleep(0.001)

    async def asked(self, chaos: Chaos, requests: int = 1) -> None:
        await self.until(lambda: len(chaos.received) >= requests)

    def use_first(self, port: int) -> None:
        """From now on the first endpoint of mock/model is at another port."""
        data = self.snapshot(port)
        self.gateway.pipeline.snapshots.current = Snapshot(data, PEPPER)  # type: ignore[misc]

    def forget_keys(self) -> None:
        data = msgspec.structs.replace(self.snapshot(self.first.port), keys=())
        self.gateway.pipeline.snapshots.current = Snapshot(data, PEPPER)  # type: ignore[misc]

    async def serve(self, path: Path, *scripts: Script) -> Chaos:
        """One more upstream, on a Unix socket."""
        chaos = Chaos()
        chaos.scripts = list(scripts) or chaos.scripts
        self._more.append(chaos)
        await chaos.start(path)
        return chaos

    # Calls

    async def caller(self) -> Caller:
        caller = await Caller.to(self.port)
        self._callers.append(caller)
        return caller

    async def send(self, data: bytes) -> Caller:
        caller = await self.caller()
        caller.send(data)
        return caller

    async def call(self, body: bytes | None = None, lines: bytes = b"") -> Answer:
        caller = await self.send(request(asking() if body is None else body, lines))
        try:
            return await caller.answer()
        finally:
            caller.hang_up()

    async def stream(self, model: str = "mock/model", lines: bytes = b"") -> Answer:
        return await self.call(asking(model, stream=True), lines)

    # What was booked

    def lines(self) -> list[JournalLine]:
        files = journal.files_of(self.directory).get("bench", [])
        written = b"".join(path.read_bytes().partition(b"\0")[0] for _, path in files)
        return [msgspec.json.decode(line, type=JournalLine) for line in written.splitlines()]

    def ended(self) -> list[Ended]:
        return [line for line in self.lines() if isinstance(line, Ended)]

    def started(self) -> list[Started]:
        return [line for line in self.lines() if isinstance(line, Started)]

    async def settled(self, requests: int = 1) -> list[Ended]:
        await self.until(lambda: len(self.ended()) >= requests)
        assert self.limits.in_flight() == 0
        return self.ended()

    # Making it

    async def open(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, facts: self.defects.append(facts))
        tls = _server_tls(self.wishes) if self.wishes.is_tls else None
        await self.first.start(tls=tls)
        await self.second.start(tls=tls)
        await self.control.start(self.directory / "control.sock")
        self.gateway = self._gateway(loop)
        server = await loop.create_server(lambda: ClientConnection(self.gateway), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def close(self, server: asyncio.Server) -> None:
        server.close()
        for caller in self._callers:
            caller.hang_up()
        self.gateway.cut_all()
        for waiter in self.gateway.deadlines.watched():
            waiter.abort()  # type: ignore[attr-defined]  # they are callers' connections
        self.gateway.pool.close()
        for chaos in (self.first, self.second, self.control, *self._more):
            await chaos.stop()
        for _ in range(5):
            await asyncio.sleep(0)
        self.journal.close()

    def _gateway(self, loop: asyncio.AbstractEventLoop) -> Gateway:
        dialects = Bridge(fetches=self.wishes.fetches)
        self.router = Preference(dialects)
        pipeline = Pipeline(
            Snapshots(Snapshot(self.snapshot(self.first.port), PEPPER)), self.limits, dialects, self.router, self.leases, self.journal, Estimates(Tokenizer()),
            self.meters, self.clock, lambda: 1_700_000_000_000, GenerationIds(1).new, sign, readdressed,
        )  # fmt: skip
        pool = Pool(GuardedDialer(loop, lambda: upstream_context(self.wishes.ca_file), None))
        return Gateway(
            pipeline, pool, Deadlines(self.clock), routes(), Origin("control", 0, unix_path=str(self.directory / "control.sock")),
            HOP.encode(), lambda event, **facts: self.reported.append((event, facts)), lambda: [], lambda: self.local_trouble, self.wishes.cors_origins,
            tuple(map(ip_network, self.wishes.trusted_proxies)), clients=Clients(BETAS),
        )  # fmt: skip

    def snapshot(self, first: int) -> SnapshotData:
        second = self.second.port
        models = (
            Model("mock/model", (self._endpoint("one", first), self._endpoint("two", second))),
            Model("mock/one", (self._endpoint("one", first, "mock/one"),)),
            Model("mock/open", (self._endpoint("two", second, "mock/open"), self._endpoint("one", first, "mock/open", is_open=True))),
            Model("mock/free", (self._endpoint("one", first, "mock/free", price=None),)),
            Model("mock/charged", (self._endpoint("one", first, "mock/charged", is_cost_reported=True),)),
            Model("mock/demo", (self._demo(),)),
            Model("mock/told", (self._endpoint("one", first, "mock/told", told=("referer", "title", "session")),)),
            Model("mock/messages", (self._endpoint("one", first, "mock/messages", dialect="anthropic-messages"),)),
            Model("mock/bytes", (self._endpoint("one", first, "mock/bytes", dialect="bedrock-converse"),)),
            Model("mock/bytes-last", (self._endpoint("one", first), self._endpoint("two", second, dialect="bedrock-converse"))),
            Model("mock/bytes-first", (self._endpoint("one", first, dialect="bedrock-converse"), self._endpoint("two", second))),
            Model("mock/titan", tuple(self._endpoint(*at, "mock/titan", dialect="bedrock-converse") for at in (("one", first), ("two", second)))),
        )
        keys = ((digest(PEPPER, KEY), Key("k1", "test", "member")),)
        routes = {"kilo/auto": models[0]}
        return SnapshotData(1, "bench", keys, models if self.wishes.has_models else (), routes)

    def _endpoint(
        self, name: str, port: int, model: str = "mock/model", *, price: Price | None = PRICE, is_cost_reported: bool = False,
        is_open: bool = False, dialect: str = "openai-chat", told: tuple[str, ...] = (),
    ) -> Endpoint:  # fmt: skip
        host = "localhost" if self.wishes.is_tls else "127.0.0.1"
        upstream = UpstreamSettings(
            name, dialect, Origin(host, port, self.wishes.is_tls, is_trusted=True), "/v1", Secret(f"sk-{name}"), (),
            self.wishes.patience, "", is_cost_reported, "test", client_headers=told,
        )  # fmt: skip
        card = merge([Said(Facts(price=price), FactOrigin("test", 0))])
        return endpoint_of(upstream, model, Place(name, _NAMES.get(model, "upstreams-own-name"), card, is_open=is_open), HOP)

    def _demo(self) -> Endpoint:
        plain = self._endpoint("local", 1, "mock/demo")
        facts = {name: getattr(plain, name) for name in plain.__struct_fields__}
        origin = Origin("local", 80, unix_path=str(self.demo_socket))
        return Endpoint(**(facts | {"origin": origin, "is_demo": True, "is_local": True, "cure": "Configure a real one."}))


def _server_tls(wishes: Wishes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert wishes.ca_file is not None
    context.load_cert_chain(wishes.ca_file, Path(wishes.ca_file).with_suffix(".key"))
    return context


@asynccontextmanager
async def bench_in(directory: Path, wishes: Wishes) -> AsyncIterator[Bench]:
    """Fails at its end when the loop met an exception that nobody caught."""
    bench = Bench(wishes, directory)
    limit = sys.getrecursionlimit()
    server = await bench.open()
    try:
        sys.setrecursionlimit(nesting.RECURSION_LIMIT)
        yield bench
    finally:
        sys.setrecursionlimit(limit)
        await bench.close(server)
    assert bench.defects == []


BenchTest = Callable[[Bench], Awaitable[None]]


class Run(Protocol):
    """The fixture `run`: a test's coroutine against a fresh gateway."""

    def __call__(self, test: BenchTest, wishes: Wishes = ...) -> None: ...


InLoop = Callable[[Callable[[], Awaitable[None]]], None]

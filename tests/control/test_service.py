"""What the control process can do, on a real database and with workers that are sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.bench import InLoop
from tests.chaos import json_answer, running, says

from kilo_gateway import config
from kilo_gateway.app.control import build_service
from kilo_gateway.catalog.files import DataDirectory, read_snapshot, snapshot_of
from kilo_gateway.control.application import ENTRIES
from kilo_gateway.control.metrics import Meters
from kilo_gateway.control.routes import Access, Entry
from kilo_gateway.control.service import MAX_ROWS, Service
from kilo_gateway.control.workers import Workers
from kilo_gateway.core import link
from kilo_gateway.core.errors import GatewayError, InvalidKey, UnknownPath
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.link import Ack, Hello, Message, Push, Stats
from kilo_gateway.core.settings import Settings
from kilo_gateway.core.types import Ended
from kilo_gateway.http.gateway import Report
from kilo_gateway.ledger.journal import Journal

KEYRING = Keyring(b"s" * 32)
ServiceTest = Callable[[Service, DataDirectory], Awaitable[None]]


@asynccontextmanager
async def service_in(
    root: Path, workers: Workers | None = None, text: str = "", report: Report = lambda event, **facts: None
) -> AsyncIterator[tuple[Service, DataDirectory, Settings]]:
    files = DataDirectory(root)
    files.create()
    (root / "c.toml").write_text("[local]\nenabled = false\n" + text)
    settings = config.load(root / "c.toml", root)
    service = await build_service(settings, files, KEYRING, workers, report)
    try:
        yield service, files, settings
    finally:
        service.pool.close()
        await service.database.close()


@pytest.fixture
def with_service(in_loop: InLoop, short_path: Path) -> Callable[[ServiceTest], None]:
    def run_it(test: ServiceTest) -> None:
        async def main() -> None:
            async with service_in(short_path) as (service, files, _):
                await test(service, files)

        in_loop(main)

    return run_it


def ended(id: str, key: str = "k1", upstream_id: str = "") -> Ended:
    return Ended(id, upstream_id, 1, key, "m", "p", "ok", 1, 2, False, 3, 1, 5)


# Keys


def test_a_new_key_is_in_the_snapshot_on_the_disk(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        made = await service.create_key("alice")
        snapshot = read_snapshot(files.snapshot, service.publisher.data.fingerprint)
        assert snapshot is not None
        assert [key.name for _, key in snapshot.keys] == ["alice"]
        assert service.publisher.current.authenticate(str(made["key"]).encode()).name == "alice"

    with_service(test)


def test_a_revoked_key_is_refused(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        made = await service.create_key("alice")
        await service.revoke_key(str(made["id"]))
        with pytest.raises(InvalidKey):
            service.publisher.current.authenticate(str(made["key"]).encode())
        with pytest.raises(GatewayError):
            await service.revoke_key("alice")

    with_service(test)


def test_the_owner_is_made_once_and_kept_before_he_counts(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        def fails(key: str) -> None:
            raise OSError("no room")

        with pytest.raises(OSError, match="no room"):
            await service.keys.ensure_owner(fails)
        assert await service.list_keys() == []
        kept: list[str] = []
        assert await service.keys.ensure_owner(kept.append)
        assert not await service.keys.ensure_owner(kept.append)
        assert service.publisher.current.authenticate(kept[0].encode()).role == "owner"

    with_service(test)


def test_a_hundred_keys_are_all_different(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        made = [str((await service.create_key(f"n{n}"))["key"]) for n in range(100)]
        assert len(set(made)) == 100
        assert all(key.isascii() and len(key) == 37 for key in made)

    with_service(test)


# Usage


def test_usage_is_up_to_the_moment_and_newest_first(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        writer = Journal(files.journal, "w")
        for n in range(5):
            writer.append(ended(f"gen-{n}"))
            assert [row["id"] for row in await service.usage(3)] == [f"gen-{m}" for m in range(n, max(n - 3, -1), -1)]
        writer.close()

    with_service(test)


@pytest.mark.parametrize("limit", [0, -1, MAX_ROWS + 1])
def test_a_limit_beyond_reason_is_refused(with_service: Callable[[ServiceTest], None], limit: int) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        with pytest.raises(GatewayError):
            await service.usage(limit)

    with_service(test)


def test_each_key_finds_its_own_generation_by_an_upstreams_id_that_others_have_too(
    with_service: Callable[[ServiceTest], None],
) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        writer = Journal(files.journal, "w")
        writer.append(ended("gen-1", "k1", "chatcmpl-1"))
        writer.append(ended("gen-2", "k2", "chatcmpl-1"))
        writer.close()
        for key, id in (("k1", "gen-1"), ("k2", "gen-2"), (None, "gen-2")):
            found = await service.generation("chatcmpl-1", key)
            assert found["data"]["id"] == id  # type: ignore[index]
        with pytest.raises(GatewayError):
            await service.generation("chatcmpl-1", "k3")

    with_service(test)


def test_what_a_client_said_of_itself_is_shown_where_its_request_is(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        said = {"referer": "https://app.example", "session": "s1", "mode": "code"}
        writer = Journal(files.journal, "w")
        writer.append(replace(ended("gen-1"), client=json.dumps(said)))
        writer.append(ended("gen-2"))
        writer.close()
        assert [row["client"] for row in await service.usage(2)] == [{}, said]
        names = ("http_referer", "session_id", "client")
        for id, wanted in (("gen-1", ["https://app.example", "s1", said]), ("gen-2", [None, None, {}])):
            shown = (await service.generation(id, None))["data"]
            assert [shown[name] for name in names] == wanted  # type: ignore[index]

    with_service(test)


# Workers


class Worker:
    """A worker's end of the link."""

    def __init__(self, slot: int) -> None:
        self.slot = slot

    async def connect(self, path: Path) -> "Worker":
        self.reader, self.writer = await asyncio.open_unix_connection(path)
        self.say(Hello(self.slot, 1, 0))
        return self

    def say(self, message: Message) -> None:
        self.writer.write(link.framed(message))

    async def hear(self) -> Message:
        length = int.from_bytes(await asyncio.wait_for(self.reader.readexactly(4), 5), "big")
        return link.read(await self.reader.readexactly(length))

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def with_workers(root: Path, count: int) -> AsyncIterator[tuple[Service, Workers, list[Worker]]]:
    workers = Workers(count)
    async with service_in(root, workers) as (service, files, _):
        await workers.listen(files.workers_socket)
        version = await service.publisher.renew()
        found = [await Worker(slot).connect(files.workers_socket) for slot in range(count)]
        for each in found:
            assert isinstance(await each.hear(), Push)
            each.say(Ack(version))
        try:
            yield service, workers, found
        finally:
            for each in found:
                each.close()
            await workers.close()


def test_a_change_is_done_when_the_last_worker_has_it(in_loop: InLoop, short_path: Path) -> None:
    async def test() -> None:
        async with with_workers(short_path, 2) as (service, _, workers):
            making = asyncio.create_task(service.create_key("alice"))
            pushed = [await each.hear() for each in workers]
            assert isinstance(pushed[0], Push)
            version = snapshot_of(pushed[0].snapshot).version
            workers[0].say(Ack(version))
            await asyncio.sleep(0.02)
            assert not making.done()
            workers[1].say(Ack(version))
            assert (await asyncio.wait_for(making, 5))["name"] == "alice"

    in_loop(test)


def test_a_worker_that_comes_late_is_given_the_newest(in_loop: InLoop, short_path: Path) -> None:
    async def test() -> None:
        async with with_workers(short_path, 1) as (service, _, workers):
            workers[0].close()
            making = asyncio.create_task(service.create_key("alice"))
            again = workers[0] = await Worker(0).connect(DataDirectory(short_path).workers_socket)
            has_it = False
            while not has_it:  # the key may come with the first push, or with one after it
                pushed = await asyncio.wait_for(again.hear(), 5)
                assert isinstance(pushed, Push)
                has_it = len(snapshot_of(pushed.snapshot).keys) == 1
                again.say(Ack(snapshot_of(pushed.snapshot).version))
            await asyncio.wait_for(making, 5)

    in_loop(test)


def test_meters_of_all_workers_are_shown(in_loop: InLoop, short_path: Path) -> None:
    async def test() -> None:
        async with with_workers(short_path, 2) as (service, workers, found):
            for each in found:
                each.say(Stats({"requests:outcome=ok": 7, "in_flight": 1}))
            async with asyncio.timeout(5):
                while len(workers.stats) < 2:
                    await asyncio.sleep(0.001)
            text = Meters(workers, service.importer).text().decode()
            assert 'kilo_gateway_requests_total{outcome="ok",worker="1"} 7.0' in text
            assert 'kilo_gateway_in_flight{worker="0"} 1.0' in text

    in_loop(test)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xff", b"\x00\x00"])
def test_garbage_on_the_link_ends_it_and_nothing_else(in_loop: InLoop, short_path: Path, garbage: bytes) -> None:
    async def test() -> None:
        async with with_workers(short_path, 1) as (_, workers, found):
            reader, writer = await asyncio.open_unix_connection(DataDirectory(short_path).workers_socket)
            writer.write(garbage)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.transport.abort()
            assert workers.connected() == len(found)

    in_loop(test)


def test_a_worker_that_goes_while_it_is_pushed_to_does_no_harm(in_loop: InLoop, short_path: Path) -> None:
    """As when both are told to end at their start: uvloop raises for what is written to a connection that broke."""

    async def test() -> None:
        failed: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, facts: failed.append(facts))
        async with with_workers(short_path, 1) as (_, workers, _):
            for version in range(100):
                gone = await Worker(0).connect(DataDirectory(short_path).workers_socket)
                gone.close()
                for _ in range(version % 10):
                    workers.push(version + 1, b"snapshot")
                    await asyncio.sleep(0)
        assert failed == []

    in_loop(test)


def test_control_ends_quietly_while_workers_are_still_there(in_loop: InLoop, short_path: Path) -> None:
    async def test() -> None:
        failed: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, facts: failed.append(facts))
        async with with_workers(short_path, 2) as (_, workers, found):
            await workers.close()
            assert await asyncio.wait_for(found[0].reader.read(), 5) == b""
            assert workers.connected() == 0
        assert failed == []

    in_loop(test)


# Discovery

UPSTREAM = '[[upstreams]]\nname = "far"\nbase_url = "http://127.0.0.1:{port}/v1"\nprefix = "far/"\n'
LISTED = {
    "data": [
        {"id": "a", "context_length": 4096, "pricing": {"prompt": "0.000001", "completion": "0.000002"}},
        {"id": "far/b", "context_length": -1, "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "c", "pricing": {"prompt": "nonsense", "completion": "NaN"}}, {"id": ""}, {"name": "no id"}, 5, None,
    ]
}  # fmt: skip


async def discover(root: Path, body: bytes, test: Callable[[Service, list[tuple[str, dict[str, object]]]], Awaitable[None]]) -> None:
    """Lets discovery read `body` once, and runs the test after it."""
    said: list[tuple[str, dict[str, object]]] = []

    def report(event: str, **facts: object) -> None:
        said.append((event, facts))

    async with (
        running(says(json_answer(body))) as chaos,
        service_in(root, text=UPSTREAM.format(port=chaos.port), report=report) as (service, _, settings),
    ):
        task = asyncio.create_task(service.discovery.run(settings.upstreams[0]))
        async with asyncio.timeout(5):
            while not ({event for event, _ in said} & {"discovery.done", "discovery.failed"}) and not task.done():
                await asyncio.sleep(0.001)
        await test(service, said)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_models_are_discovered_as_far_as_they_can_be_read(in_loop: InLoop, short_path: Path) -> None:
    async def look(service: Service, said: list[tuple[str, dict[str, object]]]) -> None:
        assert [event for event, _ in said] == ["discovery.dropped", "discovery.done"]
        assert said[0][1] | {"reasons": []} == {"upstream": "far", "rows": 4, "unpriced": 1, "reasons": []}
        assert said[1][1] == {"upstream": "far", "models": 3}
        found = {model.id: model for model in service.publisher.data.models if model.endpoints}
        assert set(found) == {"far/a", "far/b", "far/c"}
        assert found["far/a"].endpoints[0].model_json == b'"a"'
        price = found["far/a"].endpoints[0].price
        assert price is not None
        assert (price.input, price.output) == (1_000_000, 2_000_000)
        assert found["far/b"].endpoints[0].price is None

    in_loop(lambda: discover(short_path, json.dumps(LISTED).encode(), look))


@pytest.mark.parametrize("body", [b"[]", b"{}", b"nonsense", b'{"data":[]}', b'{"data":[{"id":""}]}', b"\xff"])
def test_a_list_that_cannot_be_read_leaves_what_was_known(in_loop: InLoop, short_path: Path, body: bytes) -> None:
    async def look(service: Service, said: list[tuple[str, dict[str, object]]]) -> None:
        assert [event for event, _ in said] == ["discovery.failed"]
        assert [entry.source for entry in service.catalogue().entries.values() if not entry.reason] == []

    in_loop(lambda: discover(short_path, body, look))


@pytest.mark.parametrize("row", [{"context_length": 10**30}, {"pricing": {"prompt": "1e30", "completion": "1"}}])
def test_absurd_numbers_of_an_upstream_do_not_stop_the_gateway(in_loop: InLoop, short_path: Path, row: dict[str, object]) -> None:
    async def look(service: Service, said: list[tuple[str, dict[str, object]]]) -> None:
        assert (await service.create_key("alice"))["name"] == "alice"
        assert said

    in_loop(lambda: discover(short_path, json.dumps({"data": [{"id": "a"} | row]}).encode(), look))


# Routes


def test_a_route_without_an_access_policy_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="no access policy"):
        Entry("/x", ("GET",), ENTRIES[0].handler, None)  # type: ignore[arg-type]


def test_what_changes_something_is_the_owners() -> None:
    changing = [entry for entry in ENTRIES if set(entry.methods) - {"GET"} and not entry.path.endswith("/models/validate")]
    assert all(entry.access is Access.OWNER for entry in changing)


def test_an_unknown_generation_is_not_found(with_service: Callable[[ServiceTest], None]) -> None:
    async def test(service: Service, files: DataDirectory) -> None:
        with pytest.raises(GatewayError) as caught:
            await service.generation("gen-none", None)
        assert caught.value.status == 404 or isinstance(caught.value, UnknownPath)

    with_service(test)

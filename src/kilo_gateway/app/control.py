"""The control process, composed. Also what a command composes when no gateway runs."""

from collections.abc import Callable
from functools import partial

from kilo_gateway.app.worker import build_pool, wall_ms
from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.catalog.overlay import load_overlay
from kilo_gateway.catalog.prices import OPENROUTER, PriceBook, price_table
from kilo_gateway.control import local_servers
from kilo_gateway.control.changes import Diary
from kilo_gateway.control.discovery import Discovery
from kilo_gateway.control.importer import Importer
from kilo_gateway.control.keys import Keys
from kilo_gateway.control.lists import Lists
from kilo_gateway.control.neighbours import Neighbours
from kilo_gateway.control.publisher import Publisher
from kilo_gateway.control.renewal import Renewal
from kilo_gateway.control.replay import Replay
from kilo_gateway.control.repricing import Repricing
from kilo_gateway.control.service import Service
from kilo_gateway.control.stock import Stock
from kilo_gateway.control.tokens import Tokens
from kilo_gateway.control.traffic import Traffic
from kilo_gateway.control.workers import Workers
from kilo_gateway.core import crash
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.settings import Settings
from kilo_gateway.http.gateway import Report
from kilo_gateway.store.database import open_sqlite
from kilo_gateway.upstreams.assemble import Sources
from kilo_gateway.upstreams.registry import providers


async def build_service(
    settings: Settings, files: DataDirectory, keyring: Keyring, workers: Workers | None, report: Report, *,
    crash_at: str = "", is_local_awaited: Callable[[], bool] = lambda: False,
) -> Service:  # fmt: skip
    """Opens the database; the caller holds the data directory's lock. `workers` None: no gateway runs.

    `is_local_awaited`: whether the local model is being fetched.
    """
    crashes = crash.crash_point(crash_at)
    database = await open_sqlite(files.database)

    async def changed() -> None:
        await renewal()

    lists = Lists(files.lists, changed)
    table = price_table()
    overlay = load_overlay(table.ids(OPENROUTER))
    sources = Sources(overlay, PriceBook(table, overlay.authors), providers())
    stock = Stock(settings, lists, sources, Diary(files.changes), wall_s, is_local_awaited)
    pool = build_pool(settings)
    tokens = Tokens(
        files.tokens, settings.fingerprint, pool, keyring.hop, lambda: publisher.renew(), report, wall_s
    )  # fmt: skip
    publisher = Publisher(settings, keyring, files, database, stock, workers, wall_ms, crashes, tokens.held)
    traffic = Traffic(wall_ms)
    importer = Importer(database, files.journal, wall_ms, crashes, traffic.add)
    renewal = Renewal(stock, publisher, Repricing(database, wall_ms), report)
    discovery = Discovery(pool, lists, keyring.hop, report, wall_s, period_s=settings.refresh_s)
    return Service(
        database, publisher, Keys(database, publisher, keyring.pepper, wall_ms), importer,
        Replay(database, files.journal, wall_ms), stock, lists, discovery, renewal, traffic, pool, tokens,
    )  # fmt: skip


def build_neighbours(service: Service, keyring: Keyring, report: Report, announce: Callable[[str], None]) -> Neighbours:
    find = partial(local_servers.find, service.pool, keyring.hop)
    return Neighbours(find, service.stock, service.lists, service.renewal, report, announce, wall_s)


def wall_s() -> int:
    return wall_ms() // 1000

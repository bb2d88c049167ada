"""The control process, composed. Also what a command composes when no gateway runs."""

from kilo_gateway.app.worker import build_pool, wall_ms
from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.control.discovery import Discovery
from kilo_gateway.control.importer import Importer
from kilo_gateway.control.keys import Keys
from kilo_gateway.control.publisher import Publisher
from kilo_gateway.control.replay import Replay
from kilo_gateway.control.service import Service
from kilo_gateway.control.workers import Workers
from kilo_gateway.core import crash
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.settings import Settings
from kilo_gateway.http.gateway import Report
from kilo_gateway.store.database import open_sqlite


async def build_service(
    settings: Settings, files: DataDirectory, keyring: Keyring, workers: Workers | None, *, crash_at: str = ""
) -> Service:
    """Opens the database; the caller holds the data directory's lock. `workers` None: no gateway runs."""
    crashes = crash.crash_point(crash_at)
    database = await open_sqlite(files.database)
    publisher = Publisher(settings, keyring, files, database, workers, wall_ms, crashes)
    keys = Keys(database, publisher, keyring.pepper, wall_ms)
    importer = Importer(database, files.journal, wall_ms, crashes)
    return Service(database, publisher, keys, importer, Replay(database, files.journal, wall_ms))


def build_discovery(settings: Settings, service: Service, keyring: Keyring, report: Report) -> Discovery:
    return Discovery(build_pool(settings), service.publisher, keyring.hop, report)

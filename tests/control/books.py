"""Journals and a database, and an importer that may die between them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from kilo_gateway.control.importer import Importer
from kilo_gateway.control.replay import Replay
from kilo_gateway.core.types import Ended, Started
from kilo_gateway.store import usage
from kilo_gateway.store.database import Database
from kilo_gateway.store.usage import UsageRow

NOW_MS = 1_700_000_100_000
AT_MS = 1_700_000_000_000


class Died(BaseException):
    """The control process, at a named point."""


class Books:
    """A database, a directory of journals, and an importer that may die."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.directory = directory
        self.dies_at = ""
        self.now_ms = NOW_MS
        self.restart()

    def restart(self) -> None:
        """A control process has died; the next one knows only what is on the disk."""
        self.importer = Importer(self.database, self.directory, lambda: self.now_ms, self._pass)
        self.replay = Replay(self.database, self.directory, lambda: self.now_ms)

    async def import_dying(self, point: str) -> None:
        self.dies_at = point
        try:
            await self.importer.import_new()
        except Died:
            self.restart()
        finally:
            self.dies_at = ""

    async def rows(self) -> dict[str, UsageRow]:
        async with self.database.begin() as connection:
            return {row.id: row for row in await usage.latest(connection, 100_000)}

    async def position(self, worker: str) -> tuple[int, int]:
        async with self.database.begin() as connection:
            found = (await usage.positions(connection))[worker]
            return found.file, found.offset

    def _pass(self, point: str) -> None:
        if point == self.dies_at:
            raise Died


BooksTest = Callable[[Books], Awaitable[None]]


def started(id: str, price: tuple[int, int] | None = (1_000_000, 2_000_000)) -> Started:
    return Started(id, AT_MS, "k1", "mock/model", "one", 10, price)


def ended(id: str, tokens: int = 2) -> Ended:
    return Ended(id, f"up-{id}", AT_MS, "k1", "mock/model", "one", "ok", 25, tokens, False, 29_000, 1, 1500)

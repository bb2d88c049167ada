"""Opening the database: one connection that reads, writes and checkpoints, and the schema brought up to date.

One, because SQLite before 3.51.3 can corrupt its WAL when two connections checkpoint at once. https://sqlite.org/wal.html
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_MIGRATIONS = Path(__file__).with_name("migrations")
_PRAGMAS = (
    "page_size=16384", "journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON",
    "wal_autocheckpoint=1000",
)  # fmt: skip


class Database:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back by an exception. Others wait meanwhile."""
        async with self._engine.begin() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


async def open_sqlite(path: Path) -> Database:
    """Creates the file (0600) and its tables when they are missing. The caller holds the data directory's lock."""
    path.touch(mode=0o600)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare)
    async with engine.begin() as connection:
        if await _revision(connection) != _newest():
            await connection.run_sync(_migrate)
    return Database(engine)


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _revision(connection: AsyncConnection) -> str | None:
    try:
        found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    except OperationalError:
        return None
    return None if found is None else str(found)


def _newest() -> str:
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("0*.py"))


def _migrate(connection: Connection) -> None:
    """Alembic takes 150 ms to import, and is needed once for each version."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

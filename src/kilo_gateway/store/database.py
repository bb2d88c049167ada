"""Opening the database: one connection that reads, writes and checkpoints, and the schema brought up to date.

One, because SQLite before 3.51.3 can corrupt its WAL when two connections checkpoint at once. https://sqlite.org/wal.html
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from sqlite3 import Error as SqliteError

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kilo_gateway.core.errors import StorageFailed
from kilo_gateway.store import revisions
from kilo_gateway.store.schema import metadata

_PRAGMAS = (
    "page_size=16384", "journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON",
    "wal_autocheckpoint=1000",
)  # fmt: skip


class Database:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back by an exception. Others wait meanwhile.

        Raises StorageFailed where the database itself is the reason: a full disk, a damaged file.
        """
        with _told():
            async with self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        await self._engine.dispose()


async def open_sqlite(path: Path) -> Database:
    """Creates the file (0600) and its tables when they are missing. The caller holds the data directory's lock.

    Raises StorageFailed.
    """
    path.touch(mode=0o600)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare)
    try:
        with _told():
            async with engine.begin() as connection:
                await connection.run_sync(_bring_up_to_date)
    except BaseException:
        await engine.dispose()
        raise
    return Database(engine)


@contextmanager
def _told() -> Iterator[None]:
    """What a statement has done wrong (IntegrityError and so on) stays what it is."""
    try:
        yield
    except DatabaseError as error:
        if type(error) not in (DatabaseError, OperationalError):
            raise
        raise StorageFailed(f"The database cannot be used: {error.orig}.") from error
    except SqliteError as error:  # while it is being opened
        raise StorageFailed(f"The database cannot be used: {error}.") from error


def _prepare(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _bring_up_to_date(connection: Connection) -> None:
    """New tables are made as the schema says, without Alembic, which takes 150 ms to import. Both are the same: a test."""
    newest = revisions.newest()
    if not inspect(connection).get_table_names():
        metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": newest})
    elif _revision(connection) != newest:
        migrate(connection, "head")


def _revision(connection: Connection) -> str:
    try:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
    except OperationalError:
        return ""


def migrate(connection: Connection, revision: str) -> None:
    """To this version, from whatever is there."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(revisions.MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)

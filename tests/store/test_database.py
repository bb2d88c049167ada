"""The database: made when it is missing, and the same tables whichever way they came to be."""

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from tests.bench import InLoop

from kilo_gateway.core.types import Ended
from kilo_gateway.store import keys, usage
from kilo_gateway.store.database import Database, migrate, open_sqlite
from kilo_gateway.store.keys import KeyRow
from kilo_gateway.store.usage import Position

DatabaseTest = Callable[[Database], Awaitable[None]]
ROW = KeyRow("key-1", "alice", "member", b"d" * 32, "abcd", 5)
ENDED = Ended("gen-1", "up-1", 1, "k", "m", "p", "ok", 1, 2, False, 3, 1, 5)


@pytest.fixture
def with_database(in_loop: InLoop, tmp_path: Path) -> Callable[[DatabaseTest], None]:
    def run_it(test: DatabaseTest) -> None:
        async def main() -> None:
            database = await open_sqlite(tmp_path / "x.db")
            try:
                await test(database)
            finally:
                await database.close()

        in_loop(main)

    return run_it


def shape_of(path: Path) -> dict[str, object]:
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, object] = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    found["indexes"] = {name: sql.replace('"usage".', "").replace("usage.", "") for name, sql in indexes}
    found["version"] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("revision", ["0001", "head"])
def test_migrations_make_what_a_new_database_has(
    with_database: Callable[[DatabaseTest], None], tmp_path: Path, revision: str
) -> None:
    old = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        migrate(connection, revision)
    engine.dispose()

    async def test(database: Database) -> None:
        await (await open_sqlite(old)).close()
        assert shape_of(old) == shape_of(tmp_path / "x.db")

    with_database(test)


def test_it_may_be_opened_again(in_loop: InLoop, tmp_path: Path) -> None:
    async def test() -> None:
        for n in range(3):
            database = await open_sqlite(tmp_path / "x.db")
            async with database.begin() as connection:
                await usage.add(connection, [ENDED])
                assert len(await usage.latest(connection, 10)) == 1, n
            await database.close()

    in_loop(test)


def test_only_its_owner_may_read_it(with_database: Callable[[DatabaseTest], None], tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        assert (tmp_path / "x.db").stat().st_mode & 0o077 == 0

    with_database(test)


def test_what_failed_is_undone(with_database: Callable[[DatabaseTest], None]) -> None:
    async def test(database: Database) -> None:
        with pytest.raises(RuntimeError):
            async with database.begin() as connection:
                await usage.add(connection, [ENDED])
                await usage.move(connection, Position("w", 1, 100))
                raise RuntimeError
        async with database.begin() as connection:
            assert (await usage.latest(connection, 10), await usage.positions(connection)) == ([], {})

    with_database(test)


def test_a_row_that_is_there_is_passed_over(with_database: Callable[[DatabaseTest], None]) -> None:
    async def test(database: Database) -> None:
        other = Ended("gen-1", "up-9", 9, "k9", "m", "p", "recovered", 1, 2, True, None, 1, 5)
        async with database.begin() as connection:
            await usage.add(connection, [ENDED, other])
            await usage.add(connection, [other])
            [row] = await usage.latest(connection, 10)
            assert (row.status, row.cost_nanos) == ("ok", 3)

    with_database(test)


def test_how_an_answer_ended_is_kept(with_database: Callable[[DatabaseTest], None]) -> None:
    async def test(database: Database) -> None:
        told = replace(ENDED, finish="tool_calls", native_finish="tool_use", has_tools=True)
        async with database.begin() as connection:
            await usage.add(connection, [told])
            assert await usage.recent(connection, 0, 10) == [told]

    with_database(test)


def test_a_position_is_moved_and_forgotten(with_database: Callable[[DatabaseTest], None]) -> None:
    async def test(database: Database) -> None:
        async with database.begin() as connection:
            for position in (Position("w", 1, 5), Position("w", 2, 0), Position("v", 1, 1, True)):
                await usage.move(connection, position)
            assert await usage.positions(connection) == {"w": Position("w", 2, 0), "v": Position("v", 1, 1, True)}
            await usage.forget(connection, "w")
            assert set(await usage.positions(connection)) == {"v"}

    with_database(test)


def test_a_key_is_revoked_once(with_database: Callable[[DatabaseTest], None]) -> None:
    async def test(database: Database) -> None:
        async with database.begin() as connection:
            await keys.add(connection, ROW)
            assert await keys.revoke(connection, "key-1", 7)
            assert not await keys.revoke(connection, "key-1", 8)
            assert [row.revoked_ms for row in await keys.every(connection)] == [7]

    with_database(test)


def test_two_keys_never_share_a_digest(with_database: Callable[[DatabaseTest], None]) -> None:
    async def test(database: Database) -> None:
        with pytest.raises(IntegrityError):
            async with database.begin() as connection:
                await keys.add(connection, ROW)
                await keys.add(connection, KeyRow("key-2", "bob", "member", b"d" * 32, "abcd", 5))

    with_database(test)

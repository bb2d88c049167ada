"""Rows that a database has lost come back out of the journals, and nothing is booked twice."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete
from tests.control.books import Books, BooksTest, ended, started

from kilo_gateway.control.replay import Replayed
from kilo_gateway.core.types import Progressed
from kilo_gateway.ledger.journal import Journal
from kilo_gateway.store.schema import usage as usage_table

WithBooks = Callable[[BooksTest], None]


async def lose(books: Books, id: str) -> None:
    async with books.database.begin() as connection:
        await connection.execute(delete(usage_table).where(usage_table.c.id == id))


def test_a_row_that_was_lost_comes_back_as_it_was(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        for id in ("a", "b", "c"):
            writer.append(started(id))
            writer.append(ended(id))
        await books.importer.import_new()
        before = await books.rows()
        await lose(books, "b")
        assert await books.replay.run() == Replayed(lines=6, new=1, already_there=2)
        assert await books.rows() == before
        assert await books.replay.run() == Replayed(lines=6, new=0, already_there=3)
        writer.close()

    with_books(test)


def test_a_request_that_still_runs_is_left_to_its_end(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(Progressed("a", 3))
        assert await books.replay.run() == Replayed(lines=2, running=1)
        assert await books.rows() == {}
        writer.append(ended("a"))
        await books.importer.import_new()
        assert list(await books.rows()) == ["a"]
        writer.close()

    with_books(test)


def test_what_a_dead_worker_had_open_is_booked_as_far_as_it_got(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(Progressed("a", 3))
        writer.close()
        await books.importer.import_new()
        before = await books.rows()
        await lose(books, "a")
        assert (await books.replay.run()).new == 1
        assert await books.rows() == before
        assert before["a"].status == "recovered"

    with_books(test)


def test_replaying_moves_no_position_of_the_importer(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(ended("a"))
        await books.importer.import_new()
        position = await books.position("w")
        await books.replay.run()
        assert await books.position("w") == position
        writer.close()

    with_books(test)


def test_lines_that_cannot_be_read_are_counted_and_the_rest_is_booked(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(ended("a"))
        writer.close()
        [path] = [each for each in books.directory.iterdir() if each.name.startswith("w-")]
        spoil_first_line(path)
        assert await books.replay.run() == Replayed(lines=2, unreadable=1, new=1)

    with_books(test)


def spoil_first_line(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"[?")


@pytest.mark.parametrize("workers", [3])
def test_files_of_several_workers_are_all_read(with_books: WithBooks, workers: int) -> None:
    async def test(books: Books) -> None:
        for number in range(workers):
            writer = Journal(books.directory, f"w{number}")
            writer.append(started(f"r{number}"))
            writer.append(ended(f"r{number}"))
            writer.close()
        assert (await books.replay.run()).new == workers

    with_books(test)

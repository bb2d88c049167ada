"""Every journal line becomes a row exactly once, whoever dies when."""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.control.books import AT_MS, Books, BooksTest, ended, started

from kilo_gateway.core.types import Progressed
from kilo_gateway.ledger import journal
from kilo_gateway.ledger.journal import Journal
from kilo_gateway.store.usage import UsageRow


def test_a_request_that_ended_becomes_a_row(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(ended("a"))
        await books.importer.import_new()
        assert await books.rows() == {
            "a": UsageRow("a", "up-a", AT_MS, "k1", "mock/model", "one", "ok", 25, 2, False, 29_000, 1, 1500)
        }
        writer.close()

    with_books(test)


def test_what_a_client_said_is_in_its_row_though_the_worker_died(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        for line in (started("a"), ended("a"), started("b")):
            writer.append(replace(line, client='{"title":"An App"}'))
        writer.close()
        await books.importer.import_new()
        rows = await books.rows()
        assert {(row.status, row.client) for row in rows.values()} == {(kind, '{"title":"An App"}') for kind in ("ok", "recovered")}
        assert rows["a"].ended().client == rows["a"].client

    with_books(test)


def test_a_running_request_is_no_row_yet(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(Progressed("a", 3))
        await books.importer.import_new()
        assert await books.rows() == {}
        writer.append(ended("a"))
        await books.importer.import_new()
        assert list(await books.rows()) == ["a"]
        writer.close()

    with_books(test)


def test_what_a_dead_worker_had_running_is_booked_as_far_as_it_came(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        for line in (started("a"), Progressed("a", 3), Progressed("a", 5), started("b", None), started("c"), ended("c")):
            writer.append(line)
        writer.close()
        await books.importer.import_new()
        rows = await books.rows()
        assert (rows["a"].status, rows["a"].completion_tokens, rows["a"].cost_nanos) == ("recovered", 5, 20_000)
        assert (rows["b"].status, rows["b"].completion_tokens, rows["b"].cost_nanos) == ("recovered", 0, None)
        assert rows["c"].status == "ok"
        assert rows["a"].is_estimated

    with_books(test)


@pytest.mark.parametrize("point", ["import.before_commit", "import.after_commit"])
def test_a_death_of_control_loses_and_doubles_nothing(with_books: Callable[[BooksTest], None], point: str) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(started("b"))
        writer.append(ended("b"))
        await books.import_dying(point)
        writer.append(ended("a"))
        await books.import_dying(point)
        await books.importer.import_new()
        assert sorted(await books.rows()) == ["a", "b"]
        writer.close()
        await books.import_dying(point)
        await books.importer.import_new()
        assert {row.status for row in (await books.rows()).values()} == {"ok"}

    with_books(test)


def test_an_import_that_failed_is_done_again_by_the_same_importer(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(ended("a"))
        importer = books.importer
        await books.import_dying("import.before_commit")
        assert await books.rows() == {}
        await importer.import_new()
        assert list(await books.rows()) == ["a"]
        writer.close()

    with_books(test)


def test_the_position_never_passes_a_running_request(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(ended("x"))
        writer.append(started("a"))
        writer.append(started("b"))
        writer.append(ended("b"))
        await books.importer.import_new()
        data = (books.directory / "w-1").read_bytes()
        assert await books.position("w") == (1, data.index(b'["s","a"'))
        writer.append(ended("a"))
        await books.importer.import_new()
        assert await books.position("w") == (1, (books.directory / "w-1").read_bytes().index(b"\0"))
        writer.close()

    with_books(test)


def test_a_request_may_run_over_several_files(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w", file_bytes=4096)
        writer.append(started("long"))
        for n in range(100):
            writer.append(started(f"n{n}"))
            writer.append(ended(f"n{n}"))
            if n % 7 == 0:
                await books.import_dying("import.after_commit")
        await books.importer.import_new()
        assert (await books.position("w"))[0] == 1
        writer.append(ended("long"))
        await books.importer.import_new()
        assert len(await books.rows()) == 101
        assert len(list(books.directory.iterdir())) > 3
        writer.close()

    with_books(test)


@pytest.mark.parametrize("torn", [b'["e","a","up', b"[", b'["e","a","up-a",17000000000', b"\xff\xfe"])
def test_a_torn_line_at_the_end_is_passed_over(with_books: Callable[[BooksTest], None], torn: bytes) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w")
        writer.append(started("a"))
        writer.append(ended("b"))
        writer.close()
        path = books.directory / "w-1"
        path.write_bytes(path.read_bytes().partition(b"\0")[0] + torn)
        await books.importer.import_new()
        rows = await books.rows()
        assert {id: row.status for id, row in rows.items()} == {"a": "recovered", "b": "ok"}

    with_books(test)


def test_a_line_that_cannot_be_read_is_counted_and_hides_no_other(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        lines = [b"garbage\n", b'["e","b"]\n', b"\n", b'["x"]\n', b"\xff\n", b'["s"\n']
        writer = Journal(books.directory, "w")
        writer.append(ended("a"))
        writer.close()
        path = books.directory / "w-1"
        good = path.read_bytes().partition(b"\0")[0]
        path.write_bytes(b"".join(lines) + good + b"".join(lines))
        await books.importer.import_new()
        assert list(await books.rows()) == ["a"]
        assert books.importer.unreadable > 0

    with_books(test)


def test_a_file_that_is_just_being_made_is_no_sign_of_death(with_books: Callable[[BooksTest], None]) -> None:
    """A worker opens its file and locks it a moment later: an import may fall between the two."""

    async def test(books: Books) -> None:
        (books.directory / "w-1.new").touch()
        await books.importer.import_new()
        writer = Journal(books.directory, "w")
        writer.append(ended("a"))
        await books.importer.import_new()
        assert list(await books.rows()) == ["a"]
        writer.close()

    with_books(test)


def test_the_next_file_just_being_made_is_no_sign_of_death(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writer = Journal(books.directory, "w", file_bytes=4096)
        writer.append(started("long"))
        (books.directory / "w-2.new").touch()
        await books.importer.import_new()
        for n in range(100):
            writer.append(ended(f"n{n}"))
        writer.append(ended("long"))
        await books.importer.import_new()
        rows = await books.rows()
        assert len(rows) == 101
        assert rows["long"].status == "ok"
        writer.close()

    with_books(test)


def test_many_workers_are_imported_side_by_side(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        writers = [Journal(books.directory, f"{n}.ab.cd") for n in range(5)]
        for n, writer in enumerate(writers):
            writer.append(started(f"id{n}"))
            writer.append(ended(f"id{n}"))
        await books.importer.import_new()
        assert len(await books.rows()) == 5
        for writer in writers:
            writer.close()

    with_books(test)


def test_old_files_of_dead_workers_are_removed_and_young_ones_kept(with_books: Callable[[BooksTest], None]) -> None:
    async def test(books: Books) -> None:
        for worker in ("old", "young"):
            writer = Journal(books.directory, worker)
            writer.append(ended(worker))
            writer.close()
        long_ago = time.time() - 10 * 24 * 3600
        os.utime(books.directory / "old-1", (long_ago, long_ago))
        await books.importer.import_new()
        os.utime(books.directory / "old-1", (long_ago, long_ago))
        books.now_ms = int(time.time() * 1000)
        await books.importer.remove_old()
        assert [path.name for path in books.directory.iterdir()] == ["young-1"]
        await books.importer.import_new()
        assert sorted(await books.rows()) == ["old", "young"]

    with_books(test)


class Life:
    """Random workers, some of which die, and an importer that dies at random points. Knows what must come of it."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books = books
        self.random = random.Random(seed)
        self.ids = (f"{seed}-{n}" for n in itertools.count())
        self.names = (f"w{seed}.{n}" for n in itertools.count())
        self.writers: dict[str, Journal] = {}
        self.running: dict[str, list[str]] = {}
        self.expected: dict[str, str] = {}

    async def step(self) -> None:
        chance = self.random.random()
        if chance < 0.04 or not self.writers:
            name = next(self.names)
            self.writers[name], self.running[name] = Journal(self.books.directory, name, file_bytes=4096), []
        elif chance < 0.4:
            name, id = self._any(), next(self.ids)
            self.writers[name].append(started(id))
            self.running[name].append(id)
        elif chance < 0.8:
            self._goes_on(self._any())
        elif chance < 0.84:
            self.dies(self._any())
        else:
            point = self.random.choice(["", "import.before_commit", "import.after_commit"])
            await self.books.import_dying(point)
            if self.random.random() < 0.3:
                self.books.restart()

    def dies(self, name: str) -> None:
        self.writers.pop(name).close()
        self.expected |= dict.fromkeys(self.running.pop(name), "recovered")

    def _any(self) -> str:
        return self.random.choice(list(self.writers))

    def _goes_on(self, name: str) -> None:
        if not self.running[name]:
            return
        id = self.random.choice(self.running[name])
        if self.random.random() < 0.3:
            self.writers[name].append(Progressed(id, self.random.randrange(100)))
        else:
            self.running[name].remove(id)
            self.writers[name].append(ended(id))
            self.expected[id] = "ok"


@pytest.mark.parametrize("seed", range(12))
def test_whoever_dies_when_everything_is_booked_once(with_books: Callable[[BooksTest], None], seed: int) -> None:
    async def test(books: Books) -> None:
        life = Life(books, seed)
        for _ in range(400):
            await life.step()
        for name in list(life.writers):
            life.dies(name)
        await books.importer.import_new()
        await asyncio.sleep(0)
        assert {id: row.status for id, row in (await books.rows()).items()} == life.expected

    with_books(test)


def test_files_are_found_in_the_order_they_were_written(tmp_path: Path) -> None:
    for name in ("0.a.b-10", "0.a.b-9", "1.c.d-1", "lost", "x-y"):
        (tmp_path / name).touch()
    found = journal.files_of(tmp_path)
    assert {worker: [number for number, _ in files] for worker, files in found.items()} == {"0.a.b": [9, 10], "1.c.d": [1]}

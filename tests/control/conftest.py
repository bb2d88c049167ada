"""Books for one test, in an event loop of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench import InLoop
from tests.control.books import Books, BooksTest

from kilo_gateway.store.database import open_sqlite


@pytest.fixture
def with_books(in_loop: InLoop, tmp_path: Path) -> Callable[[BooksTest], None]:
    def run_it(test: BooksTest) -> None:
        async def main() -> None:
            (tmp_path / "journal").mkdir()
            database = await open_sqlite(tmp_path / "gateway.db")
            try:
                await test(Books(database, tmp_path / "journal"))
            finally:
                await database.close()

        in_loop(main)

    return run_it

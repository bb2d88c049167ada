"""A request that was served without a known price is priced when there is one, once, and at the price of its endpoint."""

from collections.abc import Callable

from msgspec.structs import replace
from tests.control.books import AT_MS, NOW_MS, Books, BooksTest

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place
from kilo_gateway.catalog.facts import Card, Facts
from kilo_gateway.catalog.names import Names
from kilo_gateway.control import repricing
from kilo_gateway.control.repricing import Repricing
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Ended
from kilo_gateway.store import usage

WithBooks = Callable[[BooksTest], None]


def catalogue(**prices: Price | None) -> Catalogue:
    """a/m at upstreams of these names."""
    places = tuple(Place(name, "m", Card(Facts(price=price), {})) for name, price in prices.items())
    entries = {"a/m": Entry("a/m", "discovery", Card(Facts(), {}), places)}
    return Catalogue(1, 1, entries, Names(entries, {}))


def ended(id: str, provider: str = "one", cost: int | None = None, read: int = 0) -> Ended:
    return Ended(
        id, "", AT_MS, "k", "a/m", provider, "ok", 1000, 100, False, cost, 1, 5, cache_read_tokens=read
    )  # fmt: skip


async def book(books: Books, *rows: Ended) -> Repricing:
    async with books.database.begin() as connection:
        await usage.add(connection, rows)
    return Repricing(books.database, lambda: NOW_MS)


def test_a_price_that_becomes_known_is_applied_with_all_kinds_of_tokens(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        made = await book(books, ended("a", read=400))
        assert await made.run(catalogue(one=Price(1000, 5000, cache_read=100))) == 1
        row = (await books.rows())["a"]
        assert (row.cost_nanos, row.repriced_ms) == (600 + 40 + 500, NOW_MS)

    with_books(test)


def test_audio_is_priced_by_its_length_later_too(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        made = await book(books, replace(ended("a"), audio_ms=1_500))
        assert await made.run(catalogue(one=Price(0, 0, audio_hour=360_000_000_000))) == 1
        assert (await books.rows())["a"].cost_nanos == 150_000

    with_books(test)


def test_a_cost_that_was_known_stands(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        made = await book(books, ended("a", cost=7))
        assert await made.run(catalogue(one=Price(1000, 5000))) == 0
        assert (await books.rows())["a"].cost_nanos == 7

    with_books(test)


def test_the_price_of_another_endpoint_is_not_taken(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        made = await book(books, ended("a", "one"), ended("b", "gone"))
        assert await made.run(catalogue(one=None, two=Price(1, 1))) == 0

    with_books(test)


def test_more_rows_than_one_batch_are_all_priced_though_some_stay_unknown(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        count = repricing.BATCH + 50
        made = await book(books, *(ended(f"{n:05}", "one" if n % 2 else "gone") for n in range(count)))
        assert await made.run(catalogue(one=Price(1000, 5000))) == count // 2
        assert await made.run(catalogue(one=Price(9000, 9000))) == 0

    with_books(test)


def test_a_row_gives_the_line_it_was_booked_from(with_books: WithBooks) -> None:
    async def test(books: Books) -> None:
        lines = [ended("a", read=400), ended("b", cost=7), replace(ended("c", "two"), audio_ms=9)]
        await book(books, *lines)
        async with books.database.begin() as connection:
            assert await usage.recent(connection, AT_MS, 2) == lines[1:]
            assert await usage.recent(connection, AT_MS + 1, 9) == []

    with_books(test)

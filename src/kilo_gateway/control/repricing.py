"""Requests that were booked without a price, priced as soon as there is one for the endpoint that served them."""

from collections.abc import Callable

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.core.price import Price
from kilo_gateway.store import usage
from kilo_gateway.store.database import Database

BATCH = 1000


class Repricing:
    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def run(self, catalogue: Catalogue) -> int:
        """How many were priced. A batch is a transaction, so that others get their turn."""
        prices = {
            (entry.id, place.upstream): place.facts.price
            for entry in catalogue.entries.values()
            for place in entry.places
            if place.facts.price is not None
        }
        count, after = 0, ""
        while True:
            async with self._database.begin() as connection:
                rows = await usage.unpriced(connection, after, BATCH)
                costs = [(row.id, price.of(row.usage(), row.at_ms)) for row in rows if (price := self._price(prices, row))]
                await usage.set_costs(connection, costs, self._now_ms())
            count += len(costs)
            if len(rows) < BATCH:
                return count
            after = rows[-1].id

    @staticmethod
    def _price(prices: dict[tuple[str, str], Price], row: usage.UsageRow) -> Price | None:
        return prices.get((row.model, row.provider))

"""What follows a change of lists: a new catalogue, a new snapshot for workers, and costs that can now be told."""

import asyncio
from collections.abc import Callable

from kilo_gateway.control.publisher import Publisher
from kilo_gateway.control.repricing import Repricing
from kilo_gateway.control.stock import Stock
from kilo_gateway.core.errors import Overloaded


class Renewal:
    """Called as often as something changes; calls that wait for one that runs become one."""

    def __init__(self, stock: Stock, publisher: Publisher, repricing: Repricing, say: Callable[..., None]) -> None:
        self._stock = stock
        self._publisher = publisher
        self._repricing = repricing
        self._say = say
        self._is_wanted = False
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> None:
        self._is_wanted = True
        async with self._one_at_a_time:
            if not self._is_wanted:
                return
            self._is_wanted = False
            catalogue = await self._stock.renew()
            try:
                await self._publisher.publish()
            except Overloaded as error:  # a worker that is late gets it when it comes
                self._say("snapshot.late", reason=str(error))
            self._stock.current = catalogue
            await self.reprice()

    async def reprice(self) -> None:
        """By itself: prices may have come with another configuration, or a request ended after its price was known."""
        if count := await self._repricing.run(self._stock.current):
            self._say("usage.repriced", requests=count)

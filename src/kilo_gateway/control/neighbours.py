"""Model servers on this machine, looked for at the start and with every refresh: upstreams that nobody had to configure."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from kilo_gateway.control.lists import Lists
from kilo_gateway.control.local_servers import Found, Silent
from kilo_gateway.control.renewal import Renewal
from kilo_gateway.control.stock import Stock
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.core.types import Patience
from kilo_gateway.upstreams.registry import SERVERS, WITHOUT_URLS

Find = Callable[[Collection[str]], Awaitable[list[Found | Silent]]]


class Neighbours:
    """`find` is given the products that are known. `say` is told in fields, `announce` in a sentence for whoever sits at the

    terminal.
    """

    def __init__(
        self, find: Find, stock: Stock, lists: Lists, renewal: Renewal, say: Callable[..., None],
        announce: Callable[[str], None], wall_s: Callable[[], int],
    ) -> None:  # fmt: skip
        self._find = find
        self._stock = stock
        self._lists = lists
        self._renewal = renewal
        self._say = say
        self._announce = announce
        self._wall_s = wall_s
        self._announced: set[str] = set()
        self._found: dict[str, Found] = {}

    async def run(self, period_s: float) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # the door of a background task: the next look may do
                self._say("local_servers.failed", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(period_s)

    async def look(self) -> None:
        seen = await self._find(self._found)
        for silent in (each for each in seen if isinstance(each, Silent)):
            rows = len(self._found[silent.product].rows)
            self._say("local_server.silent", product=silent.product, reason=silent.reason, models=rows)
        servers = [self._found[each.product] if isinstance(each, Silent) else each for each in seen]
        for gone in self._found.keys() - {each.product for each in servers}:
            self._say("local_server.gone", product=gone, models=len(self._found[gone].rows))
        self._found = {each.product: each for each in servers}
        is_changed = self._stock.find([_upstream(each) for each in servers])
        for server in servers:
            if self._stock.is_found(server.product):
                await self._lists.take(server.product, server.rows, self._wall_s())
                self._tell(server)
        if is_changed:
            await self._renewal()

    def _tell(self, server: Found) -> None:
        if server.product in self._announced:
            return
        self._announced.add(server.product)
        count = f"{len(server.rows)} model{'s' if len(server.rows) != 1 else ''}"
        self._say("local_server.found", product=server.product, port=server.origin.port, models=len(server.rows))
        self._announce(
            f"Found {SERVERS[server.product]} on port {server.origin.port} with {count}, as upstream {server.product}."
            " They cost nothing; kilo/auto leaves them alone until auto.default names one."
        )


def _upstream(server: Found) -> UpstreamSettings:
    """It never leaves the machine and wants no key."""
    return UpstreamSettings(
        server.product, "openai-chat", server.origin, server.path, Secret(""), (), Patience(), "", False,
        f"found on port {server.origin.port}", server.listing, is_free=True,
        takes_urls=server.product not in WITHOUT_URLS,
    )  # fmt: skip

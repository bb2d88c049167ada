"""Model servers on this machine, looked for at the start and with every refresh: upstreams that nobody had to configure."""

import asyncio
from collections.abc import Callable

from kilo_gateway.control import local_servers
from kilo_gateway.control.lists import Lists
from kilo_gateway.control.local_servers import Found
from kilo_gateway.control.renewal import Renewal
from kilo_gateway.control.stock import Stock
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.core.types import Patience
from kilo_gateway.http.upstream import Pool
from kilo_gateway.upstreams.registry import SERVERS


class Neighbours:
    """`say` is told in fields, `announce` in a sentence for whoever sits at the terminal."""

    def __init__(
        self, pool: Pool, hop: str, stock: Stock, lists: Lists, renewal: Renewal, say: Callable[..., None],
        announce: Callable[[str], None], wall_s: Callable[[], int],
    ) -> None:  # fmt: skip
        self._pool = pool
        self._hop = hop
        self._stock = stock
        self._lists = lists
        self._renewal = renewal
        self._say = say
        self._announce = announce
        self._wall_s = wall_s
        self._announced: set[str] = set()

    async def run(self, period_s: float) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # the door of a background task: the next look may do
                self._say("local_servers.failed", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(period_s)

    async def look(self) -> None:
        servers = await local_servers.find(self._pool, self._hop)
        is_changed = self._stock.find([_upstream(each) for each in servers])
        for each in servers:
            if self._stock.is_found(each.product):
                await self._lists.take(each.product, each.rows, self._wall_s())
                self._tell(each)
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
    )  # fmt: skip

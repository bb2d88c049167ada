"""What the control process can do, in one value: HTTP routes and the CLI without a server call the same methods."""

import asyncio
from dataclasses import dataclass

import msgspec

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.control import model_views, views
from kilo_gateway.control.discovery import Discovery
from kilo_gateway.control.importer import Importer
from kilo_gateway.control.keys import Keys
from kilo_gateway.control.lists import Lists
from kilo_gateway.control.publisher import Publisher
from kilo_gateway.control.renewal import Renewal
from kilo_gateway.control.replay import Replay
from kilo_gateway.control.stock import Stock
from kilo_gateway.control.tokens import Tokens
from kilo_gateway.control.traffic import Traffic
from kilo_gateway.control.views import View
from kilo_gateway.core.errors import BadRequest, NotFound
from kilo_gateway.http.upstream import Pool
from kilo_gateway.store import usage
from kilo_gateway.store.database import Database

MAX_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Service:
    database: Database
    publisher: Publisher
    keys: Keys
    importer: Importer
    replay: Replay
    stock: Stock
    lists: Lists
    discovery: Discovery
    renewal: Renewal
    traffic: Traffic
    pool: Pool
    tokens: Tokens

    def catalogue(self) -> Catalogue:
        return self.stock.current

    async def create_key(self, name: str) -> View:
        row, key = await self.keys.create(name)
        return {"key": key, **views.key_view(row)}

    async def revoke_key(self, wanted: str) -> View:
        return {**views.key_view(await self.keys.revoke(wanted)), "revoked": True}

    async def list_keys(self) -> list[View]:
        return [views.key_view(row) for row in await self.keys.every()]

    async def usage(self, limit: int, key_id: str | None = None) -> list[View]:
        """Newest first, up to the moment: what is in the journals is imported before."""
        if not 1 <= limit <= MAX_ROWS:
            raise BadRequest(f"limit must be from 1 to {MAX_ROWS}.")
        await self.importer.import_new()
        async with self.database.begin() as connection:
            return [views.usage_view(row) for row in await usage.latest(connection, limit, key_id)]

    async def replay_journal(self) -> View:
        return views.replay_view(await self.replay.run())

    async def generation(self, id: str, key_id: str | None) -> View:
        """By either id. `key_id`: whose it must be; None for the owner."""
        await self.importer.import_new()
        async with self.database.begin() as connection:
            row = await usage.find(connection, id, key_id)
        if row is None:
            raise NotFound(f"There is no generation {id[:100]!r}.")
        return {"data": views.generation_view(row)}

    def models(self, provider: str | None, *, is_free: bool) -> list[View]:
        return model_views.listed(self.catalogue(), self.traffic, provider, is_free=is_free)

    def model(self, name: str) -> View:
        return model_views.shown(self.catalogue(), self.traffic, name)

    async def refresh_models(self, *, force: bool) -> list[View]:
        """Every upstream that is discovered, asked now. `force`: a list that has shrunk to less than half is taken too."""
        upstreams = [each for each in self.stock.upstreams.values() if each.discovers]
        outcomes = await asyncio.gather(*(self.discovery.refresh(each, force=force) for each in upstreams))
        return [msgspec.to_builtins(outcome) for outcome in outcomes]

    def model_changes(self) -> View:
        return views.changes_view(self.stock.diary.last, self.lists.status())

"""What the control process can do, in one value: HTTP routes and the CLI without a server call the same methods."""

from dataclasses import dataclass

from kilo_gateway.control import views
from kilo_gateway.control.importer import Importer
from kilo_gateway.control.keys import Keys
from kilo_gateway.control.publisher import Publisher
from kilo_gateway.control.replay import Replay
from kilo_gateway.control.views import View
from kilo_gateway.core.errors import BadRequest, NotFound
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

    def models(self) -> View:
        return views.models_view(self.publisher.data)

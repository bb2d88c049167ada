"""The keys table."""

from msgspec import Struct
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from kilo_gateway.core.types import Role
from kilo_gateway.store.schema import keys


class KeyRow(Struct, frozen=True):
    id: str
    name: str
    role: Role
    digest: bytes
    hint: str
    created_ms: int
    revoked_ms: int | None = None


async def add(connection: AsyncConnection, row: KeyRow) -> None:
    await connection.execute(insert(keys).values({name: getattr(row, name) for name in row.__struct_fields__}))


async def revoke(connection: AsyncConnection, id: str, at_ms: int) -> bool:
    """False when there is no such key that is not revoked yet."""
    is_valid = keys.c.revoked_ms.is_(None)
    done = await connection.execute(update(keys).where(keys.c.id == id, is_valid).values(revoked_ms=at_ms))
    return done.rowcount == 1


async def every(connection: AsyncConnection) -> list[KeyRow]:
    """Oldest first, revoked ones included."""
    rows = await connection.execute(select(keys).order_by(keys.c.created_ms, keys.c.id))
    return [KeyRow(**row) for row in rows.mappings()]

"""The usage table, and how far the journals have been imported into it: always in one transaction."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Select, delete, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from kilo_gateway.core.price import KINDS, Usage
from kilo_gateway.core.types import Ended
from kilo_gateway.store.schema import journal_positions, usage

_COLUMNS = tuple(column.name for column in usage.columns)


class UsageRow(Struct, frozen=True):
    id: str
    upstream_id: str
    at_ms: int
    key_id: str
    model: str
    provider: str
    status: str
    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool
    cost_nanos: int | None
    attempts: int
    duration_us: int
    first_us: int = -1
    down: str = ""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    cache_audio_tokens: int = 0
    input_image_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    images: int = 0
    web_searches: int = 0
    finish: str = ""
    native_finish: str = ""
    has_tools: bool = False
    client: str = ""
    audio_ms: int = 0
    repairs: str = ""
    repriced_ms: int | None = None

    def usage(self) -> Usage:
        """What a price is applied to."""
        kinds = {name: getattr(self, name) for name in (*KINDS, "audio_ms")}
        return Usage(self.prompt_tokens, self.completion_tokens, self.is_estimated, **kinds)


    def ended(self) -> Ended:
        """The line it was booked from, with the cost it has now."""
        return Ended(*astuple(self)[: len(Ended.__struct_fields__)])


class Position(Struct, frozen=True):
    worker: str
    file: int
    offset: int
    is_closed: bool = False


async def add(connection: AsyncConnection, lines: Sequence[Ended]) -> int:
    """How many were new: those whose id is there already are passed over. Straight to the driver: 1 us a row, not 6."""
    if not lines:
        return 0
    given = {name: None for name in _COLUMNS if name != "repriced_ms"}
    statement = insert(usage).values(given).on_conflict_do_nothing().compile(dialect=connection.dialect)
    assert statement.positiontup is not None
    order = [_FIELD_OF.get(column, column) for column in statement.positiontup]
    if tuple(order) != Ended.__struct_fields__:
        raise AssertionError("the columns of usage and the fields of Ended are not in the same order")
    done = await connection.exec_driver_sql(str(statement), [astuple(line) for line in lines])
    return done.rowcount


async def latest(connection: AsyncConnection, limit: int, key_id: str | None = None) -> list[UsageRow]:
    """Newest first."""
    query = select(usage).order_by(usage.c.id.desc()).limit(limit)
    return await _rows(connection, query if key_id is None else query.where(usage.c.key_id == key_id))


async def recent(connection: AsyncConnection, since_ms: int, limit: int) -> list[Ended]:
    """The newest, oldest first."""
    rows = [row for row in await latest(connection, limit) if row.at_ms >= since_ms]
    return [row.ended() for row in reversed(rows)]


async def find(connection: AsyncConnection, id: str, key_id: str | None = None) -> UsageRow | None:
    """The newest by generation id or the upstream's own, of this key or of any."""
    query = select(usage).where(or_(usage.c.id == id, usage.c.upstream_id == id)).order_by(usage.c.id.desc()).limit(1)
    if key_id is not None:
        query = query.where(usage.c.key_id == key_id)
    return next(iter(await _rows(connection, query)), None)


async def unpriced(connection: AsyncConnection, after: str, limit: int) -> list[UsageRow]:
    """Those booked without a price, from the oldest on, behind the one named."""
    query = select(usage).where(usage.c.cost_nanos.is_(None), usage.c.id > after).order_by(usage.c.id).limit(limit)
    return await _rows(connection, query)


async def set_costs(connection: AsyncConnection, costs: Sequence[tuple[str, int]], at_ms: int) -> None:
    """Where none was known; one that is there stands."""
    for id, cost in costs:
        change = update(usage).where(usage.c.id == id, usage.c.cost_nanos.is_(None))
        await connection.execute(change.values(cost_nanos=cost, repriced_ms=at_ms))


async def positions(connection: AsyncConnection) -> dict[str, Position]:
    rows = await connection.execute(select(journal_positions))
    return {row["worker"]: Position(**row) for row in rows.mappings()}


async def move(connection: AsyncConnection, position: Position) -> None:
    values = {name: getattr(position, name) for name in position.__struct_fields__}
    statement = insert(journal_positions).values(values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["worker"], set_=values))


async def forget(connection: AsyncConnection, worker: str) -> None:
    await connection.execute(delete(journal_positions).where(journal_positions.c.worker == worker))


_FIELD_OF = {"key_id": "key", "status": "outcome", "cost_nanos": "cost"}


async def _rows(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> list[UsageRow]:
    rows = await connection.execute(query)
    return [UsageRow(**row) for row in rows.mappings()]

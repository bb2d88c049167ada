"""Keys: made here, shown once, kept as HMAC. A change is done when every worker has it."""

import secrets
import string
from collections.abc import Callable

from kilo_gateway.catalog.snapshot import digest
from kilo_gateway.control.publisher import Publisher
from kilo_gateway.core.brand import KEY_PREFIX
from kilo_gateway.core.errors import BadRequest, NotFound
from kilo_gateway.core.types import Role
from kilo_gateway.store import keys
from kilo_gateway.store.database import Database
from kilo_gateway.store.keys import KeyRow

_ALPHABET = string.digits + string.ascii_letters
_LENGTH = 32


def new_key() -> str:
    return KEY_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


class Keys:
    """`now_ms` gives Unix milliseconds."""

    def __init__(self, database: Database, publisher: Publisher, pepper: bytes, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._publisher = publisher
        self._pepper = pepper
        self._now_ms = now_ms

    async def create(self, name: str) -> tuple[KeyRow, str]:
        """The row, and the key itself, which is nowhere else."""
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise BadRequest("A key needs a name of 1 to 100 printable characters.")
        key = new_key()
        row = await self._add(name, "member", key)
        await self._publisher.publish()
        return row, key

    async def _add(self, name: str, role: Role, key: str) -> KeyRow:
        row = KeyRow(
            f"key-{secrets.token_hex(8)}", name, role, digest(self._pepper, key.encode()), key[-4:], self._now_ms()
        )  # fmt: skip
        async with self._database.begin() as connection:
            await keys.add(connection, row)
        return row

    async def revoke(self, wanted: str) -> KeyRow:
        """`wanted`: an id, or a name that only one valid key has."""
        async with self._database.begin() as connection:
            rows = [row for row in await keys.every(connection) if row.revoked_ms is None]
            found = [row for row in rows if row.id == wanted] or [row for row in rows if row.name == wanted]
            if not found:
                raise NotFound(f"There is no valid key with the id or name {wanted!r}.")
            if len(found) > 1:
                raise BadRequest(f"{len(found)} keys are named {wanted!r}; use an id: {', '.join(row.id for row in found)}.")
            await keys.revoke(connection, found[0].id, self._now_ms())
        await self._publisher.publish()
        return found[0]

    async def every(self) -> list[KeyRow]:
        async with self._database.begin() as connection:
            return await keys.every(connection)

    async def ensure_owner(self, keep: Callable[[str], None]) -> bool:
        """Makes the owner's key at the first start; gives it to `keep` before it counts. False: there is one."""
        if any(row.role == "owner" and row.revoked_ms is None for row in await self.every()):
            return False
        key = new_key()
        keep(key)
        await self._add("owner", "owner", key)
        await self._publisher.renew()
        return True

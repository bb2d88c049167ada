"""Makes the snapshot when something it is made of has changed, writes it to disk, and hands it to every worker."""

import asyncio
from collections.abc import Callable, Mapping

from kilo_gateway.catalog.files import DataDirectory, snapshot_bytes, write_privately
from kilo_gateway.catalog.snapshot import Snapshot
from kilo_gateway.control.stock import Stock
from kilo_gateway.control.workers import Workers
from kilo_gateway.core.crash import CrashPoint
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.settings import Settings
from kilo_gateway.core.types import Key, SnapshotData
from kilo_gateway.store import keys
from kilo_gateway.store.database import Database
from kilo_gateway.upstreams.compile import compile_snapshot


class Publisher:
    """`workers` is None when no gateway runs: then the file alone is written. `tokens`: by upstream, those that hold."""

    def __init__(
        self, settings: Settings, keyring: Keyring, files: DataDirectory, database: Database, stock: Stock,
        workers: Workers | None, now_ms: Callable[[], int], crash: CrashPoint | None,
        tokens: Callable[[], Mapping[str, str]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._keyring = keyring
        self._files = files
        self._database = database
        self._stock = stock
        self._workers = workers
        self._now_ms = now_ms
        self._crash = crash
        self._tokens = tokens
        self._one_at_a_time = asyncio.Lock()
        self._data = SnapshotData(0, settings.fingerprint, (), ())
        self.current = Snapshot(self._data, keyring.pepper)

    @property
    def data(self) -> SnapshotData:
        return self._data

    async def publish(self) -> None:
        """Returns when every worker has it. Raises Overloaded when one has not confirmed in time."""
        version = await self.renew()
        if self._workers is not None:
            await self._workers.confirmed(version)

    async def renew(self) -> int:
        """Compiles, writes, and hands it to the workers that are there; gives its version."""
        async with self._one_at_a_time:
            data = await self._compile()
            if self._crash is not None:
                self._crash("snapshot.write")
            encoded = snapshot_bytes(data)
            await asyncio.to_thread(write_privately, self._files.snapshot, encoded, self._crash)
            self._data = data
            self.current = Snapshot(data, self._keyring.pepper)
            if self._crash is not None:
                self._crash("snapshot.push")
            if self._workers is not None:
                self._workers.push(data.version, encoded)
        return data.version

    async def _compile(self) -> SnapshotData:
        async with self._database.begin() as connection:
            rows = await keys.every(connection)
        valid = [(row.digest, Key(row.id, row.name, row.role)) for row in rows if row.revoked_ms is None]
        return compile_snapshot(
            self._stock.newest, self._settings, self._stock.upstreams, valid,
            version=max(self._data.version + 1, self._now_ms()), hop=self._keyring.hop,
            local_key=self._keyring.local_model_key, tokens=self._tokens(),
        )  # fmt: skip

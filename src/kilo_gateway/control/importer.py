"""Journals into the usage table, each line exactly once, whoever dies when.

Rows and positions move in one transaction. A position never passes a request that has not ended, so that its start is
read again after a restart; what is imported twice meets its own id. A worker that is dead will end nothing more: what it
had started is booked as far as its journal goes, and marked `recovered`.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from kilo_gateway.control.reader import Reader
from kilo_gateway.core.crash import CrashPoint
from kilo_gateway.core.types import Ended
from kilo_gateway.ledger import journal
from kilo_gateway.store import usage
from kilo_gateway.store.database import Database
from kilo_gateway.store.usage import Position

PERIOD_S = 0.25
READ_BYTES = 4 * 1024 * 1024
KEPT_MS = 24 * 3600 * 1000
RECALLED = 20_000  # rows, of a week at most
RECALLED_MS = 7 * KEPT_MS


class Importer:
    def __init__(
        self, database: Database, directory: Path, now_ms: Callable[[], int], crash: CrashPoint | None = None,
        booked: Callable[[Sequence[Ended]], None] | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._directory = directory
        self._now_ms = now_ms
        self._crash = crash
        self._booked = booked
        self._readers: dict[str, Reader] = {}
        self._closed: set[str] = set()
        self._is_loaded = self._has_recalled = False
        self._one_at_a_time = asyncio.Lock()
        self.imported = 0
        self.unreadable = 0

    async def run(self, told: Callable[[Exception | None], None]) -> None:
        """For ever. A database that does not take the rows now is asked again, from where it stands. Tells how each went."""
        while True:
            try:
                await self.import_new()
                told(None)
            except Exception as error:  # a background task's door: whatever it was, the next round starts afresh
                told(error)
            await asyncio.sleep(PERIOD_S)

    async def import_new(self) -> None:
        """All that is in the files now."""
        async with self._one_at_a_time:
            if not self._is_loaded:
                await self._load()
            self._is_loaded = False  # until all went well: what was read and not stored has to be read again
            for worker, files in journal.files_of(self._directory).items():
                if worker not in self._closed:
                    while await self._import_some(worker, files):
                        files = journal.files_of(self._directory).get(worker, files)
            self._is_loaded = True

    async def remove_old(self) -> None:
        """Files that were imported more than a day ago; of a worker that lives, those before its position."""
        async with self._one_at_a_time:
            for worker, files in journal.files_of(self._directory).items():
                reader = self._readers.get(worker)
                done = files if worker in self._closed else [each for each in files if reader and each[0] < reader.safe()[0]]
                old = [path for _, path in done if path.stat().st_mtime * 1000 < self._now_ms() - KEPT_MS]
                for path in old:
                    path.unlink()
                if worker in self._closed and len(old) == len(files):
                    async with self._database.begin() as connection:
                        await usage.forget(connection, worker)
                    self._closed.discard(worker)

    async def _load(self) -> None:
        self._readers.clear()
        async with self._database.begin() as connection:
            if self._booked is not None and not self._has_recalled:
                self._booked(await usage.recent(connection, self._now_ms() - RECALLED_MS, RECALLED))
                self._has_recalled = True
            for position in (await usage.positions(connection)).values():
                if position.is_closed:
                    self._closed.add(position.worker)
                else:
                    self._readers[position.worker] = Reader(position.file, position.offset, {})

    async def _import_some(self, worker: str, files: list[tuple[int, Path]]) -> bool:
        """Up to READ_BYTES of one worker's lines. True when there may be more."""
        reader = self._readers.setdefault(worker, Reader(files[0][0], 0, {}))
        paths = dict(files)
        # Asked before reading: after it nothing more comes.
        is_dead = not journal.is_writer_alive(self._directory, worker, paths[max(paths)])
        path = paths.get(reader.file)
        data = await asyncio.to_thread(journal.read, path, reader.offset, READ_BYTES) if path is not None else b""
        taken = reader.take(data)
        self.unreadable += taken.unreadable
        is_at_end = len(data) < READ_BYTES
        has_next = reader.file < max(paths)
        closes = is_at_end and is_dead and not has_next
        if closes:
            taken.ended += reader.recover(self._now_ms())
        if taken.used or closes:
            await self._store(worker, reader, taken.ended, paths, closes=closes)
        if is_at_end and has_next:
            reader.file, reader.offset = reader.file + 1, 0
        return not closes and (has_next or not is_at_end)

    async def _store(
        self, worker: str, reader: Reader, ended: list[Ended], files: dict[int, Path], *, closes: bool
    ) -> None:
        async with self._database.begin() as connection:
            await usage.add(connection, ended)
            await usage.move(connection, Position(worker, *reader.safe(), closes))
            if self._crash is not None:
                self._crash("import.before_commit")
        if self._crash is not None:
            self._crash("import.after_commit")
        self.imported += len(ended)
        if self._booked is not None:
            self._booked(ended)
        if closes:
            self._closed.add(worker)
            self._readers.pop(worker, None)
            for path in files.values():
                await asyncio.to_thread(journal.shrink, path)

"""All journals that are still there, read once more from their beginning: for a database that has lost rows.

Knows no positions and moves none. What is booked already meets its own id, so it may be done at any time and again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from kilo_gateway.control.reader import Reader
from kilo_gateway.core.types import Ended
from kilo_gateway.ledger import journal
from kilo_gateway.store import usage
from kilo_gateway.store.database import Database

READ_BYTES = 4 * 1024 * 1024


class Replayed(Struct):
    """Journal `lines` that were read, and of the requests in them: how many are booked now and before, or still run."""

    lines: int = 0
    unreadable: int = 0
    new: int = 0
    already_there: int = 0
    running: int = 0


class Replay:
    def __init__(self, database: Database, directory: Path, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._directory = directory
        self._now_ms = now_ms

    async def run(self) -> Replayed:
        told = Replayed()
        for worker, files in journal.files_of(self._directory).items():
            with suppress(FileNotFoundError):  # removed meanwhile, for it was a day old
                await self._replay(worker, files, told)
        return told

    async def _replay(self, worker: str, files: list[tuple[int, Path]], told: Replayed) -> None:
        # Asked before reading: what a dead worker has open after it will not end any more.
        is_dead = not journal.is_writer_alive(self._directory, worker, files[-1][1])
        reader = Reader(0, 0, {})
        for number, path in files:
            reader.file, reader.offset = number, 0
            while await self._replay_some(path, reader, told):
                pass
        if is_dead:
            await self._book(reader.recover(self._now_ms()), told)
        told.running += len(reader.open)

    async def _replay_some(self, path: Path, reader: Reader, told: Replayed) -> bool:
        """Up to READ_BYTES. False at the end of the file, which may be a torn line."""
        data = await asyncio.to_thread(journal.read, path, reader.offset, READ_BYTES)
        taken = reader.take(data)
        told.lines += taken.lines
        told.unreadable += taken.unreadable
        await self._book(taken.ended, told)
        return taken.used > 0

    async def _book(self, ended: list[Ended], told: Replayed) -> None:
        async with self._database.begin() as connection:
            new = await usage.add(connection, ended)
        told.new += new
        told.already_there += len(ended) - new

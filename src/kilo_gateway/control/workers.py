"""Control's end of the sockets to its workers: pushes snapshots, hears what was taken over, gathers meters."""

import asyncio
from pathlib import Path

from kilo_gateway.core import link
from kilo_gateway.core.errors import Overloaded
from kilo_gateway.core.link import Ack, Heard, Hello, Push, Stats

CONFIRM_S = 10.0
CLOSE_S = 1.0
MAX_MESSAGE_BYTES = 1 << 20  # from a worker


class Workers:
    """`slots`: how many workers there are to be. Each has to confirm, also one that is just being restarted."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._versions: dict[int, int] = {}
        self._confirmed = asyncio.Condition()
        self._newest = 0, b""
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.stats: dict[int, dict[str, int]] = {}
        self.trouble = ""  # ours, for each to tell

    async def listen(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path)
        path.chmod(0o600)

    async def close(self) -> None:
        """Ends each talk by its connection: asyncio before 3.12.2 prints a traceback for one that is cancelled.

        https://github.com/python/cpython/issues/113538
        """
        if self._server is not None:
            self._server.close()
        for writer in self._talks.values():
            writer.transport.abort()
        if self._talks:
            await asyncio.wait(self._talks, timeout=CLOSE_S)

    def push(self, version: int, snapshot: bytes) -> None:
        """To those connected now; others get it when they come."""
        self._newest = version, snapshot
        message = link.framed(Push(snapshot))
        for writer in self._writers.values():
            _say(writer, message)

    async def confirmed(self, version: int) -> None:
        """Returns when every slot's worker has this version or a newer one. Raises Overloaded after CONFIRM_S."""
        try:
            async with asyncio.timeout(CONFIRM_S), self._confirmed:
                await self._confirmed.wait_for(lambda: not self._behind(version))
        except TimeoutError as error:
            late = ", ".join(map(str, self._behind(version)))
            raise Overloaded(f"The change is stored, but worker {late} has not confirmed it yet.") from error

    def connected(self) -> int:
        return len(self._writers)

    def _behind(self, version: int) -> list[int]:
        return [slot for slot in range(self._slots) if self._versions.get(slot, 0) < version]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slot = -1
        task = asyncio.current_task()
        assert task is not None
        self._talks[task] = writer
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(link.LENGTH_BYTES), "big")
                if length > MAX_MESSAGE_BYTES:
                    return
                message = link.read(await reader.readexactly(length))
                if isinstance(message, Hello):
                    slot = message.slot
                    self._writers[slot] = writer
                    await self._has(slot, message.version)
                    version, snapshot = self._newest
                    if version:  # else it is compiled first, and pushed
                        is_new = version != message.version
                        _say(writer, link.framed(Push(snapshot) if is_new else Ack(message.version)))
                elif isinstance(message, Ack):
                    await self._has(slot, message.version)
                elif isinstance(message, Stats):
                    self.stats[slot] = message.values
                    _say(writer, link.framed(Heard(self.trouble)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if self._writers.get(slot) is writer:
                del self._writers[slot]
                self._versions.pop(slot, None)
            writer.close()
            del self._talks[task]

    async def _has(self, slot: int, version: int) -> None:
        async with self._confirmed:
            self._versions[slot] = version
            self._confirmed.notify_all()


def _say(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Nothing to a worker that is gone: uvloop raises for a write on a closed connection, and a new one will ask."""
    if not writer.is_closing():
        writer.write(message)

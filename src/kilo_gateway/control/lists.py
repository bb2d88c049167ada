"""The last good list of each upstream, in memory and in a file, what became of the last attempt, and whom to tell."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kilo_gateway.catalog.files import write_privately
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.upstreams.lists.listing import Row


class Discovered(Struct, frozen=True):
    """A list, when it was fetched (Unix seconds), and from where; and what models are used for, where it can be asked."""

    rows: tuple[Row, ...]
    fetched_at: int
    place: str = ""
    categories: Mapping[str, tuple[str, ...]] = {}  # by what the upstream calls a model
    categorised_at: int = 0  # when they were asked for; 0: never


class Status(Struct, frozen=True):
    """For people. Times are Unix seconds, 0: never. `error`: why the last attempt changed nothing; empty when it did."""

    models: int = 0
    fetched_at: int = 0
    attempted_at: int = 0
    error: str = ""
    dropped: int = 0  # rows of the last list that was read


class Lists:
    """`changed` is awaited when the rows of an upstream are others than before."""

    def __init__(self, path: Path, changed: Callable[[], Awaitable[None]]) -> None:
        self._path = path
        self._changed = changed
        self._lists = _read(path)
        self._status = {name: Status(len(each.rows), each.fetched_at) for name, each in self._lists.items()}
        self._untold: set[str] = set()
        self._writing = asyncio.Lock()

    def find(self, upstream: str) -> Discovered | None:
        return self._lists.get(upstream)

    def status(self) -> dict[str, Status]:
        """By upstream, of all that have a list or were asked for one."""
        return dict(self._status)

    def attempted(self, upstream: str, at: int, error: str = "", dropped: int | None = None) -> None:
        before = self._status.get(upstream, Status())
        self._status[upstream] = replace(before, attempted_at=at, error=error)
        if dropped is not None:
            self._status[upstream] = replace(self._status[upstream], dropped=dropped)

    async def take(self, upstream: str, rows: Iterable[Row], at: int, place: str = "") -> None:
        """In force from now on. Raises what `changed` raises, and is then told again with the next list; and OSError

        when the file cannot be written: then it is lost with the process.
        """
        before = self._lists.get(upstream)
        now = Discovered(tuple(rows), at, place)
        if before is not None and before.place == place:
            now = replace(now, categories=before.categories, categorised_at=before.categorised_at)
        self._status[upstream] = replace(self._status.get(upstream, Status()), models=len(now.rows), fetched_at=at)
        await self._put(upstream, now, is_news=before is None or before.rows != now.rows)

    async def categorise(self, upstream: str, categories: Mapping[str, tuple[str, ...]], at: int) -> None:
        """Of a list that is there. Raises as `take`."""
        before = self._lists[upstream]
        now = replace(before, categories=categories, categorised_at=at)
        await self._put(upstream, now, is_news=before.categories != categories)

    async def _put(self, upstream: str, now: Discovered, *, is_news: bool) -> None:
        self._lists[upstream] = now
        if is_news:
            self._untold.add(upstream)
        if upstream in self._untold:
            await self._changed()
            self._untold.discard(upstream)
        async with self._writing:
            await asyncio.to_thread(write_privately, self._path, msgspec.msgpack.encode(self._lists))


def place_of(upstream: UpstreamSettings) -> str:
    """Where its list is, and how it is read: an upstream that was moved has another."""
    origin = upstream.origin
    return f"{upstream.listing} {origin.unix_path or origin.host}:{origin.port}{upstream.path}"


def _read(path: Path) -> dict[str, Discovered]:
    """Nothing when there are none that can be read."""
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=dict[str, Discovered])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}

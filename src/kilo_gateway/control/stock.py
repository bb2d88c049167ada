"""The catalogue as control has it: assembled anew when a list, a server on this machine or the local model has changed."""

import asyncio
from collections.abc import Callable, Sequence

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.control.changes import Diary, between
from kilo_gateway.control.lists import Lists, place_of
from kilo_gateway.core.settings import Settings, UpstreamSettings
from kilo_gateway.upstreams.assemble import Served, Sources, assemble
from kilo_gateway.upstreams.demo import can_run, has_file

_DAY_S = 86_400
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})


class Stock:
    """`newest` goes to workers; `current` is what is shown, and follows when they have it. `now_s`: Unix seconds.

    `is_local_awaited`: whether a local model whose file is not there yet is on its way; requests for it wait.
    """

    def __init__(
        self, settings: Settings, lists: Lists, sources: Sources, diary: Diary, now_s: Callable[[], int],
        is_local_awaited: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._lists = lists
        self._sources = sources
        self._now_s = now_s
        self._is_local_awaited = is_local_awaited
        self.diary = diary
        self._found: tuple[UpstreamSettings, ...] = ()
        self._version = now_s()
        self.newest = self.current = self._assemble()

    @property
    def upstreams(self) -> dict[str, UpstreamSettings]:
        """By name: those configured, and servers found on this machine."""
        return {each.name: each for each in (*self._settings.upstreams, *self._found)}

    def find(self, servers: Sequence[UpstreamSettings]) -> bool:
        """Servers on this machine. Whether they are others than before."""
        taken = {each.name for each in self._settings.upstreams}
        origins = {_socket(each) for each in self._settings.upstreams}
        kept = [each for each in servers if each.name not in taken and _socket(each) not in origins]
        before, self._found = self._found, tuple(kept)
        return before != self._found

    def is_found(self, name: str) -> bool:
        return any(each.name == name for each in self._found)

    def is_outdated(self) -> bool:
        """Whether a day has begun since it was assembled: prices begin and models retire on dates."""
        return self.newest.built_at // _DAY_S != self._now_s() // _DAY_S

    def has_local_model(self) -> bool:
        local = self._settings.local
        is_there = has_file(local) or (local.is_demo_model and self._is_local_awaited())
        return local.enabled and can_run() and is_there

    async def renew(self) -> Catalogue:
        """In a thread: thousands of rows take a tenth of a second."""
        before = self.newest
        self.newest = await asyncio.to_thread(self._assemble)
        self.diary.note(between(before, self.newest))
        return self.newest

    def _served(self, upstream: UpstreamSettings) -> Served:
        """With its last good list. One that was fetched elsewhere, or is wanted no more, is none."""
        found, is_found = self._lists.find(upstream.name), self.is_found(upstream.name)
        if found is None or not (is_found or (upstream.discovers and found.place == place_of(upstream))):
            return Served(upstream, is_found=is_found)
        return Served(upstream, found.rows, found.fetched_at, is_found, found.categories, found.categorised_at)

    def _assemble(self) -> Catalogue:
        self._version += 1
        served = [self._served(each) for each in self.upstreams.values()]
        has_local, now_s = self.has_local_model(), self._now_s()
        return assemble(self._settings, served, self._sources, has_local=has_local, version=self._version, now_s=now_s)


def _socket(upstream: UpstreamSettings) -> tuple[str, int]:
    """This machine has several names."""
    host = upstream.origin.host.lower()
    return "127.0.0.1" if host in _LOOPBACK else host, upstream.origin.port

"""An upstream that lists models on loopback, and discovery that asks it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos import Chaos, Peer, Script, json_answer, running

from kilo_gateway.control.discovery import Discovery
from kilo_gateway.control.lists import Lists
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.core.types import Origin, Patience
from kilo_gateway.http.dialer import GuardedDialer
from kilo_gateway.http.tls import upstream_context
from kilo_gateway.http.upstream import Pool

NOW = 1_790_000_000  # 2026-09-21 14:13:20 UTC
HOP = "0123456789abcdef"
Said = list[tuple[str, dict[str, object]]]


def listed(*ids: str, **more: object) -> bytes:
    return json_answer(json.dumps({"data": [{"id": id} for id in ids], **more}).encode())


def answers(answer: Callable[[str], bytes]) -> Script:
    """Each request with what `answer` gives for its path."""

    async def script(peer: Peer) -> None:
        while True:
            head = (await peer.request()).head
            await peer.say(answer(head.split(b" ")[1].decode()))

    return script


class Field:
    """Discovery, its lists, and one upstream. `answer` is what it answers, and may be changed; `changes` are counted, `pauses` noted."""

    def __init__(self, path: Path, limit_s: float) -> None:
        self.answer: Callable[[str], bytes] = lambda path: listed("a")
        self.now = NOW
        self.changes = 0
        self.breaks = False
        self.pauses: list[float] = []
        self.said: Said = []
        self.path = path
        self.pool = new_pool()
        self.lists = Lists(path, self._changed)
        self.limit_s = limit_s
        self.chaos: Chaos

    def discovery(self) -> Discovery:
        def say(event: str, **facts: object) -> None:
            self.said.append((event, facts))

        return Discovery(self.pool, self.lists, HOP, say, lambda: self.now, limit_s=self.limit_s, sleep=self._pause)

    def upstream(self, listing: str = "openai", name: str = "far", path: str = "/v1", key: str = "sk-1") -> UpstreamSettings:
        origin = Origin("127.0.0.1", self.chaos.port, is_trusted=True)
        return UpstreamSettings(name, "openai-chat", origin, path, Secret(key), (), Patience(), "", False, "test", listing)

    def ids(self, upstream: str = "far") -> list[str]:
        found = self.lists.find(upstream)
        return [row.listed_id for row in found.rows] if found is not None else []

    def heads(self) -> list[bytes]:
        return [received.head for received in self.chaos.received]

    def paths(self) -> list[str]:
        return [head.split(b" ")[1].decode() for head in self.heads()]

    async def _pause(self, seconds: float) -> None:
        """Takes no time."""
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def _changed(self) -> None:
        self.changes += 1
        if self.breaks:
            raise RuntimeError("nobody to tell")


def new_pool() -> Pool:
    return Pool(GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(None), None))


FieldTest = Callable[[Field], Awaitable[None]]


@asynccontextmanager
async def field_in(directory: Path, limit_s: float = 5.0) -> AsyncIterator[Field]:
    field = Field(directory / "lists", limit_s)
    async with running(answers(lambda path: field.answer(path))) as field.chaos:
        try:
            yield field
        finally:
            field.pool.close()

"""Access tokens of the upstreams that want them: got after the start, renewed well before they expire, kept over restarts.

Nobody waits for them. Without one an upstream has no endpoints; each new one makes a new snapshot.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from kilo_gateway.catalog.files import write_privately
from kilo_gateway.control.fetch import post
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.settings import TokenSettings, UpstreamSettings
from kilo_gateway.http.gateway import Report
from kilo_gateway.http.upstream import Pool
from kilo_gateway.upstreams import tokens
from kilo_gateway.upstreams.compile import request_head
from kilo_gateway.upstreams.tokens import KeyUnusable, Token

LIMIT_S = 10.0
LOOK_S = 30.0  # a clock that is set, or a machine that slept, is noticed
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0
MAX_BYTES = 1 << 20


class _Kept(Struct, frozen=True):
    """`fingerprint`: of the configuration, whose credentials they were got with."""

    fingerprint: str
    tokens: dict[str, Token]


class Tokens:
    """`changed` is awaited when `held` is another. `say` is told what was got and what failed. `now_s`: Unix seconds."""

    def __init__(
        self, path: Path, fingerprint: str, pool: Pool, hop: str, changed: Callable[[], Awaitable[object]], say: Report,
        now_s: Callable[[], int], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._path = path
        self._fingerprint = fingerprint
        self._pool = pool
        self._hop = hop
        self._changed = changed
        self._say = say
        self._now_s = now_s
        self._sleep = sleep
        self._tokens = _read(path, fingerprint)
        self._untold: set[str] = set()
        self._writing = asyncio.Lock()

    def held(self) -> Mapping[str, str]:
        """By upstream, those that hold."""
        now = self._now_s()
        return {name: token.value for name, token in self._tokens.items() if token.expires_at > now}

    async def run(self, upstream: UpstreamSettings) -> None:
        """For ever, for one upstream that has a source of tokens."""
        assert upstream.tokens is not None
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self._look(upstream.name, upstream.tokens)
                pause_s, retry_s = self._pause_s(upstream.name), FIRST_RETRY_S
            except Exception as error:  # the door of a background task: the next attempt may do
                self._failed(upstream.name, error)
                pause_s, retry_s = retry_s, min(retry_s * 2, LAST_RETRY_S)
            await self._sleep(pause_s)

    async def _look(self, name: str, source: TokenSettings) -> None:
        """Gets one when it is time, and tells of what is new or has expired. Raises what hinders either."""
        token, now = self._tokens.get(name), self._now_s()
        if token is not None and token.expires_at <= now:
            del self._tokens[name]
            self._untold.add(name)
            self._say("token.expired", upstream=name, consequence="it serves nothing until there is another")
        if token is None or token.due_at <= now:
            try:
                self._tokens[name] = await self._get(source)
                self._untold.add(name)
                self._say("token.renewed", upstream=name, valid_s=self._tokens[name].expires_at - now)
                await self._keep()
            finally:
                await self._tell(name)
        else:
            await self._tell(name)

    async def _tell(self, name: str) -> None:
        if name in self._untold:
            await self._changed()
            self._untold.discard(name)

    async def _get(self, source: TokenSettings) -> Token:
        body = await asyncio.to_thread(tokens.form, source, self._now_s())
        lines = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        head = request_head(source.origin, source.path, lines, self._hop)
        answer = await post(self._pool, source.origin, head, body, timeout_s=LIMIT_S, limit=MAX_BYTES)
        return tokens.read(*answer, self._now_s())

    async def _keep(self) -> None:
        kept = msgspec.msgpack.encode(_Kept(self._fingerprint, self._tokens))
        async with self._writing:
            try:
                await asyncio.to_thread(write_privately, self._path, kept)
            except OSError as error:  # it is in force, and got again after a restart
                self._say("token.not_kept", reason=str(error))

    def _pause_s(self, name: str) -> float:
        return float(min(max(self._tokens[name].due_at - self._now_s(), 1), LOOK_S))

    def _failed(self, name: str, error: Exception) -> None:
        if isinstance(error, TimeoutError):
            reason = f"the token endpoint did not answer within {LIMIT_S:g} s"
        elif isinstance(error, GatewayError | KeyUnusable):
            reason = str(error)
        else:
            reason = f"{type(error).__name__}: {error}"
        token = self._tokens.get(name)
        left_s = max(token.expires_at - self._now_s(), 0) if token is not None else 0
        in_force = f"the present token holds for {left_s} s more" if left_s else "there is none: it serves nothing"
        self._say("token.failed", upstream=name, reason=reason, in_force=in_force)


def _read(path: Path, fingerprint: str) -> dict[str, Token]:
    try:
        kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return kept.tokens if kept.fingerprint == fingerprint else {}

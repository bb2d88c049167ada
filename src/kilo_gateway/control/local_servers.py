"""Model servers on this machine that were started for other purposes: Ollama, LM Studio, vLLM, at their usual ports.

A server counts only when its answer shows which product it is: on these ports anything may listen.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Literal

from msgspec import Raw, Struct

from kilo_gateway.control.fetch import get
from kilo_gateway.core.errors import BadAnswer, GatewayError, TimedOut, Truncated, UpstreamRefused
from kilo_gateway.core.types import Origin
from kilo_gateway.http.upstream import Pool
from kilo_gateway.upstreams.compile import request_head
from kilo_gateway.upstreams.lists import kinds
from kilo_gateway.upstreams.lists.fields import Fields
from kilo_gateway.upstreams.lists.listing import Kind, Row
from kilo_gateway.upstreams.lists.opening import opened

Product = Literal["ollama", "lmstudio", "vllm"]

LIMIT_S = 1.0
OLLAMA_PORT, LM_STUDIO_PORT, VLLM_PORT = 11434, 1234, 8000
_MAX_BYTES = 8 << 20


class Found(Struct, frozen=True):
    """`listing`: how its list is read; inference is at `path`, as OpenAI has it. No rows: it has no model yet."""

    product: Product
    origin: Origin
    listing: Kind
    path: str
    rows: tuple[Row, ...]


class Silent(Struct, frozen=True):
    """One that was there before."""

    product: Product
    reason: str


async def find(
    pool: Pool, hop: str, known: Collection[str] = (), *, ollama_port: int = OLLAMA_PORT,
    lm_studio_port: int = LM_STUDIO_PORT, vllm_port: int = VLLM_PORT, limit_s: float = LIMIT_S,
) -> list[Found | Silent]:  # fmt: skip
    """Those that are there, after `limit_s` at the latest. A port of 0 is not asked.

    Of products that are `known` already, one that listens and gives no list is Silent: it may be busy.
    """
    seen = await asyncio.gather(
        _looked_at(_Server(pool, hop, ollama_port, limit_s), "ollama", known),
        _looked_at(_Server(pool, hop, lm_studio_port, limit_s), "lmstudio", known),
        _looked_at(_Server(pool, hop, vllm_port, limit_s), "vllm", known),
    )
    return [found for found in seen if found is not None]


class _Server:
    def __init__(self, pool: Pool, hop: str, port: int, limit_s: float) -> None:
        self.origin = Origin("127.0.0.1", port, is_trusted=True)
        self.limit_s = limit_s
        self._pool = pool
        self._hop = hop

    async def get(self, path: str) -> bytes:
        head = request_head(self.origin, path, "", self._hop, "GET")
        return await get(self._pool, self.origin, head, timeout_s=self.limit_s, limit=_MAX_BYTES)


async def _looked_at(server: _Server, product: Product, known: Collection[str]) -> Found | Silent | None:
    if not server.origin.port:
        return None
    try:
        async with asyncio.timeout(server.limit_s):
            match product:
                case "ollama":
                    rows = await _ollama(server)
                case "lmstudio":
                    rows = await _lm_studio(server)
                case "vllm":
                    rows = _rows("openai", await server.get("/v1/models"), _is_of_vllm)
    except (GatewayError, TimeoutError) as error:  # nobody, somebody else, or somebody slow
        if product not in known or not _is_passing(error):
            return None
        return Silent(product, str(error) or f"it did not answer within {server.limit_s:g} s")
    return Found(product, server.origin, "ollama" if product == "ollama" else "openai", "/v1", rows)


def _is_passing(error: Exception) -> bool:
    """Whether it may well be the same server, in trouble: not when nobody listens, or another product answers."""
    if isinstance(error, UpstreamRefused):
        return error.upstream_status >= 500
    return isinstance(error, TimeoutError | TimedOut | Truncated)


async def _ollama(server: _Server) -> tuple[Row, ...]:
    body = await server.get("/api/tags")
    if opened(body, "models")[0]:
        return _rows("ollama", body, lambda row: bool(row.text("digest")))
    version = Fields.of(await server.get("/api/version"))
    if version is None or not version.text("version"):
        raise BadAnswer("this is not Ollama")
    return ()


async def _lm_studio(server: _Server) -> tuple[Row, ...]:
    """Its own list says more than the one it has for clients of OpenAI."""
    try:
        return _rows("openai", await server.get("/api/v0/models"), _is_in_lm_studios_own_list)
    except GatewayError:
        return _rows("openai", await server.get("/v1/models"), _is_of_lm_studio)


def _is_in_lm_studios_own_list(row: Fields) -> bool:
    return "state" in row and "compatibility_type" in row


def _is_of_lm_studio(row: Fields) -> bool:
    return row.string("owned_by") == "organization_owner" and not _is_of_a_gateway(row)


def _is_of_vllm(row: Fields) -> bool:
    return row.string("owned_by") == "vllm" and not _is_of_a_gateway(row)


def _is_of_a_gateway(row: Fields) -> bool:
    """Which may list models of such a server, but is none."""
    return "pricing" in row or "canonical_slug" in row


def _rows(kind: Kind, body: bytes, is_its: Callable[[Fields], bool]) -> tuple[Row, ...]:
    """Raises UpstreamError unless all of them are the product's."""
    fields = [Fields.of(raw) for raw in _raws(kind, body)]
    if not fields or not all(row is not None and is_its(row) for row in fields):
        raise BadAnswer("this is another server")
    return kinds.read(kind, body).rows


def _raws(kind: Kind, body: bytes) -> list[Raw]:
    return opened(body, "models" if kind == "ollama" else "data")[0]

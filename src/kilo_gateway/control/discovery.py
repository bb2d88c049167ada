"""Models of upstreams that declare none: read from their /models, at the start and every ten minutes.

A list that cannot be read leaves the last good one in place.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.control.fetch import get
from kilo_gateway.control.publisher import Publisher
from kilo_gateway.core.errors import BadAnswer, GatewayError, UpstreamError
from kilo_gateway.core.money import pico_per_token
from kilo_gateway.core.settings import ModelSettings, UpstreamSettings
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import MAX_CONTEXT
from kilo_gateway.http.upstream import Pool
from kilo_gateway.upstreams.compile import request_head

TIMEOUT_S = 5.0
PERIOD_S = 600.0
FIRST_RETRY_S = 15.0
_PER_MTOK = Decimal(1_000_000)


class _Pricing(Struct):
    prompt: str | None = None
    completion: str | None = None


class _Row(Struct):
    """As OpenAI and OpenRouter list them, as far as they agree."""

    id: str
    context_length: int | None = None
    pricing: _Pricing | None = None


class _List(Struct):
    data: list[Raw]


class Discovery:
    """`say` is told what was found and what failed, in fields."""

    def __init__(self, pool: Pool, publisher: Publisher, hop: str, say: Callable[..., None]) -> None:
        self._pool = pool
        self._publisher = publisher
        self._hop = hop
        self._say = say

    async def run(self, upstream: UpstreamSettings) -> None:
        """For ever, for one upstream."""
        pause_s = FIRST_RETRY_S
        while True:
            try:
                models = await self._read(upstream)
                await self._publisher.discovered(upstream.name, models)
                self._say("discovery.done", upstream=upstream.name, models=len(models))
                pause_s = PERIOD_S
            except (GatewayError, TimeoutError) as error:
                self._say("discovery.failed", upstream=upstream.name, reason=str(error) or "no answer in time")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PERIOD_S)

    async def _read(self, upstream: UpstreamSettings) -> list[ModelSettings]:
        head = request_head(upstream.origin, upstream.path + "/models", upstream.api_key.reveal(), self._hop, "GET")
        body = await get(self._pool, upstream.origin, head, timeout_s=TIMEOUT_S)
        try:
            rows = msgspec.json.decode(body, type=_List).data
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadAnswer(f"its /models is not a list of models: {error}") from error
        found: dict[str, ModelSettings] = {}
        for raw in rows:
            model = _model(raw, upstream.prefix)
            if model is not None:
                found.setdefault(model.id, model)
        if not found:
            raise UpstreamError("its /models is empty")
        return list(found.values())


def _model(raw: Raw, prefix: str) -> ModelSettings | None:
    try:
        row = msgspec.json.decode(raw, type=_Row)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not row.id.strip():
        return None
    id = row.id if row.id.startswith(prefix) else prefix + row.id
    context = row.context_length if row.context_length and 0 < row.context_length <= MAX_CONTEXT else None
    return ModelSettings(id, row.id, _price(row.pricing), context, is_open=False)


def _price(pricing: _Pricing | None) -> Price | None:
    """USD a token as text; -1 means that it depends."""
    if pricing is None or pricing.prompt is None or pricing.completion is None:
        return None
    try:
        prompt, completion = Decimal(pricing.prompt), Decimal(pricing.completion)
        return Price(pico_per_token(prompt * _PER_MTOK), pico_per_token(completion * _PER_MTOK))
    except (ArithmeticError, ValueError):
        return None

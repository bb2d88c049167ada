"""The way of a request that shows something by URL to an upstream that wants bytes: fetched first, sent then.

What is needed is judged for the endpoint whose turn it is, so that an endpoint that takes URLs itself gets them, and nothing
is fetched unless a later one is asked that does not. When it cannot be fetched, the endpoints that need it are left out.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from msgspec.structs import replace

from kilo_gateway.core.errors import Refusal, UpstreamError
from kilo_gateway.core.exchange import Exchange
from kilo_gateway.core.pipeline import Pipeline
from kilo_gateway.core.ports import CallerDialect, Dialects
from kilo_gateway.core.types import Outcome
from kilo_gateway.http.forward import Client, Forward
from kilo_gateway.http.media import Fetcher
from kilo_gateway.http.media_urls import NotFetched
from kilo_gateway.http.upstream import Pool, defect


def way_of(fetcher: Fetcher, dialects: Dialects, exchange: Exchange) -> "Callable[..., Forward]":
    """The plain way wherever nothing may have to be fetched."""
    call = exchange.call
    if call.crossing is None or not any(dialects.needed_bytes(call, endpoint) for endpoint in exchange.decision.order):
        return Forward
    return partial(FetchingForward, fetcher)


class FetchingForward(Forward):
    __slots__ = ("_fallen", "_fetcher", "_held_bytes", "_task")

    def __init__(
        self, fetcher: Fetcher, exchange: Exchange, dialect: CallerDialect, pipeline: Pipeline, pool: Pool, client: Client,
        local_trouble: Callable[[], str],
    ) -> None:  # fmt: skip
        super().__init__(exchange, dialect, pipeline, pool, client, local_trouble)
        self._fetcher = fetcher
        self._task: asyncio.Task[None] | None = None
        self._held_bytes = 0
        self._fallen: UpstreamError | None = None  # of the last attempt

    def send_to_next(self) -> None:
        exchange = self._exchange
        endpoint = exchange.decision.order[len(exchange.attempts)]
        wanted = self._pipeline.dialects.needed_bytes(exchange.call, endpoint)
        if wanted:
            self._task = asyncio.get_running_loop().create_task(self._fetch_and_send(wanted))
        else:
            super().send_to_next()

    def silent(self, seconds: float) -> None:
        if self._task is None:
            super().silent(seconds)
        else:
            self._client.is_fresh = True  # what is fetched has a deadline of its own

    async def _fetch_and_send(self, wanted: Mapping[str, frozenset[str]]) -> None:
        try:
            try:
                fetched = await self._fetcher.fetch(wanted)
            except Refusal as error:
                self._task = None
                self._go_without(error)
                return
            self._task = None
            self._held_bytes = fetched.size
            self._pipeline.dialects.supply(self._exchange.call, fetched.data)
            super().send_to_next()
        except Exception as error:  # a door, since nobody waits for this task: whatever it was, the caller is told
            self._task = None
            self._fail(defect(error))

    def _go_without(self, error: Refusal) -> None:
        """To the endpoints that take URLs themselves. The caller hears of an upstream that failed before, else of this."""
        exchange = self._exchange
        decision, tried, needed = exchange.decision, len(exchange.attempts), self._pipeline.dialects.needed_bytes
        rest = decision.order[tried:]
        left = [endpoint for endpoint in rest if not needed(exchange.call, endpoint)]
        if isinstance(error, NotFetched):
            self._client.report("media.not_fetched", id=exchange.id, host=error.host, reason=error.reason, why=error.why)
        if left:
            out = [(endpoint.provider, str(error)) for endpoint in rest if needed(exchange.call, endpoint)]
            excluded = [*decision.excluded, *out]
            exchange.decision = replace(decision, order=[*decision.order[:tried], *left], excluded=excluded)
            super().send_to_next()
        elif self._fallen is not None:
            self._fail(self._explained(self._fallen))
        else:
            self._end_with(error, "refused")

    def _fall(self, error: UpstreamError) -> None:
        self._fallen = error
        super()._fall(error)

    def _stop_waiting(self) -> None:
        super()._stop_waiting()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _close(self, outcome: Outcome) -> None:
        super()._close(outcome)
        self._fetcher.release(self._held_bytes)
        self._held_bytes = 0

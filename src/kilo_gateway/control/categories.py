"""What models are used for: asked of upstreams whose list can be had by category, one category after the other, once a day.

An upstream that does not know the question gives all it has, whatever the category: that says nothing, and is noticed.
Until all has been told anew, what was told before holds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from kilo_gateway.catalog.facts import CATEGORIES
from kilo_gateway.control.asking import Asking
from kilo_gateway.control.lists import Discovered, Lists, place_of
from kilo_gateway.core.errors import GatewayError, UpstreamRefused
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.http.gateway import Report
from kilo_gateway.upstreams.registry import categorised_lists

PERIOD_S = 86_400
RETRY_S = 3_600  # after a failure
PAUSE_S = 1.0  # between two questions
_NOT_KNOWN = frozenset({400, 404, 422})  # of a question
_LEFT_OUT = 50  # a category leaves out at least one model in so many: else it is the whole list, as it has become meanwhile


class Categories:
    def __init__(
        self, asking: Asking, lists: Lists, say: Report, wall_s: Callable[[], int], sleep: Callable[[float], Awaitable[None]]
    ) -> None:  # fmt: skip
        self._asking = asking
        self._lists = lists
        self._say = say
        self._wall_s = wall_s
        self._sleep = sleep
        self._upstreams = categorised_lists()
        self._not_before: dict[str, int] = {}  # Unix seconds, by upstream

    async def renew(self, upstream: UpstreamSettings) -> float:
        """Right after its whole list was taken, when a day is over. The seconds it took; a failure is told, not raised."""
        present = self._lists.find(upstream.name)
        if present is None or not self._is_due(upstream, present):
            return 0.0
        begun = asyncio.get_running_loop().time()
        self._not_before[upstream.name] = self._wall_s() + RETRY_S
        try:
            found = await self._ask_all(upstream, frozenset(row.listed_id for row in present.rows))
            self._not_before[upstream.name] = self._wall_s() + PERIOD_S
            if found is None:
                reason = "asked for one it lists all it has, or does not know it"
                self._say("discovery.no_categories", upstream=upstream.name, reason=reason)
            else:
                await self._lists.categorise(upstream.name, found, self._wall_s())
                self._say("discovery.categories", upstream=upstream.name, models=len(found))
        except (GatewayError, TimeoutError, OSError) as error:
            reason = str(error) or f"it did not answer within {self._asking.limit_s:g} s"
            kept = len(present.categories)
            self._say("discovery.categories_failed", upstream=upstream.name, reason=reason, models_in_force=kept)
        return asyncio.get_running_loop().time() - begun

    def _is_due(self, upstream: UpstreamSettings, present: Discovered) -> bool:
        """A clock that was put back does not make it wait for longer than a day."""
        if upstream.listing != "openai" or present.place != place_of(upstream):
            return False
        if upstream.name not in self._upstreams and upstream.origin.host.lower() not in self._upstreams:
            return False
        now = self._wall_s()
        again = present.categorised_at + PERIOD_S if present.categorised_at else 0
        return not now < max(again, self._not_before.get(upstream.name, 0)) <= now + PERIOD_S

    async def _ask_all(self, upstream: UpstreamSettings, listed: frozenset[str]) -> dict[str, tuple[str, ...]] | None:
        """By model. None where the first answer is no answer to the question: then no other is asked."""
        found: dict[str, tuple[str, ...]] = {}
        is_told = False
        for category in CATEGORIES:
            if is_told:
                await self._sleep(PAUSE_S)
            ids = await self._ask(upstream, category)
            if ids is None or len(listed - ids) * _LEFT_OUT < len(listed):
                if not is_told:
                    return None
                continue
            is_told = True
            for id in listed & ids:
                found[id] = (*found.get(id, ()), category)
        return found

    async def _ask(self, upstream: UpstreamSettings, category: str) -> frozenset[str] | None:
        """None: it does not know this one."""
        try:
            told = await self._asking.read(upstream, f"category={quote(category, safe='')}")
        except UpstreamRefused as error:
            if error.upstream_status in _NOT_KNOWN:
                return None
            raise
        return frozenset(row.listed_id for row in told.rows)

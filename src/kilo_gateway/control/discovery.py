"""Models of upstreams that declare none: read from their lists of models, at the start and every ten minutes.

A list that cannot be read, or that would take most models away, leaves the last good one in force, and says so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from msgspec import Struct

from kilo_gateway.control.asking import Asking
from kilo_gateway.control.categories import Categories
from kilo_gateway.control.lists import Discovered, Lists, place_of
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.http.gateway import Report
from kilo_gateway.http.upstream import Pool
from kilo_gateway.upstreams.lists import kinds
from kilo_gateway.upstreams.lists.listing import Listing, Row

LIMIT_S = 5.0  # for a list
PERIOD_S = 600.0
FIRST_RETRY_S = 10.0
_SHOWN_NOTES = 5


class Outcome(Struct, frozen=True):
    """`ok`: the list could be read; `taken`: it is in force now. `models` of `previous` before; `reason` where not taken."""

    upstream: str
    ok: bool
    taken: bool
    models: int
    previous: int
    dropped: int = 0
    reason: str = ""


class Discovery:
    """`say` is told what was found and what failed, in fields."""

    def __init__(
        self, pool: Pool, lists: Lists, hop: str, say: Report, wall_s: Callable[[], int], *, limit_s: float = LIMIT_S,
        period_s: float = PERIOD_S, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._asking = Asking(pool, hop, limit_s)
        self._lists = lists
        self._categories = Categories(self._asking, lists, say, wall_s, sleep)
        self._say = say
        self._wall_s = wall_s
        self._period_s = period_s
        self._sleep = sleep

    async def run(self, upstream: UpstreamSettings) -> None:
        """For ever, for one upstream."""
        first_s = retry_s = min(FIRST_RETRY_S, self._period_s)
        while True:
            spent_s = 0.0
            try:
                outcome = await self.refresh(upstream)
                is_ok = outcome.ok
                if outcome.taken:
                    spent_s = await self._categories.renew(upstream)
            except Exception as error:  # the door of a background task: the next list may do
                is_ok = False
                self._failed(upstream, f"{type(error).__name__}: {error}")
            await self._sleep(max(self._period_s - spent_s, 0.0) if is_ok else retry_s)
            retry_s = first_s if is_ok else min(retry_s * 2, self._period_s)

    async def refresh(self, upstream: UpstreamSettings, *, force: bool = False) -> Outcome:
        """Asks once, now. `force`: a list that takes most models away is taken all the same."""
        present = self._lists.find(upstream.name)
        previous = len(present.rows) if present is not None else 0
        try:
            listing = kinds.with_rows(await self._asking.read(upstream))
        except (GatewayError, TimeoutError) as error:
            reason = str(error) or f"it did not answer within {self._asking.limit_s:g} s"
            self._failed(upstream, reason)
            return Outcome(upstream.name, False, False, 0, previous, reason=reason)
        if listing.dropped or listing.notes:
            self._say(
                "discovery.dropped", upstream=upstream.name, rows=listing.dropped, unpriced=listing.unpriced,
                reasons=list(listing.notes[:_SHOWN_NOTES]),
            )  # fmt: skip
        gone = _gone(present, listing.rows, place_of(upstream))
        if gone and not force:
            return self._held_back(upstream, listing, gone, previous)
        await self._take(upstream, listing)
        return Outcome(upstream.name, True, True, len(listing.rows), previous, listing.dropped)

    async def _take(self, upstream: UpstreamSettings, listing: Listing) -> None:
        now = self._wall_s()
        self._lists.attempted(upstream.name, now, dropped=listing.dropped)
        try:
            await self._lists.take(upstream.name, listing.rows, now, place_of(upstream))
        except OSError as error:  # it is in force, or will be told again with the next list
            self._say("discovery.not_kept", upstream=upstream.name, reason=str(error))
        self._say("discovery.done", upstream=upstream.name, models=len(listing.rows))

    def _held_back(self, upstream: UpstreamSettings, listing: Listing, gone: int, previous: int) -> Outcome:
        offered = len(listing.rows)
        reason = (
            f"its list of {offered} models would remove {gone} of the {previous} that are there;"
            " `kilo-gateway models refresh --force` takes it"
        )
        self._lists.attempted(upstream.name, self._wall_s(), reason, listing.dropped)
        self._say(
            "discovery.shrunk", upstream=upstream.name, present=previous, offered=offered, gone=gone, reason=reason,
            in_force=self._in_force(upstream.name),
        )  # fmt: skip
        return Outcome(upstream.name, True, False, offered, previous, listing.dropped, reason)

    def _failed(self, upstream: UpstreamSettings, reason: str) -> None:
        self._lists.attempted(upstream.name, self._wall_s(), reason)
        self._say("discovery.failed", upstream=upstream.name, reason=reason, in_force=self._in_force(upstream.name))

    def _in_force(self, upstream: str) -> str:
        present = self._lists.find(upstream)
        if present is None:
            return "no list yet: only the bundle"
        date = datetime.fromtimestamp(present.fetched_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"the last good list of {date} ({len(present.rows)} models) stays"


def _gone(present: Discovered | None, rows: tuple[Row, ...], place: str) -> int:
    """How many models that are there a list would remove; 0 where that is no reason to wonder.

    An upstream that was moved has another list, and of one single model another may take the place.
    """
    if present is None or present.place != place or len(present.rows) < 2:
        return 0
    gone = len({row.listed_id for row in present.rows} - {row.listed_id for row in rows})
    return gone if gone > len(present.rows) / 2 else 0

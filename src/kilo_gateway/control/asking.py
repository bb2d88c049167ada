"""A list of models fetched, page by page, over the connections that inference uses. What becomes of it is not known here."""

import asyncio
from typing import cast

from kilo_gateway.control.fetch import get
from kilo_gateway.core.settings import UpstreamSettings
from kilo_gateway.http.upstream import Pool
from kilo_gateway.upstreams.compile import request_head
from kilo_gateway.upstreams.lists import asking, kinds
from kilo_gateway.upstreams.lists.listing import Kind, Listing, joined
from kilo_gateway.upstreams.registry import models_queries, open_lists

MAX_BYTES = 32 << 20  # of all pages together


class Asking:
    """`limit_s`: for all pages of a list together."""

    def __init__(self, pool: Pool, hop: str, limit_s: float) -> None:
        self._pool = pool
        self._hop = hop
        self.limit_s = limit_s
        self._open_lists = open_lists()
        self._queries = models_queries()

    async def read(self, upstream: UpstreamSettings, query: str = "") -> Listing:
        """Without a row, perhaps. `query`: beside what its whole list wants. Raises UpstreamError, and TimeoutError."""
        kind = cast(Kind, upstream.listing)  # checked where it was configured
        own = self._queries.get(upstream.name) or self._queries.get(upstream.origin.host.lower(), "")
        asked_for = "&".join(part for part in (own, query) if part)
        first = asking.first_path(kind, upstream.path, asked_for if kind == "openai" else "")
        async with asyncio.timeout(self.limit_s):
            pages = await self._pages(upstream, kind, first)
        whole = joined(pages)
        if pages[-1].next is not None:
            note = f"what comes after page {len(pages)} is not read: too many pages, or at another upstream"
            whole = Listing(whole.rows, whole.dropped, whole.unpriced, (note, *whole.notes))
        return whole

    async def _pages(self, upstream: UpstreamSettings, kind: Kind, first: str) -> list[Listing]:
        pages: list[Listing] = []
        path: str | None = first
        asked: set[str] = set()
        left = MAX_BYTES
        while path is not None and path not in asked and len(pages) < asking.MAX_PAGES:
            asked.add(path)
            head = self._head(upstream, kind, path)
            body = await get(self._pool, upstream.origin, head, timeout_s=self.limit_s, limit=left)
            left -= len(body)
            page = await asyncio.to_thread(kinds.page, kind, body)
            pages.append(page)
            path = asking.next_path(kind, upstream.origin, first, page.next) if page.next is not None else None
        return pages

    def _head(self, upstream: UpstreamSettings, kind: Kind, path: str) -> bytes:
        is_open = upstream.name in self._open_lists or upstream.origin.host.lower() in self._open_lists
        lines = asking.signature(kind, "" if is_open else upstream.api_key.reveal())
        return request_head(upstream.origin, path, lines, self._hop, "GET")

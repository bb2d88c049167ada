"""A part of a list, and the way to the next one."""

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlencode

from kilo_gateway.control.listing.query import Page

T = TypeVar("T")


def part(items: Sequence[T], page: Page | None) -> Sequence[T]:
    return items if page is None else items[page.offset : page.offset + page.limit]


def next_link(path: str, page: Page | None, total: int) -> str | None:
    """Path and query of the next page; None on the last."""
    if page is None or page.offset + page.limit >= total:
        return None
    query = [*page.given, ("offset", str(page.offset + page.limit)), ("limit", str(page.limit))]
    return f"{path}?{urlencode(query)}"

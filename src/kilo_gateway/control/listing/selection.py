"""A query answered: the rows of one page, how many there are in all, and what could not be followed."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from kilo_gateway.catalog.catalogue import Catalogue, Entry
from kilo_gateway.control.listing.filters import chosen
from kilo_gateway.control.listing.order import ordered
from kilo_gateway.control.listing.pages import part
from kilo_gateway.control.listing.query import Query
from kilo_gateway.control.listing.traffic import Traffic


class Selection(Struct, frozen=True):
    entries: Sequence[Entry]
    total: int
    ignored: tuple[str, ...]  # names of parameters


def select(
    catalogue: Catalogue, query: Query, traffic: Traffic, now_s: float, is_wanted: Callable[[Entry], bool] | None = None
) -> Selection:
    entries = chosen(catalogue, query, traffic, now_s)
    if is_wanted is not None:
        entries = [entry for entry in entries if is_wanted(entry)]
    ignored = query.ignored
    if sort := query.sort or ("newest" if query.is_feed else None):
        in_order = ordered(entries, sort, traffic)
        if in_order is not None:
            entries = in_order
        elif query.sort:
            ignored = (*ignored, "sort")
    return Selection(part(entries, query.page), len(entries), ignored)

"""The order of a list. Rows of which the deciding fact is not known stand last, in the catalogue's order."""

from collections.abc import Callable, Sequence

from kilo_gateway.catalog.catalogue import Entry
from kilo_gateway.control.listing.prices import shown_facts
from kilo_gateway.control.listing.query import Sort
from kilo_gateway.control.listing.traffic import Measured, Traffic

Rank = Callable[[Entry, Traffic], float | None]


def ordered(entries: Sequence[Entry], sort: Sort, traffic: Traffic) -> list[Entry] | None:
    """None when the deciding fact is known of none of them."""
    rank, is_falling = _RANKS[sort]
    ranked = [(rank(entry, traffic), entry) for entry in entries]
    known = [(value, entry) for value, entry in ranked if value is not None]
    if entries and not known:
        return None
    known.sort(key=lambda pair: -pair[0] if is_falling else pair[0])
    return [entry for _, entry in known] + [entry for value, entry in ranked if value is None]


def _created(entry: Entry, traffic: Traffic) -> float | None:
    return entry.facts.created or None


def _context(entry: Entry, traffic: Traffic) -> float | None:
    return entry.facts.context


def _price(entry: Entry, traffic: Traffic) -> float | None:
    """Twice the mean of prompt and completion, which sorts alike and stays whole."""
    price = shown_facts(entry).price
    return None if price is None else price.input + price.output


def _index(name: str) -> Rank:
    return lambda entry, traffic: (entry.facts.benchmarks or {}).get(name)


def _elo(entry: Entry, traffic: Traffic) -> float | None:
    """The best in any category of any arena, as OpenRouter sorts."""
    return max((battle.elo for battle in entry.facts.battles or ()), default=None)


def _requests(entry: Entry, traffic: Traffic) -> float | None:
    return sum(measured.requests_1w for measured in _measured(entry, traffic)) or None


def _tokens(entry: Entry, traffic: Traffic) -> float | None:
    return sum(measured.tokens_1w for measured in _measured(entry, traffic)) or None


def _throughput(entry: Entry, traffic: Traffic) -> float | None:
    return max((each.tokens_per_s.p50 for each in _measured(entry, traffic) if each.tokens_per_s), default=None)


def _latency(entry: Entry, traffic: Traffic) -> float | None:
    return min((each.latency_ms.p50 for each in _measured(entry, traffic) if each.latency_ms), default=None)


def _measured(entry: Entry, traffic: Traffic) -> list[Measured]:
    found = (traffic.of(entry.id, place.upstream) for place in entry.places)
    return [measured for measured in found if measured is not None]


_RANKS: dict[Sort, tuple[Rank, bool]] = {
    "most-popular": (_requests, True), "top-weekly": (_tokens, True), "newest": (_created, True),
    "pricing-low-to-high": (_price, False), "pricing-high-to-low": (_price, True), "context-high-to-low": (_context, True),
    "throughput-high-to-low": (_throughput, True), "latency-low-to-high": (_latency, False),
    "intelligence-high-to-low": (_index("intelligence"), True), "coding-high-to-low": (_index("coding"), True),
    "agentic-high-to-low": (_index("agentic"), True), "design-arena-elo-high-to-low": (_elo, True),
}  # fmt: skip

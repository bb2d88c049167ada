"""Three models, and what was measured of them."""

from tests.control.listing.catalogues import catalogue, entry

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.catalog.facts import Battle, Facts
from kilo_gateway.control.listing.traffic import Measured, Percentiles
from kilo_gateway.core.price import Price


def same(value: float) -> Percentiles:
    return Percentiles(value, value + 1, value + 2, value + 3)


FAST = (Battle("models", "svg", 1100.0), Battle("builders", "website", 1300.0))
SLOW = (Battle("models", "svg", 1200.0),)


class Watched:
    """`a/slow` is asked most, `a/fast` served fastest, at its second place; `a/mute` was never asked."""

    def __init__(self) -> None:
        self.seen = {
            ("a/slow", "first"): Measured(latency_ms=same(900), tokens_per_s=same(10), requests_1w=50, tokens_1w=100, tool_requests_1w=19, tool_calls_1w=19),
            ("a/fast", "first"): Measured(latency_ms=same(950), tokens_per_s=same(5), requests_1w=20, tokens_1w=100, tool_requests_1w=19, tool_calls_1w=19),
            ("a/fast", "second"): Measured(latency_ms=same(100), tokens_per_s=same(80), requests_1w=20, tokens_1w=900, tool_requests_1w=1, tool_calls_1w=0),
        }  # fmt: skip

    def of(self, model: str, upstream: str) -> Measured | None:
        return self.seen.get((model, upstream))


def three() -> Catalogue:
    return catalogue(
        entry("a/mute", Facts()),
        entry("a/slow", Facts(created=1, context=100, price=Price(1, 9), benchmarks={"intelligence": 1, "coding": 2, "agentic": 3}, battles=SLOW)),
        entry("a/fast", Facts(created=2, context=200, price=Price(4, 4), benchmarks={"intelligence": 2, "coding": 1, "agentic": 4}, battles=FAST), Facts()),
    )

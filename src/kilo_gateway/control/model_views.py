"""Models as `kilo-gateway models` shows them: rows of the list with tags and speed, and one model with its endpoints."""

from kilo_gateway.catalog.catalogue import Catalogue, Entry
from kilo_gateway.control.listing.endpoints import endpoints_of
from kilo_gateway.control.listing.prices import is_free as costs_nothing
from kilo_gateway.control.listing.rows import row, with_origins
from kilo_gateway.control.listing.traffic import Traffic
from kilo_gateway.control.views import View


def listed(catalogue: Catalogue, traffic: Traffic, provider: str | None, *, is_free: bool) -> list[View]:
    """`provider`: those that this upstream serves; all without it. `is_free`: those that cost nothing alone."""
    default = _default(catalogue)
    return [
        row(entry, catalogue) | {"tags": _tags(entry, default), "tokens_per_s": _speed(entry, traffic)}
        for entry in catalogue.entries.values()
        if provider is None or any(place.upstream == provider for place in entry.places)
        if costs_nothing(entry) or not is_free
    ]


def shown(catalogue: Catalogue, traffic: Traffic, name: str) -> View:
    """Raises UnknownModel."""
    entry = catalogue.find(name)
    view = with_origins(row(entry, catalogue), entry)
    return view | {
        "tags": _tags(entry, _default(catalogue)), "tokens_per_s": _speed(entry, traffic),
        "endpoints": endpoints_of(entry, catalogue, traffic)["endpoints"],
    }  # fmt: skip


def _default(catalogue: Catalogue) -> str:
    """What kilo/auto leads to."""
    auto = catalogue.entries.get("kilo/auto")
    return auto.routes[0] if auto is not None and auto.routes else ""


def _tags(entry: Entry, default: str) -> list[str]:
    tags = {
        "default": entry.id == default, "configured": entry.source == "configuration",
        "alias": entry.routes is not None or entry.facts.alias_target is not None,
        "free": costs_nothing(entry), "demo": entry.is_demo, "not served": bool(entry.reason),
    }  # fmt: skip
    return [tag for tag, holds in tags.items() if holds]


def _speed(entry: Entry, traffic: Traffic) -> float | None:
    """Tokens/s, the median of the place that is asked first among those that were measured."""
    measured = (traffic.of(entry.id, place.upstream) for place in entry.places)
    return next((each.tokens_per_s.p50 for each in measured if each is not None and each.tokens_per_s is not None), None)

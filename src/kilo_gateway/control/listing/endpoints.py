"""The places that serve a model, as OpenRouter words endpoints, with what our own traffic says of each."""

import msgspec

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place
from kilo_gateway.control.listing.filters import keeps_nothing
from kilo_gateway.control.listing.prices import pricing
from kilo_gateway.control.listing.rows import UNKNOWN_CONTEXT, architecture, name
from kilo_gateway.control.listing.traffic import Measured, Percentiles, Traffic
from kilo_gateway.control.views import View

_NOTHING = Measured()


def endpoints_of(entry: Entry, catalogue: Catalogue, traffic: Traffic) -> View:
    labels = _labels(catalogue)
    return {
        "id": entry.id, "name": name(entry), "created": entry.facts.created or 0,
        "description": entry.facts.description or "", "architecture": architecture(entry.facts),
        "endpoints": [_endpoint(entry, place, labels, traffic) for place in entry.places],
    }  # fmt: skip


def zero_retention(catalogue: Catalogue, traffic: Traffic) -> list[View]:
    """Endpoints that keep no prompts, those on the operator's own machines among them."""
    labels = _labels(catalogue)
    places = ((entry, place) for entry in catalogue.entries.values() for place in entry.places if keeps_nothing(place))
    return [_endpoint(entry, place, labels, traffic) for entry, place in places]


def _labels(catalogue: Catalogue) -> dict[str, str]:
    return {provider.slug: provider.name for provider in catalogue.providers}


def _endpoint(entry: Entry, place: Place, labels: dict[str, str], traffic: Traffic) -> View:
    facts = place.facts
    parameters = facts.parameters or ()
    return {
        "name": f"{labels.get(place.upstream, place.upstream)} | {entry.id}",
        "model_id": entry.id, "model_name": name(entry), "provider_name": place.upstream, "tag": place.upstream,
        "status": 0, "pricing": pricing(facts),
        "context_length": facts.context or entry.facts.context or UNKNOWN_CONTEXT,
        "max_completion_tokens": facts.max_output, "max_prompt_tokens": None, "quantization": facts.quantization,
        "supported_parameters": parameters, "supports_implicit_caching": bool(facts.caches_implicitly),
        "supports_tool_choice": dict.fromkeys(("auto", "function", "none", "required"), "tool_choice" in parameters),
        "supports_diarization": False, "supports_voice_cloning": False, "native_tools": {}, "service_tier": None,
    } | _measured(traffic.of(entry.id, place.upstream) or _NOTHING)  # fmt: skip


def _measured(measured: Measured) -> View:
    return {
        "uptime_last_5m": measured.uptime_5m, "uptime_last_30m": measured.uptime_30m, "uptime_last_1d": measured.uptime_1d,
        "latency_last_30m": _percentiles(measured.latency_ms), "throughput_last_30m": _percentiles(measured.tokens_per_s),
    }  # fmt: skip


def _percentiles(found: Percentiles | None) -> View | None:
    return None if found is None else msgspec.structs.asdict(found)

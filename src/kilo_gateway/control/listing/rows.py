"""A model as one row: OpenRouter's members, OpenAI's, Kilo's, and ours. What is not known has the value clients bear."""

from datetime import UTC, datetime
from urllib.parse import quote

from msgspec.structs import asdict

from kilo_gateway.catalog.catalogue import Catalogue, Entry
from kilo_gateway.catalog.facts import Facts, Origin, Reasoning
from kilo_gateway.control.listing.opencode import opencode
from kilo_gateway.control.listing.prices import is_free, pricing, shown_facts
from kilo_gateway.control.views import View

UNKNOWN_CONTEXT = 32_768  # clients refuse a whole list for a row without this number
_TEXT = ("text",)


def row(entry: Entry, catalogue: Catalogue) -> View:
    facts = entry.facts
    context = facts.context or UNKNOWN_CONTEXT
    return {
        "id": entry.id, "canonical_slug": facts.canonical_slug or entry.id, "object": "model",
        "hugging_face_id": facts.hugging_face_id, "name": name(entry), "created": facts.created or 0,
        "owned_by": author(entry.id), "description": facts.description or "", "context_length": context,
        "max_completion_tokens": facts.max_output, "architecture": architecture(facts),
        "pricing": pricing(shown_facts(entry)),
        "top_provider": {
            "context_length": context, "max_completion_tokens": facts.max_output, "is_moderated": bool(facts.is_moderated),
        },
        "per_request_limits": None, "supported_parameters": facts.parameters or (), "default_parameters": {},
        "supported_voices": facts.voices, "knowledge_cutoff": facts.knowledge_cutoff, "expiration_date": facts.expires,
        "links": {"details": details_path(entry.id)}, "providers": [place.upstream for place in entry.places],
    } | _where_known(facts, catalogue) | _kilo_members(entry)  # fmt: skip


def with_origins(view: View, entry: Entry) -> View:
    """The row, and who said each fact of it, and when."""
    told: View = {"source": entry.source, "origins": {name: _origin(origin) for name, origin in entry.card.origins.items()}}
    if entry.facts.categories:
        told["categories"] = entry.facts.categories
    if entry.reason:
        told["reason"] = entry.reason
    return view | {"kilo": told}


def name(entry: Entry) -> str:
    found = entry.facts.name or entry.id
    return f"{found} (demo model)" if entry.is_demo and "demo" not in found.lower() else found


def author(id: str) -> str:
    return id.partition("/")[0].removeprefix("~")


def architecture(facts: Facts) -> View:
    inputs, outputs = input_modalities(facts), output_modalities(facts)
    return {
        "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}", "input_modalities": inputs, "output_modalities": outputs,
        "tokenizer": facts.tokenizer or "Other", "instruct_type": facts.instruct_type,
    }  # fmt: skip


def input_modalities(facts: Facts) -> tuple[str, ...]:
    return facts.input_modalities or _TEXT


def output_modalities(facts: Facts) -> tuple[str, ...]:
    return facts.output_modalities or _TEXT


def details_path(id: str) -> str:
    """Doubled slashes of a path are one, unless they are written as what they are."""
    return f"/api/v1/models/{quote(id, safe='/:~')}/endpoints".replace("//", "/%2F")


def iso_time(seconds: int) -> str:
    """RFC 3339; the epoch for what is no time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00Z"


def _where_known(facts: Facts, catalogue: Catalogue) -> View:
    view: View = {}
    if facts.alias_target is not None:
        target = catalogue.entries.get(facts.alias_target)
        view["alias_target"] = {"slug": facts.alias_target, "name": name(target) if target else facts.alias_target}
    if facts.reasoning is not None:
        view["reasoning"] = _reasoning(facts.reasoning)
    if facts.benchmarks or facts.battles:
        view["benchmarks"] = _benchmarks(facts)
    return view


def _benchmarks(facts: Facts) -> View:
    """Clients refuse a whole list for a battle without a rank or a rate: such are not told."""
    whole = [battle for battle in facts.battles or () if battle.rank is not None and battle.win_rate is not None]
    view: View = {"design_arena": [asdict(battle) for battle in whole]}
    if facts.benchmarks:
        indices = {f"{index}_index": facts.benchmarks.get(index) for index in ("intelligence", "coding", "agentic")}
        view["artificial_analysis"] = indices
    return view


def _reasoning(reasoning: Reasoning) -> View:
    view: View = {"mandatory": reasoning.mandatory, "supported_efforts": reasoning.efforts or None}
    if reasoning.default_enabled is not None:
        view["default_enabled"] = reasoning.default_enabled
    if reasoning.default_effort is not None:
        view["default_effort"] = reasoning.default_effort
    if reasoning.supports_max_tokens:
        view["supports_max_tokens"] = True
    return view


def _kilo_members(entry: Entry) -> View:
    facts = entry.facts
    view: View = {
        "isFree": is_free(entry),
        "mayTrainOnYourPrompts": facts.policy is not None and facts.policy.may_train is True,
        "hasUserByokAvailable": False, "opencode": opencode(facts),
    }  # fmt: skip
    if entry.preferred is not None:
        view["preferredIndex"] = entry.preferred
    if entry.routes is not None:
        view["autoRouting"] = {"models": entry.routes}
    return view


def _origin(origin: Origin) -> View:
    return {"source": origin.source, "date": iso_time(origin.at) if origin.at else None}

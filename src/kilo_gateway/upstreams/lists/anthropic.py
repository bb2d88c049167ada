"""Anthropic's list, https://docs.anthropic.com/en/api/models-list. One that is retired is listed and not served."""

from kilo_gateway.catalog.facts import Facts, Reasoning
from kilo_gateway.upstreams.lists.fields import Fields
from kilo_gateway.upstreams.lists.listing import Listing, Row, collected, id_of
from kilo_gateway.upstreams.lists.opening import opened

_EFFORTS = ("max", "xhigh", "high", "medium", "low")  # from the highest


def page(body: bytes) -> Listing:
    """Raises BadAnswer for what is no list."""
    rows, whole = opened(body, "data")
    return collected(rows, _row, whole.text("last_id") if whole.flag("has_more") else None)


def _row(row: Fields) -> Row | None:
    id = id_of(row, "id")
    if row.string("lifecycle") == "retired":
        return None
    capabilities = row.inner("capabilities")
    facts = Facts(
        name=row.text("display_name"),
        created=row.time("created_at"),
        context=row.tokens("max_input_tokens"),
        max_output=row.tokens("max_tokens"),
        input_modalities=_inputs(capabilities),
        reasoning=_reasoning(capabilities),
        expires=row.day("retires_at"),
    )
    return Row(id, facts)


def _inputs(capabilities: Fields) -> tuple[str, ...] | None:
    image, file = _has(capabilities, "image_input"), _has(capabilities, "pdf_input")
    if image is None and file is None:
        return None
    return ("text", *(("image",) if image else ()), *(("file",) if file else ()))


def _reasoning(capabilities: Fields) -> Reasoning | None:
    if not _has(capabilities, "thinking"):
        return None
    effort = capabilities.inner("effort")
    by_budget = _has(capabilities.inner("thinking").inner("types"), "enabled")
    return Reasoning(efforts=tuple(each for each in _EFFORTS if _has(effort, each)), supports_max_tokens=by_budget or False)


def _has(capabilities: Fields, name: str) -> bool | None:
    return capabilities.inner(name).flag("supported")

"""Gemini's list, https://ai.google.dev/api/models."""

from kilo_gateway.catalog.facts import Facts, Reasoning
from kilo_gateway.upstreams.lists.fields import Fields
from kilo_gateway.upstreams.lists.listing import Listing, Row, collected, id_of
from kilo_gateway.upstreams.lists.opening import opened


def page(body: bytes) -> Listing:
    """Raises BadAnswer for what is no list."""
    rows, whole = opened(body, "models")
    return collected(rows, _row, whole.string("nextPageToken") or None)


def _row(row: Fields) -> Row:
    id = id_of(row, "name").removeprefix("models/")
    if not id.strip():
        raise ValueError("its name is blank")
    methods = row.texts("supportedGenerationMethods") or ()
    embeds = "embedContent" in methods and "generateContent" not in methods
    facts = Facts(
        name=row.text("displayName"),
        description=row.prose("description"),
        context=row.tokens("inputTokenLimit"),
        max_output=row.tokens("outputTokenLimit"),
        output_modalities=("embeddings",) if embeds else None,
        reasoning=Reasoning(supports_max_tokens=True) if row.flag("thinking") else None,  # thinkingBudget
    )
    return Row(id, facts)

"""What Ollama has on its disk, https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models."""

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.upstreams.lists.fields import Fields
from kilo_gateway.upstreams.lists.listing import Listing, Row, collected, id_of
from kilo_gateway.upstreams.lists.opening import opened
from kilo_gateway.upstreams.lists.quantizations import quantization_of


def page(body: bytes) -> Listing:
    """Raises BadAnswer for what is no list."""
    return collected(opened(body, "models")[0], _row)


def _row(row: Fields) -> Row:
    id = id_of(row, "model" if "model" in row else "name")
    details = row.inner("details")
    family, size, stored = (details.text(key) for key in ("family", "parameter_size", "quantization_level"))
    told = ", ".join(each for each in (family, f"{size} parameters" if size else None, stored) if each)
    facts = Facts(
        description=told or None, created=row.time("modified_at"), quantization=quantization_of(stored), family=family
    )  # fmt: skip
    return Row(id, facts)

"""Embedding models as Kilo's code index wants them: those whose number of dimensions is known."""

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.control.listing.rows import name, output_modalities
from kilo_gateway.control.views import View

_SCORE_THRESHOLD = 0.4  # what Kilo's clients take where a model has none of its own


def embedding_models(catalogue: Catalogue) -> View:
    """Without the model that is meant to be the default the first is; an empty list has the empty string."""
    known = catalogue.embeddings
    models: list[View] = [
        {"id": entry.id, "name": name(entry), "dimension": entry.facts.dimension,
         "scoreThreshold": known.thresholds.get(entry.id, _SCORE_THRESHOLD)}
        for entry in catalogue.entries.values()
        if entry.facts.dimension and "embeddings" in output_modalities(entry.facts)
    ]
    ids = [model["id"] for model in models]
    aliases = {alias: id for alias, id in known.aliases.items() if id in ids}
    default = known.default if known.default in ids else ids[0] if ids else ""
    return {"defaultModel": default, "models": models, "aliases": aliases}

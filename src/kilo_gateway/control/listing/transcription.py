"""Models that write down what is spoken, as Kilo's clients list them."""

from kilo_gateway.catalog.catalogue import Catalogue
from kilo_gateway.control.listing.rows import name, output_modalities
from kilo_gateway.control.views import View


def transcription_models(catalogue: Catalogue) -> list[View]:
    entries = (entry for entry in catalogue.entries.values() if "transcription" in output_modalities(entry.facts))
    return [{"id": entry.id, "name": name(entry)} for entry in entries]

"""The upstreams: who they are, and which models each serves."""

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place, Provider
from kilo_gateway.control.listing.prices import pricing
from kilo_gateway.control.listing.rows import UNKNOWN_CONTEXT, name
from kilo_gateway.control.views import View


def providers(catalogue: Catalogue) -> list[View]:
    """OpenRouter's members, and Kilo's displayName and dataPolicy. Null: nobody said."""
    return [_provider(each) for each in catalogue.providers]


def by_provider(catalogue: Catalogue) -> list[View]:
    """Every upstream with its models, those that are not described under `providers` after the others."""
    groups: dict[str, View] = {each.slug: {"name": each.name, "slug": each.slug} for each in catalogue.providers}
    models: dict[str, list[View]] = {slug: [] for slug in groups}
    for entry in catalogue.entries.values():
        for place in entry.places:
            groups.setdefault(place.upstream, {"name": place.upstream, "slug": place.upstream})
            models.setdefault(place.upstream, []).append(_model(entry, place))
    return [group | {"models": models[slug]} for slug, group in groups.items()]


def _provider(each: Provider) -> View:
    return {
        "name": each.name, "displayName": each.name, "slug": each.slug, "privacy_policy_url": each.privacy_policy_url,
        "terms_of_service_url": each.terms_of_service_url, "status_page_url": each.status_page_url,
        "headquarters": each.headquarters, "datacenters": each.datacenters,
        "dataPolicy": {"training": each.may_train, "retainsPrompts": each.retains_prompts, "canPublish": None},
    }  # fmt: skip


def _model(entry: Entry, place: Place) -> View:
    """As it is at this provider, under the id it has here."""
    context = place.facts.context or entry.facts.context or UNKNOWN_CONTEXT
    return {
        "id": entry.id, "name": name(entry), "provider_model_id": place.upstream_id, "context_length": context,
        "max_completion_tokens": place.facts.max_output, "pricing": pricing(place.facts),
    }  # fmt: skip

"""Every model that can be named, as one immutable value. How it is made: upstreams/assemble.py. How it is shown: control."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from kilo_gateway.catalog.facts import Card, Facts
from kilo_gateway.catalog.names import Names

Source = Literal["configuration", "discovery", "local", "bundle"]


class Place(Struct, frozen=True):
    """One upstream that serves a model: an endpoint, as it is told to people."""

    upstream: str  # the upstream's name in configuration: provider_name, tag
    upstream_id: str  # what it calls the model
    card: Card
    is_private: bool = False  # on this machine, or declared to cost nothing

    @property
    def facts(self) -> Facts:
        return self.card.facts


class Entry(Struct, frozen=True):
    """A row of the catalogue. `card` joins those of its places, the first that knows a fact."""

    id: str
    source: Source
    card: Card
    places: tuple[Place, ...] = ()
    is_open: bool = False  # may be used without a key
    is_demo: bool = False
    routes: tuple[str, ...] | None = None  # kilo/auto and its tiers: the models they choose from
    preferred: int | None = None  # place among those recommended, from 0
    reason: str = ""  # why it cannot be asked at the moment; empty when it can

    @property
    def facts(self) -> Facts:
        return self.card.facts

    @property
    def is_free(self) -> bool:
        """Whether some place is known to cost nothing."""
        return any(place.facts.price is not None and place.facts.price.is_free for place in self.places)


class Provider(Struct, frozen=True):
    """An upstream as /providers tells it."""

    slug: str
    name: str
    privacy_policy_url: str | None = None
    terms_of_service_url: str | None = None
    status_page_url: str | None = None
    headquarters: str | None = None
    datacenters: tuple[str, ...] | None = None
    may_train: bool | None = None
    retains_prompts: bool | None = None


class Catalogue(Struct, frozen=True):
    """`entries` in the order in which they are listed. `names` finds one by any of its names."""

    version: int
    built_at: int  # Unix seconds
    entries: Mapping[str, Entry]
    names: Names
    providers: tuple[Provider, ...] = ()
    embedding_aliases: Mapping[str, str] = {}

    def find(self, name: str) -> Entry:
        """Raises UnknownModel."""
        return self.entries[self.names.find(name).id]

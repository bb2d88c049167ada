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
    is_open: bool = False  # may be used without a key

    @property
    def facts(self) -> Facts:
        return self.card.facts

    @property
    def is_free(self) -> bool:
        """Whether it is known to cost nothing."""
        return self.facts.price is not None and self.facts.price.is_free


class Entry(Struct, frozen=True):
    """A row of the catalogue. `card` joins those of its places."""

    id: str
    source: Source
    card: Card
    places: tuple[Place, ...] = ()
    is_demo: bool = False
    routes: tuple[str, ...] | None = None  # kilo/auto and its tiers: the models they choose from
    through: tuple[str, ...] = ()  # of their places, the upstreams that may be used
    preferred: int | None = None  # place among those recommended, from 0
    reason: str = ""  # why it cannot be asked at the moment; empty when it can

    @property
    def facts(self) -> Facts:
        return self.card.facts

    @property
    def first(self) -> Place | None:
        """The place that is asked first; what is told of it holds for most requests."""
        return self.places[0] if self.places else None

    @property
    def has_free(self) -> bool:
        """Whether `:free` leads somewhere."""
        return any(place.is_free for place in self.places)


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


class Embeddings(Struct, frozen=True):
    """`default`: an id. `thresholds`: below this similarity a search result is noise, by id."""

    default: str = ""
    thresholds: Mapping[str, float] = {}
    aliases: Mapping[str, str] = {}


class Catalogue(Struct, frozen=True):
    """`entries` in the order in which they are listed. `names` finds one by any of its names."""

    version: int
    built_at: int  # Unix seconds
    entries: Mapping[str, Entry]
    names: Names
    providers: tuple[Provider, ...] = ()
    embeddings: Embeddings = Embeddings()

    def find(self, name: str) -> Entry:
        """Raises UnknownModel."""
        return self.entries[self.names.find(name).id]

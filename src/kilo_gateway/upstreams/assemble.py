"""The catalogue put together: rows from configuration, lists of upstreams, the local model and the bundle; facts from those,
from the overlay and from the book of prices, for each fact the first that knows it.

    configuration > live list > overlay > book of prices
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time

from msgspec import Struct
from msgspec.structs import replace

from kilo_gateway.catalog.catalogue import Catalogue, Embeddings, Entry, Place, Provider, Source
from kilo_gateway.catalog.facts import BOOKED, LISTED, Facts, Origin, Said, join, merge
from kilo_gateway.catalog.names import Names, is_reserved
from kilo_gateway.catalog.overlay import Overlay
from kilo_gateway.catalog.prices import PriceBook
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.price import Price
from kilo_gateway.core.settings import LocalSettings, ModelSettings, Settings, UpstreamSettings
from kilo_gateway.upstreams import registry
from kilo_gateway.upstreams.demo import LOCAL_PROVIDER, local_id
from kilo_gateway.upstreams.lists.listing import Row
from kilo_gateway.upstreams.platforms import sold_as

DECLARED = Origin("configuration", 0)
FREE = Price(0, 0)


class Served(Struct, frozen=True):
    """An upstream with the list it gave. `is_found`: a server on this machine that nobody configured."""

    upstream: UpstreamSettings
    rows: Sequence[Row] = ()
    listed_at: int = 0
    is_found: bool = False
    categories: Mapping[str, tuple[str, ...]] = {}  # by what it calls a model
    categorised_at: int = 0

    def said(self, row: Row) -> Iterator[Said]:
        """What it says of a model that it lists."""
        name = self.upstream.name
        yield Said(row.facts, Origin(f"list of {name}", self.listed_at, LISTED))
        if categories := self.categories.get(row.listed_id):
            yield Said(Facts(categories=categories), Origin(f"categories of {name}", self.categorised_at, LISTED))


class Sources(Struct, frozen=True):
    """What fills facts and adds no rows. `registry`: plain providers by the name of their upstream."""

    overlay: Overlay
    prices: PriceBook
    registry: Mapping[str, registry.Provider]


def assemble(
    settings: Settings, served: Iterable[Served], sources: Sources, *, has_local: bool, version: int, now_s: int
) -> Catalogue:
    """Rows in the order of upstreams; then the local model, servers that were found, and the bundle."""
    found = list(served)
    making = _Making(sources, now_s)
    for each in found:
        if not each.is_found:
            making.add(each)
    if has_local:
        making.add_local(settings.local)
    for each in found:
        if each.is_found:
            making.add(each)
    return making.finish(settings.auto_default, found, version)


class _Making:
    """Rows under way."""

    def __init__(self, sources: Sources, now_s: int) -> None:
        self._sources = sources
        self._now_s = now_s
        self._today = datetime.fromtimestamp(now_s, UTC).date()
        book = sources.prices
        self._book = Origin(book.source, int(datetime.combine(book.date, time(), UTC).timestamp()), BOOKED)
        self._rows: dict[str, _Row] = {}
        self._aliases_listed: dict[str, str] = {}  # other names of a model by its own upstream

    def add(self, served: Served) -> None:
        upstream = served.upstream
        listed = {row.listed_id: row for row in served.rows}
        declared = {model.upstream_id for model in upstream.models}
        for model in upstream.models:
            said = Said(_declared(model), DECLARED)
            self._place(model.id, model.upstream_id, served, said, listed.get(model.upstream_id), is_open=model.is_open)
        for row in served.rows:
            id = self._id(upstream, row.listed_id)
            if row.listed_id not in declared and not is_reserved(id):
                self._place(id, row.listed_id, served, None, row)
                for alias in row.aliases:
                    self._aliases_listed.setdefault(self._id(upstream, alias), id)

    def add_local(self, local: LocalSettings) -> None:
        id = local_id(local)
        facts = Facts(
            name=id.partition("/")[2] + (" (demo model)" if local.is_demo_model else ""), price=FREE, context=local.context,
            description="The local demo model." if local.is_demo_model else "A model file on this machine.",
            input_modalities=("text",), output_modalities=("text",),
            parameters=("max_tokens", "temperature", "top_p", "stop"),
        )  # fmt: skip
        card = merge([Said(facts, Origin("local model", 0))])
        row = self._rows.setdefault(id, _Row())
        row.is_local, row.is_demo = True, local.is_demo_model
        row.places.append(Place(LOCAL_PROVIDER, id, card, is_private=True))

    def finish(self, auto_default: str, served: Sequence[Served], version: int) -> Catalogue:
        overlay = self._sources.overlay
        entries: dict[str, Entry] = {}
        for id, row in self._rows.items():
            card = join(place.card for place in row.places)
            source: Source = "configuration" if row.is_declared else "local" if row.is_local else "discovery"
            entries[id] = Entry(id, source, card, tuple(row.places), row.is_demo)
        aliases = self._aliases(entries)
        free = {id for id, entry in entries.items() if entry.has_free}
        names = Names(entries, aliases, overlay.successors(self._today), free, overlay.known)
        pools = _Pools(entries, names, auto_default, served)
        for bundled in overlay.bundle:
            route = pools.of(bundled.id)
            routes = (route.id,) if route.id else ()
            card = merge([bundled.said()])
            entries[bundled.id] = Entry(
                bundled.id, "bundle", card, routes=routes, through=route.through, reason=route.reason
            )
        for place, id in enumerate(overlay.preferred):
            if id in entries:
                entries[id] = replace(entries[id], preferred=place)
        sellers = dict.fromkeys(each.upstream.name for each in served)
        providers = tuple(overlay.providers.get(name) or Provider(name, name) for name in sellers)
        known = overlay.embeddings
        embeddings = Embeddings(known.default, {each.id: each.score_threshold for each in known.models}, known.aliases)
        return Catalogue(version, self._now_s, entries, names, providers, embeddings)

    def _place(
        self, id: str, upstream_id: str, served: Served, declared: Said | None, listed: Row | None, *, is_open: bool = False
    ) -> None:
        upstream = served.upstream
        row = self._rows.setdefault(id, _Row())
        row.is_declared = row.is_declared or declared is not None
        if any(place.upstream == upstream.name for place in row.places):
            return  # the same model under another of its names: the first stands
        said = [] if declared is None else [declared]
        if served.is_found or upstream.is_free:
            said.append(Said(Facts(price=FREE), Origin("declared free", 0)))
        if listed is not None:
            said += served.said(listed)
        said += self._sources.overlay.facts(id)
        said += self._booked(upstream, id, upstream_id)
        row.places.append(Place(upstream.name, upstream_id, merge(said), served.is_found, is_open))

    def _booked(self, upstream: UpstreamSettings, id: str, upstream_id: str) -> list[Said]:
        """Prices belong to places: nobody's price fills that of an upstream that is not his."""
        book, provider, name = self._sources.prices, self._sources.registry.get(upstream.name), upstream_id
        if upstream.platform:
            seller, name = sold_as(upstream, id, upstream_id)
        else:
            seller = provider.prices if provider is not None else self._sources.overlay.prices_at(upstream.base_url)
        found = [book.facts(seller, name, self._today)] if seller else []
        found.append(book.about(id))
        return [Said(facts, self._book) for facts in found if facts is not None]

    def _id(self, upstream: UpstreamSettings, listed_id: str) -> str:
        if upstream.prefix:
            return listed_id if listed_id.startswith(upstream.prefix) else upstream.prefix + listed_id
        return self._sources.overlay.canonical(upstream.name, listed_id)

    def _aliases(self, entries: Mapping[str, Entry]) -> dict[str, str]:
        """Other spellings, and `~author/family-latest` as the upstream that lists it says, else as the overlay does."""
        overlay = self._sources.overlay
        aliases = {alias: id for alias, id in self._aliases_listed.items() if alias not in entries}
        aliases |= overlay.names
        for alias, candidates in overlay.latest.items():
            here = [id for id in candidates if id in entries]
            if here:
                aliases[alias] = here[0]
        return aliases


class _Row:
    def __init__(self) -> None:
        self.places: list[Place] = []
        self.is_declared = self.is_local = self.is_demo = False


class _Route(Struct, frozen=True):
    """A model and the upstreams that may be used for it; or none, and the reason."""

    id: str = ""
    through: tuple[str, ...] = ()
    reason: str = ""


class _Pools:
    """What kilo/auto and its tiers lead to, until there is a router that chooses."""

    def __init__(self, entries: Mapping[str, Entry], names: Names, wanted: str, served: Sequence[Served]) -> None:
        self._entries = dict(entries)
        self._names = names
        self._wanted = wanted
        self._found = {each.upstream.name for each in served if each.is_found}
        self._has_upstreams = len(served) > len(self._found)

    def of(self, id: str) -> _Route:
        if id == "kilo-auto/org":
            return _Route(reason="no map from modes to models is configured.")
        if id == "kilo-auto/free":
            return self._free() or _Route(reason="no upstream serves a model that is free.")
        return self._default()

    def _free(self) -> _Route | None:
        """Through what costs nothing alone: a place that is paid for is no fallback."""
        routes = (
            _Route(entry.id, tuple(place.upstream for place in self._places(entry) if place.is_free))
            for entry in self._in_order()
            if entry.source != "local"
        )
        return next((route for route in routes if route.through), None)

    def _default(self) -> _Route:
        if self._wanted:
            return self._named(self._wanted)
        usable = (entry for entry in self._in_order() if entry.source != "local" or not self._has_upstreams)
        first = next(usable, None)
        if first is not None:
            return _Route(first.id, tuple(place.upstream for place in self._places(first)))
        if self._has_upstreams:  # then the local model is no substitute
            return _Route(reason="no configured upstream has a model to choose so far.")
        cure = "Set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]]"
        return _Route(reason=f"no upstream is configured. {cure}.")

    def _named(self, wanted: str) -> _Route:
        """By the operator: with all its places, or with those that his variant leaves."""
        try:
            named = self._names.find(wanted)
        except GatewayError:
            return _Route(reason=f"it leads to {wanted!r} (auto.default), which no upstream serves at the moment.")
        entry = self._entries.get(named.id)
        if entry is None:
            return _Route(reason=f"it leads to {wanted!r} (auto.default), which is the router itself.")
        places = [place for place in entry.places if named.variant != "free" or place.is_free]
        return _Route(named.id, tuple(place.upstream for place in places))

    def _in_order(self) -> Iterator[Entry]:
        """Those that may be chosen: models known to give text, then those of which it is not known."""
        usable = [entry for entry in self._entries.values() if self._places(entry)]
        yield from (entry for entry in usable if "text" in (entry.facts.output_modalities or ()))
        yield from (entry for entry in usable if entry.facts.output_modalities is None)

    def _places(self, entry: Entry) -> list[Place]:
        """Servers that were merely found are not used, until they are named."""
        return [place for place in entry.places if place.upstream not in self._found]


def _declared(model: ModelSettings) -> Facts:
    return Facts(
        name=model.name, price=model.price, context=model.context, max_output=model.max_output, parameters=model.parameters,
        input_modalities=model.input_modalities, output_modalities=model.output_modalities, services=model.services,
    )  # fmt: skip

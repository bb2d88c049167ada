"""The catalogue put together: rows from configuration, lists of upstreams, the local model and the bundle; facts from those,
from the overlay and from the book of prices, for each fact the first that knows it.

    configuration > live list > overlay > book of prices
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time

from msgspec import Struct
from msgspec.structs import replace

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place, Provider, Source
from kilo_gateway.catalog.facts import Facts, Origin, Said, join, merge
from kilo_gateway.catalog.names import Names
from kilo_gateway.catalog.overlay import Overlay
from kilo_gateway.catalog.prices import PriceBook
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.price import Price
from kilo_gateway.core.settings import LocalSettings, ModelSettings, Settings, UpstreamSettings
from kilo_gateway.upstreams import registry
from kilo_gateway.upstreams.compile import PATHS
from kilo_gateway.upstreams.demo import LOCAL_PROVIDER, local_id
from kilo_gateway.upstreams.lists.listing import Row

DECLARED = Origin("configuration", 0)
FREE = Price(0, 0)


class Served(Struct, frozen=True):
    """An upstream with the list it gave. `is_found`: a server on this machine that nobody configured."""

    upstream: UpstreamSettings
    rows: Sequence[Row] = ()
    listed_at: int = 0
    is_found: bool = False


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
        self._book = Origin(book.source, int(datetime.combine(book.date, time(), UTC).timestamp()))
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
            if row.listed_id not in declared:
                id = self._id(upstream, row.listed_id)
                self._place(id, row.listed_id, served, None, row)
                for alias in row.aliases:
                    self._aliases_listed.setdefault(self._id(upstream, alias), id)

    def add_local(self, local: LocalSettings) -> None:
        id = local_id(local)
        facts = Facts(
            name=id.partition("/")[2] + (" (demo model)" if local.is_demo_model else ""), price=FREE, context=local.context,
            description="The local demo model." if local.is_demo_model else "A model file on this machine.",
            input_modalities=("text",), output_modalities=("text",), created=self._now_s,
            parameters=("max_tokens", "temperature", "top_p", "stop"),
        )  # fmt: skip
        card = merge([Said(facts, Origin("local model", 0))])
        row = self._rows.setdefault(id, _Row("local"))
        row.places.append(Place(LOCAL_PROVIDER, id, card, is_private=True))
        row.is_demo = True

    def finish(self, auto_default: str, served: Sequence[Served], version: int) -> Catalogue:
        overlay = self._sources.overlay
        speaks = {each.upstream.name for each in served if each.upstream.dialect in PATHS} | {LOCAL_PROVIDER}
        dialects = {each.upstream.name: each.upstream.dialect for each in served}
        entries: dict[str, Entry] = {}
        for id, row in self._rows.items():
            reason = "" if any(place.upstream in speaks for place in row.places) else _unspoken(row.places, dialects)
            card = join(place.card for place in row.places)
            entries[id] = Entry(id, row.source, card, tuple(row.places), row.is_open, row.is_demo, reason=reason)
        aliases = self._aliases(entries)
        free = {id for id, entry in entries.items() if entry.is_free}
        names = Names(entries, aliases, overlay.successors(self._today), free, overlay.known)
        pools = _Pools(entries, names, auto_default, served)
        for bundled in overlay.bundle:
            route, reason = pools.of(bundled.id)
            routes = (route,) if route else ()
            entries[bundled.id] = Entry(bundled.id, "bundle", merge([bundled.said()]), routes=routes, reason=reason)
        for place, id in enumerate(overlay.preferred):
            if id in entries:
                entries[id] = replace(entries[id], preferred=place)
        providers = tuple(overlay.providers.get(name) or Provider(name, name) for name in dialects)
        return Catalogue(version, self._now_s, entries, names, providers, overlay.embeddings.aliases)

    def _place(
        self, id: str, upstream_id: str, served: Served, declared: Said | None, listed: Row | None, *, is_open: bool = False
    ) -> None:
        upstream = served.upstream
        row = self._rows.setdefault(id, _Row("discovery" if declared is None else "configuration"))
        row.is_open = row.is_open or is_open
        if any(place.upstream == upstream.name for place in row.places):
            return  # the same model under another of its names: the first stands
        said = [] if declared is None else [declared]
        if served.is_found or upstream.is_free:
            said.append(Said(Facts(price=FREE), Origin("declared free", 0)))
        if listed is not None:
            said.append(Said(listed.facts, Origin(f"list of {upstream.name}", served.listed_at)))
        said += self._sources.overlay.facts(id)
        said += self._booked(upstream, id, upstream_id)
        row.places.append(Place(upstream.name, upstream_id, merge(said), is_private=served.is_found))

    def _booked(self, upstream: UpstreamSettings, id: str, upstream_id: str) -> list[Said]:
        """Prices belong to places: nobody's price fills that of an upstream that is not his."""
        book, provider = self._sources.prices, self._sources.registry.get(upstream.name)
        seller = provider.prices if provider is not None else self._sources.overlay.prices_at(upstream.base_url)
        found = [book.facts(seller, upstream_id, self._today)] if seller else []
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
            served = next((id for id in candidates if id in entries), None)
            if served is not None:
                aliases[alias] = served
        return aliases


class _Row:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.places: list[Place] = []
        self.is_open = self.is_demo = False


class _Pools:
    """What kilo/auto and its tiers lead to, until there is a router that chooses."""

    def __init__(self, entries: Mapping[str, Entry], names: Names, wanted: str, served: Sequence[Served]) -> None:
        self._entries = dict(entries)
        self._names = names
        self._wanted = wanted
        self._found = {each.upstream.name for each in served if each.is_found}
        self._has_upstreams = len(served) > len(self._found)

    def of(self, id: str) -> tuple[str, str]:
        """The model, or none and the reason."""
        if id == "kilo-auto/org":
            return "", "no map from modes to models is configured."
        if id == "kilo-auto/free":
            free = next((each.id for each in self._entries.values() if self._is_free(each)), "")
            return free, "" if free else "no upstream serves a model that is free."
        return self._default()

    def _default(self) -> tuple[str, str]:
        if self._wanted:
            try:
                return self._names.find(self._wanted).id, ""
            except GatewayError:
                return "", f"it leads to {self._wanted!r} (auto.default), which no upstream serves at the moment."
        usable = [entry for entry in self._entries.values() if self._may_be_chosen(entry)]
        if self._has_upstreams:  # then the demo model is no substitute
            first = next((entry for entry in usable if not entry.is_demo), None)
            return (first.id, "") if first is not None else ("", "no configured upstream has a model to choose so far.")
        first = next(iter(usable), None)
        if first is None:
            return "", "no upstream is configured. Set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]]."
        return first.id, ""

    def _is_free(self, entry: Entry) -> bool:
        return entry.is_free and not entry.is_demo and self._may_be_chosen(entry)

    def _may_be_chosen(self, entry: Entry) -> bool:
        """Servers that were merely found are not, until they are named."""
        modalities = entry.facts.output_modalities
        is_text = modalities is None or "text" in modalities
        return is_text and not entry.reason and any(place.upstream not in self._found for place in entry.places)


def _declared(model: ModelSettings) -> Facts:
    return Facts(
        name=model.name, price=model.price, context=model.context, max_output=model.max_output, parameters=model.parameters,
        input_modalities=model.input_modalities, output_modalities=model.output_modalities,
    )  # fmt: skip


def _unspoken(places: Sequence[Place], dialects: Mapping[str, str]) -> str:
    told = ", ".join(f"{place.upstream} ({dialects[place.upstream]})" for place in places)
    return f"it is listed by {told}, and this gateway does not send requests in that dialect yet."

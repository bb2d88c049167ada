"""What we know of models ourselves: data/models.toml as values. It fills facts and names; only [[bundle]] adds rows.

Each row has its source and its date. Wrong rows are refused with their place: `models.toml: models[3]: …`.
"""

import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from importlib import resources
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from kilo_gateway.catalog.catalogue import Provider
from kilo_gateway.catalog.facts import CATEGORIES, OVERLAY, Facts, Origin, Said
from kilo_gateway.catalog.names import VARIANTS
from kilo_gateway.catalog.spelling import Rules, is_pattern, pattern, rule
from kilo_gateway.core.price import Price

_NAME = "models.toml"
_T = TypeVar("_T")
_S = TypeVar("_S", bound=Struct)
Meets = Callable[[str], object]


class Sourced(Struct, frozen=True, kw_only=True):
    """`source`: a URL, or a name in [sources]. `uncertain`: from memory, or said of its siblings."""

    source: str
    date: date
    uncertain: bool = False

    def origin(self, of: str = "overlay") -> Origin:
        at = datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC)
        return Origin(f"{of}: {self.source}" + (" (uncertain)" if self.uncertain else ""), int(at.timestamp()), OVERLAY)


class ModelRow(Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts of the models that `match` means: ids, or patterns with `*` and `#` (spelling.py)."""

    match: tuple[str, ...]
    facts: Facts


class Successor(Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`retired`: the day on which its maker stopped serving it."""

    id: str
    retired: date


class BundleRow(Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row that is always listed. `costs`: "depends" on what it is routed to, or "nothing" (then its price is 0)."""

    id: str
    costs: Literal["depends", "nothing"]
    facts: Facts

    def said(self) -> Said:
        return Said(replace(self.facts, price=Price(0, 0)) if self.costs == "nothing" else self.facts, self.origin("bundle"))


class ProviderRow(Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    privacy_policy_url: str | None = None
    terms_of_service_url: str | None = None
    status_page_url: str | None = None
    headquarters: str | None = None  # ISO 3166, two letters
    datacenters: tuple[str, ...] | None = None
    may_train: bool | None = None
    retains_prompts: bool | None = None


class Embedding(Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`score_threshold`: below this similarity a search result is noise. `context`: tokens of one text."""

    id: str
    name: str
    dimension: int
    score_threshold: float
    context: int | None = None
    note: str | None = None


class Transcription(Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    name: str


class Embeddings(Struct, frozen=True, forbid_unknown_fields=True):
    default: str
    models: tuple[Embedding, ...]
    aliases: dict[str, str]


class Overlay:
    """Made once, by who needs it. `others`: ids known from elsewhere, for `known` and for the spellings of `names`."""

    def __init__(self, text: str, others: Collection[str] = ()) -> None:
        file = _File(tomllib.loads(text))
        rows = file.rows("models", ModelRow)
        self._general = _by_pattern(rows)
        self._aliases = {upstream: file.rules("aliases", upstream) for upstream in file.table("aliases")}
        self._places = file.texts("places")
        self.authors = file.texts("authors")
        self.bundle = file.rows("bundle", BundleRow)
        self.preferred = msgspec.convert(file.table("preferred").get("ids", ()), tuple[str, ...])
        self.embeddings = file.embeddings()
        self.transcriptions = file.rows("transcription", Transcription)
        self.latest = {name: msgspec.convert(ids, tuple[str, ...]) for name, ids in file.table("latest").items()}
        self.providers = {name: _provider(name, row) for name, row in file.named("providers", ProviderRow).items()}
        self._successors = file.named("successors", Successor)
        self._exact = _by_id(rows, self.embeddings.models, self.transcriptions)
        written = file.texts("names")
        ids = self._exact.keys() | {row.id for row in self.bundle}
        self.known = frozenset(ids | {id for id in others if _is_canonical(id) and not id.startswith("~")})
        self.names = _spellings(file.lists("spellings"), self.known) | written

    def facts(self, id: str) -> tuple[Said, ...]:
        """For facts.merge: what rows of this id say, then what patterns say, in the order of the file.

        Of `author/name:free` and other variants what is said of `author/name` holds too.
        """
        base, _, variant = id.rpartition(":")
        if variant in VARIANTS and base:
            return (*self._exact.get(id, ()), *self._facts(base))
        return self._facts(id)

    def canonical(self, upstream: str, listed: str) -> str:
        """The id of what `upstream` lists: what its table says, else `author/name` as it is, else `upstream/listed`.

        A rule meets an id with a slash only if it has one itself: Gemini's `models/gemini-…`.
        """
        rules = self._aliases.get(upstream)
        found = rules.find(listed) if rules is not None else None
        if found is not None:
            return found
        return listed if _is_canonical(listed) else f"{upstream}/{listed}"

    def successors(self, today: date) -> dict[str, str]:
        """Of what is retired by then."""
        return {id: row.id for id, row in self._successors.items() if row.retired <= today}

    def prices_at(self, base_url: str) -> str:
        """Under which name the price table has what is sold there; empty when it has not."""
        place = base_url.partition("://")[2].rstrip("/").lower()
        return next((name for prefix, name in self._places.items() if f"{place}/".startswith(f"{prefix}/")), "")

    def _facts(self, id: str) -> tuple[Said, ...]:
        return (*self._exact.get(id, ()), *(said for meets, said in self._general if meets(id)))


def load_overlay(others: Collection[str] = ()) -> Overlay:
    """The one that is shipped."""
    return Overlay(resources.files("kilo_gateway.catalog").joinpath("data", _NAME).read_text(), others)


class _File:
    """Reads sections; raises ValueError that names the row."""

    def __init__(self, tables: dict[str, object]) -> None:
        self._tables = tables
        self._sources = self.texts("sources")
        self._sets = self.lists("parameters")

    def table(self, section: str) -> dict[str, object]:
        return _convert(self._tables.get(section, {}), dict[str, object], section)

    def texts(self, section: str) -> dict[str, str]:
        return _convert(self._tables.get(section, {}), dict[str, str], section)

    def lists(self, section: str) -> dict[str, tuple[str, ...]]:
        return _convert(self._tables.get(section, {}), dict[str, tuple[str, ...]], section)

    def rules(self, section: str, name: str) -> Rules:
        place = f"{section}.{name}"
        table = _convert(self.table(section)[name], dict[str, str], place)
        try:
            return Rules(table)
        except ValueError as error:
            raise ValueError(f"{_NAME}: {place}: {error}") from error

    def embeddings(self) -> Embeddings:
        table, place = self.table("embeddings"), "embeddings.models"
        rows = self._each(_convert(table.get("models", []), list[object], place), Embedding, place)
        aliases = _convert(table.get("aliases", {}), dict[str, str], "embeddings.aliases")
        return Embeddings(_convert(table.get("default", ""), str, "embeddings.default"), rows, aliases)

    def rows(self, section: str, type: type[_S]) -> tuple[_S, ...]:
        return self._each(_convert(self._tables.get(section, []), list[object], section), type, section)

    def named(self, section: str, type: type[_S]) -> dict[str, _S]:
        return {name: self._row(row, type, f"{section}.{name}") for name, row in self.table(section).items()}

    def _each(self, rows: Iterable[object], type: type[_S], section: str) -> tuple[_S, ...]:
        return tuple(self._row(row, type, f"{section}[{number}]") for number, row in enumerate(rows))

    def _row(self, row: object, type: type[_S], place: str) -> _S:
        """With the short forms written out: a text for a list of one, names of sources and of sets of parameters."""
        table = dict(_convert(row, dict[str, object], place))
        if isinstance(table.get("match"), str):
            table["match"] = [table["match"]]
        source = str(table.get("source", ""))
        table["source"] = self._sources.get(source, source)
        if not str(table["source"]).startswith("https://"):
            raise ValueError(f"{_NAME}: {place}: source {source!r} is neither a URL nor in [sources]")
        if "parameters" in table:
            table["parameters"] = list(self._parameters(_convert(table["parameters"], list[str], place), place))
        if "facts" in type.__struct_fields__:
            facts = {name: table.pop(name) for name in Facts.__struct_fields__ if name in table}
            if "price" in facts:
                raise ValueError(f"{_NAME}: {place}: no price: prices belong to places")
            if unknown := set(_convert(facts.get("categories", []), list[str], place)) - set(CATEGORIES):
                raise ValueError(f"{_NAME}: {place}: there is no category {min(unknown)!r}")
            table["facts"] = facts
        return _convert(table, type, place)

    def _parameters(self, names: Iterable[str], place: str) -> Iterator[str]:
        for name in names:
            if not name.startswith("@"):
                yield name
            elif name[1:] in self._sets:
                yield from self._sets[name[1:]]
            else:
                raise ValueError(f"{_NAME}: {place}: there is no set {name!r} in [parameters]")


def _convert(value: object, type: type[_T], place: str) -> _T:
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise ValueError(f"{_NAME}: {place}: {error}") from error


def _provider(slug: str, row: ProviderRow) -> Provider:
    return Provider(slug, **{name: value for name, value in asdict(row).items() if name not in Sourced.__struct_fields__})


def _embedding_facts(row: Embedding) -> Facts:
    return Facts(
        name=row.name, dimension=row.dimension, context=row.context, input_modalities=("text",),
        output_modalities=("embeddings",), parameters=(),
    )  # fmt: skip


def _transcription_facts(row: Transcription) -> Facts:
    return Facts(name=row.name, input_modalities=("audio",), output_modalities=("transcription",), parameters=())


def _spellings(table: Mapping[str, tuple[str, ...]], ids: Collection[str]) -> dict[str, str]:
    """Other names of `ids`; none that is an id itself."""
    rules = [rule(left, right) for left, rights in table.items() for right in rights]
    found: dict[str, str] = {}
    for id in sorted(ids):
        for name in (spelled for each in rules if (spelled := each(id)) is not None and spelled not in ids):
            found.setdefault(name, id)
    return found


def _is_canonical(id: str) -> bool:
    author, _, name = id.partition("/")
    return bool(author) and bool(name) and "/" not in name


def _by_id(
    rows: Iterable[ModelRow], embeddings: Iterable[Embedding], transcriptions: Iterable[Transcription]
) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = {}
    for row in rows:
        for id in row.match:
            if not is_pattern(id):
                found.setdefault(id, []).append(Said(row.facts, row.origin()))
    for embedding in embeddings:
        found.setdefault(embedding.id, []).append(Said(_embedding_facts(embedding), embedding.origin()))
    for model in transcriptions:
        found.setdefault(model.id, []).append(Said(_transcription_facts(model), model.origin()))
    return found


def _by_pattern(rows: Iterable[ModelRow]) -> list[tuple[Meets, Said]]:
    return [(pattern(each), Said(row.facts, row.origin())) for row in rows for each in row.match if is_pattern(each)]

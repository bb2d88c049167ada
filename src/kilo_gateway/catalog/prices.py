"""Prices, contexts and names that a released table knows: data/prices.json, made by scripts/prices from genai-prices.

It says what a model costs at a provider, and which of a provider's models a name means, as that package does. It knows
nothing of upstreams, and adds no model to the catalogue.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from importlib import resources

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from kilo_gateway.catalog.facts import Facts
from kilo_gateway.core.price import TOKEN_RATES, Override, Price

OPENROUTER = "openrouter"
_REMEMBERED = 20_000
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")

Match = Callable[[str], bool]


class Clause(Struct, frozen=True, forbid_unknown_fields=True):
    """Which names mean a model; one field is set. Names come in lower case, patterns are taken as they are."""

    equals: str | None = None
    starts_with: str | None = None
    ends_with: str | None = None
    contains: str | None = None
    regex: str | None = None
    any_of: "tuple[Clause, ...]" = field(default=(), name="or")
    all_of: "tuple[Clause, ...]" = field(default=(), name="and")


class Span(Struct, frozen=True, forbid_unknown_fields=True):
    """A price from a day on, or between two minutes of the UTC day, or always."""

    price: Price
    start: date | None = None
    utc_minutes: tuple[int, int] | None = None


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """`match` None: the id alone. `prices` empty: unknown; else the last that holds counts, or the first if none does."""

    id: str
    match: Clause | None = None
    name: str | None = None
    context: int | None = None
    deprecated: bool = False
    prices: tuple[Span, ...] = ()


class Provider(Struct, frozen=True, forbid_unknown_fields=True):
    """`fallback`: providers whose models it offers at their price, where it has no row itself."""

    id: str
    models: tuple[Row, ...]
    fallback: tuple[str, ...] = ()


class PriceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """`date`: the day the package was released."""

    package: str
    version: str
    licence: str
    date: date
    providers: tuple[Provider, ...]

    def ids(self, provider: str) -> frozenset[str]:
        """The ids of its rows, without other names of the same models."""
        return frozenset(row.id for each in self.providers if each.id == provider for row in each.models)


class PriceBook:
    """Answers from a table. `authors`: under which provider an author of `author/name` sells his own models."""

    def __init__(self, table: PriceTable, authors: Mapping[str, str] | None = None) -> None:
        self.source = f"{table.package} {table.version}"
        self.date = table.date
        self._authors = authors or {}
        self._providers = {provider.id: provider for provider in table.providers}
        self._indexes: dict[str, _Index] = {}
        self._found: dict[tuple[str, str], Row | None] = {}

    @property
    def providers(self) -> frozenset[str]:
        return frozenset(self._providers)

    def facts(self, provider: str, model_id: str, today: date) -> Facts | None:
        """Of what `provider` calls `model_id`: name, context, and the price of that (UTC) day, hours of it as overrides."""
        row = self._row(provider, model_id)
        return None if row is None else Facts(name=row.name, context=row.context, price=_price(row.prices, today))

    def about(self, id: str) -> Facts | None:
        """Name and context of `author/name`, whoever serves it. No price: prices belong to places."""
        author, _, name = id.partition("/")
        row = self._row(OPENROUTER, id)
        own = self._row(self._authors.get(author, ""), name)
        if row is None and own is None:
            return None
        said = [each for each in (row, own) if each is not None]
        return Facts(
            name=next((each.name for each in said if each.name), None),
            context=next((each.context for each in said if each.context), None),
        )

    def _row(self, provider: str, name: str) -> Row | None:
        key = provider, name
        if key not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[key] = self._look(provider, name.lower())
        return self._found[key]

    def _look(self, provider: str, name: str) -> Row | None:
        """As it is, else with a date `20260131` written `2026-01-31`."""
        if provider not in self._providers:
            return None
        dashed = _COMPACT_DATE.sub(_dashed, name)
        return self._match(provider, name) or (self._match(provider, dashed) if dashed != name else None)

    def _match(self, provider: str, name: str) -> Row | None:
        found = self._index(provider).find(name)
        for other in self._providers[provider].fallback if found is None else ():
            if other in self._providers and (found := self._index(other).find(name)) is not None:
                break
        return found

    def _index(self, provider: str) -> "_Index":
        index = self._indexes.get(provider)
        if index is None:
            index = self._indexes[provider] = _Index(self._providers[provider].models)
        return index


def price_table() -> PriceTable:
    """The one that is shipped. Read anew at each call."""
    data = resources.files("kilo_gateway.catalog").joinpath("data", "prices.json").read_bytes()
    return msgspec.json.decode(data, type=PriceTable)


class _Index:
    """Finds the first row that matches. Most match a few whole names: these are looked up, only the others are tried."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._exact: dict[str, int] = {}
        self._patterns: list[tuple[int, Match]] = []
        for number, row in enumerate(rows):
            patterns = []
            for clause in _alternatives(row.match or Clause(equals=row.id)):
                if clause.equals is not None:
                    self._exact.setdefault(clause.equals.lower(), number)
                else:
                    patterns.append(_matcher(clause))
            self._patterns += [(number, pattern) for pattern in patterns]

    def find(self, name: str) -> Row | None:
        exact = self._exact.get(name)
        for number, matches in self._patterns:
            if exact is not None and number >= exact:
                break
            if matches(name):
                return self._rows[number]
        return None if exact is None else self._rows[exact]


def _alternatives(clause: Clause) -> Iterator[Clause]:
    if not clause.any_of:
        yield clause
    for each in clause.any_of:
        yield from _alternatives(each)


def _matcher(clause: Clause) -> Match:
    """For names in lower case."""
    if clause.any_of:
        matchers = [_matcher(each) for each in clause.any_of]
        return lambda name: any(matches(name) for matches in matchers)
    if clause.all_of:
        matchers = [_matcher(each) for each in clause.all_of]
        return lambda name: all(matches(name) for matches in matchers)
    if clause.regex is not None:
        search = re.compile(clause.regex).search
        return lambda name: search(name) is not None
    return _text_matcher(clause)


def _text_matcher(clause: Clause) -> Match:
    if clause.equals is not None:
        return clause.equals.lower().__eq__
    if clause.starts_with is not None:
        start = clause.starts_with.lower()
        return lambda name: name.startswith(start)
    if clause.ends_with is not None:
        end = clause.ends_with.lower()
        return lambda name: name.endswith(end)
    part = (clause.contains or "").lower()
    return lambda name: part in name


def _dashed(found: re.Match[str]) -> str:
    """A day that is none stays as it was."""
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return found[0]
    return f"-{day.isoformat()}"


def _price(spans: Sequence[Span], today: date) -> Price | None:
    if not spans:
        return None
    begun = [span for span in spans if span.start is None or span.start <= today]
    whole_days = [number for number, span in enumerate(begun) if span.utc_minutes is None]
    base = begun[whole_days[-1]].price if whole_days else spans[0].price
    windows = begun[whole_days[-1] + 1 :] if whole_days else begun
    return replace(base, overrides=base.overrides + tuple(_window(span) for span in windows)) if windows else base


def _window(span: Span) -> Override:
    """It has every rate the price around it has: scripts/prices leaves out those of which that is not so."""
    return Override(utc_minutes=span.utc_minutes, **{name: getattr(span.price, name) for name in TOKEN_RATES})

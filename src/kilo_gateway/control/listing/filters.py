"""Which rows a query leaves. A row of which a wanted fact is not known is left out: nothing is guessed."""

from collections.abc import Callable
from decimal import Decimal

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place
from kilo_gateway.control.listing.prices import shown_facts
from kilo_gateway.control.listing.query import Query, Range
from kilo_gateway.control.listing.rows import author, input_modalities, output_modalities
from kilo_gateway.control.listing.traffic import Traffic
from kilo_gateway.core.money import Pico

_PICO_PER_USD_PER_MTOK = 10**6
_DAY_S = 86_400
MIN_TOOL_REQUESTS = 20

Test = Callable[[Entry], bool]


def chosen(catalogue: Catalogue, query: Query, traffic: Traffic, now_s: float) -> list[Entry]:
    """In the catalogue's order."""
    tests = _tests(query, catalogue, traffic, now_s)
    return [entry for entry in catalogue.entries.values() if all(test(entry) for test in tests)]


def keeps_nothing(place: Place) -> bool:
    """Whether prompts are known not to be retained there; on the operator's own machines they are his."""
    return place.is_private or (place.facts.policy is not None and place.facts.policy.retains is False)


def tool_success(entry: Entry, traffic: Traffic) -> Decimal | None:
    """Of a week's requests that offered tools, the share that ended in calls; None where they are too few to say."""
    found = [seen for place in entry.places if (seen := traffic.of(entry.id, place.upstream)) is not None]
    asked = sum(each.tool_requests_1w for each in found)
    return Decimal(sum(each.tool_calls_1w for each in found)) / asked if asked >= MIN_TOOL_REQUESTS else None


def _tests(query: Query, catalogue: Catalogue, traffic: Traffic, now_s: float) -> list[Test]:
    """Those that are asked for, the cheap ones first."""
    wishes: list[tuple[object, Test]] = [
        (query.outputs is not None, lambda entry: not _outputs(query).isdisjoint(output_modalities(entry.facts))),
        (query.inputs, lambda entry: _files(query.inputs) <= set(input_modalities(entry.facts))),
        (query.parameters, lambda entry: set(query.parameters) <= set(entry.facts.parameters or ())),
        (query.context is not None, lambda entry: _within(Range(low=query.context), entry.facts.context)),
        (query.category, lambda entry: query.category in (entry.facts.categories or ())),
        (query.authors, lambda entry: author(entry.id).lower() in query.authors),
        (query.archs, lambda entry: _has_arch(entry, query.archs)),
        (query.words, lambda entry: _has_words(entry, query.words)),
        (query.providers or query.is_zdr or query.region, _has_place(query, catalogue)),
        (query.is_distillable, lambda entry: False),  # nobody is known to allow it
        (not query.prompt_price.is_open, lambda entry: _has_price(entry, query.prompt_price, "input")),
        (not query.output_price.is_open, lambda entry: _has_price(entry, query.output_price, "output")),
        (not query.age_days.is_open, lambda entry: _has_age(entry, query.age_days, now_s)),
        *[
            (not wanted.is_open, _scored(index, wanted))
            for index, wanted in (("intelligence", query.intelligence), ("coding", query.coding), ("agentic", query.agentic))
        ],
        (not query.tool_success.is_open, lambda entry: _within(query.tool_success, tool_success(entry, traffic))),
    ]
    return [test for is_asked, test in wishes if is_asked]


def _outputs(query: Query) -> frozenset[str]:
    return query.outputs or frozenset()


def _files(inputs: tuple[str, ...]) -> set[str]:
    """PDFs are files here."""
    return {"file" if each == "pdf" else each for each in inputs}


def _within(wanted: Range, value: Decimal | int | float | None) -> bool:
    if value is None:
        return False
    return (wanted.low is None or value >= wanted.low) and (wanted.high is None or value <= wanted.high)


def _has_price(entry: Entry, wanted: Range, side: str) -> bool:
    price = shown_facts(entry).price
    pico: Pico | None = None if price is None else getattr(price, side)
    return pico is not None and _within(wanted, Decimal(pico) / _PICO_PER_USD_PER_MTOK)


def _has_age(entry: Entry, wanted: Range, now_s: float) -> bool:
    created = entry.facts.created
    return bool(created) and _within(wanted, (now_s - (created or 0)) / _DAY_S)


def _scored(index: str, wanted: Range) -> Test:
    return lambda entry: _within(wanted, (entry.facts.benchmarks or {}).get(index))


def _has_arch(entry: Entry, archs: tuple[str, ...]) -> bool:
    """`llama` names Llama3 and Llama4 too."""
    known = [word.lower() for word in (entry.facts.tokenizer, entry.facts.family) if word]
    return any(word.startswith(arch) for word in known for arch in archs)


def _has_words(entry: Entry, words: tuple[str, ...]) -> bool:
    text = f"{entry.id} {entry.facts.canonical_slug or ''} {entry.facts.name or ''}".lower()
    return all(word in text for word in words)


def _has_place(query: Query, catalogue: Catalogue) -> Test:
    """One place has to meet all that is asked of places. An upstream goes by its name here and by its provider's."""
    named = {each.slug.lower() for each in catalogue.providers if each.name.lower() in query.providers}
    upstreams = named | set(query.providers)

    def fits(place: Place) -> bool:
        return (
            (not query.providers or place.upstream.lower() in upstreams)
            and (not query.is_zdr or keeps_nothing(place))
            and (not query.region or query.region in (region.lower() for region in place.facts.regions or ()))
        )

    return lambda entry: any(fits(place) for place in entry.places)

"""What a caller wants of the list: query parameters in, one typed value out. Unknown parameters are passed over."""

import re
from collections.abc import Collection
from decimal import Decimal
from typing import Literal, cast, get_args

from msgspec import Struct
from starlette.datastructures import QueryParams

from kilo_gateway.catalog.facts import CATEGORIES
from kilo_gateway.core.errors import BadRequest

Sort = Literal[
    "most-popular", "newest", "top-weekly", "pricing-low-to-high", "pricing-high-to-low", "context-high-to-low",
    "throughput-high-to-low", "latency-low-to-high", "intelligence-high-to-low", "coding-high-to-low",
    "agentic-high-to-low", "design-arena-elo-high-to-low",
]  # fmt: skip
SORTS: tuple[Sort, ...] = get_args(Sort)
BY_TRAFFIC: frozenset[Sort] = frozenset({"most-popular", "top-weekly", "throughput-high-to-low", "latency-low-to-high"})
INPUTS = ("text", "image", "file", "audio", "video", "pdf")
OUTPUTS = ("text", "image", "embeddings", "audio", "video", "rerank", "decisions", "speech", "transcription")
MAX_LIMIT, DEFAULT_LIMIT = 1000, 500
_SHOWN = 100
_NUMBER = re.compile(r"(?:\d{1,15}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_YES, _NO = frozenset({"true", "1"}), frozenset({"false", "0"})


class Range(Struct, frozen=True):
    """Both ends belong to it. None: open."""

    low: Decimal | None = None
    high: Decimal | None = None

    @property
    def is_open(self) -> bool:
        return self.low is None and self.high is None


class Page(Struct, frozen=True):
    offset: int
    limit: int
    given: tuple[tuple[str, str], ...]  # the other parameters, for the link to the next page


class Query(Struct, frozen=True, kw_only=True):
    """Empty tuples, None and open ranges ask for nothing. Words are in lower case."""

    outputs: frozenset[str] | None = frozenset({"text"})  # any of them; None: all rows
    inputs: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    archs: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    context: Decimal | None = None
    prompt_price: Range = Range()  # USD per million tokens
    output_price: Range = Range()
    age_days: Range = Range()
    intelligence: Range = Range()
    coding: Range = Range()
    agentic: Range = Range()
    tool_success: Range = Range()
    category: str = ""
    is_distillable: bool | None = None
    is_zdr: bool = False
    region: str = ""
    sort: Sort | None = None
    page: Page | None = None
    has_origins: bool = False
    is_feed: bool = False
    ignored: tuple[str, ...] = ()  # parameters that were in order and cannot be followed

    @property
    def is_lasting(self) -> bool:
        """Whether its answer changes with the catalogue alone, not with traffic or time."""
        return self.sort not in BY_TRAFFIC and self.age_days.is_open and self.tool_success.is_open


_NAMES = (
    "category", "supported_parameters", "output_modalities", "sort", "use_rss", "use_rss_chat_links", "q",
    "input_modalities", "context", "min_price", "max_price", "arch", "model_authors", "providers", "distillable", "zdr",
    "region", "min_output_price", "max_output_price", "min_age_days", "max_age_days", "min_intelligence_index",
    "max_intelligence_index", "min_coding_index", "max_coding_index", "min_agentic_index", "max_agentic_index",
    "min_tool_success_rate", "max_tool_success_rate", "origins",
)  # fmt: skip


def read(params: QueryParams, default_outputs: Collection[str] | None = ("text",)) -> Query:
    """Raises BadRequest, which names the parameter. `default_outputs` None: all rows, if none are named."""
    reader = _Reader(params)
    return Query(
        outputs=reader.outputs(default_outputs),
        inputs=reader.several("input_modalities", INPUTS),
        parameters=reader.several("supported_parameters"),
        words=tuple(reader.text("q").lower().split()),
        archs=reader.several("arch"),
        authors=reader.several("model_authors"),
        providers=reader.several("providers"),
        context=reader.whole("context", 1),
        prompt_price=reader.span("min_price", "max_price"),
        output_price=reader.span("min_output_price", "max_output_price"),
        age_days=Range(reader.whole("min_age_days"), reader.whole("max_age_days")),
        intelligence=reader.span("min_intelligence_index", "max_intelligence_index"),
        coding=reader.span("min_coding_index", "max_coding_index"),
        agentic=reader.span("min_agentic_index", "max_agentic_index"),
        tool_success=reader.span("min_tool_success_rate", "max_tool_success_rate", 1),
        category=reader.one_of("category", CATEGORIES),
        is_distillable=reader.choice("distillable"),
        is_zdr=bool(reader.choice("zdr")),
        region=reader.one_of("region", ("eu", "us")),
        sort=cast(Sort, reader.one_of("sort", SORTS)) or None,  # one_of gives one of SORTS, or nothing
        page=reader.page(),
        has_origins=bool(reader.choice("origins")),
        is_feed=bool(reader.choice("use_rss")),
        ignored=reader.ignored(),
    )


class _Reader:
    """An empty value is one that was not sent."""

    def __init__(self, params: QueryParams) -> None:
        self._params = params

    def text(self, name: str) -> str:
        return (self._params.get(name) or "").strip()

    def several(self, name: str, allowed: Collection[str] = ()) -> tuple[str, ...]:
        """Comma-separated, sent once or more often; each once, in order, so that equal wishes are equal values."""
        values = {part.strip().lower() for value in self._params.getlist(name) for part in value.split(",")} - {""}
        for value in sorted(values):
            if allowed and value not in allowed:
                raise _wrong(name, value, f"a comma-separated list of {', '.join(allowed)}")
        return tuple(sorted(values))

    def outputs(self, default: Collection[str] | None) -> frozenset[str] | None:
        names = self.several("output_modalities", (*OUTPUTS, "all"))
        if not names:
            return None if default is None else frozenset(default)
        return None if "all" in names else frozenset(names)

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        value = self.text(name).lower()
        if value and value not in allowed:
            raise _wrong(name, value, f"one of {', '.join(allowed)}")
        return value

    def choice(self, name: str) -> bool | None:
        value = self.text(name).lower()
        if value and value not in _YES | _NO:
            raise _wrong(name, value, "true or false")
        return value in _YES if value else None

    def whole(self, name: str, least: int = 0, most: int | None = None) -> Decimal | None:
        value = self.text(name)
        if not value:
            return None
        up_to = f"to {most}" if most is not None else "on"
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= (int(value) if most is None else most):
            raise _wrong(name, value, f"a whole number from {least} {up_to}")
        return Decimal(value)

    def span(self, low: str, high: str, most: int | None = None) -> Range:
        return Range(self._number(low, most), self._number(high, most))

    def page(self) -> Page | None:
        offset, limit = self.whole("offset"), self.whole("limit", 1, MAX_LIMIT)
        if offset is None and limit is None:
            return None
        given = tuple((name, value) for name, value in self._params.multi_items() if name in _NAMES)
        return Page(int(offset or 0), int(limit or DEFAULT_LIMIT), given)

    def ignored(self) -> tuple[str, ...]:
        """There is no chat page that a feed could link to."""
        return ("use_rss_chat_links",) if self.choice("use_rss_chat_links") else ()

    def _number(self, name: str, most: int | None) -> Decimal | None:
        value = self.text(name)
        if not value:
            return None
        number = Decimal(value) if _NUMBER.fullmatch(value) else Decimal(-1)
        if number < 0 or (most is not None and number > most):
            raise _wrong(name, value, f"a number from 0 {f'to {most}' if most is not None else 'on'}")
        return number


def _wrong(name: str, value: str, meant: str) -> BadRequest:
    return BadRequest(f"{name} is {meant}, not {value[:_SHOWN]!r}.", {"parameter": name})

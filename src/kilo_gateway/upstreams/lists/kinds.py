"""A list of models of any kind, read."""

from collections.abc import Callable, Mapping

from kilo_gateway.core.errors import UpstreamError
from kilo_gateway.upstreams.lists import anthropic, gemini, ollama, openai
from kilo_gateway.upstreams.lists.listing import Kind, Listing

_READERS: Mapping[Kind, Callable[[bytes], Listing]] = {
    "openai": openai.page, "anthropic": anthropic.page, "gemini": gemini.page, "ollama": ollama.page,
}  # fmt: skip


def read(kind: Kind, body: bytes) -> Listing:
    """Raises BadAnswer for what is no list, UpstreamError for one without a row that can be used."""
    return with_rows(page(kind, body))


def page(kind: Kind, body: bytes) -> Listing:
    """One of several, which may be empty. Raises BadAnswer for what is no list."""
    return _READERS[kind](body)


def with_rows(listing: Listing) -> Listing:
    """Raises UpstreamError when it has none."""
    if not listing.rows:
        raise UpstreamError("its list of models is empty")
    return listing

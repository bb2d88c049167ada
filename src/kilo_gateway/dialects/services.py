"""What callers ask for that is no chat: embeddings, transcriptions ... Each crosses to its own kind alone, past the hub."""

from typing import Protocol

from kilo_gateway.core.ports import CallerDialect, Translator
from kilo_gateway.core.types import Call, Endpoint


class Service(CallerDialect, Protocol):
    """A caller's dialect, and what upstreams are told of it. `name`: that of its calls' dialect and of its door."""

    name: str
    makes_streams: bool  # of one JSON body, where an upstream did not stream what was to be streamed

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        """Why this endpoint cannot serve it, with the cure, or nothing."""

    def at_once(self, call: Call, endpoint: Endpoint) -> bytes:
        """The JSON answer, where this endpoint need not be asked; else nothing."""

    def shape(self, call: Call, endpoint: Endpoint) -> bytes: ...
    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        """Of a stream where that was asked for and is what comes, else of one body."""


def lacks(service: str, endpoint: Endpoint) -> str:
    """The obstacle of a model that is known to do other things. Of a model of which nobody said, its upstream is asked."""
    if endpoint.services is None or service in endpoint.services:
        return ""
    return f"{endpoint.model} does not do {service} there"

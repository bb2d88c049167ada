"""What the pipeline needs from the rest, as narrow as it can be said. Adapters implement these; core names none."""

from collections.abc import Mapping
from typing import Protocol

from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Decision, Endpoint, Extent, JournalLine, Key, Model


class Snapshot(Protocol):
    """Immutable view of keys and models. A push from control swaps the whole of it by reference."""

    def authenticate(self, credential: bytes) -> Key: ...
    def resolve(self, model: str) -> Model: ...


class Snapshots(Protocol):
    @property
    def current(self) -> Snapshot: ...


class Admission(Protocol):
    """Leave to run a request; the exchange counts itself in and out."""

    in_flight: int


class Limits(Protocol):
    def admit(self, key: Key, now: float) -> Admission:
        """Raises a Refusal when this key, or nobody at all, may run a request now."""


class Router(Protocol):
    def choose(self, call: Call, model: Model, now: float) -> Decision: ...
    def rest(self, endpoint: Endpoint, now: float) -> None: ...


class Leases(Protocol):
    def hold(self, key: Key, call: Call, decision: Decision) -> Nanos: ...
    def fitted(self, call: Call, decision: Decision) -> Decision:
        """Of endpoints, those that stay within the call's ceiling. Raises OutOfFunds."""

    def output_cap(self, call: Call, endpoint: Endpoint) -> int | None:
        """Tokens to ask for, so that they do; None: as the caller asks. Raises OutOfFunds."""

    def settle(self, key: Key, held: Nanos, cost: Nanos) -> None: ...


class Journal(Protocol):
    def append(self, line: JournalLine) -> None: ...


class Estimates(Protocol):
    def prompt_tokens(self, call: Call, endpoint: Endpoint) -> int: ...
    def learn(self, call: Call, endpoint: Endpoint, usage: Usage) -> None: ...


class Translator(Protocol):
    """One answer on its way back. Indifferent to how the bytes were cut."""

    cost: Nanos | None  # of what it used, once its usage is known to be the last
    upstream_id: str

    @property
    def is_done(self) -> bool:
        """Whether the answer has said that it is over."""

    def feed(self, data: bytes) -> bytes:
        """What may be let out. Raises UpstreamError, with what came before it, when the answer carries an error."""

    def finish(self) -> bytes:
        """What is still to be sent. Raises Truncated when the answer stopped before its own end."""

    def held(self) -> bytes:
        """What came whole and was kept back, when there will be no end to put it into."""

    def failure(self, error: GatewayError) -> bytes:
        """How a stream that has begun is ended by this error, where that depends on what was said; else nothing."""

    def used(self) -> Usage:
        """By now: as it was told, else estimated."""

    def finish_reason(self) -> tuple[str, str]:
        """Why it ended, in a chat completion's words and in the upstream's own; both empty while that is not known."""

    def estimated_output_tokens(self) -> int: ...


class Again(Exception):
    """Raised by `finish`: this answer has been taken, and the same endpoint is to be asked for more, which `shape` now says.

    Of requests that an upstream takes in parts only. `used`: by all parts that were answered, in case none follows.
    """

    def __init__(self, used: Usage) -> None:
        super().__init__()
        self.used = used


class CallerDialect(Protocol):
    def open_body(self, body: bytes) -> Call: ...
    def extent(self, call: Call) -> Extent: ...
    def error_body(self, error: GatewayError) -> bytes: ...
    def error_events(self, error: GatewayError, answer_id: str, model: str, created: int) -> bytes:
        """How a stream that has begun is ended."""


class Dialects(Protocol):
    def obstacle(self, call: Call, endpoint: Endpoint) -> str: ...
    def at_once(self, call: Call, endpoint: Endpoint) -> bytes: ...
    def needed_bytes(self, call: Call, endpoint: Endpoint) -> Mapping[str, frozenset[str]]:
        """URLs that this endpoint cannot take, each with the media types that it may lead to."""

    def supply(self, call: Call, fetched: Mapping[str, str]) -> None:
        """From now on the call has these data: URLs in place of those that lead there."""

    def shape(self, call: Call, endpoint: Endpoint, output_cap: int | None) -> bytes: ...
    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator: ...
    def refused(self, endpoint: Endpoint, status: int, body: bytes, retry_after: str) -> Exception: ...

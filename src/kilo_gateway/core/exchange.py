"""One request from the moment it holds money until it has been settled.

    HELD -> SENT -> HEADERS -> RELAYING -> ENDED
      ^______|  the next endpoint, as long as the caller has seen nothing

There is no state before HELD: until then nothing is owned, so nothing has to be closed. Whoever ends a request,
and however many see it end, calls `close`; the first outcome stands and is settled and recorded once.
"""

from collections.abc import Callable
from enum import Enum, auto

from msgspec import Struct

from kilo_gateway.core.errors import UpstreamError
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.ports import Admission, Translator
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Attempt, Call, Decision, Endpoint, Key, Outcome

MAX_ATTEMPTS = 3
NOTHING = Usage()  # no attempt came to anything


class State(Enum):
    HELD = auto()
    SENT = auto()
    HEADERS = auto()
    RELAYING = auto()
    ENDED = auto()


HELD, SENT, HEADERS, RELAYING, ENDED = State


class Caller(Struct):
    """Who asks: authenticated and admitted."""

    key: Key
    admission: Admission


class Exchange(Struct):
    """Owns the hold, the attempts and the answer's translator. `started` is monotonic seconds, `at_ms` Unix time."""

    id: str
    caller: Caller
    call: Call
    decision: Decision
    held: Nanos
    started: float
    at_ms: int
    on_close: Callable[["Exchange", Outcome, Usage], None]
    state: State = HELD
    attempts: list[Attempt] = []
    translator: Translator | None = None
    first_us: int = -1  # start -> first event of a stream
    output_cap: int | None = None  # tokens asked for, where the caller's ceiling made it necessary
    overhead_us: int = -1  # last request byte read -> first byte written upstream
    spent: Usage = NOTHING  # by parts of it that were answered, while others are still to be asked for

    def has_next(self) -> bool:
        """Another endpoint would have to begin anew, and what was spent at this one was spent."""
        return self.spent is NOTHING and len(self.attempts) < min(len(self.decision.order), MAX_ATTEMPTS)

    def next_endpoint(self) -> Endpoint | None:
        """The endpoint to try now, noted as an attempt; None when no more may be tried."""
        attempts, order = self.attempts, self.decision.order
        tried = len(attempts)
        if tried == MAX_ATTEMPTS or tried == len(order):
            return None
        endpoint = order[tried]
        attempts.append(Attempt(endpoint))
        return endpoint

    def attempt_failed(self, error: UpstreamError) -> None:
        attempt = self.attempts[-1]
        attempt.failure = error.code
        attempt.is_down = error.is_retryable and error.status != 429
        self.translator = None
        self.state = HELD

    def close(self, outcome: Outcome) -> None:
        if self.state is ENDED:
            return
        usage = self._usage()
        self.state = ENDED
        self.on_close(self, outcome, usage)

    def _usage(self) -> Usage:
        """What the upstream reported; else an estimate of what went out and came back; nothing if all attempts failed."""
        if self.state is HELD:
            return self.spent
        translator = self.translator
        if translator is None and self.call.estimated is not None:
            return self.call.estimated
        if translator is None:
            tokens = self.call.estimated_prompt_tokens(self.attempts[-1].endpoint)
            return Usage(max(tokens, self.spent.prompt_tokens), 0, is_estimated=True)
        return translator.used()

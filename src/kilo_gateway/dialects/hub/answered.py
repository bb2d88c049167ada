"""An answer between two dialects: as events, and folded."""

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.hub.asked import Format, Text, Thought, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]


class Begun(Struct, frozen=True):
    """`created`: Unix seconds, 0: unknown."""

    id: str = ""
    model: str = ""
    created: int = 0


class TextDelta(Struct, frozen=True):
    """`answer`: which of the calls that stand for text (hub/first_answer.py) it is an argument of; -1: of none."""

    text: str
    answer: int = -1


class RefusalDelta(Struct, frozen=True):
    """The model's own words on why it does not answer."""

    text: str


class ThoughtDelta(Struct, frozen=True):
    """Of the thought number `index`, from 0. Text comes in pieces; a signature, and what is encrypted, whole."""

    index: int
    text: str = ""
    summary: str = ""
    signature: str = ""
    encrypted: str = ""
    format: Format = ""
    id: str = ""
    origin: str = ""


class CallBegun(Struct, frozen=True):
    """Call number `index`, from 0. Its arguments come as CallDelta; none: it has none."""

    index: int
    id: str
    name: str
    signature: str = ""
    origin: str = ""


class CallDelta(Struct, frozen=True):
    index: int
    arguments: str


class Cited(Struct, frozen=True):
    """A source of what was said. `begin` and `end`: characters of the whole text; -1: unknown."""

    url: str
    title: str = ""
    text: str = ""
    begin: int = -1
    end: int = -1


class Drawn(Struct, frozen=True):
    """An image, whole. `url`: data: with base64, or https."""

    url: str


class Spoken(Struct, frozen=True):
    """Audio. `data`: base64, a piece of it."""

    data: str = ""
    transcript: str = ""
    format: str = ""
    id: str = ""


class Acted(Struct, frozen=True):
    """Something a tool of the provider's own did: `kind`, in the provider's word. Other dialects have no place for it."""

    kind: str


class Told(Struct, frozen=True):
    """Usage, so far as is known by now; the last one counts."""

    usage: Usage


class Finished(Struct, frozen=True):
    """`native`: the upstream's own word. `stop`: the sequence that ended it."""

    reason: FinishReason
    native: str = ""
    stop: str | None = None


class Failed(Struct, frozen=True):
    """The answer broke off with an error of the upstream's. `status`: as a number, where it gives one."""

    message: str
    code: str
    status: int | None = None


Event = (
    Begun
    | TextDelta
    | RefusalDelta
    | ThoughtDelta
    | CallBegun
    | CallDelta
    | Cited
    | Drawn
    | Spoken
    | Acted
    | Told
    | Finished
    | Failed
)


class StreamReader(Protocol):
    """An upstream's stream. `is_done`: it has said that it is over. Unknown events give nothing; what cannot be read raises

    BadAnswer.
    """

    is_done: bool

    def read(self, name: bytes, data: bytes) -> list[Event]:
        """One event: its name where the stream names events, and its data."""


class AnswerHead(Struct, frozen=True):
    """What stands at the top of an answer to a caller. `id`: the upstream's, else the generation's. `freeform`: names of the

    tools whose calls he takes as plain text. `namespaces`: by such names, the namespace and the name that he knows.
    """

    id: str
    created: int
    model: str  # the catalogue's id
    provider: str
    freeform: frozenset[str] = frozenset()
    namespaces: Mapping[str, tuple[str, str]] = {}


class StreamWriter(Protocol):
    """A stream to a caller. `end` is called once, after Finished, and is the only place where usage and cost are told."""

    def write(self, events: Iterable[Event]) -> bytes: ...
    def end(self, usage: Usage, cost_usd: float | None) -> bytes: ...
    def fail(self, error: GatewayError) -> bytes:
        """The end of a stream that broke off, instead of `end`."""


class Answer(Struct, frozen=True, kw_only=True):
    """Events folded: what a JSON answer is made of. `blocks` in the order in which each began."""

    begun: Begun = Begun()
    blocks: tuple[Text | Thought | ToolCall | Drawn, ...] = ()
    refusal: str = ""
    cited: tuple[Cited, ...] = ()
    spoken: Spoken | None = None
    finished: Finished | None = None
    usage: Usage | None = None
    failed: Failed | None = None

"""The nouns. Values only: no behaviour beyond arithmetic, no I/O; every other package may import these.

msgspec structs rather than dataclasses: one is made in 0.07 us instead of 0.18, and the snapshot's are written as msgpack.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from msgspec import Raw, Struct

from kilo_gateway.core.client import ClientHeaders
from kilo_gateway.core.money import Nanos, Pico
from kilo_gateway.core.price import Price, Usage

Role = Literal["owner", "member", "anonymous"]
Platform = Literal["", "azure", "vertex"]  # clouds that speak others' dialects with ways of their own


MAX_CONTEXT = 1 << 40  # tokens: more is no context but a mistake


class Key(Struct, frozen=True):
    id: str
    name: str
    role: Role


ANONYMOUS = Key("anonymous", "anonymous", "anonymous")


class Origin(NamedTuple):
    """Where to connect. `unix_path` set: a socket on this machine. `is_trusted`: the operator named a private address."""

    host: str
    port: int
    is_tls: bool = False
    unix_path: str = ""
    is_trusted: bool = False


class Patience(Struct, frozen=True):
    """How long each kind of silence of an upstream is borne, in seconds."""

    connect_s: float = 5.0
    write_s: float = 30.0
    first_byte_s: float = 600.0  # of a JSON answer
    first_event_s: float = 300.0  # of a stream
    idle_s: float = 60.0  # between payload events


class Aws(Struct, frozen=True):
    """What requests to AWS are signed with. Never shown: see upstreams/sigv4.py."""

    region: str
    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Aws({self.region})"


class Endpoint(Struct, frozen=True):
    """One place that serves a model. All that is the same for every request is rendered once, when compiled."""

    provider: str
    model: str  # the catalogue id
    origin: Origin
    dialect: str
    model_json: bytes  # the upstream's own name of the model
    head: bytes  # request head up to and including b"Content-Length: "
    answer_head: bytes  # header lines that name it to the caller
    label_json: bytes  # the provider, as it is named to callers
    model_id_json: bytes  # the catalogue id
    price: Price | None
    patience: Patience = Patience()
    context: int | None = None
    is_cost_reported: bool = False  # its `usage.cost` is USD it charged
    is_demo: bool = False  # the small model that comes with the gateway: no tools
    is_local: bool = False  # a child of the gateway's own: may still be loading
    is_open: bool = False  # may be used without a key
    cure: str = ""  # what to do when it cannot take a request
    max_output: int | None = None  # tokens of one answer
    cap_field: str = ""  # of a request: how many tokens its answer may have; empty: nobody said
    stream_head: bytes = b""  # where streams have a path of their own
    parameters: tuple[str, ...] | None = None  # what its model knows, in OpenRouter's names; None: nobody said
    aws: Aws | None = None
    services: dict[str, str] | None = None  # besides chat or instead of it, and paths that are unusual; None: nobody said
    efforts: tuple[str, ...] = ()  # by which its model is made to think, where it takes no tokens; empty: nobody said
    platform: Platform = ""
    client_headers: tuple[str, ...] = ()  # what it is told of a caller's client, in the words of core/client.py
    is_strict: bool = False  # it refuses members that its dialect does not know, and values out of range
    tool_ids: str = ""  # what ids of tool calls it takes, a name in dialects/tool_ids.py; empty: what its dialect takes
    takes_urls: bool = True  # of images and files, where its dialect has them


class Model(Struct, frozen=True):
    id: str
    endpoints: tuple[Endpoint, ...]
    reason: str = ""  # why it is listed and cannot be asked

    @property
    def is_open(self) -> bool:
        """Whether some endpoint may be used without a key."""
        return any(endpoint.is_open for endpoint in self.endpoints)


class SnapshotData(Struct, frozen=True):
    """All that a worker needs to know. `fingerprint` names the configuration it was compiled from."""

    version: int
    fingerprint: str
    keys: tuple[tuple[bytes, Key], ...]  # HMAC of the key, the key
    models: tuple[Model, ...]
    routes: dict[str, Model] = {}  # `kilo/auto` and its tiers: the model that serves each, with the endpoints it may use
    aliases: dict[str, str] = {}  # other names of models
    successors: dict[str, str] = {}  # of models that are retired
    known: tuple[str, ...] = ()  # ids that exist, whether or not they are served here


class Extent(NamedTuple):
    """How large a request may become. `cap`: tokens each answer may have, as asked; `unbounded`: what in it has no bound."""

    images: int
    choices: int
    cap: int | None
    unbounded: str = ""
    audio_ms: int = 0  # to be transcribed


class Call(Struct):
    """A request body opened one level: the few fields the gateway reads, and all of them as raw slices."""

    dialect: str  # of the caller
    model: str
    is_stream: bool
    size: int  # bytes
    fields: dict[str, Raw]
    client: ClientHeaders | None = None  # None: its head said nothing of its client
    at_ms: int = 0  # when it came, Unix milliseconds
    id: str = ""  # of the generation it leads to
    ceiling: Nanos | None = None  # what it may cost at most
    extent: Extent | None = None  # known where there is a ceiling
    crossing: object = None  # the request as read for another dialect, once it had to be
    payload: object = None  # what a service has read of it
    answer_lines: bytes = b""  # the head of the answer to a service's request, as it came
    dropped: tuple[str, ...] = ()  # of its fields, what the endpoint that is tried cannot be told
    changed: tuple[str, ...] = ()  # and what it is told otherwise
    clamped: tuple[str, ...] = ()  # the same of values that would have been refused
    mended: dict[str, int] | None = None  # how often it had to be repaired, by kind
    service: str = ""  # where no chat is asked for: what is, such as "embeddings"
    content_type: bytes = b""  # of a service's request, where it is not JSON
    estimate: Callable[["Call", Endpoint], int] | None = None  # tokens of the prompt
    estimated: Usage | None = None  # by its service, where more is used than its fields tell

    def estimated_prompt_tokens(self, endpoint: Endpoint) -> int:
        """Where nobody tells."""
        if self.estimate is not None:
            return self.estimate(self, endpoint)
        return min(self.size // 4, endpoint.context or MAX_CONTEXT)


class Decision(Struct, frozen=True):
    """Why these endpoints, in this order. Kept on the exchange; everything that explains a choice reads it."""

    asked: str
    model: str
    order: Sequence[Endpoint]
    excluded: Sequence[tuple[str, str]] = ()


class Attempt(Struct):
    """`is_down`: it failed for a reason that is the endpoint's own, and not that it was asked too often."""

    endpoint: Endpoint
    failure: str = ""
    is_down: bool = False


Outcome = Literal[
    "ok",
    "client_gone",
    "upstream_failed",  # before the first payload: the caller got an error
    "broken_off",  # after it: the caller got one error event
    "refused",  # after the hold, before anything was sent
    "recovered",  # the worker died; settled from its journal
]


class Started(Struct, frozen=True, array_like=True, tag="s"):
    """Journal line: a request goes out. Times are Unix milliseconds."""

    id: str
    at_ms: int
    key: str
    model: str
    provider: str
    prompt_tokens: int  # estimated
    price: tuple[Pico, Pico] | None
    client: str = ""  # as in Ended


class Progressed(Struct, frozen=True, array_like=True, tag="p"):
    """Journal line: what a running stream has relayed so far."""

    id: str
    completion_tokens: int


class Ended(Struct, frozen=True, array_like=True, tag="e"):
    """Journal line: a request is over. `cost` is None where no price is known."""

    id: str
    upstream_id: str
    at_ms: int
    key: str
    model: str
    provider: str
    outcome: Outcome
    prompt_tokens: int
    completion_tokens: int
    is_estimated: bool
    cost: Nanos | None
    attempts: int
    duration_us: int
    first_us: int = -1  # to the first event of a stream; -1 where there was none
    down: str = ""  # providers whose endpoints failed, with spaces between
    cache_read_tokens: int = 0  # from here on as Usage has them, in its order
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    cache_audio_tokens: int = 0
    input_image_tokens: int = 0
    reasoning_tokens: int = 0
    output_audio_tokens: int = 0
    output_image_tokens: int = 0
    images: int = 0
    web_searches: int = 0
    finish: str = ""  # stop length tool_calls content_filter error; empty: not known
    native_finish: str = ""  # the upstream's own word
    has_tools: bool = False  # whether the model was free to call some
    client: str = ""  # what it said of itself, a JSON object; nothing where it said nothing
    audio_ms: int = 0  # of audio that was heard
    repairs: str = ""  # of the request that was answered: "kind=count", with spaces between


JournalLine = Started | Progressed | Ended

"""Control's routes: path, methods, handler, and who may. A route without an access policy fails at import."""

from collections.abc import Awaitable, Callable
from enum import Enum, auto

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from kilo_gateway.control import handlers
from kilo_gateway.http.paths import PREFIXES

Handler = Callable[[Request], Awaitable[Response]]


class Access(Enum):
    PUBLIC = auto()
    KEY = auto()  # any valid key
    OWNER = auto()  # the owner's key, or the control socket itself
    LOOPBACK = auto()  # callers on this machine, unless the operator opened it


class Entry(Struct, frozen=True):
    path: str
    methods: tuple[str, ...]
    handler: Handler
    access: Access

    def __post_init__(self) -> None:
        if not isinstance(self.access, Access):
            raise TypeError(f"the route {self.path} declares no access policy")


def _entries() -> tuple[Entry, ...]:
    under_prefixes = [
        entry
        for prefix in PREFIXES
        for entry in (
            Entry(f"{prefix}/generation", ("GET",), handlers.generation, Access.KEY),
        )
    ]
    return (
        Entry("/", ("GET",), handlers.about, Access.PUBLIC),
        Entry("/metrics", ("GET",), handlers.metrics, Access.LOOPBACK),
        Entry("/api/admin/keys", ("GET",), handlers.list_keys, Access.OWNER),
        Entry("/api/admin/keys", ("POST",), handlers.create_key, Access.OWNER),
        Entry("/api/admin/keys/{id:path}", ("DELETE",), handlers.revoke_key, Access.OWNER),
        Entry("/api/admin/usage", ("GET",), handlers.usage, Access.OWNER),
        *under_prefixes,
    )


ENTRIES = _entries()

"""What all connections of a worker share, and the few answers that need nobody else."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

import msgspec

from kilo_gateway.core.errors import MethodNotAllowed
from kilo_gateway.core.pipeline import Pipeline
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.core.types import Origin
from kilo_gateway.http import answers, paths
from kilo_gateway.http.clients import Clients
from kilo_gateway.http.deadlines import Deadlines
from kilo_gateway.http.heads import Layouts
from kilo_gateway.http.media import Fetcher
from kilo_gateway.http.unpack import THREADS
from kilo_gateway.http.upstream import Pool

Report = Callable[..., None]
_LOCAL = (b"/health", b"/ready")
_CORS_METHODS = b"GET, POST, PUT, DELETE, OPTIONS"


@dataclass(frozen=True, slots=True)
class Times:
    """How long a caller may take, in seconds."""

    head_s: float = 10.0
    body_s: float = 10.0  # for each 10 KB of it
    idle_s: float = 75.0  # between requests


@dataclass(slots=True)
class Gateway:
    """`routes` maps an inference path to the dialect spoken there; `hop` names this gateway to itself."""

    pipeline: Pipeline
    pool: Pool
    deadlines: Deadlines
    routes: Mapping[bytes, CallerDialect]
    control: Origin
    hop: bytes
    report: Report
    problems: Callable[[], list[str]]  # why the worker is degraded
    local_trouble: Callable[[], str]  # why the local model does not run; nothing while it may still load
    cors_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    times: Times = field(default_factory=Times)
    layouts: Layouts = field(default_factory=Layouts)
    clients: Clients = field(default_factory=Clients)
    unpackers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "unpack"))
    fetcher: Fetcher | None = None  # of what upstreams cannot take as a URL; None: nothing is fetched
    is_draining: bool = False

    def local_answer(self, method: bytes, target: bytes, head_lines: bytes) -> bytes | None:
        """/health touches nothing; /ready says what this worker knows. None for every other path."""
        path, _ = paths.normal(target)
        if path in _LOCAL and method not in (b"GET", b"HEAD", b"OPTIONS"):
            return answers.refusal(MethodNotAllowed(f"{path.decode()} takes GET.", "GET, HEAD, OPTIONS"), head_lines)
        if method not in (b"GET", b"HEAD"):
            return None
        has_body = method == b"GET"
        if path == b"/health":
            return answers.answer(200, b'{"status":"alive"}', head_lines, has_body=has_body)
        if path == b"/ready":
            reasons = self.problems()
            state = "draining" if self.is_draining else "degraded" if reasons else "ok"
            body = msgspec.json.encode({"status": state, "reasons": ["draining", *reasons] if self.is_draining else reasons})
            return answers.answer(503 if self.is_draining else 200, body, head_lines, has_body=has_body)
        return None

    def close_idle(self) -> None:
        for connection in self.deadlines.watched():
            connection.close_if_idle()

    def cut_all(self) -> None:
        """What still runs is ended, each with a clear end."""
        for connection in self.deadlines.watched():
            connection.cut()

    def cors_lines(self, origin: bytes | None) -> bytes:
        """Nothing unless the operator listed this origin."""
        if origin is None or not self.cors_origins:
            return b""
        if "*" not in self.cors_origins and origin.decode("latin-1") not in self.cors_origins:
            return b""
        return (
            b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\nAccess-Control-Allow-Methods: %b\r\n"
            b"Access-Control-Allow-Headers: *, Authorization\r\nAccess-Control-Max-Age: 600\r\n"
            b"Access-Control-Expose-Headers: *\r\n" % (origin, _CORS_METHODS)
        )

    def client_ip(self, peer: str, forwarded: bytes) -> str:
        """The caller's address: the last one that was not added by a trusted proxy."""
        if not forwarded or not self._is_proxy(peer):
            return peer
        found = peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            found = _address(hop.strip())
            if not self._is_proxy(found):
                return found
        return found

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.trusted_proxies)


def _address(hop: str) -> str:
    """Some proxies add the port. What cannot be read is nobody's address, least of all the proxy's own."""
    bare = hop[1:].partition("]")[0] if hop.startswith("[") else hop.partition(":")[0] if hop.count(":") == 1 else hop
    try:
        return str(ip_address(bare))
    except ValueError:
        return "unknown"

"""The headers of a request that are seldom there, and what each means."""

from collections.abc import Mapping

from msgspec.structs import replace

from kilo_gateway.core.client import ClientHeaders
from kilo_gateway.core.errors import LoopDetected
from kilo_gateway.http import heads, unpack
from kilo_gateway.http.gateway import Gateway
from kilo_gateway.http.heads import Doubtful, Layout
from kilo_gateway.http.incoming import Request


def note(request: Request, layout: Layout, headers: Mapping[bytes, bytes], gateway: Gateway) -> None:
    """Into `request`. Raises a Refusal."""
    value = {name: headers[spelled] for name, spelled in layout.notable.items()}
    if heads.AGAIN in value:
        name = layout.notable[heads.AGAIN].decode("latin-1").strip()
        raise Doubtful(f"The header {name} may be sent once only.")
    request.expects = b"expect" in value and request.is_chunking  # HTTP/1.0 knows no 100
    id = value.get(b"x-request-id", b"")
    if heads.sane_id(id):
        request.id = id
        request.head_lines = b"x-request-id: %b\r\n" % id
    request.head_lines += gateway.cors_lines(value.get(b"origin"))
    request.encoding = unpack.known(value.get(b"content-encoding", b""))
    if (hops := value.get(heads.HOP, b"")) and gateway.hop in (hop.strip() for hop in hops.split(b",")):
        raise LoopDetected("This request has been here before: an upstream leads back to this gateway.")
    if hops:
        request.client = replace(request.client or ClientHeaders(), hops=hops[:1024])
    if heads.MAX_COST in value:
        request.ceiling = heads.ceiling(value[heads.MAX_COST])

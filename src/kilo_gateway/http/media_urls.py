"""URLs that callers name, read before anything is fetched. Where one leads is said here; whether it may, by the guard."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from msgspec import Struct

from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.types import Origin

PORTS = {"http": 80, "https": 443}
MAX_URL = 8 * 1024
_HOST = re.compile(r"(?!-)[0-9a-z_-]{1,63}(?:\.[0-9a-z_-]{1,63})*").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f]").search
_AS_IT_STANDS = "!#$%&'()*+,-./:;=?@[]_~"  # of a path or query; the rest is percent-encoded

Trusted = frozenset[tuple[str, int]]


class NotFetched(BadRequest):
    """What a caller asked to be shown cannot be had. `reason` is for programs, `why` for the operator's log alone.

    That a place is private, closed or not there is one reason: who may tell them apart can look around in our network.
    """

    code = "media_not_fetched"

    def __init__(self, host: str, reason: str, told: str, why: str = "") -> None:
        at = f" at {host}" if host else ""
        super().__init__(f"The image or file{at} was not fetched: {told}.", {"host": host, "reason": reason})
        self.host, self.reason = host, reason
        self.why = why or told


class Place(Struct, frozen=True):
    """Where a URL leads. `authority` is the Host header's, `target` what is asked for there."""

    url: str
    origin: Origin
    authority: str
    target: str


def place_of(url: str, trusted: Trusted) -> Place:
    """Raises NotFetched."""
    parts = _split(url)
    host = plain_host(parts.hostname or "")
    default = PORTS.get(parts.scheme)
    if default is None or not host:
        raise NotFetched(host, "url", "only http:// and https:// with a host are")
    if "@" in parts.netloc:
        raise NotFetched(host, "url", "its URL carries a credential")
    port = default if parts.port is None else parts.port
    is_trusted = (host, port) in trusted
    if port != default and not is_trusted:
        raise NotFetched(host, "url", f"from a port other than {default} nothing is")
    name = f"[{host}]" if ":" in host else host
    target = quote(parts.path or "/", _AS_IT_STANDS) + (f"?{quote(parts.query, _AS_IT_STANDS)}" if parts.query else "")
    origin = Origin(host, port, parts.scheme == "https", "", is_trusted)
    return Place(url, origin, name if port == default else f"{name}:{port}", target)


def redirected(place: Place, location: str, trusted: Trusted) -> Place:
    """Raises NotFetched. From TLS no way leads back to plain text."""
    try:
        url = urljoin(place.url, location)
    except ValueError:
        raise NotFetched("", "url", "it redirects to what is no URL") from None
    found = place_of(url, trusted)
    if place.origin.is_tls and not found.origin.is_tls:
        raise NotFetched(found.origin.host, "url", "it redirects from https:// to http://")
    return found


def plain_host(host: str) -> str:
    """In lower case, ASCII, without a last dot; an address without brackets. Nothing for what is none."""
    try:
        if ":" in host:
            return "" if "%" in host else str(ip_address(host))
        plain = host.rstrip(".").lower()
        plain = plain if plain.isascii() else plain.encode("idna").decode()
    except ValueError:  # UnicodeError is one
        return ""
    return plain if len(plain) <= 253 and _HOST(plain) else ""


def _split(url: str) -> SplitResult:
    """urlsplit would take some control characters out, and others mean something to servers."""
    if len(url) > MAX_URL or _CONTROL(url) or "\\" in url:
        raise NotFetched("", "url", "its URL is no URL")
    try:
        url.encode()  # half a character cannot be
        parts = urlsplit(url.strip())
        _ = parts.port  # looked at here, for it may be no number
    except ValueError:
        raise NotFetched("", "url", "its URL is no URL") from None
    return parts

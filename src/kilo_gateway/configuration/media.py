"""`[media]`: whether URLs of images and files are fetched, and which hosts the operator vouches for."""

from urllib.parse import urlsplit

from kilo_gateway.configuration.fields import Found
from kilo_gateway.core.settings import MediaSettings
from kilo_gateway.http.guard import is_metadata_literal
from kilo_gateway.http.media_urls import PORTS, plain_host


def media_of(found: Found) -> MediaSettings:
    """Raises ConfigurationError."""
    trusted: set[tuple[str, int]] = set()
    for each in found.texts("media.trusted_hosts"):
        places = _places(each)
        if not places:
            raise found.wrong("media.trusted_hosts", "a list of hosts such as 'media.lan' or 'media.lan:8080'")
        if any(is_metadata_literal(host) for host, _ in places):
            raise found.wrong("media.trusted_hosts", "a list without metadata and link-local addresses")
        trusted |= places
    return MediaSettings(found.flag("media.fetch"), frozenset(trusted))


def _places(entry: str) -> set[tuple[str, int]]:
    """Without a port: those of http and https. Nothing for what is no host."""
    try:
        parts = urlsplit(f"//{entry}")
        host, port = plain_host(parts.hostname or ""), parts.port
    except ValueError:
        return set()
    if not host or port == 0 or parts.netloc != entry or "@" in entry:
        return set()
    return {(host, port)} if port else {(host, each) for each in PORTS.values()}

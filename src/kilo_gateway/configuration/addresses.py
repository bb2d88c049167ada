"""URLs that the operator writes."""

from urllib.parse import urlsplit

from kilo_gateway.core.settings import ConfigurationError
from kilo_gateway.core.types import Origin
from kilo_gateway.http.guard import is_metadata_literal, is_private_literal


def origin_of(url: str, *, is_trusted: bool, place: str, name: str = "base_url") -> tuple[Origin, str]:
    """And the path, without a slash at its end. `name`: of the setting, for errors.

    An address of this machine or a private network, written as such, is meant, and so trusted.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    is_plain = url.isprintable() and url.isascii() and " " not in url
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or not is_plain:
        wanted = "a URL such as https://api.example.com/v1"
        raise ConfigurationError(f"{place}: {name} must be {wanted}, not {_hidden(url)!r}.")
    if parts.username or parts.password:
        raise ConfigurationError(f"{place}: {name} must not carry a credential; use api_key.")
    if port == 0 or not _is_name(host):
        raise ConfigurationError(f"{place}: {name} must lead to a host and a port from 1 to 65535, not {url!r}.")
    if is_metadata_literal(host):
        raise ConfigurationError(f"{place}: {name}: {host} is a metadata or link-local address; no upstream is there.")
    is_tls = parts.scheme == "https"
    is_trusted = is_trusted or is_private_literal(host)
    return Origin(host, port or (443 if is_tls else 80), is_tls, "", is_trusted), parts.path.rstrip("/")


def _is_name(host: str) -> bool:
    """Whether it can be looked up: labels of 1 to 63 characters, or an address."""
    try:
        return ":" in host or bool(host.rstrip(".").encode("idna"))
    except UnicodeError:
        return False


def _hidden(url: str) -> str:
    return "(a URL with a credential)" if "@" in url else url

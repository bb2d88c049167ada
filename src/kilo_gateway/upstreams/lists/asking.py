"""How each kind of list is asked for, page by page: paths and headers. Fetching is control's."""

from urllib.parse import quote, urljoin, urlsplit

from kilo_gateway.core.types import Origin
from kilo_gateway.upstreams.doors import DOORS
from kilo_gateway.upstreams.lists.listing import Kind

MAX_PAGES = 20
_PATHS: dict[Kind, str] = {
    "openai": "/models", "anthropic": "/models?limit=1000", "gemini": "/models?pageSize=1000",
}  # fmt: skip
_CURSORS: dict[Kind, str] = {"anthropic": "after_id", "gemini": "pageToken"}
_DIALECTS: dict[Kind, str] = {"anthropic": "anthropic-messages", "gemini": "gemini"}


def first_path(kind: Kind, base: str, query: str = "") -> str:
    """`base`: the path of the base URL, without a trailing slash. `query`: what an upstream needs to list all it has."""
    return "/api/tags" if kind == "ollama" else base + _PATHS[kind] + (f"?{query}" if query else "")


def next_path(kind: Kind, origin: Origin, first: str, next: str) -> str | None:
    """`next` as the page before gives it; None when it leads to another origin: credentials stay with this one."""
    if kind in _CURSORS:
        return f"{first}&{_CURSORS[kind]}={quote(next, safe='')}"
    if not (next.isascii() and next.isprintable()) or " " in next:
        return None
    scheme = "https" if origin.is_tls else "http"
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    try:
        url = urlsplit(urljoin(f"{scheme}://{host}:{origin.port}{first}", next))
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        return None
    is_same = (url.scheme, (url.hostname or "").lower(), port) == (scheme, origin.host.lower(), origin.port)
    if not is_same or not url.path.startswith("/"):
        return None
    return url.path + (f"?{url.query}" if url.query else "")


def signature(kind: Kind, credential: str) -> str:
    """Header lines."""
    return DOORS[_DIALECTS.get(kind, "openai-chat")].credential_lines(credential)

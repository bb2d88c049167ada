"""Paths of the public port: which are inference, how they may be spelled, and what was meant by one that is not served."""

import difflib
import re
from collections.abc import Iterable, Mapping
from itertools import takewhile

from kilo_gateway.core.ports import CallerDialect

PREFIXES = ("/api/gateway", "/api/gateway/v1", "/api/openrouter", "/api/openrouter/v1", "/api/v1", "/v1")
_SLASHES = re.compile(rb"//+")
_SCHEME = re.compile(rb"^https?://[^/?]*", re.IGNORECASE)


def under_each_prefix(suffixes: Mapping[str, CallerDialect]) -> dict[bytes, CallerDialect]:
    return {(prefix + suffix).encode(): dialect for prefix in PREFIXES for suffix, dialect in suffixes.items()}


def normal(target: bytes) -> tuple[bytes, bytes]:
    """Path and query (with its '?'), without doubled and trailing slashes."""
    path, mark, query = _SCHEME.sub(b"", target).partition(b"?")
    path = _SLASHES.sub(b"/", path.partition(b"#")[0]).rstrip(b"/") or b"/"
    return path, mark + query


def nearest(path: str, served: Iterable[str]) -> str | None:
    """The served path that begins most like what was asked, and of those the most alike."""
    path = path[:300]

    def likeness(other: str) -> tuple[int, float]:
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, other, strict=False)))
        return alike, difflib.SequenceMatcher(None, path, other).ratio()

    return max(served, key=likeness, default=None)

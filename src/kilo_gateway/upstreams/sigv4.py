"""AWS Signature Version 4 of one POST without a query.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from msgspec import Struct

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = frozenset({
    "authorization", "baggage", "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "te",
    "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id",
})  # fmt: skip


class Credentials(Struct, frozen=True):
    """`session_token`: of temporary ones."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key})"


def signed(
    method: str, host: str, path: str, headers: Mapping[str, str], body: bytes, *,
    credentials: Credentials, region: str, service: str, at_s: float,
) -> dict[str, str]:  # fmt: skip
    """Lines to be sent besides `headers`. `path` as in the request line, percent-encoded; `host` as in the host line.

    Hop-by-hop lines and those that proxies change are not signed. `at_s`: Unix seconds, within 5 minutes of AWS's clock.
    """
    time = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": time}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    lines = {name.lower(): value for name, value in headers.items() if name.lower() not in _UNSIGNED}
    lines |= added | {"host": host}
    names = ";".join(sorted(lines))
    canonical = "\n".join([
        method, quote(_without_dots(path), safe="/-_.~"), "",
        *(f"{name}:{' '.join(lines[name].split())}" for name in sorted(lines)), "", names, _hash(body),
    ])  # fmt: skip
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, time, scope, _hash(canonical.encode())])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    told = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={_hmac(key, text).hex()}"
    return added | {"authorization": f"{_ALGORITHM} {told}"}


def _without_dots(path: str) -> str:
    """As AWS reads it: without empty segments, . and .. in it."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")

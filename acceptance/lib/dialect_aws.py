"""AWS Signature Version 4 as the receiving side checks it, from the request as it came.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from urllib.parse import quote

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(secret: str, method: str, path: str, query: str, headers: dict[str, str], signed: list[str], body: bytes, scope: str) -> str:
    """`path` as it stands in the request line: for all services but S3 it is encoded once more. `scope`: DATE/REGION/SERVICE."""
    canonical = "\n".join([
        method, quote(path, safe="/-_.~"), query, *(f"{name}:{' '.join(headers[name].split())}" for name in signed), "", ";".join(signed),
        hashlib.sha256(body).hexdigest(),
    ])  # fmt: skip
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}/aws4_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in [*scope.split("/"), "aws4_request"]:
        key = _hmac(key, part)
    return _hmac(key, text).hex()


def fault(access: str, secret: str, region: str, method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    """Why the request would be a 403, or nothing. Headers by lower-case name."""
    found = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        return f"Missing Authentication Token: {headers.get('authorization', '')[:40]!r}"
    key, day, place, service, names, given = found.groups()
    signed = names.split(";")
    if (key, place, service) != (access, region, "bedrock"):
        return f"credential scope {key}/{place}/{service}, not {access}/{region}/bedrock"
    if signed != sorted(signed) or not {"host", "x-amz-date"} <= set(signed) or not set(signed) <= set(headers):
        return f"signed headers {signed}"
    then = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs((datetime.now(UTC) - then).total_seconds()) > 300 or not headers["x-amz-date"].startswith(day):
        return "Signature expired"
    if "x-amz-content-sha256" in headers and headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        return "x-amz-content-sha256 is not that of the body"
    wanted = signature(secret, method, path, "", headers, signed, body, f"{day}/{place}/{service}")
    return "" if hmac.compare_digest(given, wanted) else "The request signature we calculated does not match the signature you provided."

"""Rendered bytes as an HTTP answer: validators, compression, 304. What the bytes say is not known here."""

import gzip
import hashlib

import msgspec
from starlette.requests import Request
from starlette.responses import Response

IGNORED_HEADER = "x-kilo-ignored-filters"
_MIN_COMPRESSED = 1024  # bytes
_LEVEL = 6
_JSON = "application/json"


class Answer:
    """A body, and what is made of it once: its tag, and its compressed form when somebody takes that."""

    __slots__ = ("_gzipped", "body", "ignored", "media_type", "tag")

    def __init__(self, body: bytes, ignored: tuple[str, ...] = (), media_type: str = _JSON) -> None:
        self.body = body
        self.ignored = ignored
        self.media_type = media_type
        self.tag = hashlib.blake2b(body, digest_size=16).hexdigest()  # strong: of the bytes, over restarts too
        self._gzipped: bytes | None = None

    def gzipped(self) -> bytes:
        if self._gzipped is None:
            self._gzipped = gzip.compress(self.body, _LEVEL, mtime=0)
        return self._gzipped


def json_answer(value: object, ignored: tuple[str, ...] = ()) -> Answer:
    return Answer(msgspec.json.encode(value), ignored)


def respond(request: Request, answer: Answer, *, is_private: bool = False) -> Response:
    """`is_private`: no cache between us and the caller may keep it."""
    is_gzipped = len(answer.body) > _MIN_COMPRESSED and _takes_gzip(request.headers.get("accept-encoding", ""))
    tag = f'"{answer.tag}-gz"' if is_gzipped else f'"{answer.tag}"'
    headers = {
        "ETag": tag, "Vary": "Accept-Encoding, anthropic-version",
        "Cache-Control": "private, no-cache" if is_private else "no-cache",
    }  # fmt: skip
    if answer.ignored:
        headers[IGNORED_HEADER] = ", ".join(answer.ignored)
    if _is_known(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if is_gzipped:
        headers["Content-Encoding"] = "gzip"
    return Response(answer.gzipped() if is_gzipped else answer.body, 200, headers, answer.media_type)


def _is_known(if_none_match: str, tag: str) -> bool:
    """By weak comparison, as RFC 9110 has it for this header."""
    known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return tag in known or known == ["*"]


def _takes_gzip(accept: str) -> bool:
    """gzip by name, else by `*`; a weight of zero is a no."""
    weights: dict[str, bool] = {}
    for part in accept.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";")
        weights[coding] = weight.removeprefix("q=").strip("0.") != "" or not weight
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))

"""Request heads: which of a caller's headers matter, found once for each set of header names rather than for each request.

A client sends the same names in the same spelling every time, so the names themselves are the key of a small memory.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from kilo_gateway.catalog.snapshot import names_nobody
from kilo_gateway.core import money
from kilo_gateway.core.brand import HOP_HEADER
from kilo_gateway.core.client import ClientHeaders
from kilo_gateway.core.errors import BadRequest
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.http.clients import BETAS, Spelled, spelled

HOP = HOP_HEADER.encode()
AGAIN = b" "  # behind the name of a header that came again: no name that arrives has one
SINGLE = frozenset({b"host", b"authorization", b"x-api-key", b"x-kilo-max-cost-usd"})
MAX_COST = b"x-kilo-max-cost-usd"
FORWARDED = b"x-forwarded-for"
JOINED = frozenset({FORWARDED, HOP})  # may come in several lines, which count as one
JOINED_LENGTHS = frozenset(map(len, JOINED))
LISTS = frozenset(BETAS)  # as well, where each is spelled alike
_CREDENTIALS = (b"authorization", b"x-api-key")
_NOTABLE = frozenset(
    {b"expect", b"upgrade", b"content-encoding", b"x-request-id", b"origin", MAX_COST, FORWARDED, HOP,
     b"transfer-encoding", AGAIN}
)  # fmt: skip
_MAX_LAYOUTS = 1_000
_MAX_KNOWN_BYTES = 4 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]{1,8})\r\n", re.IGNORECASE).search
_is_amount = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,18})?").fullmatch
_SANE_ID = re.compile(rb"[\w.:/+=-]{1,128}").fullmatch


class Layout(Struct):
    """Names as spelled: of the headers with credentials, and of Content-Length; `notable`: in lower case -> as spelled.

    AGAIN is notable where one of SINGLE or JOINED is there in two spellings.
    """

    credential: bytes
    other_credential: bytes  # counts when the first names nobody
    length: bytes
    has_host: bool
    notable: dict[bytes, bytes]
    client: Spelled  # what says something of the client


class Doubtful(BadRequest):
    """Where this request ends, or for whom it is, can be read in two ways: the connection is closed."""


class KnownHead(Struct, frozen=True):
    """A request head that the parser has taken, for those after it that differ in the digits of its length alone.

    An agent sends the same head with every request of a connection. Comparing it costs a fraction of parsing it, and what
    is equal to the last byte cannot mean anything else.
    """

    before: bytes  # up to the digits
    after: bytes  # from behind them to the empty line
    target: bytes
    dialect: CallerDialect
    credential: bytes
    client: ClientHeaders | None

    def body_at(self, data: bytes) -> tuple[int, int]:
        """Where the body begins in `data` that starts with `before`, and the length it is to have; -1 for another head."""
        begin = len(self.before)
        end = data.find(b"\r\n", begin, begin + 10)
        digits = data[begin:end]
        if end < 0 or not data.startswith(self.after, end) or not digits.isdigit():
            return -1, 0
        return end + len(self.after), int(digits)


class Layouts(dict[tuple[bytes, ...], Layout]):
    """`layouts[tuple(headers)]`; made when first asked for."""

    def __init__(self) -> None:
        self._heads: dict[KnownHead, KnownHead] = {}

    def __missing__(self, names: tuple[bytes, ...]) -> Layout:
        layout = _layout(names)
        if len(self) < _MAX_LAYOUTS and sum(map(len, names)) <= _MAX_KNOWN_BYTES:
            self[names] = layout
        return layout

    def shared(self, head: KnownHead) -> KnownHead:
        """The same one for all connections of a client."""
        if len(self._heads) >= _MAX_LAYOUTS:
            self._heads.clear()
        return self._heads.setdefault(head, head)


def end_of(before: bytes, data: bytes) -> int:
    """Where a head ends in `data`; its length when it does not. `before`: up to three bytes that came earlier."""
    if before:
        across = (before + data[:3]).find(b"\r\n\r\n")
        if across >= 0:
            return across + 4 - len(before)
    return data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else len(data)


def known_head(
    head: bytes, target: bytes, dialect: CallerDialect, credential: bytes, client: ClientHeaders | None
) -> KnownHead | None:
    """Of a head that the parser has taken; None where there is no plain length to tell apart."""
    found = _LENGTH(head)
    if found is None or len(head) > _MAX_KNOWN_BYTES:
        return None
    return KnownHead(head[: found.start(1)], head[found.end(1) :], target, dialect, credential, client)


def check_coding(coding: bytes, version: str) -> None:
    """Of a request's Transfer-Encoding; https://www.rfc-editor.org/rfc/rfc9112#section-6.1"""
    if version == "1.0":
        raise Doubtful("HTTP/1.0 has no Transfer-Encoding; send a Content-Length, or HTTP/1.1.")
    if coding.strip(b" \t").lower() != b"chunked":
        raise Doubtful(f"Transfer-Encoding {coding[:40].decode('latin-1')!r} is not known here; use chunked alone.")


def credential_of(headers: Mapping[bytes, bytes], layout: Layout) -> bytes:
    first = headers.get(layout.credential, b"")
    return headers[layout.other_credential] if layout.other_credential and names_nobody(first) else first


def ceiling(value: bytes) -> Nanos:
    """Of the header MAX_COST."""
    if not _is_amount(value):
        raise BadRequest(f"{MAX_COST.decode()} must be a plain number of US dollars, 0 or more.")
    return money.ceiling_of_usd(Decimal(value.decode()))


def sane_id(value: bytes) -> bool:
    return _SANE_ID(value) is not None


def _layout(names: tuple[bytes, ...]) -> Layout:
    found: dict[bytes, bytes] = {}
    for name in names:
        plain = name.lower().removesuffix(AGAIN)
        if found.setdefault(plain, name) is not name and (plain in SINGLE or plain in JOINED):
            found[AGAIN] = name
    credential, other, *_ = *(found[name] for name in _CREDENTIALS if name in found), b"", b""
    length = found.get(b"content-length", b"")
    notable = {name: found[name] for name in _NOTABLE if name in found}
    return Layout(credential, other, length, b"host" in found, notable, spelled(found))

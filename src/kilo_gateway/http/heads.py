"""Request heads: which of a caller's headers matter, found once for each set of header names rather than for each request.

A client sends the same names in the same spelling every time, so the names themselves are the key of a small memory.
"""

import re

from msgspec import Struct

from kilo_gateway.core.brand import HOP_HEADER

_CREDENTIALS = (b"authorization", b"x-api-key")
_NOTABLE = frozenset(
    {b"expect", b"upgrade", b"content-encoding", b"x-request-id", b"origin", b"x-forwarded-for", HOP_HEADER.encode()}
)  # fmt: skip
_MAX_LAYOUTS = 1_000
_SANE_ID = re.compile(rb"[\w.:/+=-]{1,128}").fullmatch


class Layout(Struct):
    """Names as spelled: of the header with the credential, and of Content-Length; `notable`: in lower case -> as spelled."""

    credential: bytes
    length: bytes
    has_host: bool
    notable: dict[bytes, bytes]


class Layouts:
    def __init__(self) -> None:
        self._known: dict[tuple[bytes, ...], Layout] = {}

    def of(self, headers: dict[bytes, bytes]) -> Layout:
        names = tuple(headers)
        layout = self._known.get(names)
        if layout is None:
            layout = _layout(names)
            if len(self._known) < _MAX_LAYOUTS:
                self._known[names] = layout
        return layout


def sane_id(value: bytes) -> bool:
    return _SANE_ID(value) is not None


def _layout(names: tuple[bytes, ...]) -> Layout:
    spelled: dict[bytes, bytes] = {}
    for name in names:
        spelled.setdefault(name.lower(), name)
    credential = next((spelled[name] for name in _CREDENTIALS if name in spelled), b"")
    length = spelled.get(b"content-length", b"")
    return Layout(credential, length, b"host" in spelled, {name: spelled[name] for name in _NOTABLE if name in spelled})

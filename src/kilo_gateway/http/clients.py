"""What of a request's head is kept of its client, and in which words: short, printable, and no key in it.

A client says the same of itself with every request, so what was read is remembered by the bytes it was read from.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from kilo_gateway.core.client import HEADERS, Beta, ClientHeaders, lines_of
from kilo_gateway.dialects.counting.service import NAME as COUNTING
from kilo_gateway.dialects.table import CHAT, MESSAGES, RESPONSES

MAX_VALUE = 256  # characters; what is longer is cut
MAX_VALUES = 1024  # of all: what comes behind is left out
MAX_BETAS = 32  # names of one header
_MAX_KNOWN = 1_000
_MAX_VALUE_BYTES = 2 * 1024  # of them at least what is looked at, whatever its letters
_UNREADABLE = "\ufffd"
_MAX_KNOWN_BYTES = 4 * 1024
_WAYS = {
    "anthropic-beta": frozenset({(MESSAGES, MESSAGES), (COUNTING, MESSAGES)}),
    "openai-beta": frozenset({(CHAT, CHAT), (RESPONSES, RESPONSES)}),
}
BETAS = tuple(name.encode() for name in _WAYS)
KEY_LENGTH = 37
_has_key = re.compile(r"kilo_[0-9A-Za-z]{32}").search
_beta_name = re.compile(rb"[0-9A-Za-z._=:/-]{1,64}").fullmatch

Spelled = tuple[tuple[str, bytes], ...]


def spelled(names: Mapping[bytes, bytes]) -> Spelled:
    """Of a head's names, by the name in lower case: those that are read here, each with what it is read as."""
    found: list[tuple[str, bytes]] = []
    for word, headers in HEADERS.items():
        name = next((plain for header in headers if (plain := header.lower().encode()) in names), None)
        if name is not None:
            found.append((word, names[name]))
    return (*found, *((name.decode(), names[name]) for name in BETAS if name in names))


class Clients:
    """`betas`: by header, the names that may travel; one that ends with * stands for all that begin so."""

    def __init__(self, betas: Mapping[str, Sequence[str]] | None = None) -> None:
        allowed = betas or {}
        self._exact = {header: frozenset(allowed.get(header, ())) for header in _WAYS}
        self._begins = {
            header: tuple(name[:-1] for name in allowed.get(header, ()) if name.endswith("*")) for header in _WAYS
        }
        self._known: dict[bytes, ClientHeaders] = {}

    def of(self, names: Spelled, headers: Mapping[bytes, bytes]) -> ClientHeaders:
        key = b"\0".join([word.encode() + headers[name] for word, name in names])  # no value has a 0 in it
        found = self._known.get(key)
        if found is None:
            found = self._read({word: headers[name] for word, name in names})
            if len(key) <= _MAX_KNOWN_BYTES:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known[key] = found
        return found

    def _read(self, values: Mapping[str, bytes]) -> ClientHeaders:
        left = MAX_VALUES
        kept: dict[str, str] = {}
        for word in HEADERS:
            text = _text(values.get(word, b""))
            if text and len(text) <= left:
                kept[word] = text
                left -= len(text)
        lines = tuple((word, lines_of(word, text).encode()) for word, text in kept.items() if text.isascii())
        betas = tuple(self._beta(header, values[header]) for header in _WAYS if values.get(header))
        return ClientHeaders(msgspec.json.encode(kept).decode() if kept else "", lines, betas)

    def _beta(self, header: str, value: bytes) -> Beta:
        sent: dict[str, None] = {}
        refused: dict[str, None] = {}
        names = value.split(b",", MAX_BETAS)
        for raw in filter(None, map(bytes.strip, names[:MAX_BETAS])):
            if not _beta_name(raw):
                refused["(not a name)"] = None
                continue
            name = raw.decode()
            may = name in self._exact[header] or name.startswith(self._begins[header])
            (sent if may else refused)[name] = None
        if len(names) > MAX_BETAS:
            refused[f"(more than {MAX_BETAS})"] = None
        line = f"{header}: {','.join(sent)}\r\n".encode() if sent else b""
        return Beta(header, line, tuple(refused), _WAYS[header])


def _text(value: bytes) -> str:
    """Nothing for what cannot be shown, or has a key in it."""
    text = value[:_MAX_VALUE_BYTES].decode(errors="replace").strip()[: MAX_VALUE + KEY_LENGTH]
    is_shown = text.isprintable() and _UNREADABLE not in text and not _has_key(text)
    return text[:MAX_VALUE].rstrip() if is_shown else ""

"""Members of a JSON object that somebody else wrote, asked for one by one. Knows no model.

A member is decoded when it is asked for, by itself: nonsense in one of them, even what is no text or no number at all,
costs that one. What is absent, null, or not of the kind that is asked for, is None.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from math import isfinite
from typing import TypeVar

import msgspec
from msgspec import Raw

from kilo_gateway.core.types import MAX_CONTEXT

_T = TypeVar("_T")

_MAX_TEXT = 200
_MAX_PROSE = 10_000
_MAX_TEXTS = 100
_LATEST = 100_000_000_000  # seconds since 1970: more are milliseconds, or nonsense
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WHOLE = re.compile(r"[0-9]{1,18}(?:\.0{1,18})?")
_MEMBERS = dict[str, Raw]


def decoded(raw: bytes | Raw, kind: type[_T]) -> _T | None:
    """None for what is not such a value."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class Fields:
    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Raw]) -> None:
        self._members = members

    @classmethod
    def of(cls, raw: bytes | Raw) -> "Fields | None":
        members = decoded(raw, _MEMBERS)
        return None if members is None else cls(members)

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def inner(self, key: str) -> "Fields":
        """Of an object in it; without members where there is none."""
        raw = self._members.get(key)
        return (Fields.of(raw) if raw is not None else None) or Fields({})

    def is_odd(self, key: str) -> bool:
        """Whether it is there, not null, and no object."""
        raw = self._members.get(key)
        return raw is not None and bytes(raw).strip() != b"null" and Fields.of(raw) is None

    def rows(self, key: str) -> list[Raw] | None:
        raw = self._members.get(key)
        return None if raw is None else decoded(raw, list[Raw])

    def literal(self, key: str) -> str | None:
        """A number as it was written, or a text. Raises ValueError for what is neither of them nor null."""
        raw = self._members.get(key)
        if raw is None:
            return None
        written = bytes(raw).strip()
        if written == b"null":
            return None
        if written[:1] == b'"':
            text = decoded(written, str)
            if text is not None:
                return text.strip()
        elif written[:1].isdigit() or written[:1] == b"-":
            return written.decode("ascii", "replace")
        raise ValueError(f"{key} is neither a number nor a text")

    def string(self, key: str) -> str | None:
        """As it came."""
        return self._get(key, str)

    def text(self, key: str, most: int = _MAX_TEXT) -> str | None:
        """In one line, of what can be printed, cut to `most` characters; never blank."""
        found = self._get(key, str)
        text = " ".join(found[: 4 * most].split())[:most] if found else ""
        return text if text and text.isprintable() else None

    def prose(self, key: str) -> str | None:
        """In lines; without control characters, which terminals would obey."""
        found = self._get(key, str)
        text = _CONTROL.sub("", found[:_MAX_PROSE]).strip() if found else ""
        return text or None

    def whole(self, key: str, most: int) -> int | None:
        """From 1 to `most`; 5.0 and "5" are 5."""
        try:
            written = self.literal(key) or ""
        except ValueError:
            return None
        if not _WHOLE.fullmatch(written):
            return None
        number = int(written.partition(".")[0])
        return number if 0 < number <= most else None

    def tokens(self, key: str) -> int | None:
        return self.whole(key, MAX_CONTEXT)

    def number(self, key: str) -> float | None:
        found = self._get(key, float)
        return found if found is not None and isfinite(found) else None

    def flag(self, key: str) -> bool | None:
        return self._get(key, bool)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Each once. Those that are none are left out; None when that leaves nothing of something."""
        raws = self.rows(key)
        if raws is None:
            return None
        each = [decoded(raw, str) for raw in raws[:_MAX_TEXTS]]
        found = tuple(dict.fromkeys(text for text in each if text and text.isprintable() and len(text) <= _MAX_TEXT))
        return found if found or not raws else None

    def time(self, key: str) -> int | None:
        """Unix seconds, of a number or of an ISO time; the first day of 1970 means that nobody knows."""
        number = self.whole(key, _LATEST)
        written = None if number is not None else self._get(key, str)
        if written:
            try:
                moment = datetime.fromisoformat(written[:40])
                seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
            except (ValueError, OverflowError):
                return None
            number = seconds if seconds >= 86_400 else None
        return number

    def day(self, key: str) -> str | None:
        """YYYY-MM-DD, of a day or an ISO time."""
        written = (self._get(key, str) or "")[:10]
        try:
            return date.fromisoformat(written).isoformat()
        except ValueError:
            return None

    def _get(self, key: str, kind: type[_T]) -> _T | None:
        raw = self._members.get(key)
        return None if raw is None else decoded(raw, kind)

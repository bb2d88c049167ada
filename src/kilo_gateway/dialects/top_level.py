"""Requests that are relayed, mended: of their top level alone, which is all that is read of them.

What goes without reading a body is done for all; what an upstream would refuse of values and names, where it is known to.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects.hub.notes import Notes

EMPTY = Raw(b"[]")
_NULL = Raw(b"null")
_T = TypeVar("_T")
_number = msgspec.json.Decoder(int | float)
_integer = msgspec.json.Decoder(int)
_texts = msgspec.json.Decoder(list[str])
_encode = msgspec.json.Encoder().encode


class Rules(Struct, frozen=True):
    """Of a dialect. `of_tools`: members that go without tools. `known`: all there are, where new ones are rare; else

    `foreign`: those that only others know. `ranges`: least and most. `caps`: how long an answer may be, the one that
    counts first; `least_cap` of it. `stops`: how many there may be. `more`: what the dialect has of its own to
    mend in the fields of a request for an endpoint; gives how often, by kind.
    """

    of_tools: tuple[str, ...] = ("tool_choice",)
    known: frozenset[str] | None = None
    foreign: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] = {}
    caps: tuple[str, ...] = ()
    least_cap: int = 1
    stops: tuple[str, int] = ("", 0)
    more: Callable[[dict[str, Raw], Endpoint], Mapping[str, int]] | None = None


def is_plain(fields: Mapping[str, Raw], endpoint: Endpoint, rules: Rules) -> bool:
    """Whether there is nothing to mend, as far as can be told at once."""
    if endpoint.is_strict or endpoint.cap_field or endpoint.tool_ids:
        return False
    return fields.get("tools") != EMPTY and not (rules.caps[0] in fields and len(rules.caps) > 1 and rules.caps[1] in fields)


def mended(call: Call, endpoint: Endpoint, rules: Rules) -> dict[str, Raw]:
    """The fields without what the upstream would refuse. Adds to `call` what was done."""
    fields = {name: value for name, value in call.fields.items() if name not in call.dropped}
    mending = _Mending(fields, endpoint, rules)
    mending.mend()
    call.dropped += tuple(mending.dropped)
    call.clamped, call.mended = mending.notes.clamped, mending.counts or None
    return fields


class _Mending:
    def __init__(self, fields: dict[str, Raw], endpoint: Endpoint, rules: Rules) -> None:
        self.notes = Notes()
        self.dropped: list[str] = []
        self.counts: dict[str, int] = {}
        self._fields = fields
        self._endpoint = endpoint
        self._rules = rules

    def mend(self) -> None:
        fields, rules, endpoint = self._fields, self._rules, self._endpoint
        if fields.get("tools") == EMPTY or (endpoint.is_strict and "tools" not in fields):
            self._go_without_tools()
        self._write_one_cap()
        if rules.more is not None:
            self.counts |= rules.more(fields, endpoint)
        if endpoint.is_strict:
            self._leave_out_unknown()
            self._clamp()

    def _go_without_tools(self) -> None:
        gone = [name for name in ("tools", *self._rules.of_tools) if self._fields.pop(name, None) is not None]
        if gone:
            self.counts["empty_tools"] = 1

    def _write_one_cap(self) -> None:
        """Under the name that the upstream knows; of two the one that counts."""
        caps = [name for name in self._rules.caps if self._fields.get(name, _NULL) != _NULL]
        wanted = self._endpoint.cap_field
        if not caps or wanted not in ("", *self._rules.caps):
            return
        if len(caps) > 1 or (wanted and caps[0] != wanted):
            value = self._fields[caps[0]]
            for name in self._rules.caps:
                self._fields.pop(name, None)
            self._fields[wanted or self._rules.caps[-1]] = value
            self.counts["cap_field"] = 1

    def _leave_out_unknown(self) -> None:
        known, foreign = self._rules.known, self._rules.foreign
        odd = [name for name in self._fields if (name not in known if known is not None else name in foreign)]
        for name in odd:
            del self._fields[name]
        if odd:
            self.dropped += odd
            self.counts["unknown_field"] = len(odd)

    def _clamp(self) -> None:
        rules, notes = self._rules, self.notes
        for name, (least, most) in rules.ranges.items():
            if (value := self._read(name, _number)) is not None:
                self._tell(name, value, notes.within(name, value, least, most))
        for name in rules.caps:
            if (tokens := self._read(name, _integer)) is not None and tokens > 0:
                fit = notes.answer_cap(tokens, self._endpoint.max_output, name)
                self._tell(name, tokens, notes.within(name, fit, rules.least_cap, max(fit, rules.least_cap)))
        name, most_stops = rules.stops
        if (stop := self._read(name, _texts)) is not None:
            self._tell(name, stop, notes.stops(tuple(stop), most_stops, name))
        if notes.clamped:
            self.counts["out_of_range"] = len(notes.clamped)

    def _read(self, name: str, decoder: msgspec.json.Decoder[_T]) -> _T | None:
        """None for what is not there, or is another thing: the upstream will say so."""
        try:
            return decoder.decode(self._fields[name])
        except (KeyError, msgspec.MsgspecError):
            return None

    def _tell(self, name: str, asked: object, fit: object) -> None:
        if fit != asked:
            self._fields[name] = Raw(_encode(fit))

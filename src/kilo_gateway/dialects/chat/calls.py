"""Tool calls out of chat completions, as events. Upstreams send them in many ways."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.dialects.chat import shapes
from kilo_gateway.dialects.hub.answered import CallBegun, CallDelta, Event


class Function(Struct):
    """`arguments`: a text, or from some upstreams the object itself."""

    name: str | None = None
    arguments: Raw = shapes.ABSENT


class Custom(Struct):
    """https://platform.openai.com/docs/guides/function-calling#custom-tools"""

    name: str | None = None
    input: str | None = None


class Call(Struct):
    index: int | None = None
    id: str | int | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: shapes.Extra | None = None


class _Open(Struct):
    """`number`: ours, -1 until the name is known. `early`: arguments that came before it."""

    number: int = -1
    id: str = ""
    early: str = ""
    input: list[str] | None = None  # of a custom call, which is told whole


_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Calls:
    """Of one answer. `origin`: of what is signed in it."""

    def __init__(self, origin: str) -> None:
        self.count = 0
        self._origin = origin
        self._all: list[_Open] = []
        self._open: dict[int, _Open] = {}  # the last of each of the upstream's indexes
        self._last = -1  # such an index

    def read(self, call: Call) -> Iterator[Event]:
        """A piece of a call, or a whole one."""
        function = call.function
        begun = self._open.get(call.index) if call.index is not None else None
        if begun is not None and begun.number >= 0 and function is not None and not function.name:  # as most pieces are
            if said := _text(function.arguments):
                yield CallDelta(begun.number, said)
            return
        opened = self._opened(call)
        made = call.custom or call.function
        name = (made.name if made is not None else None) or ""
        if name and opened.number < 0:
            opened.number, self.count = self.count, self.count + 1
            google = call.extra_content.google if call.extra_content is not None else None
            signature = shapes.signature_of(google)
            yield CallBegun(opened.number, opened.id, name, signature, self._origin if signature else "")
        if isinstance(made, Custom):
            opened.input = [*(opened.input or ()), made.input or ""]
            return
        arguments = opened.early + (_text(made.arguments) if made is not None else "")
        opened.early = ""
        if opened.number < 0:
            opened.early = arguments
        elif arguments:
            yield CallDelta(opened.number, arguments)

    def end(self) -> Iterator[Event]:
        """What is told whole: plain text, as the argument `input`."""
        for opened in self._all:
            if opened.input is not None and opened.number >= 0:
                yield CallDelta(opened.number, _encode({"input": "".join(opened.input)}).decode())
                opened.input = None

    def _opened(self, call: Call) -> _Open:
        """Mostly that of its index. Without one, an id or a name begins another call, and what has neither goes on."""
        made = call.custom or call.function
        id, begins = str(call.id or ""), bool(made is not None and made.name)
        at = call.index if call.index is not None else self._last + (1 if id or begins or self._last < 0 else 0)
        opened = self._open.get(at)
        if opened is None or (id and begins and opened.id not in ("", id)):  # some give all calls one index
            opened = self._open[at] = _Open()
            self._all.append(opened)
        opened.id = opened.id or id
        self._last = at
        return opened


def _text(arguments: Raw) -> str:
    raw = bytes(arguments)
    if raw[:1] == b'"':
        return _decode_text(raw)
    return "" if raw == b"null" else raw.decode()

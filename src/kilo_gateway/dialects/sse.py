"""Server-sent events split off a stream, however it was cut. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import re

from kilo_gateway.core.errors import BadAnswer

MAX_EVENT_BYTES = 16 * 1024 * 1024
_END = re.compile(rb"\n\r?\n|\r\r").search
_LINES = re.compile(rb"\r\n|\n|\r").split


class Splitter:
    """`feed` gives (name, data) of each event that is whole; comments give nothing."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        if self._kept:
            data = self._kept + data
        found: list[tuple[bytes, bytes]] = []
        at = 0
        while (end := _END(data, at)) is not None:
            event = event_of(data[at : end.start()])
            if event is not None:
                found.append(event)
            at = end.end()
        self._kept = data[at:]
        if len(self._kept) > MAX_EVENT_BYTES:
            raise BadAnswer("the upstream sent an event without end")
        return found

    def rest(self) -> list[tuple[bytes, bytes]]:
        """At the end of the stream the blank line after the last event may be missing."""
        event, self._kept = event_of(self._kept), b""
        return [] if event is None else [event]


def event_of(text: bytes) -> tuple[bytes, bytes] | None:
    """Name and data of one event, without its blank line; None for a comment. Mostly it is one line, or two."""
    name = b""
    if text.startswith(b"event:") and b"\n" in text:
        line, _, text = text.partition(b"\n")
        name = line[6:].strip()
    if text.startswith(b"data:") and b"\n" not in text and b"\r" not in text:
        return name, text[6:] if text[5:6] == b" " else text[5:]
    data: list[bytes] = []
    for line in _LINES(text):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.strip()
    return (name, b"\n".join(data)) if data else None

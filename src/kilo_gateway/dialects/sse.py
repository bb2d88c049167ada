"""Server-sent events split off a stream, however it was cut. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from kilo_gateway.core.errors import BadAnswer

MAX_EVENT_BYTES = 16 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Splitter:
    """`feed` gives (name, data) of each event that is whole; comments give nothing."""

    def __init__(self) -> None:
        self._kept = b""  # of a line
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0  # of the data

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        if self._kept:
            data = self._kept + data
        half = b""
        if b"\r" in data:
            if data[-1:] == b"\r" and data[-2:-1] not in (b"\r", b"\n"):  # perhaps CR LF; behind an end of line it is one
                half, data = b"\r", data[:-1]
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found: list[tuple[bytes, bytes]] = []
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            if end == at:
                self._end(found)
            elif data.startswith(b"data:", at):
                line = data[at + 6 : end] if data.startswith(b" ", at + 5) else data[at + 5 : end]
                self._data.append(line)
                self._size += len(line)
            elif data.startswith(b"event:", at):
                self._name = data[at + 6 : end].strip()
            elif data[at:end] == b"data":
                self._data.append(b"")
            elif data.startswith(BYTE_ORDER_MARK, at):  # some put it in front
                at += len(BYTE_ORDER_MARK)
                continue
            at = end + 1
        self._kept = data[at:] + half
        if self._size + len(self._kept) > MAX_EVENT_BYTES:
            raise BadAnswer("the upstream sent an event without end")
        return found

    def rest(self) -> list[tuple[bytes, bytes]]:
        """At the end of the stream the blank line after the last event may be missing."""
        return self.feed(b"\n\n")

    def _end(self, found: list[tuple[bytes, bytes]]) -> None:
        if self._data:
            found.append((self._name, self._data[0] if len(self._data) == 1 else b"\n".join(self._data)))
            self._data = []
        self._name, self._size = b"", 0


def event_of(text: bytes) -> tuple[bytes, bytes] | None:
    """Name and data of one event, without its blank line; None for a comment."""
    splitter = Splitter()
    found = splitter.feed(text) + splitter.rest()
    return found[0] if found else None

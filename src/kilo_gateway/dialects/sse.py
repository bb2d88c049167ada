"""Server-sent events split off a stream, however it was cut. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from kilo_gateway.core.errors import BadAnswer

MAX_EVENT_BYTES = 16 * 1024 * 1024
_END = b"\n\n"


class Splitter:
    """`feed` gives (name, data) of each event that is whole; comments give nothing."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        if self._kept:
            data = self._kept + data
        half = b""
        if b"\r" in data:
            if data[-1:] == b"\r" and data[-2:-1] not in (b"\r", b"\n"):  # perhaps CR LF; behind an end of line it is one
                half, data = b"\r", data[:-1]
            data = _with_line_feeds(data)
        *events, kept = data.split(_END)
        self._kept = kept + half
        if len(kept) > MAX_EVENT_BYTES:
            raise BadAnswer("the upstream sent an event without end")
        return [found for event in events if (found := event_of(event)) is not None]

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
    for line in _with_line_feeds(text).split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.strip()
    return (name, b"\n".join(data)) if data else None


def _with_line_feeds(data: bytes) -> bytes:
    """A line may end with CR LF, LF or CR."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

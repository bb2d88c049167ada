"""Events split off an AWS event stream, however it was cut. https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html

    length of all, of the headers, CRC-32 of both | headers | payload | CRC-32 of all before it        (big-endian)
"""

import struct
import zlib

import msgspec

from kilo_gateway.core.errors import BadAnswer, Truncated

MAX_HEADER_BYTES = 128 * 1024
MAX_EVENT_BYTES = 16 * 1024 * 1024
EXCEPTION = b":exception:"
_PRELUDE = struct.Struct("!III")
_SUM = struct.Struct("!I")
_LEAST = _PRELUDE.size + _SUM.size
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # kind of a header's value -> its bytes
_COUNTED = (6, 7)  # bytes and text: two bytes say how many
_MAX_KNOWN = 64


class Splitter:
    """`feed` gives (type, payload) of each event that is whole. Exceptions and errors are of the type :exception:TYPE.

    What follows a broken frame is lost, so BadAnswer is raised again at each later call.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._known: dict[bytes, bytes] = {}  # headers -> type: they repeat, byte for byte

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        self._kept += data
        found: list[tuple[bytes, bytes]] = []
        at = 0
        try:
            while len(self._kept) - at >= _PRELUDE.size:
                size, width = self._sizes(at)
                if len(self._kept) - at < size:
                    break
                found.append(self._event(bytes(self._kept[at : at + size]), width))
                at += size
        except BadAnswer:
            if not found:
                raise
        del self._kept[:at]
        return found

    def rest(self) -> list[tuple[bytes, bytes]]:
        """At the end of the stream. Raises Truncated where that is inside a frame."""
        found = self.feed(b"")
        if self._kept:
            raise Truncated("the upstream's stream stopped inside an event")
        return found

    def _sizes(self, at: int) -> tuple[int, int]:
        size, width, told = _PRELUDE.unpack_from(self._kept, at)
        if zlib.crc32(self._kept[at : at + 8]) != told:
            raise BadAnswer("an event's lengths do not have their sum")
        if width > MAX_HEADER_BYTES or not _LEAST + width <= size <= MAX_EVENT_BYTES:
            raise BadAnswer(f"an event of {size} bytes with {width} of headers")
        return size, width

    def _event(self, frame: bytes, width: int) -> tuple[bytes, bytes]:
        if zlib.crc32(memoryview(frame)[:-4]) != _SUM.unpack_from(frame, len(frame) - 4)[0]:
            raise BadAnswer("an event does not have its sum")
        end = _PRELUDE.size + width
        headers, payload = frame[_PRELUDE.size : end], frame[end:-4]
        known = self._known.get(headers)
        if known is not None:
            return known, payload
        told = _headers(headers)
        kind = told.get(b":message-type", b"event")
        if kind == b"error":  # says all in its headers
            message = told.get(b":error-message", b"").decode("utf-8", "replace")
            return EXCEPTION + told.get(b":error-code", b""), msgspec.json.encode({"message": message})
        name = EXCEPTION + told.get(b":exception-type", b"") if kind == b"exception" else told.get(b":event-type", b"")
        if len(self._known) < _MAX_KNOWN:
            self._known[headers] = name
        return name, payload


def _headers(data: bytes) -> dict[bytes, bytes]:
    """Each: bytes of its name, name, kind of its value, value."""
    told: dict[bytes, bytes] = {}
    at = 0
    try:
        while at < len(data):
            end = at + 1 + data[at]
            name, kind = data[at + 1 : end], data[end]
            at = end + 1
            if kind in _COUNTED:
                size = int.from_bytes(data[at : at + 2])
                at += 2
            else:
                size = _FIXED[kind]
            if at + size > len(data):
                raise IndexError
            told[name] = data[at : at + size]
            at += size
    except (IndexError, KeyError) as error:
        raise BadAnswer("an event's headers cannot be read") from error
    return told

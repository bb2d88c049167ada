"""The parser of a connection that is read carefully, and the way from a plain one to it.

As soon as a body comes in chunks, it is fed in small pieces: httptools shows neither a chunk's extensions nor how long its
size line was, but what went in during a piece, less the body that came out, is what they and the trailers took.
"""

from typing import Protocol

import httptools

PIECE_BYTES = 4 * 1024


class Reader(Protocol):
    """`on_piece` is told how many bytes were fed, and says whether to go on."""

    is_chunked: bool

    def on_piece(self, size: int) -> bool: ...


class ReadAnew(Exception):
    """Ends a plain parser's work from inside: what begins at `at` of this read has to be read carefully."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class CarefulParser:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        parser = httptools.HttpRequestParser(reader)
        self._feed = parser.feed_data
        self.get_method, self.get_http_version = parser.get_method, parser.get_http_version
        self.should_keep_alive, self.should_upgrade = parser.should_keep_alive, parser.should_upgrade

    def feed_data(self, data: bytes) -> None:
        if not self._reader.is_chunked:
            self._feed(data)
            return
        for at in range(0, len(data), PIECE_BYTES):
            piece = data[at : at + PIECE_BYTES]
            self._feed(piece)
            if not self._reader.on_piece(len(piece)):
                return
